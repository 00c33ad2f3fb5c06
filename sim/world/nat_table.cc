#include "sim/world/nat_table.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"

namespace orchard::sim {
namespace {

uint64_t PortKey(uint32_t address, uint16_t port) { return uint64_t(address) << 16 | port; }

}  // namespace

NatTable::NatTable(const NatSpec* spec, std::vector<uint32_t> addresses, uint64_t key)
    : spec_(spec), addresses_(std::move(addresses)), key_(key), luck_(key), next_port_(uint32_t(Mix(key + 1) % kPorts)) {
  CHECK(!addresses_.empty());
}

bool NatTable::Owns(uint32_t address) const {
  return std::find(addresses_.begin(), addresses_.end(), address) != addresses_.end();
}

Ep4 NatTable::Trim(Ep4 remote, Dependence d) {
  if (d == Dependence::kEndpointIndependent) return {};
  return d == Dependence::kAddressDependent ? Ep4{remote.ip, 0} : remote;
}

bool NatTable::Alive(const Life& life, int64_t now) const {
  return now < life.last + (life.answered && !life.closing ? spec_->idle : spec_->idle_first).count();
}

bool NatTable::Alive(const Mapping& m, int64_t now) const {
  return Alive(m.life, now) && (spec_->life.count() == 0 || now < m.made + spec_->life.count());
}

// Outbound traffic always refreshes (RFC 4787 REQ-6).
void NatTable::Keep(Mapping& m, Ep4 remote, int64_t now, FlowMark mark) {
  m.life.last = now;
  m.life.Note(mark);  // Of a mapping that several connections share: what the last of them said.
  if (!HasSessions()) return;
  if (m.sessions == nullptr) m.sessions = std::make_unique<absl::flat_hash_map<uint64_t, Life>>();
  if (m.sessions->size() == m.sessions->capacity() * 7 / 8) {  // About to grow: forget those that are over.
    absl::erase_if(*m.sessions, [&](const auto& s) { return !Alive(s.second, now); });
  }
  Life& session = (*m.sessions)[Trim(remote, spec_->filtering).packed()];
  if (!Alive(session, now)) session.answered = false;
  session.last = now;
  session.Note(mark);
}

bool NatTable::Permits(const Mapping& m, Ep4 remote, int64_t now) const {
  if (spec_->filtering == Dependence::kEndpointIndependent) return true;
  if (!HasSessions()) return Trim(m.remote, spec_->filtering) == Trim(remote, spec_->filtering);
  auto it = m.sessions->find(Trim(remote, spec_->filtering).packed());
  return it != m.sessions->end() && Alive(it->second, now);
}

NatSpec NatTable::TcpSpec(const NatSpec& spec) {
  NatSpec tcp = spec;
  tcp.udp_blocked = false;
  tcp.idle = std::chrono::seconds(7440), tcp.idle_first = std::chrono::seconds(240);
  tcp.refresh_inbound = true;
  return tcp;
}

NatResult NatTable::Outbound(int64_t now, Ep4 inside, Ep4 remote, FlowMark mark) {
  if (spec_->udp_blocked) return {NatVerdict::kBlocked};
  const OutKey key{inside, Trim(remote, spec_->mapping)};
  auto it = by_inside_.find(key);
  uint32_t slot = it == by_inside_.end() ? kNone : it->second;
  if (slot != kNone && !Alive(slots_[slot], now)) Erase(slot), slot = kNone;
  if (slot == kNone) slot = Make(now, inside, remote);
  if (slot == kNone) return ++counts_.refused, NatResult{NatVerdict::kFull};
  Mapping& m = slots_[slot];
  Keep(m, remote, now, mark);
  return {NatVerdict::kOk, {addresses_[m.address], m.port}};
}

NatResult NatTable::Inbound(int64_t now, Ep4 outside, Ep4 remote, FlowMark mark) {
  if (spec_->udp_blocked) return {NatVerdict::kBlocked};
  auto address = std::find(addresses_.begin(), addresses_.end(), outside.ip);
  auto it = address == addresses_.end() ? by_port_.end()
                                        : by_port_.find(PortKey(uint32_t(address - addresses_.begin()), outside.port));
  // All mappings at a port belong to one inside endpoint. The one made for this remote answers; else any that permits it.
  uint32_t chosen = kNone;
  bool exact = false, any = false;
  for (uint32_t slot = it == by_port_.end() ? kNone : it->second, next; slot != kNone; slot = next) {
    next = slots_[slot].next;
    if (!Alive(slots_[slot], now)) {
      Erase(slot);
      continue;
    }
    any = true;
    const bool is_exact = slots_[slot].remote == Trim(remote, spec_->mapping);
    if ((chosen == kNone || (is_exact && !exact)) && Permits(slots_[slot], remote, now)) chosen = slot, exact = is_exact;
  }
  if (chosen == kNone) {
    ++(any ? counts_.filtered : counts_.unmapped);
    return {any ? NatVerdict::kFiltered : NatVerdict::kUnmapped};
  }
  Mapping& m = slots_[chosen];
  m.life.answered = true;
  m.life.Note(mark);
  if (spec_->refresh_inbound) m.life.last = now;
  if (m.sessions != nullptr) {
    Life& session = m.sessions->at(Trim(remote, spec_->filtering).packed());
    session.answered = true;
    session.Note(mark);
    if (spec_->refresh_inbound) session.last = now;
  }
  return {NatVerdict::kOk, m.inside};
}

uint32_t NatTable::Make(int64_t now, Ep4 inside, Ep4 remote) {
  if (!MakeRoom(now)) return kNone;
  const uint32_t address = Pair(inside.ip);
  const uint16_t port = ChoosePort(now, inside, address);
  if (port == 0) return kNone;
  uint32_t slot;
  if (unused_.empty()) {
    slot = uint32_t(slots_.size());
    slots_.emplace_back();
  } else {
    slot = unused_.back();
    unused_.pop_back();
  }
  Mapping& m = slots_[slot];
  m.inside = inside, m.remote = Trim(remote, spec_->mapping), m.address = address, m.port = port, m.used = true;
  m.life = {now, false}, m.made = now, m.number = ++counts_.made;
  auto [first, fresh] = by_port_.try_emplace(PortKey(address, port), slot);
  m.next = fresh ? kNone : std::exchange(first->second, slot);
  by_inside_[{inside, m.remote}] = slot;
  if (spec_->ports == PortChoice::kBlock) ++subscribers_[inside.ip].live;
  ++live_;
  return slot;
}

void NatTable::Erase(uint32_t slot) {
  Mapping& m = slots_[slot];
  by_inside_.erase({m.inside, m.remote});
  auto first = by_port_.find(PortKey(m.address, m.port));
  for (uint32_t* link = &first->second; ; link = &slots_[*link].next) {
    if (*link != slot) continue;
    *link = m.next;
    break;
  }
  if (first->second == kNone) by_port_.erase(first);
  if (spec_->ports == PortChoice::kBlock) --subscribers_[m.inside.ip].live;
  m = Mapping();
  unused_.push_back(slot);
  --live_;
}

void NatTable::Sweep(int64_t now) {
  for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].used && !Alive(slots_[slot], now)) Erase(slot);
  }
  sweep_at_ = std::max<size_t>(64, 2 * live_);
}

