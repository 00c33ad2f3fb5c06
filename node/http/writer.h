// Heads and chunks as bytes. What comes out of the parser, or of Url, may go in here; nothing else that a stranger wrote.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "node/base/bytes.h"
#include "node/http/headers.h"

namespace orchard::http {

std::string WriteRequest(std::string_view method, std::string_view target, const HeaderList& headers);
// HTTP/1.1, whatever the client speaks (RFC 9112 §2.3).
std::string WriteResponse(int status, const HeaderList& headers);
// With a reason of its own, as a proxy passes it on.
std::string WriteResponse(int status, std::string_view reason, const HeaderList& headers);

// Before and after a chunk's bytes; kLastChunk ends the body.
std::string ChunkHead(uint64_t size);
inline constexpr std::string_view kChunkTail = "\r\n", kLastChunk = "0\r\n\r\n";

}  // namespace orchard::http
