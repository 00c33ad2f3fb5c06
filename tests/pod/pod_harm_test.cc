// Those who mean harm, or just fail: liars, spoofed beacons, strangers at the door, members that freeze.
#include <gtest/gtest.h>

#include "node/pod/pod.h"
#include "tests/pod/net.h"

namespace orchard::pod {
namespace {

using namespace std::chrono_literals;
using Node = PodNet::Node;

std::string Sha(std::string_view bytes) { return ToHex(crypto::Sha256(AsBytes(bytes))); }

// Speaks the protocol well, and answers each ChunkRequest as the test says.
class Evil final : public Machine {
 public:
  using Answer = std::function<std::vector<Message>(const ChunkRequest&)>;
  Evil(PodConfig config, Answer answer) : config_(std::move(config)), answer_(std::move(answer)) {}
  void Handle(Turn& turn, const Input& input) override {
    MembersNews news;
    if (const auto* start = std::get_if<orchard::Start>(&input)) members_.emplace(config_, Identity::Draw(turn.rng), 1), members_->Start(turn, start->interfaces);
    else if (std::holds_alternative<Deadline>(input)) members_->OnTime(turn, ids_, news);
    else if (std::holds_alternative<OpCall>(input)) std::exchange(todo, nullptr)(turn, *this);
    else members_->OnInput(turn, ids_, input, news);
    for (const auto& n : news.list) {
      if (const auto* joined = std::get_if<MemberJoined>(&n)) them = joined->device;
      const auto* said = std::get_if<MemberSaid>(&n);
      if (said == nullptr) continue;
      MembersNews ignored;
      if (std::holds_alternative<Heartbeat>(said->message) && !mute) members_->Send(turn, said->device, Heartbeat{members_->own()}, ignored);
      if (std::holds_alternative<Nack>(said->message)) ++nacks;
      if (const auto* r = std::get_if<ChunkRequest>(&said->message)) {
        ++asked;
        for (const Message& m : answer_(*r)) members_->Send(turn, said->device, m, ignored);
      }
    }
  }
  Instant next_deadline() const override { return members_.has_value() ? members_->next_deadline() : kNever; }
  Members& members() { return *members_; }
  size_t asked = 0, nacks = 0;
  bool mute = false;
  DeviceId them{};
  std::function<void(Turn&, Evil&)> todo;

 private:
  PodConfig config_;
  Answer answer_;
  http::Ids ids_;
  std::optional<Members> members_;
};

// Datagrams of any kind, from one socket.
class Spammer final : public Machine {
 public:
  explicit Spammer(std::function<std::string(Rng&, uint32_t nth)> make, uint32_t count, Endpoint to) : make_(std::move(make)), count_(count), to_(to) {}
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<orchard::Start>(input)) turn.out.OpenSocket(SocketId{1}, Endpoint::V4(0, 777)), next_ = turn.now + 100ms;
    if (std::holds_alternative<Datagram>(input)) ++answers;
    if (const auto* o = std::get_if<StreamOpened>(&input)) ++dialled, turn.out.Close(o->stream);
    if (next_ > turn.now) return;
    turn.out.Send(SocketId{1}, to_, AsBytes(make_(turn.rng, sent_)));
    next_ = ++sent_ < count_ ? turn.now + 1ms : kNever;
  }
  Instant next_deadline() const override { return next_; }
  uint32_t answers = 0, dialled = 0;

 private:
  std::function<std::string(Rng&, uint32_t)> make_;
  uint32_t count_, sent_ = 0;
  Endpoint to_;
  Instant next_ = kNever;
};

std::string Truth(PodNet& w, const ChunkRequest& r) { return w.File(r.start, r.end - r.start); }

struct HarmNet : PodNet {
  Node AddEvil(Evil::Answer answer, PodConfig config = Config()) {
    return net.Add("evil", [=](uint32_t) { return std::make_unique<Evil>(config, answer); });
  }
  Evil& evil(Node n) { return net.machine<Evil>(n); }
};

TEST(PodHarmTest, ALiarIsCaughtAndOutForGood) {
  HarmNet w;
  w.AddOrigin({.rate = 1'000'000});
  PodConfig config = PodNet::Config();
  config.core.check_permille = 1000;
  const Node a = w.Add("a", config);
  std::string lie;
  const Node evil = w.AddEvil([&](const ChunkRequest& r) -> std::vector<Message> {
    lie.assign(r.end - r.start, 'x');
    return {ChunkData{r.transfer, r.start, r.end, crypto::Sha256(AsBytes(lie)), AsBytes(lie)}};
  });
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1; }, 5s));
  const auto id = w.Download(a, 0, (4 << 20) - 1);
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*id].over(); }, 60s));
  ASSERT_TRUE(w.at(a).got[*id].done);
  EXPECT_EQ(Sha(w.at(a).got[*id].bytes), Sha(w.File(0, 4 << 20)));
  EXPECT_GT(w.evil(evil).asked, 0u);
  EXPECT_EQ(w.count(a, "pod.isolated:liar"), 1u);
  EXPECT_EQ(w.count(a, "pod.left:liar"), 1u);
  w.net.Run(120s);
  EXPECT_EQ(w.at(a).pod.peers(), 0u);
  EXPECT_GT(w.count(a, "pod.refused:banned-or-full"), 0u);
}

