// What does a cage cost: to meter and compile a module, to make an instance, to ask it here and in a worker process; and what does
// metering cost a guest that computes, in time and, where the machine counts them, in instructions?

#include <benchmark/benchmark.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "node/base/check.h"
#include "node/host/cage_workers.h"
#include "node/wasm/cage_host.h"
#include "node/wasm/meter.h"
#include "node/wasm/scan.h"

namespace orchard {
namespace {

using benchmark::State;

// Instructions of this thread in user mode; -1 where a virtual machine does not count them.
class Instructions {
 public:
  Instructions() {
    perf_event_attr a{};
    a.type = PERF_TYPE_HARDWARE, a.size = sizeof a, a.config = PERF_COUNT_HW_INSTRUCTIONS, a.exclude_kernel = 1, a.exclude_hv = 1;
    fd_ = int(syscall(SYS_perf_event_open, &a, 0, -1, -1, 0));
  }
  ~Instructions() {
    if (fd_ >= 0) close(fd_);
  }
  int64_t Read() const {
    int64_t n = -1;
    return fd_ >= 0 && read(fd_, &n, sizeof n) == sizeof n ? n : -1;
  }

 private:
  int fd_ = -1;
};

std::unique_ptr<wasm::Engine> Named(std::string_view name) { return name == "V8" ? wasm::MakeV8() : wasm::MakeInterpreter(); }

cage::RunArgs Ask(uint32_t cage, std::string target) {
  cage::RunArgs args{.cage = cage, .unix_us = 1, .seed = {}, .request = {}};
  args.request = {.method = "GET", .target = std::move(target), .authority = "shop.example", .scheme = "https", .remote = "10.0.0.1:4711",
                  .headers = {{"accept", "*/*"}, {"user-agent", "bench"}}, .body = ""};
  return args;
}

struct NoImports final : wasm::Imports {
  Reply Call(size_t, const uint64_t*, wasm::Memory) override { return {}; }
};

// A kernel of compute.wasm, or the answering of hello.wasm, metered or bare.
void Kernel(State& state, std::string_view engine, bool metered, std::string_view function, uint64_t arg) {
  auto e = Named(engine);
  if (e == nullptr) return state.SkipWithError("no V8");
  const std::string_view bare = *wasm::ExampleModule(function == "handle_request" ? "hello.wasm" : "compute.wasm");
  std::string bytes(bare);
  wasm::ModuleInfo info = *wasm::Scan(AsBytes(bytes));
  if (metered) {
    auto m = wasm::Meter(AsBytes(bytes));
    bytes = m->bytes, info = m->info;
  }
  auto module = *e->Compile(AsBytes(bytes), info);
  NoImports none;
  auto instance = *module->Instantiate(none);
  const uint32_t call = *instance->Find(function);
  const auto set = instance->Find(wasm::kSet);
  const auto refuel = [&] {
    if (set.has_value()) instance->Call(*set, {wasm::kFuelMax / 2 << wasm::kDepthBits, 100});
  };
  refuel();
  std::vector<uint64_t> args = {arg};
  if (function == "nop") args = {1, 2};
  if (function == "handle_request") {
    const std::string_view request = "GET /api/items/42 HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    const uint64_t at = instance->Call(*instance->Find("alloc"), {4096}).value;
    std::copy(request.begin(), request.end(), instance->memory().data() + at);
    args = {at, request.size()};
  }
  const Instructions counter;
  const int64_t before = counter.Read();
  for (auto _ : state) {
    if (instance->Call(call, args).end != wasm::End::kReturned) return state.SkipWithError("trap");
  }
  if (before >= 0) state.counters["instructions"] = benchmark::Counter(double(counter.Read() - before), benchmark::Counter::kAvgIterations);
}

void Spawn(State& state, std::string_view engine, const std::string& guest) {
  auto e = Named(engine);
  if (e == nullptr) return state.SkipWithError("no V8");
  wasm::CageHost host(std::move(e));
  const auto loaded = host.Load({.name = "example:" + guest, .bytes = "", .limits = {}});
  CHECK(loaded.ok());
  uint32_t cage = 0;
  for (auto _ : state) {
    CHECK(host.Spawn({.cage = ++cage, .module = loaded->module, .limits = {}}).ok());
    host.Stop(cage);
  }
}

void RunHere(State& state, std::string_view engine, const std::string& guest, const std::string& target) {
  auto e = Named(engine);
  if (e == nullptr) return state.SkipWithError("no V8");
  wasm::CageHost host(std::move(e));
  const auto loaded = host.Load({.name = "example:" + guest, .bytes = "", .limits = {}});
  CHECK(loaded.ok() && host.Spawn({.cage = 1, .module = loaded->module, .limits = {}}).ok());
  const cage::RunArgs args = Ask(1, target);
  uint64_t fuel = 0;
  for (auto _ : state) {
    const cage::RunResult r = host.Run(args);
    CHECK(r.cause == cage::Cause::kNone);
    fuel = r.fuel;
  }
  state.counters["fuel"] = double(fuel);
}

using Results = std::vector<host::CageWorkers::Result>;
Results Wait(host::CageWorkers& workers, size_t n) {
  Results all;
  while (all.size() < n) {
    workers.Flush();
    pollfd p{workers.fd(), POLLIN, 0};
    poll(&p, 1, 1000);
    for (auto& r : workers.Take()) all.push_back(std::move(r));
  }
  return all;
}

// `together` requests at a time, to one process and back.
void RunThere(State& state, size_t together) {
  host::CageWorkers workers({.program = "", .keep = "", .processes = 1});
  uint32_t next = 1;
  const auto wait = [&](size_t n) { return Wait(workers, n); };
  workers.Submit(JobId{next++}, JobKind::kCageLoad, cage::Encode(cage::LoadArgs{"example:hello.wasm", "", {}}));
  const auto loaded = cage::Decode<cage::LoadResult>(AsBytes(wait(1)[0].bytes));
  CHECK(loaded.ok());
  workers.Submit(JobId{next++}, JobKind::kCageSpawn, cage::Encode(cage::SpawnArgs{1, loaded->module, {}}));
  CHECK(wait(1)[0].status == absl::StatusCode::kOk);
  const std::string args = cage::Encode(Ask(1, "/api/x"));
  for (auto _ : state) {
    for (size_t i = 0; i < together; ++i) workers.Submit(JobId{next++}, JobKind::kCageRun, args);
    CHECK_EQ(wait(together).size(), together);
  }
  state.SetItemsProcessed(int64_t(state.iterations() * together));
}

// A cage where no process is any more: what it costs beyond BM_Spawn to start one and to compile the module in it.
void SpawnInNewWorker(State& state) {
  host::CageWorkers workers({.program = "", .keep = "", .processes = 1});
  uint32_t next = 1, cage = 0;
  workers.Submit(JobId{next++}, JobKind::kCageLoad, cage::Encode(cage::LoadArgs{"example:hello.wasm", "", {}}));
  const auto loaded = cage::Decode<cage::LoadResult>(AsBytes(Wait(workers, 1)[0].bytes));
  CHECK(loaded.ok());
  for (auto _ : state) {
    const auto before = std::chrono::steady_clock::now();
    workers.Submit(JobId{next++}, JobKind::kCageSpawn, cage::Encode(cage::SpawnArgs{++cage, loaded->module, {}}));
    CHECK(Wait(workers, 1)[0].status == absl::StatusCode::kOk);
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count());
    workers.Submit(JobId{next++}, JobKind::kCageWatch, cage::Encode(cage::WatchArgs{cage}));
    workers.Submit(JobId{next++}, JobKind::kCageRun, cage::Encode(Ask(cage, "/")));  // One that dies before it ran is started again only after a while.
    Wait(workers, 1);
    CHECK_EQ(kill(workers.pids().at(0), SIGKILL), 0);
    Wait(workers, 1);  // It is known.
  }
}

void MeterOne(State& state, std::string_view guest) {
  const std::string_view bytes = *wasm::ExampleModule(guest);
  size_t out = 0;
  for (auto _ : state) out = wasm::Meter(AsBytes(bytes))->bytes.size();
  state.counters["bytes"] = double(bytes.size()), state.counters["metered"] = double(out);
}

void CompileOne(State& state, std::string_view engine, std::string_view guest) {
  auto e = Named(engine);
  if (e == nullptr) return state.SkipWithError("no V8");
  const auto m = wasm::Meter(AsBytes(*wasm::ExampleModule(guest)));
  for (auto _ : state) CHECK(e->Compile(AsBytes(m->bytes), m->info).ok());
}

}  // namespace
}  // namespace orchard

