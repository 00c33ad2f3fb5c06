#include "node/wasm/meter.h"

#include <gmock/gmock.h>

#include "node/wasm/cage_host.h"
#include "node/wasm/scan.h"
#include "tests/wasm/engines.h"
#include "tests/wasm/wat.h"

namespace orchard::wasm {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

struct NoImports final : Imports {
  Reply Call(size_t, const uint64_t*, Memory) override { return {.value = 5}; }
};

// An instance of a module in text form, under a meter.
struct Rig {
  std::unique_ptr<Engine> engine;
  NoImports imports;
  Metered metered;
  std::unique_ptr<Module> module;
  std::unique_ptr<Instance> instance;
  uint64_t fuel = 1'000'000, pages = 10;

  Rig(std::unique_ptr<Engine> e, std::string_view wat) : engine(std::move(e)) {
    auto m = Meter(AsBytes(Wat(wat)));
    EXPECT_TRUE(m.ok()) << m.status();
    metered = *std::move(m);
    auto compiled = engine->Compile(AsBytes(metered.bytes), metered.info);
    EXPECT_TRUE(compiled.ok()) << compiled.status();
    module = *std::move(compiled);
    instance = *module->Instantiate(imports);
  }
  Outcome Call(std::string_view name, std::vector<uint64_t> args) {
    instance->Call(*instance->Find(kSet), {fuel << kDepthBits, pages});
    return instance->Call(*instance->Find(name), args);
  }
  int64_t state() { return int64_t(instance->Call(*instance->Find(kState), {}).value); }
  uint64_t burnt() { return uint64_t(int64_t(fuel) - (state() >> kDepthBits)); }
  uint64_t Burn(std::vector<uint64_t> args) {
    const Outcome o = Call("f", std::move(args));
    EXPECT_EQ(o.end, End::kReturned) << o.detail;
    EXPECT_EQ(state() & ((1 << kDepthBits) - 1), 0) << "depth is left";
    return burnt();
  }
};

class MeterTest : public EngineTest {};
INSTANTIATE_TEST_SUITE_P(Engines, MeterTest, testing::ValuesIn(EngineNames()), [](const auto& info) { return info.param; });

TEST_P(MeterTest, FuelIsTheNumberOfInstructionsThatRan) {
  Rig straight(Make(), R"((module (func (export "f") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))))");
  EXPECT_EQ(straight.Burn({4}), 3u);
  EXPECT_EQ(straight.Call("f", {4}).value, 5u);
  Rig loop(Make(), R"((module (func (export "f") (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))))");
  for (uint64_t n : {1, 2, 10, 1000}) EXPECT_EQ(loop.Burn({n}), 1 + 5 * n) << n;
  Rig block(Make(), R"((module (func (export "f") (param i32) (result i32) (block (br_if 0 (local.get 0)) (nop) (nop) (nop)) (i32.const 7))))");
  EXPECT_EQ(block.Burn({1}), 4u);
  EXPECT_EQ(block.Burn({0}), 7u);
  Rig nested(Make(), R"((module (func (export "f") (param i32) (result i32)
      (block $a (block $b (br_if $a (local.get 0)) (nop)) (nop) (nop)) (i32.const 7))))");
  EXPECT_EQ(nested.Burn({1}), 5u);
  EXPECT_EQ(nested.Burn({0}), 8u);
  Rig early(Make(), R"((module (func (export "f") (param i32) (result i32) (if (local.get 0) (then (return (i32.const 1)))) (nop) (nop) (i32.const 2))))");
  EXPECT_EQ(early.Burn({1}), 4u);
  EXPECT_EQ(early.Burn({0}), 5u);
  EXPECT_EQ(early.Call("f", {1}).value, 1u);
  EXPECT_EQ(early.Call("f", {0}).value, 2u);
  Rig arms(Make(), R"((module (func (export "f") (param i32) (result i32)
      (if (result i32) (local.get 0) (then (nop) (nop) (nop) (i32.const 1)) (else (nop) (i32.const 2))) (nop))))");
  EXPECT_EQ(arms.Burn({1}), 7u);
  EXPECT_EQ(arms.Burn({0}), 5u);
  Rig table(Make(), R"((module (func (export "f") (param i32) (result i32)
      (block (block (block (br_table 0 1 2 (local.get 0))) (nop)) (nop) (nop)) (i32.const 1))))");
  EXPECT_EQ(table.Burn({2}), 6u);
  EXPECT_EQ(table.Burn({1}), 8u);
  EXPECT_EQ(table.Burn({0}), 9u);
}

