// Files that change while they are fetched: nothing of two states is ever put together and called whole.
#include <gtest/gtest.h>

#include "node/pod/pod.h"
#include "tests/pod/net.h"
#include "tests/support/bare_turn.h"

namespace orchard::pod {
namespace {

using namespace std::chrono_literals;
using Node = PodNet::Node;

// ---- The core: the last word is ours ----

// Two chunks, the second of a member; what the core wants then.
struct LastWord {
  static constexpr uint64_t kChunk = 256 << 10;
  explicit LastWord(bool stated) : core({.chunk_bytes = kChunk, .check_permille = 0}) {
    peer = *core.OnPeerJoined(turn(), DeviceId{1}, wants);
    transfer = *core.OnRequest(turn(), {.url = "http://h/f", .start = 0, .end = 2 * kChunk, .stated = stated}, wants);
    Own(*Wanted(kOwnWan), 'o');
    const Fetch theirs = *Wanted(peer);
    first_of_theirs = theirs.start;
    box.turn.now += 10ms;
    const std::string body(kChunk, 'm');
    wants.clear();
    core.OnChunkData(turn(), peer, {.transfer = transfer, .start = theirs.start, .end = theirs.end, .hash = crypto::Sha256(AsBytes(body)), .payload = AsBytes(body)}, wants);
  }
  Turn& turn() { return box.turn; }
  std::optional<Fetch> Wanted(WorkerId worker) const {
    for (const Action& a : wants) {
      if (const auto* f = std::get_if<Fetch>(&a); f != nullptr && f->worker == worker) return *f;
    }
    return std::nullopt;
  }
  void Own(const Fetch& fetch, char of) {
    box.turn.now += 10ms;
    const std::string body(fetch.end - fetch.start, of);
    Actions before = std::exchange(wants, {});
    core.OnOwnChunk(turn(), fetch.fetch, AsBytes(body), wants);
    wants.insert(wants.begin(), before.begin(), before.end());
  }
  std::optional<Ending> ended() const {
    for (const Action& a : wants) {
      if (const auto* e = std::get_if<Ended>(&a)) return e->how;
    }
    return std::nullopt;
  }
  BareTurn box;
  Actions wants;
  Core core;
  WorkerId peer{};
  TransferId transfer{};
  uint64_t first_of_theirs = 0;
};

TEST(LastWordTest, IsOurOwnAfterTheLastChunkOfAMember) {
  LastWord w(true);
  EXPECT_FALSE(w.ended().has_value());
  const auto vouch = w.Wanted(kOwnWan);
  ASSERT_TRUE(vouch.has_value());
  EXPECT_EQ(vouch->start, w.first_of_theirs);
  EXPECT_EQ(vouch->end - vouch->start, Transfer::kVouchBytes);
  w.Own(*vouch, 'm');
  EXPECT_EQ(w.ended(), Ending::kDone);
  EXPECT_EQ(w.core.counters().vouches, 1u);
}

TEST(LastWordTest, IsNotNeededWithoutAStateToHoldTo) {
  LastWord w(false);
  EXPECT_EQ(w.ended(), Ending::kDone);
}

TEST(LastWordTest, OfAnotherStateEndsIt) {
  LastWord w(true);
  w.core.OnChanged(w.turn(), w.transfer, w.wants);
  EXPECT_EQ(w.ended(), Ending::kChanged);
  EXPECT_EQ(w.core.transfers(), 0u);
}

TEST(LastWordTest, ThatCannotBeHadIsNoLastWord) {
  LastWord w(true);
  for (uint32_t i = 0; i < Core::kAttemptsMax; ++i) {
    const auto vouch = w.Wanted(kOwnWan);
    ASSERT_TRUE(vouch.has_value()) << i;
    w.wants.clear();
    w.core.OnFetchFailed(w.turn(), vouch->fetch, w.wants);
  }
  EXPECT_EQ(w.ended(), Ending::kUnavailable);
}

TEST(LastWordTest, ThatSaysOtherBytesIsLookedAtWhole) {
  LastWord w(true);
  w.Own(*w.Wanted(kOwnWan), 'x');
  EXPECT_FALSE(w.ended().has_value());
  std::optional<Fetch> audit;
  for (const Action& a : w.wants) {
    if (const auto* f = std::get_if<Fetch>(&a)) audit = *f;
  }
  ASSERT_EQ(audit->end - audit->start, LastWord::kChunk);
  w.Own(*audit, 'x');
  EXPECT_EQ(w.ended(), Ending::kPoisoned);
  EXPECT_EQ(w.core.counters().liars, 1u);
}

// ---- The pod ----

std::string Sha(std::string_view bytes) { return ToHex(crypto::Sha256(AsBytes(bytes))); }
constexpr char kDate[] = "Sun, 06 Nov 1994 08:49:37 GMT";

TEST(ChangeTest, AFileThatChangesMeanwhileIsNeverCalledWhole) {
  for (Profile profile : {Profile::kCompatCode, Profile::kHardened}) {
    for (bool etags : {true, false}) {
      for (uint64_t after : {1, 3, 6, 10, 15, 20, 25, 30}) {
        PodNet w;
        w.AddOrigin({.etags = etags, .last_modified = kDate, .rate = 1'000'000, .changes_after = after});
        PodConfig config = PodNet::Config(profile);
        config.core.check_permille = 0;
        const Node a = w.Add("a", config), b = w.Add("b", config);
        w.Add("c", config);
        ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 2; }, 5s));
        const http::Validator state{.etag = etags ? w.net.machine<http::Origin>(w.origin).content("/film")->etag() : "", .last_modified = kDate};
        const auto id = w.Download(a, 0, PodNet::kFilm - 1, std::nullopt, "http://origin/film", state);
        ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*id].over(); }, 60s));
        EXPECT_EQ(w.at(a).got[*id].failed, Ending::kChanged) << after << etags << (profile == Profile::kHardened);
        EXPECT_EQ(w.count(a, "pod.ended:changed"), 1u);
        EXPECT_GT(w.at(b).pod.serve().counters().requests, 0u);
      }
    }
  }
}

