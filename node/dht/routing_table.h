// Kademlia's routing table and, threaded through the same entries, the order in which nodes were last heard. Entries are 60
// bytes in one array; a row is an array of (address, slot) in the order of ids, so that a FIND_NODE answer reads only rows.
// Source: kademlia-routing-table 1.0.6, time-ordered-set 2.0.1.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "node/base/bytes.h"
#include "node/base/rng.h"
#include "node/dht/news.h"

namespace orchard::dht {

class RoutingTable {
 public:
  static constexpr size_t kRowNodes = 20;  // k.
  using Slot = uint16_t;
  static constexpr Slot kNone = 0xffff;

  // Ticks are dht-rpc's, of five seconds.
  struct Entry {
    Key32 id;
    uint32_t host;
    uint32_t added = 0, pinged = 0, seen = 0;
    uint32_t sampled = 0;  // 0: it never told our address.
    uint16_t port;
    Slot newer = kNone, older = kNone;
    uint8_t down_hints = 0;
    Ipv4Address address() const { return {host, port}; }
  };

  explicit RoutingTable(const Key32& self) : self_(self) {}

  enum class Added : uint8_t { kYes, kKnown, kSelf, kRowFull };
  // A new node is the latest heard. `slot` is the entry, new or known.
  Added Add(const Contact& node, uint32_t tick, Slot* slot);
  void Remove(Slot slot);
  // kNone if absent. `id` must be the id of `address`.
  Slot Find(Ipv4Address address, const Key32& id) const;
  void Touch(Slot slot);  // It was heard just now.

  const Entry& operator[](Slot slot) const { return entries_[slot]; }
  Entry& operator[](Slot slot) { return entries_[slot]; }
  Slot oldest() const { return oldest_; }
  Slot latest() const { return latest_; }
  size_t size() const { return size_; }
  const Key32& self() const { return self_; }

  // The number of leading bits that `id` shares with ours, at most 255.
  size_t RowOf(const Key32& id) const;
  // Calls visit(address, slot) for up to k nodes: the target's row, then rows of ever fewer common bits, then the others.
  // Not strictly by distance, but what every dht-rpc node answers.
  template <class Visit>
  void Closest(const Key32& target, size_t k, Visit visit) const {
    size_t d = RowOf(target);
    for (size_t i = std::min(d + 1, rows_.size()); i-- > 0 && k > 0;) k -= VisitRow(rows_[i], k, visit);
    for (size_t i = d + 1; i < rows_.size() && k > 0; ++i) k -= VisitRow(rows_[i], k, visit);
  }
  // Calls visit(slot) for each node of the row that `id` belongs to, in the order of ids.
  template <class Visit>
  void Row(const Key32& id, Visit visit) const {
    if (size_t r = RowOf(id); r < rows_.size()) VisitRow(rows_[r], kRowNodes, [&](Ipv4Address, Slot s) { visit(s); });
  }
  // Uniform; kNone if empty.
  Slot Random(Rng& rng) const;
  // Moves the centre. Nodes for which the new rows have no room are dropped and returned.
  std::vector<Contact> Recenter(const Key32& self);

 private:
  static constexpr size_t kGrowth = 12;
  struct RowNodes {
    uint8_t size = 0;
    std::array<uint64_t, kRowNodes> items;  // Address << 16 | slot.
  };
  static uint64_t Item(Ipv4Address a, Slot s) { return a.packed() << 16 | s; }

  template <class Visit>
  static size_t VisitRow(const RowNodes& row, size_t k, Visit&& visit) {
    size_t n = std::min<size_t>(k, row.size);
    for (size_t i = 0; i < n; ++i) visit(Ipv4Address::Unpack(row.items[i] >> 16), Slot(row.items[i]));
    return n;
  }
  bool InsertIntoRow(Slot slot);
  void Link(Slot slot);
  void Unlink(Slot slot);

  Key32 self_;
  std::vector<RowNodes> rows_;  // Up to the last row in use.
  std::vector<Entry> entries_;  // Free ones are chained by `newer`.
  Slot oldest_ = kNone, latest_ = kNone, free_ = kNone;
  uint16_t size_ = 0;
};

static_assert(sizeof(RoutingTable::Entry) == 60);

}  // namespace orchard::dht
