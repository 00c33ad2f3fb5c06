// The recorded vectors, and bytes from their hexadecimal.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "node/base/bytes.h"
#include "node/base/endpoint.h"

namespace orchard::hyperdht {

inline nlohmann::json LoadVectors(const std::string& name) {
  std::ifstream in(std::string(ORCHARD_SOURCE_DIR) + "/tests/vectors/" + name);
  return nlohmann::json::parse(in);
}

inline std::string Raw(const nlohmann::json& hex) { return *FromHex(hex.get<std::string>()); }

template <size_t N = 32>
std::array<uint8_t, N> Array(const nlohmann::json& hex) {
  std::string raw = Raw(hex);
  EXPECT_EQ(raw.size(), N);
  std::array<uint8_t, N> out{};
  std::copy_n(AsBytes(raw).begin(), N, out.begin());
  return out;
}

// {"host", "port"}, or null.
inline std::optional<Endpoint> Address(const nlohmann::json& j) {
  if (j.is_null()) return std::nullopt;
  return Endpoint::Parse(j["host"].get<std::string>() + ":" + std::to_string(j["port"].get<int>()));
}

inline std::string Hex(const std::string& bytes) { return ToHex(AsBytes(bytes)); }

}  // namespace orchard::hyperdht
