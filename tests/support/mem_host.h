// The smallest host: any number of machines on one wire in virtual time, in memory. Latency, jitter and loss are seeded;
// syncs and jobs take virtual time; power fails when the test says so.
//
//   MemHost net({.latency = 30ms});
//   auto a = net.Add("a", [](uint32_t incarnation) { return std::make_unique<Node>(config); });
//   net.Call(a, OpId{1}, "dht.ping", R"({"address":"10.0.0.2:49737"})");
//   EXPECT_TRUE(net.RunUntil([&] { return net.Final(a, OpId{1}) != nullptr; }, 5s));
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "node/base/check.h"
#include "node/base/digest.h"
#include "node/base/turn_runner.h"
#include "node/store/mem_store.h"
#include "tests/support/mem_streams.h"

namespace orchard {

class MemHost final : private MemWire {
 public:
  using NodeIndex = uint32_t;
  using Factory = std::function<std::unique_ptr<Machine>(uint32_t incarnation)>;
  static constexpr uint32_t kPlenty = 1u << 30;  // Credit that nobody uses up.

  struct Options {
    uint64_t seed = 1;
    Duration latency = std::chrono::milliseconds(20);  // One way.
    Duration jitter{};                                 // Uniform on top, so it reorders.
    uint32_t loss_permille = 0;
    Duration sync = std::chrono::milliseconds(2);
    Duration job = std::chrono::milliseconds(5);
    size_t send_queue_max = 4096;    // Datagrams of one socket under way; more are dropped, the newest first.
    bool addresses_by_name = false;  // 10.x from the name's hash, so that adding a node moves no other; else from the index.
  };
  struct Event {
    NodeIndex node;
    OpId op;
    Instant at;
    std::string json;
    bool final;
  };
  struct Counters {
    uint64_t sent = 0, delivered = 0, lost = 0, no_route = 0, queue_full = 0, dead_id = 0, filtered = 0;
  };

  // Does jobs that are no name resolution, at once; kUnknown: it does not end. Without one they are kFailedPrecondition.
  std::function<std::pair<absl::StatusCode, std::string>(JobKind, Bytes)> do_job;

  explicit MemHost(Options options) : options_(options), wire_(Rng::Named(options.seed, "wire", "")) {}
  MemHost() : MemHost(Options()) {}
  MemHost(const MemHost&) = delete;

  // ---- Lives ----
  NodeIndex Add(std::string name, Factory factory, std::optional<Endpoint> address = std::nullopt) {
    auto index = NodeIndex(nodes_.size());
    Endpoint at = address ? address->with_port(0) : Allocate(index, name);
    CHECK(by_ip_.try_emplace(at.ip, index).second);
    nodes_.push_back(std::make_unique<Node>(this, index, std::move(name), std::move(factory), at));
    StartNode(index);
    return index;
  }
  bool up(NodeIndex n) const { return nodes_[n]->runner != nullptr; }
  // The process dies without goodbye; what it committed stays, un-synced or not.
  void Kill(NodeIndex n) { nodes_[n]->Die(); }
  // Dies, and the newest `lose` un-synced turns are lost with it.
  void PowerLoss(NodeIndex n, size_t lose = SIZE_MAX) { nodes_[n]->Die(), nodes_[n]->store.PowerLoss(lose); }
  void StartNode(NodeIndex n) {
    Node& x = *nodes_[n];
    CHECK(!up(n));
    ++x.incarnation;
    // The purpose is the incarnation: a restart never repeats a nonce.
    x.runner = std::make_unique<TurnRunner>(x.factory(x.incarnation), Rng::Named(options_.seed, x.name, std::to_string(x.incarnation)),
                                            &x.store, &x.digest, on_trace_ ? &x : nullptr);
    const Interface interfaces[] = {{.address = Endpoint::V4(0x7f000001, 0), .prefix_bits = 8, .loopback = true},
                                    {.address = x.address, .prefix_bits = 8, .loopback = false}};
    Feed(n, Start{interfaces});
  }
  void Restart(NodeIndex n) {
    if (up(n)) Kill(n);
    StartNode(n);
  }
  // Asks it to say goodbye; it is down once it says so.
  void Stop(NodeIndex n) { Feed(n, orchard::Stop{}); }

