// What opens the operator's door of sites: a line of a private file, which programs such as Prometheus (credentials_file) read too.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace orchard::host {

// The token in `path`; if there is no such file, a new one is made, mode 0600. A file that others may read, that is none of its own or has
// no token in it is an error that says what to do.
absl::StatusOr<std::string> AdminToken(const std::string& path);

}  // namespace orchard::host
