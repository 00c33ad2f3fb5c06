// The house rules that a compiler does not check: layering, and what may not be named where.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
const fs::path kRoot = ORCHARD_SOURCE_DIR;

std::string Read(const fs::path& p) {
  std::ifstream in(p);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

std::vector<fs::path> Sources(const std::vector<std::string>& folders) {
  std::vector<fs::path> out;
  for (const std::string& f : folders) {
    for (const auto& e : fs::recursive_directory_iterator(kRoot / f)) {
      if (e.path().string().find("node_modules") != std::string::npos) continue;
      if (e.path().extension() == ".cc" || e.path().extension() == ".h") out.push_back(e.path());
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

// The folder of node/ that `relative` lies in; "node" for the composition root.
std::string Layer(const fs::path& relative) {
  auto it = relative.begin();
  if (it == relative.end() || *it != "node") return "";
  auto folder = std::next(it);
  return std::next(folder) == relative.end() ? "node" : folder->string();
}

TEST(TidyTest, AFolderIncludesOnlyTheLayersBelowIt) {
  // Lowest first, as docs/ARCHITECTURE.md lists them.
  const std::vector<std::string> order = {"base", "wire", "crypto", "store", "udx", "dht", "secret_stream", "protomux",
                                          "hyperdht", "swarm", "hypercore", "hyperbee", "hyperdrive", "autobase", "crdt",
                                          "tonk", "http", "http2", "pod", "guard", "cage", "sidecar", "node", "wasm", "cage_worker", "host", "apps"};
  auto rank = [&](const std::string& layer) { return std::find(order.begin(), order.end(), layer) - order.begin(); };
  const std::regex include("#include \"([^\"]+)\"");
  size_t seen = 0;
  for (const fs::path& p : Sources({"node"})) {
    fs::path relative = fs::relative(p, kRoot);
    std::string layer = Layer(relative), text = Read(p);
    ASSERT_LT(rank(layer), ptrdiff_t(order.size())) << relative << " is in no layer of the list";
    for (std::sregex_iterator it(text.begin(), text.end(), include), end; it != end; ++it) {
      fs::path target((*it)[1].str());
      if (target.begin()->string() == "absl") continue;
      ASSERT_EQ(target.begin()->string(), "node") << relative << " includes " << target;
      EXPECT_LE(rank(Layer(target)), rank(layer)) << relative << " includes " << target << ", which lies above it";
      ++seen;
    }
  }
  EXPECT_GT(seen, 50u);
}

TEST(TidyTest, TheSimulatorsFoldersStandOnEachOtherInOrder) {
  const std::vector<std::string> order = {"language", "world", "run", "sweep", "netns", "sim"};
  auto rank = [&](const fs::path& relative) {
    auto folder = std::next(relative.begin());
    return std::find(order.begin(), order.end(), std::next(folder) == relative.end() ? "sim" : folder->string()) - order.begin();
  };
  const std::regex include("#include \"(sim/[^\"]+)\"");
  size_t seen = 0;
  for (const fs::path& p : Sources({"sim"})) {
    fs::path relative = fs::relative(p, kRoot);
    std::string text = Read(p);
    ASSERT_LT(rank(relative), ptrdiff_t(order.size())) << relative;
    for (std::sregex_iterator it(text.begin(), text.end(), include), end; it != end; ++it, ++seen) {
      EXPECT_LE(rank((*it)[1].str()), rank(relative)) << relative << " includes " << (*it)[1];
    }
  }
  EXPECT_GT(seen, 50u);
}

TEST(TidyTest, NothingInTheNodeAsksForTimeChanceOrFloatingPoint) {
  const std::vector<std::pair<std::string, std::string>> banned = {
      {R"(\bdouble\b|\bfloat\b)", "floating point"},
      {R"(#include <cmath>|#include <math\.h>|std::(log|exp|pow|sqrt)\()", "libm"},
      {R"(_clock::now|\btime\(nullptr\)|clock_gettime|gettimeofday)", "a clock"},
      {R"(std::random_device|std::mt19937|\brand\(\)|randombytes_buf|randombytes_uniform|randombytes_random)", "OS randomness"},
      {R"(crypto_(?!\w*seed_keypair\b)\w+_keypair\b|crypto_\w+_keygen\b|_init_push\b|crypto_box_seal\b)", "a libsodium function that draws inside"},
      {R"(std::thread|std::mutex|std::async|std::condition_variable|#include <atomic>)", "a thread"},
      {R"(std::shared_ptr|std::make_shared)", "shared ownership"},
      {R"(\bco_await\b|\bco_return\b)", "a coroutine"},
      {R"(is_simulated|ORCHARD_SIM\b)", "knowledge of the simulator"},
      {R"(#include "ns3/|#include <ns3/)", "ns-3"},
      {R"(std::function<)", "a stored callback"}};
  for (const fs::path& p : Sources({"node"})) {
    fs::path relative = fs::relative(p, kRoot);
    std::string layer = Layer(relative);
    if (layer == "host" || layer == "apps" || layer == "wasm" || layer == "cage_worker") continue;
    std::stringstream lines(Read(p));
    std::string line;
    for (int n = 1; std::getline(lines, line); ++n) {
      std::string code = line.substr(0, line.find("//"));
      for (const auto& [pattern, what] : banned) {
        EXPECT_FALSE(std::regex_search(code, std::regex(pattern))) << relative.string() << ":" << n << ": " << what << ": " << line;
      }
    }
  }
}

TEST(TidyTest, DecisionsOfTheSimulatorUseNoLibm) {
  for (const fs::path& p : Sources({"sim"})) {
    EXPECT_FALSE(std::regex_search(Read(p), std::regex(R"(#include <cmath>|#include <math\.h>|std::random_device|std::mt19937)"))) << p;
  }
}

TEST(TidyTest, OnlyTheSimulatorSeesNs3) {
  for (const fs::path& p : Sources({"node", "reports"})) {
    EXPECT_EQ(Read(p).find("ns3"), std::string::npos) << p;
  }
}

TEST(TidyTest, NoSourceFilePassesSixHundredLines) {
  for (const fs::path& p : Sources({"node", "sim", "reports", "bench", "tests"})) {
    std::string text = Read(p);
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 600) << p << " has a second idea in it";
  }
}

TEST(TidyTest, WhatConformanceNamesExists) {
  std::set<std::string> suites, tests;
  const std::regex definition(R"(TEST(?:_F|_P)?\((\w+),\s*(\w+)\))");
  for (const fs::path& p : Sources({"tests"})) {
    std::string text = Read(p);
    for (std::sregex_iterator it(text.begin(), text.end(), definition), end; it != end; ++it) {
      suites.insert((*it)[1]), tests.insert((*it)[1].str() + "." + (*it)[2].str());
    }
  }
  const std::regex named(R"(`(\w+Test)\.(\w+|\*)`)");
  std::string page = Read(kRoot / "docs/CONFORMANCE.md");
  size_t seen = 0;
  for (std::sregex_iterator it(page.begin(), page.end(), named), end; it != end; ++it, ++seen) {
    std::string suite = (*it)[1], test = (*it)[2];
    EXPECT_TRUE(test == "*" ? suites.count(suite) == 1 : tests.count(suite + "." + test) == 1) << suite << "." << test;
  }
  EXPECT_GT(seen, 30u);
}

TEST(TidyTest, EveryFolderSaysWhatItIsInThirtyLines) {
  std::set<fs::path> folders;
  for (const fs::path& p : Sources({"node", "sim", "reports", "bench"})) folders.insert(p.parent_path());
  folders.insert({kRoot / "scenarios", kRoot / "tests", kRoot / "docs"});
  for (const fs::path& f : folders) {
    ASSERT_TRUE(fs::exists(f / "README.md")) << f << " has no README.md";
    std::string text = Read(f / "README.md");
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 30) << f;
  }
}

}  // namespace
