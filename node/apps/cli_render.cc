#include <algorithm>

#include "absl/strings/str_cat.h"
#include "node/apps/cli.h"
#include <nlohmann/json.hpp>

namespace orchard::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& v) { return v.dump(-1, ' ', false, Json::error_handler_t::replace); }

// Text of others goes to a terminal: text with control characters (C1, 0x80 to 0x9f, among them) is shown escaped and
// quoted, and so is what would not be seen.
std::string Plain(const Json& v) {
  if (v.is_null()) return "-";
  if (!v.is_string()) return Dump(v);
  const std::string& raw = v.get_ref<const std::string&>();
  bool odd = raw.empty() || raw.front() == ' ' || raw.back() == ' ';
  for (size_t i = 0; i < raw.size(); ++i) {
    auto c = static_cast<unsigned char>(raw[i]);
    odd |= c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < raw.size() && static_cast<unsigned char>(raw[i + 1]) < 0xa0);
  }
  return odd ? v.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace) : raw;
}

size_t Columns(std::string_view utf8) {
  return size_t(std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string Pad(const std::string& s, size_t width) { return s + std::string(width > Columns(s) ? width - Columns(s) : 0, ' '); }

// Rows of objects under a head; columns in the order of the first row.
std::string Table(const Json& rows, const std::string& indent) {
  std::vector<std::string> names;
  for (const Json& row : rows) {
    for (const auto& [name, value] : row.items()) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  std::vector<std::vector<std::string>> cells = {names};
  for (const Json& row : rows) {
    cells.emplace_back();
    for (const std::string& n : names) cells.back().push_back(row.contains(n) ? Plain(row[n]) : "");
  }
  std::string out;
  for (const auto& line : cells) {
    std::string text = indent;
    for (size_t i = 0; i < names.size(); ++i) {
      size_t width = 0;
      for (const auto& l : cells) width = std::max(width, Columns(l[i]));
      text += i + 1 == names.size() ? line[i] : Pad(line[i], width + 2);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  }
  return out;
}

bool IsTable(const Json& v) {
  return v.is_array() && !v.empty() && std::all_of(v.begin(), v.end(), [](const Json& r) { return r.is_object(); });
}

// What an operation came to: names and values in two columns, lists below.
std::string Sheet(const Json& data) {
  if (!data.is_object()) return Plain(data) + "\n";
  size_t width = 0;
  for (const auto& [name, value] : data.items()) width = std::max(width, Columns(name));
  std::string out;
  for (const auto& [name, value] : data.items()) {
    if (value.is_array()) {
      out += absl::StrCat(Pad(name, width + 2), value.empty() ? "none" : std::to_string(value.size()), "\n");
      if (IsTable(value)) out += Table(value, "  ");
      else for (const Json& v : value) out += absl::StrCat("  ", Plain(v), "\n");
    } else {
      out += absl::StrCat(Pad(name, width + 2), Plain(value), "\n");
    }
  }
  return out;
}

// One tidy line for what happens on the way.
std::string News(const std::string& tag, const Json& data) {
  std::string out = tag;
  if (data.is_object()) {
    for (const auto& [name, value] : data.items()) absl::StrAppend(&out, "  ", name, "=", Plain(value));
  } else if (!data.is_null()) {
    absl::StrAppend(&out, "  ", Plain(data));
  }
  return out + "\n";
}

int StatusOf(const std::string& code) {
  if (code == "ERR_PARAMS" || code == "ERR_UNKNOWN_OPERATION" || code == "ERR_REQUEST" || code == "ERR_LINE_TOO_LONG" || code == "OVERSIZE") return kWrongInput;
  if (code == "ERR_PERMISSION" || code == "ERR_BUSY" || code == "ERR_DISK_FULL") return kEnvironment;
  return kNotOk;
}

}  // namespace

Rendered Render(std::string_view line, bool json) {
  Rendered r;
  Json event = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!event.is_object() || !event.contains("tag") || !event["tag"].is_string()) {
    return {.error = "the daemon said something that is no event; is it of another version?", .end = true, .status = kEnvironment};
  }
  const std::string tag = event["tag"].get<std::string>();
  const Json data = event.contains("data") ? event["data"] : Json();
  r.end = tag == "final" || tag == "error";
  if (tag == "final" && data.is_object() && data.value("well", Json(true)) == Json(false)) r.status = kNotOk;
  if (tag == "error") {
    auto text = [&](const char* name) { return data.is_object() && data.contains(name) && data[name].is_string() ? data[name].get<std::string>() : ""; };
    r.status = StatusOf(text("code"));
    Json message = text("message").empty() ? text("code") : text("message");
    r.error = Plain(message);
    for (const char* more : {"found", "expected", "hint"}) {
      if (!json && !text(more).empty() && message.get_ref<const std::string&>().find(text(more)) == std::string::npos) absl::StrAppend(&r.error, "; ", more, ": ", Plain(Json(text(more))));
    }
  }
  if (json) {
    event.erase("id");
    r.out = Dump(event) + "\n";
  } else if (tag == "final") {
    r.out = Sheet(data);
  } else if (tag != "error") {
    r.out = News(tag, data);
  }
  return r;
}

}  // namespace orchard::cli