TEST(ChangeTest, OneThatStaysIsVouchedForByOurselves) {
  for (Profile profile : {Profile::kCompatCode, Profile::kHardened}) {
    PodNet w;
    w.AddOrigin({.rate = 1'000'000});
    const Node a = w.Add("a", PodNet::Config(profile)), b = w.Add("b", PodNet::Config(profile));
    ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1; }, 5s));
    const http::Validator state{.etag = w.net.machine<http::Origin>(w.origin).content("/film")->etag(), .last_modified = {}};
    const auto id = w.Download(a, 0, PodNet::kFilm - 1, std::nullopt, "http://origin/film", state);
    ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*id].over(); }, 60s));
    EXPECT_TRUE(w.at(a).got[*id].done);
    EXPECT_EQ(Sha(w.at(a).got[*id].bytes), Sha(w.File(0, PodNet::kFilm)));
    EXPECT_GT(w.at(b).pod.serve().counters().served, 0u);
    EXPECT_LE(w.at(a).pod.core().counters().vouches, 1u);
  }
}

// Of hardened alone: the member holds the origin to the state that it was told, and says no if that is over.
TEST(ChangeTest, AMemberOfHardenedFetchesNothingOfAnotherState) {
  for (Profile profile : {Profile::kCompatCode, Profile::kHardened}) {
    PodNet w;
    w.AddOrigin({.rate = 1'000'000, .changes_after = 12});
    PodConfig config = PodNet::Config(profile);
    config.core.check_permille = 0;
    const Node a = w.Add("a", config), b = w.Add("b", config), c = w.Add("c", config);
    ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 2; }, 5s));
    const http::Validator state{.etag = w.net.machine<http::Origin>(w.origin).content("/film")->etag(), .last_modified = {}};
    const auto id = w.Download(a, 0, PodNet::kFilm - 1, std::nullopt, "http://origin/film", state);
    ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*id].over(); }, 60s));
    w.net.Run(5s);
    const uint64_t refused = w.at(b).pod.serve().denied(Denial::kFetchFailed) + w.at(c).pod.serve().denied(Denial::kFetchFailed);
    EXPECT_EQ(refused > 0, profile == Profile::kHardened);
    EXPECT_EQ(w.at(a).got[*id].failed, Ending::kChanged);
  }
}

}  // namespace
}  // namespace orchard::pod
