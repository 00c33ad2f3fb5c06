#include "sim/world/loop.h"

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

#include "node/base/check.h"
#include "ns3/simulator.h"

namespace orchard::sim {
namespace {

constexpr size_t kArity = 4;

// Free blocks of events by size, in steps of 32 bytes; larger ones go to the heap. One world runs at a time, in one thread.
struct Pool {
  static constexpr size_t kStep = 32, kClasses = 5, kSlab = 1 << 16;
  struct Block {
    Block* next;
  };
  std::array<Block*, kClasses> free{};
};
Pool pool;

}  // namespace

NS_OBJECT_ENSURE_REGISTERED(Loop);

ns3::TypeId Loop::GetTypeId() {
  static ns3::TypeId id =
      ns3::TypeId("orchard::Loop").SetParent<ns3::SimulatorImpl>().SetGroupName("Orchard").AddConstructor<Loop>();
  return id;
}

#if defined(__SANITIZE_ADDRESS__)
// So that the sanitizer sees every use of a dead event.
void* Loop::Item::operator new(size_t size) { return ::operator new(size); }
void Loop::Item::operator delete(void* p, size_t) { ::operator delete(p); }
#else
void* Loop::Item::operator new(size_t size) {
  const size_t c = (size - 1) / Pool::kStep, bytes = (c + 1) * Pool::kStep;
  if (c >= Pool::kClasses) return ::operator new(size);
  if (pool.free[c] == nullptr) {
    auto* slab = static_cast<char*>(::operator new(Pool::kSlab));
    for (size_t i = Pool::kSlab / bytes; i-- > 0;) pool.free[c] = new (slab + i * bytes) Pool::Block{pool.free[c]};
  }
  return std::exchange(pool.free[c], pool.free[c]->next);
}

void Loop::Item::operator delete(void* p, size_t size) {
  const size_t c = (size - 1) / Pool::kStep;
  if (c >= Pool::kClasses) return ::operator delete(p);
  pool.free[c] = new (p) Pool::Block{pool.free[c]};
}
#endif

// ---- The order of events ----

void Loop::Push(Entry e) {
  size_t hole = heap_.size();
  heap_.push_back(e);
  while (hole > 0) {
    const size_t parent = (hole - 1) / kArity;
    if (!(e < heap_[parent])) break;
    heap_[hole] = heap_[parent], hole = parent;
  }
  heap_[hole] = e;
}

Loop::Entry Loop::Pop() {
  const Entry top = heap_.front(), last = heap_.back();
  heap_.pop_back();
  const size_t n = heap_.size();
  if (n == 0) return top;
  Entry* const h = heap_.data();
  size_t hole = 0;
  for (size_t first; (first = hole * kArity + 1) < n;) {
    size_t least = first;
    if (first + kArity <= n) {
      // Without branches: which child is the least is anybody's guess.
      const size_t a = first + (h[first + 1] < h[first]), b = first + 2 + (h[first + 3] < h[first + 2]);
      least = h[b] < h[a] ? b : a;
    } else {
      for (size_t c = first + 1; c < n; ++c) least = h[c] < h[least] ? c : least;
    }
    if (!(h[least] < last)) break;
    h[hole] = h[least], hole = least;
  }
  h[hole] = last;
  return top;
}

void Loop::Insert(Entry e) {
  CHECK_GE(e.at, now_);
  // Not before the last of the near ones: among the others, unless there are none.
  if (near_count_ > 0 && !(e < Near(near_count_ - 1))) {
    if (heap_.empty() && near_count_ < kNear) Near(near_count_++) = e;
    else Push(e);
    return;
  }
  if (near_count_ == kNear) Push(Near(--near_count_));
  size_t i = near_count_++;
  for (; i > 0 && e < Near(i - 1); --i) Near(i) = Near(i - 1);
  Near(i) = e;
}

void Loop::Refill() {
  while (near_count_ < kNear && !heap_.empty()) {
    Near(near_count_) = Pop();
    Fetch(Near(near_count_++).event, 128);
  }
}

Loop::Entry Loop::Take() {
  const Entry e = Near(0);
  ++near_first_, --near_count_;
  Refill();
  if (near_count_ > 5) Near(5).Touch(0);
  if (near_count_ > 2) Near(2).Touch(1);
  return e;
}

// ---- ns3::SimulatorImpl ----

void Loop::Run() {
  stop_ = false;
  while (near_count_ > 0 && !stop_) {
    const Entry e = Take();
    now_ = e.at, current_ = e.order >> 1, ++done_;
    e.event->Invoke();
    e.event->Unref();
  }
}

ns3::EventId Loop::Schedule(const ns3::Time& delay, ns3::EventImpl* event) {
  const int64_t at = now_ + delay.GetTimeStep();
  const uint64_t order = next_++;
  Insert({at, order << 1, event});
  return {ns3::Ptr<ns3::EventImpl>(event), uint64_t(at), GetContext(), uint32_t(order)};
}

ns3::EventId Loop::ScheduleNow(ns3::EventImpl* event) { return Schedule(ns3::TimeStep(0), event); }

ns3::EventId Loop::ScheduleDestroy(ns3::EventImpl* event) {
  ns3::EventId id(ns3::Ptr<ns3::EventImpl>(event, false), uint64_t(now_), GetContext(), ns3::EventId::DESTROY);
  return at_destroy_.emplace_back(id);
}

void Loop::Stop(const ns3::Time& delay) { ns3::Simulator::Schedule(delay, &ns3::Simulator::Stop); }

void Loop::Destroy() {
  while (!at_destroy_.empty()) {
    const ns3::EventId id = at_destroy_.front();
    at_destroy_.pop_front();
    id.PeekEventImpl()->Invoke();
  }
}

void Loop::DoDispose() {
  for (size_t i = 0; i < near_count_; ++i) Near(i).event->Unref();
  for (const Entry& e : std::exchange(heap_, {})) e.event->Unref();
  near_count_ = 0;
  ns3::SimulatorImpl::DoDispose();
}

bool Loop::IsExpired(const ns3::EventId& id) const {
  const ns3::EventImpl* event = id.PeekEventImpl();
  if (event == nullptr || id.PeekEventImpl()->IsCancelled()) return true;
  if (id.GetUid() == ns3::EventId::DESTROY) return std::find(at_destroy_.begin(), at_destroy_.end(), id) == at_destroy_.end();
  // Numbers are compared on their circle: an EventId holds 32 bits of them.
  return int64_t(id.GetTs()) < now_ || (int64_t(id.GetTs()) == now_ && int32_t(id.GetUid() - uint32_t(current_)) <= 0);
}

void Loop::Cancel(const ns3::EventId& id) {
  if (!IsExpired(id)) id.PeekEventImpl()->Cancel();
}

void Loop::Remove(const ns3::EventId& id) {
  if (IsExpired(id)) return;
  if (id.GetUid() == ns3::EventId::DESTROY) {
    at_destroy_.remove(id);
    return;
  }
  // Rare: everything is put in order anew without it.
  std::vector<Entry> all = heap_;
  for (size_t i = 0; i < near_count_; ++i) all.push_back(Near(i));
  near_count_ = 0, heap_.clear();
  for (const Entry& e : all) {
    if (e.event != id.PeekEventImpl()) Push(e);
  }
  Refill();
  id.PeekEventImpl()->Cancel();
  id.PeekEventImpl()->Unref();
}

ns3::Time Loop::Now() const { return ns3::TimeStep(uint64_t(now_)); }
ns3::Time Loop::GetDelayLeft(const ns3::EventId& id) const {
  return ns3::TimeStep(IsExpired(id) ? 0 : id.GetTs() - uint64_t(now_));
}
ns3::Time Loop::GetMaximumSimulationTime() const { return ns3::TimeStep(std::numeric_limits<int64_t>::max()); }
uint32_t Loop::GetContext() const { return ns3::Simulator::NO_CONTEXT; }

}  // namespace orchard::sim