TEST_P(MeterTest, CallsBurnWhatTheyCall) {
  Rig r(Make(), R"((module (table 2 funcref) (elem (i32.const 0) $g $h) (type $t (func (param i32) (result i32)))
      (func $g (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
      (func $h (param i32) (result i32) (if (result i32) (local.get 0) (then (call $h (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
      (func (export "f") (param i32 i32) (result i32) (call_indirect (type $t) (local.get 0) (local.get 1)))))");
  EXPECT_EQ(r.Burn({9, 0}), 3u + 3u);
  for (uint64_t n : {0, 1, 5}) EXPECT_EQ(r.Burn({n, 1}), 3 + 3 + n * 6) << n;
  const Outcome o = r.Call("f", {0, 7});
  EXPECT_EQ(o.end, End::kTrapped);
  EXPECT_EQ(o.detail, "out of bounds of a table");
}

TEST_P(MeterTest, SeveralResultsAndEarlyReturnsKeepTheirValues) {
  Rig r(Make(), R"((module
      (func $two (param i32) (result i32 i64) (if (local.get 0) (then (return (i32.const 3) (i64.const 4)))) (i32.const 5) (i64.const 6))
      (func (export "f") (param i32) (result i64) (local i64) (call $two (local.get 0)) (local.set 1) (i64.add (i64.extend_i32_u) (local.get 1)))))");
  EXPECT_EQ(r.Call("f", {1}).value, 7u);
  EXPECT_EQ(r.Call("f", {0}).value, 11u);
}

TEST_P(MeterTest, WhatWorksOnMuchAtOncePaysByItsSize) {
  Rig r(Make(), R"((module (memory (export "memory") 1) (table 10 funcref)
      (func (export "f") (param i32) (memory.fill (i32.const 0) (i32.const 7) (local.get 0)))
      (func (export "copy") (param i32) (memory.copy (i32.const 0) (i32.const 8) (local.get 0)))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "table") (param i32) (result i32) (table.grow 0 (ref.null func) (local.get 0)))))");
  EXPECT_EQ(r.Burn({1600}), 4u + 100u);
  EXPECT_EQ(r.instance->memory()[1599], 7);
  r.Call("copy", {1600});
  EXPECT_EQ(r.burnt(), 4u + 100u);
  EXPECT_EQ(r.Call("grow", {3}).value, 1u);
  EXPECT_EQ(r.burnt(), 2u + 3 * 4096u);
  EXPECT_EQ(r.Call("table", {7}).value, 10u);
  EXPECT_EQ(r.burnt(), 3u + 7u);
  // Nobody works on 4 GiB for four units.
  r.fuel = 100'000'000;
  EXPECT_EQ(r.Call("f", {0xffffffff}).end, End::kTrapped);
  EXPECT_LT(r.state(), 0);
}

TEST_P(MeterTest, MemoryEndsAtTheCagesLimitAndARefusalIsRemembered) {
  Rig r(Make(), R"((module (memory (export "memory") 1) (func (export "f") (param i32) (result i32) (memory.grow (local.get 0)))))");
  EXPECT_EQ(r.Call("f", {9}).value, 1u);
  EXPECT_EQ(r.instance->Call(*r.instance->Find(kRefused), {}).value, 0u);
  EXPECT_EQ(r.Call("f", {1}).value, 0xffffffffu);
  EXPECT_EQ(r.instance->Call(*r.instance->Find(kRefused), {}).value, 1u);
  EXPECT_EQ(r.Call("f", {0xffffffff}).value, 0xffffffffu);
  EXPECT_EQ(r.Call("f", {0}).value, 10u);
  EXPECT_EQ(r.instance->memory().size(), 10 * kPageBytes);
}

TEST_P(MeterTest, ItEndsWhenTheFuelIsUsedUp) {
  Rig r(Make(), R"((module (func (export "f") (loop (br 0))) (func $r (export "recurse") (call $r))
      (func $m (export "mutual") (call $n)) (func $n (call $m))))");
  r.fuel = 1000;
  EXPECT_EQ(r.Call("f", {}).end, End::kTrapped);
  EXPECT_LT(r.state(), 0);
  EXPECT_LT(r.burnt(), 1004u);
  r.fuel = 100'000'000;
  for (const char* name : {"recurse", "mutual"}) {
    EXPECT_EQ(r.Call(name, {}).end, End::kTrapped);
    EXPECT_GT(r.state(), 0);
    EXPECT_NE(uint64_t(r.state()) & kDepthMark, 0u);
    EXPECT_LT(r.burnt(), 2 * kDepthMark / kFrameSlots);
  }
}

TEST_P(MeterTest, WhatIsNoNumberHasOneForm) {
  Rig r(Make(), R"((module (memory (export "memory") 1)
      (func (export "f") (param i64 i64) (result i64) (i64.reinterpret_f64 (f64.add (f64.reinterpret_i64 (local.get 0)) (f64.reinterpret_i64 (local.get 1)))))
      (func (export "div") (param i32 i32) (result i32) (i32.reinterpret_f32 (f32.div (f32.reinterpret_i32 (local.get 0)) (f32.reinterpret_i32 (local.get 1)))))
      (func (export "sqrt") (param i64) (result i64) (i64.reinterpret_f64 (f64.sqrt (f64.reinterpret_i64 (local.get 0)))))
      (func (export "demote") (param i64) (result i32) (i32.reinterpret_f32 (f32.demote_f64 (f64.reinterpret_i64 (local.get 0)))))
      (func (export "move") (param i64) (result i64) (i64.store (i32.const 0) (local.get 0)) (f64.store (i32.const 8) (f64.load (i32.const 0))) (i64.load (i32.const 8)))))");
  EXPECT_EQ(r.Call("f", {0x7ff8dead00000001, 0x3ff0000000000000}).value, 0x7ff8000000000000u);
  EXPECT_EQ(r.Call("f", {0x3ff0000000000000, 0x4000000000000000}).value, 0x4008000000000000u);  // 1 + 2.
  EXPECT_EQ(r.Call("div", {0, 0}).value, 0x7fc00000u);
  EXPECT_EQ(r.Call("sqrt", {0xbff0000000000000}).value, 0x7ff8000000000000u);
  EXPECT_EQ(r.Call("demote", {0xfff8000000000123}).value, 0x7fc00000u);
  EXPECT_EQ(r.Call("move", {0x7ff8dead00000001}).value, 0x7ff8dead00000001u);  // Moving is not calculating.
}

