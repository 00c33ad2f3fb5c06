// Writes a run directory: result.json, topology.json, series.json, as docs/RUN-DIRECTORY.md says.
#pragma once

#include <string>
#include <vector>

#include "sim/run/claims.h"
#include "sim/language/loader.h"
#include "sim/run/lab.h"
#include "sim/run/runner_watch.h"
#include "sim/run/timeline.h"
#include "sim/world/world.h"

namespace orchard::sim {

inline constexpr std::string_view kVersion = "0.1.0";

// JSON values in a line each.
Json JsonNumber(uint64_t n);
Json JsonMicro(int64_t micro);      // Millionths as a decimal number.
Json JsonMs(Instant at);            // null if never.
Json JsonBool(bool b);
Json JsonNull();
Json JsonList(const std::vector<std::string>& texts);

// Everything that a finished case is described from.
struct CaseFacts {
  const Suite& suite;
  const Scenario& scenario;
  const Plan& plan;
  const Recorder& recorder;
  const ClaimJudge& judge;
  const Timeline& timeline;
  const Moments& moments;
  const Results& results;
  const Watch& watch;
  const Connections& connections;
  const Lab& world;
  CostFigures cost;
  uint64_t seed = 1;
  std::string scenario_path, replay;
  std::vector<std::string> complaints;
  bool passed = false, interrupted = false;
  Instant end;
};

Json ResultJson(const CaseFacts& facts);
Json TopologyJson(const CaseFacts& facts);
Json SeriesJson(const CaseFacts& facts);
Json CheckpointsJson(const CaseFacts& facts);
Json ClaimJson(const ClaimResult& result);

Json ProofsJson(const Suite& suite);
// Room left as a share of the bound; below zero it failed.
std::optional<int64_t> Margin(const BoundSeen& bound);

// The parent's (result_cases.cc). Claims over other cases (best, sum, case) are judged here, from the figures that every case
// left in its result: `cases` are all of this run, `of` the one whose claims are judged, itself one of them or its proof.
void JudgeOverCases(Json& of, const std::vector<Json>& cases);
// One result over all cases. `cases` are their result.json, in order, with the directory of each.
Json SumOfCases(const Suite& suite, const std::vector<Json>& cases, const std::vector<std::string>& dirs);

// False: the file could not be written (the message is on stderr).
bool WriteText(const std::string& file, const std::string& text);

}  // namespace orchard::sim