TEST(PodHarmTest, WrongHashesLengthsAndOthersChunksCostNoByte) {
  for (int kind = 0; kind < 3; ++kind) {
    HarmNet w;
    w.AddOrigin({.rate = 1'000'000});
    const Node a = w.Add("a");
    std::string body;
    const Node evil = w.AddEvil([&, kind](const ChunkRequest& r) -> std::vector<Message> {
      body = Truth(w, r);
      if (kind == 1) body.pop_back();
      Key32 hash = crypto::Sha256(AsBytes(body));
      if (kind == 0) hash[0] ^= 1;
      const uint64_t shift = kind == 2 ? 1 : 0;
      return {ChunkData{r.transfer, r.start + shift, r.end + shift, hash, AsBytes(body)}};
    });
    ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1; }, 5s));
    const auto id = w.Download(a, 0, (4 << 20) - 1);
    ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*id].over(); }, 120s)) << kind;
    EXPECT_EQ(Sha(w.at(a).got[*id].bytes), Sha(w.File(0, 4 << 20))) << kind;
    if (kind < 2) { EXPECT_GT(w.evil(evil).nacks, 0u) << kind; }
  }
}

TEST(PodHarmTest, SpoofedBeaconsCostFewDialsAndFewAnswers) {
  PodNet w;
  const Node a = w.Add("a"), b = w.Add("b");
  auto make = [](Rng& rng, uint32_t nth) {
    Announcement fake{.version = kVersion, .device = {}, .public_key = {}, .listen_port = uint16_t(1000 + nth)};
    rng.Fill(absl::MakeSpan(fake.device)), rng.Fill(absl::MakeSpan(fake.public_key));
    return BeaconDatagram(Beacon{fake}, nullptr);
  };
  const Endpoint to = w.net.address(a).with_port(45678);
  const Node spammer = w.net.Add("spammer", [=](uint32_t) { return std::make_unique<Spammer>(make, 2000, to); });
  w.net.Run(30s);
  EXPECT_EQ(w.at(a).pod.peers(), 1u);
  EXPECT_EQ(w.at(b).pod.peers(), 1u);
  EXPECT_LE(w.at(a).pod.members().counters().dials, 40u);
  EXPECT_LE(w.at(a).pod.members().discovery().known(), 1 + Discovery::kKnownPerHost);
  EXPECT_LE(w.net.machine<Spammer>(spammer).answers, 12u);
  EXPECT_GT(w.at(a).pod.members().discovery().counters().crowded, 1900u);
}

TEST(PodHarmTest, AnswersAreNotAnswered) {
  PodNet w;
  const Node a = w.Add("a");
  auto make = [](Rng& rng, uint32_t) {
    Announcement one{.version = kVersion, .device = {}, .public_key = {}, .listen_port = 9};
    rng.Fill(absl::MakeSpan(one.device));
    return BeaconDatagram(DiscoveryResponse{one}, nullptr);
  };
  const Endpoint to = w.net.address(a).with_port(45678);
  const Node spammer = w.net.Add("spammer", [=](uint32_t) { return std::make_unique<Spammer>(make, 5, to); });
  w.net.Run(2s);
  EXPECT_EQ(w.net.machine<Spammer>(spammer).answers, 0u);
  EXPECT_EQ(w.at(a).pod.members().discovery().counters().beacons, 5u);
}

TEST(PodHarmTest, BeaconsFromElsewhereAreNotBelieved) {
  PodNet w;
  const Node a = w.Add("a");
  const Node far = w.Add("far", PodNet::Config(), Endpoint::V4(0xc0a80001, 0));  // 192.168.0.1/8: no neighbour of 10/8.
  w.net.Run(20s);
  EXPECT_EQ(w.at(a).pod.peers() + w.at(far).pod.peers(), 0u);
  EXPECT_GT(w.at(a).pod.members().discovery().counters().off_link, 0u);
  EXPECT_EQ(w.at(a).pod.members().counters().dials, 0u);
}

