#include "node/pod/forward.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "node/base/status_macros.h"

namespace orchard::pod {
namespace {

using http::EqualsIgnoringCase;
using http::RangeRequest;

// Request headers that change nothing about which bytes an origin has under a strong validator, or say what is said by us.
bool IsHarmless(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Cache-Control", "Connection", "DNT", "Host",
      "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Keep-Alive", "Orchard-SHA256", "Orchard-Uplink", "Origin", "Pragma", "Priority",
      "Proxy-Connection", "Purpose", "Range", "Referer", "Save-Data", "TE", "Upgrade-Insecure-Requests", "User-Agent"};
  return EqualsIgnoringCase(name.substr(0, 4), "Sec-") ||
         std::any_of(std::begin(kNames), std::end(kNames), [&](std::string_view n) { return EqualsIgnoringCase(n, name); });
}

// `member` of "name=value, name=value".
std::optional<std::string> Member(std::string_view list, std::string_view member) {
  while (true) {
    const size_t comma = list.find(',');
    const std::string_view one = http::Trimmed(list.substr(0, comma));
    const size_t equals = one.find('=');
    if (equals != one.npos && EqualsIgnoringCase(http::Trimmed(one.substr(0, equals)), member)) {
      return std::string(http::Trimmed(one.substr(equals + 1)));
    }
    if (comma == list.npos) return std::nullopt;
    list = list.substr(comma + 1);
  }
}

std::optional<Key32> DecodeSha256(std::string_view base64) {
  std::string bytes;
  if (base64.size() > 64 || !absl::Base64Unescape(absl::string_view(base64.data(), base64.size()), &bytes)) return std::nullopt;
  Key32 key;
  if (bytes.size() != key.size()) return std::nullopt;
  std::copy_n(AsBytes(bytes).begin(), key.size(), key.begin());
  return key;
}

}  // namespace

absl::StatusOr<Forward> ForwardOf(const http::RequestHead& request) {
  if (request.method == "TRACE") return absl::InvalidArgumentError("TRACE is not passed on: it would show a page what only its server may see");
  ASSIGN_OR_RETURN(http::Url url, http::Url::Parse(request.target));
  if (url.https) return absl::InvalidArgumentError("https is asked for by CONNECT");
  Forward f{.url = std::move(url), .target = {}, .headers = request.headers, .chunked = request.body == http::BodyKind::kChunked};
  // RFC 9112 §3.2.4: of the server, not of a resource.
  const std::string_view rest = std::string_view(request.target).substr(request.target.find("://") + 3);
  f.target = request.method == "OPTIONS" && rest.find_first_of("/?") == rest.npos ? "*" : f.url.target;
  f.headers.RemoveHopByHop();
  for (std::string_view name : {"Orchard-SHA256", "Orchard-Uplink"}) f.headers.Remove(name);  // Said to us (proxy_client.h).
  // What Host says beside an absolute URL is ignored; as it stands if it says the same.
  const auto host = f.headers.Find("Host");
  const auto said = host.has_value() ? http::Authority::Parse(*host, 80) : absl::StatusOr<http::Authority>(absl::NotFoundError(""));
  if (!said.ok() || *said != f.url.authority) f.headers.Replace("Host", f.url.host_header());
  if (f.chunked) f.headers.Add("Transfer-Encoding", "chunked");
  return f;
}

http::HeaderList RelayedHeaders(const http::ResponseHead& response) {
  http::HeaderList headers = response.headers;
  headers.RemoveHopByHop();
  return headers;
}

std::optional<RangeRequest> SplittableRange(const http::RequestHead& request) {
  if (request.method != "GET" || request.body != http::BodyKind::kNone) return std::nullopt;
  for (size_t i = 0; i < request.headers.size(); ++i) {
    if (!IsHarmless(request.headers[i].name)) return std::nullopt;
  }
  if (request.headers.HasToken("Cache-Control", "no-store")) return std::nullopt;
  if (request.headers.Count("Range") > 1 || request.headers.Count("If-Range") > 1) return std::nullopt;
  const RangeRequest range = RangeRequest::Of(request.headers);
  // A Range that is not understood may be so by the origin; a suffix says where it begins only once the size is known.
  if (range.kind == RangeRequest::Kind::kNone && request.headers.Has("Range")) return std::nullopt;
  if (range.kind == RangeRequest::Kind::kSeveral || range.kind == RangeRequest::Kind::kSuffix) return std::nullopt;
  return range;
}

bool MayContinue(const http::ResponseHead& partial) {
  const http::HeaderList& h = partial.headers;
  const http::Validator validator = http::Validator::Of(h);
  if (validator.empty() || h.Has("Set-Cookie")) return false;
  for (std::string_view alone : {"private", "no-store"}) {
    if (h.HasToken("Cache-Control", alone)) return false;
  }
  const auto encoding = h.Find("Content-Encoding");
  if (encoding.has_value() && !EqualsIgnoringCase(*encoding, "identity")) return false;
  // A date is the same for all variants of a page: only a tag tells them apart.
  return !validator.etag.empty() || !h.Has("Vary");
}

std::optional<Key32> StatedSha256(const http::HeaderList& response) {
  if (const auto field = response.Find("Repr-Digest"); field.has_value()) {
    const auto value = Member(*field, "sha-256");
    if (value.has_value() && value->size() > 2 && value->front() == ':' && value->back() == ':') {
      return DecodeSha256(std::string_view(*value).substr(1, value->size() - 2));
    }
  }
  if (const auto field = response.Find("Digest"); field.has_value()) {
    if (const auto value = Member(*field, "sha-256"); value.has_value()) return DecodeSha256(*value);
  }
  return std::nullopt;
}

http::HeaderList AssembledHeaders(const http::ResponseHead& partial, const http::ByteRange& sent, uint64_t size, bool whole) {
  http::HeaderList headers = RelayedHeaders(partial);
  // These are about the part that came, which is not what goes on.
  headers.Remove("Content-Digest"), headers.Remove("Content-MD5");
  headers.Replace("Content-Length", absl::StrCat(sent.size()));
  if (whole) headers.Remove("Content-Range");
  else headers.Replace("Content-Range", http::ContentRange{.range = sent, .size = size}.ToString());
  return headers;
}

}  // namespace orchard::pod
