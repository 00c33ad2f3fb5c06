// TCP connections through members, as whoever wants one sees them (the proxy, for `orchard pod get`): bytes both ways under
// credit, each half closed for itself. What goes through them is TLS, so the member reads none of it. docs/PEAPOD.md §5.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "node/base/turn.h"
#include "node/http/url.h"
#include "node/pod/messages.h"

namespace orchard::pod {

// It is open.
struct RelayUp { RelayId relay; };
// Bytes of the origin; the owner answers with TookFromRelay, now or later.
struct RelayGot { RelayId relay; std::string bytes; };
// There may be more relay_room.
struct RelayWritable { RelayId relay; };
// The origin ended its half.
struct RelayHalf { RelayId relay; };
// The last word. kDone only after RelayHalf and our own end.
struct RelayGone { RelayId relay; RelayEnding why; };

struct PodDelivered;
struct PodDone;
struct PodFailed;
struct PodFormed;
struct PodLeft;
using PodNews = std::vector<std::variant<PodDelivered, PodDone, PodFailed, PodFormed, PodLeft, RelayUp, RelayGot, RelayWritable, RelayHalf, RelayGone>>;

class Relays {
 public:
  virtual ~Relays() = default;
  // Nothing: that device is no member, the pod is not hardened, or there are too many. Else RelayUp or RelayGone follows.
  virtual std::optional<RelayId> OpenRelay(Turn& turn, const DeviceId& through, const http::Authority& to, PodNews& news) = 0;
  virtual size_t relay_room(RelayId relay) const = 0;
  // At most the room.
  virtual void WriteRelay(Turn& turn, RelayId relay, Bytes bytes, PodNews& news) = 0;
  virtual void TookFromRelay(Turn& turn, RelayId relay, size_t bytes, PodNews& news) = 0;
  // Our half.
  virtual void EndRelay(Turn& turn, RelayId relay, PodNews& news) = 0;
  // Forgets it; no news follow. Of one that is gone this is nothing.
  virtual void CloseRelay(Turn& turn, RelayId relay, PodNews& news) = 0;
};

// "no-name".
std::string_view NameOf(RelayEnding why);

}  // namespace orchard::pod
