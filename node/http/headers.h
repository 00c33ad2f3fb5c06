// The header lines of one message, in order, as they were written: names compare without regard to case, and whoever passes
// them on can pass on their very bytes. RFC 9110 §5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orchard::http {

bool EqualsIgnoringCase(std::string_view a, std::string_view b);
// RFC 9110 §5.6.2 and §5.5: what a name and a value may be. A value has no space at its ends.
bool IsToken(std::string_view text);
bool IsFieldValue(std::string_view text);
// Without spaces and tabs at its ends.
std::string_view Trimmed(std::string_view text);

class HeaderList {
 public:
  struct Header { std::string_view name, value; };

  // `line` ends in CR LF; `name` and `value` (trimmed) lie within it.
  void AddLine(std::string_view line, std::string_view name, std::string_view value);
  // "name: value". The name is a token, the value a field value: no stranger's bytes that no parser has seen.
  void Add(std::string_view name, std::string_view value);
  // All of `other`, behind what is there.
  void Append(const HeaderList& other);
  // Takes out all of that name.
  void Remove(std::string_view name);
  // In the place of the first of that name, and of all others; else at the end. As for Add.
  void Replace(std::string_view name, std::string_view value);
  void Clear() { bytes_.clear(), lines_.clear(); }

  size_t size() const { return lines_.size(); }
  bool empty() const { return lines_.empty(); }
  Header operator[](size_t i) const;
  // The first of that name.
  std::optional<std::string_view> Find(std::string_view name) const;
  size_t Count(std::string_view name) const;
  bool Has(std::string_view name) const { return Find(name).has_value(); }
  // True if a comma-separated member of any header of that name equals `token`.
  bool HasToken(std::string_view name, std::string_view token) const;

  // Takes out what concerns one connection alone: RFC 9110 §7.6.1, and what Connection names; but never Host, Content-Length
  // and the like, which a stranger names there to change what the next hop understands.
  void RemoveHopByHop();
  // What that would leave; views into this list.
  std::vector<Header> EndToEnd() const;

  // All lines, each with its CR LF, as they came.
  std::string_view bytes() const { return bytes_; }

 private:
  struct Line { uint32_t at, size, name_at, name_size, value_at, value_size; };
  template <class Gone>
  void RemoveIf(Gone gone);
  // Of a list that has a Connection header, or has not.
  bool IsHopByHop(std::string_view name, bool connection) const;

  std::string bytes_;
  std::vector<Line> lines_;
};

}  // namespace orchard::http
