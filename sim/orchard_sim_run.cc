// orchard-sim sim: plans the processes (each case once, --check again, --prove with each change), shows what they say, and
// puts their results together.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <thread>

#include "reports/report.h"
#include "reports/run_directory.h"
#include "sim/language/loader.h"
#include "sim/orchard_sim.h"
#include "sim/orchard_sim_netns.h"
#include "sim/run/progress.h"
#include "sim/run/result.h"
#include "sim/run/result_compare.h"
#include "sim/run/result_junit.h"
#include "sim/run/runner_case.h"
#include "sim/run/runner_jobs.h"
#include "sim/run/runner_worker.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

namespace fs = std::filesystem;

std::string ReadAll(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

std::optional<Json> ReadJson(const std::string& file) {
  JsonError error;
  return ParseJson(ReadAll(file), 0, error);
}

std::string TextOf(const Json& j, std::string_view key) {
  const Json* v = j.Find(key);
  return v == nullptr || !v->is_text() ? "" : v->text;
}

bool Passed(const Json& result) {
  const Json* p = result.Find("passed");
  return p != nullptr && p->truth;
}

std::string VerdictOf(const Json& result, const std::string& claim) {
  const Json* claims = result.Find("claims");
  if (claims == nullptr) return "";
  for (const Json& c : claims->items) {
    if (TextOf(c, "says") == claim) return TextOf(c, "verdict");
  }
  return "";
}

std::string ObservedOf(const Json& result, const std::string& claim) {
  const Json* claims = result.Find("claims");
  for (size_t i = 0; claims != nullptr && i < claims->items.size(); ++i) {
    if (TextOf(claims->items[i], "says") == claim) return TextOf(claims->items[i], "observed");
  }
  return "";
}

enum class Purpose : uint8_t { kMain, kCheck, kProof, kKernel };  // kKernel: the other lab of --compare.
struct Task {
  Purpose purpose = Purpose::kMain;
  size_t of = 0;           // Case, as chosen.
  size_t proof = 0;        // Of fails_when.
  std::string dir, label;
  JobEnd end;
  bool ran = false;
};

// One scenario file on its way through.
class SimRun {
 public:
  SimRun(const Typed& typed, std::string file, Suite suite, Screen& screen)
      : typed_(typed), file_(std::move(file)), suite_(std::move(suite)), screen_(screen) {}

  int Run(std::vector<JunitSuite>& junit);
  std::string name() const { return fs::path(file_).stem().string(); }
  void set_out(std::string out) { out_ = std::move(out); }
  uint64_t seed() const;
  bool ChooseCases(std::string& error);
  // What is refused, or stands in the way, before anything starts: the exit status, or 0.
  int ChooseLab(std::string& text);

 private:
  void Plan();
  Job JobOf(const Task& t) const;
  bool Execute();
  void Gather();
  int Judge(std::vector<JunitSuite>& junit);
  std::string Replay(const std::string& case_name) const;
  const CaseWords& CaseOf(const Task& t) const { return t.purpose == Purpose::kKernel ? kernel_cases_[t.of] : cases_[t.of]; }
  std::string CaseDir(size_t i) const {
    return whole_ ? out_ : Cat(out_, "/cases/", reports::CaseFolder(cases_[i].name));
  }

  const Typed& typed_;
  std::string file_, out_;
  Suite suite_;
  Screen& screen_;
  std::vector<CaseWords> cases_;
  std::vector<CaseWords> kernel_cases_;  // --compare: those of them, and those with JavaScript peers, that the kernel can.
  std::vector<std::string> skipped_;     // Lines for a person: cases that this lab has not.
  bool whole_ = false;  // A file without cases: its one case's directory is the run's.
  std::vector<Task> tasks_;
  std::vector<Json> results_;   // Of the main tasks.
  std::vector<Json> kernel_results_;
  Json sum_;
  bool fault_ = false;
};

uint64_t SimRun::seed() const {
  if (!typed_.has("--seed")) return suite_.seed;
  const std::string text = typed_.last("--seed");
  uint64_t seed = suite_.seed;
  std::from_chars(text.data(), text.data() + text.size(), seed);  // Main has checked it.
  return seed;
}

bool SimRun::ChooseCases(std::string& error) {
  whole_ = WithoutCases(suite_);
  return sim::ChooseCases(suite_, file_, typed_.all("--case"), cases_, error);
}

int SimRun::ChooseLab(std::string& text) {
  const bool kernel = typed_.last("--host") == "netns", compare = typed_.has("--compare");
  if (kernel) {
    text = NetnsRefusals(suite_, cases_);
    if (!text.empty()) return kInputStatus;
  }
  if (compare) {
    kernel_cases_ = cases_;
    if (std::vector<std::string> names = TakeRefusedCases(suite_, kernel_cases_); !names.empty()) {
      skipped_.push_back(Cat("not on netns, which cannot do them: ", ListText(names, 12)));
    }
    if (kernel_cases_.empty()) return text = Cat(file_, ": --compare: the kernel host can do none of the cases; orchard lint says why\n"), kInputStatus;
  }
  if (kernel || compare) {
    text = NetnsObstacle(suite_, compare ? kernel_cases_ : cases_);
    if (!text.empty()) return text = Cat("orchard sim: --host netns: ", text, "\n"), kFaultStatus;
  }
  if (!kernel) {
    if (std::vector<std::string> names = TakeJsCases(suite_, cases_); !names.empty()) {
      skipped_.push_back(Cat("not on ns3, for their hosts run the JavaScript peer: ", ListText(names, 12)));
    }
    if (cases_.empty()) return text = Cat(file_, ": its hosts run the JavaScript peer, which only --host netns has\n"), kInputStatus;
  }
  return kHeldStatus;
}

std::string SimRun::Replay(const std::string& case_name) const {
  return Cat(CommandText("sim", file_, seed(), case_name, typed_.all("--set")), typed_.last("--host") == "netns" ? " --host netns" : "");
}

void SimRun::Plan() {
  for (size_t i = 0; i < cases_.size(); ++i) tasks_.push_back({Purpose::kMain, i, 0, CaseDir(i), cases_[i].name});
  if (typed_.has("--check")) {
    for (size_t i = 0; i < cases_.size(); ++i) {
      tasks_.push_back({Purpose::kCheck, i, 0, Cat(out_, "/again/", i), Cat("check ", cases_[i].name)});
    }
  }
  for (size_t i = 0; i < kernel_cases_.size(); ++i) {
    tasks_.push_back({Purpose::kKernel, i, 0, Cat(out_, "/netns/", i), Cat("netns ", kernel_cases_[i].name)});
  }
  if (!typed_.has("--prove")) return;
  for (size_t p = 0; p < suite_.fails_when.size(); ++p) {
    const FailsWhen& w = suite_.fails_when[p];
    for (size_t i = 0; i < cases_.size(); ++i) {
      if (!CaseMatches(w.in, cases_[i].name)) continue;
      std::vector<LoadError> errors;
      std::optional<Scenario> s = BuildCase(suite_, cases_[i], errors);
      if (!s || std::none_of(s->claims.begin(), s->claims.end(), [&](const Claim& c) { return c.says == w.claim; })) continue;
      tasks_.push_back({Purpose::kProof, i, p, Cat(out_, "/proofs/", p, "-", i), Cat("proof: ", w.says)});
      if (w.in.empty()) break;  // Without `in`: the first case in which the claim stands.
    }
  }
}

Job SimRun::JobOf(const Task& t) const {
  const bool main = t.purpose == Purpose::kMain;
  WorkerCall call{.file = file_, .typed = file_, .seed = seed(), .out = t.dir, .replay = Replay(CaseOf(t).name), .set = typed_.all("--set")};
  if (!whole_) call.of_case = CaseOf(t).name;
  call.netns = t.purpose == Purpose::kKernel || typed_.last("--host") == "netns";
  call.strict = typed_.has("--strict");
  call.trace = main && typed_.has("--trace"), call.pcap = main && typed_.has("--pcap"), call.fail_fast = main && typed_.has("--fail-fast");
  if (t.purpose == Purpose::kProof) call.proof = t.proof, call.until = suite_.fails_when[t.proof].claim;
  Job job = WorkerJob(call);
  if (t.purpose == Purpose::kCheck) {
    // Another environment: its size moves the stack, malloc fills what it hands out, and the directory is another.
    job.environment = {Cat("ORCHARD_CHECK=", std::string(4096 + 977, 'x')), "MALLOC_PERTURB_=170", "MALLOC_ARENA_MAX=1", "LC_ALL=C", "TZ=Pacific/Chatham"};
    job.directory = "/";
  }
  return job;
}

bool SimRun::Execute() {
  std::vector<Job> jobs;
  for (const Task& t : tasks_) {
    std::error_code error;
    fs::create_directories(t.dir, error);
    if (error) {
      std::fprintf(stderr, "orchard: cannot make the directory %s: %s\n", t.dir.c_str(), error.message().c_str());
      return false;
    }
    fs::remove(t.dir + "/result.json", error);  // A result of an earlier run must not pass for one of this.
    jobs.push_back(JobOf(t));
  }
  std::map<size_t, CaseProgress> running;
  size_t done = 0;
  JobHooks hooks;
  hooks.started = [&](size_t i) { tasks_[i].ran = true, running[i]; };
  hooks.line = [&](size_t i, std::string_view line) {
    JsonError error;
    std::optional<Json> j = ParseJson(line, 0, error);
    if (!j || !j->is_object()) return;
    auto number = [&](std::string_view key) {
      const Json* v = j->Find(key);
      return v == nullptr ? int64_t{0} : v->Integer().value_or(0);
    };
    CaseProgress& p = running[i];
    p.now = Duration(number("now")), p.duration = Duration(number("duration")), p.events = uint64_t(number("events"));
    p.up = uint64_t(number("up")), p.hosts = uint64_t(number("hosts")), p.rss_bytes = uint64_t(number("rss"));
    p.held = uint64_t(number("held")), p.failed = uint64_t(number("failed")), p.open = uint64_t(number("open"));
    p.next = TextOf(*j, "next");
  };
  hooks.ended = [&](size_t i, const JobEnd& end) {
    tasks_[i].end = end;
    running.erase(i), ++done;
  };
  hooks.tick = [&] {
    if (running.empty()) return;
    const auto& [i, p] = *running.begin();
    screen_.Progress(p, tasks_.size() == 1 ? "" : Cat(done, "/", tasks_.size(), tasks_[i].label.empty() ? "" : Cat(" ", tasks_[i].label)));
  };
  // In virtual time, all cores; in real time cases mostly wait, and the others shall not disturb them.
  const auto of_kernel = [&](const Task& t) { return t.purpose == Purpose::kKernel || typed_.last("--host") == "netns"; };
  for (bool kernel : {false, true}) {
    std::vector<Job> some;
    std::vector<size_t> index;
    for (size_t i = 0; i < jobs.size(); ++i) {
      if (of_kernel(tasks_[i]) == kernel) some.push_back(jobs[i]), index.push_back(i);
    }
    JobHooks mapped = hooks;
    mapped.started = [&](size_t i) { hooks.started(index[i]); };
    mapped.line = [&](size_t i, std::string_view line) { hooks.line(index[i], line); };
    mapped.ended = [&](size_t i, const JobEnd& end) { hooks.ended(index[i], end); };
    RunJobs(some, kernel ? NetnsCasesAtOnce() : std::max(1u, std::thread::hardware_concurrency()), mapped, Interrupted());
  }
  return true;
}

void SimRun::Gather() {
  for (const Task& t : tasks_) {
    if (t.purpose != Purpose::kMain && t.purpose != Purpose::kKernel) continue;
    std::optional<Json> result = ReadJson(t.dir + "/result.json");
    if (!result || (t.end.status != kHeldStatus && t.end.status != kFailedStatus)) {
      fault_ = fault_ || !*Interrupted();
      Json broken = Json::Object();
      broken.At("schema") = Json::Text("orchard.result/1"), broken.At("scenario") = Json::Text(file_);
      broken.At("name") = Json::Text(name()), broken.At("seed") = JsonNumber(seed()), broken.At("passed") = JsonBool(false);
      if (*Interrupted()) broken.At("interrupted") = JsonBool(true);
      if (!CaseOf(t).name.empty()) broken.At("case") = Json::Text(CaseOf(t).name);
      broken.At("claims") = JsonList({});
      broken.At("notes") = JsonList({*Interrupted() && !t.ran ? "did not run: interrupted"
                                                              : Cat("the process of this case ended with status ", t.end.status, ": ", t.end.errors)});
      result = std::move(broken);
    }
    (t.purpose == Purpose::kKernel ? kernel_results_ : results_).push_back(*std::move(result));
  }
  const std::vector<Json> figures = results_;
  for (size_t i = 0; i < results_.size(); ++i) {
    const std::string before = results_[i].Dump();
    JudgeOverCases(results_[i], figures);
    if (std::string after = results_[i].Dump(); after != before && !whole_) WriteText(CaseDir(i) + "/result.json", after + "\n");
  }
  const std::vector<Json> kernel_figures = kernel_results_;
  for (Json& r : kernel_results_) JudgeOverCases(r, kernel_figures);
  std::vector<std::string> dirs;
  for (const CaseWords& c : cases_) dirs.push_back(Cat("cases/", reports::CaseFolder(c.name)));
  sum_ = whole_ ? results_[0] : SumOfCases(suite_, results_, dirs);
  if (typed_.last("--host") == "netns") sum_.Remove("fingerprint");  // Such runs do not repeat.
  for (const std::string& s : skipped_) {
    Json& notes = sum_.At("notes");
    if (!notes.is_array()) notes = JsonList({});
    notes.items.push_back(Json::Text(s));
  }
  if (typed_.has("--compare")) sum_.At("compared") = CompareJson(results_, kernel_results_);
}

int SimRun::Judge(std::vector<JunitSuite>& junit) {
  bool passed = Passed(sum_), checked = true;
  std::string extra;
  JunitSuite suite{.name = file_};
  for (size_t i = 0; i < results_.size(); ++i) AddClaims(suite, results_[i]);
  std::map<size_t, bool> proved;
  for (const Task& t : tasks_) {
    if (t.purpose == Purpose::kMain || t.purpose == Purpose::kKernel) continue;
    std::optional<Json> result = ReadJson(t.dir + "/result.json");
    const std::string of_case = cases_[t.of].name.empty() ? "" : Cat(" [", cases_[t.of].name, "]");
    if (!result) {
      fault_ = fault_ || !*Interrupted();
      checked = checked && t.purpose != Purpose::kCheck;
      extra += Cat(" FAILED    ", t.label, of_case, ": its process ended with status ", t.end.status, "\n", t.end.errors);
      suite.cases.push_back({t.label, cases_[t.of].name, "its process ended", 0});
      continue;
    }
    if (t.purpose == Purpose::kCheck) {
      std::string difference = FirstDifference(results_[t.of], *result);
      checked = checked && difference.empty();
      extra += Cat(" ", Coloured(difference.empty() ? "held" : "failed", PadRight(difference.empty() ? "SAME" : "DIFFERS", 10), screen_.colour()),
                   "a second run, in another process and environment", of_case,
                   difference.empty() ? "" : Cat(": ", difference, "\n           orchard diff ", ShellWord(CaseDir(t.of)), " ", ShellWord(t.dir)), "\n");
      suite.cases.push_back({"the second run has the same fingerprint", cases_[t.of].name, difference, 0});
      continue;
    }
    const FailsWhen& w = suite_.fails_when[t.proof];
    JudgeOverCases(*result, results_);  // The other cases stay as they are.
    const std::string before = VerdictOf(results_[t.of], w.claim), after = VerdictOf(*result, w.claim);
    const bool good = before == "held" && after == "failed";
    proved.emplace(t.proof, true);
    proved[t.proof] = proved[t.proof] && good;
    std::string why;
    if (before != "held") why = Cat("the claim \"", w.claim, "\" does not hold without the change, so breaking it proves nothing");
    else if (after == "held") why = Cat("the claim \"", w.claim, "\" still held (", ObservedOf(*result, w.claim), "). The change does not matter, or the claim does not look");
    else if (after != "failed") why = Cat("the claim \"", w.claim, "\" was not decided");
    const std::string file = w.place.line == 0 || w.place.file >= suite_.sources.files.size() ? file_ : suite_.sources.files[w.place.file].name;
    if (!good) why = Cat(file, ":", w.place.line, ":", w.place.column, ": fails_when[", QuoteJson(w.says), "]: ", why);
    extra += Cat(" ", Coloured(good ? "held" : "failed", PadRight(good ? "PROVED" : "UNPROVED", 10), screen_.colour()),
                 good ? Cat(w.says, of_case, ": breaks \"", w.claim, "\"") : Cat(why, of_case), "\n");
    suite.cases.push_back({Cat("fails when: ", w.says), cases_[t.of].name, why, 0});
  }
  const bool prove = typed_.has("--prove");
  bool all_proved = true;
  if (prove) {
    Json* list = sum_.Find("fails_when");
    for (size_t p = 0; p < suite_.fails_when.size(); ++p) {
      if (!proved.contains(p)) {
        if (typed_.has("--case")) continue;  // Its case was not chosen.
        extra += Cat(" UNPROVED  ", suite_.fails_when[p].says, ": no case that it names has the claim \"", suite_.fails_when[p].claim, "\"\n");
        all_proved = false;
        continue;
      }
      all_proved = all_proved && proved[p];
      if (list != nullptr && p < list->items.size()) list->items[p].At("proved") = JsonBool(proved[p]);
    }
    if (suite_.fails_when.empty()) {
      extra += Cat(" UNPROVED  ", file_, ": fails_when: missing; --prove needs a change that breaks a claim\n");
      all_proved = false;
    }
  }
  if (typed_.has("--check")) sum_.At("checked") = JsonBool(checked);
  bool alike = true;
  uint64_t kernel_held = 0, kernel_claims = 0;
  for (const Json& r : kernel_results_) {
    for (const Json& c : r.Find("claims")->items) ++kernel_claims, kernel_held += TextOf(c, "verdict") == "held";
    JunitSuite kernel{.name = Cat(file_, " on netns")};
    AddClaims(kernel, r);
    junit.push_back(std::move(kernel));
    alike = alike && Passed(r);
    if (Passed(r)) continue;
    extra += Cat(" ", Coloured("failed", PadRight("FAILED", 10), screen_.colour()), "on netns", TextOf(r, "case").empty() ? "" : Cat(" [", TextOf(r, "case"), "]"), "\n", ClaimTable(r, screen_.colour()));
  }
  if (const Json* compared = sum_.Find("compared")) {
    alike = alike && Differences(*compared) == 0;
    extra += Cat(" on netns ", kernel_held, " of ", kernel_claims, " claims held in ", kernel_results_.size(), kernel_results_.size() == 1 ? " case\n" : " cases\n",
                 CompareTable(*compared, screen_.colour()));
  }
  const bool held = passed && checked && all_proved && alike && !*Interrupted();
  WriteText(out_ + "/result.json", sum_.Dump() + "\n");

  std::string report = out_ + "/report.html";
  if (absl::Status s = reports::WriteReport({out_}, report); !s.ok()) {
    std::fprintf(stderr, "orchard: the report could not be written: %s\n", std::string(s.message()).c_str());
    report.clear(), fault_ = true;
  }
  std::error_code ignored;
  for (const fs::directory_entry& e : fs::recursive_directory_iterator(out_, ignored)) {
    if (report.empty() || e.path().filename() != "topology.dot" || fs::exists(e.path().parent_path() / "topology.svg", ignored)) continue;
    std::fprintf(stderr, "orchard: the report lacks a drawing (it says why); is Graphviz installed? Draw it later with: orchard report %s\n", out_.c_str());
    break;
  }
  fs::remove_all(out_ + "/proofs", ignored);
  if (checked) fs::remove_all(out_ + "/again", ignored);

  uint64_t good = 0, total = 0, failed = 0;
  if (const Json* claims = sum_.Find("claims")) {
    for (const Json& c : claims->items) {
      ++total, good += TextOf(c, "verdict") == "held", failed += TextOf(c, "verdict") == "failed";
      screen_.Tell("claim", c);
    }
  }
  if (const Json* cases = sum_.Find("cases")) {
    for (const Json& c : cases->items) screen_.Tell("case", c);
  }
  screen_.Say(Cat(whole_ ? "" : MatrixTable(suite_, sum_), whole_ ? "" : CaseTable(sum_, screen_.colour()),
                  ClaimTable(sum_, screen_.colour()), extra));
  const Json* sim = sum_.Find("sim_seconds");
  const std::string simulated = sim == nullptr ? "" : ClockText(Duration(sim->Micro().value_or(0) * 1000));
  std::string last;
  std::string wall = Cat(Decimal(screen_.wall_ms() * 1000, 1), " s");
  std::string fingerprint = TextOf(sum_, "fingerprint");
  if (fingerprint.empty()) fingerprint = "none";
  else if (fingerprint.size() > 8) fingerprint = Cat(fingerprint.substr(0, 4), "…", fingerprint.substr(fingerprint.size() - 4));
  if (*Interrupted()) {
    last = Cat(" interrupted: a partial result, ", good, " of ", total, " claims held so far · ", simulated, " simulated in ", wall, report.empty() ? "" : Cat(" · report ", report));
  } else if (failed == 0 && passed) {
    last = Cat(" ", good, " of ", total, " claims held · ", simulated, typed_.last("--host") == "netns" ? " of real time in " : " simulated in ", wall, fingerprint == "none" ? "" : Cat(" · fingerprint ", fingerprint),
               report.empty() ? "" : Cat(" · report ", report));
    if (!held) last += Cat("\n failed: ", !alike ? "netns came to something else" : !checked ? "the second run differs" : "not every change of fails_when breaks its claim");
  } else {
    std::string bad_case;
    for (const Json& r : results_) {
      if (!Passed(r) && bad_case.empty()) bad_case = TextOf(r, "case");
    }
    last = Cat(failed == 0 ? Cat(" ", good, " of ", total, " claims held, but the run failed: see the notes above") : Cat(" ", failed, " of ", total, " claims failed"),
               " · replay: ", Replay(bad_case), " --trace",
               failed == 0 || typed_.last("--host") == "netns" ? "" : Cat("\n shrink: ", CommandText("minimize", file_, seed(), bad_case, typed_.all("--set"))), report.empty() ? "" : Cat("\n report ", report));
  }
  screen_.Last(last);
  Json final = sum_;
  for (const char* heavy : {"checkpoints", "metrics", "moments", "cases"}) final.Remove(heavy);
  final.At("dir") = Json::Text(out_), final.At("report") = Json::Text(report), final.At("held") = JsonBool(held);
  screen_.Tell("final", final);
  junit.push_back(std::move(suite));
  return fault_ ? kFaultStatus : held ? kHeldStatus : kFailedStatus;
}

int SimRun::Run(std::vector<JunitSuite>& junit) {
  screen_.Say(Cat(PadRight(Cat(name(), " · seed ", seed(), " · ", typed_.has("--compare") ? "ns3 and netns" : typed_.last("--host") == "netns" ? "netns" : "ns3"), 66), "orchard ", kVersion, "\n"));
  Plan();
  if (!Execute()) return kFaultStatus;
  Gather();
  return Judge(junit);
}

}  // namespace