std::string Refusal(std::string_view wat) { return std::string(Meter(AsBytes(Wat(wat))).status().message()); }

TEST(MeterRefusalTest, NamesWhatACageHasNotAndWhereItIs) {
  EXPECT_THAT(Refusal("(module (func) (func (drop (v128.const i32x4 0 0 0 0))))"), AllOf(StartsWith("function 1 at 0x"), HasSubstr("uses SIMD, which a cage has not")));
  EXPECT_THAT(Refusal("(module (func (param v128)))"), HasSubstr("SIMD"));
  EXPECT_THAT(Refusal("(module (memory 1 1 shared))"), HasSubstr("threads"));
  EXPECT_THAT(Refusal("(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))"), HasSubstr("threads"));
  EXPECT_THAT(Refusal("(module (tag (param i32)))"), HasSubstr("exceptions"));
  EXPECT_THAT(Refusal("(module (func (try (do))))"), HasSubstr("exceptions"));
  EXPECT_THAT(Refusal("(module (memory i64 1))"), HasSubstr("memory64"));
  EXPECT_THAT(Refusal("(module (memory 1) (memory 1))"), HasSubstr("more than one memory"));
  EXPECT_THAT(Refusal("(module (func $f (return_call $f)))"), HasSubstr("tail calls"));
  EXPECT_THAT(Refusal(R"((module (import "env" "memory" (memory 1))))"), HasSubstr("imports the memory env.memory; a cage gives functions only"));
  EXPECT_THAT(Refusal(R"((module (import "env" "g" (global i32))))"), HasSubstr("imports the global env.g"));
  EXPECT_THAT(Refusal(R"((module (func (export "orchard.set"))))"), HasSubstr("exports \"orchard.set\""));
  EXPECT_THAT(Refusal("(module (memory 65536))"), HasSubstr("declares a memory of 4096 MiB"));
  EXPECT_THAT(Refusal("(module (table 2000000 funcref))"), HasSubstr("2000000 elements of a table; a cage allows 1048576"));
  EXPECT_THAT(Refusal("(module (func (result i32) (i64.const 1)))"), AllOf(HasSubstr("at 0x"), HasSubstr("expected [i32] but got [i64]")));
  EXPECT_THAT(std::string(Meter({}).status().message()), HasSubstr("magic"));
}

