#include "node/guard/text.h"

namespace orchard::guard {
namespace {

int Hex(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

// \uXXXX of one byte, and the letters behind a backslash. Others stand for themselves.
std::string Unslashed(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      out.push_back(raw[i]);
      continue;
    }
    const char c = raw[++i];
    if (c == 'u' && i + 4 < raw.size() && raw[i + 1] == '0' && raw[i + 2] == '0' && Hex(raw[i + 3]) >= 0 && Hex(raw[i + 4]) >= 0) {
      out.push_back(char(Hex(raw[i + 3]) * 16 + Hex(raw[i + 4])));
      i += 4;
    } else {
      out.push_back(c == 'n' || c == 't' || c == 'r' ? ' ' : c);
    }
  }
  return out;
}

}  // namespace

std::string Unescaped(std::string_view raw, bool form) {
  std::string out;
  out.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == '%' && i + 2 < raw.size() && Hex(raw[i + 1]) >= 0 && Hex(raw[i + 2]) >= 0) {
      out.push_back(char(Hex(raw[i + 1]) * 16 + Hex(raw[i + 2])));
      i += 2;
    } else {
      out.push_back(form && raw[i] == '+' ? ' ' : raw[i]);
    }
  }
  return out;
}

std::string Plain(std::string_view raw, Spelling spelling, size_t most) {
  raw = raw.substr(0, most);
  std::string text;
  if (spelling == Spelling::kJson) {
    text = Unslashed(raw);
  } else if (spelling != Spelling::kPlain && raw.find_first_of("%+") != raw.npos) {
    text = Unescaped(raw, spelling == Spelling::kForm);
    if (text.find('%') != text.npos) text = Unescaped(text, false);
  } else {
    text = std::string(raw);
  }
  size_t to = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '/' && i + 1 < text.size() && text[i + 1] == '*') {
      if (i + 2 < text.size() && text[i + 2] == '!') {  // MySQL runs what is in this one, if its version is at least that.
        i += 2;
        while (i + 1 < text.size() && IsDigit(text[i + 1])) ++i;
        c = ' ';
      } else if (const size_t end = text.find("*/", i + 2); end != text.npos) {
        i = end + 1, c = ' ';
      } else {  // It never ends, nor does any later one.
        while (i < text.size()) text[to++] = text[i] >= 'A' && text[i] <= 'Z' ? char(text[i] + 32) : text[i], ++i;
        break;
      }
    } else if (c == '*' && i + 1 < text.size() && text[i + 1] == '/') {
      ++i, c = ' ';
    }
    if (c >= 'A' && c <= 'Z') c = char(c + 32);
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) c = ' ';
    if (c == ' ' && to > 0 && text[to - 1] == ' ') continue;
    text[to++] = c;
  }
  text.resize(to);
  return text;
}

}  // namespace orchard::guard
