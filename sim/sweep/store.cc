#include "sim/sweep/store.h"

#include <algorithm>
#include <filesystem>

#include "reports/run_directory.h"
#include "sim/language/text.h"
#include "sim/run/result.h"
#include "sim/run/result_read.h"

namespace orchard::sim {
namespace {

namespace fs = std::filesystem;

bool ComparesCases(const Json& result) {
  const std::vector<Json>& claims = ListIn(result, "claims");
  return std::any_of(claims.begin(), claims.end(), [](const Json& c) { return c.Find("over") != nullptr; });
}

}  // namespace

std::string SweepStore::RunDir(uint64_t seed, size_t of_case) const {
  const std::string& name = plan_.cases[of_case].name;
  return Cat(dir_, "/seeds/", seed, name.empty() ? "" : Cat("/cases/", reports::CaseFolder(name)));
}

std::optional<Json> SweepStore::Result(uint64_t seed, size_t of_case) const {
  std::optional<Json> j = ReadJsonFile(RunDir(seed, of_case) + "/result.json");
  const bool ours = j && TextIn(*j, "schema") == "orchard.result/1" && TextIn(*j, "input") == plan_.cases[of_case].input &&
                    TextIn(*j, "program") == plan_.program && CountIn(*j, "seed") == seed && !TruthIn(*j, "interrupted");
  return ours ? j : std::nullopt;
}

std::string SweepStore::Broken(uint64_t seed, size_t of_case) const {
  const std::optional<Json> j = ReadJsonFile(RunDir(seed, of_case) + "/broken.json");
  const bool ours = j && TextIn(*j, "input") == plan_.cases[of_case].input && TextIn(*j, "program") == plan_.program;
  return ours ? TextIn(*j, "why") : "";
}

void SweepStore::SetBroken(uint64_t seed, size_t of_case, const std::string& why) const {
  const std::string file = RunDir(seed, of_case) + "/broken.json";
  std::error_code ignored;
  if (why.empty()) {
    fs::remove(file, ignored);
    return;
  }
  fs::create_directories(RunDir(seed, of_case), ignored);
  Json j = Json::Object();
  j.At("input") = Json::Text(plan_.cases[of_case].input), j.At("program") = Json::Text(plan_.program), j.At("why") = Json::Text(why);
  ReplaceText(file, j.Dump() + "\n");
}

Json SweepStore::Merge(bool interrupted) const {
  SweepMerge merge(plan_);
  for (uint64_t seed = plan_.seeds.first; seed <= plan_.seeds.last; ++seed) {
    std::vector<std::optional<Json>> results;
    std::vector<Json> there;
    bool settled = true;
    for (size_t i = 0; i < plan_.cases.size(); ++i) {
      results.push_back(Result(seed, i));
      if (results.back()) {
        there.push_back(*results.back());
      } else if (std::string why = Broken(seed, i); !why.empty()) {
        merge.AddBroken(seed, i, why);
      } else {
        settled = false;
      }
    }
    for (std::optional<Json>& r : results) {
      if (!r || !ComparesCases(*r)) continue;
      if (settled) JudgeOverCases(*r, there);
      else r.reset();  // Cannot be judged before the others have run.
    }
    merge.Add(seed, results);
  }
  return merge.Result(interrupted);
}

std::optional<SweepPlan> ReadSweepPlan(const std::string& dir, std::string& error) {
  const std::string file = dir + "/sweep.json";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return error = Cat(file, ": no such file; is ", dir, " the directory of a sweep?"), std::nullopt;
  const std::optional<Json> j = ReadJsonFile(file);
  std::optional<SweepPlan> plan = j ? SweepPlan::FromJson(*j) : std::nullopt;
  if (!plan) error = Cat(file, ": not the plan of a sweep (schema orchard.sweep/1)");
  return plan;
}

}  // namespace orchard::sim
