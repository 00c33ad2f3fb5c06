// What two nodes would trace of a connection, told to a ToyRun.
#pragma once

#include <string>

#include "node/hyperdht/connect_trace.h"
#include "sim/language/identity.h"
#include "tests/sim/toy_stage.h"

namespace orchard::sim {

class ToyConnections {
 public:
  explicit ToyConnections(ToyRun& run) : r_(run) {}

  Key32 KeyOf(std::string_view id) const {
    const std::string octets = *FromHex(HostKeyHex(r_.plan.world.seed, r_.plan.world.hosts[r_.host(id)]));
    Key32 key;
    std::copy(octets.begin(), octets.end(), key.begin());
    return key;
  }
  // Both numbers of one connection.
  struct Two {
    std::string a, b;
    uint32_t at_a, at_b;
  };
  Two Dial(std::string_view a, std::string_view b) {
    Two c{std::string(a), std::string(b), ++number_, ++number_};
    r_.Trace(a, hyperdht::ConnectBegan{c.at_a, KeyOf(b), 1});
    return c;
  }
  void Step(const Two& c, std::string_view step) { r_.Trace(c.a, hyperdht::ConnectStepped{c.at_a, step}); }
  void Answer(const Two& c) { r_.Trace(c.b, hyperdht::ConnectBegan{c.at_b, KeyOf(c.a), 0}); }
  void Open(const Two& c, std::string_view path) {
    Answer(c);
    r_.Trace(c.b, hyperdht::ConnectOpened{c.at_b, KeyOf(c.a), 0, path, 0, 0, 0, "unknown", "unknown"});
    r_.Trace(c.a, hyperdht::ConnectOpened{c.at_a, KeyOf(c.b), 1, path, 1'500'000'000, 1, 12, "consistent", "random"});
  }
  void Fail(const Two& c, std::string_view code, std::string_view step) {
    r_.Trace(c.a, hyperdht::ConnectFailure{c.at_a, KeyOf(c.b), 1, code, step, 20'000'000'000, 3, 312, "random", "consistent"});
  }
  void Change(const Two& c, std::string_view to) {
    for (auto [who, id, peer] : {std::tuple(c.a, c.at_a, c.b), std::tuple(c.b, c.at_b, c.a)}) {
      r_.Trace(who, hyperdht::ConnectPathChanged{id, KeyOf(peer), "relayed", to});
    }
  }
  void Close(const Two& c, std::string_view code = "OK") {
    r_.Trace(c.a, hyperdht::ConnectClosed{c.at_a, KeyOf(c.b), code, 0, 0});
    r_.Trace(c.b, hyperdht::ConnectClosed{c.at_b, KeyOf(c.a), code, 0, 0});
  }
  void Send(const Two& c, uint64_t bytes) { r_.Trace(c.a, hyperdht::StreamSent{c.at_a, bytes}); }
  void Receive(const Two& c, uint64_t bytes) { r_.Trace(c.b, hyperdht::StreamReceived{c.at_b, bytes}); }

 private:
  ToyRun& r_;
  uint32_t number_ = 0;
};

}  // namespace orchard::sim
