// What a cage answered, as HTTP.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "node/http/headers.h"

namespace orchard::cage {

struct Answer {
  int status = 200;
  http::HeaderList headers;   // Without those that the server adds itself, and those of one hop.
  std::string_view body;      // Of the bytes that were parsed.
};

inline constexpr size_t kAnswerHeadMax = 32 << 10;
inline constexpr size_t kAnswerHeadersMax = 64;

// A document of RFC 3875 §6: header lines that end in LF or CR LF, an empty line, the body. `Status` says the status; a `Location`
// without one means 302. kInvalidArgument says what makes no sense: no header at all, a line that is none, bytes that no header may
// have, a status outside 200 to 599.
absl::StatusOr<Answer> ParseAnswer(std::string_view bytes);

}  // namespace orchard::cage
