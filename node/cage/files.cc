#include "node/cage/files.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "node/base/status_macros.h"
#include "node/wire/reader.h"
#include "node/wire/writer.h"

namespace orchard::cage {
namespace {

absl::Status Wrong(std::string_view path, std::string_view what) {
  // What is no text is not repeated.
  const std::string shown = IsPrintableUtf8(AsBytes(path)) ? std::string(path.substr(0, 200)) : ToHex(AsBytes(path.substr(0, 64)));
  return absl::InvalidArgumentError(absl::StrCat("the file \"", shown, "\" ", absl::string_view(what.data(), what.size())));
}

}  // namespace

absl::Status CheckPath(std::string_view path) {
  if (path.size() > kPathBytesMax) return Wrong(path, absl::StrCat("has a path of more than ", kPathBytesMax, " bytes"));
  if (!IsPrintableUtf8(AsBytes(path))) return Wrong(path, "has a name that is no UTF-8, or has control characters (shown in hex)");
  size_t depth = 0;
  for (size_t at = 0, end; at <= path.size(); at = end + 1) {
    end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return Wrong(path, "is no path such as \"css/site.css\"");
    if (++depth > kPathDepthMax) return Wrong(path, absl::StrCat("lies more than ", kPathDepthMax, " names deep"));
  }
  return absl::OkStatus();
}

absl::Status CheckFiles(const FileMap& files) {
  if (files.size() > kFilesMax) return absl::InvalidArgumentError(absl::StrCat(files.size(), " files; a site has at most ", kFilesMax));
  size_t bytes = 0;
  for (const auto& [path, content] : files) {
    RETURN_IF_ERROR(CheckPath(path));
    for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
      if (files.contains(path.substr(0, slash))) return Wrong(path, "lies in one that is no directory");
    }
    bytes += content.size();
  }
  if (bytes > kFilesBytesMax) return absl::InvalidArgumentError(absl::StrCat("files of ", bytes, " bytes; a site has at most ", kFilesBytesMax));
  return absl::OkStatus();
}

std::string EncodeFiles(const FileMap& files) {
  wire::Writer w;
  w.Uint(files.size());
  for (const auto& [path, content] : files) w.String(path), w.String(content);
  return w.str();
}

absl::StatusOr<FileMap> DecodeFiles(Bytes bytes) {
  wire::Reader r(bytes);
  FileMap files;
  const uint64_t n = r.ArraySize();
  if (n > kFilesMax) r.Fail("too many files");
  for (uint64_t i = 0; i < n && r.ok(); ++i) {
    std::string path(AsText(r.Buffer())), content(AsText(r.Buffer()));
    // In order, so that the same files are the same bytes.
    if (r.ok() && !files.empty() && path <= files.rbegin()->first) r.Fail("files out of order");
    if (r.ok()) files.emplace_hint(files.end(), std::move(path), std::move(content));
  }
  if (r.ok() && r.remaining() > 0) r.Fail("bytes after the end");
  RETURN_IF_ERROR(r.status());
  RETURN_IF_ERROR(CheckFiles(files));
  return files;
}

}  // namespace orchard::cage
