// The head of a message, as it was understood.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "node/http/headers.h"

namespace orchard::http {

// How the end of a body is found. RFC 9112 §6.3.
enum class BodyKind : uint8_t {
  kNone,      // There is none.
  kLength,    // Content-Length, not 0.
  kChunked,
  kUntilEnd,  // Of the stream: a response that says nothing else.
  kTunnel,    // After CONNECT and 101: what follows is no HTTP.
};

struct MessageHead {
  uint8_t minor = 1;         // HTTP/1.<minor>.
  HeaderList headers;
  BodyKind body = BodyKind::kNone;
  uint64_t length = 0;       // Of the body, if kLength.
  bool keep_alive = false;   // The sender will keep the connection. RFC 9112 §9.3.
};

struct RequestHead : MessageHead {
  std::string method, target;
  bool expects_continue = false;
};

struct ResponseHead : MessageHead {
  int status = 0;
  std::string reason;
};

}  // namespace orchard::http
