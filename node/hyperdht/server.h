// One listening key: its announcement, and the handshakes that came to it. Owned by Peers, which carries out what these
// decide. Source: npm hyperdht lib/server.js.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "node/base/deadlines.h"
#include "node/hyperdht/announcer.h"
#include "node/hyperdht/connection.h"
#include "node/hyperdht/host_counts.h"
#include "node/hyperdht/knock.h"

namespace orchard::hyperdht {

class Server {
 public:
  // Handshakes at once, each for at least ten seconds; further ones are dropped, and their clients repeat them.
  static constexpr size_t kSlotsMax = 1024;
  // Of these, of clients that were seen at one host: a whole house, or a piece of a carrier's NAT, may come at once.
  static constexpr uint32_t kSlotsOfOneHost = 64;
  // Handshakes that hold a socket for a hole punch (one, or 256 in a birthday attack, of which a node runs one at a time): in
  // all, of clients at one host, and through one relay. Who sends a handshake names the client's host as he likes; so one
  // relay, honest or not, has no more than its share.
  static constexpr size_t kPunchesMax = 256;
  static constexpr uint32_t kPunchesOfOneHost = 16, kPunchesOfOneRelay = 96;
  // First messages that are remembered after their slot is free: a replay of one would make a connection of a dead peer.
  static constexpr size_t kSpentMax = 8192;
  static constexpr Duration kSpentFor = std::chrono::minutes(10);

  Server(ListenOptions options, bool notices_remaps)
      : options_(std::move(options)), target_(Hash(options_.key.public_key)), announcer_(options_.key, notices_remaps) {}

  const ListenOptions& options() const { return options_; }
  void set_options(ListenOptions options) { options_ = std::move(options); }
  const Key32& public_key() const { return options_.key.public_key; }
  const Key32& target() const { return target_; }
  Announcer& announcer() { return announcer_; }
  const Announcer& announcer() const { return announcer_; }

  // The handshake that began with these bytes.
  std::optional<uint32_t> SlotOf(const Key32& noise_hash) const;
  // True if these bytes once led to a connection, or were no handshake for us.
  bool Spent(Instant now, const Key32& noise_hash) const;
  void Spend(Instant now, const Key32& noise_hash);
  // The lowest free slot; nothing if there are kSlotsMax.
  std::optional<uint32_t> Take(const Key32& noise_hash, std::unique_ptr<Knock> knock);
  Knock* slot(uint32_t slot) { return slot < slots_.size() ? slots_[slot].knock.get() : nullptr; }
  const Key32& noise_hash(uint32_t slot) const { return slots_[slot].noise_hash; }
  void Free(uint32_t slot);
  // Where MayKnock says no: the slot that can go for that client's sake, because its connection has been open for longest.
  std::optional<uint32_t> Spare(const Endpoint& client) const;
  size_t slots() const { return by_noise_.size(); }
  size_t punches() const { return punches_; }
  // There is a slot, and a socket to punch from, for one more client at that host, through that relay.
  bool MayKnock(const Endpoint& client) const { return slots() < kSlotsMax && slots_of_.of(client) < kSlotsOfOneHost; }
  bool MayPunch(const Endpoint& client, const Endpoint& relay) const {
    return punches_ < kPunchesMax && punches_of_.of(client) < kPunchesOfOneHost && punches_by_.of(relay) < kPunchesOfOneRelay;
  }
  uint32_t slots_end() const { return uint32_t(slots_.size()); }

  // After each call to a knock.
  void Rearm(uint32_t slot);
  std::optional<uint32_t> due(Instant now) const { return deadlines_.due(now); }
  Instant next_deadline() const { return std::min(announcer_.next_deadline(), deadlines_.next()); }

 private:
  struct Slot {
    std::unique_ptr<Knock> knock;  // Null: free.
    Key32 noise_hash{};
    Instant armed = kNever;
    Endpoint client{}, relay{};     // Who came, through whom.
    bool punches = false;           // Counted as one that holds a socket.
  };
  void CountPunch(Slot& slot, bool punches);
  ListenOptions options_;
  Key32 target_;
  Announcer announcer_;
  std::vector<Slot> slots_;
  absl::btree_map<Key32, uint32_t> by_noise_;
  HostCounts slots_of_, punches_of_, punches_by_;
  size_t punches_ = 0;
  absl::btree_map<Key32, Instant> spent_;  // Until when.
  std::vector<Key32> spent_ring_;          // The oldest gives way.
  size_t spent_next_ = 0;
  Deadlines<uint32_t> deadlines_;
};

}  // namespace orchard::hyperdht
