// Hosts live, die and come back; their clocks and disks misbehave; acts and checkpoints come at their time.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/world/host.h"
#include "tests/sim/sim_world.h"

namespace orchard::sim {
namespace {

// Counts in its store; "tick" ops write, "sync" ops write and sync. Says what it found at its start.
struct Counter {
  std::vector<int> found;
  std::vector<uint64_t> luck;
  std::vector<Instant> clocks;
  std::vector<Duration> walls;
  Instant rang{};
  Puppet::Mind mind = [this](Turn& t, const Input& i, Puppet& p) {
    auto read = [&] {
      auto v = t.store.Get(AsBytes("n"));
      return v ? std::atoi(std::string(AsText(*v)).c_str()) : 0;
    };
    if (std::holds_alternative<Start>(i)) found.push_back(read()), luck.push_back(t.rng.Next());
    if (std::holds_alternative<Deadline>(i)) rang = t.now;
    clocks.push_back(t.now), walls.push_back(t.now.time_since_epoch() + t.unix_epoch);
    const auto* c = std::get_if<OpCall>(&i);
    if (c == nullptr) return;
    if (c->name == "tick" || c->name == "sync") {
      if (t.store.room_bytes() < 10) {
        t.out.Final(c->op, AsBytes("\"full\""));
        return;
      }
      t.store.Put(AsBytes("n"), AsBytes(std::to_string(read() + 1)));
      if (c->name == "sync") t.store.Sync();
      t.out.Final(c->op, AsBytes("\"done\""));
    }
    if (c->name == "alarm") p.deadline = t.now + 10s;
    if (c->name == "mute") p.says_goodbye = false;
  };
};

struct Solo : Observer {
  explicit Solo(uint64_t seed = 1) {
    WorldPlan plan = PlainPlan(seed);
    AddHost(plan, "a");
    world.emplace(plan, [this](const HostPlan&, uint32_t) { return std::make_unique<Puppet>(&counter.mind); }, this);
    world->StartHost(0);
  }
  void Do(std::string_view what) { world->Call(0, OpId{++ops}, what, "{}"); }
  void Run(Duration d) { world->RunUntil(world->now() + d); }
  void OnOpEvent(HostIndex, OpId, std::string_view json, bool) override { done.emplace_back(json), done_at.push_back(world->now()); }
  void OnHostUp(HostIndex) override { ++ups; }
  void OnHostDown(HostIndex, bool graceful) override { downs.push_back(graceful); }
  Counter counter;
  std::vector<std::string> done;
  std::vector<Instant> done_at;
  std::vector<bool> downs;
  int ups = 0;
  uint32_t ops = 0;
  std::optional<World> world;
};

TEST(LivesTest, TheStoreIsKeptLostOrTornAndLuckIsNeverRepeated) {
  Solo s;
  for (int i = 0; i < 10; ++i) s.Do("tick");
  s.world->Kill(0);
  EXPECT_FALSE(s.world->up(0));
  EXPECT_FALSE(s.world->Call(0, OpId{77}, "tick", "{}"));
  s.world->StartHost(0, World::Keep::kKept);
  s.world->Kill(0), s.world->StartHost(0, World::Keep::kLost);
  EXPECT_EQ(s.counter.found, (std::vector<int>{0, 10, 0}));
  EXPECT_NE(s.counter.luck[0], s.counter.luck[1]);
  EXPECT_NE(s.counter.luck[1], s.counter.luck[2]);
  EXPECT_EQ(s.world->incarnation(0), 3u);
  EXPECT_EQ(s.ups, 3);
  EXPECT_EQ(s.downs, (std::vector<bool>{false, false}));
}

TEST(LivesTest, PowerLossTakesARandomSuffixOfWhatWasNotSynced) {
  std::set<int> found;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Solo s(seed);
    s.Do("tick"), s.Do("sync");
    s.Run(10ms);
    for (int i = 0; i < 5; ++i) s.Do("tick");
    s.world->Kill(0), s.world->StartHost(0, World::Keep::kTorn);
    found.insert(s.counter.found.back());
  }
  EXPECT_EQ(found, (std::set<int>{2, 3, 4, 5, 6, 7}));  // Never less than what was synced.
}

TEST(LivesTest, ASyncTakesItsTimeAndDiesWithItsProcess) {
  Solo s;
  s.Do("sync");
  s.Run(1ms);
  EXPECT_TRUE(s.done.empty());
  s.Run(1500us);
  ASSERT_EQ(s.done.size(), 1u);
  EXPECT_EQ(s.done_at[0], Instant(2ms));
  s.Do("sync");
  s.world->Kill(0), s.world->StartHost(0);
  s.Run(1s);
  EXPECT_EQ(s.done.size(), 1u);
}

TEST(LivesTest, StopWaitsForGoodbyeButNotForever) {
  Solo s;
  s.world->Stop(0);
  EXPECT_EQ(s.downs, std::vector<bool>{true});
  s.world->StartHost(0);
  s.Do("mute");
  s.world->Stop(0);
  s.Run(4999ms);
  EXPECT_TRUE(s.world->up(0));
  s.Run(2ms);
  EXPECT_EQ(s.downs, (std::vector<bool>{true, false}));
  s.world->StartHost(0);
  s.Run(10s);  // The time-out of its last life does not reach this one.
  EXPECT_TRUE(s.world->up(0));
}

TEST(LivesTest, DeadlinesOfADeadLifeNeverRing) {
  Solo s;
  s.Do("alarm");
  s.Run(1s);
  s.world->Kill(0), s.world->StartHost(0);
  s.Run(60s);
  EXPECT_EQ(s.counter.rang, Instant{});
  s.Do("alarm");
  s.Run(11s);
  EXPECT_EQ(s.counter.rang, Instant(72s));  // Its clock began at 1 s, and went on through death.
}

TEST(LivesTest, ClocksBeginAtOneSecondInTheYear2026AndMayDrift) {
  Solo s;
  EXPECT_EQ(s.counter.clocks[0], Instant(1s));
  EXPECT_EQ(s.counter.walls[0], Host::kEpoch);
  ASSERT_TRUE(s.world->Clock(0, 1h, 100'000));  // A tenth fast.
  s.Do("alarm");                                 // In 10 s of its own.
  s.Run(9090ms);
  EXPECT_EQ(s.counter.rang, Instant{});
  s.Run(1ms);
  EXPECT_EQ(s.counter.rang, Instant(11s));
  EXPECT_EQ(s.counter.walls.back(), Host::kEpoch + 1h + 10s);
  s.Run(909ms);  // World: 10 s; host: 12 s.
  s.world->Clock(0, 0s, -500'000);
  s.Do("alarm");
  EXPECT_EQ(s.counter.clocks.back(), Instant(12s));
  s.Run(19s);
  EXPECT_EQ(s.counter.rang, Instant(11s));
  s.Run(1001ms);
  EXPECT_EQ(s.counter.rang, Instant(22s));
  EXPECT_FALSE(s.world->Clock(0, 0s, -1'000'000));
}

TEST(LivesTest, DisksFillSlowDownAndFail) {
  Solo s;
  s.Do("tick");
  s.world->ChangeDisk(0, World::Disk::kFull, {});
  s.Do("tick");
  EXPECT_EQ(s.done, (std::vector<std::string>{"\"done\"", "\"full\""}));
  s.world->ChangeDisk(0, World::Disk::kSlow, 3s);
  s.Do("sync");
  s.Run(2s);
  EXPECT_EQ(s.done.size(), 2u);
  s.Run(2s);
  EXPECT_EQ(s.done.size(), 3u);
  s.world->ChangeDisk(0, World::Disk::kFailing, {});
  s.Run(10s);
  EXPECT_TRUE(s.world->up(0));  // Nothing is written.
  s.Do("tick");
  EXPECT_FALSE(s.world->up(0));
  EXPECT_EQ(s.downs, std::vector<bool>{false});
}

TEST(LivesTest, ActsComeInOrderAheadOfTheirInstant) {
  Solo s;
  s.Do("alarm");  // Rings at world time 10 s.
  std::string log;
  s.world->At(Instant(10s), [&] { log += s.counter.rang == Instant{} ? "a" : "late"; });
  s.world->At(Instant(5s), [&] {
    log += "5";
    s.world->At(Instant(10s), [&] { log += "c"; });
    s.world->At(Instant(5s), [&] { log += "6"; });
  });
  s.world->At(Instant(10s), [&] { log += "b"; });
  s.Run(20s);
  EXPECT_EQ(log, "56abc");
  EXPECT_EQ(s.counter.rang, Instant(11s));

  s.world->At(Instant(30s), [&] { log += "s", s.world->RequestStop(); });
  s.world->At(Instant(30s), [&] { log += "t"; });
  s.world->RunUntil(Instant(40s));
  EXPECT_EQ(s.world->now(), Instant(30s));
  EXPECT_EQ(log, "56abcs");
  s.world->RunUntil(Instant(35s));
  EXPECT_EQ(s.world->now(), Instant(35s));
  EXPECT_EQ(log, "56abcst");
  s.world->RunUntil(Instant(50s));
  EXPECT_EQ(s.world->now(), Instant(50s));
  EXPECT_EQ(s.world->checkpoints().size(), 50u);
}

TEST(LivesTest, PacketsAreWrittenForWireshark) {
  auto dir = std::filesystem::temp_directory_path() / ("orchard-pcap-" + std::to_string(getpid()));
  std::filesystem::create_directory(dir);
  {
    WorldPlan plan = PlainPlan();
    plan.pcap = true, plan.pcap_dir = dir.string();
    AddHost(plan, "a"), AddHost(plan, "b");
    PuppetWorld w(plan);
    w.StartAll();
    w.Send("a", w.world->public_address(1).with_port(4000), "hello");
    w.Run(1s);
  }
  for (const char* id : {"a", "b"}) {
    std::ifstream in(dir / (std::string(id) + ".pcap"), std::ios::binary);
    std::stringstream s;
    s << in.rdbuf();
    const std::string f = s.str();
    ASSERT_EQ(f.size(), 24u + 16 + 33);
    EXPECT_EQ(ToHex(AsBytes(f.substr(0, 4))), "4d3cb2a1");
    EXPECT_EQ(f[20], 101);
    EXPECT_EQ(f[40], 0x45);
    EXPECT_EQ(f.substr(68), "hello");
  }
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace orchard::sim
