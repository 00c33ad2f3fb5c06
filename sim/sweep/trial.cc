#include "sim/sweep/trial.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>

#include "node/base/digest.h"
#include "sim/language/text.h"
#include "sim/run/exit_status.h"
#include "sim/run/result.h"
#include "sim/run/result_read.h"
#include "sim/run/runner_worker.h"
#include "sim/sweep/pretty_json.h"

namespace orchard::sim {
namespace {

namespace fs = std::filesystem;

std::string DigestOf(const Json& scenario) {
  Digest d;
  d.Add(AsBytes(scenario.Dump()));
  return d.hex();
}

}  // namespace

Ending EndingOf(const Json& claim) {
  Ending out{.verdict = TextIn(claim, "verdict"), .sampled = CountIn(claim, "n") > 0};
  for (const Json& b : ListIn(claim, "bounds")) {
    if (TruthIn(b, "held")) continue;
    const Json* observed = b.Find("observed");
    out.bounds.push_back(Cat(TextIn(b, "stat"), " ", TextIn(b, "is"), observed != nullptr && observed->is_number() ? "" : " without a sample"));
  }
  std::sort(out.bounds.begin(), out.bounds.end());
  out.bounds.erase(std::unique(out.bounds.begin(), out.bounds.end()), out.bounds.end());  // Parts of `each` fail alike.
  return out;
}

const Json* ClaimSaying(const Json& result, const std::string& says) {
  for (const Json& c : ListIn(result, "claims")) {
    if (TextIn(c, "says") == says) return &c;
  }
  return nullptr;
}

// Writes it down and finds out which cases it needs; nothing if the language refuses it, which costs no run.
std::optional<Trial::Candidate> Trial::Prepare(const Json& scenario, size_t index, std::string digest) {
  const std::string base = Cat(setup_.dir, "/", made_++), file = base + ".json";
  std::vector<LoadError> errors;
  Sources sources;
  const std::string text = PrettyJson(scenario);
  std::optional<Suite> suite = LoadScenarioFromText(text, file, {}, errors, sources);
  if (!suite) return ++refused_, std::nullopt;
  Candidate out{.index = index, .digest = std::move(digest)};
  if (WithoutCases(*suite)) {
    out.cases.emplace_back();
  } else {
    std::vector<CaseWords> chosen;
    std::string error;
    if (!ChooseCases(*suite, file, {setup_.of_case}, chosen, error)) return ++refused_, std::nullopt;
    for (const CaseWords& c : chosen) out.cases.push_back(c.name);
  }
  for (size_t i = 0; i < out.cases.size(); ++i) out.dirs.push_back(Cat(base, "-", i));
  if (!WriteText(file, text)) return std::nullopt;
  return out;
}

void Trial::RunAll(const std::vector<Candidate>& batch, uint64_t seed, bool to_the_end) {
  std::vector<Job> jobs;
  for (const Candidate& c : batch) {
    const std::string file = Cat(c.dirs[0].substr(0, c.dirs[0].rfind('-')), ".json");
    for (size_t i = 0; i < c.cases.size(); ++i) {
      std::error_code ignored;
      fs::remove_all(c.dirs[i], ignored);  // The control runs where the candidate did.
      WorkerCall call{.file = file, .typed = file, .seed = seed, .out = c.dirs[i], .until = to_the_end ? "" : setup_.claim, .only_result = true};
      if (!c.cases[i].empty()) call.of_case = c.cases[i];
      jobs.push_back(WorkerJob(call));
    }
  }
  volatile std::sig_atomic_t stop = 0;
  using Clock = std::chrono::steady_clock;
  std::map<size_t, Clock::time_point> running;
  JobHooks hooks;
  hooks.started = [&](size_t i) { ++runs_, running[i] = Clock::now(); };
  hooks.line = [](size_t, std::string_view) {};
  hooks.ended = [&](size_t i, const JobEnd& end) {
    running.erase(i);
    broken_ += end.status != kHeldStatus && end.status != kFailedStatus && !stop;
  };
  hooks.tick = [&] {
    const Clock::time_point now = Clock::now();
    for (const auto& [i, since] : running) {
      if (now - since > std::chrono::milliseconds(setup_.wall_ms_max)) stop = 1;  // It is slower than what it came from: no good.
    }
    if (*setup_.interrupted) stop = 1;
  };
  RunJobs(jobs, setup_.jobs, hooks, &stop);
}

std::optional<Ending> Trial::Judge(const Candidate& c) {
  std::vector<Json> results;
  for (const std::string& dir : c.dirs) {
    std::optional<Json> j = ReadJsonFile(dir + "/result.json");
    if (!j || TruthIn(*j, "interrupted")) return std::nullopt;
    results.push_back(*std::move(j));
  }
  const std::vector<Json> figures = results;
  JudgeOverCases(results[0], figures);  // The first is the one that was asked for.
  const Json* claim = ClaimSaying(results[0], setup_.claim);
  return claim == nullptr ? std::nullopt : std::optional(EndingOf(*claim));
}

size_t Trial::First(const std::vector<Json>& candidates) {
  for (size_t next = 0; next < candidates.size() && !stopped();) {
    std::vector<Candidate> batch;
    size_t processes = 0;
    for (; next < candidates.size() && processes < setup_.jobs; ++next) {
      const auto [digest, fresh] = known_.insert(DigestOf(candidates[next]));
      if (!fresh) continue;
      std::optional<Candidate> c = Prepare(candidates[next], next, *digest);
      if (!c) continue;
      processes += c->cases.size();
      batch.push_back(*std::move(c));
    }
    if (tell) tell();
    RunAll(batch, setup_.seed, false);
    std::optional<size_t> found;
    for (const Candidate& c : batch) {
      const std::optional<Ending> ending = Judge(c);
      bool good = ending && *ending == setup_.wanted;
      if (good && found) known_.erase(c.digest);  // Nobody has asked the control.
      if (good && !found && setup_.control) {
        RunAll({c}, *setup_.control, false);
        const std::optional<Ending> held = Judge(c);
        good = held && held->verdict == "held";
      }
      if (good && !found) found = c.index;
      Forget(c);
    }
    if (found) return *found;
  }
  return candidates.size();
}

void Trial::Forget(const Candidate& c) {
  std::error_code ignored;
  for (const std::string& dir : c.dirs) fs::remove_all(dir, ignored);
  fs::remove(Cat(c.dirs[0].substr(0, c.dirs[0].rfind('-')), ".json"), ignored);
}

std::optional<Ending> Trial::At(const Json& scenario, uint64_t seed, bool to_the_end) {
  const std::optional<Candidate> c = Prepare(scenario, 0, "");
  if (!c) return std::nullopt;
  RunAll({*c}, seed, to_the_end);
  const std::optional<Ending> ending = Judge(*c);
  Forget(*c);
  return ending;
}

}  // namespace orchard::sim
