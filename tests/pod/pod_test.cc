// Whole pods on the in-memory wire: who finds whom, what a download over several members brings, and what goes wrong.
#include "node/pod/pod.h"

#include <gtest/gtest.h>

#include "tests/pod/net.h"

namespace orchard::pod {
namespace {

using namespace std::chrono_literals;
using Node = PodNet::Node;

std::string Sha(std::string_view bytes) { return ToHex(crypto::Sha256(AsBytes(bytes))); }

TEST(PodTest, FormsWithinASecondOfABeacon) {
  PodNet w;
  const Node a = w.Add("a");
  w.net.Run(1500ms);  // A's first beacon is over when B comes.
  const Node b = w.Add("b");
  EXPECT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 1s));
  w.net.Run(30s);
  EXPECT_EQ(w.at(a).formed, 1u);
  EXPECT_EQ(w.at(b).formed, 1u);
  EXPECT_EQ(w.at(a).left + w.at(b).left, 0u);
}

TEST(PodTest, FormsOfThreeInEachProfileAndKeepsOneConnectionPerPair) {
  for (Profile profile : {Profile::kCompatCode, Profile::kCompatDoc, Profile::kHardened}) {
    PodNet w;
    std::vector<Node> nodes;
    for (const char* name : {"a", "b", "c"}) nodes.push_back(w.Add(name, PodNet::Config(profile)));
    EXPECT_TRUE(w.RunUntil([&] {
      return std::all_of(nodes.begin(), nodes.end(), [&](Node n) { return w.at(n).pod.peers() == 2; });
    }, 5s)) << int(profile);
    w.net.Run(60s);
    for (Node n : nodes) {
      EXPECT_EQ(w.at(n).pod.peers(), 2u);
      EXPECT_EQ(w.at(n).pod.members().links(), 2u);
      EXPECT_EQ(w.at(n).left, 0u);
    }
  }
}

TEST(PodTest, SpeaksWithAPeerOfTheOtherDialect) {
  PodNet w;
  const Node a = w.Add("a", PodNet::Config(Profile::kCompatCode)), b = w.Add("b", PodNet::Config(Profile::kCompatDoc));
  EXPECT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 5s));
}

TEST(PodTest, KeepsItsIdentityOverARestart) {
  PodNet w;
  const Node a = w.Add("a");
  w.net.Run(1s);
  const DeviceId before = w.at(a).pod.identity().device;
  w.net.PowerLoss(a);
  w.net.StartNode(a);
  EXPECT_EQ(w.at(a).pod.identity().device, before);
}

TEST(PodTest, ADownloadIsWholeAndUsesAllMembers) {
  for (Profile profile : {Profile::kCompatCode, Profile::kHardened}) {
    PodNet w;
    w.AddOrigin({.rate = 1'000'000});
    const Node a = w.Add("a", PodNet::Config(profile)), b = w.Add("b", PodNet::Config(profile)), c = w.Add("c", PodNet::Config(profile));
    ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 2; }, 5s));
    const uint64_t first = 12345, size = PodNet::kFilm - first - 7;
    const auto id = w.Download(a, first, first + size - 1);
    ASSERT_TRUE(id.has_value());
    ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*id].over(); }, 60s));
    const PodMachine::Got& got = w.at(a).got[*id];
    ASSERT_TRUE(got.done);
    EXPECT_EQ(Sha(got.bytes), Sha(w.File(first, size)));
    EXPECT_GT(w.at(b).pod.serve().counters().bytes, size / 6);
    EXPECT_GT(w.at(c).pod.serve().counters().bytes, size / 6);
    EXPECT_GT(w.at(a).pod.counters().own_bytes, size / 6);
    EXPECT_GT(w.count(a, "pod.chunk"), size / (256 << 10));
    EXPECT_EQ(w.count(a, "pod.ended:done"), 1u);
  }
}

TEST(PodTest, VerifiesWhatHasAnExpectedHash) {
  PodNet w;
  w.AddOrigin();
  const Node a = w.Add("a");
  w.Add("b");
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1; }, 5s));
  const std::string film = w.File(0, 2 << 20);
  const auto good = w.Download(a, 0, film.size() - 1, crypto::Sha256(AsBytes(film)));
  const auto bad = w.Download(a, 0, film.size() - 1, Key32{1});
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*good].over() && w.at(a).got[*bad].over(); }, 60s));
  EXPECT_TRUE(w.at(a).got[*good].verified);
  EXPECT_EQ(w.at(a).got[*bad].failed, Ending::kHashMismatch);
}

TEST(PodTest, AMemberThatDiesInTheMiddleCostsNoByte) {
  PodNet w;
  w.AddOrigin({.rate = 400'000});
  const Node a = w.Add("a"), b = w.Add("b"), c = w.Add("c");
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 2; }, 5s));
  const auto id = w.Download(a, 0, PodNet::kFilm - 1);
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*id].bytes.size() > PodNet::kFilm / 2; }, 60s));
  w.net.Kill(b);
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*id].over(); }, 60s));
  EXPECT_EQ(Sha(w.at(a).got[*id].bytes), Sha(w.File(0, PodNet::kFilm)));
  EXPECT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(c).pod.peers() == 1; }, 10s));
}

