// What the core wants from its parent, in this order.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "node/pod/worker.h"

namespace orchard::pod {

// Fetch bytes [start, end) of the transfer's url: over our own WAN (worker 0), or by a ChunkRequest to that peer. A Probe or
// check is a fetch like others.
struct Fetch { FetchId fetch; WorkerId worker; TransferId transfer; uint64_t start, end; };
// Of our own WAN: its bytes are not wanted any more. Peers cannot be told.
struct Cancel { FetchId fetch; };
// The next bytes for the reader; `offset` counts from the body's first byte, as the request's range does.
struct Deliver { TransferId transfer; uint64_t offset; std::string bytes; };

enum class Ending : uint8_t {
  kDone,
  kUnavailable,   // One chunk failed too often, by whomever it was fetched.
  kHashMismatch,  // All is what our own WAN says, or was delivered already: the whole is not what was expected.
  kPoisoned,      // A member lied, and a part of its lies has been delivered.
  kChanged,       // The origin shows another state of it than when it began.
  kAborted,
};
// The last word on a transfer. kDone: each byte was delivered once, in order. `verified`: the whole has the expected hash.
struct Ended { TransferId transfer; Ending how; bool verified; uint64_t from_peers; };

struct SendNack { WorkerId worker; Nack nack; };
struct SendHeartbeat { WorkerId worker; };

enum class Fault : uint8_t { kFailures, kLiar };
// Failures: it gets nothing for a while. A liar is out for good: the parent closes its session.
struct Isolated { WorkerId worker; DeviceId device; Fault why; };
// Nothing was heard of it for kSilence: it is no worker any more.
struct PeerSilent { WorkerId worker; DeviceId device; };

using Action = std::variant<Fetch, Cancel, Deliver, Ended, SendNack, SendHeartbeat, Isolated, PeerSilent>;
using Actions = std::vector<Action>;

}  // namespace orchard::pod