  // As SIGSTOP and SIGCONT do: what is for it waits, and its timers are all due at once afterwards. A host hears the datagrams
  // first, unless `deaf_first`.
  void Freeze(NodeIndex n) { nodes_[n]->frozen = true; }
  void Thaw(NodeIndex n, bool deaf_first = false) {
    Node& x = *nodes_[n];
    x.frozen = false;
    std::vector<Item> missed = std::exchange(x.missed, {});
    x.hears_missed = !deaf_first;
    for (const Item& i : missed) {
      if (i.kind == Item::kDatagram) Deliver(i);
    }
    x.hears_missed = false;
    for (const Item& i : missed) {
      if (i.kind != Item::kDatagram && i.incarnation == x.incarnation && up(n)) Happen(x, i);
    }
  }

  // ---- Inputs ----
  void Feed(NodeIndex n, const Input& input) {
    Node& x = *nodes_[n];
    if (!up(n)) return;
    const auto* datagram = std::get_if<Datagram>(&input);
    if (x.hears_missed && datagram != nullptr) x.runner->FeedMissed(now_, unix_epoch_, *datagram, x, outbox_);
    else x.runner->Feed(now_, unix_epoch_, input, x, outbox_);
    x.AfterTurn();
  }
  void Call(NodeIndex n, OpId op, std::string_view name, std::string_view params = "{}", uint32_t credit = kPlenty) {
    nodes_[n]->ops[op] = {};
    Feed(n, OpCall{op, name, AsBytes(params)});
    if (credit > 0) Feed(n, OpCredit{op, credit});
  }
  // Bytes for a running operation: they arrive as fast as it accepts them.
  void Data(NodeIndex n, OpId op, std::string_view bytes, bool end) {
    auto it = nodes_[n]->ops.find(op);
    if (it == nodes_[n]->ops.end()) return;  // It has ended.
    it->second.pending += bytes, it->second.end |= end;
    nodes_[n]->DeliverData(op);
  }
  void Cancel(NodeIndex n, OpId op) {
    nodes_[n]->ops.erase(op);
    Feed(n, OpCancelled{op});
  }

  // ---- Time ----
  Instant now() const override { return now_; }
  bool Step() {
    if (queue_.empty()) return false;
    Item item = std::move(const_cast<Item&>(queue_.top()));
    queue_.pop();
    now_ = std::max(now_, item.at);
    Node& x = *nodes_[item.node];
    if (item.kind == Item::kCall) item.call();
    else if (item.kind == Item::kDatagram) Left(item), x.frozen ? x.missed.push_back(std::move(item)) : Deliver(item);
    else if (x.frozen) x.missed.push_back(std::move(item));
    else if (item.incarnation == x.incarnation && up(item.node)) Happen(x, item);
    return true;
  }
  void RunUntil(Instant end) {
    while (!queue_.empty() && queue_.top().at <= end) Step();
    now_ = std::max(now_, end);
  }
  void Run(Duration d) { RunUntil(now_ + d); }
  // False if `done` is still false after `bound`.
  bool RunUntil(const std::function<bool()>& done, Duration bound) {
    const Instant end = now_ + bound;
    while (!done()) {
      if (queue_.empty() || queue_.top().at > end) return now_ = std::max(now_, end), done();
      Step();
    }
    return true;
  }

  // ---- The world, as tests like it ----
  void SetName(std::string name, std::vector<Endpoint> addresses) { names_[std::move(name)] = std::move(addresses); }
  // False drops the datagram.
  void set_filter(std::function<bool(NodeIndex from, NodeIndex to, Bytes)> f) { filter_ = std::move(f); }
  // What an operation has put out as binary so far.
  const std::string& op_bytes(NodeIndex node, OpId op) { return op_bytes_[{node, op}]; }
  // A NAT before each node, as tests like it. Outbound: changes where a datagram seems to come from; false drops it on the way.
  // Inbound: changes where at the node it goes; false drops it.
  using Outbound = std::function<bool(NodeIndex, Endpoint& from, const Endpoint& to, uint8_t ttl)>;
  using Inbound = std::function<bool(NodeIndex, const Endpoint& from, Endpoint& to)>;
  // Route: who is at an address that is no node's own.
  using Route = std::function<std::optional<NodeIndex>(const Endpoint& to)>;
  void set_nat(Outbound out, Inbound in, Route route) {
    outbound_ = std::move(out), inbound_ = std::move(in), route_ = std::move(route);
  }
  void set_on_event(std::function<void(const Event&)> f) { on_event_ = std::move(f); }
  // Before Add().
  void set_on_trace(std::function<void(NodeIndex, std::string_view, absl::Span<const TraceField>)> f) { on_trace_ = std::move(f); }
  void set_loss_permille(uint32_t permille) { options_.loss_permille = permille; }
  // Of all streams; datagrams go on.
  void SetStreamsDark(bool dark) { streams_.SetDark(dark); }
  void set_sync(Duration d) { options_.sync = d; }
  // No sync completes until the hold ends.
  void HoldSyncs(NodeIndex n, bool hold) {
    nodes_[n]->hold_syncs = hold;
    while (!hold && nodes_[n]->held_syncs > 0) --nodes_[n]->held_syncs, nodes_[n]->SyncDone();
  }