bool NatTable::MakeRoom(int64_t now) {
  if (live_ >= sweep_at_) Sweep(now);
  if (spec_->max_mappings == 0 || live_ < spec_->max_mappings) return true;
  Sweep(now);
  if (live_ < spec_->max_mappings) return true;
  if (spec_->when_full == WhenFull::kRefuse) return false;
  uint32_t oldest = kNone;
  auto order = [&](uint32_t s) { return std::pair(slots_[s].life.last, slots_[s].number); };
  for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].used && (oldest == kNone || order(slot) < order(oldest))) oldest = slot;
  }
  Erase(oldest);
  ++counts_.evicted;
  return true;
}

// One port serves one inside endpoint (RFC 4787 REQ-3: no overloading); where mappings depend on the remote and keep the
// inside port, all mappings of that endpoint share it, as Linux masquerading does.
bool NatTable::IsFree(int64_t now, Ep4 inside, uint32_t address, uint16_t port) {
  auto it = by_port_.find(PortKey(address, port));
  if (it == by_port_.end()) return true;
  if (spec_->ports == PortChoice::kPreserve && slots_[it->second].inside == inside) return true;
  for (uint32_t slot = it->second, next; slot != kNone; slot = next) {
    next = slots_[slot].next;
    if (Alive(slots_[slot], now)) return false;
    Erase(slot);
  }
  return true;
}

