#include "sim/world/core.h"

#include <algorithm>
#include <limits>
#include <string>

#include "node/base/check.h"
#include "ns3/object-factory.h"
#include "sim/world/wire.h"

namespace orchard::sim {
namespace {

constexpr int64_t kFar = std::numeric_limits<int64_t>::max();

}  // namespace

Bytes CopyBytes(const Frame& frame, uint8_t* buffer) {
  const uint32_t size = frame.packet->CopyData(buffer, kPacketMax);
  if (size >= kIpHeader && Ttl(buffer) != frame.ttl) WriteTtl(buffer, frame.ttl);
  return {buffer, size};
}

Frame MakeFrame(Bytes bytes, HostIndex from, uint8_t boxes) {
  return {ns3::Create<ns3::Packet>(bytes.data(), uint32_t(bytes.size())), Read32(bytes.data() + 16), from,
          Ttl(bytes.data()), boxes};
}

uint64_t Cuts::Partition(const std::vector<std::vector<HostIndex>>& groups, size_t hosts) {
  Cut& cut = cuts_[next_];
  cut.group.assign(hosts, 0);
  for (size_t g = 0; g < groups.size(); ++g) {
    for (HostIndex h : groups[g]) cut.group.at(h) = uint32_t(g);
  }
  return next_++;
}

uint64_t Cuts::OneWay(const std::vector<HostIndex>& from, const std::vector<HostIndex>& to, size_t hosts) {
  Cut& cut = cuts_[next_];
  cut.side.assign(hosts, 0);
  for (HostIndex h : from) cut.side.at(h) |= 1;
  for (HostIndex h : to) cut.side.at(h) |= 2;
  return next_++;
}

bool Cuts::Search(HostIndex from, HostIndex to) const {
  if (from == to) return false;
  for (const auto& [ticket, cut] : cuts_) {
    if (cut.group.empty() ? (cut.side[from] & 1) != 0 && (cut.side[to] & 2) != 0 : cut.group[from] != cut.group[to]) return true;
  }
  return false;
}

Core::Core(uint64_t s, Observer* o, std::string_view scheduler)
    : seed(s), observer(o), wants_packets(o != nullptr && o->wants_packets()), act_armed_at_(kFar) {
  if (scheduler.empty()) {
    auto loop = ns3::CreateObject<Loop>();
    ns3::Simulator::SetImplementation(loop);
    loop_ = ns3::PeekPointer(loop);
  } else {
    ns3::ObjectFactory factory;
    factory.SetTypeId(std::string(scheduler));
    ns3::Simulator::SetScheduler(factory);
  }
  // Every ns3::Time that is made before the first run goes into a global set; from now on they are free.
  ns3::Simulator::Run();
}

Core::~Core() { ns3::Simulator::Destroy(); }

void Core::At(int64_t when, std::function<void()> act) {
  CHECK_GE(when, now_);
  acts_.emplace(std::pair(when, next_act_++), std::move(act));
  special_at_ = std::min(special_at_, when);
  ArmAct();
}

void Core::ArmAct() {
  if (acts_.empty() || acts_.begin()->first.first >= act_armed_at_) return;
  const int64_t when = acts_.begin()->first.first;
  act_armed_at_ = when;
  After(when - now_, [this, when] {
    if (act_armed_at_ == when) act_armed_at_ = kFar;
    ArmAct();
  });
}

void Core::Special() {
  while (now_ >= next_second_) {
    if (on_second_) on_second_(next_second_ / 1'000'000'000);
    next_second_ += 1'000'000'000;
  }
  while (!acts_.empty() && acts_.begin()->first.first <= now_ && !stop_requested_) {
    auto act = acts_.extract(acts_.begin());
    act.mapped()();
  }
  special_at_ = std::min(next_second_, acts_.empty() ? kFar : acts_.begin()->first.first);
  ArmAct();
}

void Core::RunUntil(int64_t end) {
  CHECK_GE(end, now_);
  stop_requested_ = false;
  const uint64_t run = ++runs_;
  ended_ = false;
  After(end - now_, [this, run] {
    if (run == runs_) ended_ = true, ns3::Simulator::Stop();  // Else the end of a run that an act has stopped.
  });
  while (!ended_ && !stop_requested_) ns3::Simulator::Run();
}

void Core::Dropped(const Frame& frame, std::string_view why, std::string_view where) {
  ++totals.drops;
  if (observer == nullptr) return;
  uint8_t buffer[kPacketMax];
  observer->OnDrop({frame.from, why, where, CopyBytes(frame, buffer)});
}

}  // namespace orchard::sim
