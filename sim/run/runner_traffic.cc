#include "sim/run/runner_traffic.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "node/dht/message.h"
#include "sim/world/wire.h"

namespace orchard::sim {
namespace {

constexpr size_t kHeadBytes = 4;  // Of a DHT message: version and kind, flags, transaction (little endian).

struct Message {
  bool request = false, response = false;
  uint16_t tid = 0;
};

Message Look(Bytes packet) {
  if (packet.size() < kHeaders + kHeadBytes || Protocol(packet.data()) != kUdp) return {};
  const uint8_t* p = packet.data() + kHeaders;
  return {p[0] == dht::kRequestByte, p[0] == dht::kResponseByte, uint16_t(p[2] | p[3] << 8)};
}

// What keeps two hosts apart, as opposed to bad luck or a busy link.
bool KeepsApart(std::string_view why) {
  return why == "partition" || why == "firewall" || why == "no-route" || why.starts_with("nat-");
}

// The causes live as long as the program, whatever the drop's text does.
std::string_view CauseOf(std::string_view why) {
  for (std::string_view known : {"partition", "firewall", "no-route", "nat-filter", "nat-unmapped", "nat-full", "nat-blocked", "nat-hairpin", "down",
                                 "no-socket"}) {
    if (why == known) return known;
  }
  return {};
}

}  // namespace

void TimeBins::Add(Duration d) {
  const uint64_t ns = uint64_t(std::max<int64_t>(d.count(), 0));
  const int octave = std::clamp(int(std::bit_width(ns)) - 1 - kLeast, 0, kOctaves - 1);
  const uint64_t within = std::min<uint64_t>(ns >> (octave + kLeast - 3), 15);  // 8 to 15 inside the octave.
  ++bins_[size_t(octave) * 8 + (within < 8 ? 0 : within - 8)], ++count_;
}

Duration TimeBins::Median() const {
  uint64_t before = 0;
  for (size_t i = 0; i < bins_.size(); ++i) {
    before += bins_[i];
    if (before * 2 >= count_ && before > 0) return Duration(int64_t((2 * (8 + i % 8) + 1) << (i / 8 + kLeast - 4)));
  }
  return {};
}

Traffic::Traffic(const Plan& plan) : hosts_(plan.world.hosts) {
  for (HostIndex h = 0; h < hosts_.size(); ++h) by_id_.emplace(hosts_[h].id, h);
  for (const HostPlan& h : hosts_) {
    Class c{h.region, h.nat_label};
    auto it = std::find(classes_.begin(), classes_.end(), c);
    if (it == classes_.end() && classes_.size() + 1 >= kClassesMax) {  // The last one takes whatever is left.
      c = {"", "other"};
      it = std::find(classes_.begin(), classes_.end(), c);
    }
    class_of_.push_back(uint16_t(it - classes_.begin()));
    if (it == classes_.end()) classes_.push_back(std::move(c));
  }
  class_pairs_.resize(Triangle(classes_.size(), 0));
  if (hosts_.size() <= kHostsPaired) pairs_.resize(Triangle(hosts_.size(), 0));
  if (hosts_.size() <= kHostsTimed) pair_times_.resize(pairs_.size());
}

void Traffic::Address(uint32_t public_address, HostIndex host) {
  auto [it, added] = by_address_.try_emplace(public_address, host);
  if (!added && it->second != host) it->second = kNoHost;  // A carrier's: it does not say who is meant.
}

void Traffic::Sent(HostIndex from, Bytes packet, Instant now) {
  const Message m = Look(packet);
  // In a large world one request in 64 is timed, which is plenty.
  if (!m.request || (hosts_.size() > kHostsAllTimed && (m.tid & 63) != 0)) return;
  if (waiting_.size() >= kWaitingMax) waiting_.clear();  // Of requests that nobody answered.
  waiting_[uint64_t(from) << 16 | m.tid] = now;
}

void Traffic::Arrived(HostIndex from, HostIndex to, Bytes packet, Instant now) {
  if (from == kNoHost) return;
  const Message m = Look(packet);
  if (m.request) ++class_pairs_[Triangle(class_of_[from], class_of_[to])].asked;
  if (m.response) Answer(to, from, m.tid, now);
}

void Traffic::Answer(HostIndex asker, HostIndex answerer, uint16_t tid, Instant now) {
  ClassPair& c = class_pairs_[Triangle(class_of_[asker], class_of_[answerer])];
  ++c.answered;
  const size_t pair = Triangle(asker, answerer);
  if (!pairs_.empty()) {
    Pair& p = pairs_[pair];
    const uint32_t ms = uint32_t(now.time_since_epoch() / std::chrono::milliseconds(1));
    if (p.answered++ == 0) p.first_ms = ms;
    p.last_ms = ms;
  }
  if (hosts_.size() > kHostsAllTimed && (tid & 63) != 0) return;
  auto it = waiting_.find(uint64_t(asker) << 16 | tid);
  if (it == waiting_.end()) return;
  const Duration took = now - it->second;
  waiting_.erase(it);
  if (!pair_times_.empty()) pair_times_[pair].Add(took);
  if (c.times == 0 && times_.size() < kTimedClassPairs) times_.emplace_back(), c.times = uint32_t(times_.size());
  if (c.times != 0) times_[c.times - 1].Add(took);
}

// The host that a packet was meant for: it, or its own box, dropped the packet; else whose public address it bears.
HostIndex Traffic::Target(const Drop& drop) const {
  auto named = by_id_.find(drop.where.substr(0, drop.where.find_first_of("/[")));
  if (named != by_id_.end() && named->second != drop.from) return named->second;
  if (drop.packet.size() < kHeaders) return kNoHost;
  auto it = by_address_.find(sim::Target(drop.packet.data()).ip);
  return it == by_address_.end() ? kNoHost : it->second;
}

void Traffic::Dropped(const Drop& drop) {
  if (drop.from == kNoHost) return;
  const Message m = Look(drop.packet);
  const std::string_view cause = CauseOf(drop.why);
  if (!m.request && cause.empty()) return;
  const HostIndex to = Target(drop);
  if (m.request && to != kNoHost) ++class_pairs_[Triangle(class_of_[drop.from], class_of_[to])].asked;
  if (cause.empty()) return;
  if (!pairs_.empty() && to != kNoHost && to != drop.from && KeepsApart(cause)) ++pairs_[Triangle(drop.from, to)].refused;
  const bool few = hosts_.size() <= 24;
  auto name = [&](HostIndex h) { return few || hosts_[h].group.empty() ? hosts_[h].id : hosts_[h].group; };
  std::string box(drop.where.find('@') == std::string_view::npos ? std::string_view("nobody's address") : drop.where);
  auto key = std::tuple(name(drop.from), to == kNoHost ? std::move(box) : name(to), cause);
  auto it = failures_.find(key);
  if (it != failures_.end()) ++it->second;
  else if (failures_.size() < kFailuresMax) failures_.emplace(std::move(key), 1);
}

std::vector<Traffic::Flow> Traffic::Flows() const {
  std::vector<Flow> out;
  for (size_t b = 0; b < classes_.size(); ++b) {
    for (size_t a = 0; a <= b; ++a) {
      const ClassPair& p = class_pairs_[Triangle(a, b)];
      // A fault that duplicates packets may have made more answers than questions.
      if (p.asked + p.answered > 0) {
        out.push_back({classes_[a], classes_[b], std::max(p.asked, p.answered), p.answered, p.times == 0 ? nullptr : &times_[p.times - 1]});
      }
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const Flow& x, const Flow& y) { return x.asked > y.asked; });
  return out;
}

std::vector<Traffic::Edge> Traffic::Edges() const {
  std::vector<Edge> out;
  auto at = [](uint32_t ms) { return Instant(std::chrono::milliseconds(ms)); };
  for (HostIndex b = 0; b < hosts_.size() && !pairs_.empty(); ++b) {
    for (HostIndex a = 0; a < b; ++a) {
      const Pair& p = pairs_[Triangle(a, b)];
      if (p.answered + p.refused == 0) continue;
      const bool timed = !pair_times_.empty() && pair_times_[Triangle(a, b)].count() > 0;
      out.push_back({a, b, p.answered, p.refused, at(p.first_ms), at(p.last_ms), timed ? &pair_times_[Triangle(a, b)] : nullptr});
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const Edge& x, const Edge& y) {
    if ((x.answered == 0) != (y.answered == 0)) return x.answered == 0;
    return x.answered != y.answered ? x.answered > y.answered : x.refused > y.refused;
  });
  return out;
}

std::vector<Traffic::Failure> Traffic::Failures() const {
  std::vector<Failure> out;
  for (const auto& [key, count] : failures_) out.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), count});
  std::stable_sort(out.begin(), out.end(), [](const Failure& x, const Failure& y) { return x.count > y.count; });
  return out;
}

}  // namespace orchard::sim
