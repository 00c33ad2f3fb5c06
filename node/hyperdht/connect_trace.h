// The events of connections. `connection` is this node's ConnectionId, `peer` the other side's public key.
#pragma once

#include <cstdint>
#include <string_view>

#include "node/base/bytes.h"

namespace orchard::hyperdht {

// A dial began, or a handshake came in.
struct ConnectBegan {
  static constexpr std::string_view kName = "connect.began";
  uint32_t connection;
  Bytes peer;
  uint64_t initiator;
  template <class V>
  void Fields(V&& v) const { v("connection", connection), v("peer", peer), v("initiator", initiator); }
};
struct ConnectStepped {
  static constexpr std::string_view kName = "connect.step";
  uint32_t connection;
  std::string_view step;
  template <class V>
  void Fields(V&& v) const { v("connection", connection), v("step", step); }
};
struct ConnectOpened {
  static constexpr std::string_view kName = "connect.opened";
  uint32_t connection;
  Bytes peer;
  uint64_t initiator;
  std::string_view path;                  // "lan", "direct", "punched", "relayed".
  uint64_t took_ns, attempts, probes;     // Since it began; handshakes sent; hole-punching datagrams sent.
  std::string_view local_nat, remote_nat; // As classified: "unknown", "open", "consistent", "random".
  template <class V>
  void Fields(V&& v) const {
    v("connection", connection), v("peer", peer), v("initiator", initiator), v("path", path), v("took_ns", took_ns);
    v("attempts", attempts), v("probes", probes), v("local_nat", local_nat), v("remote_nat", remote_nat);
  }
};
// Never opened.
struct ConnectFailure {
  static constexpr std::string_view kName = "connect.failed";
  uint32_t connection;
  Bytes peer;
  uint64_t initiator;
  std::string_view code, step;            // "HOLEPUNCH_ABORTED", "probe".
  uint64_t took_ns, attempts, probes;
  std::string_view local_nat, remote_nat;
  template <class V>
  void Fields(V&& v) const {
    v("connection", connection), v("peer", peer), v("initiator", initiator), v("code", code), v("step", step);
    v("took_ns", took_ns), v("attempts", attempts), v("probes", probes), v("local_nat", local_nat), v("remote_nat", remote_nat);
  }
};
struct ConnectPathChanged {
  static constexpr std::string_view kName = "connect.path_changed";
  uint32_t connection;
  Bytes peer;
  std::string_view from, to;
  template <class V>
  void Fields(V&& v) const { v("connection", connection), v("peer", peer), v("from", from), v("to", to); }
};
// The remote address is another; the path's kind may be the same.
struct ConnectRemoteChanged {
  static constexpr std::string_view kName = "connect.remote_changed";
  uint32_t connection;
  Bytes peer;
  template <class V>
  void Fields(V&& v) const { v("connection", connection), v("peer", peer); }
};
// Was open.
struct ConnectClosed {
  static constexpr std::string_view kName = "connect.closed";
  uint32_t connection;
  Bytes peer;
  std::string_view code;                  // "OK", "ETIMEDOUT", …
  uint64_t sent_bytes, received_bytes;    // Of messages.
  template <class V>
  void Fields(V&& v) const {
    v("connection", connection), v("peer", peer), v("code", code), v("sent_bytes", sent_bytes), v("received_bytes", received_bytes);
  }
};
struct ConnectRefused {
  static constexpr std::string_view kName = "connect.refused";
  std::string_view why;                   // "forged", "replayed", "firewall", "duplicate", "overload", "malformed".
  template <class V>
  void Fields(V&& v) const { v("why", why); }
};
// Message bytes that went to, and came from, the other side. At most one of each a turn and connection.
struct StreamSent {
  static constexpr std::string_view kName = "stream.sent";
  uint32_t connection;
  uint64_t bytes;
  template <class V>
  void Fields(V&& v) const { v("connection", connection), v("bytes", bytes); }
};
struct StreamReceived {
  static constexpr std::string_view kName = "stream.received";
  uint32_t connection;
  uint64_t bytes;
  template <class V>
  void Fields(V&& v) const { v("connection", connection), v("bytes", bytes); }
};
// The smoothed round trip: of a connection with traffic, at most once a second.
struct StreamRtt {
  static constexpr std::string_view kName = "stream.rtt";
  uint32_t connection;
  uint64_t rtt_ns;
  template <class V>
  void Fields(V&& v) const { v("connection", connection), v("rtt_ns", rtt_ns); }
};
// A relay let go of one half of a link, over which so much came.
struct RelayCarried {
  static constexpr std::string_view kName = "relay.carried";
  uint32_t link;
  uint64_t bytes;
  template <class V>
  void Fields(V&& v) const { v("link", link), v("bytes", bytes); }
};
struct ServerListens {
  static constexpr std::string_view kName = "server.listening";
  Bytes server;
  template <class V>
  void Fields(V&& v) const { v("server", server); }
};
struct ServerRemaps {
  static constexpr std::string_view kName = "server.remapped";
  Bytes server;
  template <class V>
  void Fields(V&& v) const { v("server", server); }
};

}  // namespace orchard::hyperdht
