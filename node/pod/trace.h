// The events of this layer. `peer` is a device id, `transfer` a transfer's: 16 bytes each.
#pragma once

#include <cstdint>
#include <string_view>

#include "node/base/bytes.h"

namespace orchard::pod {

// Who this is, at its start.
struct TracePodDevice {
  static constexpr std::string_view kName = "pod.device";
  Bytes peer;
  template <class V>
  void Fields(V&& v) const { v("peer", peer); }
};
// A member is there; with it there are `peers`.
struct TracePodFormed {
  static constexpr std::string_view kName = "pod.formed";
  Bytes peer;
  uint64_t peers;
  template <class V>
  void Fields(V&& v) const { v("peer", peer), v("peers", peers); }
};
struct TracePodLeft {
  static constexpr std::string_view kName = "pod.left";
  Bytes peer;
  uint64_t peers;
  std::string_view why;
  template <class V>
  void Fields(V&& v) const { v("peer", peer), v("peers", peers), v("why", why); }
};
// A session began to seal with a key, from its first nonce on. `key`: eight bytes of a hash of it.
struct TracePodKeyed {
  static constexpr std::string_view kName = "pod.keyed";
  Bytes key;
  template <class V>
  void Fields(V&& v) const { v("key", key); }
};
// A connection that became no membership, or stopped making sense.
struct TracePodRefused {
  static constexpr std::string_view kName = "pod.refused";
  std::string_view why;
  template <class V>
  void Fields(V&& v) const { v("why", why); }
};
// A device near by says that it is there, and can be no member. `why`: it speaks another "profile", or has another "secret".
struct TracePodStranger {
  static constexpr std::string_view kName = "pod.stranger";
  std::string_view from, why;
  template <class V>
  void Fields(V&& v) const { v("from", from), v("why", why); }
};
// Gets nothing for a while (failures), or is out for good (liar).
struct TracePodIsolated {
  static constexpr std::string_view kName = "pod.isolated";
  Bytes peer;
  std::string_view why;
  template <class V>
  void Fields(V&& v) const { v("peer", peer), v("why", why); }
};
struct TracePodStarted {
  static constexpr std::string_view kName = "pod.started";
  Bytes transfer;
  uint64_t bytes, peers;
  template <class V>
  void Fields(V&& v) const { v("transfer", transfer), v("bytes", bytes), v("peers", peers); }
};
// Bytes of a transfer were accepted: from our own WAN (worker 0), or from the member `peer`.
struct TracePodChunk {
  static constexpr std::string_view kName = "pod.chunk";
  Bytes transfer, peer;
  uint64_t worker, bytes, own;
  template <class V>
  void Fields(V&& v) const { v("transfer", transfer), v("peer", peer), v("worker", worker), v("bytes", bytes), v("own", own); }
};
// Bytes came that were there already: races and probes.
struct TracePodRefetched {
  static constexpr std::string_view kName = "pod.refetched";
  uint64_t bytes;
  template <class V>
  void Fields(V&& v) const { v("bytes", bytes); }
};
// A transfer is over. `why`: "done", or how it failed.
struct TracePodEnded {
  static constexpr std::string_view kName = "pod.ended";
  Bytes transfer;
  std::string_view why;
  uint64_t from_peers, verified;
  template <class V>
  void Fields(V&& v) const { v("transfer", transfer), v("why", why), v("from_peers", from_peers), v("verified", verified); }
};
// A chunk that a member asked us for was sent to it.
struct TracePodServed {
  static constexpr std::string_view kName = "pod.served";
  Bytes peer;
  uint64_t bytes;
  template <class V>
  void Fields(V&& v) const { v("peer", peer), v("bytes", bytes); }
};
// It asked for a way to host:port through us.
struct TracePodRelay {
  static constexpr std::string_view kName = "pod.relay";
  Bytes peer;
  std::string_view host;
  uint64_t port;
  template <class V>
  void Fields(V&& v) const { v("peer", peer), v("host", host), v("port", port); }
};
struct TracePodRelayEnded {
  static constexpr std::string_view kName = "pod.relay_ended";
  Bytes peer;
  std::string_view why;
  template <class V>
  void Fields(V&& v) const { v("peer", peer), v("why", why); }
};
// It was not fetched for it.
struct TracePodChunkRefused {
  static constexpr std::string_view kName = "pod.chunk_refused";
  Bytes peer;
  std::string_view why;
  template <class V>
  void Fields(V&& v) const { v("peer", peer), v("why", why); }
};

}  // namespace orchard::pod