TEST(MeterRefusalTest, BoundsHoldBeforeAnythingIsBuilt) {
  // By hand, since the maker of modules would call itself as deep: (module (func block … end)).
  const auto leb = [](uint64_t x) {
    std::string out;
    for (; x >= 128; x >>= 7) out += char(x | 128);
    return out + char(x);
  };
  const auto module = [&](std::string locals, size_t nesting) {
    std::string body = std::move(locals);
    for (size_t i = 0; i < nesting; ++i) body += "\x02\x40";
    body += std::string(nesting + 1, '\x0b');
    body = leb(body.size()) + body;
    const std::string code = "\x01" + body;
    return std::string("\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\x0a", 19) + leb(code.size()) + code;
  };
  EXPECT_TRUE(Meter(AsBytes(module(std::string("\0", 1), 1000))).ok());
  EXPECT_THAT(std::string(Meter(AsBytes(module(std::string("\0", 1), 1'000'000))).status().message()), HasSubstr("1201 blocks in each other; a cage allows 1200"));
  EXPECT_THAT(std::string(Meter(AsBytes(module("\x01" + leb(50'000) + "\x7f", 0))).status().message()), HasSubstr("50000 local variables"));
  EXPECT_THAT(std::string(Meter(AsBytes(module("\x02" + leb(4'000'000'000) + "\x7f" + leb(4'000'000'000) + "\x7f", 0))).status().message()), HasSubstr("local"));
}

TEST(MeterRefusalTest, WhatNobodyRunsIsDropped) {
  std::string bytes = Wat(R"((module (func (export "f"))))");
  bytes += std::string("\0\x09\x05hello you", 11);  // A custom section.
  auto m = Meter(AsBytes(bytes));
  ASSERT_TRUE(m.ok()) << m.status();
  EXPECT_THAT(m->bytes, Not(HasSubstr("hello")));
}

// Bytes that were spoilt are refused, or are another module that both engines take.
TEST(MeterRefusalTest, SpoiltModulesAreRefusedOrRun) {
  std::unique_ptr<Engine> interpreter = MakeInterpreter(), v8 = MakeV8();
  Rng rng = Rng::Named(1, "spoil", "test");
  size_t taken = 0;
  for (const char* name : {"hello.wasm", "plugin.wasm", "compute.wasm"}) {
    const std::string good(*ExampleModule(name));
    for (int i = 0; i < 400; ++i) {
      std::string bad = good;
      for (uint64_t n = 1 + rng.Below(3); n > 0; --n) bad[rng.Below(bad.size())] = char(rng.Below(256));
      if (rng.Chance(1, 8)) bad.resize(rng.Below(bad.size()));
      auto m = Meter(AsBytes(bad));
      if (!m.ok()) {
        EXPECT_EQ(m.status().code(), absl::StatusCode::kInvalidArgument) << m.status();
        continue;
      }
      ++taken;
      EXPECT_TRUE(interpreter->Compile(AsBytes(m->bytes), m->info).ok());
      if (v8 != nullptr && i % 8 == 0) {
        EXPECT_TRUE(v8->Compile(AsBytes(m->bytes), m->info).ok()) << v8->Compile(AsBytes(m->bytes), m->info).status();
      }
    }
  }
  EXPECT_GT(taken, 100u);
}

}  // namespace
}  // namespace orchard::wasm
