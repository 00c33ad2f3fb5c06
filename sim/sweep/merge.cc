#include "sim/sweep/merge.h"

#include <algorithm>

#include "node/base/digest.h"
#include "reports/run_directory.h"
#include "sim/language/text.h"
#include "sim/run/result.h"
#include "sim/run/result_read.h"
#include "sim/run/runner_worker.h"

namespace orchard::sim {

Json SweepPlan::ToJson() const {
  Json j = Json::Object(), list = JsonList({});
  j.At("schema") = Json::Text("orchard.sweep/1");
  j.At("scenario") = Json::Text(scenario), j.At("name") = Json::Text(name), j.At("says") = Json::Text(says);
  j.At("set") = JsonList(set), j.At("program") = Json::Text(program);
  j.At("first") = JsonNumber(seeds.first), j.At("last") = JsonNumber(seeds.last);
  if (decides) j.At("decides") = JsonNumber(*decides);
  for (const Case& c : cases) {
    Json k = Json::Object();
    k.At("name") = Json::Text(c.name), k.At("says") = Json::Text(c.says), k.At("input") = Json::Text(c.input);
    list.items.push_back(std::move(k));
  }
  j.At("cases") = std::move(list);
  return j;
}

std::optional<SweepPlan> SweepPlan::FromJson(const Json& j) {
  if (TextIn(j, "schema") != "orchard.sweep/1") return std::nullopt;
  SweepPlan p{.scenario = TextIn(j, "scenario"), .name = TextIn(j, "name"), .says = TextIn(j, "says"), .program = TextIn(j, "program")};
  for (const Json& s : ListIn(j, "set")) p.set.push_back(s.text);
  const std::optional<SeedRange> seeds = ParseSeeds(Cat(CountIn(j, "first"), "..", CountIn(j, "last")));
  if (!seeds) return std::nullopt;
  p.seeds = *seeds;
  if (j.Find("decides") != nullptr) p.decides = CountIn(j, "decides");
  for (const Json& c : ListIn(j, "cases")) p.cases.push_back({TextIn(c, "name"), TextIn(c, "says"), TextIn(c, "input")});
  return p.cases.empty() ? std::nullopt : std::optional(std::move(p));
}

SweepMerge::SweepMerge(const SweepPlan& plan) : plan_(plan), cases_(plan.cases.size()) {}

void SweepMerge::Add(uint64_t seed, const std::vector<std::optional<Json>>& results) {
  bool all = true;
  for (size_t i = 0; i < cases_.size(); ++i) {
    if (results[i]) AddRun(seed, i, *results[i]);
    else all = false;
  }
  seeds_ran_ += all;
}

void SweepMerge::AddRun(uint64_t seed, size_t of_case, const Json& result) {
  CaseSum& sum = cases_[of_case];
  FailedRun bad{seed, of_case, {}, {}};
  for (const Json& claim : ListIn(result, "claims")) {
    const std::string says = TextIn(claim, "says");
    auto [it, fresh] = sum.by_name.emplace(says, sum.claims.size());
    if (fresh) {
      Json first = claim;
      if (!plan_.cases[of_case].name.empty()) first.At("case") = Json::Text(plan_.cases[of_case].name);
      sum.claims.emplace_back(first);
    }
    sum.claims[it->second].Add(seed, claim);
    if (TextIn(claim, "verdict") != "held") bad.claims.push_back(says);
  }
  const bool passed = TruthIn(result, "passed");
  for (const Json& n : ListIn(result, "notes")) bad.notes.push_back(n.text);
  bad_runs_ += !passed && (bad.claims.empty() || !bad.notes.empty());
  if (!passed) failed_.push_back(std::move(bad));
  ++sum.ran, ++ran_, sum.passed += passed;
  if (const Json* metrics = result.Find("metrics")) sum.metrics.Add(*metrics);
  for (const char* key : {"sim_seconds", "wall_seconds"}) sums_[key] += MicroIn(result, key);
  for (const char* key : {"events", "packets", "bytes", "drops"}) sums_[key] += int64_t(CountIn(result, key));
  hosts_ = std::max(hosts_, CountIn(result, "hosts")), rss_ = std::max(rss_, CountIn(result, "peak_rss_bytes"));
  version_ = TextIn(result, "version");
  fingerprints_[{seed, of_case}] = TextIn(result, "fingerprint");
}

void SweepMerge::AddBroken(uint64_t seed, size_t of_case, const std::string& why) {
  ++broken_;
  failed_.push_back({seed, of_case, {}, {why}, true});
}

Json SweepMerge::Result(bool interrupted) {
  std::sort(failed_.begin(), failed_.end(), [](const FailedRun& a, const FailedRun& b) { return std::pair(a.seed, a.of_case) < std::pair(b.seed, b.of_case); });
  const uint64_t missing = plan_.runs() - ran_ - broken_;
  const bool decides = plan_.decides && seeds_ran_ >= *plan_.decides;
  bool passed = ran_ > 0 && missing == 0 && broken_ == 0 && bad_runs_ == 0 && !interrupted;
  Json claims = JsonList({}), cases = JsonList({}), failing = JsonList({}), notes = JsonList({});
  for (size_t i = 0; i < cases_.size(); ++i) {
    const CaseSum& sum = cases_[i];
    for (const ClaimSum& c : sum.claims) {
      claims.items.push_back(c.ToJson());
      const std::string verdict = TextIn(claims.items.back(), "verdict");
      passed = passed && verdict != "failed" && (verdict == "held" || !decides);
    }
    if (plan_.whole()) continue;
    Json k = Json::Object();
    k.At("name") = Json::Text(plan_.cases[i].name), k.At("says") = Json::Text(plan_.cases[i].says);
    k.At("ran") = JsonNumber(sum.ran), k.At("passed") = JsonNumber(sum.passed);
    k.At("metrics") = sum.metrics.ToJson(), k.At("spread") = sum.metrics.Spread();
    cases.items.push_back(std::move(k));
  }
  for (const FailedRun& f : failed_) {
    if (failing.items.size() == kFailingMax) break;
    const std::string& name = plan_.cases[f.of_case].name;
    Json k = Json::Object();
    k.At("seed") = JsonNumber(f.seed);
    if (!name.empty()) k.At("case") = Json::Text(name);
    k.At("dir") = Json::Text(name.empty() ? Cat("seeds/", f.seed) : Cat("seeds/", f.seed, "/cases/", reports::CaseFolder(name)));
    k.At("claims") = JsonList(f.claims);
    if (!f.notes.empty()) k.At("notes") = JsonList(f.notes);
    if (f.broken) k.At("broken") = JsonBool(true);
    k.At("replay") = Json::Text(CommandText("sim", plan_.scenario, f.seed, name, plan_.set));
    failing.items.push_back(std::move(k));
  }
  if (broken_ > 0) notes.items.push_back(Json::Text(Cat(broken_, broken_ == 1 ? " run" : " runs", " ended without a result")));
  if (bad_runs_ > 0) notes.items.push_back(Json::Text(Cat(bad_runs_, bad_runs_ == 1 ? " run" : " runs", " failed beside the claims: see the failing seeds")));
  if (missing > 0) notes.items.push_back(Json::Text(Cat(missing, " of ", plan_.runs(), " runs are not there yet")));

  Digest digest;
  for (const auto& [run, fingerprint] : fingerprints_) digest.Add(run.first), digest.Add(uint64_t(run.second)), digest.Add(AsBytes(fingerprint));
  Json j = Json::Object(), sweep = Json::Object();
  j.At("schema") = Json::Text("orchard.result/1"), j.At("scenario") = Json::Text(plan_.scenario);
  j.At("name") = Json::Text(plan_.name), j.At("says") = Json::Text(plan_.says), j.At("seed") = JsonNumber(plan_.seeds.first);
  j.At("version") = Json::Text(version_.empty() ? std::string(kVersion) : version_), j.At("host") = Json::Text("ns3");
  j.At("passed") = JsonBool(passed);
  if (interrupted) j.At("interrupted") = JsonBool(true);
  j.At("fingerprint") = Json::Text(digest.hex()), j.At("program") = Json::Text(plan_.program);
  std::string replay = Cat("orchard sweep ", ShellWord(plan_.scenario), " --seeds ", plan_.seeds.text());
  for (const std::string& s : plan_.set) replay += Cat(" --set ", ShellWord(s));
  j.At("replay") = Json::Text(replay);
  j.At("hosts") = JsonNumber(hosts_);
  for (const char* key : {"sim_seconds", "wall_seconds"}) j.At(key) = JsonMicro(sums_[key]);
  for (const char* key : {"events", "packets", "bytes", "drops"}) j.At(key) = JsonNumber(uint64_t(sums_[key]));
  j.At("peak_rss_bytes") = JsonNumber(rss_);
  j.At("claims") = std::move(claims);
  if (plan_.whole()) j.At("metrics") = cases_[0].metrics.ToJson();
  j.At("notes") = std::move(notes);
  sweep.At("seeds") = Json::Text(plan_.seeds.text()), sweep.At("first") = JsonNumber(plan_.seeds.first), sweep.At("last") = JsonNumber(plan_.seeds.last);
  sweep.At("ran") = JsonNumber(seeds_ran_), sweep.At("runs") = JsonNumber(ran_), sweep.At("missing") = JsonNumber(missing), sweep.At("broken") = JsonNumber(broken_);
  if (plan_.decides) sweep.At("decides") = JsonNumber(*plan_.decides);
  sweep.At("undecided_fails") = JsonBool(decides);
  if (plan_.whole()) sweep.At("spread") = cases_[0].metrics.Spread();
  else sweep.At("cases") = std::move(cases);
  sweep.At("failed_runs") = JsonNumber(failed_.size()), sweep.At("failing") = std::move(failing);
  j.At("sweep") = std::move(sweep);
  return j;
}

}  // namespace orchard::sim
