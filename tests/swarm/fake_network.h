// Two doubles of what lies below a swarm. `Recorder` writes down what one swarm asks and lets the test answer. `FakeWorld` is a
// DHT, links and hosts in memory and virtual time for hundreds of swarms: searches, records that age, dials that take their
// time and may cross, hosts that die with or without goodbye, a network that is cut in two.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/base/digest.h"
#include "node/base/turn.h"
#include "node/crypto/sign.h"
#include "node/store/mem_store.h"
#include "node/swarm/swarm.h"

namespace orchard::swarm {

using hyperdht::ConnectCode;
using hyperdht::ConnectionId;
using hyperdht::FlowId;

// What a turn needs, for a swarm alone.
struct Bench {
  explicit Bench(std::string name, Trace::Sink* sink = nullptr) : rng(Rng::Named(1, name, "swarm")), trace(&digest, sink) {}
  Turn At(Instant now) { return {.now = now, .unix_epoch = {}, .rng = rng, .store = store, .out = out, .trace = trace}; }
  Rng rng;
  MemStore store;
  Outbox out;
  Digest digest;
  Trace trace;
};

template <class T>
std::vector<T> Of(const News& news) {
  std::vector<T> out;
  for (const auto& n : news) {
    if (const T* t = std::get_if<T>(&n)) out.push_back(*t);
  }
  return out;
}

inline crypto::KeyPair PairOf(uint32_t n) { return crypto::KeyPairFromSeed({uint8_t(n), uint8_t(n >> 8), 1}); }

class Recorder final : public Network {
 public:
  struct Call {
    std::string what;
    uint32_t id = 0;   // Of the flow or connection.
    Key32 key{};       // Topic or peer.
    bool flag = false; // clear; relayed.
  };

  FlowId Announce(Turn&, const Key32& topic, bool clear) override { return FlowId{Add("announce", next_++, topic, clear)}; }
  FlowId Lookup(Turn&, const Key32& topic) override { return FlowId{Add("lookup", next_++, topic)}; }
  FlowId Unannounce(Turn&, const Key32& topic) override { return FlowId{Add("unannounce", next_++, topic)}; }
  void Cancel(Turn&, FlowId flow) override { Add("cancel", uint32_t(flow)); }
  void Listen(Turn&, const hyperdht::ListenOptions& options) override { Add("listen", 0, options.key.public_key, options.asks); }
  void Unlisten(Turn&, const Key32& key) override { Add("unlisten", 0, key); }
  void Admit(Turn&, ConnectionId c) override { Add("admit", uint32_t(c)); }
  void Refuse(Turn&, ConnectionId c) override { Add("refuse", uint32_t(c)); }
  ConnectionId Connect(Turn&, const Key32& peer, const hyperdht::ConnectOptions& options) override {
    last_options = options;
    bool relayed = options.relay_through.has_value() && options.relay_policy == hyperdht::RelayPolicy::kAlways;
    return ConnectionId{Add("connect", next_++, peer, relayed)};
  }
  void Destroy(Turn&, ConnectionId c) override { Add("destroy", uint32_t(c)); }
  void SendKeepAlive(Turn&, ConnectionId c) override { Add("keepalive", uint32_t(c)); }
  bool exists(ConnectionId c) const override { return !gone.contains(c); }
  bool awaited(const Key32&) const override { return is_awaited; }
  bool Connected(const Key32& peer) const override { return elsewhere.contains(peer); }
  bool randomized() const override { return is_randomized; }

  // The names of the calls since the last Take, in order.
  std::vector<std::string> Take() {
    std::vector<std::string> out;
    for (; taken_ < calls.size(); ++taken_) out.push_back(calls[taken_].what);
    return out;
  }
  const Call& last(const std::string& what) const {
    return *std::find_if(calls.rbegin(), calls.rend(), [&](const Call& c) { return c.what == what; });
  }
  size_t count(const std::string& what) const {
    return size_t(std::count_if(calls.begin(), calls.end(), [&](const Call& c) { return c.what == what; }));
  }

