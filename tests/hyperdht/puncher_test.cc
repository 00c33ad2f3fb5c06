// Two punchers behind NAT boxes of every kind, and one alone.

#include "node/hyperdht/puncher.h"

#include <gtest/gtest.h>

#include "tests/hyperdht/vectors.h"
#include "tests/support/punch_net.h"

namespace orchard::hyperdht {
namespace {

using namespace std::chrono_literals;

constexpr NatKind kFullCone{Mapping::kIndependent, Filtering::kAny}, kRestricted{Mapping::kIndependent, Filtering::kHost},
    kPortRestricted{Mapping::kIndependent, Filtering::kEndpoint}, kSymmetric{Mapping::kPerRemote, Filtering::kEndpoint},
    kSymmetricLoose{Mapping::kPerRemote, Filtering::kAny}, kOpen{Mapping::kOpen, Filtering::kAny};

size_t Count(const PunchNet& net, bool client, std::optional<uint8_t> ttl = std::nullopt) {
  return size_t(std::count_if(net.probes.begin(), net.probes.end(), [&](const PunchNet::Probe& p) {
    return p.from_client == client && (!ttl || p.ttl == *ttl);
  }));
}

TEST(PunchPairTest, AllPairsMeetUnlessBothMapAtRandom) {
  const NatKind kinds[] = {kFullCone, kRestricted, kPortRestricted, kSymmetric, kSymmetricLoose};
  for (const NatKind& client : kinds) {
    for (const NatKind& server : kinds) {
      for (bool fast_open : {true, false}) {
        PunchNet net({.client = client, .server = server, .fast_open = fast_open});
        net.Connect();
        const bool both = client.mapping == Mapping::kPerRemote && server.mapping == Mapping::kPerRemote;
        EXPECT_EQ(net.RunToEnd(), both ? "HOLEPUNCH_ABORTED" : "connected")
            << int(client.mapping) << int(client.filtering) << " " << int(server.mapping) << int(server.filtering) << " " << fast_open;
      }
    }
  }
}

TEST(PunchPairTest, ConsistentNatsMeetInTheFirstRound) {
  PunchNet net({.client = kPortRestricted, .server = kPortRestricted});
  net.Connect();
  const Instant began = net.now;
  EXPECT_EQ(net.RunToEnd(), "connected");
  // To the server by way of its relay, one hop back by the fast ping.
  EXPECT_LT(net.now - began, 100ms);
  EXPECT_EQ(net.probes.size(), 2u);
}

TEST(PunchPairTest, WithoutTheFastPingTheServerWaitsASecond) {
  PunchNet net({.client = kPortRestricted, .server = kPortRestricted, .fast_open = false});
  net.Connect();
  const Instant began = net.now;
  EXPECT_EQ(net.RunToEnd(), "connected");
  EXPECT_GT(net.now - began, 1s);
  EXPECT_LT(net.now - began, 1200ms);
}

// The way through works: it is the server's socket, seen through its NAT.
TEST(PunchPairTest, ThePathThatIsToldLeadsToTheServer) {
  for (const NatKind& client : {kPortRestricted, kSymmetric}) {
    for (const NatKind& server : {kPortRestricted, kSymmetric}) {
      if (client.mapping == server.mapping && client.mapping == Mapping::kPerRemote) continue;
      PunchNet net({.client = client, .server = server});
      net.Connect();
      ASSERT_EQ(net.RunToEnd(), "connected");
      ASSERT_TRUE(net.connected.has_value());
      EXPECT_EQ(net.connected->from.v4(), net.server.host);
      EXPECT_EQ(net.connected->socket, net.client.puncher->socket());
      EXPECT_EQ(net.client.puncher->sockets(), 1u);
      EXPECT_TRUE(net.client.puncher->connected());
      const size_t before = net.probes.size();
      // What the client sends now gets there, and the server answers it.
      net.In(net.client, [&](Turn& t, dht::News&, Puncher::News&) { net.client.puncher->Ping(t, *net.client.rpc, net.connected->from); });
      net.Run(50ms);
      ASSERT_GT(net.probes.size(), before);
      EXPECT_TRUE(net.probes[before].delivered);
    }
  }
}

TEST(PunchPairTest, TheRandomSideOpensTwoHundredFiftySixSocketsAndClosesThemAll) {
  for (bool client_random : {true, false}) {
    PunchNet net({.client = client_random ? kSymmetric : kPortRestricted, .server = client_random ? kPortRestricted : kSymmetric});
    PunchNet::Side& random = client_random ? net.client : net.server;
    net.Connect();
    ASSERT_EQ(net.RunToEnd(), "connected");
    EXPECT_EQ(random.sockets_max, Puncher::kBirthdaySockets);
    net.In(net.server, [&](Turn& t, dht::News&, Puncher::News&) { net.server.puncher->Settle(t, *net.server.rpc, net.server.puncher->socket()); });
    EXPECT_EQ(net.client.rpc->sockets().extras(), 1u);
    EXPECT_EQ(net.server.rpc->sockets().extras(), 1u);
    const size_t sent = net.probes.size();
    net.Run(60s);
    EXPECT_EQ(net.probes.size(), sent);
    // What was kept is the caller's.
    net.In(net.server, [&](Turn& t, dht::News&, Puncher::News&) { net.server.puncher->Destroy(t, *net.server.rpc); });
    EXPECT_EQ(net.server.rpc->sockets().extras(), 1u);
    EXPECT_EQ(net.client.limiter.running, 0u);
    EXPECT_EQ(net.server.limiter.running, 0u);
    EXPECT_TRUE(net.client.limiter.busy(net.client.limiter.last + 19s));
    EXPECT_FALSE(net.client.limiter.busy(net.client.limiter.last + 20s));
  }
}

// 256 of 64,512 ports: a try hits with p = 1/252. Over 150 seeds the mean has a standard deviation of 20.
TEST(PunchPairTest, ABirthdayTakesAsManyTriesAsItsOddsSay) {
  uint64_t tries = 0, met = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    PunchNet net({.client = kSymmetric, .server = kPortRestricted, .latency = 1ms, .seed = seed});
    net.Connect();
    if (net.RunToEnd() != "connected") continue;
    ++met;
    tries += Count(net, /*client=*/false) - 1;  // One is the fast ping.
  }
  EXPECT_GE(met, 148u);  // 99.9 % each.
  EXPECT_GT(tries / met, 190u);
  EXPECT_LT(tries / met, 315u);
}

TEST(PunchPairTest, TheFirstCycleOfABirthdayStaysShortOfTheOtherSide) {
  PunchNet net({.client = kSymmetric, .server = {Mapping::kIndependent, Filtering::kEndpoint}, .latency = 1ms, .seed = 3});
  net.Connect();
  net.RunToEnd();
  size_t low = 0;
  for (const PunchNet::Probe& p : net.probes) {
    if (!p.from_client) continue;
    if (p.ttl == Puncher::kOpenTtl) {
      ++low;
    } else {
      EXPECT_GE(low, 1 + 255u + 256u);
    }
  }
  EXPECT_GE(low, 256u);
}

TEST(PunchPairTest, WithoutBirthdaysARandomSideIsNotPunchedWith) {
  for (bool client_random : {true, false}) {
    PunchNet net({.client = client_random ? kSymmetric : kPortRestricted, .server = client_random ? kPortRestricted : kSymmetric, .birthday = false});
    net.Connect();
    EXPECT_EQ(net.RunToEnd(), "HOLEPUNCH_ABORTED");
    EXPECT_EQ(net.client.sockets_max, 1u);
    EXPECT_EQ(net.server.sockets_max, 1u);
  }
}

TEST(PunchPairTest, ASideThatIsRandomOnBothEndsTriesThreeMoreSockets) {
  PunchNet net({.client = kSymmetric, .server = kSymmetric});
  net.Connect();
  EXPECT_EQ(net.RunToEnd(), "HOLEPUNCH_ABORTED");
  EXPECT_EQ(net.client.opened - 2, 1 + Puncher::kReopensMax);  // The DHT has two.
  EXPECT_EQ(net.client.rpc->sockets().extras(), 0u);
}

TEST(PunchPairTest, SilentNodesAreReplacedOnce) {
  // The five latest are skipped; of the four asked first, all are silent.
  PunchNet net({.client = kPortRestricted, .server = kPortRestricted, .nodes = 20, .silent_nodes = 9});
  net.Connect();
  const Instant began = net.now;
  EXPECT_EQ(net.RunToEnd(), "connected");
  net.RunUntil(began + 3s);
  EXPECT_EQ(net.server.puncher->nat().firewall(), Firewall::kConsistent);
}

TEST(PunchPairTest, WithoutNodesTheNatStaysUnknownAndTheClientGivesUp) {
  PunchNet net({.client = kPortRestricted, .server = kPortRestricted, .nodes = 0});
  net.Connect();
  EXPECT_EQ(net.RunToEnd(), "HOLEPUNCH_ABORTED");
}

// ---- One alone ----

// A puncher with four nodes that answer, and another side that does not exist.
struct Alone {
  explicit Alone(bool initiator, NatKind kind = kPortRestricted, bool birthday = true)
      : net({.client = kind, .server = kind, .birthday = birthday}), s(initiator ? net.client : net.server) {
    Do([&](Turn& t, Puncher::News&) { s.puncher->Start(t, *s.rpc); });
    net.Run(500ms);
  }
  template <class F>
  Puncher::News Do(F f) {
    Puncher::News kept;
    net.In(s, [&](Turn& t, dht::News&, Puncher::News& news) {
      f(t, news);
      kept = std::exchange(news, {});
    });
    return kept;
  }
  void Remote(Firewall firewall, std::vector<Endpoint> addresses, std::optional<Endpoint> verified) {
    s.puncher->UpdateRemote(true, firewall, &addresses, verified);
  }
  bool Punch() {
    bool ok = false;
    Do([&](Turn& t, Puncher::News&) { ok = s.puncher->Punch(t, *s.rpc); });
    return ok;
  }
  PunchNet net;
  PunchNet::Side& s;
};

const Endpoint kThere = Endpoint::V4(0x37010101, 1111), kElsewhere = Endpoint::V4(0x37020202, 2222);

TEST(PuncherTest, ProbesKnownAddressesTenTimesASecondApartAndUnverifiedOnesTwice) {
  Alone a(/*initiator=*/true);
  a.Remote(Firewall::kConsistent, {kThere, kElsewhere}, kThere);
  const Instant began = a.net.now;
  ASSERT_TRUE(a.Punch());
  EXPECT_EQ(a.net.RunToEnd(), "HOLEPUNCH_ABORTED");
  EXPECT_EQ(a.net.now - began, 10s);
  std::vector<int64_t> verified, unverified;
  for (const auto& p : a.net.probes) {
    EXPECT_EQ(p.ttl, Puncher::kFullTtl);
    (p.to == Ipv4Address::Of(kThere) ? verified : unverified).push_back(ToMillis(p.at - began));
  }
  EXPECT_EQ(verified, (std::vector<int64_t>{0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000}));
  EXPECT_EQ(unverified, (std::vector<int64_t>{3000, 7000}));
  EXPECT_EQ(a.s.rpc->sockets().extras(), 0u);
  EXPECT_TRUE(a.s.puncher->destroyed());
}

TEST(PuncherTest, TheServerBeginsASecondLater) {
  Alone a(/*initiator=*/false);
  a.Remote(Firewall::kConsistent, {kThere}, kThere);
  const Instant began = a.net.now;
  ASSERT_TRUE(a.Punch());
  EXPECT_EQ(a.net.RunToEnd(), "HOLEPUNCH_ABORTED");
  ASSERT_EQ(a.net.probes.size(), 10u);
  EXPECT_EQ(a.net.probes[0].at - began, 1s);
  EXPECT_EQ(a.net.now - began, 11s);
}

TEST(PuncherTest, TriesSeventeenHundredFiftyPortsAtRandomEveryTwentyMilliseconds) {
  Alone a(/*initiator=*/true);
  a.Remote(Firewall::kRandom, {kThere.with_port(0)}, kThere);
  const Instant began = a.net.now;
  ASSERT_TRUE(a.Punch());
  EXPECT_EQ(a.s.limiter.running, 1u);
  EXPECT_EQ(a.net.RunToEnd(), "HOLEPUNCH_ABORTED");
  EXPECT_EQ(a.s.limiter.running, 0u);
  EXPECT_EQ(a.s.limiter.last, a.net.now);
  ASSERT_EQ(a.net.probes.size(), 1750u);
  EXPECT_EQ(a.s.puncher->probes(), 1750u);
  EXPECT_EQ(a.net.now - began, 1750 * 20ms);
  // Sixteen bins of 109 on average; the standard deviation of one is ten.
  std::vector<int> bins(16);
  for (size_t i = 0; i < a.net.probes.size(); ++i) {
    const auto& p = a.net.probes[i];
    EXPECT_EQ(p.at - began, int64_t(i) * 20ms);
    EXPECT_EQ(p.to.host, kThere.v4());
    ASSERT_GE(p.to.port, 1000);
    ++bins[size_t(p.to.port - 1000) * 16 / 64'536];
  }
  for (int n : bins) EXPECT_NEAR(n, 109, 45);
}

TEST(PuncherTest, ABirthdayKeepsEachSocketAliveInTurn) {
  Alone a(/*initiator=*/false, kSymmetric);
  a.Remote(Firewall::kConsistent, {kThere}, kThere);
  const Instant began = a.net.now;
  ASSERT_TRUE(a.Punch());
  EXPECT_EQ(a.net.RunToEnd(), "HOLEPUNCH_ABORTED");
  ASSERT_EQ(a.net.probes.size(), 255u + 1750u);
  std::set<SocketId> opened;
  for (size_t i = 0; i < 255; ++i) {
    EXPECT_EQ(a.net.probes[i].ttl, Puncher::kOpenTtl);
    EXPECT_LT(a.net.probes[i].at - began, 10ms);
    opened.insert(a.net.probes[i].socket);
  }
  EXPECT_EQ(opened.size(), 255u);
  const Instant first = a.net.probes[255].at;
  EXPECT_GE(first - began, 100ms);
  for (size_t i = 0; i < 1750; ++i) {
    const auto& p = a.net.probes[255 + i];
    EXPECT_EQ(p.at - first, int64_t(i) * 20ms);
    EXPECT_EQ(p.ttl, i < 256 ? Puncher::kOpenTtl : Puncher::kFullTtl);
    if (i >= 256) { EXPECT_EQ(p.socket, a.net.probes[255 + i - 256].socket); }
  }
}

TEST(PuncherTest, PunchesOnceAndOnlyWhereItCanWork) {
  Alone nothing(true);
  EXPECT_FALSE(nothing.Punch());  // No address.
  nothing.Remote(Firewall::kConsistent, {kThere}, kThere);
  EXPECT_FALSE(nothing.Punch());  // The answer stays.

  Alone unverified(true);
  unverified.Remote(Firewall::kRandom, {kThere.with_port(0)}, std::nullopt);
  EXPECT_FALSE(unverified.Punch());
  EXPECT_EQ(unverified.s.limiter.running, 0u);

  Alone both(true, kSymmetric);
  both.Remote(Firewall::kRandom, {kThere.with_port(0)}, kThere);
  EXPECT_FALSE(both.Punch());

  Alone unknown(true);
  unknown.Remote(Firewall::kUnknown, {kThere}, kThere);
  EXPECT_FALSE(unknown.Punch());

  Alone open(true, kOpen);
  open.Remote(Firewall::kConsistent, {kThere}, kThere);
  EXPECT_TRUE(open.Punch());
  EXPECT_TRUE(open.Punch());
  EXPECT_EQ(open.net.probes.size(), 1u);
}

TEST(PuncherTest, VerifiedAddressesAreTheRecordedOnes) {
  const nlohmann::json v = LoadVectors("v04-holepunch.json");
  ASSERT_EQ(v["verified"].size(), 5u);
  PunchLimiter limiter;
  Puncher p({}, &limiter);
  for (const nlohmann::json& c : v["verified"]) {
    const nlohmann::json& u = c["update"];
    std::vector<Endpoint> list;
    for (const nlohmann::json& a : u["addresses"]) list.push_back(*Address(a));
    std::optional<Endpoint> verified;
    if (!u["verified"].is_null()) verified = Endpoint::Parse(u["verified"].get<std::string>() + ":1");
    p.UpdateRemote(u["punching"], Firewall(u["firewall"].get<int>()), u["addresses"].is_null() ? nullptr : &list, verified);
    EXPECT_EQ(p.remote_punching(), u["punching"]);
    ASSERT_EQ(p.remote_addresses().size(), c["remoteAddresses"].size());
    for (size_t i = 0; i < p.remote_addresses().size(); ++i) {
      EXPECT_EQ(p.remote_addresses()[i].address, *Address(c["remoteAddresses"][i]));
      EXPECT_EQ(p.remote_addresses()[i].verified, c["remoteAddresses"][i]["verified"]);
    }
  }
}

TEST(PuncherTest, AHostThatProvedItselfStaysVerifiedWhileItIsNamed) {
  PunchLimiter limiter;
  Puncher p({}, &limiter);
  std::vector<Endpoint> both = {kThere, kElsewhere}, moved = {kThere.with_port(9), kElsewhere};
  auto verified = [&] {
    std::vector<bool> out;
    for (const Puncher::Remote& r : p.remote_addresses()) out.push_back(r.verified);
    return out;
  };
  p.UpdateRemote(false, Firewall::kConsistent, &both, std::nullopt);
  EXPECT_EQ(verified(), (std::vector<bool>{false, false}));
  p.UpdateRemote(false, Firewall::kConsistent, &both, kThere.with_port(5));
  EXPECT_EQ(verified(), (std::vector<bool>{true, false}));
  p.UpdateRemote(true, Firewall::kConsistent, &moved, std::nullopt);
  EXPECT_EQ(verified(), (std::vector<bool>{true, false}));
  p.UpdateRemote(true, Firewall::kConsistent, nullptr, std::nullopt);
  EXPECT_TRUE(verified().empty());
  p.UpdateRemote(true, Firewall::kConsistent, &moved, std::nullopt);
  EXPECT_EQ(verified(), (std::vector<bool>{false, false}));
}

TEST(PuncherTest, TakesNoMoreThanSixteenAddressesFromTheOtherSide) {
  PunchLimiter limiter;
  Puncher p({}, &limiter);
  std::vector<Endpoint> many(1000, kThere);
  p.UpdateRemote(false, Firewall::kConsistent, &many, std::nullopt);
  EXPECT_EQ(p.remote_addresses().size(), Puncher::kRemoteAddressesMax);
}

TEST(PuncherTest, TheServerAnswersEachProbeUntilAllThatAnHonestClientSends) {
  Alone a(/*initiator=*/false);
  Puncher::News news = a.Do([&](Turn& t, Puncher::News& n) {
    for (int i = 0; i < 5000; ++i) a.s.puncher->OnProbe(t, *a.s.rpc, a.s.puncher->socket(), kThere, n);
    a.s.puncher->OnProbe(t, *a.s.rpc, SocketId{12345}, kThere, n);
  });
  EXPECT_TRUE(news.empty());
  EXPECT_EQ(a.net.probes.size(), Puncher::kAnswersMax);
  EXPECT_EQ(a.net.probes[0].to, Ipv4Address::Of(kThere));
}

TEST(PuncherTest, TheClientTakesTheFirstProbeOnly) {
  Alone a(/*initiator=*/true);
  Puncher::News news = a.Do([&](Turn& t, Puncher::News& n) {
    a.s.puncher->OnProbe(t, *a.s.rpc, a.s.puncher->socket(), kThere, n);
    a.s.puncher->OnProbe(t, *a.s.rpc, a.s.puncher->socket(), kElsewhere, n);
  });
  ASSERT_EQ(news.size(), 1u);
  EXPECT_EQ(news[0].event, Puncher::Event::kConnected);
  EXPECT_EQ(news[0].from, kThere);
  EXPECT_TRUE(a.net.probes.empty());
  EXPECT_EQ(a.s.puncher->next_deadline(), kNever);
}

TEST(PuncherTest, EachAnalyzeIsAnsweredOnceAndAtOnceWhenTheNatIsKnown) {
  PunchNet net({.client = kPortRestricted, .server = kPortRestricted});
  size_t answers = 0;
  Puncher& p = *net.client.puncher;
  net.In(net.client, [&](Turn& t, dht::News&, Puncher::News& n) {
    p.Start(t, *net.client.rpc);
    for (size_t i = 0; i < 100; ++i) p.Analyze(t, *net.client.rpc, false, n);
    answers = n.size();
    n.clear();
  });
  EXPECT_EQ(answers, 100 - Puncher::kWaitingMax);  // Those beyond the bound do not wait.
  EXPECT_FALSE(p.stable());
  net.client.samples.clear();
  net.Run(500ms);
  Puncher::News now;
  net.In(net.client, [&](Turn& t, dht::News&, Puncher::News& n) { p.Analyze(t, *net.client.rpc, true, n), now = std::exchange(n, {}); });
  ASSERT_EQ(now.size(), 1u);
  EXPECT_TRUE(now[0].stable && p.stable());
}

TEST(PuncherTest, ASampleThatTheCallerAddsEndsTheWait) {
  PunchNet net({.client = kPortRestricted, .server = kPortRestricted, .nodes = 1, .silent_nodes = 1});
  Puncher& p = *net.client.puncher;
  Puncher::News early, late;
  net.In(net.client, [&](Turn& t, dht::News&, Puncher::News& n) {
    p.Start(t, *net.client.rpc), p.Analyze(t, *net.client.rpc, false, n);
    early = n;
    for (uint32_t i = 0; i < 3; ++i) p.AddSample(t, *net.client.rpc, {7, 7}, {100 + i, 1}, n);
    late = std::exchange(n, {});
  });
  EXPECT_TRUE(early.empty());
  ASSERT_EQ(late.size(), 1u);
  EXPECT_TRUE(late[0].stable);
  EXPECT_EQ(net.client.samples, (std::vector<std::string>{"1 unknown", "2 unknown", "3 consistent"}));
}

TEST(PuncherTest, AbortsIfItsSocketCannotBeOpened) {
  PunchNet net({.client = kPortRestricted, .server = kPortRestricted});
  net.client.refuse_sockets = true;
  net.In(net.client, [&](Turn& t, dht::News&, Puncher::News&) { net.client.puncher->Start(t, *net.client.rpc); });
  EXPECT_EQ(net.RunToEnd(1s), "HOLEPUNCH_ABORTED");
  EXPECT_EQ(net.client.rpc->sockets().extras(), 0u);
}

TEST(PuncherTest, ABirthdayMakesDoWithTheSocketsThatItGets) {
  Alone a(/*initiator=*/true, kSymmetric);
  a.Remote(Firewall::kConsistent, {kThere}, kThere);
  ASSERT_TRUE(a.Punch());
  a.s.refuse_sockets = true;
  a.net.Run(5ms);
  const size_t had = a.s.puncher->sockets();
  EXPECT_GE(had, 33u);
  EXPECT_LT(had, 100u);
  EXPECT_EQ(a.net.RunToEnd(), "HOLEPUNCH_ABORTED");  // Nobody is there; but it went on to the end.
  EXPECT_GE(a.net.probes.size(), 1750u);
}

TEST(PuncherTest, AtTheLimitOfExtraSocketsItAbortsAtItsNextDeadline) {
  PunchNet net({.client = kPortRestricted, .server = kPortRestricted});
  net.In(net.client, [&](Turn& t, dht::News&, Puncher::News&) {
    while (net.client.rpc->sockets().OpenExtra(t) != SocketId{0}) continue;
    net.client.puncher->Start(t, *net.client.rpc);
  });
  EXPECT_EQ(net.client.puncher->next_deadline(), net.now);
  EXPECT_EQ(net.RunToEnd(1s), "HOLEPUNCH_ABORTED");
}

TEST(PunchLimiterTest, AllowsOneAtATimeAndOneInTwentySeconds) {
  PunchLimiter l;
  EXPECT_FALSE(l.busy(Instant{}));  // Also at time zero.
  l.running = 1;
  EXPECT_TRUE(l.busy(Instant{100s}));
  l.running = 0, l.last = Instant{100s};
  EXPECT_TRUE(l.busy(Instant{119s}));
  EXPECT_FALSE(l.busy(Instant{120s}));
}

}  // namespace
}  // namespace orchard::hyperdht
