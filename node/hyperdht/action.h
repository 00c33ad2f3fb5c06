// What a storing node or the router decides about one request; the Dht carries it out through dht::Rpc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "node/base/bytes.h"
#include "node/base/endpoint.h"

namespace orchard::hyperdht {

// A user request as it came in. `token` is set only if dht-rpc found it valid.
struct UserRequest {
  Endpoint from;
  uint64_t command = 0;
  std::optional<Key32> target;
  std::optional<Key32> token;
  std::optional<Bytes> value;
};

struct Action {
  enum class Kind : uint8_t {
    kSilence,         // The requester times out.
    kReply,
    kRelay,           // The same request (tid, command, target), once more, to `to`.
    kUnknownCommand,
  };
  Kind kind = Kind::kSilence;
  bool token = true, closer_nodes = true;  // kReply.
  uint8_t error = 0;                       // kReply.
  std::optional<std::string> value;        // kReply, kRelay. Empty bytes and no value differ on the wire.
  std::optional<Endpoint> to;              // kRelay; kReply: in place of the requester.
  std::string_view rejected;               // Set if the request was bad: the word for the trace and the counters.

  static Action Silence(std::string_view rejected = {}) { return {.kind = Kind::kSilence, .rejected = rejected}; }
  static Action Reply(std::optional<std::string> value) { return {.kind = Kind::kReply, .value = std::move(value)}; }
  static Action Fail(uint8_t error, std::string_view rejected) {
    return {.kind = Kind::kReply, .error = error, .rejected = rejected};
  }
  // The answer to ANNOUNCE and UNANNOUNCE: empty, no token, no closer nodes.
  static Action Done() { return {.kind = Kind::kReply, .token = false, .closer_nodes = false}; }
};

}  // namespace orchard::hyperdht
