// The forest against scikit-learn's: tests/vectors/forest.json, of forest.py beside it.

#include "node/guard/forest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

namespace orchard::guard {
namespace {

using json = nlohmann::json;
using Samples = std::vector<Forest::Sample>;

// Ranks, equals sharing theirs; twice, so that they are whole.
std::vector<int64_t> Ranks(const std::vector<int64_t>& values) {
  std::vector<int64_t> out;
  for (int64_t v : values) {
    const auto less = std::count_if(values.begin(), values.end(), [&](int64_t x) { return x < v; });
    out.push_back(2 * less + std::count(values.begin(), values.end(), v) + 1);
  }
  return out;
}

// Spearman's rank correlation.
double Spearman(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  const std::vector<int64_t> x = Ranks(a), y = Ranks(b);
  const int64_t mean = int64_t(a.size()) + 1;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double p = double(x[i] - mean), q = double(y[i] - mean);
    xy += p * q, xx += p * p, yy += q * q;
  }
  return xy / std::sqrt(xx * yy);
}

struct Set {
  std::string name;
  Samples train, ask;
  std::vector<int64_t> scores;
};

std::vector<Set> Sets() {
  const json all = json::parse(std::ifstream(std::string(ORCHARD_SOURCE_DIR) + "/tests/vectors/forest.json"));
  std::vector<Set> out;
  for (const json& s : all.at("sets")) out.push_back({s.at("name"), s.at("train"), s.at("ask"), s.at("score_permille")});
  return out;
}

std::vector<int64_t> Scores(const Forest& forest, const Samples& ask) {
  std::vector<int64_t> out;
  for (const auto& x : ask) out.push_back(forest.Score(x));
  return out;
}

TEST(ForestTest, RanksAsScikitLearnDoes) {
  for (const Set& s : Sets()) {
    Forest forest;
    Rng rng = Rng::Named(1, "forest", s.name);
    forest.Train(s.train, rng);
    const std::vector<int64_t> ours = Scores(forest, s.ask);
    const double rank = Spearman(ours, s.scores);
    int64_t off = 0;
    for (size_t i = 0; i < ours.size(); ++i) off = std::max(off, std::abs(ours[i] - s.scores[i]));
    RecordProperty(s.name, std::to_string(rank) + ", at most " + std::to_string(off) + " permille apart");
    std::printf("%s: Spearman %.3f, at most %lld permille apart\n", s.name.c_str(), rank, static_cast<long long>(off));
    EXPECT_GE(rank, 0.95) << s.name;
    EXPECT_LE(off, 80) << s.name;
  }
}

TEST(ForestTest, WithSlackTheUsualRankAsBefore) {
  for (const Set& s : Sets()) {
    Forest forest(Forest::Sample{64, 8, 16, 4096, 16});
    Rng rng = Rng::Named(1, "forest", s.name);
    forest.Train(s.train, rng);
    const double rank = Spearman(Scores(forest, s.ask), s.scores);
    std::printf("%s: Spearman %.3f\n", s.name.c_str(), rank);
    EXPECT_GE(rank, 0.9) << s.name;
  }
}

TEST(ForestTest, WhatIsFarBeyondAllIsAnAnomalyOnlyWithSlack) {
  Samples train;
  Rng rng = Rng::Named(1, "pages", "");
  for (int i = 0; i < 100; ++i) {
    train.push_back({uint32_t(1 + rng.Below(40)), uint32_t(rng.Below(3)), uint32_t(8 + rng.Below(5)), uint32_t(rng.Below(500)), uint32_t(rng.Below(4))});
  }
  const Forest::Sample far = {8000, 200, 90, 900'000, 3000}, usual = train[7];
  Forest paper, ours(Forest::Sample{64, 8, 16, 4096, 16});
  EXPECT_EQ(ours.Score(far), Forest::kUntrained);
  paper.Train(train, rng), ours.Train(train, rng);
  EXPECT_LT(paper.Score(far), 800u);
  EXPECT_GT(ours.Score(far), 800u);
  EXPECT_LT(ours.Score(usual), 600u);
  EXPECT_LT(ours.Score({60, 4, 14, 3000, 8}), 800u);  // A little beyond is none.
}

TEST(ForestTest, TheSameSeedGivesTheSameScores) {
  const Set s = Sets().front();
  Forest a, b;
  Rng one = Rng::Named(5, "forest", ""), two = Rng::Named(5, "forest", "");
  a.Train(s.train, one), b.Train(s.train, two);
  EXPECT_EQ(Scores(a, s.ask), Scores(b, s.ask));
  EXPECT_EQ(one.Next(), two.Next());
}

TEST(ForestTest, EqualSamplesAndExtremesAreNoTrouble) {
  Forest forest(Forest::Sample{});
  Rng rng = Rng::Named(1, "forest", "");
  forest.Train(Samples(100, Forest::Sample{3, 3, 3, 3, 3}), rng);
  EXPECT_EQ(forest.Score({3, 3, 3, 3, 3}), 500u);
  Samples wide(100, Forest::Sample{});
  for (size_t i = 0; i < 50; ++i) wide[i].fill(UINT32_MAX);
  forest.Train(wide, rng);
  EXPECT_LE(forest.Score({UINT32_MAX, 0, UINT32_MAX, 0, 7}), 1000u);
}

}  // namespace
}  // namespace orchard::guard