  // ---- What came of it ----
  const std::vector<Event>& events() const { return events_; }
  // Null until the operation ended.
  const Event* Final(NodeIndex n, OpId op) const {
    auto it = std::find_if(events_.begin(), events_.end(), [&](const Event& e) { return e.node == n && e.op == op && e.final; });
    return it == events_.end() ? nullptr : &*it;
  }
  const Counters& counters() const { return counters_; }
  size_t size() const { return nodes_.size(); }
  Endpoint address(NodeIndex n) const { return nodes_[n]->address; }
  const std::string& name(NodeIndex n) const { return nodes_[n]->name; }
  MemStore& store(NodeIndex n) { return nodes_[n]->store; }
  TurnRunner& runner(NodeIndex n) { return *nodes_[n]->runner; }
  template <class M>
  M& machine(NodeIndex n) { return static_cast<M&>(nodes_[n]->runner->machine()); }
  uint64_t turns() const { return turns_; }
  // Of all nodes, in the order of their names, as a scenario's is.
  std::string fingerprint() const {
    std::map<std::string, const Node*> ordered;
    for (const auto& n : nodes_) ordered[n->name] = n.get();
    Digest d;
    for (const auto& [name, n] : ordered) d.Add(AsBytes(name)), d.Add(AsBytes(n->digest.hex()));
    return d.hex();
  }

 private:
  struct Item {
    enum Kind : uint8_t { kDeadline, kDatagram, kData, kJob, kOpened, kJoined, kSynced, kCall } kind;
    Instant at;
    uint64_t seq;
    NodeIndex node;
    uint32_t incarnation;
    uint32_t id = 0;  // Socket (of the sender, for a datagram) or job.
    Endpoint from{}, to{};  // kJoined: the interface, the group.
    NodeIndex from_node = 0;
    absl::StatusCode status = absl::StatusCode::kOk;
    std::string bytes{};
    std::function<void()> call{};
    bool operator<(const Item& o) const { return std::tie(at, seq) > std::tie(o.at, o.seq); }
  };
  struct Socket {
    uint16_t port = 0;
    bool shared = false;
    std::set<std::array<uint8_t, 16>> groups{};  // All on the node's only interface.
    size_t under_way = 0;
  };
  struct Op {
    std::string pending;
    bool end = false;
    uint64_t granted = 0;
  };

  struct Node final : TurnRunner::Host, Trace::Sink {
    Node(MemHost* h, NodeIndex i, std::string n, Factory f, Endpoint a)
        : host(h), index(i), name(std::move(n)), factory(std::move(f)), address(a) {}
    void Perform(const Output& o, Bytes b) override { host->Perform(*this, o, b); }
    void StartSync() override {
      marks.push(store.turns());
      host->Push({.kind = Item::kSynced, .at = host->now_ + host->options_.sync, .node = index, .incarnation = incarnation});
    }
    void Record(std::string_view event, absl::Span<const TraceField> fields) override { host->on_trace_(index, event, fields); }
    void AfterTurn() {
      ++host->turns_;
      if (stopped) return Die();
      Instant t = runner->next_deadline();
      if (t < armed) {
        armed = std::max(t, host->now_);
        host->Push({.kind = Item::kDeadline, .at = armed, .node = index, .incarnation = incarnation});
      }
    }
    void SyncDone() {
      store.Synced(marks.front());
      marks.pop();
      runner->Synced(*this);
      if (stopped) Die();
    }
    void DeliverData(OpId op) {
      auto it = ops.find(op);
      if (it == ops.end()) return;
      Op& o = it->second;
      size_t n = size_t(std::min<uint64_t>(o.pending.size(), o.granted));
      bool end = o.end && n == o.pending.size();
      if (n == 0 && !end) return;
      std::string now = o.pending.substr(0, n);
      o.pending.erase(0, n), o.granted -= n, o.end = o.end && !end;
      host->Feed(index, OpData{op, AsBytes(now), end});
    }
    void Die() {
      runner.reset();
      sockets.clear(), ports.clear(), jobs.clear(), ops.clear();
      host->streams_.Die(index);
      marks = {}, armed = kNever, stopped = frozen = false, held_syncs = 0, missed.clear();
    }

