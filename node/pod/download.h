// Downloads over the whole pod, as whoever wants bytes sees them (the proxy, an operation): ask, take what is delivered, say what
// was read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "node/base/turn.h"
#include "node/http/range.h"
#include "node/http/url.h"
#include "node/pod/actions.h"
#include "node/pod/relay.h"

namespace orchard::pod {

struct DownloadRequest {
  http::Url url;                   // http: what is fetched for others is not encrypted on their way out.
  uint64_t first = 0, last = 0;    // Of the body, both inclusive.
  http::Validator validator;       // The state of the representation that is wanted; our own WAN holds the origin to it.
  std::optional<Key32> sha256;     // Of these bytes, from the origin or the user.
  uint64_t before = 0;             // Bytes that the reader has from ourselves; for whoever looks.
};

// The next bytes, each once and in order; `offset` counts from the body's first byte, as `first` does.
struct PodDelivered { TransferId transfer; uint64_t offset; std::string bytes; };
// All was delivered. `verified`: it has the expected hash. `from_peers`: bytes that others fetched.
struct PodDone { TransferId transfer; bool verified; uint64_t from_peers; };
// No more comes. kHashMismatch and kPoisoned: what was delivered may be false, break the reader's connection.
struct PodFailed { TransferId transfer; Ending why; };
// A member is there, or is not any more.
struct PodFormed { DeviceId peer; size_t peers; };
struct PodLeft { DeviceId peer; size_t peers; };

// What class Pod offers; tests of its users have their own.
class Downloads {
 public:
  virtual ~Downloads() = default;
  // Nothing: do it alone (no members, an empty range, https, too many transfers). News of it may be there already when this returns.
  virtual std::optional<TransferId> Start(Turn& turn, const DownloadRequest& request, PodNews& news) = 0;
  // The reader took `bytes_in_all` of what was delivered: no more than a window ahead of it is fetched.
  virtual void Read(Turn& turn, const TransferId& transfer, uint64_t bytes_in_all, PodNews& news) = 0;
  // Ends it without a last word; of one that has ended this is nothing.
  virtual void Abort(Turn& turn, const TransferId& transfer, PodNews& news) = 0;
  virtual size_t peers() const = 0;  // Members that are there.
  // Null: nobody relays.
  virtual Relays* relays() { return nullptr; }
};

}  // namespace orchard::pod
