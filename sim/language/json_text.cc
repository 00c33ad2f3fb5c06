#include "sim/language/json_text.h"

#include <cstdio>
#include <utility>

#include "sim/language/text.h"

namespace orchard::sim {
namespace {

// Of one object. Duplicates are sought one by one, so this also bounds the time for a hostile file.
constexpr size_t kMembersMax = 10'000;

void AppendUtf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += char(c);
  } else if (c < 0x800) {
    out += {char(0xc0 | c >> 6), char(0x80 | (c & 0x3f))};
  } else if (c < 0x10000) {
    out += {char(0xe0 | c >> 12), char(0x80 | ((c >> 6) & 0x3f)), char(0x80 | (c & 0x3f))};
  } else {
    out += {char(0xf0 | c >> 18), char(0x80 | ((c >> 12) & 0x3f)), char(0x80 | ((c >> 6) & 0x3f)), char(0x80 | (c & 0x3f))};
  }
}

// RFC 8259, by recursive descent over at most kJsonDepthMax levels.
class Parser {
 public:
  Parser(std::string_view text, uint32_t file, JsonError& error) : text_(text), error_(error) { here_ = {file, 1, 1}; }

  std::optional<Json> Parse() {
    Json value;
    if (!Space() || !Value(value, 0) || !Space()) return std::nullopt;
    if (at_ < text_.size()) return Fail("text after the end of the scenario", "one JSON object"), std::nullopt;
    return value;
  }

 private:
  bool Fail(std::string found, std::string expected) { return FailAt(here_, std::move(found), std::move(expected)); }
  bool FailAt(Place place, std::string found, std::string expected) {
    error_ = {place, std::move(found), std::move(expected)};
    return false;
  }
  bool end() const { return at_ == text_.size(); }
  char peek() const { return text_[at_]; }
  // Columns count characters, not bytes.
  void Step() {
    const char c = text_[at_++];
    if (c == '\n') {
      ++here_.line, here_.column = 1;
    } else if ((c & 0xc0) != 0x80) {
      ++here_.column;
    }
  }
  void Step(size_t n) {
    while (n-- > 0) Step();
  }
  bool Starts(std::string_view s) const { return text_.substr(at_, s.size()) == s; }
  std::string Shown() const {
    if (end()) return "the end of the file";
    size_t n = 1;
    while (at_ + n < text_.size() && (text_[at_ + n] & 0xc0) == 0x80) ++n;
    return uint8_t(peek()) < 0x20 ? "a control character" : Cat("'", text_.substr(at_, n), "'");
  }

  bool Space() {
    while (!end()) {
      if (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') {
        Step();
      } else if (Starts("//")) {
        while (!end() && peek() != '\n') Step();
      } else if (Starts("/*")) {
        return Fail("a comment /* … */", "comments are // to the end of the line");
      } else {
        break;
      }
    }
    return true;
  }

  bool Value(Json& out, size_t depth) {
    if (depth > kJsonDepthMax) return Fail(Cat("more than ", kJsonDepthMax, " levels of nesting"), "fewer");
    out.place = here_;
    if (end()) return Fail("the end of the file", "a value");
    switch (peek()) {
      case '{': return Object(out, depth);
      case '[': return Array(out, depth);
      case '"':
        out.kind = Json::Kind::kText;
        return Text(out.text);
      default: break;
    }
    if (peek() == '-' || (peek() >= '0' && peek() <= '9')) return Number(out);
    for (std::string_view word : {"true", "false", "null"}) {
      if (!Starts(word)) continue;
      out.kind = word == "null" ? Json::Kind::kNull : Json::Kind::kBool;
      out.truth = word == "true";
      Step(word.size());
      return true;
    }
    return Fail(Shown(), "a value: text in double quotes, a number, true, false, null, [ or {");
  }

