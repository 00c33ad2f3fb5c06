// ns-3's event loop for very many hosts: a SimulatorImpl (ns-3's own place for such) that orders events exactly as ns-3's does, by
// time, then by when they were asked for. It keeps a heap of values, knows the next few events ahead of time, and has them
// fetch what they are about to touch, because at thousands of hosts a packet costs mostly waits for memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <vector>

#include "ns3/event-impl.h"
#include "ns3/simulator-impl.h"

namespace orchard::sim {

// Asks for the cache lines of [p, p + bytes). Any address will do: nothing is read.
inline void Fetch(const void* p, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(static_cast<const char*>(p) + i);
}

class Loop final : public ns3::SimulatorImpl {
 public:
  // An event of ours. Its memory is used again at once.
  class Item : public ns3::EventImpl {
   public:
    // Fetches what it will touch: what it points at (step 0), then, a little later, what that points at (step 1).
    virtual void Touch(int) const {}
    static void* operator new(size_t size);
    static void operator delete(void* p, size_t size);
  };

  static ns3::TypeId GetTypeId();

  int64_t now() const { return now_; }
  // Takes `item` over.
  void Add(int64_t delay_ns, Item* item) { Insert({now_ + delay_ns, next_++ << 1 | 1, item}); }

  // ---- ns3::SimulatorImpl ----
  void Destroy() override;
  bool IsFinished() const override { return near_count_ == 0 || stop_; }
  void Stop() override { stop_ = true; }
  void Stop(const ns3::Time& delay) override;
  ns3::EventId Schedule(const ns3::Time& delay, ns3::EventImpl* event) override;
  void ScheduleWithContext(uint32_t, const ns3::Time& delay, ns3::EventImpl* event) override { Schedule(delay, event); }
  ns3::EventId ScheduleNow(ns3::EventImpl* event) override;
  ns3::EventId ScheduleDestroy(ns3::EventImpl* event) override;
  void Remove(const ns3::EventId& id) override;
  void Cancel(const ns3::EventId& id) override;
  bool IsExpired(const ns3::EventId& id) const override;
  void Run() override;
  ns3::Time Now() const override;
  ns3::Time GetDelayLeft(const ns3::EventId& id) const override;
  ns3::Time GetMaximumSimulationTime() const override;
  void SetScheduler(ns3::ObjectFactory) override {}  // It is its own.
  uint32_t GetSystemId() const override { return 0; }
  uint32_t GetContext() const override;  // Of no node in particular.
  uint64_t GetEventCount() const override { return done_; }

 private:
  struct Entry {
    int64_t at;
    uint64_t order;  // When it was asked for, and in the lowest bit whether `event` is an Item.
    ns3::EventImpl* event;
    bool operator<(const Entry& o) const {
      return (static_cast<unsigned __int128>(at) << 64 | order) < (static_cast<unsigned __int128>(o.at) << 64 | o.order);
    }
    void Touch(int step) const {
      if ((order & 1) != 0) static_cast<const Item*>(event)->Touch(step);
    }
  };
  static constexpr size_t kNear = 8;

  void DoDispose() override;
  void Insert(Entry e);
  Entry Take();
  void Refill();
  void Push(Entry e);
  Entry Pop();

  // The i-th of the next events.
  Entry& Near(size_t i) { return near_[(near_first_ + i) % kNear]; }

  // A ring of the next events in order; all others are in heap_, a heap of four children a node.
  std::array<Entry, kNear> near_;
  size_t near_first_ = 0, near_count_ = 0;
  std::vector<Entry> heap_;
  int64_t now_ = 0;
  uint64_t next_ = ns3::EventId::VALID, current_ = 0, done_ = 0;
  bool stop_ = false;
  std::list<ns3::EventId> at_destroy_;
};

}  // namespace orchard::sim
