// What a right file becomes: typed values in base form, cases, matrices, includes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/language/loader.h"
#include "sim/language/plan.h"

namespace orchard::sim {
namespace {

using testing::ElementsAre;

Suite Load(const std::string& text, LoadOptions options = {}) {
  std::vector<LoadError> errors;
  Sources sources;
  std::optional<Suite> suite = LoadScenarioFromText(text, "x.json", options, errors, sources);
  EXPECT_TRUE(suite) << RenderErrors(errors, sources);
  return suite ? *suite : Suite{};
}
Scenario Case(const Suite& suite, std::string_view name, const FailsWhen* proof = nullptr) {
  std::vector<LoadError> errors;
  for (const CaseWords& k : suite.cases) {
    if (k.name == name) return *BuildCase(suite, k, proof, errors);
  }
  ADD_FAILURE() << "no case " << name;
  return {};
}
std::string Base(const std::string& more) {
  return R"({"says": "x", "duration": "60s", "hosts": [{"id": "a", "nat": "cgn"}, {"id": "b", "count": 2}], )" + more + "}";
}

TEST(LoaderCasesTest, BoundsAreInMillionthsOfTheMetricsUnit) {
  Scenario s = Case(Load(Base(R"("claims": [
    {"says": "ms", "metric": "dht.lookup_ms", "p99.9_at_most": "1.5s", "mean_at_most": 900, "count_at_least": 3},
    {"says": "ratio", "metric": "dht.lookup.ok", "ratio_at_least": 0.99},
    {"says": "gauge", "metric": "dht.table.nodes", "at": "end", "at_least": 20},
    {"says": "counter", "metric": "link.bytes", "at_most": "2MiB"},
    {"cost": "bytes_per_host", "at_most": "1KiB"}])")), "");
  ASSERT_EQ(s.claims.size(), 5u);
  EXPECT_EQ(s.claims[0].bounds[0].value_micro, 1'500'000'000);
  EXPECT_EQ(s.claims[0].bounds[0].quantile_ppm, 999'000u);
  EXPECT_EQ(s.claims[0].bounds[1].value_micro, 900'000'000);
  EXPECT_EQ(s.claims[0].bounds[2].value_micro, 3'000'000);
  EXPECT_EQ(s.claims[1].bounds[0].value_micro, 990'000);
  EXPECT_EQ(s.claims[2].bounds[0].stat, Bound::Stat::kLast);
  EXPECT_EQ(s.claims[3].bounds[0].stat, Bound::Stat::kTotal);
  EXPECT_EQ(s.claims[3].bounds[0].value_micro, 2'097'152'000'000);
  EXPECT_EQ(s.claims[4].bounds[0].value_micro, 1'024'000'000);
  EXPECT_EQ(s.claims[4].says, "bytes_per_host at_most 1KiB");
}

TEST(LoaderCasesTest, EntriesAreTyped) {
  Scenario s = Case(Load(Base(R"("timeline": [
    {"at": {"between": ["1s", "2s"]}, "who": "b", "do": "dht.announce", "with": {"topic": "t"}, "spread": "5s", "as": "open"},
    {"every": {"exp": "2s"}, "from": "10s", "times": 8, "arrivals": "bursts:20", "loop": "closed", "who": "a", "do": "info"},
    {"at": "1s after open.end", "on": "a", "do": "nat-remap", "with": {"ports": 0.5, "address": "new"}, "as": "remap"},
    {"when": {"event": "dht.bootstrapped", "of": "b", "count": "all"}, "as": "grown"},
    {"at": "9s", "who": "a", "do": "dht.get", "with": {"key": "$open.key"}, "fails": "ERR_NOT_FOUND"},
    {"at": "grown", "do": "partition", "with": {"groups": [["a"], ["b"]]}, "for": "10s", "as": "cut"}])")), "");
  EXPECT_EQ(s.timeline[0].when, Entry::When::kAtDraw);
  EXPECT_TRUE(s.timeline[0].standing);
  EXPECT_EQ(s.timeline[0].spread, std::chrono::seconds(5));
  EXPECT_EQ(s.timeline[1].every.kind, Draw::Kind::kExp);
  EXPECT_EQ(s.timeline[1].burst, 20u);
  EXPECT_TRUE(s.timeline[1].closed_loop);
  EXPECT_EQ(s.timeline[1].fails, Entry::Fails::kMaybe);
  EXPECT_EQ(s.timeline[2].fault.share_ppm, 500'000u);
  EXPECT_TRUE(s.timeline[2].fault.new_ip);
  EXPECT_EQ(s.timeline[2].at.kind, Moment::Kind::kEntryEnd);
  EXPECT_TRUE(s.timeline[3].condition.count_all);
  EXPECT_EQ(s.timeline[4].fails_code, "ERR_NOT_FOUND");
  EXPECT_EQ(s.timeline[5].fault.groups.size(), 2u);
  EXPECT_EQ(s.timeline[5].lasts->a, 10'000'000'000);
}

TEST(LoaderCasesTest, ACaseChangesWhatItNamesAndNullRemoves) {
  Suite suite = Load(Base(R"("timeline": [{"at": "1s", "on": "a", "do": "kill", "as": "death"}],
    "cases": [{"name": "plain"}, {"name": "other", "says": "why", "set": {"hosts.a.nat": null, "hosts.b.node.dht.persistent": true, "timeline.death.do": "stop", "world.loss": "2%"}},
              {"name": "none", "set": {"timeline.death": null, "hosts.a": null}}])"));
  EXPECT_EQ(Case(suite, "plain").hosts[0].nat->of[0][0].spec.preset, "cgn");
  Scenario other = Case(suite, "other");
  EXPECT_FALSE(other.hosts[0].nat.has_value());
  EXPECT_EQ(other.hosts[1].config_json, R"({"dht":{"persistent":true}})");
  EXPECT_EQ(other.timeline[0].fault.kind, FaultKind::kStop);
  EXPECT_EQ(other.world.loss_ppm, 20'000u);
  EXPECT_EQ(other.case_says, "why");
  EXPECT_TRUE(Case(suite, "none").timeline.empty());
  EXPECT_EQ(Case(suite, "none").hosts.size(), 1u);
  EXPECT_NE(other.config_digest, Case(suite, "plain").config_digest);
}

TEST(LoaderCasesTest, AClaimOfOtherCasesMaySpeakOfWhatThisOneTookAway) {
  const std::string file = R"("timeline": [{"at": "1s", "on": "a", "do": "kill", "as": "death"}],
    "claims": [{"says": "c", "event": "dht.bootstrapped", "of": "b", "since": "%s", "by": "6s after death", "in": "killed"}],
    "cases": [{"name": "killed"}, {"name": "none", "set": {"timeline.death": null}}])";
  auto with = [&](const char* since) { std::string s = file; return Base(s.replace(s.find("%s"), 2, since)); };
  Suite suite = Load(with("death"));
  EXPECT_EQ(Case(suite, "killed").claims.size(), 1u);
  EXPECT_TRUE(Case(suite, "none").claims.empty());
  std::vector<LoadError> errors;
  Sources sources;
  EXPECT_FALSE(LoadScenarioFromText(with("deth"), "x.json", {}, errors, sources)) << "wrong where it is asked";
}

TEST(LoaderCasesTest, TheCommandLineIsTheSameAndComesAfterTheCase) {
  Suite suite = Load(Base(R"("claims": [{"says": "c", "metric": "dht.lookup_ms", "p50_at_most": 1}], "cases": [{"name": "x", "set": {"hosts.a.nat": "symmetric"}}],
    "fails_when": [{"says": "w", "set": {"hosts.a.nat": "full-cone"}, "claim": "c"}])"),
                     {.set = {"hosts.a.nat=open", "duration=2min", "claims[\"c\"].p50_at_most=7"}});
  Scenario s = Case(suite, "x");
  EXPECT_TRUE(s.hosts[0].nat->of[0].empty());
  EXPECT_EQ(s.duration, std::chrono::minutes(2));
  EXPECT_EQ(s.claims[0].bounds[0].value_micro, 7'000'000);
  EXPECT_EQ(Case(suite, "x", &suite.fails_when[0]).hosts[0].nat->of[0][0].spec.preset, "full-cone");
}

TEST(LoaderCasesTest, AMatrixIsACasePerCell) {
  Suite suite = Load(Base(R"("matrix": {"rows": {"hosts.a.nat": ["open", ["port-restricted", "cgn"]]}, "columns": {"hosts.b.nat": ["cgn", "symmetric"]},
    "key": {"P": "punched", "R": "relayed"}, "cells": ["PP", "PR"]}, "cases": [{"name": "own"}],
    "claims": [{"says": "c", "metric": "dht.lookup_ms", "p50_at_most": 1, "in": "*|symmetric"}])"));
  std::vector<std::string> names;
  for (const CaseWords& k : suite.cases) names.push_back(k.name);
  EXPECT_THAT(names, ElementsAre("open|cgn", "open|symmetric", "port-restricted+cgn|cgn", "port-restricted+cgn|symmetric", "own"));
  Scenario s = Case(suite, "port-restricted+cgn|symmetric");
  EXPECT_EQ(s.cell, "relayed");
  EXPECT_EQ(s.row, "port-restricted+cgn");
  EXPECT_EQ(s.hosts[0].nat->of[0].size(), 2u);
  EXPECT_EQ(s.claims.size(), 1u);
  EXPECT_TRUE(Case(suite, "own").claims.empty());
  EXPECT_TRUE(Case(suite, "open|cgn").claims.empty());
}

TEST(LoaderCasesTest, AnIncludedFileIsAPlaceAndThisFileWins) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "loader_include";
  fs::create_directories(folder / "lib");
  std::ofstream(folder / "lib/place.json") << R"({"world": {"loss": "1%", "jitter": "5%", "nats": {"odd": {"like": "cgn"}}}, "hosts": [{"id": "boot"}, {"id": "b", "nat": "odd"}]})";
  std::ofstream(folder / "main.json") << R"({"says": "x", "duration": "60s", "include": ["lib/place.json"], "world": {"loss": "2%"}, "hosts": [{"id": "b", "nat": "open"}, {"id": "c", "nat": "odd"}]})";
  std::vector<LoadError> errors;
  Sources sources;
  std::optional<Suite> suite = LoadScenario((folder / "main.json").string(), {}, errors, sources);
  ASSERT_TRUE(suite) << RenderErrors(errors, sources);
  Scenario s = Case(*suite, "");
  ASSERT_EQ(s.hosts.size(), 3u);
  EXPECT_EQ(s.hosts[0].id, "boot");
  EXPECT_TRUE(s.hosts[1].nat->of[0].empty());
  EXPECT_EQ(s.world.loss_ppm, 20'000u);
  EXPECT_EQ(s.world.jitter_ppm, 50'000u);

  std::ofstream(folder / "lib/place.json") << "{\n\"claims\": []}";
  EXPECT_FALSE(LoadScenario((folder / "main.json").string(), {}, errors, sources));
  EXPECT_NE(RenderErrors(errors, sources).find("lib/place.json:2:1: claims: found \"claims\" in an included file"), std::string::npos) << RenderErrors(errors, sources);
  fs::remove_all(folder);
}

TEST(LoaderCasesTest, ALongestReadingOfHostileTextEnds) {
  std::string many = "{\"says\": \"x\", \"hosts\": [";
  for (int i = 0; i < 3000; ++i) many += std::string(i ? "," : "") + "{\"id\": \"h" + std::to_string(i) + "\", \"nat\": \"q" + std::to_string(i) + "\"}";
  std::vector<LoadError> errors;
  Sources sources;
  EXPECT_FALSE(LoadScenarioFromText(many + "]}", "x.json", {}, errors, sources));
  EXPECT_LT(RenderErrors(errors, sources).size(), 20'000u);
}

TEST(LoaderCasesTest, NoBrokenFileBreaksTheLoader) {
  std::ifstream in(std::string(ORCHARD_SOURCE_DIR) + "/scenarios/first-light.json");
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  ASSERT_GT(whole.size(), 1000u);
  Rng rng = Rng::Named(1, "mutations", "");
  const char* rounds = std::getenv("ORCHARD_MUTATIONS");
  size_t refused = 0, read = 0;
  for (int i = 0; i < (rounds == nullptr ? 300 : std::atoi(rounds)); ++i) {
    std::string text = whole;
    for (uint64_t n = 1 + rng.Below(3); n > 0; --n) {
      const size_t at = rng.Below(text.size()), length = rng.Below(12), from = rng.Below(text.size());
      if (rng.Chance(1, 3)) text[at] = char(rng.Below(256));
      else if (rng.Chance(1, 2)) text.erase(at, length);
      else text.insert(at, whole.substr(from % whole.size(), length));  // Its own words, where they do not belong.
    }
    std::vector<LoadError> errors;
    Sources sources;
    std::optional<Suite> suite = LoadScenarioFromText(text, "m.json", {}, errors, sources);
    EXPECT_EQ(suite.has_value(), errors.empty());
    EXPECT_EQ(RenderErrors(errors, sources).empty(), suite.has_value());
    if (!suite) {
      ++refused;
      continue;
    }
    ++read;
    Expand(*BuildCase(*suite, suite->cases[0], errors), 1);
  }
  EXPECT_GT(refused, 50u);
  EXPECT_GT(read, 5u);
}

}  // namespace
}  // namespace orchard::sim
