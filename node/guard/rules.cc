#include "node/guard/rules.h"

#include <algorithm>

#include "node/guard/text.h"

namespace orchard::guard {
namespace {

constexpr uint32_t kSure = 1000;
constexpr size_t kValuesMax = 128;       // Of a query or form; further ones are read as one.
constexpr size_t kInlineMax = 512;       // A longer field of a form is somebody's prose.

Verdict Scan(const char* what) { return what == nullptr ? Verdict{} : Verdict{Class::kScan, kSure, what}; }

bool NameIs(std::string_view name, std::string_view lower) {
  return name.size() == lower.size() && std::equal(name.begin(), name.end(), lower.begin(), [](char a, char b) { return (a >= 'A' && a <= 'Z' ? char(a + 32) : a) == b; });
}

// Letters, digits and the like hide nothing: almost all of what is asked for.
bool Harmless(std::string_view raw) {
  return std::all_of(raw.begin(), raw.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~'; });
}

// Steps out of a directory, and what waits there, in a value.
const char* FindWayOut(std::string_view text) {
  for (std::string_view twice : {"../../", "..\\..\\"}) {  // Once is a link to a neighbour.
    if (text.find(twice) != text.npos) return "path out of the site";
  }
  for (const char* said : {"/etc/passwd", "/etc/shadow", "/proc/self/", "c:\\windows", "php://", "${jndi:", "file:///"}) {
    if (text.find(said) != text.npos) return said;
  }
  return nullptr;
}

Verdict JudgeText(std::string_view text, bool prose) {
  if (const char* what = FindSqli(text, prose)) return {Class::kSqli, kSure, what};
  if (const char* what = FindXss(text, prose)) return {Class::kXss, kSure, what};
  return prose ? Verdict{} : Scan(FindWayOut(text));
}

// "a=b&c=d": each value by itself, since a quote of one closes none of another's.
Verdict JudgeFields(std::string_view fields) {
  for (size_t n = 0; !fields.empty(); ++n) {
    const size_t end = n < kValuesMax ? std::min(fields.find('&'), fields.size()) : fields.size();
    const std::string_view field = fields.substr(0, end);
    fields.remove_prefix(std::min(end + 1, fields.size()));
    const size_t equals = field.find('=');
    for (std::string_view part : {field.substr(0, equals), equals == field.npos ? std::string_view() : field.substr(equals + 1)}) {
      if (Harmless(part)) continue;
      if (Verdict v = JudgeText(Plain(part, Spelling::kForm, kTargetRead), part.size() > kInlineMax)) return v;
    }
  }
  return {};
}

Verdict JudgeTarget(std::string_view target) {
  target = target.substr(0, kTargetRead);
  const size_t query = target.find('?');
  const std::string_view path = target.substr(0, query);
  std::string once;  // Only if there is something to undo.
  const bool coded = path.find('%') != path.npos;
  if (coded) once = Unescaped(path, false);
  const std::string_view plain = coded ? std::string_view(once) : path;
  if (Verdict v = Scan(FindScan(plain))) return v;
  if (coded && once.find('%') != once.npos) {
    if (Verdict v = Scan(FindScan(Unescaped(once, false)))) return v;
  }
  if (!std::all_of(plain.begin(), plain.end(), [](char c) { return c == '/' || Harmless(std::string_view(&c, 1)); })) {
    if (Verdict v = JudgeText(Plain(path, Spelling::kPath, kTargetRead), false)) return v;
  }
  return query == target.npos ? Verdict{} : JudgeFields(target.substr(query + 1));
}

Verdict JudgeHeaders(absl::Span<const std::pair<std::string, std::string>> headers) {
  for (const auto& header : headers.first(std::min(headers.size(), kHeadersRead))) {
    const std::string_view value = std::string_view(header.second).substr(0, kHeaderRead);
    if (value.find("${") != value.npos && Plain(value, Spelling::kPlain, kHeaderRead).find("${jndi:") != std::string::npos) return Scan("${jndi:");
    if (value.starts_with("() {")) return Scan("function in a header");  // CVE-2014-6271.
    if (NameIs(header.first, "user-agent")) {
      const std::string agent = Plain(value, Spelling::kPlain, kHeaderRead);
      if (Verdict v = Scan(FindScanner(agent))) return v;
      if (Verdict v = JudgeText(agent, true)) return v;
    } else if (NameIs(header.first, "referer")) {
      const size_t query = value.find('?');
      if (query == value.npos) continue;
      if (Verdict v = JudgeFields(value.substr(query + 1))) return v;
    } else if (NameIs(header.first, "cookie")) {
      if (Verdict v = JudgeText(Plain(value, Spelling::kPath, kHeaderRead), true)) return v;
    } else if (NameIs(header.first, "x-forwarded-for")) {
      if (Verdict v = JudgeText(Plain(value, Spelling::kPlain, kHeaderRead), false)) return v;
    }
  }
  return {};
}

Verdict JudgeBody(const Asked& asked) {
  const std::string_view body = asked.body.substr(0, kBodyRead);
  if (body.empty()) return {};
  std::string_view type;
  for (const auto& header : asked.headers) {
    if (NameIs(header.first, "content-type")) type = header.second;
  }
  const auto is = [&](std::string_view word) { return Plain(type, Spelling::kPlain, 128).find(word) != std::string::npos; };
  if (is("x-www-form-urlencoded")) return JudgeFields(body);
  if (is("image/") || is("video/") || is("audio/") || is("octet-stream") || is("zip")) return {};
  return JudgeText(Plain(body, is("json") ? Spelling::kJson : Spelling::kPlain, kBodyRead), true);
}

}  // namespace

Verdict JudgeByRules(const Asked& asked) {
  if (Verdict v = JudgeTarget(asked.target)) return v;
  if (Verdict v = JudgeHeaders(asked.headers)) return v;
  return JudgeBody(asked);
}

}  // namespace orchard::guard
