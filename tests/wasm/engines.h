// Every engine that this program has, for tests that all of them must pass.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "node/wasm/engine.h"

namespace orchard::wasm {

inline std::unique_ptr<Engine> MakeNamed(std::string_view name) { return name == "V8" ? MakeV8() : MakeInterpreter(); }
inline std::vector<std::string> EngineNames() {
  std::vector<std::string> names = {"interpreter"};
  if (MakeV8() != nullptr) names.push_back("V8");
  return names;
}

class EngineTest : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Engine> Make() { return MakeNamed(GetParam()); }
};

}  // namespace orchard::wasm