uint16_t NatTable::ScanFrom(int64_t now, Ep4 inside, uint32_t address, uint32_t low, uint32_t count, uint32_t start) {
  auto avoided = avoid_.find(inside.packed());
  for (uint32_t i = 0; i < count; ++i) {
    const uint16_t port = uint16_t(low + (start + i) % count);
    if (avoided != avoid_.end() && avoided->second == port) continue;
    if (!IsFree(now, inside, address, port)) continue;
    next_port_ = (port - kPortLow + 1) % kPorts;
    return port;
  }
  return 0;
}

uint16_t NatTable::ChoosePort(int64_t now, Ep4 inside, uint32_t address) {
  switch (spec_->ports) {
    case PortChoice::kPreserve: {
      auto avoided = avoid_.find(inside.packed());
      const bool taken_away = avoided != avoid_.end() && avoided->second == inside.port;
      if (!taken_away && inside.port != 0 && IsFree(now, inside, address, inside.port)) return inside.port;
      break;
    }
    case PortChoice::kSequential: break;
    case PortChoice::kRandom: return ScanFrom(now, inside, address, kPortLow, kPorts, uint32_t(luck_.Below(kPorts)));
    case PortChoice::kBlock: {
      if (!FindBlock(now, inside.ip, address)) return 0;
      const uint32_t size = spec_->block_ports, low = kPortLow + subscribers_[inside.ip].block * size;
      return ScanFrom(now, inside, address, low, size, uint32_t(luck_.Below(size)));
    }
  }
  // Next after the last one given; a port that could not be preserved is replaced by any.
  const uint32_t start = spec_->ports == PortChoice::kPreserve ? uint32_t(luck_.Below(kPorts)) : next_port_;
  return ScanFrom(now, inside, address, kPortLow, kPorts, start);
}

// A subscriber keeps its block while it has mappings, and after that until another needs it (RFC 6888 §3, RFC 6269).
bool NatTable::FindBlock(int64_t now, uint32_t inside, uint32_t address) {
  const uint32_t count = kPorts / std::max(1u, spec_->block_ports);
  if (subscribers_.contains(inside)) return true;
  if (count == 0) return false;
  const uint32_t start = uint32_t(Mix(key_ ^ Mix(inside + 1)) % count);
  for (int pass = 0; pass < 2; ++pass) {
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t block = (start + i) % count;
      auto [owner, fresh] = blocks_.try_emplace(uint64_t(address) << 32 | block, inside);
      if (!fresh) {
        if (pass == 0 || subscribers_[owner->second].live > 0) continue;
        subscribers_.erase(owner->second);
        owner->second = inside;
      }
      subscribers_[inside] = {block, 0};
      return true;
    }
    Sweep(now);
  }
  return false;
}

void NatTable::Remap(uint32_t share_ppm) {
  avoid_.clear();
  for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (!slots_[slot].used || !luck_.Chance(share_ppm)) continue;
    avoid_[slots_[slot].inside.packed()] = slots_[slot].port;
    Erase(slot);
  }
}

void NatTable::Flush() {
  slots_.clear(), unused_.clear(), by_inside_.clear(), by_port_.clear(), avoid_.clear();
  subscribers_.clear(), blocks_.clear();
  live_ = 0;
}

void NatTable::set_addresses(std::vector<uint32_t> addresses) {
  CHECK_EQ(addresses.size(), addresses_.size());
  addresses_ = std::move(addresses);
}

bool NatTable::Find(int64_t now, Ep4 inside, Ep4 remote, Ep4* outside) const {
  auto it = by_inside_.find({inside, Trim(remote, spec_->mapping)});
  if (it == by_inside_.end() || !Alive(slots_[it->second], now)) return false;
  *outside = {addresses_[slots_[it->second].address], slots_[it->second].port};
  return true;
}

}  // namespace orchard::sim
