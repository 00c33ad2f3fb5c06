// Parts of a representation, and whether two parts are of the same one. RFC 9110 §8.8, §13, §14. Dates are compared as they
// are written: what an origin sends twice it writes the same twice. They are read only to tell whether one is strong.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "node/http/headers.h"

namespace orchard::http {

// Both inclusive.
struct ByteRange {
  uint64_t first = 0, last = 0;
  uint64_t size() const { return last - first + 1; }
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

// What a Range header asks for.
struct RangeRequest {
  enum class Kind : uint8_t {
    kNone,     // No header, another unit, or malformed: the whole is asked for (§14.2).
    kSingle,   // first to last.
    kOpen,     // first to the end.
    kSuffix,   // The last `first` bytes.
    kSeveral,  // More than one range: nobody here cuts those.
  };
  Kind kind = Kind::kNone;
  uint64_t first = 0, last = 0;

  static RangeRequest Parse(std::string_view value);
  static RangeRequest Of(const HeaderList& headers);
  // Of `size` bytes in all. Nothing: there are none of those (416). kSingle, kOpen and kSuffix only.
  std::optional<ByteRange> Resolve(uint64_t size) const;
};

// "bytes 0-99/1000", "bytes 0-99/*", "bytes */1000".
struct ContentRange {
  std::optional<ByteRange> range;
  std::optional<uint64_t> size;
  static std::optional<ContentRange> Parse(std::string_view value);
  std::string ToString() const;
};

struct EntityTag {
  bool weak = false;
  std::string opaque;  // Between the quotes.

  static std::optional<EntityTag> Parse(std::string_view value);
  std::string ToString() const { return (weak ? "W/\"" : "\"") + opaque + "\""; }
  // §8.8.3.2.
  bool Strongly(const EntityTag& other) const { return !weak && !other.weak && opaque == other.opaque; }
  bool Weakly(const EntityTag& other) const { return opaque == other.opaque; }
};

// True if `value` has the shape of an IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT".
bool IsHttpDate(std::string_view value);
// Of such a date the seconds since 1970; nothing if there is no such day.
std::optional<int64_t> SecondsOfHttpDate(std::string_view value);
std::string HttpDate(int64_t seconds);

// What names one state of a representation: the strong tag, or else the date of its last change.
struct Validator {
  std::string etag;           // As written; never a weak one.
  std::string last_modified;  // As written; only if it is strong: §8.8.2.2.

  static Validator Of(const HeaderList& response);
  // What an If-Range names; empty if it is a weak tag, or neither a tag nor a date.
  static Validator OfIfRange(std::string_view value);
  bool empty() const { return etag.empty() && last_modified.empty(); }
  // For If-Range; empty if there is none.
  const std::string& if_range() const { return etag.empty() ? last_modified : etag; }
  // The response may be of the same state: what both name is the same, and what we know is named.
  bool Matches(const HeaderList& response) const;
  friend bool operator==(const Validator&, const Validator&) = default;
};

// A server's side: true unless If-Range names another state than these (§13.1.5: strong comparison, dates as written).
bool IfRangeHolds(const HeaderList& request, const Validator& current);

}  // namespace orchard::http
