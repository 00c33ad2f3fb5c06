// The modules in node/wasm/guests are what their sources make, where Debian's clang for WebAssembly is.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "node/wasm/cage_host.h"
#include "tests/support/temp_dir.h"

namespace orchard::wasm {
namespace {

namespace fs = std::filesystem;

std::string Read(const fs::path& path) {
  std::stringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

TEST(GuestsTest, EveryGuestHasItsSourceAndEverySourceItsModule) {
  const fs::path guests = fs::path(ORCHARD_SOURCE_DIR) / "node/wasm/guests";
  size_t seen = 0;
  for (std::string_view name : ExampleNames()) {
    const std::string stem = fs::path(name).stem();
    bool source = false;
    for (const char* kind : {".c", ".cc", ".ts", ".wat"}) source |= fs::exists(guests / (stem + kind));
    EXPECT_TRUE(source) << name;
    EXPECT_EQ(*ExampleModule(name), Read(guests / name));
    EXPECT_LT(ExampleModule(name)->size(), 64u << 10) << name;
    ++seen;
  }
  EXPECT_GE(seen, 9u);
}

TEST(GuestsTest, BuiltAgainTheyBehaveAlike) {
  if (!fs::exists("/usr/lib/wasm32-wasi/libc.a") && !fs::exists("/usr/lib/wasm32-wasi/crt1.o")) GTEST_SKIP() << "wasi-libc is not installed";
  TempDir dir;
  const std::string command = std::string(ORCHARD_SOURCE_DIR) + "/node/wasm/guests/build " + dir.path() + " > " + dir.path() + "/log 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0) << Read(dir.path() + "/log");
  for (const char* name : {"hello.wasm", "compute.wasm", "echo.wasm", "snoop.wasm", "words.wasm", "plugin.wasm"}) {
    CageHost host;
    const auto kept = host.Load({.name = std::string("example:") + name, .bytes = "", .limits = {}});
    const auto built = host.Load({.name = "", .bytes = Read(fs::path(dir.path()) / name), .limits = {}});
    ASSERT_TRUE(kept.ok() && built.ok()) << name << built.status();
    ASSERT_TRUE(host.Spawn({.cage = 1, .module = kept->module, .limits = {}}).ok());
    ASSERT_TRUE(host.Spawn({.cage = 2, .module = built->module, .limits = {}}).ok());
    for (const char* target : {"/", "/health", "/api/x", "/fib", "/series"}) {
      cage::RunArgs args{.cage = 1, .unix_us = 7'000'000, .seed = {}, .request = {}};
      args.request = {.method = "POST", .target = target, .authority = "a", .scheme = "http", .remote = "10.0.0.1:1", .headers = {}, .body = "one two two"};
      const cage::RunResult a = host.Run(args);
      args.cage = 2;
      const cage::RunResult b = host.Run(args);
      EXPECT_EQ(a.cause, cage::Cause::kNone) << name << target << a.detail;
      EXPECT_EQ(a.answer, b.answer) << name << target;
    }
  }
}

}  // namespace
}  // namespace orchard::wasm
