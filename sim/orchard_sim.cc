#include "sim/orchard_sim.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <regex>

#include "node/base/rng.h"
#include "reports/report.h"
#include "sim/language/lint.h"
#include "sim/language/loader.h"
#include "sim/language/metrics_table.h"
#include "sim/orchard_sim_many.h"
#include "sim/orchard_sim_new.h"
#include "sim/run/result.h"
#include "sim/language/text.h"
#include "sim/sweep/sweep.h"

namespace orchard::sim {
namespace {

volatile std::sig_atomic_t interrupted = 0;
void OnSignal(int) { interrupted = 1; }

constexpr OptionWords kSimOptions[] = {
    {"--seed", "N", "the seed; wins over the file's"},
    {"--case", "NAME", "run only this case (again for more; * stands for any characters)"},
    {"--out", "DIR", "where the run directory goes (default runs/NAME-SEED)"},
    {"--set", "PATH=VALUE", "change the file before it runs: hosts.eu.nat=cgn (again for more)"},
    {"--check", nullptr, "run a second time, in a new process with another environment, and compare the fingerprints"},
    {"--prove", nullptr, "make each change of fails_when and see that it breaks the claim it names"},
    {"--fail-fast", nullptr, "stop at the first claim that fails"},
    {"--strict", nullptr, "claims on wall_seconds gate too"},
    {"--trace", nullptr, "write every event to events.jsonl"},
    {"--pcap", nullptr, "write packets, for Wireshark"},
    {"--junit", "FILE", "write the claims as JUnit XML"},
    {"--json", nullptr, "one JSON object a line, the last tagged final"},
    {"--quiet", nullptr, "the last line only"},
    {"--host", "KIND", "ns3 (the simulator, default), or netns: real daemons in kernel namespaces, in real time (root)"},
    {"--compare", nullptr, "run the cases on ns3 and on netns, and compare what they came to"}};
constexpr OptionWords kWorkerOptions[] = {
    {"--seed", "N", "", true}, {"--case", "NAME", "", true}, {"--out", "DIR", "", true}, {"--set", "P=V", "", true},
    {"--proof", "I", "", true}, {"--until", "CLAIM", "", true}, {"--typed", "FILE", "", true}, {"--replay", "TEXT", "", true},
    {"--strict", nullptr, "", true}, {"--trace", nullptr, "", true}, {"--pcap", nullptr, "", true}, {"--fail-fast", nullptr, "", true},
    {"--only-result", nullptr, "", true}, {"--host", "KIND", "", true}};
constexpr OptionWords kSweepOptions[] = {
    {"--seeds", "A..B", "the first and last seed (default: \"sweep\" of the file)"},
    {"--case", "NAME", "run only this case (again for more; * stands for any characters)"},
    {"--set", "PATH=VALUE", "change the file before it runs (again for more)"},
    {"--out", "DIR", "where the runs go (default runs/NAME-sweep); those that are there already are kept"},
    {"--jobs", "N", "runs at once (default: a core each; one, if several ranks share the sweep)"},
    {"--share", "R/N", "only the part of rank R of N (default: what mpirun, srun or a Slurm array say)"},
    {"--merge", "DIR", "run nothing: put together what lies in DIR"},
    {"--json", nullptr, "one JSON object a line, the last tagged final"},
    {"--quiet", nullptr, "the last lines only"}};
constexpr OptionWords kMinimizeOptions[] = {
    {"--seed", "N", "the seed at which a claim fails (default: the file's)"},
    {"--case", "NAME", "the case in which it does (default: the first)"},
    {"--claim", "TEXT", "the claim, by its says (default: the first that fails)"},
    {"--control", "N", "a seed at which the claim holds, and shall go on to (default: one of 1 to 8; none: do without)"},
    {"--set", "PATH=VALUE", "change the file first (again for more)"},
    {"-o", "FILE", "where the small scenario goes (default NAME-seedN-small.json)"},
    {"--runs", "N", "stop after so many runs (default 300)"},
    {"--jobs", "N", "runs at once (default: a core each)"},
    {"--json", nullptr, "one JSON object a line, the last tagged final"},
    {"--quiet", nullptr, "the last line only"}};
constexpr OptionWords kDiffOptions[] = {{"--json", nullptr, "one JSON object, tagged final"}, {"--quiet", nullptr, "the last line only"}};
constexpr OptionWords kLintOptions[] = {{"--set", "PATH=VALUE", "change the file before it is read"},
                                        {"--json", nullptr, "errors as JSON, one a line"}};
constexpr OptionWords kReportOptions[] = {{"-o", "FILE", "where the page goes (default report.html in the first directory)"}};

const CommandWords kCommands[] = {
    {"sim", "sim FILE… [options]", "Run scenarios and check their claims.", kSimOptions, std::size(kSimOptions),
     "  orchard sim scenarios/first-light.json\n  orchard sim scenarios/first-light.json --check --prove\n"
     "  orchard sim scenarios/nat/physics.json --case hairpin --trace\n  orchard sim scenarios/nat/kernel-cells.json --compare\n  orchard sim my.json --seed 7 --set world.loss=2% --json\n"},
    {"lint", "lint FILE… [options]", "Validate scenarios without running them.", kLintOptions, std::size(kLintOptions),
     "  orchard lint scenarios/first-light.json\n"},
    {"sweep", "sweep FILE --seeds A..B [options]", "Run a scenario with many seeds, and judge its claims on all of them.", kSweepOptions, std::size(kSweepOptions),
     "  orchard sweep scenarios/first-light.json --seeds 1..200\n  orchard sweep scenarios/nat/physics.json --seeds 1..50 --case hairpin --jobs 4\n"
     "  mpirun -n 64 orchard sweep my.json --seeds 1..10000 --out /shared/my-sweep\n  orchard sweep --merge /shared/my-sweep\n"},
    {"minimize", "minimize FILE --seed N [options]", "Find the smallest scenario that breaks the same claim.", kMinimizeOptions, std::size(kMinimizeOptions),
     "  orchard minimize my.json --seed 17\n  orchard minimize scenarios/nat/physics.json --seed 3 --case hairpin -o small.json\n"},
    {"diff", "diff DIR_A DIR_B", "Find where two runs part.", kDiffOptions, std::size(kDiffOptions),
     "  orchard diff runs/my-1 runs/my-2\n  orchard diff runs/a/cases/ours runs/b/cases/ours\n"},
    {"report", "report DIR… [-o FILE]", "Write the page of finished runs again.", kReportOptions, std::size(kReportOptions),
     "  orchard report runs/first-light-1\n  orchard report runs/a runs/b -o both.html\n"},
    {"metrics", "metrics [REGULAR EXPRESSION]", "List what can be claimed.", nullptr, 0, "  orchard metrics\n  orchard metrics '^dht\\.lookup'\n"},
    {"new", "new scenario NAME", "Write a commented starter file.", nullptr, 0, "  orchard new scenario my-first\n"},
};
const CommandWords kWorker = {"worker", "", "", kWorkerOptions, std::size(kWorkerOptions), ""};

std::string Overview() {
  std::string out = "orchard-sim grows peer-to-peer networks inside ns-3 and checks claims about them.\n\n";
  for (const CommandWords& c : kCommands) out += Cat("  ", PadRight(c.usage, 34), c.says, "\n");
  return Cat(out, "\n  orchard COMMAND --help shows options and examples.\n"
                  "Exit status: 0 every claim held, 1 a claim failed, 2 the input is wrong, 3 the environment or we are at fault.\n");
}

int LintFiles(const Typed& typed) {
  if (typed.words.empty()) return std::fputs("orchard lint: which scenario?\n", stderr), kInputStatus;
  bool wrong = false;
  for (const std::string& file : typed.words) {
    const bool ships = std::filesystem::absolute(file).string().find("/scenarios/") != std::string::npos;
    const LintResult result = sim::Lint(file, {.set = typed.all("--set"), .ships = ships}, typed.has("--json"));
    std::fputs(result.text.c_str(), result.exit_status == 0 || typed.has("--json") ? stdout : stderr);
    wrong = wrong || result.exit_status != 0;
  }
  return wrong ? kInputStatus : kHeldStatus;
}

int Report(const Typed& typed) {
  if (typed.words.empty()) return std::fputs("orchard report: which run directory?\n", stderr), kInputStatus;
  const std::string out = typed.has("-o") ? typed.last("-o") : typed.words[0] + "/report.html";
  absl::Status s = reports::WriteReport(typed.words, out);
  if (!s.ok()) {
    std::fprintf(stderr, "orchard report: %s\n", std::string(s.message()).c_str());
    return absl::IsInvalidArgument(s) || absl::IsNotFound(s) ? kInputStatus : kFaultStatus;
  }
  std::printf("%s\n", out.c_str());
  return kHeldStatus;
}

int Metrics_(const Typed& typed) {
  const std::string pattern = typed.words.empty() ? "" : typed.words[0];
  try {
    std::fputs(MetricsText(pattern).c_str(), stdout);
  } catch (const std::regex_error&) {
    std::fprintf(stderr, "orchard metrics: \"%s\" is no regular expression\n", pattern.c_str());
    return kInputStatus;
  }
  return kHeldStatus;
}

}  // namespace

bool CheckOptions(const Typed& typed, std::string& error) {
  auto whole = [&](const char* option, uint64_t least, uint64_t most, const char* range) {
    const std::string text = typed.last(option);
    uint64_t n = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
    const bool good = code == std::errc() && end == text.data() + text.size() && n >= least && n <= most;
    if (typed.has(option) && !good) error = Cat(option, ": found \"", text, "\"; expected a whole number from ", range);
  };
  whole("--seed", 0, UINT64_MAX, "0 to 2^64-1"), whole("--jobs", 1, kSweepJobsMax, "1 to 1024"), whole("--runs", 1, 1'000'000, "1 to 1000000");
  const bool kernel = typed.last("--host") == "netns";
  if (typed.has("--host") && !kernel && typed.last("--host") != "ns3") error = Cat("--host: found \"", typed.last("--host"), "\"; expected ns3 or netns");
  if (kernel && typed.has("--check")) error = "--check compares fingerprints, and real daemons (--host netns) have none";
  if (kernel && typed.has("--pcap")) error = "--pcap is the simulator's; it does not go with --host netns";
  if (kernel && typed.has("--compare")) error = "--compare runs both hosts; --host netns runs one";
  if (typed.has("--json") && typed.has("--quiet")) error = "--json and --quiet exclude each other";
  for (const std::string& s : typed.all("--set")) {
    if (s.find('=') == std::string::npos || s.front() == '=') error = Cat("--set: found \"", s, "\"; expected PATH=VALUE");
  }
  return error.empty();
}

Show ShowOf(const Typed& typed) {
  return typed.has("--json") ? Show::kJson : typed.has("--quiet") ? Show::kQuiet : isatty(1) ? Show::kTerminal : Show::kPipe;
}

const volatile int* Interrupted() { return &interrupted; }

std::optional<Typed> ParseArguments(const CommandWords& command, const std::vector<std::string>& arguments, std::string& error) {
  Typed typed;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& a = arguments[i];
    if (a.size() < 2 || a[0] != '-') {
      typed.words.push_back(a);
      continue;
    }
    if (a == "--") {
      typed.words.insert(typed.words.end(), arguments.begin() + ptrdiff_t(i) + 1, arguments.end());
      break;
    }
    const size_t equals = a.starts_with("--") ? a.find('=') : std::string::npos;
    const std::string name = a.substr(0, equals);
    const OptionWords* found = nullptr;
    std::vector<std::string> names;
    for (size_t o = 0; o < command.option_count; ++o) {
      names.push_back(command.options[o].name);
      if (name == command.options[o].name) found = &command.options[o];
    }
    if (found == nullptr) {
      const std::string near = NearestOf(name, names);
      error = Cat("unknown option \"", name, "\"", near.empty() ? "" : Cat("; did you mean \"", near, "\"?"), " (", names.empty() ? "there are none" : ListText(names, 20), ")");
      return std::nullopt;
    }
    if (found->value == nullptr) {
      if (equals != std::string::npos) return error = Cat(name, " takes no value"), std::nullopt;
      typed.options[name];
    } else if (equals != std::string::npos) {
      typed.options[name].push_back(a.substr(equals + 1));
    } else if (i + 1 < arguments.size()) {
      typed.options[name].push_back(arguments[++i]);
    } else {
      return error = Cat(name, " needs a value: ", name, " ", found->value), std::nullopt;
    }
  }
  return typed;
}

