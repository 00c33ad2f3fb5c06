// The files of a site: what its guests may read, as it was when the site was deployed. Only files: a directory is there because files are
// in it, and they have no times, so that the same bytes are the same files everywhere.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "node/base/bytes.h"

namespace orchard::cage {

// Bytes by path: "css/site.css", without "." and "..".
using FileMap = absl::btree_map<std::string, std::string>;

// They are in the memory of the daemon, and of each process with a cage that reads them.
inline constexpr size_t kFilesBytesMax = 64 << 20, kFilesMax = 10'000;
inline constexpr size_t kPathBytesMax = 1024, kPathDepthMax = 32;

// kInvalidArgument names the path and what is wrong with it.
absl::Status CheckPath(std::string_view path);
// All that files of a site must be.
absl::Status CheckFiles(const FileMap& files);

std::string EncodeFiles(const FileMap& files);
// kInvalidArgument: no such bytes are written, or they break a rule of CheckFiles.
absl::StatusOr<FileMap> DecodeFiles(Bytes bytes);

}  // namespace orchard::cage
