// Requests that no honest client makes: what injects SQL or scripts, and what looks for holes. Bounded and in linear time: the first
// bytes of each part are read, each place looks ahead for a few dozen at most, and nothing is tried in more than one way.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/types/span.h"
#include "node/guard/verdict.h"

namespace orchard::guard {

// What is looked at; the rest passes unread.
inline constexpr size_t kTargetRead = 8 << 10, kHeaderRead = 1 << 10, kBodyRead = 4 << 10, kHeadersRead = 64;

struct Asked {
  std::string_view method, target;  // The target in origin form.
  absl::Span<const std::pair<std::string, std::string>> headers;
  std::string_view body;
};

// The first rule that fits; kNone: none does. Never kFlood or kAnomaly.
Verdict JudgeByRules(const Asked& asked);

// The parts, of text as Plain() makes it. Null: nothing. `prose`: somebody may write about such things there, as in a body; then only
// what would work counts, not what is merely never said elsewhere.
const char* FindSqli(std::string_view text, bool prose);
const char* FindXss(std::string_view text, bool prose);
// Of a path as Unescaped makes it, and of a User-Agent in lower case.
const char* FindScan(std::string_view path);
const char* FindScanner(std::string_view agent);

}  // namespace orchard::guard
