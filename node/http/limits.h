// How much of a stranger's message is held before it is refused. Node.js, nginx and Apache hold 8 to 16 KiB of head.
#pragma once

#include <cstddef>
#include <cstdint>

namespace orchard::http {

inline constexpr size_t kStartLineMax = 8192;      // RFC 9112 §3 asks for 8000 at least.
inline constexpr size_t kHeaderLineMax = 8192;
inline constexpr size_t kHeaderBytesMax = 32768;   // All header lines of one head.
inline constexpr size_t kHeadersMax = 128;
inline constexpr size_t kChunkLineMax = 256;       // A size and its extensions.
// Of one body, all together; endless ones are a way to keep a server busy (CVE-2024-22019).
inline constexpr uint64_t kChunkExtensionsMax = 16384;
inline constexpr size_t kTrailerBytesMax = 8192;
inline constexpr size_t kEmptyLinesMax = 4;        // Before a start line; RFC 9112 §2.2 asks for one.
inline constexpr size_t kInterimMax = 8;           // Responses 1xx before the final one.

}  // namespace orchard::http
