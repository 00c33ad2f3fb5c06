#include "node/http/refusal.h"

#include <iterator>


namespace orchard::http {
namespace {

struct Row {
  Refusal refusal;
  std::string_view name;
  int status;
};
// In the order of the enumeration.
constexpr Row kRows[] = {
    {Refusal::kNone, "none", 200},
    {Refusal::kMalformed, "malformed", 400},
    {Refusal::kBareLineEnd, "bare-line-end", 400},
    {Refusal::kFoldedHeader, "folded-header", 400},
    {Refusal::kSpaceBeforeColon, "space-before-colon", 400},
    {Refusal::kBadHeader, "bad-header", 400},
    {Refusal::kNoHost, "no-host", 400},
    {Refusal::kSeveralHosts, "several-hosts", 400},
    {Refusal::kBadTarget, "bad-target", 400},
    {Refusal::kBadLength, "bad-content-length", 400},
    {Refusal::kSeveralLengths, "several-content-lengths", 400},
    {Refusal::kLengthAndCoding, "length-and-transfer-encoding", 400},
    {Refusal::kBadCoding, "bad-transfer-encoding", 400},
    {Refusal::kUnknownCoding, "unknown-transfer-encoding", 501},
    {Refusal::kUnknownMethod, "unknown-method", 501},
    {Refusal::kUnknownVersion, "unknown-version", 505},
    {Refusal::kStartLineTooLong, "start-line-too-long", 414},
    {Refusal::kHeadersTooLarge, "headers-too-large", 431},
    {Refusal::kTooManyHeaders, "too-many-headers", 431},
    {Refusal::kBadChunk, "bad-chunk", 400},
    {Refusal::kChunkExtensions, "chunk-extensions", 400},
    {Refusal::kBadTrailer, "bad-trailer", 400},
    {Refusal::kBodyTooLarge, "body-too-large", 413},
    {Refusal::kUnknownExpectation, "unknown-expectation", 417},
    {Refusal::kTruncated, "truncated", 400},
    {Refusal::kUnexpectedUpgrade, "unexpected-upgrade", 502},
    {Refusal::kTooManyInterim, "too-many-interim", 502},
};

constexpr bool InOrder() {
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (size_t(kRows[i].refusal) != i) return false;
  }
  return true;
}
static_assert(InOrder() && std::size(kRows) == size_t(Refusal::kTooManyInterim) + 1);

}  // namespace

std::string_view NameOf(Refusal refusal) { return kRows[size_t(refusal)].name; }
int StatusOf(Refusal refusal) { return kRows[size_t(refusal)].status; }

// Source: RFC 9110 §15; 431 is RFC 6585 §5.
std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
  }
}

}  // namespace orchard::http
