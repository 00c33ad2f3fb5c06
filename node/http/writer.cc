#include "node/http/writer.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/http/refusal.h"

namespace orchard::http {

std::string WriteRequest(std::string_view method, std::string_view target, const HeaderList& headers) {
  CHECK(IsToken(method));
  CHECK(!target.empty() && std::all_of(target.begin(), target.end(), [](char c) { return absl::ascii_isgraph(uint8_t(c)); }));
  std::string out;
  out.append(method).append(" ").append(target).append(" HTTP/1.1\r\n").append(headers.bytes()).append("\r\n");
  return out;
}

std::string WriteResponse(int status, const HeaderList& headers) { return WriteResponse(status, ReasonPhrase(status), headers); }

std::string WriteResponse(int status, std::string_view reason, const HeaderList& headers) {
  CHECK(status >= 100 && status <= 999 && IsFieldValue(reason));
  std::string out = absl::StrCat("HTTP/1.1 ", status, " ");
  out.append(reason).append("\r\n").append(headers.bytes()).append("\r\n");
  return out;
}

std::string ChunkHead(uint64_t size) { return absl::StrCat(absl::Hex(size), "\r\n"); }

}  // namespace orchard::http
