// Web servers and their clients: what an origin offers, and what http.get asks for.

#include <algorithm>

#include "node/http/range.h"
#include "node/http/url.h"
#include "sim/language/client_operations.h"
#include "sim/language/loader_context.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

constexpr int64_t kFileMax = int64_t{1} << 42;  // 4 TiB: more than any simulated line carries in a day.

// A whole number that may be below 0, or a size.
std::optional<int64_t> Offset(Context& c, const Json& at, const std::string& path) {
  if (at.is_text()) return c.Amount(at, path, Unit::kSize);
  std::optional<int64_t> n = at.Integer();
  if (n && *n > -kFileMax && *n < kFileMax) return n;
  c.WrongKind(at, path, "a whole number of bytes, perhaps below 0, or a size");
  return std::nullopt;
}

void ReadFiles(Context& c, const Json& at, const std::string& path, WebSpec& web) {
  if (!at.is_object()) return c.WrongKind(at, path, "an object such as {\"/film\": \"100MiB\"}");
  for (size_t i = 0; i < at.keys.size(); ++i) {
    const Key& key = at.keys[i];
    const std::string inner = Cat(path, "[", Quoted(key.text), "]");
    const auto url = http::Url::Parse("http://x" + key.text);
    if (key.text.empty() || key.text[0] != '/' || !url.ok() || url->target != key.text || key.text.find('?') != key.text.npos) {
      c.Fail(key.place, uint32_t(Width(key.text)) + 2, inner, Cat("found ", Quoted(key.text)), "a path such as \"/film\", as a URL has it");
      continue;
    }
    const std::optional<int64_t> size = c.Amount(at.items[i], inner, Unit::kSize);
    if (size && *size > kFileMax) c.WrongKind(at.items[i], inner, "at most 4096 GiB");
    else if (size) web.files.emplace(key.text, uint64_t(*size));
  }
}

}  // namespace

void ReadWeb(Context& c, const Json& at, const std::string& path, HostGroup& host) {
  auto web = std::make_shared<WebSpec>();
  Fields f(c, at, path, "web");
  if (!f.ok()) return;
  if (const Json* j = f["files"]) ReadFiles(c, *j, f.At("files"), *web);
  auto flag = [&](std::string_view word, bool& out) {
    if (const Json* j = f[word]) out = c.Bool(*j, f.At(word)).value_or(out);
  };
  flag("ranges", web->ranges), flag("gzip", web->gzip), flag("etags", web->etags), flag("chunked", web->chunked);
  if (const Json* j = f["rate"]) web->rate_bps = c.Amount(*j, f.At("rate"), Unit::kRate).value_or(0);
  if (const Json* j = f["lie"]) web->lie = Offset(c, *j, f.At("lie")).value_or(0);
  if (const Json* j = f["shift"]) web->shift = Offset(c, *j, f.At("shift")).value_or(0);
  if (const Json* j = f["status"]) web->status = int(c.Count(*j, f.At("status"), 200, 599).value_or(0));
  if (const Json* j = f["redirect"]) web->redirect = c.Text(*j, f.At("redirect")).value_or("");
  if (const Json* j = f["last_modified"]) {
    web->last_modified = c.Text(*j, f.At("last_modified")).value_or("");
    if (!web->last_modified.empty() && !http::IsHttpDate(web->last_modified)) c.WrongKind(*j, f.At("last_modified"), "a date such as \"Sun, 06 Nov 1994 08:49:37 GMT\"");
  }
  if (const Json* j = f["port"]) web->port = uint16_t(c.Count(*j, f.At("port"), 1, 65535).value_or(80));
  host.web = std::move(web);
}

namespace {

bool Literal(const Json* j) { return j != nullptr && j->is_text() && !ParseReference(j->text); }

void CheckUrl(Context& c, const Json& url, const std::string& path) {
  if (url.is_object()) return c.WrongKind(url, path, "a URL such as \"http://origin/film\"");
  if (!Literal(&url)) return;
  std::string text = url.text;
  for (std::string_view variable : {"{n}", "{now}"}) {
    for (size_t at; (at = text.find(variable)) != text.npos;) text.replace(at, variable.size(), "0");
  }
  const auto parsed = http::Url::Parse(text);
  if (!parsed.ok() || parsed->https) {
    return c.Fail(url, path, Cat("found ", Quoted(url.text)), "a URL such as \"http://origin/film\"", parsed.ok() ? "the simulated web has no TLS" : "");
  }
  if (parsed->authority.literal()) return;
  const std::string& id = parsed->authority.host;
  const auto host = c.names.hosts.find(id);
  if (host != c.names.hosts.end() && host->second.grouped) {
    c.Fail(url, path, Cat(Quoted(id), " is a group"), "a URL names one host", Cat("its members are ", id, "-1 … ", id, "-", host->second.count));
  } else if (host == c.names.hosts.end() && !c.names.IsMember(id, nullptr)) {
    c.Fail(url, path, Cat("no host is called ", Quoted(id)), c.Suggest(id, c.names.HostWords(), "the names in URLs are the ids of hosts, in lower case"));
  }
}

}  // namespace

void CheckClientWords(Context& c, const Json& with, const std::string& path) {
  for (std::string_view word : {"url", "or"}) {
    if (const Json* url = with.Find(word)) CheckUrl(c, *url, Cat(path, ".", word));
  }
  for (std::string_view word : {"patience", "every", "most"}) {
    const Json* j = with.Find(word);
    if (!Literal(j)) continue;
    const std::optional<Quantity> q = ParseQuantity(j->text);
    if (!q || q->unit != Unit::kDuration || q->value <= 0) c.Fail(*j, Cat(path, ".", word), Cat("found ", Quoted(j->text)), "a length of time such as \"500ms\"");
  }
  if (const Json* range = with.Find("range"); Literal(range)) {
    const http::RangeRequest r = http::RangeRequest::Parse("bytes=" + range->text);
    if (r.kind == http::RangeRequest::Kind::kNone || r.kind == http::RangeRequest::Kind::kSeveral) {
      c.Fail(*range, Cat(path, ".range"), Cat("found ", Quoted(range->text)), "one range of bytes: \"0-99\", \"100-\" or \"-50\"");
    }
  }
  if (const Json* proxy = with.Find("proxy"); Literal(proxy) && proxy->text != "pod") {
    const auto address = Endpoint::Parse(proxy->text);
    if (!address || address->port == 0) c.Fail(*proxy, Cat(path, ".proxy"), Cat("found ", Quoted(proxy->text)), "\"pod\", or an address such as \"127.0.0.1:3128\"");
  }
}

bool HasWebFile(const Context& c, std::string_view path) {
  return std::any_of(c.out.hosts.begin(), c.out.hosts.end(), [&](const HostGroup& h) { return h.web != nullptr && h.web->files.contains(std::string(path)); });
}

}  // namespace orchard::sim
