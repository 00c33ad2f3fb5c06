// What a module wants of its host and offers to it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"

namespace orchard::wasm {

enum class ValType : uint8_t { kI32, kI64, kF32, kF64, kRef };

struct FuncType {
  std::vector<ValType> params, results;
  friend bool operator==(const FuncType& a, const FuncType& b) { return a.params == b.params && a.results == b.results; }
};
// As "iI:i": i32, i64 to i32; f and F are floats, r a reference.
std::string Describe(const FuncType& type);

struct Import {
  std::string module, name;
  FuncType type;
};

struct ModuleInfo {
  std::vector<Import> imports;                      // Functions, in the order of their indices.
  absl::btree_map<std::string, FuncType, std::less<>> functions;  // Those exported.
  bool exports_memory = false;                      // Under the name "memory", as everybody calls it.
  uint64_t memory_pages = 0;                        // At birth, of 64 KiB.
};

inline constexpr uint64_t kPageBytes = 65536;

}  // namespace orchard::wasm
