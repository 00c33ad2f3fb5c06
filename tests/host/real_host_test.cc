#include "node/host/real_host.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/group_suite.h"
#include "tests/support/host_suite.h"
#include "tests/support/stream_suite.h"
#include "tests/support/temp_dir.h"

namespace orchard {

using namespace std::chrono_literals;

// Real sockets on loopback, a host each, in this thread.
class RealDriver {
 public:
  uint32_t Add(std::string name, Machines machines) {
    nodes_.push_back(std::make_unique<Node>());
    nodes_.back()->name = std::move(name), nodes_.back()->machines = std::move(machines);
    return uint32_t(nodes_.size() - 1);
  }
  void Begin() {
    for (auto& n : nodes_) Start(*n);
  }
  bool RunUntil(const std::function<bool()>& done, Duration bound) {
    const Instant end = host::BootNow() + bound;
    while (!done()) {
      if (host::BootNow() > end) return false;
      for (auto& n : nodes_) {
        if (!n->host) continue;
        // Nested epoll descriptors would need deadlines too; a short wait in turn is enough here.
        EXPECT_TRUE(n->host->RunOnce(100us).ok());
        if (n->host->stopped()) n->host.reset();
      }
    }
    return true;
  }
  Endpoint bind_address(uint32_t) { return Endpoint::V4(0x7f000001, 0); }
  void Call(uint32_t n, OpId op, std::string_view name, std::string_view params, uint32_t credit) {
    nodes_[n]->host->CallAs(op, name, AsBytes(params));
    if (credit > 0) nodes_[n]->host->Credit(op, credit);
  }
  void Grant(uint32_t n, OpId op, uint32_t credit) { nodes_[n]->host->Credit(op, credit); }
  void Cancel(uint32_t n, OpId op) { nodes_[n]->host->Cancel(op); }
  void StopNode(uint32_t n) { nodes_[n]->host->Stop(); }
  bool up(uint32_t n) { return nodes_[n]->host != nullptr; }
  std::vector<SuiteEvent> events(uint32_t n) { return nodes_[n]->events; }
  void HoldSyncs(uint32_t n) { nodes_[n]->host->HoldSyncs(true); }
  void ReleaseSyncs(uint32_t n) { nodes_[n]->host->HoldSyncs(false); }
  void Restart(uint32_t n) {
    nodes_[n]->host.reset();  // No goodbye; kill -9 proper is RocksStoreTest's.
    Start(*nodes_[n]);
  }
  void RunOnly(uint32_t n) { EXPECT_TRUE(nodes_[n]->host->RunOnce(100us).ok()); }
  uint64_t dead_ids(uint32_t n) { return nodes_[n]->host->counters().dead_ids; }

 private:
  struct Node final : host::OpDoor {
    void OnOpEvent(OpId op, Bytes json, bool final) override { events.push_back({op, std::string(AsText(json)), final}); }
    std::string name;
    Machines machines;
    TempDir dir;
    std::vector<SuiteEvent> events;
    std::unique_ptr<host::RealHost> host;
  };
  void Start(Node& n) {
    auto store = host::RocksStore::Open(n.dir.path());
    ASSERT_TRUE(store.ok()) << store.status();
    n.host = std::make_unique<host::RealHost>(n.machines(), Rng(host::OsEntropy()), *std::move(store), nullptr);
    n.host->set_door(&n);
    ASSERT_TRUE(n.host->Begin().ok());
  }
  std::vector<std::unique_ptr<Node>> nodes_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Real, HostSuite, RealDriver);
INSTANTIATE_TYPED_TEST_SUITE_P(Real, StreamSuite, RealDriver);
INSTANTIATE_TYPED_TEST_SUITE_P(Real, GroupSuite, RealDriver);

// A process that SIGSTOP stopped, told in a thread that ran something else.
TEST(RealHostTest, WhatCameWhileItWasStoppedIsHeardBeforeItsTimers) {
  RealDriver driver;
  Script ear, talker;
  std::string order;
  driver.Add("ear", [&] { return std::make_unique<Scripted>(&ear); });
  driver.Add("talker", [&] { return std::make_unique<Scripted>(&talker); });
  ear.handle = [&](Turn& t, const Input& i) {
    if (std::holds_alternative<Start>(i)) t.out.OpenSocket(SocketId{1}, driver.bind_address(0));
    if (std::holds_alternative<OpCall>(i)) ear.deadline = t.now + 1ms;
    if (std::holds_alternative<Datagram>(i)) order += 'd';
    if (std::holds_alternative<Deadline>(i)) order += 'T';
  };
  talker.handle = [&](Turn& t, const Input& i) {
    if (std::holds_alternative<Start>(i)) t.out.OpenSocket(SocketId{1}, driver.bind_address(1));
    for (int k = 0; std::holds_alternative<OpCall>(i) && k < 300; ++k) t.out.Send(SocketId{1}, ear.local, AsBytes("x"));
  };
  driver.Begin();
  ASSERT_TRUE(driver.RunUntil([&] { return ear.saw("opened 1") && talker.saw("opened 1"); }, 20s));
  driver.Call(0, OpId{1}, "arm", "{}", 0);
  driver.Call(1, OpId{1}, "go", "{}", 0);
  driver.RunOnly(1);
  usleep(useconds_t((host::RealHost::kMissed + 2ms) / 1us));
  // The next thing that happens to it is a call; also before that, all is heard.
  driver.Call(0, OpId{2}, "late", "{}", 0);
  EXPECT_EQ(order, std::string(300, 'd') + "T");
}

}  // namespace orchard