    MemHost* host;
    NodeIndex index;
    std::string name;
    Factory factory;
    Endpoint address;
    MemStore store;
    Digest digest;
    std::unique_ptr<TurnRunner> runner;  // Null while down.
    uint32_t incarnation = 0;
    Instant armed = kNever;
    std::map<uint32_t, Socket> sockets;
    std::map<uint16_t, std::vector<uint32_t>> ports;  // Several if all share it; the newest hears what is for one.
    std::map<uint32_t, bool> jobs;  // Under way.
    std::map<OpId, Op> ops;
    std::queue<uint64_t> marks;  // What each sync under way makes safe.
    uint16_t next_port = 49152;
    bool stopped = false, hold_syncs = false, frozen = false, hears_missed = false;
    std::vector<Item> missed;  // While it is frozen.
    int held_syncs = 0;
  };

  Endpoint Allocate(NodeIndex index, std::string_view name) {
    if (!options_.addresses_by_name) return Endpoint::V4(0x0a000001 + index, 0);
    for (uint32_t attempt = 0;; ++attempt) {
      auto ip = uint32_t(Rng::Named(attempt, name, "address").Below(0xfffffe) + 1);
      Endpoint e = Endpoint::V4(0x0a000000 | ip, 0);
      if (!by_ip_.contains(e.ip)) return e;
    }
  }
  // MemWire.
  void Later(Duration in, std::function<void()> call) override { Push({.kind = Item::kCall, .at = now_ + in, .node = 0, .call = std::move(call)}); }
  void Tell(uint32_t node, const Input& input) override { Feed(node, input); }
  Duration Lag() override {
    Duration in = options_.latency;
    if (options_.jitter > Duration{}) in += Duration(wire_.Below(uint64_t(options_.jitter.count())));
    return in;
  }
  std::optional<uint32_t> NodeAt(const Endpoint& address) const override {
    auto it = by_ip_.find(address.ip);
    return it == by_ip_.end() ? std::nullopt : std::optional(it->second);
  }
  Endpoint AddressOf(uint32_t node) const override { return nodes_[node]->address; }
  void Push(Item item) {
    item.seq = seq_++;
    queue_.push(std::move(item));
  }

