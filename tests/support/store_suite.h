// One suite for every HostStore. A store joins by a Driver with
//   HostStore& store()
//   HostStore::Committed Commit(Digest*)   ends the turn; the batch now survives the death of the process
//   void MakeDurable()                     all turns so far now survive power loss
//   void KillProcess()                     the process dies and opens the store again
//   void PowerLoss()                       the same, and what was not made durable is torn off
//   void FillDisk()                        no room is left
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "node/base/turn_runner.h"
#include "node/store/mem_store.h"

namespace orchard {

template <class Driver>
class StoreSuite : public testing::Test {
 protected:
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  HostStore& store() { return driver_.store(); }
  void Put(std::string_view k, std::string_view v) { store().Put(AsBytes(k), AsBytes(v)); }
  void Erase(std::string_view k) { store().Erase(AsBytes(k)); }
  // "-" if there is none.
  std::string Get(std::string_view k) {
    auto v = store().Get(AsBytes(k));
    return v ? std::string(AsText(*v)) : "-";
  }
  Pairs Scan(std::string_view from, std::string_view to, size_t max = SIZE_MAX) {
    Pairs out;
    store().Scan(AsBytes(from), AsBytes(to), [&](Bytes k, Bytes v) {
      out.emplace_back(AsText(k), AsText(v));
      return out.size() < max;
    });
    return out;
  }
  Driver driver_;
};
TYPED_TEST_SUITE_P(StoreSuite);

TYPED_TEST_P(StoreSuite, ATurnSeesItsOwnWrites) {
  this->Put("a", "old"), this->Put("gone", "x");
  EXPECT_EQ(this->Get("a"), "old");
  this->driver_.Commit(nullptr);
  this->Put("a", "new"), this->Put("b", ""), this->Erase("gone"), this->Erase("never was");
  EXPECT_EQ(this->Get("a"), "new");
  EXPECT_EQ(this->Get("b"), "");
  EXPECT_EQ(this->Get("gone"), "-");
  EXPECT_EQ(this->Scan("", "z").size(), 2u);
  this->Put("gone", "back");
  EXPECT_EQ(this->Get("gone"), "back");
}

TYPED_TEST_P(StoreSuite, WhatWasReadStaysReadableUntilTheNextWrite) {
  this->Put("a", std::string(5000, 'a')), this->Put("b", std::string(5000, 'b'));
  this->driver_.Commit(nullptr);
  Bytes a = *this->store().Get(AsBytes("a")), b = *this->store().Get(AsBytes("b"));
  for (int i = 0; i < 100; ++i) this->Get("b");
  EXPECT_EQ(AsText(a), std::string(5000, 'a'));
  EXPECT_EQ(AsText(b), std::string(5000, 'b'));
}

TYPED_TEST_P(StoreSuite, AScanIsInByteOrderOverAHalfOpenRange) {
  using namespace std::string_literals;
  for (const std::string& k : {"b"s, "a\0x"s, "a"s, "a\xff"s, "\xff"s, "c"s}) this->Put(k, k);
  this->driver_.Commit(nullptr);
  this->Put("aa", "new"), this->Erase("a");  // Of this turn: merged in.
  typename std::remove_reference_t<decltype(*this)>::Pairs expected = {{"a\0x"s, "a\0x"s}, {"aa", "new"}, {"a\xff"s, "a\xff"s}, {"b", "b"}};
  EXPECT_EQ(this->Scan("a", "c"), expected);
  expected.resize(2);
  EXPECT_EQ(this->Scan("a", "c", 2), expected);
  EXPECT_EQ(this->Scan("c", "a").size(), 0u);
  EXPECT_EQ(this->Scan("", "\xff\xff").size(), 6u);
}

TYPED_TEST_P(StoreSuite, CommitSaysWhetherTheTurnWroteAndSynced) {
  auto c = this->driver_.Commit(nullptr);
  EXPECT_FALSE(c.any || c.sync);
  this->Put("a", "1");
  c = this->driver_.Commit(nullptr);
  EXPECT_TRUE(c.any && !c.sync);
  this->Put("a", "2"), this->store().Sync();
  c = this->driver_.Commit(nullptr);
  EXPECT_TRUE(c.any && c.sync);
  c = this->driver_.Commit(nullptr);
  EXPECT_FALSE(c.any || c.sync);
}

TYPED_TEST_P(StoreSuite, TheFingerprintDependsOnWhatWasWrittenAlone) {
  MemStore reference;
  Digest ours, theirs, other;
  for (HostStore* s : {&this->store(), static_cast<HostStore*>(&reference)}) {
    s->Put(AsBytes("a"), AsBytes("1")), s->Put(AsBytes("a"), AsBytes("2")), s->Erase(AsBytes("b")), s->Put(AsBytes("c"), {});
  }
  this->driver_.Commit(&ours), reference.Commit(&theirs);
  EXPECT_EQ(ours.hex(), theirs.hex());
  EXPECT_NE(ours.hex(), Digest().hex());
  this->Put("a", "3");
  this->driver_.Commit(&other);
  EXPECT_NE(other.hex(), ours.hex());
}

TYPED_TEST_P(StoreSuite, TheDeathOfTheProcessLosesNoCommittedTurnAndHalfOfNone) {
  for (int i = 0; i < 100; ++i) {
    this->Put("left" + std::to_string(i), "x"), this->Put("right" + std::to_string(i), "y");
    this->driver_.Commit(nullptr);
  }
  this->driver_.KillProcess();
  EXPECT_EQ(this->Scan("left", "lefu").size(), 100u);
  EXPECT_EQ(this->Scan("right", "righu").size(), 100u);
}

TYPED_TEST_P(StoreSuite, PowerLossKeepsWhatWasSyncedAndOnlyWholeTurns) {
  this->Put("synced-left", "1"), this->Put("synced-right", "1");
  this->driver_.Commit(nullptr), this->driver_.MakeDurable();
  for (int i = 0; i < 20; ++i) {
    this->Put("left" + std::to_string(100 + i), std::string(50, 'x')), this->Put("right" + std::to_string(100 + i), "y");
    this->driver_.Commit(nullptr);
  }
  this->driver_.PowerLoss();
  EXPECT_EQ(this->Get("synced-left") + this->Get("synced-right"), "11");
  auto left = this->Scan("left", "lefu"), right = this->Scan("right", "righu");
  EXPECT_LT(left.size(), 20u);
  ASSERT_EQ(left.size(), right.size());  // Whole turns…
  for (size_t i = 0; i < left.size(); ++i) EXPECT_EQ(left[i].first, "left" + std::to_string(100 + i));  // …and a prefix of them.
  this->Put("after", "1");
  this->driver_.Commit(nullptr);
  EXPECT_EQ(this->Get("after"), "1");
}

TYPED_TEST_P(StoreSuite, AFullDiskHasNoRoomAndStillReads) {
  this->Put("a", "1");
  this->driver_.Commit(nullptr);
  EXPECT_GT(this->store().room_bytes(), 0u);
  this->driver_.FillDisk();
  EXPECT_EQ(this->store().room_bytes(), 0u);
  EXPECT_EQ(this->Get("a"), "1");
}

REGISTER_TYPED_TEST_SUITE_P(StoreSuite, ATurnSeesItsOwnWrites, WhatWasReadStaysReadableUntilTheNextWrite,
                            AScanIsInByteOrderOverAHalfOpenRange, CommitSaysWhetherTheTurnWroteAndSynced,
                            TheFingerprintDependsOnWhatWasWrittenAlone,
                            TheDeathOfTheProcessLosesNoCommittedTurnAndHalfOfNone,
                            PowerLossKeepsWhatWasSyncedAndOnlyWholeTurns, AFullDiskHasNoRoomAndStillReads);

}  // namespace orchard