  std::vector<Call> calls;
  hyperdht::ConnectOptions last_options;
  std::set<Key32> elsewhere;
  std::set<ConnectionId> gone;
  bool is_randomized = false, is_awaited = false;

 private:
  uint32_t Add(const char* what, uint32_t id, const Key32& key = {}, bool flag = false) {
    calls.push_back({what, id, key, flag});
    return id;
  }
  uint32_t next_ = 1;
  size_t taken_ = 0;
};

class FakeWorld {
 public:
  struct Options {
    uint64_t seed = 1;
    Config config;                                      // Of all; the key aside.
    Duration latency = std::chrono::milliseconds(40);   // One way.
    Duration record_age = std::chrono::minutes(20);
    // A full swarm answers at once, which invites to dial again: the worst case for a frenzy.
    Duration refusal = std::chrono::milliseconds(400);
  };
  explicit FakeWorld(Options options) : options_(std::move(options)), chance_(Rng::Named(options_.seed, "world", "")) {}
  FakeWorld(const FakeWorld&) = delete;

  struct Host final : Network, Trace::Sink {
    Host(FakeWorld* w, uint32_t i) : world(w), index(i), key(PairOf(i)) {}
    void Record(std::string_view event, absl::Span<const TraceField>) override { ++events[std::string(event)]; }

    FlowId Announce(Turn&, const Key32& topic, bool) override { return world->Search(*this, topic, true); }
    FlowId Lookup(Turn&, const Key32& topic) override { return world->Search(*this, topic, false); }
    FlowId Unannounce(Turn&, const Key32& topic) override { return world->TakeBack(*this, topic); }
    void Cancel(Turn&, FlowId flow) override { flows.erase(flow); }
    void Listen(Turn&, const hyperdht::ListenOptions&) override {
      world->In(*this, world->Between(200, 800), [this](Turn& t) { swarm->OnListening(t, *this, {key.public_key}); });
      listens = true;
    }
    void Unlisten(Turn&, const Key32&) override { listens = false; }
    void Admit(Turn&, ConnectionId) override { admitted = true; }
    void Refuse(Turn&, ConnectionId) override { admitted = false; }
    ConnectionId Connect(Turn&, const Key32& peer, const hyperdht::ConnectOptions&) override { return world->Dial(*this, peer); }
    void Destroy(Turn&, ConnectionId c) override { world->Hang(*this, c, world->options_.latency); }
    void SendKeepAlive(Turn&, ConnectionId) override {}
    bool exists(ConnectionId c) const override { return ends.contains(c); }
    bool awaited(const Key32&) const override { return false; }
    bool Connected(const Key32&) const override { return false; }
    bool randomized() const override { return false; }

    FakeWorld* world;
    uint32_t index;
    crypto::KeyPair key;
    std::unique_ptr<Bench> bench;
    std::unique_ptr<Swarm> swarm;   // Null while down.
    uint32_t life = 0;
    Instant up_since = kNever;
    bool listens = false, admitted = false;
    uint32_t next_id = 1;
    std::set<FlowId> flows;
    std::map<ConnectionId, uint32_t> ends;  // Which of the world's cables each is.
    std::map<std::string, uint64_t> events;
    Instant armed = kNever;
    News news;
  };

  uint32_t Add() {
    hosts_.push_back(std::make_unique<Host>(this, uint32_t(hosts_.size())));
    by_key_[hosts_.back()->key.public_key] = hosts_.back()->index;
    return hosts_.back()->index;
  }
  Host& host(uint32_t i) { return *hosts_[i]; }
  size_t size() const { return hosts_.size(); }
  bool up(uint32_t i) const { return hosts_[i]->swarm != nullptr; }
  Instant now() const { return now_; }
  Rng& chance() { return chance_; }

