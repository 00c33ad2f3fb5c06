// Why a connection of HTTP/2 was ended by us.
#pragma once

#include <cstdint>
#include <string_view>

namespace orchard::http2 {

enum class Trouble : uint8_t {
  kNone,
  kNotHttp2,         // It did not begin with the preface.
  kProtocol,         // A rule of RFC 9113 that is the connection's affair.
  kRapidReset,
  kIdleFrames,       // PING, SETTINGS, PRIORITY, empty DATA, unknown ones.
  kWindowUpdates,
  kContinuations,
  kHeadTooLarge,     // As it comes; what it unpacks to is a Refusal of one request.
  kSlowHead,         // A head or a frame that is not data did not come whole in time.
  kNotReading,       // What we sent was not taken.
  kMemory,
};

// "rapid-reset".
std::string_view NameOf(Trouble trouble);

}  // namespace orchard::http2