  void Perform(Node& x, const Output& o, Bytes b) {
    switch (o.what) {
      case Do::kOpenSocket:
      case Do::kOpenSharedSocket: {
        uint16_t port = o.peer.port;
        if (port == 0) {
          while (x.ports.contains(x.next_port)) ++x.next_port;
          port = x.next_port++;
        }
        const bool shared = o.what == Do::kOpenSharedSocket;
        std::vector<uint32_t>& here = x.ports[port];
        bool free = !x.sockets.contains(o.id) && (here.empty() || (shared && x.sockets[here.back()].shared));
        if (free) here.push_back(o.id), x.sockets[o.id] = {.port = port, .shared = shared};
        else if (here.empty()) x.ports.erase(port);
        Opened(x, o.id, port, free);
        break;
      }
      case Do::kCloseSocket: {
        auto it = x.sockets.find(o.id);
        if (it == x.sockets.end()) {
          Dead(!streams_.CloseListener(x.index, o.id));
          break;
        }
        std::erase(x.ports[it->second.port], o.id);
        if (x.ports[it->second.port].empty()) x.ports.erase(it->second.port);
        x.sockets.erase(it);
        break;
      }
      case Do::kJoinGroup: {
        auto it = x.sockets.find(o.id);
        if (it == x.sockets.end()) { ++counters_.dead_id; break; }
        Endpoint interface;
        std::copy(b.begin(), b.end(), interface.ip.begin());
        absl::StatusCode status = absl::StatusCode::kOk;
        if (!IsGroup(o.peer)) status = absl::StatusCode::kInvalidArgument;
        else if (interface != x.address) status = absl::StatusCode::kNotFound;
        else it->second.groups.insert(o.peer.ip);
        Push({.kind = Item::kJoined, .at = now_, .node = x.index, .incarnation = x.incarnation, .id = o.id, .from = interface,
              .to = o.peer, .status = status});
        break;
      }
      case Do::kListen:
      case Do::kListenSecure: {
        std::optional<uint16_t> port = streams_.Listen(x.index, o.id, o.peer.port);
        Opened(x, o.id, port.value_or(o.peer.port), port.has_value());
        break;
      }
      case Do::kConnect: streams_.Connect(x.index, o.id, o.peer); break;
      case Do::kWrite: Dead(!streams_.Write(x.index, o.id, b)); break;
      case Do::kAccept: Dead(!streams_.Accept(x.index, o.id, o.credit)); break;
      case Do::kEnd: Dead(!streams_.EndWrites(x.index, o.id)); break;
      case Do::kClose: Dead(!streams_.Close(x.index, o.id)); break;
      case Do::kSend: SendDatagram(x, o, b); break;
      case Do::kOpBytes: {
        auto it = x.ops.find(OpId{o.id});
        if (it == x.ops.end()) { ++counters_.dead_id; break; }
        op_bytes_[{x.index, OpId{o.id}}].append(AsText(b));
        break;
      }
      case Do::kOpEvent:
      case Do::kOpFinal: {
        auto it = x.ops.find(OpId{o.id});
        if (it == x.ops.end()) { ++counters_.dead_id; break; }
        if (o.what == Do::kOpFinal) x.ops.erase(it);
        events_.push_back({x.index, OpId{o.id}, now_, std::string(AsText(b)), o.what == Do::kOpFinal});
        if (on_event_) on_event_(events_.back());
        break;
      }
      case Do::kOpAccept: {
        auto it = x.ops.find(OpId{o.id});
        if (it == x.ops.end()) { ++counters_.dead_id; break; }
        it->second.granted += o.credit;
        // Delivered by a later item of this instant: a turn never starts inside another.
        Push({.kind = Item::kData, .at = now_, .node = x.index, .incarnation = x.incarnation, .id = o.id});
        break;
      }
      case Do::kRunJob: {
        x.jobs[o.id] = true;
        Item done{.kind = Item::kJob, .at = now_ + options_.job, .node = x.index, .incarnation = x.incarnation, .id = o.id};
        if (o.kind != JobKind::kResolve) {
          const auto result = do_job ? do_job(o.kind, b) : std::pair(absl::StatusCode::kFailedPrecondition, std::string());
          if (result.first == absl::StatusCode::kUnknown) break;
          done.status = result.first, done.bytes = result.second;
          Push(std::move(done));
          break;
        }
        auto found = names_.find(std::string(AsText(b)));
        if (found == names_.end()) done.status = absl::StatusCode::kNotFound;
        else for (const Endpoint& e : found->second) done.bytes.append(reinterpret_cast<const char*>(&e.ip[12]), 4);
        Push(std::move(done));
        break;
      }
      case Do::kCancelJob:
        if (x.jobs.erase(o.id) == 0) ++counters_.dead_id;
        break;
      case Do::kStopped: x.stopped = true; break;
    }
  }
  void Dead(bool dead) { counters_.dead_id += dead ? 1 : 0; }
  void Opened(const Node& x, uint32_t id, uint16_t port, bool free) {
    Push({.kind = Item::kOpened, .at = now_, .node = x.index, .incarnation = x.incarnation, .id = id, .from = x.address.with_port(port),
          .status = free ? absl::StatusCode::kOk : absl::StatusCode::kAlreadyExists});
  }
  static bool IsGroup(const Endpoint& e) { return e.is_v4() && e.v4() >> 28 == 14; }
  // To all nodes that have a member on that port, the sender's own too.
  void SendToGroup(Node& x, const Output& o, Socket& socket, Bytes b) {
    if (!socket.groups.contains(o.peer.ip)) return;
    for (const auto& n : nodes_) {
      auto port = n->ports.find(o.peer.port);
      if (port == n->ports.end()) continue;
      if (std::none_of(port->second.begin(), port->second.end(), [&](uint32_t s) { return n->sockets[s].groups.contains(o.peer.ip); })) continue;
      if (n->index != x.index && options_.loss_permille > 0 && wire_.Chance(options_.loss_permille, 1000)) { ++counters_.lost; continue; }
      ++socket.under_way;
      Push({.kind = Item::kDatagram, .at = now_ + (n->index == x.index ? Duration{} : Lag()), .node = n->index, .incarnation = x.incarnation,
            .id = o.id, .from = x.address.with_port(socket.port), .to = o.peer, .from_node = x.index, .bytes = std::string(AsText(b))});
    }
  }
  void SendDatagram(Node& x, const Output& o, Bytes b) {
    auto it = x.sockets.find(o.id);
    if (it == x.sockets.end()) { ++counters_.dead_id; return; }
    ++counters_.sent;
    if (it->second.under_way >= options_.send_queue_max) { ++counters_.queue_full; return; }
    if (IsGroup(o.peer)) return SendToGroup(x, o, it->second, b);
    Endpoint to = o.peer, from = x.address.with_port(it->second.port);
    if (outbound_ && !outbound_(x.index, from, to, o.ttl)) { ++counters_.filtered; return; }
    if (to.is_v4() && to.v4() >> 24 == 127) to = x.address.with_port(to.port);
    std::optional<NodeIndex> node;
    if (auto own = by_ip_.find(to.ip); own != by_ip_.end()) node = own->second;
    else if (route_) node = route_(to);
    if (!node.has_value()) { ++counters_.no_route; return; }
    if (filter_ && !filter_(x.index, *node, b)) { ++counters_.filtered; return; }
    if (options_.loss_permille > 0 && wire_.Chance(options_.loss_permille, 1000)) { ++counters_.lost; return; }
    const Duration in = Lag();
    ++it->second.under_way;
    Push({.kind = Item::kDatagram, .at = now_ + in, .node = *node, .incarnation = x.incarnation, .id = o.id,
          .from = from, .to = to, .from_node = x.index, .bytes = std::string(AsText(b))});
  }
  // The sender's queue has room again, if it still lives.
  void Left(const Item& item) {
    Node& sender = *nodes_[item.from_node];
    auto it = sender.sockets.find(item.id);
    if (sender.incarnation == item.incarnation && it != sender.sockets.end()) --it->second.under_way;
  }
  void Deliver(const Item& item) {
    Node& x = *nodes_[item.node];
    Endpoint to = item.to;
    if (inbound_ && !inbound_(item.node, item.from, to)) { ++counters_.filtered; return; }
    auto port = x.ports.find(to.port);
    if (!up(item.node) || port == x.ports.end()) { ++counters_.no_route; return; }
    if (IsGroup(to)) {
      for (uint32_t s : std::vector<uint32_t>(port->second)) {
        auto member = x.sockets.find(s);
        if (member == x.sockets.end() || !member->second.groups.contains(to.ip)) continue;
        ++counters_.delivered;
        Feed(item.node, Datagram{SocketId{s}, item.from, AsBytes(item.bytes)});
      }
      return;
    }
    ++counters_.delivered;
    Feed(item.node, Datagram{SocketId{port->second.back()}, item.from, AsBytes(item.bytes)});
  }
  void Happen(Node& x, const Item& item) {
    switch (item.kind) {
      case Item::kDeadline:
        if (x.armed != item.at) return;
        x.armed = kNever;
        x.runner->FeedDeadline(now_, unix_epoch_, x, outbox_);
        x.AfterTurn();
        return;
      case Item::kOpened: Feed(x.index, SocketOpened{SocketId{item.id}, item.from, item.status}); return;
      case Item::kData: x.DeliverData(OpId{item.id}); return;
      case Item::kJob:
        if (x.jobs.erase(item.id) > 0) Feed(x.index, JobDone{JobId{item.id}, item.status, AsBytes(item.bytes)});
        return;
      case Item::kSynced:
        if (x.hold_syncs) ++x.held_syncs;
        else x.SyncDone();
        return;
      case Item::kJoined: Feed(x.index, GroupJoined{SocketId{item.id}, item.to, item.from, item.status}); return;
      case Item::kDatagram:
      case Item::kCall: return;
    }
  }

  Options options_;
  Rng wire_;
  Instant now_{std::chrono::seconds(1)};  // Not zero: that would hide a field that was never set.
  Duration unix_epoch_ = std::chrono::seconds(1'780'000'000);
  uint64_t seq_ = 0, turns_ = 0;
  std::priority_queue<Item> queue_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<std::array<uint8_t, 16>, NodeIndex> by_ip_;
  std::map<std::string, std::vector<Endpoint>> names_;
  std::function<bool(NodeIndex, NodeIndex, Bytes)> filter_;
  Outbound outbound_;
  Inbound inbound_;
  Route route_;
  std::function<void(const Event&)> on_event_;
  std::map<std::pair<NodeIndex, OpId>, std::string> op_bytes_;
  std::function<void(NodeIndex, std::string_view, absl::Span<const TraceField>)> on_trace_;
  std::vector<Event> events_;
  Counters counters_;
  Outbox outbox_;
  MemStreams streams_{this};
};

}  // namespace orchard
