// Scripts in a value: elements that run, handlers of events, URLs that are programs.

#include <algorithm>

#include "node/guard/rules.h"
#include "node/guard/text.h"

namespace orchard::guard {
namespace {

constexpr size_t kAhead = 64;

// How handlers' names begin. "on" and any letters would be English.
constexpr std::string_view kHandlers[] = {"abort", "after", "anim", "auxc", "before", "begin", "blur", "canplay", "change", "click", "cont", "copy", "cut", "dblclick",
                                          "drag", "drop", "end", "error", "finish", "focus", "hash", "input", "invalid", "key", "load", "message", "mouse", "page",
                                          "paste", "play", "pointer", "pop", "prog", "repeat", "reset", "resize", "scroll", "search", "select", "show", "start", "submit", "toggle",
                                          "touch", "transition", "unload", "wheel"};

// "onload =", at `at`.
bool IsHandler(std::string_view s, size_t at) {
  if (s.substr(at, 2) != "on") return false;
  const std::string_view rest = s.substr(at + 2, kAhead);
  if (std::none_of(std::begin(kHandlers), std::end(kHandlers), [&](std::string_view h) { return rest.starts_with(h); })) return false;
  size_t i = 0;
  while (i < rest.size() && IsLetter(rest[i])) ++i;
  if (i < rest.size() && rest[i] == ' ') ++i;
  return i < rest.size() && rest[i] == '=';
}

// A URL that is a program, as a value or in quotes; "JavaScript: The Good Parts" is a book.
bool IsProgram(std::string_view s, size_t at) {
  size_t skip = 0;
  for (std::string_view scheme : {"javascript:", "vbscript:", "livescript:"}) {
    if (s.substr(at, scheme.size()) == scheme) skip = scheme.size();
  }
  if (skip == 0) return s.substr(at, 14) == "data:text/html" && s.substr(at + 14, 1).find_first_of(",;") != s.npos;
  const std::string_view rest = s.substr(at + skip, kAhead);
  return !rest.empty() && rest[0] != ' ' && rest.find_first_of("(`=") != rest.npos;
}

// What an element's name is followed by.
bool EndsName(std::string_view s, size_t at) { return at >= s.size() || s[at] == ' ' || s[at] == '>' || s[at] == '/'; }

// Of a script that is not where it should be; in a body they are talked about.
constexpr const char* kSaid[] = {"document.cookie", "document.write(", "string.fromcharcode(", "eval(atob(", "window.location=", "document.location="};

}  // namespace

const char* FindXss(std::string_view s, bool prose) {
  if (s.find_first_of("<\"'`=(:") == s.npos) return nullptr;
  bool tag = false;  // Within one.
  for (size_t i = 0; i < s.size(); ++i) {
    const char c = s[i], next = i + 1 < s.size() ? s[i + 1] : '\0';
    if (c == '<') {
      tag = IsLetter(next);  // "<3" is a heart, and "< b" is less.
      if (s.substr(i + 1, 6) == "script" && EndsName(s, i + 7)) return "script element";
      if (s.substr(i + 1, 7) == "/script" && EndsName(s, i + 8)) return "script element";
    } else if (c == '>') {
      tag = false;
    }
    if (tag && (c == ' ' || c == '/' || IsQuote(c))) {
      if (IsHandler(s, i + 1)) return "handler in a tag";
      if (s.substr(i + 1, 7) == "srcdoc=") return "document in a tag";
    }
    if (IsQuote(c) && IsHandler(s, i + (next == ' ' || next == '/' ? 2 : 1))) return "handler behind a quote";
    if ((c == '=' || IsQuote(c)) && tag && IsProgram(s, i + 1)) return "script as a URL";
  }
  if (prose) return nullptr;
  if (IsProgram(s, s.starts_with(' ') ? 1 : 0)) return "script as a URL";
  for (const char* said : kSaid) {
    if (s.find(said) != s.npos) return said;
  }
  return nullptr;
}

}  // namespace orchard::guard
