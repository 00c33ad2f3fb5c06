#include "node/wasm/cage_host.h"

#include <gmock/gmock.h>

#include "node/cage/answer.h"
#include "tests/wasm/engines.h"
#include "tests/wasm/wat.h"

namespace orchard::wasm {
namespace {

using cage::Abi;
using cage::Cause;
using cage::RunResult;
using testing::ContainsRegex;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

cage::Request Get(std::string target) {
  return {.method = "GET", .target = std::move(target), .authority = "shop.example:8080", .scheme = "http", .remote = "10.0.0.1:4711",
          .headers = {{"accept", "*/*"}, {"x-colour", "red"}, {"proxy", "evil"}}, .body = ""};
}

// A host with one module and cages of it.
struct Yard {
  CageHost host;
  cage::LoadResult loaded;
  uint32_t last = 0;
  cage::Limits limits{.memory_bytes = 16 << 20, .timeout_ms = 5};

  Yard(std::unique_ptr<Engine> engine, const std::string& name) : host(std::move(engine)) {
    auto r = host.Load({.name = name, .bytes = "", .limits = limits});
    EXPECT_TRUE(r.ok()) << r.status();
    if (r.ok()) loaded = *r;
    Spawn();
  }
  uint32_t Spawn() {
    const absl::Status s = host.Spawn({.cage = ++last, .module = loaded.module, .limits = limits});
    EXPECT_TRUE(s.ok()) << s;
    return last;
  }
  RunResult Ask(cage::Request request, uint64_t unix_us = 1'700'000'000'000'000, uint8_t luck = 1) {
    cage::RunArgs args{.cage = last, .unix_us = unix_us, .seed = {}, .request = std::move(request)};
    args.seed[0] = luck;
    return host.Run(args);
  }
};

class CageHostTest : public EngineTest {};
INSTANTIATE_TEST_SUITE_P(Engines, CageHostTest, testing::ValuesIn(EngineNames()), [](const auto& info) { return info.param; });

TEST_P(CageHostTest, AReactorAnswersAndStaysWarm) {
  Yard y(Make(), "example:hello.wasm");
  EXPECT_EQ(y.loaded.abi, Abi::kReactor);
  EXPECT_EQ(y.Ask(Get("/health")).answer, "Content-Type: text/plain\n\nok\n");
  const RunResult r = y.Ask(Get("/api/pears"));
  EXPECT_EQ(r.cause, Cause::kNone) << r.detail;
  EXPECT_THAT(r.answer, EndsWith("\"visits\":2}\n"));
  EXPECT_GT(r.fuel, 100u);
  EXPECT_LT(r.fuel, 10'000u);
  EXPECT_GE(r.memory_bytes, 65536u);
  EXPECT_EQ(cage::ParseAnswer(y.Ask(Get("/none")).answer)->status, 404);
}

TEST_P(CageHostTest, ARequestThatIsLongGetsALongerPlace) {
  Yard y(Make(), "example:hello.wasm");
  y.Ask(Get("/"));
  cage::Request post = Get("/api/x");
  post.method = "POST", post.body.assign(1 << 20, 'x');
  EXPECT_THAT(y.Ask(post).answer, EndsWith("\"visits\":2}\n"));
  post.body.assign(20 << 20, 'x');
  const RunResult r = y.Ask(post);
  EXPECT_EQ(r.cause, Cause::kMemory);
  EXPECT_EQ(r.detail, "alloc gave no memory, after it was refused memory");
}

TEST_P(CageHostTest, ACommandIsRunAsCgi) {
  Yard y(Make(), "example:echo.wasm");
  EXPECT_EQ(y.loaded.abi, Abi::kWagi);
  cage::Request post = Get("/a%20b?x=1&y=%20");
  post.method = "POST", post.body = "the body", post.headers.push_back({"content-type", "text/plain"});
  const std::string answer = y.Ask(post).answer;
  for (const char* line : {"GATEWAY_INTERFACE=CGI/1.1\n", "REQUEST_METHOD=POST\n", "PATH_INFO=/a b\n", "QUERY_STRING=x=1&y=%20\n", "SERVER_NAME=shop.example\n",
                           "SERVER_PORT=8080\n", "REMOTE_ADDR=10.0.0.1\n", "CONTENT_LENGTH=8\n", "CONTENT_TYPE=text/plain\n", "HTTP_X_COLOUR=red\n",
                           "HTTP_HOST=shop.example:8080\n", "\nthe body"}) {
    EXPECT_THAT(answer, HasSubstr(line));
  }
  EXPECT_THAT(answer, Not(HasSubstr("HTTP_PROXY")));
}

TEST_P(CageHostTest, TimeAndChanceAreThoseOfTheRequest) {
  Yard y(Make(), "example:echo.wasm");
  const RunResult a = y.Ask(Get("/time")), b = y.Ask(Get("/time")), c = y.Ask(Get("/time"), 1'800'000'000'000'000, 1), d = y.Ask(Get("/time"), 1'700'000'000'000'000, 2);
  EXPECT_EQ(a.answer, b.answer);
  EXPECT_EQ(a.fuel, b.fuel);
  EXPECT_THAT(a.answer, HasSubstr("\n1700000000 "));
  EXPECT_THAT(c.answer, HasSubstr("\n1800000000 "));
  EXPECT_NE(a.answer, d.answer);
  EXPECT_EQ(a.log, "asked for the time\n");
}

TEST_P(CageHostTest, ACommandThatEndsWithoutAnAnswerPanicked) {
  Yard y(Make(), "example:echo.wasm");
  RunResult r = y.Ask(Get("/exit"));
  EXPECT_EQ(r.cause, Cause::kPanic);
  EXPECT_EQ(r.detail, "exit 3 without an answer");
  EXPECT_FALSE(y.host.alive(y.last));
  y.Spawn();
  r = y.Ask(Get("/abort"));
  EXPECT_EQ(r.cause, Cause::kPanic);
  EXPECT_EQ(r.detail, "unreachable");
}

TEST_P(CageHostTest, NothingIsToBeFoundOutside) {
  Yard y(Make(), "example:snoop.wasm");
  EXPECT_EQ(y.Ask(Get("/")).answer,
            "Content-Type: text/plain\n\nopen -1\ncreate -1\nstat -1\nopendir 0\nmkdir -1\nunlink -1\nread 3 -1\nread 4 -1\nread 5 -1\nread 6 -1\nread 7 -1\naccept -1\nsend -1\n");
}

TEST_P(CageHostTest, CPlusPlusAndAssemblyScriptWorkToo) {
  Yard words(Make(), "example:words.wasm");
  cage::Request post = Get("/");
  post.body = "a rose is a rose is a rose";
  EXPECT_EQ(words.Ask(post).answer, "Content-Type: text/plain\n\n3 a\n3 rose\n2 is\n");
  Yard greet(Make(), "example:greet.wasm");
  EXPECT_EQ(greet.loaded.abi, Abi::kReactor);
  EXPECT_EQ(greet.Ask(Get("/?name=Eve")).answer, "Content-Type: text/plain\n\nHello, Eve, number 1!\n");
  for (int i = 2; i < 2000; ++i) greet.Ask(Get("/?name=Eve"));
  const RunResult r = greet.Ask(Get("/?name=Eve"));
  EXPECT_THAT(r.answer, HasSubstr("number 2000!"));
  EXPECT_LT(r.memory_bytes, 4u << 20);  // Its garbage is collected.
  const RunResult thrown = greet.Ask(Get("/throw"));
  EXPECT_EQ(thrown.cause, Cause::kPanic);
  EXPECT_THAT(thrown.detail, ContainsRegex("abort: told to in .*greet.ts:[0-9]+:[0-9]+"));
}

TEST_P(CageHostTest, APlugInOfExtismAnswersAndRemembers) {
  Yard y(Make(), "example:plugin.wasm");
  EXPECT_EQ(y.loaded.abi, Abi::kExtism);
  EXPECT_EQ(y.Ask(Get("/x")).answer, "Content-Type: text/plain\n\nGET /x HTTP/1.1 1\n");
  const RunResult r = y.Ask(Get("/x"));
  EXPECT_EQ(r.answer, "Content-Type: text/plain\n\nGET /x HTTP/1.1 2\n");
  EXPECT_EQ(r.log, "handled\n");
  const RunResult failed = y.Ask(Get("/fail"));
  EXPECT_EQ(failed.cause, Cause::kPanic);
  EXPECT_EQ(failed.detail, "told to fail");
}

TEST_P(CageHostTest, WhateverGoesWrongHasItsCause) {
  Yard y(Make(), "example:misbehave.wasm");
  struct Case {
    const char* path;
    Cause cause;
    const char* detail;
  };
  for (const Case& c : {Case{"/loop", Cause::kTimeout, "its fuel is used up"}, Case{"/recurse", Cause::kPanic, "out of bounds of the memory"},
                        Case{"/ladder", Cause::kPanic, "calls too deep"}, Case{"/trap", Cause::kPanic, "unreachable"},
                        Case{"/stray", Cause::kPanic, "out of bounds of the memory"}, Case{"/divide", Cause::kPanic, "division by zero"},
                        Case{"/silent", Cause::kPanic, "no answer"}, Case{"/outside", Cause::kPanic, "an answer outside its memory"},
                        Case{"/huge", Cause::kPanic, "an answer of more than 16 MiB"}, Case{"/hog", Cause::kMemory, "unreachable, after it was refused memory"}}) {
    const RunResult r = y.Ask(Get(c.path));
    EXPECT_EQ(r.cause, c.cause) << c.path << ": " << r.detail;
    EXPECT_EQ(r.detail, c.detail) << c.path;
    EXPECT_EQ(r.answer, "");
    EXPECT_FALSE(y.host.alive(y.last)) << c.path;
    y.Spawn();
    EXPECT_EQ(y.Ask(Get("/")).cause, Cause::kNone) << "after " << c.path;
  }
  EXPECT_THAT(y.Ask(Get("/greedy")).answer, HasSubstr("refused"));  // It bore it, so it lives.
  EXPECT_TRUE(y.host.alive(y.last));
  EXPECT_FALSE(cage::ParseAnswer(y.Ask(Get("/bad-headers")).answer).ok());
}

TEST_P(CageHostTest, NoCageGrowsBeyondItsLimit) {
  Yard y(Make(), "example:misbehave.wasm");
  const uint64_t bytes = y.Ask(Get("/hog")).memory_bytes;  // It asks for 1 MiB at a time.
  EXPECT_LE(bytes, 16u << 20);
  EXPECT_GT(bytes, 15u << 20);
}

TEST_P(CageHostTest, FuelIsAFigureOfTheTimeLimit) {
  Yard y(Make(), "example:misbehave.wasm");
  const RunResult r = y.Ask(Get("/loop"));
  EXPECT_GT(r.fuel, 5 * cage::kFuelPerMs);
  EXPECT_LT(r.fuel, 5 * cage::kFuelPerMs + 100);
}

TEST_P(CageHostTest, ModulesThatCannotBeAreRefusedWithAReason) {
  CageHost host(Make());
  const auto load = [&](std::string bytes) { return std::string(host.Load({.name = "", .bytes = std::move(bytes), .limits = {}}).status().message()); };
  EXPECT_EQ(host.Load({.name = "example:giant.wasm", .bytes = "", .limits = {}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(host.Load({.name = "example:none.wasm", .bytes = "", .limits = {}}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(host.Load({.name = std::string(64, 'a'), .bytes = "", .limits = {}}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(load("not wasm"), HasSubstr("magic"));
  EXPECT_EQ(load(Wat("(module)")), "exports none of what a cage calls: alloc and handle_request, _start (WASI), or handle (Extism)");
  EXPECT_EQ(load(Wat(R"((module (memory (export "memory") 1) (func (export "_start") (param i32))))")), "exports _start as i:; it must be :");
  EXPECT_EQ(load(Wat(R"((module (func (export "_start"))))")), "exports no memory");
  EXPECT_EQ(load(Wat(R"((module (import "env" "system" (func (param i32))) (memory (export "memory") 1) (func (export "_start"))))")),
            "imports env.system, which a cage has not");
  EXPECT_EQ(load(Wat(R"((module (import "wasi_snapshot_preview1" "proc_exit" (func (param i64))) (memory (export "memory") 1) (func (export "_start"))))")),
            "imports wasi_snapshot_preview1.proc_exit as I:; here it is i:");
  auto big = host.Load({.name = "", .bytes = Wat(R"((module (memory (export "memory") 300) (func (export "_start"))))"), .limits = {.memory_bytes = 16 << 20}});
  EXPECT_EQ(big.status().message(), "declares a memory of 19660800 bytes; its cages have 16777216");
}

TEST_P(CageHostTest, TheStartFunctionRunsUnderFuelToo) {
  CageHost host(Make());
  auto loaded = host.Load({.name = "", .bytes = Wat(R"((module (memory (export "memory") 1) (func $s (loop (br 0))) (start $s)
      (func (export "alloc") (param i32) (result i32) (i32.const 8)) (func (export "handle_request") (param i32 i32) (result i64) (i64.const 0))))"), .limits = {}});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(host.Spawn({.cage = 1, .module = loaded->module, .limits = {.memory_bytes = 1 << 20, .timeout_ms = 5}}).message(), "at its start: its fuel is used up");
}

TEST_P(CageHostTest, WhatWasMeteredOnceIsKept) {
  CageHost a(Make()), b(Make());
  auto loaded = a.Load({.name = "example:hello.wasm", .bytes = "", .limits = {}});
  ASSERT_TRUE(loaded.ok());
  ASSERT_TRUE(b.Keep(loaded->module, *a.metered(loaded->module), {}).ok());
  EXPECT_EQ(b.Load({.name = ToHex(loaded->module), .bytes = "", .limits = {}})->metered_bytes, loaded->metered_bytes);
  EXPECT_TRUE(b.Spawn({.cage = 7, .module = loaded->module, .limits = {}}).ok());
  EXPECT_EQ(b.Run({.cage = 7, .unix_us = 0, .seed = {}, .request = Get("/health")}).answer, "Content-Type: text/plain\n\nok\n");
  EXPECT_FALSE(b.Keep(Key32{}, std::string(*ExampleModule("hello.wasm")), {}).ok());  // Not metered.
  EXPECT_EQ(b.Run({.cage = 8, .unix_us = 0, .seed = {}, .request = {}}).cause, Cause::kEngine);
}

// The claim that the simulator stands on.
TEST(EnginesTest, BurnTheSameFuelAndGiveTheSameBytes) {
  if (MakeV8() == nullptr) GTEST_SKIP() << "built without V8";
  struct Case {
    const char* module;
    std::vector<std::string> paths;
  };
  for (const Case& c : {Case{"hello.wasm", {"/", "/health", "/api/x", "/none"}}, Case{"echo.wasm", {"/", "/time", "/exit", "/abort"}}, Case{"snoop.wasm", {"/"}},
                        Case{"words.wasm", {"/"}}, Case{"greet.wasm", {"/?name=Eve", "/", "/throw"}}, Case{"plugin.wasm", {"/", "/x", "/fail"}},
                        Case{"compute.wasm", {"/sha", "/fib", "/series"}},
                        Case{"misbehave.wasm", {"/", "/loop", "/recurse", "/ladder", "/trap", "/stray", "/divide", "/silent", "/outside", "/huge", "/hog", "/greedy", "/bad-headers"}}}) {
    Yard a(MakeInterpreter(), std::string("example:") + c.module), b(MakeV8(), std::string("example:") + c.module);
    for (const std::string& path : c.paths) {
      cage::Request request = Get(path);
      request.body = "one two two";
      const RunResult x = a.Ask(request), y = b.Ask(request);
      EXPECT_EQ(cage::Encode(x), cage::Encode(y)) << c.module << path << "\n" << x.fuel << " " << x.detail << "\n" << y.fuel << " " << y.detail;
      if (!a.host.alive(a.last)) a.Spawn(), b.Spawn();
    }
  }
}

}  // namespace
}  // namespace orchard::wasm