  void Start(uint32_t i) {
    Host& h = *hosts_[i];
    Config config = options_.config;
    config.key = h.key;
    h.bench = std::make_unique<Bench>(std::to_string(i) + "/" + std::to_string(h.life), &h);
    h.swarm = std::make_unique<Swarm>(config);
    h.up_since = now_;
  }
  // Silent: the others notice when their keep-alives are not answered, and the records stay.
  void Kill(uint32_t i, bool silent) {
    Host& h = *hosts_[i];
    h.swarm.reset();
    ++h.life, h.listens = false, h.armed = kNever, h.up_since = kNever, h.flows.clear();
    for (const auto& [id, cable] : std::exchange(h.ends, {})) HangUp(cable, i, silent ? Between(15'000, 25'000) : options_.latency);
    if (silent) return;
    for (auto& [topic, records] : records_) records.erase(i);
  }
  // From now on `b` and the rest are strangers; nobody: whole again.
  void Cut(std::set<uint32_t> b) {
    side_b_ = std::move(b);
    for (uint32_t c = 0; c < cables_.size(); ++c) {
      Cable& cable = cables_[c];
      if (Reaches(cable.end[0].host, cable.end[1].host)) continue;
      for (int e : {0, 1}) {
        if (cable.end[e].alive) Lose(c, e, Between(15'000, 25'000));
      }
    }
  }

  // Runs f(Turn&) in a turn of that life of host `h`, after `wait`.
  template <class F>
  void In(Host& h, Duration wait, F f) {
    At(now_ + wait, [this, &h, life = h.life, f = std::move(f)]() {
      if (h.swarm != nullptr && h.life == life) Take(h, f);
    });
  }
  void At(Instant at, std::function<void()> f) { queue_.push({at, seq_++, std::move(f)}); }
  void Run(Duration d) {
    const Instant end = now_ + d;
    while (!queue_.empty() && queue_.top().at <= end) {
      Item item = std::move(const_cast<Item&>(queue_.top()));
      queue_.pop();
      now_ = std::max(now_, item.at);
      item.run();
    }
    now_ = end;
  }
  Duration Between(int64_t least_ms, int64_t most_ms) {
    return std::chrono::microseconds(least_ms * 1000 + int64_t(chance_.Below(uint64_t(most_ms - least_ms) * 1000 + 1)));
  }

  // Pairs whose both ends hold the same open connection.
  std::set<std::pair<uint32_t, uint32_t>> Edges() const {
    std::set<std::pair<uint32_t, uint32_t>> out;
    for (const auto& h : hosts_) {
      if (h->swarm == nullptr) continue;
      for (const auto& [id, link] : h->swarm->links()) {
        if (!link.open || !h->ends.contains(id)) continue;
        const Cable& c = cables_[h->ends.at(id)];
        const int other = c.end[0].host == h->index ? 1 : 0;
        const Host& o = *hosts_[c.end[other].host];
        if (o.swarm == nullptr || !c.end[other].alive) continue;
        auto it = o.swarm->links().find(c.end[other].id);
        if (it != o.swarm->links().end() && it->second.open) out.insert(std::minmax(h->index, o.index));
      }
    }
    return out;
  }
  // For each host that `of` names: the share of all those that its component holds.
  std::vector<double> ReachRatios(const std::function<bool(uint32_t)>& of) const {
    std::vector<uint32_t> parent(hosts_.size());
    for (uint32_t i = 0; i < parent.size(); ++i) parent[i] = i;
    std::function<uint32_t(uint32_t)> root = [&](uint32_t i) { return parent[i] == i ? i : parent[i] = root(parent[i]); };
    for (auto [a, b] : Edges()) parent[root(a)] = root(b);
    std::map<uint32_t, uint32_t> sizes;
    uint32_t all = 0;
    for (uint32_t i = 0; i < parent.size(); ++i) {
      if (up(i) && of(i)) ++sizes[root(i)], ++all;
    }
    std::vector<double> out;
    for (uint32_t i = 0; i < parent.size(); ++i) {
      if (up(i) && of(i)) out.push_back(double(sizes[root(i)]) / all);
    }
    return out;
  }
  std::string fingerprint() const {
    Digest d;
    for (const auto& h : hosts_) {
      if (h->bench != nullptr) d.Add(AsBytes(h->bench->digest.hex()));
    }
    return d.hex();
  }

