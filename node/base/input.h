// Everything that a host tells a node. One input is one turn. Spans are valid until Handle returns.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "node/base/bytes.h"
#include "node/base/endpoint.h"
#include "node/base/time.h"

namespace orchard {

// Chosen by the node, counted up, never reused within a life. OpIds are chosen by the host.
enum class SocketId : uint32_t {};  // UDP sockets and TCP listeners.
enum class StreamId : uint32_t {};  // TCP streams. Those that a host accepts carry kAccepted, and the host counts them up.
enum class JobId : uint32_t {};
enum class OpId : uint32_t {};

inline constexpr uint32_t kAccepted = 0x80000000;
inline constexpr uint32_t kStreamWindow = 256 << 10;  // Bytes: the credit of a stream that was just opened.
inline constexpr Duration kConnectMax = std::chrono::seconds(30);  // Then nobody answers. Systems differ, and wait for minutes.

struct Interface {
  Endpoint address;  // Port 0.
  uint8_t prefix_bits = 0;
  bool loopback = false;
};

struct Start { absl::Span<const Interface> interfaces; };              // The first input of a life.
struct Stop {};                                                        // Say goodbye; the host ends when `stopped` is true.
struct InterfacesChanged { absl::Span<const Interface> interfaces; };
struct Deadline {};                                                    // next_deadline() <= now.
struct SocketOpened { SocketId socket; Endpoint local; absl::StatusCode status; };
struct Datagram { SocketId socket; Endpoint from; Bytes payload; };
struct GroupJoined { SocketId socket; Endpoint group; Endpoint interface; absl::StatusCode status; };
struct StreamOpened { StreamId stream; std::optional<SocketId> listener; Endpoint local, peer; };  // No listener: we connected.
struct StreamData { StreamId stream; Bytes bytes; };                   // At most what Outbox::Accept granted.
struct StreamCredit { StreamId stream; uint32_t bytes; };              // The host takes this many more.
struct StreamEnded { StreamId stream; };                               // The peer's half is closed; nothing more comes.
struct StreamClosed { StreamId stream; absl::StatusCode status; };     // The last word. kOk: both halves ended; kAborted: reset.
struct OpCall { OpId op; std::string_view name; Bytes params; };       // JSON object; the table in sidecar/ says its keys.
struct OpData { OpId op; Bytes bytes; bool end; };                     // Binary; at most what Outbox::AcceptOp granted.
struct OpCredit { OpId op; uint32_t events; };                         // The caller can take this many more events.
struct OpCancelled { OpId op; };                                       // The caller died or pressed ^C; emit nothing more.
struct JobDone { JobId job; absl::StatusCode status; Bytes result; };  // node/base/jobs.h has the shapes.

using Input = std::variant<Start, Stop, InterfacesChanged, Deadline, SocketOpened, Datagram, GroupJoined, StreamOpened,
                           StreamData, StreamCredit, StreamEnded, StreamClosed, OpCall, OpData, OpCredit, OpCancelled, JobDone>;

}  // namespace orchard
