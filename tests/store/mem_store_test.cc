#include "node/store/mem_store.h"

#include <gtest/gtest.h>

#include "tests/support/store_suite.h"

namespace orchard {

class MemStoreDriver {
 public:
  HostStore& store() { return store_; }
  HostStore::Committed Commit(Digest* digest) { return store_.Commit(digest); }
  void MakeDurable() { store_.Synced(store_.turns()); }
  void KillProcess() {}  // The map is the disk.
  void PowerLoss() { store_.PowerLoss(13); }
  void FillDisk() { store_.set_capacity_bytes(store_.used_bytes()); }

 private:
  MemStore store_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Mem, StoreSuite, MemStoreDriver);

namespace {

TEST(MemStoreTest, CountsKeysAndValuesExactly) {
  MemStore s;
  auto put = [&](std::string_view k, std::string_view v) { s.Put(AsBytes(k), AsBytes(v)), s.Commit(nullptr); };
  put("key", "12345");
  EXPECT_EQ(s.used_bytes(), 8u);
  put("key", "1");
  EXPECT_EQ(s.used_bytes(), 4u);
  put("other", "");
  EXPECT_EQ(s.used_bytes(), 9u);
  s.PowerLoss(2);
  EXPECT_EQ(s.used_bytes(), 8u);
  s.Erase(AsBytes("key")), s.Commit(nullptr);
  EXPECT_EQ(s.used_bytes(), 0u);
  s.PowerLoss(1);
  EXPECT_EQ(s.used_bytes(), 8u);
}

TEST(MemStoreTest, TheUndoLogIsBounded) {
  MemStore s;
  for (int i = 0; i < 5000; ++i) {
    s.Put(AsBytes("k"), AsBytes(std::to_string(i)));
    s.Commit(nullptr);
    ASSERT_LE(s.unsynced_turns(), MemStore::kUnsyncedTurnsMax);
  }
  s.PowerLoss(SIZE_MAX);
  EXPECT_GE(std::stoi(std::string(AsText(*s.Get(AsBytes("k"))))), 5000 - int(MemStore::kUnsyncedTurnsMax) - 1);
}

}  // namespace
}  // namespace orchard
