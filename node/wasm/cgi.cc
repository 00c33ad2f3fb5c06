#include "node/wasm/cgi.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "node/http/headers.h"

namespace orchard::wasm {
namespace {

constexpr std::string_view kSoftware = "orchard";

bool OneLine(std::string_view s) { return s.find_first_of(std::string_view("\r\n\0", 3)) == s.npos; }

std::string PathOf(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  std::string out;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '%' && i + 2 < path.size()) {
      if (const auto byte = FromHex(path.substr(i + 1, 2)); byte.has_value() && byte->size() == 1 && (*byte)[0] != '\0') {
        out += *byte, i += 2;
        continue;
      }
    }
    out += path[i];
  }
  return out;
}

}  // namespace

std::vector<std::string> Environment(const cage::Request& r) {
  const std::string_view authority = r.authority;
  const size_t colon = authority.rfind(':');
  const bool port = colon != authority.npos && authority.find(']', colon) == authority.npos && colon + 1 < authority.size();
  const size_t query = r.target.find('?');
  const size_t remote = r.remote.rfind(':');
  std::vector<std::string> out;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (value.find('\0') == value.npos) out.push_back(std::string(name) + "=" + std::string(value));
  };
  add("GATEWAY_INTERFACE", "CGI/1.1");
  add("SERVER_SOFTWARE", kSoftware);
  add("SERVER_PROTOCOL", "HTTP/1.1");
  add("SERVER_NAME", port ? authority.substr(0, colon) : authority);
  add("SERVER_PORT", port ? authority.substr(colon + 1) : r.scheme == "https" ? "443" : "80");
  add("REQUEST_METHOD", r.method);
  add("REQUEST_URI", r.target);
  add("REQUEST_SCHEME", r.scheme);
  add("SCRIPT_NAME", "");
  add("PATH_INFO", PathOf(r.target));
  add("QUERY_STRING", query == r.target.npos ? "" : std::string_view(r.target).substr(query + 1));
  add("REMOTE_ADDR", std::string_view(r.remote).substr(0, remote));
  if (remote != r.remote.npos) add("REMOTE_PORT", std::string_view(r.remote).substr(remote + 1));
  if (!r.body.empty()) add("CONTENT_LENGTH", absl::StrCat(r.body.size()));
  bool host = false;
  for (const auto& [name, value] : r.headers) {
    if (!OneLine(name) || !OneLine(value) || http::EqualsIgnoringCase(name, "Proxy") || http::EqualsIgnoringCase(name, "Content-Length")) continue;
    if (http::EqualsIgnoringCase(name, "Content-Type")) {
      add("CONTENT_TYPE", value);
      continue;
    }
    std::string variable = "HTTP_";
    bool odd = name.empty();
    for (char c : name) {
      const bool lower = c >= 'a' && c <= 'z';
      if (!lower && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-') odd = true;
      variable += c == '-' ? '_' : lower ? char(c - 'a' + 'A') : c;
    }
    if (odd) continue;
    host |= variable == "HTTP_HOST";
    // RFC 3875 §4.1.18: several of one name become one, with commas.
    bool joined = false;
    for (std::string& had : out) {
      if (std::string_view(had).substr(0, variable.size() + 1) == variable + "=") had += ", " + value, joined = true;
    }
    if (!joined) add(variable, value);
  }
  if (!host && OneLine(r.authority)) add("HTTP_HOST", r.authority);
  return out;
}

std::string HttpText(const cage::Request& r) {
  std::string out = absl::StrCat(r.method, " ", r.target, " HTTP/1.1\r\n");
  bool host = false;
  std::string rest;
  for (const auto& [name, value] : r.headers) {
    if (name.empty() || !OneLine(name) || !OneLine(value)) continue;
    if (http::EqualsIgnoringCase(name, "Content-Length") || http::EqualsIgnoringCase(name, "Transfer-Encoding")) continue;
    if (http::EqualsIgnoringCase(name, "Host") && std::exchange(host, true)) continue;
    absl::StrAppend(&rest, name, ": ", value, "\r\n");
  }
  if (!host && OneLine(r.authority)) absl::StrAppend(&out, "host: ", r.authority, "\r\n");
  absl::StrAppend(&out, rest);
  if (!r.body.empty()) absl::StrAppend(&out, "content-length: ", r.body.size(), "\r\n");
  absl::StrAppend(&out, "\r\n", r.body);
  return out;
}

}  // namespace orchard::wasm
