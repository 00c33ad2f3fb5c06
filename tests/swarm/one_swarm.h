// One swarm on a Recorder: the test is its network.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "node/swarm/swarm.h"
#include "tests/swarm/fake_network.h"

namespace orchard::swarm {

using namespace std::chrono_literals;
using Calls = std::vector<std::string>;
using hyperdht::Outcome;
using hyperdht::RelayPolicy;

inline const Key32 kTopic{1, 2, 3};

class OneSwarm : public ::testing::Test {
 protected:
  void Make(Config config = {}) {
    config.key = PairOf(0);
    swarm_.emplace(config);
  }
  Turn Now() { return bench_.At(now_); }
  void Wait(Duration d) { now_ += d; }
  // Runs due timers up to then.
  void Run(Duration d) {
    const Instant end = now_ + d;
    while (swarm_->next_deadline() <= end) {
      now_ = std::max(now_, swarm_->next_deadline());
      Turn t = Now();
      swarm_->OnTime(t, net_, news_);
      ASSERT_GT(swarm_->next_deadline(), now_);
    }
    now_ = end;
  }
  SessionId Join(JoinOptions options = {}, const Key32& topic = kTopic) {
    Turn t = Now();
    return *swarm_->Join(t, net_, topic, options);
  }
  void Listening() {
    Turn t = Now();
    swarm_->OnListening(t, net_, {PairOf(0).public_key});
  }
  // The answer to the last "announce" or "lookup".
  void Found(const std::string& what, std::vector<uint32_t> peers) {
    hyperdht::PeersFound found{.flow = FlowId{net_.last(what).id}};
    for (uint32_t n : peers) found.peers.push_back({.public_key = Peer(n), .relay_addresses = {Endpoint::V4(n, 1)}});
    Turn t = Now();
    swarm_->OnPeersFound(t, net_, found, news_);
  }
  void Ended(const std::string& what, Outcome outcome = Outcome::kOk, uint32_t done = 20) {
    Turn t = Now();
    swarm_->OnFlowEnded(t, net_, {.flow = FlowId{net_.last(what).id}, .outcome = outcome, .replies = 20, .done = done}, news_);
  }
  // A client's search that finds `peers`.
  void Search(std::vector<uint32_t> peers) {
    Join({.server = false});
    Found("lookup", peers);
    Ended("lookup");
  }
  void Opened(ConnectionId id) {
    Turn t = Now();
    swarm_->OnOpened(t, net_, {.connection = id, .initiator = true, .remote_key = swarm_->links().at(id).peer}, news_);
  }
  // Every dial succeeds, also those that follow.
  void OpenAll() {
    for (bool more = true; more;) {
      more = false;
      for (auto [id, link] : Swarm::Links(swarm_->links())) {
        if (!link.open) Opened(id), more = true;
      }
    }
  }
  void Failed(ConnectionId id, ConnectCode code = ConnectCode::kPeerConnectionFailed) {
    Turn t = Now();
    swarm_->OnFailed(t, net_, {.connection = id, .initiator = true, .code = code}, news_);
  }
  void Closed(ConnectionId id, const Key32& peer = {}) {
    Turn t = Now();
    swarm_->OnClosed(t, net_, {.connection = id, .remote_key = peer, .code = ConnectCode::kReset}, news_);
  }
  // A connection that comes in; false if the knock was refused.
  bool Accept(uint32_t id, const Key32& peer) {
    Turn t = Now();
    size_t refused = net_.count("refuse");
    swarm_->OnKnock(t, net_, {.connection = ConnectionId{id}, .server = PairOf(0).public_key, .remote_key = peer});
    if (net_.count("refuse") > refused) return false;
    swarm_->OnOpened(t, net_, {.connection = ConnectionId{id}, .initiator = false, .server = PairOf(0).public_key, .remote_key = peer}, news_);
    return true;
  }
  ConnectionId Dialed() { return ConnectionId{net_.last("connect").id}; }
  static Key32 Peer(uint32_t n) { return PairOf(n).public_key; }
  // Another peer whose key is greater, or less, than ours.
  static Key32 Other(bool greater) {
    for (uint32_t n = 100;; ++n) {
      if ((Peer(n) > PairOf(0).public_key) == greater) return Peer(n);
    }
  }

  Bench bench_{"swarm"};
  Recorder net_;
  std::optional<Swarm> swarm_;
  Instant now_{1h};
  News news_;
};

}  // namespace orchard::swarm
