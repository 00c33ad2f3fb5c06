#include "node/sidecar/params.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "node/base/json_depth.h"
#include "node/base/nearest_word.h"
#include "node/crypto/hash.h"

namespace orchard::sidecar {
namespace {

using Json = nlohmann::json;

// The largest integer that JSON's consumers agree on (RFC 8259 §6), and the largest `uint` on the wire.
constexpr uint64_t kUintMax = (uint64_t{1} << 53) - 1;
constexpr size_t kFoundMax = 80;

std::string Found(const Json& v) {
  std::string s = v.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (s.size() > kFoundMax) s = s.substr(0, kFoundMax) + "…";
  return s;
}

std::string Names(const Operation& o) {
  std::string s;
  for (const Param& p : o.params) s += (s.empty() ? "" : ", ") + std::string(p.name);
  return s.empty() ? "no parameters" : s;
}

std::string_view Expected(ParamType type) {
  switch (type) {
    case ParamType::kKey: return "a key: 64 hex digits, or 52 of z-base-32";
    case ParamType::kTopic: return "a topic: 64 hex digits, or any text";
    case ParamType::kAddress: return "an address such as \"127.0.0.1:49737\"";
    case ParamType::kText: return "a string";
    case ParamType::kUint: return "a whole number from 0 to 9007199254740991";
    case ParamType::kBytes: return "a count of bytes such as 65536 or \"64KiB\"";
    case ParamType::kBool: return "true or false";
    case ParamType::kChoice: return "one of the choices";
  }
  return "";
}

bool IsChoice(std::string_view choices, std::string_view word) {
  for (size_t at = 0; at <= choices.size();) {
    size_t end = std::min(choices.find(' ', at), choices.size());
    if (!word.empty() && choices.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

std::optional<Key32> ParseKey(std::string_view text) {
  Key32 key{};
  if (text.size() == 64) {
    std::optional<std::string> raw = FromHex(text);
    if (!raw.has_value()) return std::nullopt;
    std::copy_n(AsBytes(*raw).begin(), key.size(), key.begin());
    return key;
  }
  // z-base-32: 5 bits a digit, high bits first; 52 digits hold 260 bits, of which the last 4 must be zero.
  static constexpr std::string_view kAlphabet = "ybndrfg8ejkmcpqxot1uwisza345h769";
  if (text.size() != 52) return std::nullopt;
  for (size_t i = 0; i < text.size(); ++i) {
    size_t digit = kAlphabet.find(text[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    for (size_t b = 0; b < 5; ++b) {
      size_t bit = i * 5 + b;
      bool set = (digit >> (4 - b) & 1) != 0;
      if (bit >= 256) {
        if (set) return std::nullopt;
      } else if (set) {
        key[bit / 8] |= uint8_t(0x80 >> bit % 8);
      }
    }
  }
  return key;
}

std::optional<uint64_t> ParseBytes(std::string_view text) {
  static constexpr std::pair<std::string_view, uint64_t> kUnits[] = {
      {"", 1}, {"B", 1}, {"kB", 1000}, {"KB", 1000}, {"KiB", 1 << 10}, {"MB", 1000000}, {"MiB", 1 << 20}, {"GB", 1000000000}, {"GiB", 1 << 30}};
  uint64_t n = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit = text.substr(size_t(end - text.data()));
  for (const auto& [name, factor] : kUnits) {
    if (name == unit) return n <= kUintMax / factor ? std::optional(n * factor) : std::nullopt;
  }
  return std::nullopt;
}

Key32 ParseTopic(std::string_view text) {
  if (text.size() == 64) {
    if (std::optional<Key32> key = ParseKey(text)) return *key;
  }
  return crypto::Blake2b256(AsBytes(text));
}

std::variant<Params, ParamError> Params::Parse(const Operation& operation, Bytes json) {
  if (JsonDeeperThan(AsText(json), kJsonDepthMax)) {
    return ParamError{.message = "the parameters nest too deeply", .found = "brackets nested more than " + std::to_string(kJsonDepthMax) + " deep",
                      .expected = "an object with " + Names(operation)};
  }
  Json object = json.empty() ? Json::object() : Json::parse(json.begin(), json.end(), nullptr, false);
  if (!object.is_object()) {
    return ParamError{.message = "the parameters are not a JSON object",
                      .found = object.is_discarded() ? "malformed JSON" : Found(object),
                      .expected = "an object with " + Names(operation)};
  }
  Params out;
  for (const auto& [name, v] : object.items()) {
    auto p = std::find_if(operation.params.begin(), operation.params.end(), [wanted = std::string_view(name)](const Param& q) { return q.name == wanted; });
    if (p == operation.params.end()) {
      std::vector<std::string_view> words;
      for (const Param& q : operation.params) words.push_back(q.name);
      std::string_view near = NearestWord(name, words);
      std::string hint = near.empty() ? "" : "; did you mean \"" + std::string(near) + "\"?";
      return ParamError{.message = std::string(operation.name) + " has no parameter \"" + name + "\"" + hint,
                        .param = name, .found = name, .expected = Names(operation)};
    }
    std::optional<Value> value;
    const std::string* text = v.get_ptr<const std::string*>();
    switch (p->type) {
      case ParamType::kKey:
        if (text != nullptr) {
          if (auto key = ParseKey(*text)) value = *key;
        }
        break;
      case ParamType::kTopic:
        if (text != nullptr && !text->empty()) value = ParseTopic(*text);
        break;
      case ParamType::kAddress:
        if (text != nullptr) {
          if (auto address = Endpoint::Parse(*text); address.has_value() && address->port != 0) value = *address;
        }
        break;
      case ParamType::kText:
        if (text != nullptr) value = *text;
        break;
      case ParamType::kChoice:
        if (text != nullptr && IsChoice(p->choices, *text)) value = *text;
        break;
      case ParamType::kBytes:
        if (text != nullptr) {
          if (std::optional<uint64_t> n = ParseBytes(*text)) value = *n;
          break;
        }
        [[fallthrough]];
      case ParamType::kUint:
        if (v.is_number_unsigned() && v.get<uint64_t>() <= kUintMax) value = v.get<uint64_t>();
        break;
      case ParamType::kBool:
        if (v.is_boolean()) value = v.get<bool>();
        break;
    }
    if (!value.has_value()) {
      std::string expected(Expected(p->type));
      if (p->type == ParamType::kChoice) expected = "one of: " + std::string(p->choices);
      return ParamError{.message = "parameter \"" + name + "\" of " + std::string(operation.name) + " is wrong",
                        .param = name, .found = p->secret ? "(not shown)" : Found(v), .expected = expected};
    }
    out.values_.emplace_back(p->name, *std::move(value));
  }
  for (const Param& p : operation.params) {
    if (!p.required || object.contains(p.name)) continue;
    return ParamError{.message = std::string(operation.name) + " needs the parameter \"" + std::string(p.name) + "\"",
                      .param = std::string(p.name), .found = "nothing", .expected = std::string(Expected(p.type))};
  }
  return out;
}

}  // namespace orchard::sidecar
