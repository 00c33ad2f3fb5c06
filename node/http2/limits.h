// How much a client of HTTP/2 may ask of one connection before it is told to calm down (RFC 9113 §10.5). Heads are bounded as in
// node/http/limits.h. Rates are counted in windows of virtual time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "node/base/time.h"

namespace orchard::http2 {

inline constexpr uint32_t kStreamsMax = 100;              // At once; RFC 9113 §6.5.2 asks for 100 at least.
inline constexpr uint32_t kStreamWindowBytes = 65'535;    // What may come of one body before we take it: the default of §6.9.2.
inline constexpr uint32_t kSessionWindowBytes = 256 << 10;  // Of all bodies together.
inline constexpr Duration kRateWindow = std::chrono::seconds(10);
// Streams that the client resets, or that it has us reset by breaking a rule (CVE-2023-44487, CVE-2025-8671). A browser that
// leaves a page resets a full set at once.
inline constexpr uint64_t kResetsMax = 200;
// Frames that ask for work and carry nothing: PING, SETTINGS, PRIORITY, GOAWAY, unknown ones, DATA without data (CVE-2019-9512,
// -9515, -9518).
inline constexpr uint64_t kIdleFramesMax = 1000;
// WINDOW_UPDATE: so many, and one for each KiB of body that we sent (CVE-2019-9511: windows given byte by byte).
inline constexpr uint64_t kWindowUpdatesMax = 1000;
inline constexpr uint64_t kBytesPerWindowUpdate = 1024;
inline constexpr uint32_t kContinuationsMax = 8;          // Of one head (CVE-2024-28182); three hold the largest that we take.
inline constexpr size_t kHeadWireBytesMax = 40 << 10;     // As it comes, packed; all that it unpacks to is bounded in node/http.
inline constexpr size_t kOutboundAcksMax = 1000;          // Answers to PING and SETTINGS that wait because the client does not read.
inline constexpr size_t kResponseHeaderBytesMax = 48 << 10;
// What nghttp2 may allocate for one connection: a full set of streams, and heads that wait to leave.
inline constexpr size_t kSessionMemoryMax = 2 << 20;

}  // namespace orchard::http2
