// Small worlds for tests: hosts whose mind is a lambda, and everything that they heard.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/language/presets.h"
#include "sim/world/world.h"

namespace orchard::sim {

using namespace std::chrono_literals;

// Opens socket 1 on port 4000 at its start; what else it does is in the test.
class Puppet final : public Machine {
 public:
  using Mind = std::function<void(Turn&, const Input&, Puppet&)>;
  explicit Puppet(const Mind* mind) : mind_(mind) {}
  void Handle(Turn& t, const Input& input) override {
    if (std::holds_alternative<Start>(input)) t.out.OpenSocket(SocketId{1}, Endpoint::V4(0, 4000));
    if (std::holds_alternative<Deadline>(input)) deadline = kNever;
    if (std::holds_alternative<Stop>(input) && says_goodbye) t.out.Stopped();
    (*mind_)(t, input, *this);
  }
  Instant next_deadline() const override { return deadline; }
  Instant deadline = kNever;
  bool says_goodbye = true;

 private:
  const Mind* mind_;
};

struct Heard {
  HostIndex host;
  Instant at;
  Endpoint from;
  std::string text;
};

// A world of puppets. Every puppet notes what it hears; orders are text: "send ADDRESS:PORT TTL TEXT".
class PuppetWorld : public Observer {
 public:
  explicit PuppetWorld(WorldPlan plan, Puppet::Mind mind = {}) : extra_(std::move(mind)) {
    mind_ = [this](Turn& t, const Input& i, Puppet& p) { Act(t, i, p); };
    world.emplace(std::move(plan), [this](const HostPlan&, uint32_t) { return std::make_unique<Puppet>(&mind_); }, this);
  }
  void StartAll() {
    for (HostIndex h = 0; h < world->size(); ++h) world->StartHost(h);
  }
  HostIndex Index(std::string_view id) const { return *world->Find(id); }
  void Run(Duration d) { world->RunUntil(world->now() + d); }
  // Sends from socket 1 now.
  void Send(std::string_view from, Endpoint to, std::string_view text, uint8_t ttl = 64) {
    world->Call(Index(from), OpId{++ops_}, "send", to.ToString() + " " + std::to_string(ttl) + " " + std::string(text));
  }
  // What `host` heard, without those before `mark`.
  std::vector<std::string> Texts(std::string_view host, size_t mark = 0) const {
    std::vector<std::string> out;
    for (size_t i = mark; i < heard.size(); ++i) {
      if (heard[i].host == Index(host)) out.push_back(heard[i].text);
    }
    return out;
  }
  const Heard* Last(std::string_view host) const {
    for (size_t i = heard.size(); i-- > 0;) {
      if (heard[i].host == Index(host)) return &heard[i];
    }
    return nullptr;
  }
  uint64_t drops(const std::string& why) const {
    auto it = dropped.find(why);
    return it == dropped.end() ? 0 : it->second;
  }
  void OnDrop(const Drop& d) override {
    ++dropped[std::string(d.why)];
    last_drop_where = std::string(d.where);
  }
  // Machines do not know who they are; the packet that they are about to hear does.
  bool wants_packets() const override { return true; }
  void OnArrive(HostIndex, HostIndex to, Bytes) override { hearing_ = to; }
  void OnHostDown(HostIndex, bool graceful) override { downs.push_back(graceful); }

  std::optional<World> world;
  std::vector<Heard> heard;
  std::vector<std::vector<Interface>> interfaces;  // Each time a node was told of a change.
  std::map<std::string, uint64_t> dropped;
  std::string last_drop_where;
  std::vector<bool> downs;
  std::string last_resolved;  // What the last kResolve said.
  bool resolve_failed = false;

 private:
  void Act(Turn& t, const Input& input, Puppet& p) {
    if (const auto* d = std::get_if<Datagram>(&input)) {
      heard.push_back({hearing_, world->now(), d->from, std::string(AsText(d->payload))});
    }
    if (const auto* c = std::get_if<OpCall>(&input); c != nullptr && c->name == "send") {
      std::string text(AsText(c->params));
      size_t a = text.find(' '), b = text.find(' ', a + 1);
      t.out.Send(SocketId{1}, *Endpoint::Parse(text.substr(0, a)), AsBytes(text.substr(b + 1)), Gate::kNone,
                 uint8_t(std::stoi(text.substr(a + 1, b))));
    } else if (c != nullptr && c->name == "resolve") {
      t.out.Run(JobId{1}, JobKind::kResolve, c->params);
    }
    if (const auto* j = std::get_if<JobDone>(&input)) {
      last_resolved = ToHex(j->result), resolve_failed = j->status != absl::StatusCode::kOk;
    }
    if (const auto* n = std::get_if<InterfacesChanged>(&input)) interfaces.emplace_back(n->interfaces.begin(), n->interfaces.end());
    if (extra_) extra_(t, input, p);
  }
  HostIndex hearing_ = kNoHost;
  Puppet::Mind mind_, extra_;
  uint32_t ops_ = 0;
};

// ---- Plans ----

inline NatSpec Nat(Dependence mapping, Dependence filtering, PortChoice ports = PortChoice::kPreserve) {
  NatSpec s;
  s.preset = "test", s.mapping = mapping, s.filtering = filtering, s.ports = ports;
  return s;
}
inline NatSpec Nat(std::string_view preset) { return FindNatPreset(preset)->spec(); }

inline HostPlan& AddHost(WorldPlan& plan, std::string id, std::vector<NatRef> nat = {}, std::string_view link = "datacenter") {
  HostPlan& h = plan.hosts.emplace_back();
  h.id = std::move(id);
  h.uplinks.push_back({.name = "wan", .link = FindLinkPreset(link)->spec(), .nat = std::move(nat)});
  return h;
}
inline WorldPlan PlainPlan(uint64_t seed = 1) {
  WorldPlan p;
  p.seed = seed, p.latency_default = 20ms;
  return p;
}

}  // namespace orchard::sim
