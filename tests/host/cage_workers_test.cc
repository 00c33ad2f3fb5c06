#include "node/host/cage_workers.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "node/host/real_host.h"
#include "node/cage/files.h"
#include "node/wasm/cage_host.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_dir.h"

namespace orchard::host {
namespace {

using namespace std::chrono_literals;
using cage::Cause;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// Asks as a node does, and waits for answers.
struct Node {
  CageWorkers workers;
  uint32_t next = 1;
  std::map<uint32_t, CageWorkers::Result> done;
  std::vector<uint32_t> order;
  cage::Limits limits{.memory_bytes = 16 << 20, .timeout_ms = 10'000};  // By the clock: also an interpreter under a sanitizer on a busy machine is in time.

  explicit Node(CageWorkers::Options options = {}) : workers(std::move(options)) {}

  uint32_t Submit(JobKind kind, const std::string& args) {
    workers.Submit(JobId{next}, kind, args);
    return next++;
  }
  void Pump(Duration wait) {
    workers.Flush();
    pollfd p{workers.fd(), POLLIN, 0};
    poll(&p, 1, int(ToMillis(wait)));
    for (CageWorkers::Result& r : workers.Take()) {
      order.push_back(uint32_t(r.job));
      EXPECT_FALSE(done.contains(uint32_t(r.job))) << "a job that ended twice";
      done[uint32_t(r.job)] = std::move(r);
    }
  }
  CageWorkers::Result Wait(uint32_t job) {
    const Instant end = BootNow() + 20s;
    while (!done.contains(job)) {
      if (BootNow() > end) {
        ADD_FAILURE() << "job " << job << " did not end";
        return {};
      }
      Pump(50ms);
    }
    return done[job];
  }
  cage::LoadResult Load(const std::string& name) {
    const CageWorkers::Result r = Wait(Submit(JobKind::kCageLoad, cage::Encode(cage::LoadArgs{name, "", limits})));
    EXPECT_EQ(r.status, absl::StatusCode::kOk) << r.bytes;
    return cage::Decode<cage::LoadResult>(AsBytes(r.bytes)).value_or(cage::LoadResult{});
  }
  void Spawn(uint32_t cage, const Key32& module) {
    const CageWorkers::Result r = Wait(Submit(JobKind::kCageSpawn, cage::Encode(cage::SpawnArgs{cage, module, limits})));
    EXPECT_EQ(r.status, absl::StatusCode::kOk) << r.bytes;
  }
  uint32_t Watch(uint32_t cage) { return Submit(JobKind::kCageWatch, cage::Encode(cage::WatchArgs{cage})); }
  uint32_t Run(uint32_t cage, const std::string& target) {
    cage::RunArgs args{.cage = cage, .unix_us = 0, .seed = {}, .request = {}};
    args.request = {.method = "GET", .target = target, .authority = "a", .scheme = "http", .remote = "10.0.0.1:1", .headers = {}, .body = ""};
    return Submit(JobKind::kCageRun, cage::Encode(args));
  }
  cage::RunResult Result(uint32_t job) {
    const CageWorkers::Result r = Wait(job);
    EXPECT_EQ(r.status, absl::StatusCode::kOk) << r.bytes;
    auto result = cage::Decode<cage::RunResult>(AsBytes(r.bytes));
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(cage::RunResult{});
  }
  cage::Death DeathOf(uint32_t watch) { return cage::Decode<cage::Death>(AsBytes(Wait(watch).bytes)).value_or(cage::Death{}); }
};

TEST(CageWorkersTest, AModuleIsLoadedSpawnedAndRunInAnotherProcess) {
  Node n;
  const cage::LoadResult loaded = n.Load("example:hello.wasm");
  EXPECT_GT(loaded.bytes, 500u);
  EXPECT_GT(loaded.metered_bytes, loaded.bytes);
  EXPECT_THAT(n.workers.pids(), SizeIs(0));  // None before a cage wants one.
  n.Spawn(1, loaded.module);
  EXPECT_THAT(n.workers.pids(), SizeIs(1));
  EXPECT_EQ(n.Result(n.Run(1, "/health")).answer, "Content-Type: text/plain\n\nok\n");
  n.Spawn(2, loaded.module);
  EXPECT_THAT(n.workers.pids(), SizeIs(2));  // Replicas do not share a process.
}

TEST(CageWorkersTest, AnswersAreThoseOfTheSimulator) {
  Node n;
  wasm::CageHost here(wasm::MakeInterpreter());
  const cage::LoadResult loaded = n.Load("example:compute.wasm");
  ASSERT_EQ(here.Load({.name = "example:compute.wasm", .bytes = "", .limits = n.limits})->module, loaded.module);
  ASSERT_TRUE(here.Spawn({.cage = 1, .module = loaded.module, .limits = n.limits}).ok());
  n.Spawn(1, loaded.module);
  for (const char* target : {"/fib", "/series"}) {
    cage::RunArgs args{.cage = 1, .unix_us = 0, .seed = {}, .request = {}};
    args.request = {.method = "GET", .target = target, .authority = "a", .scheme = "http", .remote = "10.0.0.1:1", .headers = {}, .body = ""};
    EXPECT_EQ(cage::Encode(n.Result(n.Run(1, target))), cage::Encode(here.Run(args))) << target;
  }
}

TEST(CageWorkersTest, AThousandRunsInFlightAreAnsweredInTheirOrder) {
  Node n;
  const Key32 module = n.Load("example:hello.wasm").module;
  n.Spawn(1, module), n.Spawn(2, module);
  const uint32_t count = kSanitized ? 200 : 1000;  // It would take longer for more than they are waited for.
  std::vector<uint32_t> jobs;
  for (uint32_t i = 0; i < count; ++i) jobs.push_back(n.Run(1 + i % 2, "/api/x"));
  for (uint32_t i = 0; i < count; ++i) {
    EXPECT_THAT(n.Result(jobs[i]).answer, HasSubstr("\"visits\":" + std::to_string(i / 2 + 1) + "}"));
  }
}

TEST(CageWorkersTest, AnAnswerDoesNotWaitForTheRunBehindIt) {
  Node n;
  n.limits.timeout_ms = 2000;
  const Key32 module = n.Load("example:misbehave.wasm").module;
  n.Spawn(1, module), n.Spawn(2, module), n.Spawn(3, module);  // 1 and 3 are in the first.
  const uint32_t quick = n.Run(3, "/"), looping = n.Run(1, "/loop");
  EXPECT_EQ(n.Result(quick).cause, Cause::kNone);
  EXPECT_FALSE(n.done.contains(looping));
  EXPECT_EQ(n.Result(looping).cause, Cause::kTimeout);
}

// What a process has computed, in hundredths of a second. proc(5).
uint64_t CpuTicks(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::stringstream words(text.substr(text.rfind(')') + 1));
  std::string word;
  uint64_t user = 0, system = 0;
  for (int i = 0; i < 11; ++i) words >> word;
  words >> user >> system;
  return user + system;
}

TEST(CageWorkersTest, AProcessThatIsKilledTakesItsCagesAndIsReplaced) {
  Node n;
  const Key32 module = n.Load("example:misbehave.wasm").module;
  n.Spawn(1, module), n.Spawn(2, module), n.Spawn(3, module);  // 1 and 3 are in the first.
  const uint32_t watch1 = n.Watch(1), watch2 = n.Watch(2), watch3 = n.Watch(3);
  const std::vector<pid_t> before = n.workers.pids();
  ASSERT_THAT(before, SizeIs(2));
  const uint64_t idle = CpuTicks(before[0]);
  const uint32_t looping = n.Run(1, "/loop"), behind = n.Run(3, "/"), beside = n.Run(2, "/");
  EXPECT_EQ(n.Result(beside).cause, Cause::kNone);
  for (int i = 0; i < 500 && CpuTicks(before[0]) < idle + 2; ++i) n.Pump(10ms);  // It has begun, however busy the machine is.
  kill(before[0], SIGKILL);
  const cage::RunResult cut = n.Result(looping);
  EXPECT_EQ(cut.cause, Cause::kEngine);
  EXPECT_EQ(cut.detail, "its process died");
  EXPECT_EQ(n.Wait(behind).status, absl::StatusCode::kAborted);  // Not begun: it may be done elsewhere.
  EXPECT_EQ(n.DeathOf(watch1).cause, Cause::kEngine);
  EXPECT_EQ(n.DeathOf(watch3).cause, Cause::kEngine);
  EXPECT_FALSE(n.done.contains(watch2));
  EXPECT_THAT(n.workers.pids(), SizeIs(2));  // At once.
  EXPECT_EQ(n.workers.counters().started, 4u);  // The loader, two, and the new one.
  EXPECT_EQ(n.Wait(n.Run(1, "/")).status, absl::StatusCode::kNotFound);
  n.Spawn(4, module);
  EXPECT_EQ(n.Result(n.Run(4, "/")).cause, Cause::kNone);
  EXPECT_EQ(n.Result(n.Run(2, "/")).cause, Cause::kNone);
}

TEST(CageWorkersTest, AGuestThatLoopsIsEndedAndItsNeighboursLive) {
  if (wasm::MakeV8() == nullptr) GTEST_SKIP() << "built without V8";
  Node n;
  n.limits.timeout_ms = 200;
  const Key32 module = n.Load("example:misbehave.wasm").module;
  n.Spawn(1, module), n.Spawn(2, module), n.Spawn(3, module);
  const std::vector<pid_t> before = n.workers.pids();
  const uint32_t watch = n.Watch(1);
  const uint32_t looping = n.Run(1, "/loop"), behind = n.Run(3, "/"), again = n.Run(1, "/");
  const cage::RunResult r = n.Result(looping);
  EXPECT_EQ(r.cause, Cause::kTimeout) << r.detail;
  EXPECT_EQ(n.Result(behind).cause, Cause::kNone);
  EXPECT_EQ(n.Wait(again).status, absl::StatusCode::kAborted);
  EXPECT_EQ(n.DeathOf(watch).cause, Cause::kTimeout);
  EXPECT_LT(std::find(n.order.begin(), n.order.end(), looping), std::find(n.order.begin(), n.order.end(), watch));
  EXPECT_EQ(n.workers.pids(), before);
}

TEST(CageWorkersTest, AWorkerThatCannotEndARunIsKilledInTheEnd) {
  // An interpreter cannot be stopped, and burns the fuel of 20 seconds for minutes.
  Node n({.program = "", .keep = "", .processes = 2, .interpreter = true, .grace = 200ms});
  n.limits.timeout_ms = 2000;
  const Key32 module = n.Load("example:misbehave.wasm").module;
  n.limits.timeout_ms = 300;  // 1.2 billion units: half a minute.
  n.Spawn(1, module), n.Spawn(2, module), n.Spawn(3, module);
  const uint32_t watch1 = n.Watch(1), watch3 = n.Watch(3);
  const Instant begin = BootNow();
  const cage::RunResult r = n.Result(n.Run(1, "/loop"));
  EXPECT_EQ(r.cause, Cause::kTimeout);
  EXPECT_GT(BootNow() - begin, 400ms);
  EXPECT_EQ(n.DeathOf(watch1).cause, Cause::kTimeout);
  EXPECT_EQ(n.DeathOf(watch3).cause, Cause::kEngine);
  EXPECT_EQ(n.workers.counters().killed, 1u);
  EXPECT_EQ(n.Result(n.Run(2, "/")).cause, Cause::kNone);
}

TEST(CageWorkersTest, AGuestThatHogsMemoryHurtsNobody) {
  Node n;
  const Key32 module = n.Load("example:misbehave.wasm").module;
  n.Spawn(1, module), n.Spawn(3, module);
  n.Spawn(2, n.Load("example:hello.wasm").module), n.Spawn(4, n.Load("example:hello.wasm").module);
  for (uint32_t i = 0; i < 20; ++i) {
    const uint32_t hog = n.Run(i == 0 ? 1 : 9 + i, "/hog"), a = n.Run(2, "/health"), b = n.Run(4, "/health");
    const cage::RunResult r = n.Result(hog);
    EXPECT_EQ(r.cause, Cause::kMemory);
    EXPECT_LE(r.memory_bytes, 16u << 20);
    EXPECT_EQ(n.Result(a).cause, Cause::kNone);
    EXPECT_EQ(n.Result(b).cause, Cause::kNone);
    n.Spawn(10 + i, module);
  }
  EXPECT_EQ(n.workers.counters().died, 0u);
}

TEST(CageWorkersTest, AStoppedCageEndsItsRunsAndItsWatch) {
  Node n;
  const Key32 module = n.Load("example:misbehave.wasm").module;
  n.Spawn(1, module);
  const uint32_t watch = n.Watch(1), looping = n.Run(1, "/loop");
  n.Pump(5ms);
  n.Submit(JobKind::kCageStop, cage::Encode(cage::StopArgs{1}));
  EXPECT_EQ(n.Result(looping).cause, Cause::kEngine);
  EXPECT_EQ(n.DeathOf(watch).detail, "it was stopped");
  EXPECT_EQ(n.Wait(n.Run(1, "/")).status, absl::StatusCode::kNotFound);
  EXPECT_EQ(n.DeathOf(n.Watch(1)).detail, "there is no cage 1");
}

TEST(CageWorkersTest, AModuleThatIsNoneSaysWhy) {
  Node n;
  const auto load = [&](const std::string& name, const std::string& bytes) {
    return n.Wait(n.Submit(JobKind::kCageLoad, cage::Encode(cage::LoadArgs{name, bytes, n.limits})));
  };
  EXPECT_EQ(load("", "nonsense").status, absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(load("", "nonsense").bytes, HasSubstr("magic"));
  EXPECT_EQ(load("example:none.wasm", "").status, absl::StatusCode::kNotFound);
  EXPECT_EQ(load("", "").status, absl::StatusCode::kNotFound);
  EXPECT_THAT(load("example:giant.wasm", "").bytes, HasSubstr("4096 MiB"));
  const CageWorkers::Result r = n.Wait(n.Submit(JobKind::kCageSpawn, cage::Encode(cage::SpawnArgs{1, Key32{}, n.limits})));
  EXPECT_EQ(r.status, absl::StatusCode::kNotFound);
}

TEST(CageWorkersTest, MeteredModulesAreKeptUnderTheirHash) {
  TempDir dir;
  Key32 module;
  {
    Node n({.program = "", .keep = dir.path(), .processes = 2, .interpreter = false, .grace = 2s});
    module = n.Load("example:hello.wasm").module;
  }
  Node n({.program = "", .keep = dir.path(), .processes = 2, .interpreter = false, .grace = 2s});
  EXPECT_EQ(n.Load(ToHex(module)).module, module);  // By the hash alone.
  n.Spawn(1, module);
  EXPECT_EQ(n.Result(n.Run(1, "/health")).cause, Cause::kNone);
  // A file that is torn is none.
  for (const auto& file : std::filesystem::directory_iterator(dir.path())) std::filesystem::resize_file(file.path(), 700);
  Node torn({.program = "", .keep = dir.path(), .processes = 2, .interpreter = false, .grace = 2s});
  EXPECT_EQ(torn.Wait(torn.Submit(JobKind::kCageLoad, cage::Encode(cage::LoadArgs{ToHex(module), "", n.limits}))).status, absl::StatusCode::kNotFound);
  EXPECT_EQ(torn.Load("example:hello.wasm").module, module);
}

TEST(CageWorkersTest, FilesAreReadAtTheLoadAndSentToTheProcessesThatNeedThem) {
  TempDir dir;
  const auto put = [&](const std::string& text) { std::ofstream(dir / "index.html") << text; };
  Node n({.program = "", .keep = "", .processes = 1, .interpreter = false, .grace = 2s});
  const auto load = [&] {
    const CageWorkers::Result r = n.Wait(n.Submit(JobKind::kCageLoad, cage::Encode(cage::LoadArgs{"example:files.wasm", "", n.limits, dir.path()})));
    EXPECT_EQ(r.status, absl::StatusCode::kOk) << r.bytes;
    return cage::Decode<cage::LoadResult>(AsBytes(r.bytes)).value_or(cage::LoadResult{});
  };
  const auto spawn = [&](uint32_t cage, const cage::LoadResult& of) {
    return n.Wait(n.Submit(JobKind::kCageSpawn, cage::Encode(cage::SpawnArgs{cage, of.module, n.limits, of.files})));
  };
  put("first");
  const cage::LoadResult first = load();
  put("second");
  const cage::LoadResult second = load();
  EXPECT_EQ(first.module, second.module);
  EXPECT_NE(first.files, second.files);
  std::filesystem::remove(dir / "index.html");
  EXPECT_EQ(spawn(1, first).status, absl::StatusCode::kOk);
  EXPECT_EQ(spawn(2, second).status, absl::StatusCode::kOk);
  EXPECT_EQ(spawn(3, {.module = first.module}).status, absl::StatusCode::kOk);
  EXPECT_THAT(n.Result(n.Run(1, "/")).answer, testing::EndsWith("\n\nfirst"));
  EXPECT_THAT(n.Result(n.Run(2, "/")).answer, testing::EndsWith("\n\nsecond"));
  EXPECT_THAT(n.Result(n.Run(3, "/")).answer, testing::StartsWith("Status: 404"));
  // The process lets go of what no cage of it has, when others come; and gets it again.
  n.Wait(n.Submit(JobKind::kCageStop, cage::Encode(cage::StopArgs{1})));
  put("third");
  EXPECT_EQ(spawn(4, load()).status, absl::StatusCode::kOk);
  EXPECT_EQ(spawn(5, first).status, absl::StatusCode::kOk);
  for (const auto& [cage, text] : {std::pair{2u, "second"}, {4u, "third"}, {5u, "first"}}) EXPECT_THAT(n.Result(n.Run(cage, "/")).answer, testing::EndsWith(text));
  // Another process has them too.
  const uint32_t watch = n.Watch(2);
  ASSERT_EQ(kill(n.workers.pids()[0], SIGKILL), 0);
  n.DeathOf(watch);
  EXPECT_EQ(spawn(6, second).status, absl::StatusCode::kOk);
  EXPECT_THAT(n.Result(n.Run(6, "/")).answer, testing::EndsWith("second"));
  const CageWorkers::Result none = spawn(7, {.module = first.module, .files = Key32{1}});
  EXPECT_EQ(none.bytes, "its files were not loaded, or let go");
  const CageWorkers::Result gone = n.Wait(n.Submit(JobKind::kCageLoad, cage::Encode(cage::LoadArgs{"example:files.wasm", "", n.limits, dir / "gone"})));
  EXPECT_EQ(gone.status, absl::StatusCode::kNotFound);
  EXPECT_THAT(gone.bytes, HasSubstr("cannot read the directory of files"));
}

TEST(CageWorkersTest, FilesThatNoCageHasAreLetGoWhenThereAreTooMany) {
  Node n({.program = "", .keep = "", .processes = 1, .interpreter = false, .grace = 2s});
  std::vector<cage::LoadResult> loaded;
  const auto load = [&](char letter) {
    const std::string files = cage::EncodeFiles({{"index.html", std::string(cage::kFilesBytesMax, letter)}});
    const CageWorkers::Result r = n.Wait(n.Submit(JobKind::kCageLoad, cage::Encode(cage::LoadArgs{"example:files.wasm", "", n.limits, "", files})));
    EXPECT_EQ(r.status, absl::StatusCode::kOk) << r.bytes;
    loaded.push_back(cage::Decode<cage::LoadResult>(AsBytes(r.bytes)).value_or(cage::LoadResult{}));
  };
  const auto spawn = [&](uint32_t cage, size_t i) {
    return n.Wait(n.Submit(JobKind::kCageSpawn, cage::Encode(cage::SpawnArgs{cage, loaded[i].module, n.limits, loaded[i].files}))).status;
  };
  load('a');
  EXPECT_EQ(spawn(1, 0), absl::StatusCode::kOk);
  for (char letter = 'b'; letter < 'b' + 7; ++letter) load(letter);  // Eight times 64 MiB, and a few bytes.
  EXPECT_EQ(spawn(2, 1), absl::StatusCode::kNotFound);  // The longest unused of which there is no cage.
  EXPECT_EQ(spawn(3, 7), absl::StatusCode::kOk);
  EXPECT_EQ(spawn(4, 0), absl::StatusCode::kOk);
}

TEST(CageWorkersTest, NonsenseOnTheChannelIsADeath) {
  // /bin/echo closes its end without a word, and so does what is no program.
  for (const char* program : {"/bin/echo", "/nowhere/at/all"}) {
    Node n({.program = program, .keep = "", .processes = 2, .interpreter = false, .grace = 2s});
    const CageWorkers::Result r = n.Wait(n.Submit(JobKind::kCageLoad, cage::Encode(cage::LoadArgs{"example:hello.wasm", "", n.limits})));
    EXPECT_NE(r.status, absl::StatusCode::kOk) << program;
  }
  // This one writes what is no frame.
  TempDir dir;
  const std::string liar = dir.path() + "/liar";
  std::ofstream(liar) << "#!/bin/sh\nhead -c 100 /dev/zero | tr '\\0' '\\377' >&3\nexec sleep 10\n";
  std::filesystem::permissions(liar, std::filesystem::perms::owner_all);
  Node n({.program = liar, .keep = "", .processes = 2, .interpreter = false, .grace = 2s});
  const CageWorkers::Result r = n.Wait(n.Submit(JobKind::kCageLoad, cage::Encode(cage::LoadArgs{"example:hello.wasm", "", n.limits})));
  EXPECT_EQ(r.status, absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(n.workers.counters().nonsense, 1u);
}

TEST(CageWorkersTest, ModulesAreKeptOnlyWhereNobodyElseWrites) {
  TempDir dir;
  std::filesystem::permissions(dir.path(), std::filesystem::perms::all);
  Node n({.program = "", .keep = dir.path()});
  n.Load("example:hello.wasm");
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

// A node that has one site with one cage, and asks it once.
struct Asker final : Machine {
  std::string answer;
  void Handle(Turn& t, const Input& input) override {
    const cage::Limits limits;
    if (std::holds_alternative<Start>(input)) {
      t.out.Run(JobId{1}, JobKind::kCageLoad, AsBytes(cage::Encode(cage::LoadArgs{"example:hello.wasm", "", limits})));
    }
    const auto* done = std::get_if<JobDone>(&input);
    if (done == nullptr) return;
    if (done->job == JobId{1}) {
      const auto loaded = cage::Decode<cage::LoadResult>(done->result);
      if (loaded.ok()) t.out.Run(JobId{2}, JobKind::kCageSpawn, AsBytes(cage::Encode(cage::SpawnArgs{1, loaded->module, limits})));
    } else if (done->job == JobId{2}) {
      cage::RunArgs args{.cage = 1, .unix_us = 0, .seed = {}, .request = {}};
      args.request.method = "GET", args.request.target = "/health";
      t.out.Run(JobId{3}, JobKind::kCageRun, AsBytes(cage::Encode(args)));
    } else if (const auto result = cage::Decode<cage::RunResult>(done->result); result.ok()) {
      answer = result->answer;
    }
  }
  Instant next_deadline() const override { return kNever; }
};

TEST(CageWorkersTest, TheDaemonsHostServesTheJobs) {
  TempDir dir;
  auto store = RocksStore::Open(dir.path() + "/store");
  ASSERT_TRUE(store.ok()) << store.status();
  auto machine = std::make_unique<Asker>();
  Asker& asker = *machine;
  RealHost host(std::move(machine), Rng(OsEntropy()), *std::move(store), nullptr);
  host.set_cage_options({.program = "", .keep = dir.path() + "/cages"});
  ASSERT_TRUE(host.Begin().ok());
  const Instant end = BootNow() + 20s;
  while (asker.answer.empty() && BootNow() < end) ASSERT_TRUE(host.RunOnce(100ms).ok());
  EXPECT_EQ(asker.answer, "Content-Type: text/plain\n\nok\n");
  EXPECT_FALSE(std::filesystem::is_empty(dir.path() + "/cages"));
}

}  // namespace
}  // namespace orchard::host