int RunSim(const Typed& typed) {
  if (typed.words.empty()) {
    std::fprintf(stderr, "orchard sim: which scenario? For example: orchard sim scenarios/first-light.json\n");
    return kInputStatus;
  }
  const Show show = ShowOf(typed);
  std::vector<std::unique_ptr<SimRun>> runs;
  Screen screen(show);
  bool wrong = false;
  int obstacle = kHeldStatus;
  for (const std::string& file : typed.words) {  // All are read before any runs.
    LoadOptions options{.set = typed.all("--set"), .ships = fs::absolute(file).string().find("/scenarios/") != std::string::npos};
    std::vector<LoadError> errors;
    Sources sources;
    std::optional<Suite> suite = LoadScenario(file, options, errors, sources);
    if (!suite) {
      std::fputs((show == Show::kJson ? RenderErrorsJson(errors, sources) : RenderErrors(errors, sources)).c_str(), show == Show::kJson ? stdout : stderr);
      wrong = true;
      continue;
    }
    auto run = std::make_unique<SimRun>(typed, file, *std::move(suite), screen);
    std::string error;
    if (!run->ChooseCases(error)) std::fprintf(stderr, "%s\n", error.c_str()), wrong = true;
    else if (int refused = run->ChooseLab(error); refused != kHeldStatus) std::fputs(error.c_str(), stderr), obstacle = std::max(obstacle, refused);
    std::string out = typed.has("--out") ? typed.last("--out") : Cat("runs/", run->name(), "-", run->seed());
    if (typed.has("--out") && typed.words.size() > 1) out += Cat("/", run->name());
    run->set_out(std::move(out));
    runs.push_back(std::move(run));
  }
  if (wrong) return kInputStatus;
  if (obstacle != kHeldStatus) return obstacle;
  int status = kHeldStatus;
  std::vector<JunitSuite> junit;
  for (const auto& run : runs) {
    status = std::max(status, run->Run(junit));
    if (*Interrupted()) break;
    if (typed.has("--fail-fast") && status != kHeldStatus) break;
  }
  if (typed.has("--junit") && !WriteText(typed.last("--junit"), JunitText(junit))) status = kFaultStatus;
  return status;
}

