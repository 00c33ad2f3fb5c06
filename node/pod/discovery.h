// Who else is on the LAN: beacons to a multicast group, and answers to them. docs/PEAPOD.md §1. What a beacon says is a hint whom to
// dial, and proves nothing; so it is believed only if it comes from the subnet of an interface of ours (beacons have TTL 1), and
// the table is small. Only Beacons are answered, never answers: two nodes cannot keep each other talking.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/btree_map.h"
#include "node/base/turn.h"
#include "node/pod/config.h"

namespace orchard::pod {

class Discovery {
 public:
  static constexpr Duration kBeaconEvery = std::chrono::seconds(4);   // As the original.
  static constexpr Duration kLostAfter = std::chrono::seconds(16);    // As the original.
  static constexpr Duration kAnswerEvery = std::chrono::seconds(1);   // To one address; nobody beacons faster. Each has a burst.
  static constexpr uint32_t kAnswerBurst = 4;                         // Nodes of one machine share its address.
  static constexpr size_t kKnownMax = 64;         // Twice what a pod holds. Then the longest silent one that is no member gives way.
  static constexpr size_t kKnownPerHost = 8;      // Nodes at one address.
  static constexpr size_t kSourcesMax = 256;      // Addresses whose answers are counted; others get none.
  static constexpr size_t kInterfacesMax = 16;

  // `at`: where it listens. `fresh`: it was not known.
  struct Found { DeviceId device; Endpoint at; bool fresh; };
  struct Lost { DeviceId device; };
  struct News { std::vector<Found> found; std::vector<Lost> lost; };
  struct Counters { uint64_t beacons = 0, answers = 0, own = 0, unreadable = 0, off_link = 0, crowded = 0, hasty = 0; };

  // Who is near and can be in no pod with us: another version of the protocol, or another pod secret (one of us may have none).
  enum class Stranger : uint8_t { kProfile, kSecret };
  static constexpr size_t kStrangers = 2;

  // `next_socket`: the ids from there on are ours. `own.version` says what we speak.
  Discovery(const PodConfig& config, const Announcement& own, uint32_t next_socket);

  // Opens the socket, joins on each interface that counts, and says that we are here.
  void SetInterfaces(Turn& turn, absl::Span<const Interface> interfaces);
  // Before that, nothing is said.
  void SetListenPort(Turn& turn, uint16_t port);
  bool OnSocketOpened(Turn& turn, const SocketOpened& opened);
  bool OnDatagram(Turn& turn, const Datagram& datagram, News& news);
  void OnTime(Turn& turn, News& news);
  void Stop(Turn& turn);
  Instant next_deadline() const;

  // A member's place in the table is its own; it is not lost while it is a member.
  void SetMember(Turn& turn, const DeviceId& device, bool member);
  void Forget(const DeviceId& device) { known_.erase(device); }
  std::optional<Endpoint> where(const DeviceId& device) const;
  // From the subnet of an interface on which we joined.
  bool on_link(const Endpoint& address) const;
  // The latest such, for as long as a device counts as there.
  const std::optional<Endpoint>& stranger(Stranger kind) const { return strangers_[size_t(kind)].from; }
  const Counters& counters() const { return counters_; }
  size_t known() const { return known_.size(); }

 private:
  struct Known { Endpoint at; Instant heard{}; bool member = false; };
  struct Seen { std::optional<Endpoint> from; Instant until = kNever; bool told = false; };
  struct Source { Instant since{}; uint32_t answered = 0; };

  void Open(Turn& turn);
  void Say(Turn& turn);
  void Answer(Turn& turn, const Endpoint& to);
  void See(Turn& turn, Stranger kind, const Endpoint& from);
  bool Learn(Turn& turn, const ReadBeacon& beacon, const Endpoint& from, News& news);
  const Key32* secret() const { return config_.secret.has_value() ? &*config_.secret : nullptr; }

  PodConfig config_;
  Announcement own_;
  uint32_t next_socket_;
  std::optional<SocketId> socket_;
  std::vector<Interface> interfaces_;
  Instant next_beacon_ = kNever, reopen_at_ = kNever;
  absl::btree_map<DeviceId, Known> known_;
  absl::btree_map<Endpoint, Source> sources_;
  Seen strangers_[kStrangers];
  Counters counters_;
};

}  // namespace orchard::pod
