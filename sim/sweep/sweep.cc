#include "sim/sweep/sweep.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <thread>

#include "reports/report.h"
#include "sim/language/loader.h"
#include "sim/language/text.h"
#include "sim/run/exit_status.h"
#include "sim/run/result.h"
#include "sim/run/result_read.h"
#include "sim/run/runner_worker.h"
#include "sim/sweep/merge.h"
#include "sim/sweep/store.h"
#include "sim/sweep/sweep_text.h"

namespace orchard::sim {
namespace {

namespace fs = std::filesystem;

int Wrong(const std::string& text) {
  std::fprintf(stderr, "orchard sweep: %s\n", text.c_str());
  return kInputStatus;
}

// One of `plan.runs()`, by number.
struct Run {
  uint64_t seed;
  size_t of_case;
};
Run RunOf(const SweepPlan& plan, size_t number) { return {plan.seeds.first + number / plan.cases.size(), number % plan.cases.size()}; }

// What one rank has to do, and how far it is.
class Work {
 public:
  Work(const SweepOptions& options, const SweepPlan& plan, const SweepStore& store, Screen& screen)
      : options_(options), plan_(plan), store_(store), screen_(screen) {}

  void Execute(const volatile std::sig_atomic_t* interrupted) {
    std::vector<Job> jobs;
    for (size_t n = 0; n < plan_.runs(); ++n) {
      if (!options_.rank.takes(n)) continue;
      ++mine_;
      const Run run = RunOf(plan_, n);
      if (store_.Result(run.seed, run.of_case)) {
        ++kept_;
        continue;
      }
      store_.SetBroken(run.seed, run.of_case, "");
      runs_.push_back(run);
      const std::string& name = plan_.cases[run.of_case].name;
      WorkerCall call{.file = options_.file, .typed = options_.file, .seed = run.seed, .out = store_.RunDir(run.seed, run.of_case),
                      .replay = CommandText("sim", options_.file, run.seed, name, options_.set), .set = options_.set, .only_result = true};
      if (!plan_.whole()) call.of_case = name;
      jobs.push_back(WorkerJob(call));
    }
    if (kept_ > 0) screen_.Say(Cat(" ", kept_, " of ", mine_, " runs are there already\n"));
    JobHooks hooks;
    hooks.started = [](size_t) {};
    hooks.line = [](size_t, std::string_view) {};
    hooks.ended = [&](size_t i, const JobEnd& end) { Ended(runs_[i], end, *interrupted); };
    hooks.tick = [&] { Tell(); };
    const size_t cores = options_.rank.size > 1 ? 1 : std::max(1u, std::thread::hardware_concurrency());
    RunJobs(jobs, options_.jobs == 0 ? cores : options_.jobs, hooks, interrupted);
  }
  size_t mine() const { return mine_; }
  size_t kept() const { return kept_; }
  size_t done() const { return done_; }
  bool fault() const { return fault_; }  // A run ended without a result.

 private:
  void Ended(const Run& run, const JobEnd& end, bool interrupted) {
    const std::optional<Json> result = store_.Result(run.seed, run.of_case);
    if (!result && interrupted) return;  // It runs again when the sweep goes on.
    ++done_;
    const std::string& name = plan_.cases[run.of_case].name;
    if (!result) {
      std::string why = Cat("its process ended with status ", end.status);
      if (!end.errors.empty()) why += Cat(": ", end.errors.substr(0, end.errors.find_last_not_of('\n') + 1));
      store_.SetBroken(run.seed, run.of_case, why);
      fault_ = true;
    }
    const bool passed = result && TruthIn(*result, "passed");
    if (!passed) ++failed_;
    Json data = Json::Object();
    data.At("seed") = JsonNumber(run.seed);
    if (!name.empty()) data.At("case") = Json::Text(name);
    data.At("passed") = JsonBool(passed);
    if (!result) data.At("broken") = JsonBool(true);
    screen_.Tell("run", data);
  }

  void Tell() {
    const size_t whole = runs_.size();
    const int64_t wall = screen_.wall_ms();
    const std::string left = done_ == 0 || done_ == whole ? "" : Cat("   about ", ClockText(std::chrono::milliseconds(wall * int64_t(whole - done_) / int64_t(done_))), " left");
    const std::string rank = options_.rank.size > 1 ? Cat("rank ", options_.rank.rank, " of ", options_.rank.size, "  ") : "";
    Json data = Json::Object();
    data.At("runs") = JsonNumber(done_ + kept_), data.At("of") = JsonNumber(mine_), data.At("failed") = JsonNumber(failed_);
    screen_.Progress({Cat(" ", rank, done_ + kept_, " of ", mine_, " runs ", screen_.show() == Show::kTerminal ? Cat(Bar(int64_t(done_ + kept_), int64_t(mine_), 20), " ") : "",
                          "  ", failed_, " failing   ", ClockText(std::chrono::milliseconds(wall)), left)}, data);
  }

