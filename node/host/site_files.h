// The directory of a site's files, read once and whole.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "node/cage/files.h"

namespace orchard::host {

// Regular files, and links to such that do not lead out of the directory. kNotFound: it cannot be read; kInvalidArgument: what is in it is no
// site's. Blocks while the disk does.
absl::StatusOr<cage::FileMap> ReadSiteFiles(const std::string& directory);

}  // namespace orchard::host