int RunWorker(const Typed& typed) {
  LoadOptions load{.set = typed.all("--set")};
  std::vector<LoadError> errors;
  Sources sources;
  std::optional<Suite> suite = LoadScenario(typed.words.at(0), load, errors, sources);
  std::optional<Scenario> scenario;
  if (suite) {
    for (const CaseWords& c : suite->cases) {
      if (c.name != typed.last("--case")) continue;
      const FailsWhen* proof = typed.has("--proof") ? &suite->fails_when.at(std::stoul(typed.last("--proof"))) : nullptr;
      scenario = BuildCase(*suite, c, proof, errors);
    }
  }
  if (!scenario) {
    std::fputs(RenderErrors(errors, sources).c_str(), stderr);
    return kFaultStatus;  // The parent has read the same file without an error.
  }
  CaseOptions options{.scenario = typed.last("--typed"), .replay = typed.last("--replay"), .out_dir = typed.last("--out"),
                      .seed = std::stoull(typed.last("--seed")), .trace = typed.has("--trace"), .pcap = typed.has("--pcap"),
                      .strict = typed.has("--strict"), .fail_fast = typed.has("--fail-fast"), .only_result = typed.has("--only-result"), .until_claim = typed.last("--until"),
                      .interrupted = Interrupted()};
  std::error_code ignored;  // What cannot be written there says so.
  fs::create_directories(options.out_dir, ignored);
  const auto tell = [](const CaseProgress& p) {
    Json j = Json::Object();
    j.At("now") = JsonNumber(uint64_t(p.now.count())), j.At("duration") = JsonNumber(uint64_t(p.duration.count()));
    j.At("events") = JsonNumber(p.events), j.At("up") = JsonNumber(p.up), j.At("hosts") = JsonNumber(p.hosts);
    j.At("rss") = JsonNumber(p.rss_bytes), j.At("held") = JsonNumber(p.held), j.At("failed") = JsonNumber(p.failed);
    j.At("open") = JsonNumber(p.open), j.At("next") = Json::Text(p.next);
    std::printf("%s\n", j.Dump().c_str());
    std::fflush(stdout);
  };
  CaseResult result = typed.last("--host") == "netns" ? RunKernelCase(*suite, *std::move(scenario), options, tell) : RunCase(*suite, *scenario, options, tell);
  return result.passed ? kHeldStatus : kFailedStatus;
}

}  // namespace orchard::sim
