#include "node/dht/routing_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "node/base/check.h"

namespace orchard::dht {

size_t RoutingTable::RowOf(const Key32& id) const {
  for (size_t i = 0; i < 32; ++i) {
    if (uint8_t x = id[i] ^ self_[i]; x != 0) return i * 8 + size_t(std::countl_zero(x));
  }
  return 255;
}

RoutingTable::Slot RoutingTable::Find(Ipv4Address address, const Key32& id) const {
  size_t r = RowOf(id);
  if (r >= rows_.size()) return kNone;
  const RowNodes& row = rows_[r];
  for (size_t i = 0; i < row.size; ++i) {
    if (row.items[i] >> 16 == address.packed()) return Slot(row.items[i]);
  }
  return kNone;
}

RoutingTable::Added RoutingTable::Add(const Contact& node, uint32_t tick, Slot* slot) {
  *slot = kNone;
  if (node.id == self_) return Added::kSelf;
  *slot = Find(node.address, node.id);
  if (*slot != kNone) return Added::kKnown;
  size_t r = RowOf(node.id);
  if (r < rows_.size() && rows_[r].size == kRowNodes) return Added::kRowFull;

  Slot s = free_;
  if (s != kNone) {
    free_ = entries_[s].newer;
  } else {
    CHECK_LT(entries_.size(), size_t{kNone});
    // By a few, not by doubling: ten thousand tables in one process are mostly slack otherwise.
    if (entries_.size() == entries_.capacity()) entries_.reserve(entries_.size() + kGrowth);
    s = Slot(entries_.size());
    entries_.emplace_back();
  }
  entries_[s] = Entry{.id = node.id, .host = node.address.host, .added = tick, .pinged = tick, .seen = tick,
                      .port = node.address.port};
  CHECK(InsertIntoRow(s));
  Link(s), ++size_;
  *slot = s;
  return Added::kYes;
}

bool RoutingTable::InsertIntoRow(Slot slot) {
  const Entry& e = entries_[slot];
  size_t r = RowOf(e.id);
  if (r >= rows_.size()) rows_.reserve(r + 1), rows_.resize(r + 1);
  RowNodes& row = rows_[r];
  if (row.size == kRowNodes) return false;
  size_t at = row.size++;
  for (; at > 0 && e.id < entries_[Slot(row.items[at - 1])].id; --at) row.items[at] = row.items[at - 1];
  row.items[at] = Item(e.address(), slot);
  return true;
}

void RoutingTable::Remove(Slot slot) {
  Entry& e = entries_[slot];
  RowNodes& row = rows_[RowOf(e.id)];
  auto* end = row.items.data() + row.size;
  auto* at = std::find(row.items.data(), end, Item(e.address(), slot));
  CHECK(at != end);
  std::copy(at + 1, end, at), --row.size;
  Unlink(slot), --size_;
  e.newer = free_, free_ = slot;
}

void RoutingTable::Touch(Slot slot) { Unlink(slot), Link(slot); }

void RoutingTable::Link(Slot slot) {
  Entry& e = entries_[slot];
  e.older = latest_, e.newer = kNone;
  (latest_ == kNone ? oldest_ : entries_[latest_].newer) = slot;
  latest_ = slot;
}

void RoutingTable::Unlink(Slot slot) {
  Entry& e = entries_[slot];
  (e.older == kNone ? oldest_ : entries_[e.older].newer) = e.newer;
  (e.newer == kNone ? latest_ : entries_[e.newer].older) = e.older;
}

RoutingTable::Slot RoutingTable::Random(Rng& rng) const {
  if (size_ == 0) return kNone;
  size_t n = rng.Below(size_);
  for (const RowNodes& row : rows_) {
    if (n < row.size) return Slot(row.items[n]);
    n -= row.size;
  }
  return kNone;
}

std::vector<Contact> RoutingTable::Recenter(const Key32& self) {
  std::vector<Slot> all;
  Closest(self_, size_, [&](Ipv4Address, Slot s) { all.push_back(s); });
  self_ = self;
  rows_.clear();
  std::vector<Contact> dropped;
  for (Slot s : all) {
    if (entries_[s].id != self_ && InsertIntoRow(s)) continue;
    dropped.push_back({entries_[s].address(), entries_[s].id});
    Unlink(s), --size_;
    entries_[s].newer = free_, free_ = s;
  }
  return dropped;
}

}  // namespace orchard::dht
