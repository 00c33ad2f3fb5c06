// A TCP stream and the session on it, with what waits to be written.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "node/base/turn.h"
#include "node/http/stream_io.h"
#include "node/pod/session.h"

namespace orchard::pod {

struct Link {
  static constexpr uint32_t kReadAhead = 1 << 20;   // 80 ms at 100 Mb/s: a LAN, and Wi-Fi's bad moments.
  static constexpr size_t kOutMax = 8u << 20;       // Bytes that wait; whoever takes so little is no help to anyone.

  Link(StreamId s, Session::Config config, const Endpoint& to) : stream(s), session(std::move(config)), at(to) {}

  void Write(Turn& turn, Bytes bytes) {
    out.append(AsText(bytes));
    Flush(turn);
  }
  void OnCredit(Turn& turn, uint32_t bytes) {
    credit += bytes;
    Flush(turn);
  }
  void Flush(Turn& turn) {
    const size_t n = size_t(std::min<uint64_t>(credit, out.size() - written));
    if (n == 0) return;
    turn.out.Write(stream, AsBytes(std::string_view(out).substr(written, n)));
    credit -= n, written += n;
    // Moved rarely, so that a large queue is not copied with every bit of credit.
    if (written == out.size()) out.clear(), written = 0;
    else if (written > out.size() / 2) out.erase(0, written), written = 0;
  }
  size_t pending() const { return out.size() - written; }

  StreamId stream;
  Session session;
  Endpoint at;                      // The other side.
  bool dialled = false;             // By us.
  std::optional<DeviceId> expected; // Whom we dialled.
  bool open = false;                // The stream is.
  bool loser = false;               // Another connection to the same device counts; this one goes at `deadline`.
  Instant deadline = kNever;        // Of the connect, the hello, or a loser.
  Instant opened_at = kNever;
  http::StreamIn in{kReadAhead};
  uint64_t credit = 0;
  size_t written = 0;               // Of `out`.
  std::string out;
};

}  // namespace orchard::pod
