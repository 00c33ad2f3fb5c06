// Joining: the first queries, the way to persistence, the roots, and what one life leaves to the next.

#include <algorithm>
#include <utility>

#include "node/dht/rpc_state.h"
#include "node/dht/trace_events.h"
#include "node/wire/reader.h"

namespace orchard::dht {
namespace {

constexpr std::string_view kCacheKey = "dht/nodes";  // Six bytes per node, the latest heard first.

}  // namespace

void Rpc::State::OnOpen(Turn& turn, News& news) {
  requests.OnOpen(turn, mux, AskingSocket());
  const Endpoint& server = mux.local(udx::SocketRole::kServer);
  news.push_back(Listening{server, mux.local(udx::SocketRole::kClient)});
  // A root that is bound to one address needs nobody to tell it.
  if (config.bootstrap && config.host.is_v4() && config.host.v4() != 0) NatAdd(turn, news, {config.host.v4(), server.port});
  step = Step::kFirstQuery;
  quick_probe = firewalled && !force_persistent;
  std::vector<Contact> seeds = config.cache ? LoadCache(turn) : std::vector<Contact>();
  StartBackground(turn, news, table.self(), Kind::kBootstrap, seeds);
}

// The first to answer is asked to knock at our server socket too. If it gets through before the query is over, the firewall
// is tested now instead of in 20 minutes.
void Rpc::State::OnBootstrapReply(Turn& turn, const Response& r) {
  if (!quick_probe) return;
  quick_probe = false;
  SendPingNat(turn, r.from, {.purpose = Purpose::kQuickProbe, .evict = r.from_id.has_value()});
}

void Rpc::State::OnBootstrapQueryDone(Turn& turn, News& news) {
  quick_probe = false;
  // All whom we remembered are gone, and the roots' names were not known in time: now they are waited for.
  if (std::exchange(hurried, false) && !answered) return StartBackground(turn, news, table.self(), Kind::kBootstrap);
  walked = true;
  MaybeTraceJoined(turn);
  if (step == Step::kSecondQuery || (!nat_tested && !force_persistent)) return OnReady(turn, news);
  step = Step::kProbing;
  Check check = CheckNetwork(turn, news, /*only_firewall=*/!force_persistent, Origin::kBootstrap);
  if (check != Check::kPending) OnChecked(turn, news, Origin::kBootstrap, check == Check::kPassed);
}

void Rpc::State::OnChecked(Turn& turn, News& news, Origin origin, bool passed) {
  if (origin != Origin::kBootstrap) return;
  if (!passed) return OnReady(turn, news);
  step = Step::kSecondQuery;  // With the new id.
  StartBackground(turn, news, table.self(), Kind::kBootstrap);
}

void Rpc::State::OnReady(Turn& turn, News& news) {
  step = Step::kReady, bootstrapped = true;
  news.push_back(Bootstrapped{});
  if (config.cache && table.size() > 0) SaveCache(turn);
}

// A lone root has joined nothing yet.
void Rpc::State::MaybeTraceJoined(Turn& turn) {
  if (traced_joined || !walked || !answered) return;
  traced_joined = true;
  turn.trace.Add(trace::Joined{.ms = uint64_t(ToMillis(turn.now - started)), .nodes = table.size()});
}

Rpc::State::Check Rpc::State::CheckNetwork(Turn& turn, News& news, bool only_firewall, Origin origin) {
  if (!ephemeral || (only_firewall && !firewalled) || probe != nullptr) return Check::kFailed;
  if (!only_firewall) stable_ticks = kMoreStableTicks, last_host = nat.host();
  if (!nat.host().has_value() || nat.port() == 0) return Check::kFailed;
  const Ipv4Address seen_as{*nat.host(), nat.port()};
  if (!firewalled) return Conclude(turn, news, only_firewall, seen_as, nullptr) ? Check::kPassed : Check::kFailed;

  // Ask others to answer at the server socket.
  std::vector<std::pair<Ipv4Address, bool>> nodes;
  for (RoutingTable::Slot s = table.latest(); s != RoutingTable::kNone && nodes.size() < kProbeNodes; s = table[s].older) {
    nodes.push_back({table[s].address(), true});
  }
  if (nodes.size() < kProbeNodes) {
    for (Ipv4Address a : RootAddresses()) nodes.push_back({a, true});
  }
  if (nodes.empty()) return Check::kFailed;
  probe = std::make_unique<Probe>(Probe{.only_firewall = only_firewall, .origin = origin, .seen_as = seen_as});
  for (auto [address, evict] : nodes) {
    if (SendPingNat(turn, address, {.purpose = Purpose::kProbe, .evict = evict, .timeout = FirstTimeout()})) ++probe->asked, ++probe->missing;
  }
  if (probe->asked > 0) return Check::kPending;
  probe.reset();
  return Check::kFailed;
}

void Rpc::State::OnProbeAnswer(Turn& turn, News& news, const Response* r) {
  if (probe == nullptr) return;
  if (r != nullptr) probe->pongs.push_back({r->from, r->to});
  if (--probe->missing > 0 && !config.quick_walks) return;

  NatSampler sampler;
  uint32_t reached = 0;
  for (const auto& [from, to] : probe->pongs) {
    // Only those that came in through the server socket count.
    if (std::find(probe->server_hosts.begin(), probe->server_hosts.end(), from.host) == probe->server_hosts.end()) continue;
    ++reached;
    sampler.Add(to);
  }
  // Few answers may be a fluke. The server socket must have the host of the client socket, and the port it is bound to:
  // then its mapping is not one that a NAT made up.
  const bool open = reached >= (probe->asked >= kProbeNodes ? 3u : 1u) && sampler.host().has_value() &&
                    sampler.host() == nat.host() && sampler.port() != 0 &&
                    sampler.port() == mux.local(udx::SocketRole::kServer).port;
  if (probe->missing > 0 && !open) return;
  // Enough have said so: a silent one changes nothing.
  while (requests.TakeOf(Purpose::kProbe, 0).has_value()) continue;
  std::unique_ptr<Probe> p = std::move(probe);
  turn.trace.Add(trace::Probed{.asked = p->asked, .reached = reached, .open = open});
  OnChecked(turn, news, p->origin, open && Conclude(turn, news, p->only_firewall, p->seen_as, &sampler));
}

bool Rpc::State::Conclude(Turn& turn, News& news, bool only_firewall, Ipv4Address seen_as, const NatSampler* fresh) {
  firewalled = false;
  // Something changed while we asked.
  if (!ephemeral || nat.host() != seen_as.host || nat.port() != seen_as.port) return false;
  if (fresh != nullptr) {
    if (fresh->host() != seen_as.host || fresh->port() == 0) return false;
    std::optional<uint32_t> host = nat.host();
    uint16_t port = nat.port();
    nat = *fresh;
    witnesses.clear();
    if (host != nat.host() || port != nat.port()) news.push_back(NatUpdate{nat.host(), nat.port()});
  }
  if (!only_firewall) ephemeral = false;
  const Ipv4Address address{*nat.host(), nat.port()};
  const Key32 id = IdOf(address);
  if (table.self() != id) {
    for (const Contact& c : table.Recenter(id)) {
      ++stats.removed;
      news.push_back(NodeRemoved{c});
    }
    if (bootstrapped) Refresh(turn, news);
  }
  if (!ephemeral) {
    turn.trace.Add(trace::Persistent{.ms = uint64_t(ToMillis(turn.now - started)), .id = id, .host = address.host,
                                     .port = address.port, .nodes = table.size()});
    news.push_back(BecamePersistent{address, id});
  }
  return true;
}

// A root needs no probe: as soon as it knows where it is, it is persistent; and it follows when four or more agree that it
// is elsewhere.
void Rpc::State::CheckRootAddress(Turn& turn, News& news) {
  constexpr uint8_t kAgree = 4;
  if (!config.bootstrap || mux.binding() != udx::SocketMux::Binding::kOpen) return;
  if (!nat.host().has_value() || nat.port() == 0) return;
  const Ipv4Address seen_as{*nat.host(), nat.port()};
  if (!ephemeral && (nat.size() < kAgree || IdOf(seen_as) == table.self())) return;
  ephemeral = true;
  Conclude(turn, news, /*only_firewall=*/false, seen_as, nullptr);
}

std::vector<Ipv4Address> Rpc::State::RootAddresses() const {
  std::vector<Ipv4Address> out;
  for (const RootState& r : roots) {
    // Everyone's list of roots may name ourselves.
    if (r.address.port != 0 && (ephemeral || IdOf(r.address) != table.self())) out.push_back(r.address);
  }
  return out;
}

bool Rpc::State::ResolveRoots(Turn& turn) {
  bool known = true;
  for (size_t i = 0; i < roots.size(); ++i) {
    RootState& r = roots[i];
    if ((r.step == RootState::Step::kKnown || r.step == RootState::Step::kFailed) && turn.now < r.until) continue;
    const bool asking = r.step == RootState::Step::kPinging || r.step == RootState::Step::kResolving;
    if (!asking && config.roots[i].address.port != 0) {
      r.step = RootState::Step::kPinging;
      if (!SendPing(turn, config.roots[i].address, {.purpose = Purpose::kRoot, .a = uint32_t(i)})) ResolveName(turn, i);
    } else if (!asking) {
      ResolveName(turn, i);
    }
    known &= r.address.port != 0;  // A stale address serves while it is asked for again.
  }
  return known;
}

void Rpc::State::ResolveName(Turn& turn, size_t root) {
  roots[root].step = RootState::Step::kResolving;
  roots[root].job = JobId{kJobIdBase + ++next_job};
  turn.out.Run(roots[root].job, JobKind::kResolve, AsBytes(config.roots[root].name));
}

void Rpc::State::OnRootPinged(Turn& turn, News& news, uint32_t root, bool answered) {
  if (!answered) return ResolveName(turn, root);
  roots[root].step = RootState::Step::kKnown, roots[root].until = turn.now + kRootFresh;
  roots[root].address = config.roots[root].address;
  if (ResolveRoots(turn)) BeginOpened(turn, news);
}

bool Rpc::State::OnJobDone(Turn& turn, News& news, const JobDone& done) {
  auto r = std::find_if(roots.begin(), roots.end(), [&](const RootState& s) {
    return s.step == RootState::Step::kResolving && s.job == done.job;
  });
  if (r == roots.end()) return false;
  wire::Reader in(done.result);
  const uint32_t host = uint32_t(in.U32Be());
  if (done.status == absl::StatusCode::kOk && in.ok()) {
    r->address = {host, config.roots[size_t(r - roots.begin())].port};
    r->step = RootState::Step::kKnown, r->until = turn.now + kRootFresh;
  } else {
    // A name that was known stays usable while it cannot be asked.
    r->step = r->address.port != 0 ? RootState::Step::kKnown : RootState::Step::kFailed;
    r->until = turn.now + kRootFailed;
  }
  if (ResolveRoots(turn)) BeginOpened(turn, news);
  return true;
}

std::vector<Contact> Rpc::State::LoadCache(Turn& turn) const {
  std::vector<Contact> out;
  std::optional<Bytes> stored = turn.store.Get(AsBytes(kCacheKey));
  AddressList list(stored.value_or(Bytes{}));
  for (size_t i = 0; i < list.size() && out.size() < kCachedSeeds; ++i) {
    if (!Vetoed(list[i])) out.push_back({list[i], IdOf(list[i])});
  }
  return out;
}

void Rpc::State::SaveCache(Turn& turn) const {
  wire::Writer value;
  size_t n = 0;
  for (RoutingTable::Slot s = table.latest(); s != RoutingTable::kNone && n < kCachedNodesMax; s = table[s].older, ++n) {
    value.Ipv4(table[s].address());
  }
  if (n > 0) turn.store.Put(AsBytes(kCacheKey), value.bytes());
}

}  // namespace orchard::dht
