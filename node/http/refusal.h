// Why a message is not understood, by name, and the status that a server answers it with.
#pragma once

#include <cstdint>
#include <string_view>

namespace orchard::http {

enum class Refusal : uint8_t {
  kNone,
  kMalformed,            // The grammar of RFC 9112 says no, and nothing below says more.
  kBareLineEnd,          // CR without LF, or LF without CR.
  kFoldedHeader,         // obs-fold, RFC 9112 §5.2.
  kSpaceBeforeColon,
  kBadHeader,
  kNoHost,
  kSeveralHosts,
  kBadTarget,
  kBadLength,
  kSeveralLengths,
  kLengthAndCoding,      // Content-Length and Transfer-Encoding: a smuggler's favourite.
  kBadCoding,            // Transfer-Encoding twice, or in HTTP/1.0.
  kUnknownCoding,        // Any other than "chunked" alone.
  kUnknownMethod,
  kUnknownVersion,
  kStartLineTooLong,
  kHeadersTooLarge,
  kTooManyHeaders,
  kBadChunk,
  kChunkExtensions,
  kBadTrailer,
  kBodyTooLarge,
  kUnknownExpectation,
  kTruncated,            // The stream ended within the message.
  kUnexpectedUpgrade,    // 101, which nobody asked for.
  kTooManyInterim,
};

// "length-and-transfer-encoding".
std::string_view NameOf(Refusal refusal);
// 400, 413, 414, 417, 431, 501 or 505. For a response there is nobody to tell; a proxy says 502.
int StatusOf(Refusal refusal);

// "Not Found"; "Unknown" for a status that RFC 9110 does not name.
std::string_view ReasonPhrase(int status);

}  // namespace orchard::http
