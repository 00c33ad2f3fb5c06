#include "sim/sweep/minimize.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "sim/language/loader.h"
#include "sim/language/text.h"
#include "sim/run/exit_status.h"
#include "sim/run/result.h"
#include "sim/run/result_read.h"
#include "sim/run/runner_worker.h"
#include "sim/sweep/pretty_json.h"
#include "sim/sweep/reduce.h"
#include "sim/sweep/trial.h"

namespace orchard::sim {
namespace {

namespace fs = std::filesystem;

int Wrong(const std::string& text) {
  std::fprintf(stderr, "orchard minimize: %s\n", text.c_str());
  return kInputStatus;
}

// A folder of our own that goes when we do.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "orchard-minimize-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) dir_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    if (!dir_.empty()) fs::remove_all(dir_, ignored);
  }
  const std::string& dir() const { return dir_; }  // Empty: it could not be made.

 private:
  std::string dir_;
};

// What a scenario consists of, for a person: "5 hosts, 2 entries, 1 claim, 812 bytes".
struct Extent {
  int64_t hosts = 0;
  size_t entries = 0, claims = 0, bytes = 0;
};
Extent ExtentOf(const Json& scenario) {
  Extent out{.entries = ListIn(scenario, "timeline").size(), .claims = ListIn(scenario, "claims").size(), .bytes = scenario.Dump().size()};
  for (const Json& h : ListIn(scenario, "hosts")) out.hosts += h.Find("count") == nullptr ? 1 : int64_t(CountIn(h, "count"));
  return out;
}
std::string Plural(int64_t n, std::string_view one, std::string_view more) { return Cat(n, " ", n == 1 ? one : more); }
std::string ExtentText(const Extent& e) {
  return Cat(Plural(e.hosts, "host", "hosts"), ", ", Plural(int64_t(e.entries), "entry", "entries"), ", ", Plural(int64_t(e.claims), "claim", "claims"), ", ", e.bytes, " bytes");
}

struct Found {
  std::string of_case, claim;
  Ending ending;
};

// Runs the chosen cases once; the first claim that fails, in the file's order.
class FirstLook {
 public:
  std::optional<Found> Search(const MinimizeOptions& o, const Suite& suite, const std::vector<CaseWords>& cases, uint64_t seed, const std::string& dir,
                              size_t jobs_at_once, Screen& screen, const volatile std::sig_atomic_t* interrupted) {
    std::vector<Job> jobs;
    for (size_t i = 0; i < cases.size(); ++i) {
      WorkerCall call{.file = o.file, .typed = o.file, .seed = seed, .out = Cat(dir, "/first-", i), .set = o.set, .only_result = true};
      if (!WithoutCases(suite)) call.of_case = cases[i].name;
      jobs.push_back(WorkerJob(call));
    }
    JobHooks hooks;
    hooks.started = [](size_t) {};
    hooks.line = [](size_t, std::string_view) {};
    hooks.ended = [&](size_t, const JobEnd& end) {
      if (end.status != kHeldStatus && end.status != kFailedStatus) errors += end.errors, broken = true;
    };
    hooks.tick = [&] { screen.Progress({" looking for the claim that fails"}, Json::Object()); };
    RunJobs(jobs, jobs_at_once, hooks, interrupted);
    std::vector<Json> results;
    for (size_t i = 0; i < cases.size(); ++i) {
      std::optional<Json> j = ReadJsonFile(Cat(dir, "/first-", i, "/result.json"));
      if (!j) return std::nullopt;
      wall_ms = std::max(wall_ms, MicroIn(*j, "wall_seconds") / 1000);
      results.push_back(*std::move(j));
    }
    const std::vector<Json> figures = results;
    std::optional<Found> found;
    for (size_t i = 0; i < cases.size(); ++i) {
      JudgeOverCases(results[i], figures);
      for (const Json& c : ListIn(results[i], "claims")) {
        if (TextIn(c, "verdict") == "failed") failing.push_back(TextIn(c, "says"));
        if (found || TextIn(c, "verdict") != "failed" || (!o.claim.empty() && TextIn(c, "says") != o.claim)) continue;
        found = Found{cases[i].name, TextIn(c, "says"), EndingOf(c)};
      }
    }
    return found;
  }