  bool Object(Json& out, size_t depth) {
    out.kind = Json::Kind::kObject;
    const Place open = here_;
    Step();
    if (!Space()) return false;
    if (!end() && peek() == '}') return Step(), true;
    for (;;) {
      if (end()) return Fail("the end of the file", Cat("\"}\" for the \"{\" of line ", open.line));
      if (peek() == '}') return Fail("a comma before \"}\"", "no comma after the last member");
      if (peek() != '"') return Fail(Shown(), "a key in double quotes");
      Key key{"", here_};
      if (!Text(key.text) || !Space()) return false;
      if (out.keys.size() == kMembersMax) return Fail(Cat("more than ", kMembersMax, " members in one object"), "fewer");
      if (const Key* before = Duplicate(out, key.text)) {
        return FailAt(key.place, Cat("the key ", QuoteJson(key.text), " stands twice"),
                      Cat("one of them (the other is in line ", before->place.line, ")"));
      }
      if (end() || peek() != ':') return Fail(Shown(), Cat("\":\" after ", QuoteJson(key.text)));
      Step();
      Json value;
      if (!Space() || !Value(value, depth + 1) || !Space()) return false;
      out.keys.push_back(std::move(key));
      out.items.push_back(std::move(value));
      if (!end() && peek() == '}') return Step(), true;
      if (end() || peek() != ',') return Fail(Shown(), Cat("\",\" or \"}\" (the \"{\" is in line ", open.line, ")"));
      Step();
      if (!Space()) return false;
    }
  }

  const Key* Duplicate(const Json& object, std::string_view key) {
    for (const Key& k : object.keys) {
      if (k.text == key) return &k;
    }
    return nullptr;
  }

  bool Array(Json& out, size_t depth) {
    out.kind = Json::Kind::kArray;
    const Place open = here_;
    Step();
    if (!Space()) return false;
    if (!end() && peek() == ']') return Step(), true;
    for (;;) {
      if (!end() && peek() == ']') return Fail("a comma before \"]\"", "no comma after the last element");
      Json value;
      if (!Value(value, depth + 1) || !Space()) return false;
      out.items.push_back(std::move(value));
      if (!end() && peek() == ']') return Step(), true;
      if (end() || peek() != ',') return Fail(Shown(), Cat("\",\" or \"]\" (the \"[\" is in line ", open.line, ")"));
      Step();
      if (!Space()) return false;
    }
  }

  bool Digits(std::string& out) {
    if (end() || peek() < '0' || peek() > '9') return false;
    while (!end() && peek() >= '0' && peek() <= '9') out += peek(), Step();
    return true;
  }

  bool Number(Json& out) {
    out.kind = Json::Kind::kNumber;
    const Place start = here_;
    auto fail = [&] { return FailAt(start, Cat("the malformed number ", out.text), "a number such as 12 or 0.5"); };
    if (peek() == '-') out.text += '-', Step();
    const size_t first = out.text.size();
    if (!Digits(out.text)) return fail();
    if (out.text[first] == '0' && out.text.size() > first + 1) return fail();
    if (!end() && peek() == '.') {
      out.text += '.', Step();
      if (!Digits(out.text)) return fail();
    }
    if (!end() && (peek() == 'e' || peek() == 'E')) {
      out.text += 'e', Step();
      if (!end() && (peek() == '+' || peek() == '-')) out.text += peek(), Step();
      if (!Digits(out.text)) return fail();
    }
    if (!end() && ((peek() >= 'a' && peek() <= 'z') || (peek() >= 'A' && peek() <= 'Z'))) {
      return FailAt(start, Cat("a number with letters after it: ", out.text, text_.substr(at_, 1)),
                    "quantities with a unit stand in double quotes, such as \"40ms\"");
    }
    return true;
  }

  bool Hex4(uint32_t& out) {
    out = 0;
    for (int i = 0; i < 4; ++i) {
      if (end()) return false;
      const char c = peek();
      const int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
      if (v < 0) return false;
      out = out << 4 | uint32_t(v);
      Step();
    }
    return true;
  }

