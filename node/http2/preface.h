// Whether a client speaks HTTP/2 without having asked (prior knowledge, RFC 9113 §3.3): by its first bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "node/base/bytes.h"

namespace orchard::http2 {

// RFC 9113 §3.4. No request of HTTP/1: there is no method PRI, and no version 2.0 of it.
inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum class Spoken : uint8_t { kUnknown, kHttp2, kOther };

// Of the bytes from the beginning of a stream. kUnknown: too few to tell. "PRI * HTTP/2.0" decides: what then goes wrong is HTTP/2's affair.
inline Spoken SpokenBy(Bytes first) {
  constexpr std::string_view kLine = kPreface.substr(0, 16);
  const size_t n = std::min(first.size(), kLine.size());
  if (AsText(first.subspan(0, n)) != kLine.substr(0, n)) return Spoken::kOther;
  return n == kLine.size() ? Spoken::kHttp2 : Spoken::kUnknown;
}

}  // namespace orchard::http2
