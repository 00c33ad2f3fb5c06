// Relays that we carry for members: one TCP connection of ours for each, under the rules that fetching for them has (serve.h): public
// addresses alone unless the owner allows more, so many at once, and the same bytes a second for each member. No way out for what is
// not TLS: ports 443 and from 1024 on, and what goes there must begin as a TLS handshake does. docs/PEAPOD.md §5.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/container/btree_map.h"
#include "node/base/turn.h"
#include "node/http/addresses.h"
#include "node/http/stream_io.h"
#include "node/pod/byte_queue.h"
#include "node/pod/config.h"
#include "node/pod/members.h"
#include "node/pod/relay.h"
#include "node/pod/serve.h"

namespace orchard::pod {

class RelayServe {
 public:
  static constexpr size_t kPerPeer = 8, kMax = 32;        // Each holds two windows (kRelayWindow) at most.
  static constexpr size_t kUnsentMax = 512 << 10;         // Bytes that wait for a member; above, nothing is added. Its chunks pass.
  static constexpr Duration kConnectPatience = std::chrono::seconds(10);
  static constexpr Duration kResolvePatience = std::chrono::seconds(20);
  static constexpr Duration kIdle = std::chrono::minutes(2);   // Without a byte either way.

  struct Counters { uint64_t asked = 0, opened = 0, refused = 0, up_bytes = 0, down_bytes = 0, late = 0; };
  // What a relay may use during a turn.
  struct Hands {
    http::Ids& ids;
    Members& members;
    Serve& serve;          // Has the budget of each member.
    MembersNews& heard;
  };

  explicit RelayServe(const PodConfig& config) : config_(config) {}

  void SetInterfaces(absl::Span<const Interface> interfaces);
  // RelayOpen, and what a member says of a relay of its own.
  void OnMessage(Turn& turn, const DeviceId& peer, const Message& message, Hands hands);
  void OnWritable(Turn& turn, Hands hands) { Pump(turn, hands); }
  void OnGone(Turn& turn, const DeviceId& peer);
  bool OnInput(Turn& turn, const Input& input, Hands hands);
  void OnTime(Turn& turn, Hands hands);
  void Stop(Turn& turn);
  Instant next_deadline() const;

  const Counters& counters() const { return counters_; }
  size_t carried() const { return carried_.size(); }
  // Bytes that wait, of all.
  size_t held() const;

 private:
  using Key = std::pair<DeviceId, RelayId>;
  struct Carried {
    http::Addresses addresses;
    size_t tried = 0;
    std::optional<StreamId> stream;      // While the host knows it.
    bool open = false;
    http::StreamOut out;
    http::StreamIn in{kRelayWindow};
    ByteQueue up, down;                  // For the origin; for the member.
    uint32_t credit = kRelayWindow;      // That we may send to the member.
    uint32_t theirs = kRelayWindow;      // That it may send.
    uint32_t owed = 0;                   // Of it, passed on and not yet granted again.
    uint8_t hello_bytes = 0;             // Of a TLS record's head, seen so far.
    bool up_ended = false, down_ended = false, told = false;
    Instant deadline = kNever;
  };
  using Map = absl::btree_map<Key, Carried>;

  void OnOpen(Turn& turn, const DeviceId& peer, const RelayOpen& open, Hands hands);
  void OnData(Turn& turn, Map::iterator it, Bytes payload, Hands hands);
  void Connect(Turn& turn, Map::iterator it, Hands hands);
  void OnClosed(Turn& turn, Map::iterator it, absl::StatusCode status, Hands hands);
  void PumpUp(Turn& turn, Map::iterator it, Hands hands);
  // True if it sent a piece.
  bool PumpDown(Turn& turn, Map::iterator it, Hands hands);
  void Pump(Turn& turn, Hands hands);
  void Refuse(Turn& turn, const Key& key, RelayEnding why, Hands hands);
  void End(Turn& turn, Map::iterator it, RelayEnding why, Hands hands);
  void Forget(Turn& turn, Map::iterator it);

  PodConfig config_;
  http::AddressRules rules_;
  Map carried_;
  absl::btree_map<StreamId, Key> streams_;
  Instant pump_at_ = kNever;
  Counters counters_;
};

}  // namespace orchard::pod
