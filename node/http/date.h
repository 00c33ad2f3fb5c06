// The date of an answer, which an origin with a clock must give (RFC 9110 §6.6.1), as IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT".
#pragma once

#include <cstdint>
#include <string>

#include "node/base/turn.h"
#include "node/http/headers.h"

namespace orchard::http {

// RFC 9110 §5.6.7. Seconds since 1970-01-01 00:00 UTC; held within the years 1970 to 9999, the only ones that the format can say.
std::string ImfFixdate(int64_t unix_seconds);
// What the wall clock of the turn says, rounded down.
int64_t UnixSeconds(const Turn& turn);
// Adds `Date` unless there is one.
void AddDate(HeaderList& headers, int64_t unix_seconds);

}  // namespace orchard::http