std::string HelpOf(const CommandWords& c) {
  std::string out = Cat("Usage: orchard ", c.usage, "\n\n", c.says, "\n");
  for (size_t i = 0; i < c.option_count; ++i) {
    const OptionWords& o = c.options[i];
    out += Cat(i == 0 ? "\n" : "", "  ", PadRight(Cat(o.name, o.value == nullptr ? "" : " ", o.value == nullptr ? "" : o.value), 20), o.says, "\n");
  }
  return Cat(out, "\nExamples:\n", c.examples);
}

int Main(const std::vector<std::string>& arguments) {
  ForbidHiddenRandomness();
  const std::string name = arguments.empty() ? "" : arguments[0];
  if (name.empty() || name == "--help" || name == "-h" || name == "help") {
    std::fputs(Overview().c_str(), name.empty() ? stderr : stdout);
    return name.empty() ? kInputStatus : kHeldStatus;
  }
  if (name == "--version") return std::printf("orchard %s\n", std::string(kVersion).c_str()), kHeldStatus;
  const CommandWords* command = name == "worker" ? &kWorker : nullptr;
  std::vector<std::string> names;
  for (const CommandWords& c : kCommands) {
    names.push_back(c.name);
    if (name == c.name) command = &c;
  }
  if (command == nullptr) {
    const std::string near = NearestOf(name, names);
    std::fprintf(stderr, "orchard: unknown command \"%s\"%s\n\n%s", name.c_str(), near.empty() ? "" : Cat("; did you mean \"", near, "\"?").c_str(), Overview().c_str());
    return kInputStatus;
  }
  const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  if (std::find(rest.begin(), rest.end(), "--help") != rest.end() || std::find(rest.begin(), rest.end(), "-h") != rest.end()) {
    return std::fputs(HelpOf(*command).c_str(), stdout), kHeldStatus;
  }
  std::string error;
  std::optional<Typed> typed = ParseArguments(*command, rest, error);
  if (typed && name != "worker" && !CheckOptions(*typed, error)) typed.reset();
  if (!typed) {
    std::fprintf(stderr, "orchard %s: %s\n  (orchard %s --help)\n", name.c_str(), error.c_str(), name.c_str());
    return kInputStatus;
  }
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr), sigaction(SIGTERM, &action, nullptr);
  sigset_t ends;  // Who started us may have held them back until now (runner_jobs.cc).
  sigemptyset(&ends), sigaddset(&ends, SIGINT), sigaddset(&ends, SIGTERM);
  sigprocmask(SIG_UNBLOCK, &ends, nullptr);
  auto run = [&] {
    if (name == "sim") return RunSim(*typed);
    if (name == "worker") return RunWorker(*typed);
    if (name == "sweep") return SweepCommand(*typed);
    if (name == "minimize") return MinimizeCommand(*typed);
    if (name == "diff") return DiffCommand(*typed);
    if (name == "lint") return LintFiles(*typed);
    if (name == "report") return Report(*typed);
    if (name == "metrics") return Metrics_(*typed);
    return NewScenario(typed->words);
  };
  try {
    const int status = run();
    // A pipe whose reader has seen enough (`| head`) is no fault; a file that took not all is.
    struct stat to {};
    if ((std::fflush(stdout) != 0 || std::ferror(stdout) != 0) && fstat(STDOUT_FILENO, &to) == 0 && !S_ISFIFO(to.st_mode) && !S_ISSOCK(to.st_mode)) {
      std::fprintf(stderr, "orchard %s: what was to be printed could not be written whole; is the disk full?\n", name.c_str());
      return status == kHeldStatus ? kFaultStatus : status;
    }
    return status;
  } catch (const std::exception& e) {  // A full disk, no memory.
    std::fprintf(stderr, "orchard %s: %s\n", name.c_str(), e.what());
    return kFaultStatus;
  }
}

}  // namespace orchard::sim