  bool Escape(std::string& out) {
    const Place start = here_;
    Step();  // The backslash.
    if (end()) return Fail("the end of the file", "a text's closing quote");
    const char c = peek();
    Step();
    constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
    if (size_t i = kNames.find(c); i != kNames.npos) return out += kValues[i], true;
    auto fail = [&] { return FailAt(start, "a malformed escape", "\\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\u and four hex digits"); };
    if (c != 'u') return fail();
    uint32_t code, low;
    if (!Hex4(code)) return fail();
    if (code >= 0xd800 && code < 0xdc00) {
      if (!Starts("\\u")) return fail();
      Step(2);
      if (!Hex4(low) || low < 0xdc00 || low > 0xdfff) return fail();
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if ((code >= 0xdc00 && code <= 0xdfff) || code == 0) {
      return fail();
    }
    AppendUtf8(out, code);
    return true;
  }

  bool Text(std::string& out) {
    const Place open = here_;
    Step();
    while (!end()) {
      const char c = peek();
      if (c == '"') return Step(), true;
      if (c == '\\') {
        if (!Escape(out)) return false;
      } else if (c == '\n') {
        break;
      } else if (uint8_t(c) < 0x20) {
        return Fail("a control character inside a text", "its escape, such as \\t");
      } else {
        out += c, Step();
      }
    }
    return FailAt(open, "a text that does not end", "a closing double quote in the same line");
  }

  std::string_view text_;
  size_t at_ = 0;
  Place here_;
  JsonError& error_;
};

Place PlaceOfByte(std::string_view text, uint32_t file, size_t byte) {
  Place p{file, 1, 1};
  for (size_t i = 0; i < byte; ++i) {
    if (text[i] == '\n') {
      ++p.line, p.column = 1;
    } else if ((text[i] & 0xc0) != 0x80) {
      ++p.column;
    }
  }
  return p;
}

// The length of the well-formed UTF-8 at the front of `text`.
size_t ValidPrefix(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const uint8_t c = uint8_t(text[i]);
    const size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
    if (n == 0 || c == 0 || i + n > text.size()) return i;
    for (size_t k = 1; k < n; ++k) {
      if ((text[i + k] & 0xc0) != 0x80) return i;
    }
    const uint8_t second = n > 1 ? uint8_t(text[i + 1]) : 0;
    // Overlong forms, surrogates, and what lies beyond U+10FFFF. Source: RFC 3629 §4.
    if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) || (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f)) return i;
    i += n;
  }
  return i;
}

}  // namespace

Json Json::Text(std::string_view value, Place place) {
  Json j;
  j.kind = Kind::kText, j.text = value, j.place = place;
  return j;
}

Json Json::Object() {
  Json j;
  j.kind = Kind::kObject;
  return j;
}

const Json* Json::Find(std::string_view key) const {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].text == key) return &items[i];
  }
  return nullptr;
}

Json* Json::Find(std::string_view key) { return const_cast<Json*>(std::as_const(*this).Find(key)); }

Json& Json::At(std::string_view key, Place place) {
  if (Json* found = Find(key)) return *found;
  keys.push_back({std::string(key), place});
  items.emplace_back().place = place;
  return items.back();
}

void Json::Remove(std::string_view key) {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].text != key) continue;
    keys.erase(keys.begin() + ptrdiff_t(i));
    items.erase(items.begin() + ptrdiff_t(i));
    return;
  }
}

