// Our relays through members: numbers, credit, news. docs/PEAPOD.md §5.
#pragma once

#include <cstdint>

#include "absl/container/btree_map.h"
#include "node/base/turn.h"
#include "node/pod/download.h"
#include "node/pod/members.h"
#include "node/pod/relay.h"

namespace orchard::pod {

class RelayUse {
 public:
  static constexpr size_t kMax = 64;                               // Of ours at once; a member carries eight of them.
  static constexpr Duration kOpenPatience = std::chrono::seconds(25);  // The member tries several addresses, and may resolve a name.
  static constexpr size_t kUnsentMax = 512 << 10;                  // Bytes that wait for a member; above, nothing is added.

  struct Counters { uint64_t begun = 0, opened = 0, failed = 0, sent_bytes = 0, received_bytes = 0, late = 0; };

  std::optional<RelayId> Open(Turn& turn, Members& members, const DeviceId& through, const http::Authority& to, MembersNews& heard);
  size_t room(const Members& members, RelayId relay) const;
  void Write(Turn& turn, Members& members, RelayId relay, Bytes bytes, MembersNews& heard);
  void Took(Turn& turn, Members& members, RelayId relay, size_t bytes, MembersNews& heard);
  void End(Turn& turn, Members& members, RelayId relay, MembersNews& heard);
  void Close(Turn& turn, Members& members, RelayId relay, MembersNews& heard);

  // RelayOpened, and what a member says of a relay that is not its own.
  void OnMessage(Turn& turn, Members& members, const DeviceId& from, const Message& message, PodNews& news, MembersNews& heard);
  void OnWritable(const DeviceId& device, PodNews& news);
  void OnGone(const DeviceId& device, PodNews& news);
  void OnTime(Turn& turn, Members& members, PodNews& news, MembersNews& heard);
  void Clear() { uses_.clear(); }
  Instant next_deadline() const;

  const Counters& counters() const { return counters_; }
  size_t open() const { return uses_.size(); }

 private:
  struct Use {
    DeviceId device;
    Instant deadline;            // Of the opening.
    bool up = false, ended = false, half = false;
    uint32_t credit = kRelayWindow;      // That we may send.
    uint32_t theirs = kRelayWindow;      // That the member may send.
    uint32_t held = 0, owed = 0;         // Came and not yet taken; taken and not yet granted again.
  };
  using Uses = absl::btree_map<RelayId, Use>;
  void Fail(Turn& turn, Members& members, Uses::iterator it, RelayEnding why, PodNews& news, MembersNews& heard);

  Uses uses_;
  uint32_t next_ = 1;
  Counters counters_;
};

}  // namespace orchard::pod
