// JSON as people write it: RFC 8259 with // comments, every value with its place. Order of members is kept; numbers keep
// their text, so that nothing here rounds. Broken text gives an error with a place, never a crash.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orchard::sim {

// Where something stands. `file` indexes Sources::files; line 0 means nowhere (made by --set or by a matrix).
struct Place {
  uint32_t file = 0, line = 0, column = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

struct Key {
  std::string text;
  Place place;
};

struct Json {
  enum class Kind : uint8_t { kNull, kBool, kNumber, kText, kArray, kObject };
  Kind kind = Kind::kNull;
  bool truth = false;
  Place place;
  std::string text;             // A text's value (UTF-8), or a number as written.
  std::vector<Json> items;      // Of an array; of an object the values, beside their keys, in file order.
  std::vector<Key> keys;        // Unique.

  static Json Text(std::string_view value, Place place = {});
  static Json Object();
  bool is(Kind k) const { return kind == k; }
  bool is_text() const { return kind == Kind::kText; }
  bool is_object() const { return kind == Kind::kObject; }
  bool is_array() const { return kind == Kind::kArray; }
  bool is_number() const { return kind == Kind::kNumber; }
  const Json* Find(std::string_view key) const;
  Json* Find(std::string_view key);
  // The member's value, made (null) if absent.
  Json& At(std::string_view key, Place place = {});
  void Remove(std::string_view key);
  // Compact JSON, keys in file order.
  std::string Dump() const;
  // As a person would say it in an error: `the number 60`, `"20Mbps"`, `an object`.
  std::string Describe() const;
  // A number that is an integer in range.
  std::optional<int64_t> Integer() const;
  // A number times 10^6, rounded to nearest; nothing if it is no number or too large.
  std::optional<int64_t> Micro() const;
};

// The files that one scenario is made of; 0 is the scenario's own.
struct Sources {
  struct File {
    std::string name, text;
  };
  std::vector<File> files;
  // The line of `place`, without its end; empty if nowhere.
  std::string_view Line(const Place& place) const;
};

struct JsonError {
  Place place;
  std::string found, expected;
};

inline constexpr size_t kJsonDepthMax = 64;              // Deeper than any scenario; keeps the recursion off the stack's end.
inline constexpr size_t kJsonBytesMax = 16 * 1024 * 1024;

// Parses `text`, which is file `file`. Nothing and an error if it is not one JSON value.
std::optional<Json> ParseJson(std::string_view text, uint32_t file, JsonError& error);

// A quoted JSON string.
std::string QuoteJson(std::string_view text);

// A decimal number ("-1.25e3") times 10^scale, rounded half away from zero. Nothing if malformed or beyond int64.
std::optional<int64_t> ParseDecimal(std::string_view text, int scale);

}  // namespace orchard::sim
