#include "sim/orchard_sim_many.h"

#include <cstdio>
#include <cstdlib>

#include "sim/language/text.h"
#include "sim/sweep/diff.h"
#include "sim/sweep/minimize.h"
#include "sim/sweep/sweep.h"

namespace orchard::sim {
namespace {

int Wrong(const char* command, const std::string& text) {
  std::fprintf(stderr, "orchard %s: %s\n  (orchard %s --help)\n", command, text.c_str(), command);
  return kInputStatus;
}

size_t Number(const Typed& typed, const char* option, size_t otherwise) { return typed.has(option) ? std::stoull(typed.last(option)) : otherwise; }

}  // namespace

int SweepCommand(const Typed& typed) {
  Screen screen(ShowOf(typed));
  if (typed.has("--merge")) {
    if (!typed.words.empty() || typed.has("--seeds")) return Wrong("sweep", "--merge takes a directory and no scenario");
    return MergeSweep(typed.last("--merge"), screen);
  }
  if (typed.words.size() != 1) return Wrong("sweep", typed.words.empty() ? "which scenario?" : Cat("one scenario at a time; found ", typed.words.size()));
  SweepOptions o{.file = typed.words[0], .cases = typed.all("--case"), .set = typed.all("--set"), .out = typed.last("--out"), .jobs = Number(typed, "--jobs", 0)};
  if (typed.has("--seeds")) {
    o.seeds = ParseSeeds(typed.last("--seeds"));
    if (!o.seeds) return Wrong("sweep", Cat("--seeds: found \"", typed.last("--seeds"), "\"; expected the first and last seed, such as 1..200, at most ", kSeedsMax));
  }
  std::string error;
  const std::optional<Rank> rank = typed.has("--share") ? ParseShare(typed.last("--share")) : RankOf([](const char* name) -> const char* { return std::getenv(name); }, error);
  if (!rank && error.empty()) error = Cat("--share: found \"", typed.last("--share"), "\"; expected a rank and how many there are, such as 0/4");
  if (!rank) return Wrong("sweep", error);
  o.rank = *rank;
  return RunSweep(o, screen, Interrupted());
}

int MinimizeCommand(const Typed& typed) {
  if (typed.words.size() != 1) return Wrong("minimize", typed.words.empty() ? "which scenario?" : Cat("one scenario at a time; found ", typed.words.size()));
  if (typed.all("--case").size() > 1) return Wrong("minimize", "--case: one case at a time");
  MinimizeOptions o{.file = typed.words[0], .of_case = typed.last("--case"), .claim = typed.last("--claim"), .set = typed.all("--set"), .out = typed.last("-o")};
  o.runs_max = Number(typed, "--runs", o.runs_max), o.jobs = Number(typed, "--jobs", 0);
  if (typed.has("--seed")) o.seed = std::stoull(typed.last("--seed"));
  if (typed.last("--control") == "none") {
    o.no_control = true;
  } else if (typed.has("--control")) {
    const std::optional<SeedRange> seed = ParseSeeds(typed.last("--control"));
    if (!seed || seed->count() != 1) return Wrong("minimize", Cat("--control: found \"", typed.last("--control"), "\"; expected a seed, or none"));
    o.control = seed->first;
  }
  Screen screen(ShowOf(typed));
  return RunMinimize(o, screen, Interrupted());
}

int DiffCommand(const Typed& typed) {
  if (typed.words.size() != 2) return Wrong("diff", Cat("found ", typed.words.size(), typed.words.size() == 1 ? " directory" : " directories", "; expected two"));
  Screen screen(ShowOf(typed));
  return RunDiff(typed.words[0], typed.words[1], screen);
}

}  // namespace orchard::sim