TEST(PodTest, WithoutMembersItIsDoneAlone) {
  PodNet w;
  w.AddOrigin();
  const Node a = w.Add("a");
  w.net.Run(1s);
  EXPECT_FALSE(w.Download(a, 0, 999).has_value());
}

TEST(PodTest, AnAbortedDownloadSaysNothingMore) {
  PodNet w;
  w.AddOrigin({.rate = 400'000});
  const Node a = w.Add("a"), b = w.Add("b");
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1; }, 5s));
  const auto id = w.Download(a, 0, PodNet::kFilm - 1);
  w.net.Run(1s);
  w.Do(a, [&](Turn& turn, PodMachine& m) {
    PodNews news;
    m.pod.Abort(turn, *id, news);
    EXPECT_TRUE(news.empty());
  });
  const size_t had = w.at(a).got[*id].bytes.size();
  w.net.Run(30s);
  EXPECT_FALSE(w.at(a).got[*id].over());
  EXPECT_EQ(w.at(a).got[*id].bytes.size(), had);
  EXPECT_EQ(w.at(a).pod.core().fetches() + w.at(b).pod.serve().under_way(), 0u);
}

TEST(PodTest, AReaderThatStopsReadingHoldsTheDownload) {
  PodNet w;
  w.AddOrigin();
  const Node a = w.Add("a", [] { PodConfig c = PodNet::Config(); c.core.window_bytes = 1 << 20; return c; }());
  w.Add("b");
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1; }, 5s));
  w.at(a).reads = false;
  const auto id = w.Download(a, 0, PodNet::kFilm - 1);
  w.net.Run(30s);
  EXPECT_LE(w.at(a).got[*id].bytes.size(), size_t{1} << 20);
  EXPECT_FALSE(w.at(a).got[*id].over());
  w.at(a).reads = true;
  w.Do(a, [&](Turn& turn, PodMachine& m) {
    PodNews news;
    m.pod.Read(turn, *id, m.got[*id].bytes.size(), news);
    m.Take(turn, std::move(news));
  });
  EXPECT_TRUE(w.RunUntil([&] { return w.at(a).got[*id].done; }, 60s));
}

TEST(PodTest, GoodbyeIsHeardAtOnce) {
  PodNet w;
  const Node a = w.Add("a"), b = w.Add("b");
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 5s));
  w.net.Stop(b);
  EXPECT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 0; }, 100ms));
  EXPECT_EQ(w.count(a, "pod.left:left"), 1u);
  // And whoever is back is met again.
  w.net.StartNode(b);
  EXPECT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 1s));
}

TEST(PodTest, WhoDiesWithoutAWordIsMissedAndWhoComesBackIsMetAgain) {
  PodNet w;
  const Node a = w.Add("a"), b = w.Add("b");
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 5s));
  w.net.Restart(b);
  EXPECT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 2s));
  w.net.Run(30s);
  EXPECT_EQ(w.at(a).pod.peers(), 1u);
  EXPECT_EQ(w.at(a).pod.members().links(), 1u);
}

TEST(PodTest, AStrangerWithAnotherSecretIsNoMember) {
  PodNet w;
  auto with = [](uint8_t first) { PodConfig c = PodNet::Config(Profile::kHardened); c.secret = Key32{first}; return c; };
  const Node a = w.Add("a", with(1)), b = w.Add("b", with(1)), stranger = w.Add("stranger", with(2));
  w.net.Run(30s);
  EXPECT_EQ(w.at(a).pod.peers(), 1u);
  EXPECT_EQ(w.at(b).pod.peers(), 1u);
  EXPECT_EQ(w.at(stranger).pod.peers(), 0u);
  EXPECT_GT(w.at(stranger).pod.members().discovery().counters().unreadable, 0u);
}

TEST(PodTest, MembersOfOtherVersionsLeaveEachOtherAlone) {
  PodNet w;
  const Node a = w.Add("a", PodNet::Config(Profile::kHardened)), b = w.Add("b", PodNet::Config(Profile::kCompatCode));
  w.net.Run(30s);
  EXPECT_EQ(w.at(a).pod.peers() + w.at(b).pod.peers(), 0u);
  EXPECT_EQ(w.at(a).pod.members().counters().dials, 0u);
}

TEST(PodTest, FetchesNothingFromPrivateAddressesForOthers) {
  PodNet w;
  w.AddOrigin();
  PodConfig strict = PodNet::Config();
  strict.allow_private = false;
  const Node a = w.Add("a"), b = w.Add("b", strict);
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 5s));
  const auto id = w.Download(a, 0, (1 << 20) - 1);
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*id].over(); }, 60s));
  EXPECT_EQ(Sha(w.at(a).got[*id].bytes), Sha(w.File(0, 1 << 20)));  // Done alone then.
  EXPECT_GT(w.at(b).pod.serve().denied(Denial::kPrivate), 0u);
  EXPECT_EQ(w.at(b).pod.serve().counters().served, 0u);
  EXPECT_GT(w.count(b, "pod.chunk_refused:private-address"), 0u);
}

}  // namespace
}  // namespace orchard::pod