std::string QuoteJson(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (uint8_t(c) < 0x20) {
          char escape[8];
          std::snprintf(escape, sizeof escape, "\\u%04x", unsigned(uint8_t(c)));
          out += escape;
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

std::string Json::Dump() const {
  switch (kind) {
    case Kind::kNull: return "null";
    case Kind::kBool: return truth ? "true" : "false";
    case Kind::kNumber: return text;
    case Kind::kText: return QuoteJson(text);
    default: break;
  }
  std::string out = is_array() ? "[" : "{";
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ',';
    if (is_object()) out += QuoteJson(keys[i].text) + ':';
    out += items[i].Dump();
  }
  return out + (is_array() ? ']' : '}');
}

std::string Json::Describe() const {
  switch (kind) {
    case Kind::kNull: return "null";
    case Kind::kBool: return truth ? "true" : "false";
    case Kind::kNumber: return "the number " + text;
    case Kind::kText: return QuoteJson(text);
    case Kind::kArray: return "a list";
    case Kind::kObject: return "an object";
  }
  return "";
}

std::optional<int64_t> ParseDecimal(std::string_view text, int scale) {
  bool negative = false, point = false, digits = false;
  __int128 value = 0;
  int exponent = scale;
  bool round_up = false;
  size_t i = 0;
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) negative = text[i++] == '-';
  constexpr __int128 kLimit = __int128{1} << 100;
  for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
    if (text[i] == '.') {
      if (point) return std::nullopt;
      point = true;
    } else if (text[i] >= '0' && text[i] <= '9') {
      digits = true;
      if (value < kLimit) {
        value = value * 10 + (text[i] - '0');
        exponent -= point;
      } else {
        exponent += !point;  // More digits than any quantity has; they are cut.
      }
    } else {
      return std::nullopt;
    }
  }
  if (!digits) return std::nullopt;
  if (i < text.size()) {
    int e = 0;
    bool minus = false, any = false;
    if (++i < text.size() && (text[i] == '-' || text[i] == '+')) minus = text[i++] == '-';
    for (; i < text.size(); ++i, any = true) {
      if (text[i] < '0' || text[i] > '9' || e > 99) return std::nullopt;
      e = e * 10 + (text[i] - '0');
    }
    if (!any) return std::nullopt;
    exponent += minus ? -e : e;
  }
  for (; exponent > 0 && value != 0; --exponent) {
    if ((value *= 10) > kLimit * 16) return std::nullopt;
  }
  for (; exponent < 0 && (value != 0 || round_up); ++exponent) round_up = value % 10 >= 5, value /= 10;
  value += round_up;
  if (negative) value = -value;
  if (value > INT64_MAX || value < -INT64_MAX) return std::nullopt;
  return int64_t(value);
}

std::optional<int64_t> Json::Integer() const {
  if (!is_number()) return std::nullopt;
  std::optional<int64_t> rounded = ParseDecimal(text, 0), fine = ParseDecimal(text, 3);
  if (!rounded || !fine || *rounded != *fine / 1000 || *fine % 1000 != 0) return std::nullopt;
  return rounded;
}

std::optional<int64_t> Json::Micro() const { return is_number() ? ParseDecimal(text, 6) : std::nullopt; }

std::string_view Sources::Line(const Place& place) const {
  if (place.line == 0 || place.file >= files.size()) return {};
  std::string_view rest = files[place.file].text;
  for (uint32_t n = 1; n < place.line; ++n) {
    const size_t end = rest.find('\n');
    if (end == rest.npos) return {};
    rest.remove_prefix(end + 1);
  }
  rest = rest.substr(0, rest.find('\n'));
  if (!rest.empty() && rest.back() == '\r') rest.remove_suffix(1);
  return rest;
}

std::optional<Json> ParseJson(std::string_view text, uint32_t file, JsonError& error) {
  if (text.size() > kJsonBytesMax) {
    error = {{file, 0, 0}, Cat("a file of more than ", kJsonBytesMax >> 20, " MiB"), "a smaller one"};
    return std::nullopt;
  }
  if (text.substr(0, 3) == "\xef\xbb\xbf") {
    error = {{file, 1, 1}, "a byte order mark", "plain UTF-8 without one"};
    return std::nullopt;
  }
  if (size_t valid = ValidPrefix(text); valid < text.size()) {
    error = {PlaceOfByte(text, file, valid), text[valid] == 0 ? "a NUL byte" : "bytes that are not UTF-8", "text in UTF-8"};
    return std::nullopt;
  }
  return Parser(text, file, error).Parse();
}

}  // namespace orchard::sim