  const SweepOptions& options_;
  const SweepPlan& plan_;
  const SweepStore& store_;
  Screen& screen_;
  std::vector<Run> runs_;  // That are not there yet.
  size_t mine_ = 0, kept_ = 0, done_ = 0, failed_ = 0;
  bool fault_ = false;
};

// Writes the result and the page, and shows them. `again`: the command that goes on.
int Conclude(const SweepStore& store, Screen& screen, bool interrupted, const std::string& again) {
  const Json result = store.Merge(interrupted);
  const Json& sweep = *result.Find("sweep");
  bool fault = CountIn(sweep, "broken") > 0;
  if (!ReplaceText(store.dir() + "/result.json", result.Dump() + "\n")) return kFaultStatus;
  std::string report = store.dir() + "/report.html";
  if (absl::Status s = reports::WriteReport({store.dir()}, report); !s.ok()) {
    std::fprintf(stderr, "orchard sweep: the report could not be written: %s\n", std::string(s.message()).c_str());
    report.clear(), fault = true;
  }
  std::map<std::string, size_t> verdicts;
  for (const Json& c : ListIn(result, "claims")) ++verdicts[TextIn(c, "verdict")], screen.Tell("claim", c);
  const size_t total = ListIn(result, "claims").size();
  const bool passed = TruthIn(result, "passed");
  screen.Say(Cat(SweepTable(result, screen.colour()), FailingTable(result)));
  const std::string runs = Cat(CountIn(sweep, "ran"), " seeds", ListIn(sweep, "cases").empty() ? "" : Cat(" (", CountIn(sweep, "runs"), " runs)"), " in ",
                               Decimal(screen.wall_ms() * 1000, 1), " s");
  std::string last;
  if (interrupted || CountIn(sweep, "missing") > 0) {
    last = Cat(" ", interrupted ? "interrupted: " : "not whole: ", CountIn(sweep, "runs"), " of ", CountIn(sweep, "runs") + CountIn(sweep, "missing") + CountIn(sweep, "broken"),
               " runs are there, ", verdicts["held"], " of ", total, " claims hold so far", report.empty() ? "" : Cat(" · report ", report),
               again.empty() ? "" : Cat("\n go on with: ", again));
  } else if (passed) {
    last = Cat(" ", verdicts["held"], " of ", total, " claims held", verdicts["undecided"] > 0 ? Cat(", ", verdicts["undecided"], " undecided") : "", " · ", runs,
               report.empty() ? "" : Cat(" · report ", report));
  } else {
    const bool undecided = verdicts["failed"] == 0 && verdicts["undecided"] > 0 && TruthIn(sweep, "undecided_fails");
    last = Cat(" ", verdicts["failed"] > 0 ? Cat(verdicts["failed"], " of ", total, " claims failed")
                    : undecided            ? Cat(verdicts["undecided"], " of ", total, " claims undecided after all ", CountIn(sweep, "decides"), " seeds that the file asks for, which fails")
                                           : "no claim failed, but the sweep did: see the notes above",
               " · ", runs, report.empty() ? "" : Cat(" · report ", report));
    for (const Json& f : ListIn(sweep, "failing")) {
      last += Cat("\n replay: ", TextIn(f, "replay"), " --trace");
      if (!ListIn(f, "claims").empty()) last += Cat("\n shrink: orchard minimize", TextIn(f, "replay").substr(std::string_view("orchard sim").size()));
      break;
    }
  }
  screen.Last(last);
  Json final = result;
  final.Remove("metrics");
  final.At("dir") = Json::Text(store.dir()), final.At("report") = Json::Text(report);
  screen.Tell("final", final);
  return fault ? kFaultStatus : passed ? kHeldStatus : kFailedStatus;
}

std::string GoOn(const SweepOptions& o, const SweepPlan& plan, const std::string& dir) {
  std::string out = Cat("orchard sweep ", ShellWord(o.file), " --seeds ", plan.seeds.text(), " --out ", ShellWord(dir));
  for (const std::string& c : o.cases) out += Cat(" --case ", ShellWord(c));
  for (const std::string& s : o.set) out += Cat(" --set ", ShellWord(s));
  return out;
}

}  // namespace

int RunSweep(const SweepOptions& options, Screen& screen, const volatile std::sig_atomic_t* interrupted) {
  std::vector<LoadError> errors;
  Sources sources;
  std::optional<Suite> suite = LoadScenario(options.file, {.set = options.set}, errors, sources);
  if (!suite) {
    const bool json = screen.show() == Show::kJson;
    std::fputs((json ? RenderErrorsJson(errors, sources) : RenderErrors(errors, sources)).c_str(), json ? stdout : stderr);
    return kInputStatus;
  }
  std::vector<CaseWords> cases;
  std::string error;
  if (!ChooseCases(*suite, options.file, options.cases, cases, error)) return std::fprintf(stderr, "%s\n", error.c_str()), kInputStatus;
  const std::vector<std::string> skipped = TakeJsCases(*suite, cases);
  if (cases.empty()) return Wrong(Cat(options.file, ": its hosts run the JavaScript peer, which only orchard sim --host netns has"));

  SweepPlan plan{.scenario = options.file, .name = fs::path(options.file).stem().string(), .says = suite->says, .set = options.set, .program = ProgramDigest()};
  if (!options.seeds && !suite->sweep) return Wrong(Cat("which seeds? --seeds 1..20, for example (", options.file, " has no \"sweep\")"));
  plan.seeds = options.seeds ? *options.seeds : SeedRange{suite->sweep->first, suite->sweep->second};
  if (suite->sweep) plan.decides = suite->sweep->second - suite->sweep->first + 1;
  for (const CaseWords& c : cases) {
    std::optional<Scenario> built = BuildCase(*suite, c, errors);
    plan.cases.push_back({c.name, c.says, built ? built->config_digest : ""});
  }
  if (plan.runs() > kSweepRunsMax) return Wrong(Cat("found ", plan.seeds.count(), " seeds of ", plan.cases.size(), " cases; a sweep has at most ", kSweepRunsMax, " runs"));

  const std::string dir = options.out.empty() ? Cat("runs/", plan.name, "-sweep") : options.out;
  if (std::optional<Json> there = ReadJsonFile(dir + "/result.json"); there && there->Find("sweep") == nullptr) {
    return Wrong(Cat(dir, " is the directory of a run, not of a sweep; name another with --out"));
  }
  std::error_code failed;
  fs::create_directories(dir, failed);
  if (failed) {
    std::fprintf(stderr, "orchard sweep: cannot make the directory %s: %s\n", dir.c_str(), failed.message().c_str());
    return kFaultStatus;
  }
  if (!ReplaceText(dir + "/sweep.json", plan.ToJson().Dump() + "\n")) return kFaultStatus;
  const Rank& rank = options.rank;
  screen.Say(Cat(PadRight(Cat(plan.name, " · seeds ", plan.seeds.text(), plan.whole() ? "" : Cat(" · ", plan.cases.size(), " cases"), " · ns3",
                              rank.size > 1 ? Cat(" · rank ", rank.rank, " of ", rank.size, " (", rank.from, ")") : ""), 66), "orchard ", kVersion, "\n"));
  if (!skipped.empty()) screen.Say(Cat(" without what runs the JavaScript peer: ", ListText(skipped, 12), "\n"));

  SweepStore store(dir, plan);
  Work work(options, plan, store, screen);
  work.Execute(interrupted);
  if (rank.size > 1) {
    // Whoever sees all runs there was the last (or, within a moment, one of the last: they then write the same).
    size_t left = 0;
    for (size_t n = 0; n < plan.runs(); ++n) left += !store.settled(RunOf(plan, n).seed, RunOf(plan, n).of_case);
    if (left > 0) {
      // Others work on: a status that is not 0 would make a launcher end them. Whoever puts all together says what failed.
      screen.Last(Cat(" rank ", rank.rank, " of ", rank.size, ": ", work.kept() + work.done(), " of its ", work.mine(), " runs are there, ", left,
                      " of all are not yet; the last rank puts them together, or: orchard sweep --merge ", ShellWord(dir)));
      Json data = Json::Object();
      data.At("rank") = JsonNumber(rank.rank), data.At("ranks") = JsonNumber(rank.size), data.At("left") = JsonNumber(left), data.At("dir") = Json::Text(dir);
      screen.Tell("final", data);
      return *interrupted ? kFailedStatus : kHeldStatus;
    }
  }
  const int status = Conclude(store, screen, *interrupted && work.kept() + work.done() < work.mine(), GoOn(options, plan, dir));
  return work.fault() ? kFaultStatus : status;
}

int MergeSweep(const std::string& dir, Screen& screen) {
  std::string error;
  const std::optional<SweepPlan> plan = ReadSweepPlan(dir, error);
  if (!plan) return Wrong(error);
  return Conclude(SweepStore(dir, *plan), screen, false, "");
}

}  // namespace orchard::sim
