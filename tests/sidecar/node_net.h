// Whole nodes on the in-memory wire, spoken to by operations only.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "node/hyperdht/dht.h"
#include "node/node.h"
#include "tests/support/mem_host.h"

namespace orchard {

class NodeNet {
 public:
  using Json = nlohmann::json;
  struct Answer {
    std::vector<Json> events;  // Without the final.
    Json final;                // Its data; null if none came in time.
    bool ok() const { return final.is_object() && final.value("ok", false); }
    std::string code() const { return final.is_object() ? final.value("code", "") : "(no answer)"; }
  };

  explicit NodeNet(MemHost::Options options = {}) : host(options) {
    host.set_on_trace([this](uint32_t, std::string_view event, absl::Span<const TraceField> fields) {
      std::string name(event);
      ++counts[name];
      for (const TraceField& f : fields) {
        if (std::string_view(f.name) == "why" || std::string_view(f.name) == "kind") ++counts[name + ":" + std::string(AsText(f.bytes))];
      }
    });
  }

  // One root, then `n` persistent nodes that nothing firewalls.
  void Grow(uint32_t n, Duration settle = std::chrono::seconds(60)) {
    sidecar::Config root;
    root.dht.bootstrap = true;
    root.dht.nodes.emplace();
    Add("root", root);
    for (uint32_t i = 1; i <= n; ++i) Add("node-" + std::to_string(i), Member());
    host.Run(settle);
  }
  sidecar::Config Member() {
    sidecar::Config c;
    c.dht.persistent = true;
    c.dht.firewalled = false;
    c.dht.nodes.emplace().push_back({.address = host.address(0).with_port(49737), .port = 49737});
    return c;
  }
  uint32_t Add(const std::string& name, const sidecar::Config& config) {
    return host.Add(name, [config](uint32_t) { return std::make_unique<Node>(config); });
  }
  Node& node(uint32_t n) { return host.machine<Node>(n); }

  Answer Call(uint32_t n, std::string_view operation, const Json& params = Json::object(), Duration bound = std::chrono::seconds(30)) {
    OpId op{next_op_++};
    host.Call(n, op, operation, params.dump());
    return Wait(n, op, bound);
  }
  Answer Wait(uint32_t n, OpId op, Duration bound = std::chrono::seconds(30)) {
    host.RunUntil([&] { return host.Final(n, op) != nullptr; }, bound);
    Answer a;
    for (const MemHost::Event& e : host.events()) {
      if (e.node != n || e.op != op) continue;
      Json j = Json::parse(e.json);
      if (e.final) {
        EXPECT_EQ(j["tag"], "final");
        a.final = j["data"];
      } else {
        a.events.push_back(j);
      }
    }
    return a;
  }
  OpId NewOp() { return OpId{next_op_++}; }

  MemHost host;
  std::map<std::string, uint64_t> counts;  // Of trace events, by name, and by name:why.

 private:
  uint32_t next_op_ = 1;
};

}  // namespace orchard
