#include "sim/run/web_files.h"

#include "node/http/content.h"
#include "node/http/origin.h"
#include "node/http/range.h"
#include "node/http/url.h"
#include "sim/language/text.h"

namespace orchard::sim {

std::unique_ptr<Machine> MakeOrigin(const WebSpec& web, uint64_t seed) {
  http::OriginConfig c;
  c.local = Endpoint::V4(0, web.port), c.seed = seed;
  for (const auto& [path, size] : web.files) c.files.emplace(path, size);
  c.ranges = web.ranges, c.gzip = web.gzip, c.etags = web.etags, c.last_modified = web.last_modified;
  c.chunked = web.chunked, c.rate = uint64_t(web.rate_bps / 8), c.lie = web.lie, c.status = web.status;
  c.redirect = web.redirect, c.shift = web.shift;
  return std::make_unique<http::Origin>(std::move(c));
}

std::optional<std::string> WebFiles::Sha256(std::string_view path, const Json& with) {
  const Json *url = with.Find("url"), *range = with.Find("range");
  const auto parsed = http::Url::Parse(url != nullptr && url->is_text() ? std::string_view(url->text) : std::string_view());
  std::optional<uint64_t> size;
  for (const HostPlan& h : world_.hosts) {
    if (h.web == nullptr) continue;
    const auto file = h.web->files.find(std::string(path));
    if (file == h.web->files.end()) continue;
    const bool named = parsed.ok() && parsed->authority.host == h.id;
    if (named || !size.has_value()) size = file->second;
    if (named) break;
  }
  if (!size.has_value()) return std::nullopt;
  uint64_t first = 0, bytes = *size;
  if (range != nullptr && range->is_text()) {
    const auto part = http::RangeRequest::Parse("bytes=" + range->text).Resolve(*size);
    if (!part.has_value()) return std::nullopt;
    first = part->first, bytes = part->size();
  }
  std::string& known = known_[Cat(path, " ", *size, " ", first, " ", bytes)];
  if (known.empty()) known = ToHex(http::Content(world_.seed, path, *size).Sha256(first, bytes));
  return known;
}

}  // namespace orchard::sim
