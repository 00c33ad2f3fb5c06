#include "node/http/failure.h"

namespace orchard::http {

std::string_view NameOf(Failure failure) {
  switch (failure) {
    case Failure::kNone: return "none";
    case Failure::kBadUrl: return "bad-url";
    case Failure::kNoName: return "no-name";
    case Failure::kForbidden: return "forbidden-address";
    case Failure::kRefused: return "refused";
    case Failure::kUnreachable: return "unreachable";
    case Failure::kFirstByteTimeout: return "first-byte-timeout";
    case Failure::kStalled: return "stalled";
    case Failure::kReset: return "reset";
    case Failure::kClosedEarly: return "closed-early";
    case Failure::kBadMessage: return "bad-message";
    case Failure::kWholeAnswer: return "whole-answer";
    case Failure::kUnsatisfiable: return "unsatisfiable";
    case Failure::kStatus: return "status";
    case Failure::kWrongRange: return "wrong-range";
    case Failure::kChanged: return "changed";
    case Failure::kEncoded: return "encoded";
    case Failure::kTooMany: return "too-many";
    case Failure::kCancelled: return "cancelled";
  }
  return "none";
}

Failure ConnectFailure(absl::StatusCode status) {
  switch (status) {
    case absl::StatusCode::kUnavailable: return Failure::kRefused;
    case absl::StatusCode::kAborted: return Failure::kReset;
    default: return Failure::kUnreachable;
  }
}

Failure StreamFailure(absl::StatusCode status) { return status == absl::StatusCode::kOk ? Failure::kClosedEarly : Failure::kReset; }

}  // namespace orchard::http
