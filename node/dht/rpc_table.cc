// Learning nodes from what arrives, and keeping the table fresh.

#include <algorithm>

#include "node/dht/rpc_state.h"
#include "node/dht/trace_events.h"

namespace orchard::dht {

using Slot = RoutingTable::Slot;

bool Rpc::State::Vetoed(Ipv4Address a) const {
  return std::any_of(config.vetoed.begin(), config.vetoed.end(),
                     [&](Ipv4Address v) { return v.host == a.host && (v.port == 0 || v.port == a.port); });
}

bool Rpc::State::ValidId(Ipv4Address from, const Key32& id) const {
  // Whoever is in the table was checked before.
  Slot s = table.Find(from, id);
  return (s != RoutingTable::kNone && table[s].id == id) || IdOf(from) == id;
}

void Rpc::State::Learn(Turn& turn, News& news, bool sample, bool response, Ipv4Address from, const std::optional<Key32>& id,
                       Ipv4Address to) {
  if (Vetoed(from)) return;
  if (!id.has_value()) {
    // The first answers come from roots that may not know their own address yet; a few are believed. A root itself has
    // nobody but its first visitors to tell it where it is.
    const bool root = config.bootstrap && ephemeral;
    if (!sample || !(response || (root && to.port == mux.local(udx::SocketRole::kServer).port))) return;
    size_t most = root ? kWitnessesMax : std::max<size_t>(1, config.roots.size());
    if (witnesses.size() >= most || std::find(witnesses.begin(), witnesses.end(), from) != witnesses.end()) return;
    witnesses.push_back(from);
    return NatAdd(turn, news, to);
  }
  Slot s = table.Find(from, *id);
  if (s == RoutingTable::kNone) return AddNode(turn, news, {from, *id}, sample ? &to : nullptr);
  RoutingTable::Entry& e = table[s];
  e.pinged = e.seen = tick;
  table.Touch(s);
  if (sample && (e.sampled == 0 || tick - e.sampled >= kOldTicks)) {
    e.sampled = tick;
    NatAdd(turn, news, to);
  }
}

void Rpc::State::AddNode(Turn& turn, News& news, const Contact& node, const Ipv4Address* told) {
  Slot s;
  switch (table.Add(node, tick, &s)) {
    case RoutingTable::Added::kSelf:
    case RoutingTable::Added::kKnown: return;
    case RoutingTable::Added::kRowFull: return TrySwap(turn, node);
    case RoutingTable::Added::kYes: break;
  }
  ++stats.added;
  healer.OnBack(node.address);
  news.push_back(NodeAdded{node});
  if (told != nullptr) {
    table[s].sampled = tick;
    NatAdd(turn, news, *told);
  }
}

void Rpc::State::RemoveNode(News& news, Slot slot, bool lost) {
  Contact c{table[slot].address(), table[slot].id};
  table.Remove(slot);
  ++stats.removed;
  if (lost && config.heal_partitions) healer.OnLost(c.address);
  news.push_back(NodeRemoved{c});
}

void Rpc::State::NatAdd(Turn& turn, News& news, Ipv4Address told) {
  std::optional<uint32_t> host = nat.host();
  uint16_t port = nat.port();
  nat.Add(told);
  if (host == nat.host() && port == nat.port()) return;
  news.push_back(NatUpdate{nat.host(), nat.port()});
  CheckRootAddress(turn, news);
}

// A full row: its oldest node must prove that it is alive, or it makes room.
void Rpc::State::TrySwap(Turn& turn, const Contact& newcomer) {
  if (!bootstrapped || swaps >= kSwapsMax) return;
  Slot oldest = RoutingTable::kNone;
  table.Row(newcomer.id, [&](Slot s) {
    if (table[s].pinged == tick) return;
    if (oldest == RoutingTable::kNone || table[oldest].pinged > table[s].pinged ||
        (table[oldest].pinged == table[s].pinged && table[oldest].added > table[s].added)) {
      oldest = s;
    }
  });
  if (oldest == RoutingTable::kNone) return;
  RoutingTable::Entry& e = table[oldest];
  // Old and well: the best kind. Among the young, whoever was heard within the minute is as good as the newcomer; the
  // deployed code doubts them all the same, which in a young network is four of ten messages.
  if (tick - e.pinged < kRecentTicks && (config.calm_swaps || tick - e.added > kOldTicks)) return;
  e.pinged = tick;
  if (SendPing(turn, e.address(), {.purpose = Purpose::kSwap, .a = e.seen, .other = newcomer.address})) ++swaps;
}

void Rpc::State::StartCheck(Turn& turn, Slot slot) {
  RoutingTable::Entry& e = table[slot];
  e.pinged = tick;
  if (SendPing(turn, e.address(), {.purpose = Purpose::kCheck, .a = e.seen})) ++checks;
}

void Rpc::State::OnChecked(Turn& turn, News& news, const Pending& p, const Response* r) {
  --(p.purpose == Purpose::kSwap ? swaps : checks);
  Slot s = table.Find(p.to, IdOf(p.to));
  // It must answer under its id. (The source compares ticks, and so drops a node that was heard, doubted and answered
  // within one tick.)
  const bool alive = r != nullptr && r->from == p.to && r->from_id.has_value();
  if (alive || (s != RoutingTable::kNone && table[s].seen > p.a)) return;
  if (s != RoutingTable::kNone) RemoveNode(news, s, /*lost=*/r == nullptr);
  if (p.purpose == Purpose::kSwap) AddNode(turn, news, {p.other, IdOf(p.other)}, nullptr);
}

void Rpc::State::PingSome(Turn& turn, News& news) {
  size_t count = requests.size() > 2 ? 3 : 5;
  Slot s = table.oldest();
  if (s == RoutingTable::kNone) return Refresh(turn, news);
  if (tick - table[s].pinged < kRecentTicks) count = 2;
  for (; count > 0 && s != RoutingTable::kNone && table[s].pinged != tick; --count) {
    Slot next = table[s].newer;
    StartCheck(turn, s);
    s = next;
  }
}

void Rpc::State::Refresh(Turn& turn, News& news) {
  Slot s = table.Random(turn.rng);
  StartBackground(turn, news, s == RoutingTable::kNone ? table.self() : table[s].id, Kind::kBackground);
}

void Rpc::State::OnWakeUp(Turn& turn, News& news) {
  tick += 2 * kOldTicks;            // Everything appears old.
  tick += 8 - (tick & 7) - 2;       // Pings start in two ticks.
  stable_ticks = kMoreStableTicks, refresh_ticks = 1;
  last_host.reset();
  healer.OnOnlineAgain();
  if (health.Reset()) news.push_back(NetworkUpdate{true, false});
  if (adaptive && !ephemeral) {
    ephemeral = true;
    turn.trace.Add(trace::Ephemeral{table.size()});
    news.push_back(BecameEphemeral{});
  }
  news.push_back(WokeUp{});
}

void Rpc::State::OnTick(Turn& turn, News& news) {
  if (turn.now - last_tick > kSleepGap) {
    OnWakeUp(turn, news);
  } else {
    ++tick;
  }
  last_tick = turn.now, tick_at = turn.now + kTickInterval;
  if (!bootstrapped) return TraceTick(turn);

  if (adaptive && ephemeral && --stable_ticks <= 0) {
    if (last_host == nat.host()) {
      stable_ticks = kMoreStableTicks;  // The same network need not be checked again.
    } else {
      CheckNetwork(turn, news, /*only_firewall=*/false, Origin::kTick);
    }
  }
  if (force_persistent && ephemeral && probe == nullptr && --probe_retry_ticks <= 0) {
    probe_retry_wait = std::min(2 * probe_retry_wait, kProbeRetryTicksMax);
    probe_retry_ticks = probe_retry_wait;
    CheckNetwork(turn, news, /*only_firewall=*/false, Origin::kTick);
  }
  if ((tick & 7) == 0) PingSome(turn, news);
  if (((tick & 63) == 0 && table.size() < RoutingTable::kRowNodes) || --refresh_ticks <= 0) Refresh(turn, news);
  hints = 0;

  const bool was_well = health.online() && !health.degraded();
  if (health.OnTick(stats.responses, stats.timeouts - knock_timeouts)) {
    if (!was_well && health.online() && !health.degraded()) healer.OnOnlineAgain();
    news.push_back(NetworkUpdate{health.online(), health.degraded()});
  }
  if (config.heal_partitions) Heal(turn, news, healer.OnTick(table.size(), !config.roots.empty()));
  if (config.cache && --cache_ticks <= 0) cache_ticks = kCacheTicks, SaveCache(turn);
  TraceTick(turn);
}

void Rpc::State::Heal(Turn& turn, News& news, const Healer::Round& round) {
  if (!round.ask_roots && !round.ping_root && round.pings.empty()) return;
  std::vector<Ipv4Address> known = RootAddresses();
  for (Ipv4Address a : round.pings) SendPing(turn, a, {.purpose = Purpose::kRevive, .retries = 0, .a = 0});
  if (round.ping_root && !known.empty()) {
    SendPing(turn, known[next_root++ % known.size()], {.purpose = Purpose::kRevive, .retries = 0, .a = 1});
  }
  if (!round.ask_roots) return;
  ++stats.heals;
  turn.trace.Add(trace::Heal{table.size(), healer.lost(), healer.contact()});
  std::vector<Contact> seeds;
  for (Ipv4Address a : known) seeds.push_back({a, IdOf(a)});
  StartBackground(turn, news, table.self(), Kind::kBackground, seeds);
}

void Rpc::State::TraceTick(Turn& turn) {
  turn.trace.Add(trace::Table{.nodes = table.size(), .lost = healer.lost(), .added = stats.added, .removed = stats.removed,
                              .online = health.online(), .degraded = health.degraded()});
  turn.trace.Add(trace::Stats{.requests = stats.requests, .responses = stats.responses, .timeouts = stats.timeouts,
                              .retries = stats.retries, .ping = stats.ping_sent, .find_node = stats.find_node_sent,
                              .down_hint = stats.down_hint_sent, .ping_nat = stats.ping_nat_sent, .user = stats.user_sent,
                              .received = stats.requests_received});
}

}  // namespace orchard::dht
