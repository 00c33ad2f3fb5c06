// The parameters of one operation call, checked against the table of operations.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "node/base/bytes.h"
#include "node/base/endpoint.h"
#include "node/sidecar/operations.h"

namespace orchard::sidecar {

// 64 hex digits, or 52 of z-base-32 (as the Pear tools print keys).
std::optional<Key32> ParseKey(std::string_view text);
// A count of bytes: digits, then nothing, B, kB, KiB, MB, MiB, GB or GiB. Nothing if malformed or above 2^53.
std::optional<uint64_t> ParseBytes(std::string_view text);
// A topic: 64 hex digits as they are; any other text is hashed with BLAKE2b-256.
Key32 ParseTopic(std::string_view text);

// What a caller reads when it got a parameter wrong.
struct ParamError {
  std::string message;
  std::string param;     // Empty if the whole object is wrong.
  std::string found;
  std::string expected;
};

class Params {
 public:
  // `json` must be an object with the operation's parameters and no other; absent parameters are not set.
  static std::variant<Params, ParamError> Parse(const Operation& operation, Bytes json);

  bool has(std::string_view name) const {
    return std::any_of(values_.begin(), values_.end(), [name](const auto& v) { return v.first == name; });
  }
  // Each answers nothing if the parameter is absent; the type is the table's.
  std::optional<Key32> key(std::string_view name) const { return As<Key32>(name); }  // kKey and kTopic.
  std::optional<Endpoint> address(std::string_view name) const { return As<Endpoint>(name); }
  std::optional<std::string> text(std::string_view name) const { return As<std::string>(name); }  // kText and kChoice.
  std::optional<uint64_t> number(std::string_view name) const { return As<uint64_t>(name); }
  std::optional<bool> flag(std::string_view name) const { return As<bool>(name); }

 private:
  using Value = std::variant<Key32, Endpoint, std::string, uint64_t, bool>;
  template <class T>
  std::optional<T> As(std::string_view name) const {
    for (const auto& [n, v] : values_) {
      if (n == name) return std::get<T>(v);
    }
    return std::nullopt;
  }
  std::vector<std::pair<std::string_view, Value>> values_;  // Named by the table's own strings.
};

}  // namespace orchard::sidecar
