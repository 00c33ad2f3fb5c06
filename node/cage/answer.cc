#include "node/cage/answer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace orchard::cage {
namespace {

absl::Status Nonsense(std::string_view what) { return absl::InvalidArgumentError(absl::string_view(what.data(), what.size())); }

// "404 Not Found", "404".
int StatusOf(std::string_view value) {
  if (value.size() < 3 || (value.size() > 3 && value[3] != ' ')) return 0;
  int status = 0;
  for (char c : value.substr(0, 3)) {
    if (c < '0' || c > '9') return 0;
    status = status * 10 + (c - '0');
  }
  return status >= 200 && status <= 599 ? status : 0;
}

// How long the body is, is seen; and who we are and when is ours to say.
bool IsOurs(std::string_view name) {
  static constexpr std::string_view kNames[] = {"Content-Length", "Date", "Server"};
  return std::any_of(std::begin(kNames), std::end(kNames), [&](std::string_view n) { return http::EqualsIgnoringCase(n, name); });
}

}  // namespace

absl::StatusOr<Answer> ParseAnswer(std::string_view bytes) {
  Answer answer;
  bool status = false;
  size_t at = 0;
  for (size_t lines = 0;; ++lines) {
    const size_t end = bytes.substr(0, kAnswerHeadMax).find('\n', at);
    if (end == bytes.npos) return Nonsense(lines == 0 ? "no header line" : "header lines that no empty line ends");
    std::string_view line = bytes.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    at = end + 1;
    if (line.empty()) {
      if (lines == 0) return Nonsense("no header line");
      break;
    }
    if (lines == kAnswerHeadersMax) return Nonsense("more header lines than 64");
    const size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon), value = colon == line.npos ? "" : http::Trimmed(line.substr(colon + 1));
    if (colon == line.npos || !http::IsToken(name)) return Nonsense("a header line without a name");
    if (!value.empty() && !http::IsFieldValue(value)) return Nonsense("a header value with control characters");
    if (http::EqualsIgnoringCase(name, "Status")) {
      if (status) return Nonsense("two lines Status");
      status = true;
      if ((answer.status = StatusOf(value)) == 0) return Nonsense("a Status that is none");
      continue;
    }
    if (!IsOurs(name)) answer.headers.Add(name, value);
  }
  if (!status && answer.headers.Has("Location")) answer.status = 302;
  answer.headers.RemoveHopByHop();
  answer.body = bytes.substr(at);
  return answer;
}

}  // namespace orchard::cage
