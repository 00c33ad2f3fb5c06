#include "node/http2/head_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/ascii.h"
#include "node/http/limits.h"

namespace orchard::http2 {
namespace {

using http::EqualsIgnoringCase;
using http::Refusal;

constexpr size_t kMethodMax = 64;

bool AllGraph(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isgraph(uint8_t(c)); });
}

}  // namespace

bool IsConnectionSpecific(std::string_view name) {
  static constexpr std::string_view kNames[] = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};
  return std::any_of(std::begin(kNames), std::end(kNames), [&](std::string_view n) { return EqualsIgnoringCase(n, name); });
}

void HeadReader::OnField(std::string_view name, std::string_view value) {
  if (refusal_ != Refusal::kNone) return;
  // As a line of HTTP/1.1 would be; so a small block that unpacks to megabytes is stopped here.
  bytes_ += name.size() + value.size() + 4;
  if (++fields_ > http::kHeadersMax + 4) return Refuse(Refusal::kTooManyHeaders);
  if (bytes_ > http::kHeaderBytesMax + http::kStartLineMax) return Refuse(Refusal::kHeadersTooLarge);
  if (name.starts_with(':')) return OnPseudo(name, value);
  if (!http::IsToken(name) || !http::IsFieldValue(value) || IsConnectionSpecific(name)) return Refuse(Refusal::kBadHeader);
  if (headers_.size() >= http::kHeadersMax) return Refuse(Refusal::kTooManyHeaders);
  if (headers_.bytes().size() + cookies_.size() + name.size() + value.size() + 4 > http::kHeaderBytesMax) return Refuse(Refusal::kHeadersTooLarge);
  if (name == "host") {
    if (host_.has_value()) return Refuse(Refusal::kSeveralHosts);
    host_ = value;
    return;
  }
  if (name == "cookie") {  // §8.2.3.
    if (!cookies_.empty() && !value.empty()) cookies_ += "; ";
    cookies_ += value;
    return;
  }
  if (name == "content-length") {
    uint64_t length = 0;
    const bool digits = !value.empty() && std::all_of(value.begin(), value.end(), absl::ascii_isdigit);
    if (length_.has_value()) return Refuse(Refusal::kSeveralLengths);
    if (!digits || value.size() > 18) return Refuse(Refusal::kBadLength);
    std::from_chars(value.data(), value.data() + value.size(), length);
    length_ = length;
  }
  headers_.Add(name, value);
}

void HeadReader::OnPseudo(std::string_view name, std::string_view value) {
  if (name == ":method") {
    if (!http::IsToken(value) || value.size() > kMethodMax) return Refuse(Refusal::kUnknownMethod);
    method_ = value;
  } else if (name == ":scheme") {
    scheme_ = value;
  } else if (name == ":path") {
    if (value.size() > http::kStartLineMax) return Refuse(Refusal::kStartLineTooLong);
    path_ = value;
  } else if (name == ":authority") {
    authority_ = value;
  } else {
    Refuse(Refusal::kBadHeader);
  }
}

Refusal HeadReader::Finish(bool ends, http::RequestHead& head) {
  head.method = std::move(method_), head.target = std::move(path_), head.minor = 1, head.keep_alive = true;
  if (refusal_ != Refusal::kNone) return refusal_;
  if (head.method.empty()) return Refusal::kMalformed;
  if (authority_.has_value() && host_.has_value() && !EqualsIgnoringCase(*authority_, *host_)) return Refusal::kSeveralHosts;
  const std::string host = authority_.has_value() ? *std::move(authority_) : std::move(host_).value_or("");
  if (host.empty()) return Refusal::kNoHost;
  // User information has no place here (§8.3.1), nor has what no authority holds.
  if (!AllGraph(host) || host.find_first_of("@/?#\\\"") != host.npos) return Refusal::kBadTarget;
  if (head.method == "CONNECT") {
    head.target = host;
  } else {
    if (scheme_ != "http" && scheme_ != "https") return Refusal::kBadTarget;
    const bool fits = head.target == "*" ? head.method == "OPTIONS" : head.target.starts_with('/');
    if (!fits || !AllGraph(head.target) || head.target.find('#') != head.target.npos) return Refusal::kBadTarget;
  }
  head.headers.Clear();
  head.headers.Add("host", host);
  head.headers.Append(headers_);
  if (!cookies_.empty()) head.headers.Add("cookie", cookies_);
  head.length = length_.value_or(0);
  head.body = ends || length_ == 0 ? http::BodyKind::kNone : length_.has_value() ? http::BodyKind::kLength : http::BodyKind::kChunked;
  if (ends && head.length > 0) return Refusal::kBadLength;
  if (const auto expect = head.headers.Find("expect"); expect.has_value()) {
    if (!EqualsIgnoringCase(*expect, "100-continue")) return Refusal::kUnknownExpectation;
    head.expects_continue = head.body != http::BodyKind::kNone;
  }
  return Refusal::kNone;
}

}  // namespace orchard::http2
