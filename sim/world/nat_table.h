// What a NAT box remembers: mappings from inside endpoints to outside ones, and who may send to them. A pure function of time
// and packets, without packets of its own: sim/world/nat_box.h moves the bytes. Words: RFC 4787; carrier-grade: RFC 6888.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "sim/world/chance.h"
#include "sim/language/spec.h"
#include "sim/world/wire.h"

namespace orchard::sim {

enum class NatVerdict : uint8_t {
  kOk,
  kUnmapped,  // Inbound: nobody has that outside endpoint.
  kFiltered,  // Inbound: there is a mapping, and this remote may not use it.
  kFull,      // Outbound: no port, block or place in the table.
  kBlocked,   // The box lets no UDP through.
};

// What a packet says about the life of its flow. UDP's say nothing.
enum class FlowMark : uint8_t { kNone, kOpens, kCloses };  // TCP: SYN; FIN or RST.

struct NatResult {
  NatVerdict verdict;
  Ep4 to{};  // kOk: what replaces the inside (outbound) or outside (inbound) endpoint.
};

class NatTable {
 public:
  static constexpr uint16_t kPortLow = 1024;  // RFC 4787 REQ-3: well-known ports are left alone.
  static constexpr uint32_t kPorts = 65'536 - kPortLow;

  // `spec` must outlive the table. `addresses` are the outside ones, spec->pool of them.
  NatTable(const NatSpec* spec, std::vector<uint32_t> addresses, uint64_t key);

  NatResult Outbound(int64_t now, Ep4 inside, Ep4 remote, FlowMark mark = FlowMark::kNone);
  NatResult Inbound(int64_t now, Ep4 outside, Ep4 remote, FlowMark mark = FlowMark::kNone);

  // What a box with that spec does to TCP: the same mapping and filtering, with the time-outs of RFC 5382 §5 REQ-5: 2 h 4 min
  // for an established connection, 4 min for one that opens or closes.
  static NatSpec TcpSpec(const NatSpec& spec);

  // A re-map: that share of mappings is forgotten, and their inside endpoints get other ports than they had.
  void Remap(uint32_t share_ppm);
  // A reboot: everything is forgotten; the box may come back with other addresses.
  void Flush();
  void set_addresses(std::vector<uint32_t> addresses);

  const std::vector<uint32_t>& addresses() const { return addresses_; }
  bool Owns(uint32_t address) const;
  // Which of them an inside address has: always the same (paired pooling, RFC 4787 REQ-2).
  uint32_t AddressFor(uint32_t inside) const { return addresses_[Pair(inside)]; }
  const NatSpec& spec() const { return *spec_; }
  size_t size() const { return live_; }  // With those that are over and not yet swept.
  // The mapping, if `inside` has one towards `remote` that lives at `now`. For tests and drawings.
  bool Find(int64_t now, Ep4 inside, Ep4 remote, Ep4* outside) const;

  struct Counts {
    uint64_t made = 0, unmapped = 0, filtered = 0, refused = 0, evicted = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};
  // When traffic last kept something alive, and whether it was ever answered.
  struct Life {
    int64_t last = 0;
    bool answered = false;
    bool closing = false;  // TCP: over, but for stragglers.
    void Note(FlowMark mark) {
      if (mark != FlowMark::kNone) closing = mark == FlowMark::kCloses;
    }
  };
  struct Mapping {
    Ep4 inside, remote;           // `remote` as far as the mapping depends on it.
    uint32_t address = 0;         // Index into addresses_.
    uint16_t port = 0;
    bool used = false;
    uint32_t next = kNone;        // The next at the same port; only where symmetric mappings keep their port.
    Life life;
    int64_t made = 0;
    uint64_t number = 0;          // In order of making.
    // Who may send, where the filter is finer than the mapping; else `remote` itself says it.
    std::unique_ptr<absl::flat_hash_map<uint64_t, Life>> sessions;
  };
  struct OutKey {
    Ep4 inside, remote;
    friend bool operator==(const OutKey&, const OutKey&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const OutKey& k) { return H::combine(std::move(h), k.inside.packed(), k.remote.packed()); }
  };
  struct Subscriber {  // Of ports by block.
    uint32_t block = 0;
    uint32_t live = 0;
  };

  uint32_t Pair(uint32_t inside) const { return uint32_t(Mix(key_ ^ Mix(inside)) % addresses_.size()); }
  static Ep4 Trim(Ep4 remote, Dependence d);
  bool HasSessions() const { return spec_->filtering > spec_->mapping; }
  bool Alive(const Life& life, int64_t now) const;
  bool Alive(const Mapping& m, int64_t now) const;
  void Keep(Mapping& m, Ep4 remote, int64_t now, FlowMark mark);
  bool Permits(const Mapping& m, Ep4 remote, int64_t now) const;
  uint32_t Make(int64_t now, Ep4 inside, Ep4 remote);
  void Erase(uint32_t slot);
  void Sweep(int64_t now);
  bool MakeRoom(int64_t now);
  uint16_t ChoosePort(int64_t now, Ep4 inside, uint32_t address);  // 0: none.
  uint16_t ScanFrom(int64_t now, Ep4 inside, uint32_t address, uint32_t low, uint32_t count, uint32_t start);
  bool IsFree(int64_t now, Ep4 inside, uint32_t address, uint16_t port);
  bool FindBlock(int64_t now, uint32_t inside, uint32_t address);

  const NatSpec* spec_;
  std::vector<uint32_t> addresses_;
  uint64_t key_;
  Luck luck_;
  uint32_t next_port_;  // Of sequential choice, from 0.
  std::vector<Mapping> slots_;
  std::vector<uint32_t> unused_;
  size_t live_ = 0, sweep_at_ = 64;
  absl::flat_hash_map<OutKey, uint32_t> by_inside_;
  absl::flat_hash_map<uint64_t, uint32_t> by_port_;     // (address index, port) → the first mapping there.
  absl::flat_hash_map<uint64_t, uint16_t> avoid_;       // Inside endpoint → the port that a re-map took from it.
  absl::flat_hash_map<uint32_t, Subscriber> subscribers_;
  absl::flat_hash_map<uint64_t, uint32_t> blocks_;      // (address index, block) → the inside address that has it.
  Counts counts_;
};

}  // namespace orchard::sim
