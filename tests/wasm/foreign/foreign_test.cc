// Commands of WASI that nobody here wrote: of the npm package @wasmer/wasi (MIT), which tests/interop/install lays down.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "node/wasm/cage_host.h"
#include "tests/wasm/engines.h"

namespace orchard::wasm {
namespace {

using testing::HasSubstr;

class ForeignTest : public EngineTest {
 protected:
  static std::string Read(const std::string& module) {
    const std::filesystem::path path = std::filesystem::path(ORCHARD_SOURCE_DIR) / "tests/interop/node_modules/@wasmer/wasi/tests" / module;
    std::stringstream bytes;
    bytes << std::ifstream(path, std::ios::binary).rdbuf();
    return bytes.str();
  }
  // What `module` says to a body, in a cage of its own.
  cage::RunResult Ask(const std::string& module, std::string body) {
    CageHost host(Make());
    auto loaded = host.Load({.name = "", .bytes = Read(module), .limits = {}});
    EXPECT_TRUE(loaded.ok()) << module << ": " << loaded.status();
    if (!loaded.ok()) return {};
    EXPECT_EQ(loaded->abi, cage::Abi::kWagi);
    EXPECT_TRUE(host.Spawn({.cage = 1, .module = loaded->module, .limits = {}}).ok());
    cage::RunArgs args{.cage = 1, .unix_us = 0, .seed = {}, .request = {}};
    args.request = {.method = "POST", .target = "/x", .authority = "a", .scheme = "http", .remote = "10.0.0.1:1", .headers = {{"x-a", "b"}}, .body = std::move(body)};
    return host.Run(args);
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, ForeignTest, testing::ValuesIn(EngineNames()), [](const auto& info) { return info.param; });

TEST_P(ForeignTest, OneInRustReadsItsEnvironment) {
  const cage::RunResult r = Ask("envvar.wasm", "");
  EXPECT_EQ(r.cause, cage::Cause::kNone) << r.detail;
  EXPECT_THAT(r.answer, HasSubstr("HTTP_X_A"));
}

TEST_P(ForeignTest, OneThatReadsDirectoriesFindsNone) {
  const cage::RunResult r = Ask("mapdir.wasm", "");
  EXPECT_EQ(r.cause, cage::Cause::kPanic);
  EXPECT_THAT(r.detail + r.log, HasSubstr("exit 71"));
}

TEST_P(ForeignTest, OneThatWantsMoreThanACageHasIsRefusedByName) {
  CageHost host(Make());
  EXPECT_EQ(host.Load({.name = "", .bytes = Read("demo.wasm"), .limits = {}}).status().message(), "imports wasi_unstable.fd_write, which a cage has not");
  EXPECT_EQ(host.Load({.name = "", .bytes = Read("test.wasm"), .limits = {}}).status().message(), "imports module.external, which a cage has not");
}

}  // namespace
}  // namespace orchard::wasm