 private:
  struct Item {
    Instant at;
    uint64_t seq;
    std::function<void()> run;
    bool operator<(const Item& o) const { return std::tie(at, seq) > std::tie(o.at, o.seq); }
  };
  struct Cable {
    struct End {
      uint32_t host;
      ConnectionId id;
      bool alive = false, open = false;
    } end[2];  // Who dialled; who was dialled.
  };

  template <class F>
  void Take(Host& h, F f) {
    Turn turn = h.bench->At(now_);
    f(turn);
    if (h.swarm->next_deadline() <= now_) h.swarm->OnTime(turn, h, h.news);
    CHECK(h.swarm->next_deadline() > now_);
    h.bench->out.Clear();
    if (h.swarm->next_deadline() < h.armed) Arm(h);
  }
  void Arm(Host& h) {
    h.armed = h.swarm->next_deadline();
    if (h.armed == kNever) return;
    At(h.armed, [this, &h, life = h.life, at = h.armed] {
      if (h.swarm == nullptr || h.life != life || h.armed != at) return;
      h.armed = kNever;
      Take(h, [&](Turn& turn) { h.swarm->OnTime(turn, h, h.news); });
      if (h.armed == kNever) Arm(h);
    });
  }
  bool Reaches(uint32_t a, uint32_t b) const { return side_b_.contains(a) == side_b_.contains(b); }

  // Twenty nodes tell twenty records each; the flow tells each peer once.
  FlowId Search(Host& h, const Key32& topic, bool announce) {
    FlowId flow{h.next_id++};
    h.flows.insert(flow);
    auto told = std::make_shared<std::set<uint32_t>>();
    Duration at = Between(200, 500);
    for (int reply = 0; reply < 20; ++reply) {
      at += Between(5, 40);
      In(h, at, [this, &h, flow, topic, told](Turn& turn) {
        if (!h.flows.contains(flow)) return;
        hyperdht::PeersFound found{.flow = flow};
        for (uint32_t i : Sample(h, topic)) {
          if (told->insert(i).second) found.peers.push_back({.public_key = hosts_[i]->key.public_key});
        }
        if (!found.peers.empty()) h.swarm->OnPeersFound(turn, h, found, h.news);
      });
    }
    In(h, at + Between(50, 200), [this, &h, flow, topic, announce, told](Turn& turn) {
      if (h.flows.erase(flow) == 0) return;
      if (announce) records_[topic][h.index] = now_ + options_.record_age;
      hyperdht::FlowEnded end{.flow = flow, .kind = announce ? hyperdht::FlowKind::kAnnounce : hyperdht::FlowKind::kLookup};
      if (!announce && told->empty()) end.outcome = hyperdht::Outcome::kNotFound;
      end.target = topic, end.replies = 20, end.done = announce ? 20 : 0;
      h.swarm->OnFlowEnded(turn, h, end, h.news);
    });
    return flow;
  }
  std::vector<uint32_t> Sample(Host& h, const Key32& topic) {
    std::vector<uint32_t> all;
    for (const auto& [i, expires] : records_[topic]) {
      if (expires > now_ && Reaches(h.index, i)) all.push_back(i);
    }
    for (size_t i = 0; i < std::min<size_t>(20, all.size()); ++i) std::swap(all[i], all[i + chance_.Below(all.size() - i)]);
    all.resize(std::min<size_t>(20, all.size()));
    return all;
  }
  FlowId TakeBack(Host& h, const Key32& topic) {
    FlowId flow{h.next_id++};
    h.flows.insert(flow);
    In(h, Between(300, 900), [this, &h, flow, topic](Turn& turn) {
      if (h.flows.erase(flow) == 0) return;
      uint32_t done = records_[topic].erase(h.index) > 0 ? 20 : 0;
      h.swarm->OnFlowEnded(turn, h, {.flow = flow, .kind = hyperdht::FlowKind::kUnannounce, .target = topic, .done = done}, h.news);
    });
    return flow;
  }

