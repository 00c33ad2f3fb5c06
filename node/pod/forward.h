// What a proxy makes of a message's head before it passes it on, and whether a request may be split over a pod. Pure.
// RFC 9110 §7.6, RFC 9112 §3.2.2; Via is not added: with it a server would not see what it sees of the client itself (some
// compress no more), and the loop that it is there to show is refused by address.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "node/base/bytes.h"
#include "node/http/message.h"
#include "node/http/range.h"
#include "node/http/url.h"

namespace orchard::pod {

// Where a proxy's request goes, and what the origin reads of it.
struct Forward {
  http::Url url;
  std::string target;          // Origin-form, or "*".
  http::HeaderList headers;    // As they came, without those of this hop; Host is the URL's.
  bool chunked = false;        // The body goes on so.
};

// Refused: no absolute http URL. Its message is for the client.
absl::StatusOr<Forward> ForwardOf(const http::RequestHead& request);
// Without the headers of this hop.
http::HeaderList RelayedHeaders(const http::ResponseHead& response);

// What of a representation a client wants, if members of a pod may fetch it for him: a GET without a body and with no header
// that names him (Authorization, Cookie) or that is not known to say nothing about which bytes come. Nothing: it passes as it is.
// kNone (the whole), kSingle or kOpen.
std::optional<http::RangeRequest> SplittableRange(const http::RequestHead& request);
// May a response to such a request be continued by others: it is not meant for one client alone, and names its state so well
// that parts from different connections are known to belong together. An encoded one is not, since others are asked for identity.
bool MayContinue(const http::ResponseHead& partial);
// The SHA-256 of the whole representation, if the origin states it: Repr-Digest (RFC 9530), or Digest (RFC 3230).
std::optional<Key32> StatedSha256(const http::HeaderList& response);

// The headers of an answer with `sent` bytes of `size`, made of those of a first part: 200 if `whole`, else 206.
http::HeaderList AssembledHeaders(const http::ResponseHead& partial, const http::ByteRange& sent, uint64_t size, bool whole);

}  // namespace orchard::pod
