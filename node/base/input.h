// Everything that a host tells a node. One input is one turn. Spans are valid until Handle returns.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "node/base/bytes.h"
#include "node/base/endpoint.h"

namespace orchard {

// Chosen by the node, counted up, never reused within a life. OpIds are chosen by the host.
enum class SocketId : uint32_t {};
enum class JobId : uint32_t {};
enum class OpId : uint32_t {};

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
struct OpCall { OpId op; std::string_view name; Bytes params; };       // JSON object; the table in sidecar/ says its keys.
struct OpData { OpId op; Bytes bytes; bool end; };                     // Binary; at most what Outbox::AcceptOp granted.
struct OpCredit { OpId op; uint32_t events; };                         // The caller can take this many more events.
struct OpCancelled { OpId op; };                                       // The caller died or pressed ^C; emit nothing more.
struct JobDone { JobId job; absl::StatusCode status; Bytes result; };  // node/base/jobs.h has the shapes.

using Input = std::variant<Start, Stop, InterfacesChanged, Deadline, SocketOpened, Datagram, OpCall, OpData, OpCredit,
                           OpCancelled, JobDone>;

}  // namespace orchard
