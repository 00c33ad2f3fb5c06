// How an exchange ends that brought no answer, or not the one that was asked for.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace orchard::http {

enum class Failure : uint8_t {
  kNone,
  kBadUrl,             // Or one that is not spoken here: https.
  kNoName,             // Nobody is called so.
  kForbidden,          // No address of it may be reached (public_address.h).
  kRefused,            // Nobody listens there.
  kUnreachable,        // Nobody answered the connect.
  kFirstByteTimeout,   // Connected, asked, and nothing came.
  kStalled,            // It began, and then nothing came or was taken.
  kReset,
  kClosedEarly,        // The stream ended before its message.
  kBadMessage,         // Not understood; a Refusal says more.
  // Of range fetches:
  kWholeAnswer,        // 200: the server takes no ranges, or the representation changed (If-Range).
  kUnsatisfiable,      // 416.
  kStatus,             // Any other status.
  kWrongRange,         // 206 of other bytes, or with another length.
  kChanged,            // 206 of another state of the representation.
  kEncoded,            // Content-Encoding, which was not asked for.
  kTooMany,            // Of ours: a table is full.
  kCancelled,          // Of ours.
};

// Of a fetch that was held to a state: the server has another one.
constexpr bool ShowsChange(Failure f) { return f == Failure::kWholeAnswer || f == Failure::kUnsatisfiable || f == Failure::kChanged; }

// "first-byte-timeout".
std::string_view NameOf(Failure failure);
// Of StreamClosed, before and after the stream was open.
Failure ConnectFailure(absl::StatusCode status);
Failure StreamFailure(absl::StatusCode status);

}  // namespace orchard::http
