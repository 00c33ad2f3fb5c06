// What all parts of a world share: virtual time on ns-3's event list, who watches, who is cut off from whom, and the totals.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "node/base/outbox.h"
#include "ns3/nstime.h"
#include "ns3/packet.h"
#include "ns3/simulator.h"
#include "sim/world/loop.h"
#include "sim/world/world.h"

namespace orchard::sim {

// A packet under way, and what is known about it without looking at its bytes.
struct Frame {
  ns3::Ptr<ns3::Packet> packet;
  uint32_t to = 0;           // Its destination address.
  HostIndex from = kNoHost;  // The host that sent it first; NAT boxes hide it from everybody else.
  uint8_t ttl = 0;           // As of now; the bytes get it when somebody looks (CopyBytes).
  uint8_t boxes = 0;         // NAT boxes and routers that it has passed.
};
// Writes the packet as it is now to `buffer` of kPacketMax bytes.
Bytes CopyBytes(const Frame& frame, uint8_t* buffer);
// A packet of these bytes, from the IPv4 header on.
Frame MakeFrame(Bytes bytes, HostIndex from, uint8_t boxes = 0);

// Which hosts a cut keeps apart. Cuts overlap: one that forbids is enough.
class Cuts {
 public:
  uint64_t Partition(const std::vector<std::vector<HostIndex>>& groups, size_t hosts);
  uint64_t OneWay(const std::vector<HostIndex>& from, const std::vector<HostIndex>& to, size_t hosts);
  void Heal(uint64_t ticket) { cuts_.erase(ticket); }
  bool Apart(HostIndex from, HostIndex to) const { return !cuts_.empty() && Search(from, to); }

 private:
  struct Cut {
    std::vector<uint32_t> group;  // Partition: by host.
    std::vector<uint8_t> side;    // One way: 1 may not send to 2; 3 is both.
  };
  bool Search(HostIndex from, HostIndex to) const;
  std::map<uint64_t, Cut> cuts_;
  uint64_t next_ = 1;
};

class Port;

class Core {
 public:
  Core(uint64_t seed, Observer* observer, std::string_view scheduler);  // As WorldPlan::scheduler.
  ~Core();

  int64_t now() const { return now_; }
  // Brings now() up to date inside an event of ns-3's own (a TCP timer), which runs no acts.
  void Refresh() { now_ = loop_ != nullptr ? loop_->now() : ns3::Simulator::Now().GetTimeStep(); }
  // Runs `f` later, after everything that was asked for that instant before. Never cancelled: whoever may die meanwhile
  // captures an incarnation.
  // If `f` has a Touch(int), that is Loop::Item's.
  template <class F>
  void After(int64_t delay_ns, F f) {
    auto* event = new Event<F>(this, std::move(f));
    if (loop_ != nullptr) return loop_->Add(delay_ns, event);
    ns3::Simulator::Schedule(ns3::TimeStep(delay_ns), ns3::Ptr<ns3::EventImpl>(event, false));
  }
  void At(int64_t when, std::function<void()> act);
  void RunUntil(int64_t end);
  void RequestStop() { stop_requested_ = true, ns3::Simulator::Stop(); }
  // Called with n when the n-th second begins, before anything of it happens.
  void set_on_second(std::function<void(int64_t)> f) { on_second_ = std::move(f); }

  void Dropped(const Frame& frame, std::string_view why, std::string_view where);

  const uint64_t seed;
  Observer* const observer;  // May be null.
  const bool wants_packets;
  Totals totals;
  Cuts cuts;
  std::vector<Port*> ports;      // Every one, as made.
  bool any_link_cut = false;     // While none was, no packet needs to look back.
  Outbox outbox;      // Scratch of all machines.
  std::vector<uint8_t> scratch;  // Of the bytes of one input.
  bool in_stack = false;  // A socket of ns-3's is in the middle of sending: hand no packet to another.
  bool busy = false;  // A machine is in the middle of its turn, or what it wants is being performed: feed none now.

 private:
  template <class F>
  class Event final : public Loop::Item {
   public:
    Event(Core* core, F f) : core_(core), f_(std::move(f)) {}
    void Touch(int step) const override {
      if constexpr (requires { f_.Touch(step); }) f_.Touch(step);
    }

   private:
    void Notify() override { core_->Tick(), f_(); }
    Core* core_;
    F f_;
  };
  // Brings time up to date; runs seconds and acts that are due, ahead of whatever else the instant holds.
  void Tick() {
    Refresh();
    if (now_ >= special_at_) Special();
  }
  void Special();
  void ArmAct();

  Loop* loop_ = nullptr;  // Null: another of ns-3's loops.
  int64_t now_ = 0, next_second_ = 1'000'000'000, special_at_ = next_second_;
  int64_t act_armed_at_;
  std::map<std::pair<int64_t, uint64_t>, std::function<void()>> acts_;
  uint64_t next_act_ = 0;
  uint64_t runs_ = 0;
  bool stop_requested_ = false, ended_ = false;
  std::function<void(int64_t)> on_second_;
};

}  // namespace orchard::sim