// Connects, and says nothing.
class Mute final : public Machine {
 public:
  explicit Mute(Endpoint to) : to_(to) {}
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<orchard::Start>(input)) {
      for (uint32_t i = 1; i <= 20; ++i) turn.out.Connect(StreamId{i}, to_);
    }
    if (std::holds_alternative<StreamClosed>(input)) ++closed;
  }
  Instant next_deadline() const override { return kNever; }
  uint32_t closed = 0;

 private:
  Endpoint to_;
};

TEST(PodHarmTest, StrangersAtTheDoorAreFewAndSoonGone) {
  PodNet w;
  const Node a = w.Add("a");
  w.net.Run(100ms);
  const Endpoint door = w.net.address(a).with_port(45679);
  const Node mute = w.net.Add("mute", [=](uint32_t) { return std::make_unique<Mute>(door); });
  w.net.Run(1s);
  EXPECT_EQ(w.at(a).pod.members().links(), Members::kUnopenedPerHost);
  w.net.Run(11s);
  EXPECT_EQ(w.at(a).pod.members().links(), 0u);
  EXPECT_EQ(w.net.machine<Mute>(mute).closed, 20u);
  EXPECT_EQ(w.at(a).pod.members().counters().hello_timeouts, Members::kUnopenedPerHost);
  EXPECT_EQ(w.count(a, "pod.refused:too-many"), 20 - Members::kUnopenedPerHost);
}

// Requests that no honest member makes.
TEST(PodHarmTest, WrongRequestsAreRefusedByName) {
  HarmNet w;
  w.AddOrigin();
  const Node a = w.Add("a");
  const Node evil = w.AddEvil([](const ChunkRequest&) { return std::vector<Message>(); });
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1; }, 5s));
  w.net.Run(1s);
  w.evil(evil).todo = [](Turn& turn, Evil& e) {
    MembersNews news;
    auto ask = [&](uint64_t start, uint64_t end, std::optional<std::string_view> url) { e.members().Send(turn, e.them, ChunkRequest{{}, start, end, url}, news); };
    ask(0, 10, std::nullopt);
    ask(0, 10, "https://origin/film");
    ask(0, 10, "file:///etc/passwd");
    ask(5, 5, "http://origin/film");
    ask(0, Core::kChunkMax + 1, "http://origin/film");
    ask(0, 10, "http://origin/none");
    ask(PodNet::kFilm, PodNet::kFilm + 10, "http://origin/film");
    for (int i = 0; i < 100; ++i) ask(0, 1 << 20, "http://origin/film");
  };
  w.net.Call(evil, OpId{900}, "do");
  w.net.Run(20s);
  const Serve& serve = w.at(a).pod.serve();
  EXPECT_EQ(serve.denied(Denial::kNoUrl), 1u);
  EXPECT_EQ(serve.denied(Denial::kBadUrl), 2u);
  EXPECT_EQ(serve.denied(Denial::kEmpty), 1u);
  EXPECT_EQ(serve.denied(Denial::kTooLong), 1u);
  EXPECT_EQ(serve.denied(Denial::kFetchFailed), 2u);
  EXPECT_GT(serve.denied(Denial::kTooMany), 10u);
  EXPECT_EQ(w.evil(evil).nacks, serve.counters().denied);
  EXPECT_EQ(serve.counters().requests, serve.counters().denied + serve.counters().served);
  EXPECT_EQ(w.at(a).pod.peers(), 1u);
}

TEST(PodHarmTest, AMemberGetsNoMoreThanItsRate) {
  HarmNet w;
  w.AddOrigin();
  PodConfig slow = PodNet::Config();
  slow.serve_rate = 200'000;
  const Node a = w.Add("a"), b = w.Add("b", slow);
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1; }, 5s));
  const Node evil = w.AddEvil([](const ChunkRequest&) { return std::vector<Message>(); });
  w.net.Run(3s);
  w.evil(evil).todo = [&](Turn& turn, Evil& e) {
    MembersNews news;
    for (int i = 0; i < 40; ++i) e.members().Send(turn, w.at(b).pod.identity().device, ChunkRequest{{}, 0, 200'000, "http://origin/film"}, news);
  };
  w.net.Call(evil, OpId{901}, "do");
  w.net.Run(10s);
  EXPECT_GE(w.at(b).pod.serve().counters().served, 9u);
  EXPECT_LE(w.at(b).pod.serve().counters().served, 13u);
}

TEST(PodHarmTest, WhatAMemberAskedForIsCancelledWhenItLeaves) {
  HarmNet w;
  w.AddOrigin({.rate = 1000});
  const Node a = w.Add("a");
  const Node evil = w.AddEvil([](const ChunkRequest&) { return std::vector<Message>(); });
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1; }, 5s));
  w.net.Run(1s);
  w.evil(evil).todo = [](Turn& turn, Evil& e) {
    MembersNews news;
    for (int i = 0; i < 10; ++i) e.members().Send(turn, e.them, ChunkRequest{{}, 0, 1 << 20, "http://origin/film"}, news);
  };
  w.net.Call(evil, OpId{902}, "do");
  w.net.Run(1s);
  EXPECT_EQ(w.at(a).pod.serve().under_way(), Pace::kFirst);
  w.net.Kill(evil);
  w.net.Run(1s);
  EXPECT_EQ(w.at(a).pod.serve().under_way(), 0u);
  EXPECT_EQ(w.at(a).pod.serve().counters().cancelled, Pace::kFirst);
}

