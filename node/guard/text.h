// Text as those who hide in it mean it: every spelling that a site would undo, undone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace orchard::guard {

enum class Spelling : uint8_t {
  kPath,   // %XX.
  kForm,   // %XX, and + is a space: queries, forms, cookies.
  kJson,   // \uXXXX and \x.
  kPlain,
};

// Undoes the spelling, %XX twice; lower case; a comment of SQL, and any run of spaces and control characters, is one space. Reads
// at most `most` bytes of `raw`, and writes no more than it reads. In linear time.
std::string Plain(std::string_view raw, Spelling spelling, size_t most);
// Only %XX, once; what is no such thing stays.
std::string Unescaped(std::string_view raw, bool form);

inline bool IsWord(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }
inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }
inline bool IsLetter(char c) { return c >= 'a' && c <= 'z'; }
inline bool IsQuote(char c) { return c == '\'' || c == '"' || c == '`'; }

}  // namespace orchard::guard