  std::vector<std::string> failing;
  std::string errors;
  bool broken = false;
  int64_t wall_ms = 0;
};

}  // namespace

int RunMinimize(const MinimizeOptions& o, Screen& screen, const volatile std::sig_atomic_t* interrupted) {
  std::vector<LoadError> errors;
  Sources sources;
  std::optional<Suite> suite = LoadScenario(o.file, {.set = o.set}, errors, sources);
  if (!suite) return std::fputs(RenderErrors(errors, sources).c_str(), stderr), kInputStatus;
  std::vector<CaseWords> cases;
  std::string error;
  if (!ChooseCases(*suite, o.file, o.of_case.empty() ? std::vector<std::string>() : std::vector{o.of_case}, cases, error)) {
    return std::fprintf(stderr, "%s\n", error.c_str()), kInputStatus;
  }
  TakeJsCases(*suite, cases);
  if (cases.empty()) return Wrong(Cat(o.file, ": its hosts run the JavaScript peer, which only orchard sim --host netns has"));
  const uint64_t seed = o.seed.value_or(suite->seed);
  const std::string name = fs::path(o.file).stem().string();
  const Scratch scratch;
  if (scratch.dir().empty()) return std::fprintf(stderr, "orchard minimize: cannot make a folder in %s\n", fs::temp_directory_path().c_str()), kFaultStatus;
  const size_t jobs = o.jobs != 0 ? o.jobs : std::max(1u, std::thread::hardware_concurrency());
  screen.Say(Cat(PadRight(Cat(name, " · seed ", seed, " · minimize"), 66), "orchard ", kVersion, "\n"));

  FirstLook look;
  const std::optional<Found> found = look.Search(o, *suite, cases, seed, scratch.dir(), jobs, screen, interrupted);
  if (*interrupted) return screen.Last(" interrupted: nothing was found yet"), kFailedStatus;
  if (look.broken) return std::fprintf(stderr, "orchard minimize: a run ended without a result\n%s", look.errors.c_str()), kFaultStatus;
  if (!found) {
    const std::string where = Cat("at seed ", seed, o.of_case.empty() ? "" : Cat(" in case \"", o.of_case, "\""));
    if (o.claim.empty()) return Wrong(Cat("every claim holds ", where, ", so there is nothing to shrink (orchard sweep finds seeds that fail)"));
    const std::string near = NearestOf(o.claim, look.failing);
    return Wrong(Cat("the claim \"", o.claim, "\" does not fail ", where, look.failing.empty() ? "; none does" : Cat("; these do: ", ListText(look.failing, 6)),
                     near.empty() ? "" : Cat("; did you mean \"", near, "\"?")));
  }
  screen.Say(Cat(" shrinking what breaks \"", found->claim, "\"", found->of_case.empty() ? "" : Cat(" in case ", found->of_case), "\n"));

  Trial trial({.dir = scratch.dir(), .seed = seed, .of_case = found->of_case, .claim = found->claim, .wanted = found->ending, .runs_max = o.runs_max, .jobs = jobs,
               .wall_ms_max = std::max<int64_t>(10'000, look.wall_ms * 5), .interrupted = interrupted});
  // The chosen case as a file of its own, if its claim does not need the others.
  auto it = std::find_if(suite->cases.begin(), suite->cases.end(), [&](const CaseWords& c) { return c.name == found->of_case; });
  Json alone = CaseJson(*suite, *it), whole = suite->root;
  whole.Remove("include");
  Json seed_json = JsonNumber(seed);
  alone.At("seed") = seed_json, whole.At("seed") = seed_json;
  const Extent before = ExtentOf(alone);
  Json best = alone;
  trial.tell = [&] {
    Json data = Json::Object();
    const Extent e = ExtentOf(best);
    data.At("runs") = JsonNumber(trial.runs()), data.At("of") = JsonNumber(o.runs_max), data.At("hosts") = JsonNumber(uint64_t(e.hosts)), data.At("bytes") = JsonNumber(e.bytes);
    screen.Progress({Cat(" ", trial.runs(), " of at most ", o.runs_max, " runs   ", ExtentText(e), " (of ", before.bytes, ")")}, data);
  };
  const size_t start = trial.First({alone, whole});
  if (start == 2) {
    if (*interrupted) return screen.Last(" interrupted: nothing was found yet"), kFailedStatus;
    std::fprintf(stderr, "orchard minimize: the claim \"%s\" fails, but not as a file of its own; that is our fault\n", found->claim.c_str());
    return kFaultStatus;
  }
  if (start == 1) best = whole;
  if (!o.no_control) {
    std::optional<uint64_t> control;
    const uint64_t from = o.control.value_or(1), to = o.control.value_or(kControlsTried);
    for (uint64_t s = from; s <= to && !control && !trial.stopped(); ++s) {
      if (s == seed && !o.control) continue;
      const std::optional<Ending> there = trial.At(best, s, false);
      if (there && there->verdict == "held") control = s;
    }
    if (o.control && !control && !*interrupted) return Wrong(Cat("--control: the claim \"", found->claim, "\" does not hold at seed ", *o.control));
    if (control) trial.set_control(*control), screen.Say(Cat(" the claim holds at seed ", *control, ", and shall go on to\n"));
    else screen.Say(" no seed was found at which the claim holds: beware of a small world in which it could not\n");
  }
  best = Reduce(best, found->claim, [&](const std::vector<Json>& candidates) {
    const size_t i = trial.First(candidates);
    if (i < candidates.size()) best = candidates[i];
    return i;
  });
  best.At("says") = Json::Text(Cat("Smallest found that breaks \"", found->claim, "\" at seed ", seed, ", of ", name, ": ", suite->says));

  // Once more as its user will run it.
  const std::optional<Ending> ending = *interrupted ? std::optional(found->ending) : trial.At(best, seed, true);
  if (!ending || !(*ending == found->ending)) {
    std::fprintf(stderr, "orchard minimize: the smallest scenario does not repeat; that is our fault\n");
    return kFaultStatus;
  }
  const std::string out = o.out.empty() ? Cat(name, "-seed", seed, "-small.json") : o.out;
  const std::string origin = Cat("// From ", CommandText("minimize", o.file, seed, found->of_case, o.set), "\n");
  if (!ReplaceText(out, origin + PrettyJson(best))) return kFaultStatus;
  const Extent after = ExtentOf(best);
  const bool used_up = trial.runs() >= o.runs_max;
  const std::string of_case = best.Find("cases") != nullptr || best.Find("matrix") != nullptr ? found->of_case : "";
  screen.Say(Cat(" from  ", ExtentText(before), "\n to    ", ExtentText(after), "\n ", Plural(int64_t(trial.runs()), "run", "runs"), ", ", trial.refused(), " candidates refused without one",
                 trial.broken() > 0 ? Cat(", ", trial.broken(), " ended badly") : "", used_up ? "; the runs are used up, more may go: --runs N" : "", "\n"));
  screen.Last(Cat(" ", out, *interrupted ? " (interrupted: the smallest so far)" : "", "; comments are not kept · replay: ", CommandText("sim", out, seed, of_case, {})));
  Json data = Json::Object();
  data.At("file") = Json::Text(out), data.At("claim") = Json::Text(found->claim), data.At("seed") = seed_json, data.At("runs") = JsonNumber(trial.runs());
  data.At("bytes_before") = JsonNumber(before.bytes), data.At("bytes") = JsonNumber(after.bytes);
  data.At("hosts") = JsonNumber(uint64_t(after.hosts)), data.At("entries") = JsonNumber(after.entries), data.At("used_up") = JsonBool(used_up);
  screen.Tell("final", data);
  return kHeldStatus;
}

}  // namespace orchard::sim