// Found with SIGSTOP: the silence that ends a member's fetches makes room for others in the very turn of the clock that drops it.
TEST(PodHarmTest, WhoeverServesASilentReaderOutlivesIt) {
  HarmNet w;
  w.AddOrigin({.rate = 20'000});
  const Node a = w.Add("a");
  const Node evil = w.AddEvil([](const ChunkRequest&) { return std::vector<Message>(); });
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1; }, 5s));
  w.net.Run(1s);
  w.evil(evil).todo = [&](Turn& turn, Evil& e) {
    MembersNews news;
    for (int i = 0; i < 10; ++i) e.members().Send(turn, e.them, ChunkRequest{{}, 0, 1 << 20, "http://origin/film"}, news);
    e.mute = true;
  };
  w.net.Call(evil, OpId{99}, "do");
  w.net.Run(2s);
  ASSERT_GT(w.at(a).pod.serve().under_way(), 0u);
  w.net.Run(8s);
  EXPECT_EQ(w.count(a, "pod.left:silent"), 1u);
  EXPECT_GT(w.at(a).pod.serve().counters().cancelled, 0u);
  EXPECT_EQ(w.at(a).pod.serve().under_way(), 0u);
}

// Nothing in or out for a while, as when a laptop's lid is shut; beacons of before still count.
class Freezing final : public Machine {
 public:
  explicit Freezing(PodConfig config) : inner(config) {}
  void Handle(Turn& turn, const Input& input) override {
    if (!frozen) inner.Handle(turn, input);
  }
  Instant next_deadline() const override { return frozen ? kNever : inner.next_deadline(); }
  PodMachine inner;
  bool frozen = false;
};

TEST(PodHarmTest, ABlipOfSevenSecondsEndsInAReDial) {
  PodNet w;
  const Node a = w.Add("a");
  const Node b = w.net.Add("b", [](uint32_t) { return std::make_unique<Freezing>(PodNet::Config()); });
  Freezing& freezing = w.net.machine<Freezing>(b);
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && freezing.inner.pod.peers() == 1; }, 5s));
  w.net.Run(12s);
  freezing.frozen = true;
  w.net.Run(7s);
  EXPECT_EQ(w.at(a).pod.peers(), 0u);
  EXPECT_EQ(w.count(a, "pod.left:silent"), 1u);
  freezing.frozen = false;
  w.net.Feed(b, Deadline{});
  EXPECT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && freezing.inner.pod.peers() == 1; }, 8s));
  w.net.Run(30s);
  EXPECT_EQ(w.at(a).pod.peers(), 1u);
  EXPECT_EQ(w.at(a).pod.members().links(), 1u);
}

// The original: chunks are numbered from zero whatever the range says, and a dead member's chunks never come.
TEST(PodHarmTest, FaithfulBugsKeepsWhatTheOriginalPromisesAndBreaks) {
  PodNet w;
  w.AddOrigin({.rate = 400'000});
  const Node a = w.Add("a", PodNet::Config(Profile::kFaithfulBugs)), b = w.Add("b", PodNet::Config(Profile::kFaithfulBugs));
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).pod.peers() == 1 && w.at(b).pod.peers() == 1; }, 5s));
  const auto whole = w.Download(a, 0, (2 << 20) - 1);
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*whole].over(); }, 40s));
  EXPECT_EQ(Sha(w.at(a).got[*whole].bytes), Sha(w.File(0, 2 << 20)));
  const auto part = w.Download(a, 1000, 1999);
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*part].over(); }, 40s));
  EXPECT_EQ(w.at(a).got[*part].bytes, w.File(0, 1000));
  const auto orphan = w.Download(a, 0, (4 << 20) - 1);
  w.net.Run(1s);
  w.net.Kill(b);
  ASSERT_TRUE(w.RunUntil([&] { return w.at(a).got[*orphan].over(); }, 40s));
  EXPECT_EQ(w.at(a).got[*orphan].failed, Ending::kUnavailable);
}

}  // namespace
}  // namespace orchard::pod