int main(int argc, char** argv) {
  using namespace orchard;
  using benchmark::RegisterBenchmark;
  for (const char* guest : {"hello.wasm", "echo.wasm"}) {
    RegisterBenchmark((std::string("BM_Meter/") + guest).c_str(), [=](State& s) { MeterOne(s, guest); })->Unit(benchmark::kMicrosecond);
  }
  for (const char* engine : {"V8", "interpreter"}) {
    const std::string e = engine;
    for (const char* guest : {"hello.wasm", "echo.wasm"}) {
      RegisterBenchmark(("BM_Compile/" + e + "/" + guest).c_str(), [=](State& s) { CompileOne(s, engine, guest); })->Unit(benchmark::kMicrosecond);
    }
    RegisterBenchmark(("BM_Spawn/" + e + "/hello.wasm").c_str(), [=](State& s) { Spawn(s, engine, "hello.wasm"); })->Unit(benchmark::kMicrosecond);
    RegisterBenchmark(("BM_Run/" + e + "/reactor").c_str(), [=](State& s) { RunHere(s, engine, "hello.wasm", "/api/x"); })->Unit(benchmark::kMicrosecond);
    RegisterBenchmark(("BM_Run/" + e + "/wagi").c_str(), [=](State& s) { RunHere(s, engine, "echo.wasm", "/x"); })->Unit(benchmark::kMicrosecond);
    RegisterBenchmark(("BM_Run/" + e + "/extism").c_str(), [=](State& s) { RunHere(s, engine, "plugin.wasm", "/x"); })->Unit(benchmark::kMicrosecond);
  }
  for (size_t together : {1, 64}) {
    RegisterBenchmark(("BM_RunInWorker/together:" + std::to_string(together)).c_str(), [=](State& s) { RunThere(s, together); })->Unit(benchmark::kMicrosecond)->UseRealTime();
  }
  RegisterBenchmark("BM_SpawnInNewWorker", SpawnInNewWorker)->Unit(benchmark::kMicrosecond)->UseManualTime();
  struct Work {
    const char* function;
    uint64_t arg;
  };
  for (const Work& w : {Work{"nop", 0}, Work{"handle_request", 0}, Work{"fib", 27}, Work{"sha256", 10}, Work{"series", 100'000}}) {
    for (bool metered : {false, true}) {
      RegisterBenchmark((std::string("BM_Guest/") + w.function + (metered ? "/metered" : "/bare")).c_str(),
                        [=](State& s) { Kernel(s, "V8", metered, w.function, w.arg); })
          ->Unit(benchmark::kMicrosecond);
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