  ConnectionId Dial(Host& h, const Key32& peer) {
    ConnectionId id{h.next_id++};
    auto other = by_key_.find(peer);
    CHECK(other != by_key_.end());
    Host& o = *hosts_[other->second];
    const auto cable = uint32_t(cables_.size());
    cables_.push_back({{{h.index, id, true, false}, {o.index, ConnectionId{0}, false, false}}});
    h.ends[id] = cable;
    ++dials[h.index];
    At(now_ + Between(150, 700), [this, &h, &o, cable, life = h.life] {
      Cable& c = cables_[cable];
      if (!c.end[0].alive || h.life != life) return;
      if (o.swarm == nullptr || !o.listens || !Reaches(h.index, o.index)) return Lose(cable, 0, Between(5'000, 12'000), ConnectCode::kPeerConnectionFailed);
      c.end[1].id = ConnectionId{o.next_id++};
      o.admitted = false;
      Take(o, [&](Turn& t) { o.swarm->OnKnock(t, o, {.connection = c.end[1].id, .server = o.key.public_key, .remote_key = h.key.public_key}); });
      if (!o.admitted) return Lose(cable, 0, options_.refusal, ConnectCode::kPeerConnectionFailed);
      c.end[1].alive = true;
      o.ends[c.end[1].id] = cable;
      // Either end may be first to see the other's first bytes.
      const Duration punched = Between(100, 1'200);
      for (int e : {0, 1}) Open(cable, e, punched + Between(0, 60));
    });
    return id;
  }
  void Open(uint32_t cable, int e, Duration wait) {
    Host& h = *hosts_[cables_[cable].end[e].host];
    In(h, wait, [this, &h, cable, e](Turn& turn) {
      Cable::End& end = cables_[cable].end[e];
      if (!end.alive) return;
      end.open = true;
      const Cable::End& far = cables_[cable].end[1 - e];
      const Key32 remote = hosts_[far.host]->key.public_key;
      h.swarm->OnOpened(turn, h, {.connection = end.id, .initiator = e == 0, .server = e == 0 ? remote : h.key.public_key,
                                  .remote_key = remote, .path = hyperdht::Path::kPunched}, h.news);
    });
  }
  // Our end goes without news; the other end hears of it after `wait`.
  void Hang(Host& h, ConnectionId id, Duration wait) {
    auto it = h.ends.find(id);
    if (it == h.ends.end()) return;
    const uint32_t cable = it->second;
    h.ends.erase(it);
    HangUp(cable, h.index, wait);
  }
  void HangUp(uint32_t cable, uint32_t host, Duration wait) {
    Cable& c = cables_[cable];
    const int e = c.end[0].host == host ? 0 : 1;
    c.end[e].alive = false;
    if (c.end[1 - e].alive) Lose(cable, 1 - e, wait);
  }
  // That end will learn that it is over.
  void Lose(uint32_t cable, int e, Duration wait, ConnectCode code = ConnectCode::kReset) {
    Host& h = *hosts_[cables_[cable].end[e].host];
    In(h, wait, [this, &h, cable, e, code](Turn& turn) {
      Cable::End& end = cables_[cable].end[e];
      if (!end.alive) return;
      end.alive = false;
      h.ends.erase(end.id);
      const Key32 remote = hosts_[cables_[cable].end[1 - e].host]->key.public_key;
      if (end.open) h.swarm->OnClosed(turn, h, {.connection = end.id, .remote_key = remote, .code = code}, h.news);
      else h.swarm->OnFailed(turn, h, {.connection = end.id, .initiator = e == 0, .remote_key = remote, .code = code}, h.news);
    });
  }

 public:
  std::map<uint32_t, uint64_t> dials;  // By host.

 private:
  Options options_;
  Rng chance_;
  Instant now_{};
  uint64_t seq_ = 0;
  std::priority_queue<Item> queue_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::map<Key32, uint32_t> by_key_;
  std::map<Key32, std::map<uint32_t, Instant>> records_;  // Topic, host: until when.
  std::vector<Cable> cables_;
  std::set<uint32_t> side_b_;
};

}  // namespace orchard::swarm
