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

// Who is near and can be no member is told, once in the log and as long as he is there to whoever asks.
TEST(PodTest, StrangersAreSeenAndForgotten) {
  using Stranger = Discovery::Stranger;
  PodConfig compat = PodNet::Config(), open = PodNet::Config(Profile::kHardened), secret = open, other = open;
  secret.secret = Key32{1}, other.secret = Key32{2};
  const struct { PodConfig a, b; std::optional<Stranger> kind; } kRows[] = {
      {compat, compat, {}}, {open, open, {}}, {secret, secret, {}}, {compat, open, Stranger::kProfile}, {compat, secret, Stranger::kProfile},
      {open, secret, Stranger::kSecret}, {secret, other, Stranger::kSecret}};
  for (const auto& row : kRows) {
    PodNet w;
    const Node a = w.Add("a", row.a), b = w.Add("b", row.b);
    w.net.Run(10s);
    for (const Node n : {a, b}) {
      const Pod& pod = w.at(n).pod;
      EXPECT_EQ(pod.peers(), row.kind.has_value() ? 0u : 1u);
      for (const Stranger kind : {Stranger::kProfile, Stranger::kSecret}) {
        EXPECT_EQ(pod.members().discovery().stranger(kind).has_value(), row.kind == kind) << (&row - kRows);
        EXPECT_EQ(w.count(n, kind == Stranger::kProfile ? "pod.stranger:profile" : "pod.stranger:secret"), row.kind == kind ? 1u : 0u);
      }
      if (row.kind.has_value()) {
        EXPECT_EQ(pod.members().counters().dials, 0u);
      }
    }
    w.net.Kill(b);
    w.net.Run(60s);
    for (const Stranger kind : {Stranger::kProfile, Stranger::kSecret}) EXPECT_FALSE(w.at(a).pod.members().discovery().stranger(kind).has_value());
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

// TCP dies, and beacons go on: who is there is known all the time, and dialled ever more seldom.
TEST(PodTest, ABlipOfTcpAloneEndsInDialsThatGrowRareAndThenInThePod) {
  PodNet w;
  const Node a = w.Add("a"), b = w.Add("b");
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 5s));
  w.net.Run(12s);
  const auto dials = [&] { return w.at(a).pod.members().counters().dials; };
  const uint64_t before = dials();
  w.net.SetStreamsDark(true);
  w.net.Run(10s);
  EXPECT_EQ(w.at(a).pod.peers() + w.at(b).pod.peers(), 0u);
  EXPECT_EQ(w.count(a, "pod.left:silent"), 1u);
  std::vector<uint64_t> in_half_minutes;
  for (int i = 0; i < 8; ++i) {
    const uint64_t then = dials();
    w.net.Run(30s);
    in_half_minutes.push_back(dials() - then);
    EXPECT_EQ(w.at(a).pod.members().discovery().known(), 1u);
  }
  EXPECT_GE(in_half_minutes[0], 2u);
  EXPECT_LE(in_half_minutes[0], 4u);
  for (int i = 3; i < 8; ++i) EXPECT_LE(in_half_minutes[i], 1u) << i;
  EXPECT_GE(dials() - before, 6u);  // A minute apart at most, ever.
  w.net.SetStreamsDark(false);
  EXPECT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 64s));
  w.net.Run(30s);
  EXPECT_EQ(w.at(a).pod.members().links() + w.at(b).pod.members().links(), 2u);
}

TEST(PodTest, ABlipThatIsShorterThanItsPatienceCostsNoMember) {
  PodNet w;
  const Node a = w.Add("a"), b = w.Add("b");
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 5s));
  w.net.SetStreamsDark(true);
  w.net.Run(4s);
  w.net.SetStreamsDark(false);
  w.net.Run(30s);
  EXPECT_EQ(w.at(a).left + w.at(b).left, 0u);
}

TEST(PodTest, InterfacesThatComeAndGoCostNoMemberAndNoByte) {
  PodNet w;
  w.AddOrigin({.rate = 400'000});
  const Node a = w.Add("a"), b = w.Add("b");
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 5s));
  const std::vector<Interface> lan = {{.address = w.net.address(a), .prefix_bits = 8, .loopback = false}};
  const auto id = w.Download(a, 0, PodNet::kFilm - 1);
  for (const std::vector<Interface>& now : {lan, std::vector<Interface>(), lan}) {  // An address renewed; the cable pulled, and plugged in.
    w.net.Run(1s);
    w.net.Feed(a, InterfacesChanged{now});
  }
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*id].over(); }, 60s));
  EXPECT_EQ(Sha(w.at(a).got[*id].bytes), Sha(w.File(0, PodNet::kFilm)));
  EXPECT_EQ(w.at(a).left + w.at(b).left, 0u);
  // And it still hears and is heard.
  const Node c = w.Add("c");
  EXPECT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 2 && w.at(c).pod.peers() == 2; }, 5s));
}

TEST(PodTest, WhoWasOnNoNetworkIsMetWhenItIsBack) {
  PodNet w;
  const Node a = w.Add("a"), b = w.Add("b");
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 5s));
  w.net.Feed(a, InterfacesChanged{{}});
  w.net.SetStreamsDark(true);
  w.net.Run(40s);
  EXPECT_EQ(w.at(a).pod.peers() + w.at(b).pod.peers(), 0u);
  EXPECT_EQ(w.at(b).pod.members().discovery().known(), 0u);  // Its beacons ended.
  w.net.SetStreamsDark(false);
  const std::vector<Interface> lan = {{.address = w.net.address(a), .prefix_bits = 8, .loopback = false}};
  w.net.Feed(a, InterfacesChanged{lan});
  EXPECT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 2s));
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
