// Runs orchard-sim as its users do, in a folder of the test's own.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "sim/language/json_text.h"
#include "sim/language/text.h"

namespace orchard::sim {

inline const std::filesystem::path kProgram = std::filesystem::path(ORCHARD_BINARY_DIR) / "sim/orchard-sim";

struct Ran {
  int status = -1;
  std::string text;  // stdout and stderr.
};

class ProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kProgram)) FAIL() << kProgram << " is not built";
    dir_ = std::filesystem::temp_directory_path() / Cat("orchard-sim-test-", getpid());
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name) << text;
    return (dir_ / name).string();
  }
  std::string Read(const std::filesystem::path& file) {
    std::ifstream in(dir_ / file);
    std::stringstream s;
    s << in.rdbuf();
    return s.str();
  }
  Json ReadResult(const std::filesystem::path& file) {
    JsonError error;
    std::optional<Json> j = ParseJson(Read(file), 0, error);
    EXPECT_TRUE(j) << file;
    return j ? *j : Json::Object();
  }
  // `stop_at`: SIGINT once this has been printed. `environment`: NAME=value.
  Ran Run(std::vector<std::string> arguments, std::string_view stop_at = {}, std::vector<std::string> environment = {}) {
    int out[2];
    EXPECT_EQ(pipe(out), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      for (std::string& e : environment) putenv(e.data());
      dup2(out[1], 1), dup2(out[1], 2), close(out[0]), close(out[1]);
      std::vector<char*> argv = {const_cast<char*>("orchard-sim")};
      for (std::string& a : arguments) argv.push_back(a.data());
      argv.push_back(nullptr);
      if (chdir(dir_.c_str()) == 0) execv(kProgram.c_str(), argv.data());
      _exit(99);
    }
    close(out[1]);
    Ran ran;
    std::array<char, 4096> buffer;
    for (ssize_t n; (n = read(out[0], buffer.data(), buffer.size())) > 0;) {
      ran.text.append(buffer.data(), size_t(n));
      if (!stop_at.empty() && ran.text.find(stop_at) != std::string::npos) kill(pid, SIGINT), stop_at = {};
    }
    close(out[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ran;
  }
  // Four hosts; the claim holds unless `bound` is too low.
  static std::string Small(const std::string& bound, const std::string& more = "", const std::string& duration = "20s") {
    return Cat(R"({"says": "Small.", "seed": 3, "duration": ")", duration, R"(", "world": {"latency": "20ms"},
      "hosts": [{"id": "root", "count": 2, "region": "eu", "link": "datacenter", "node": {"dht": {"bootstrap": true}}},
                {"id": "p", "count": 2, "region": "eu", "link": "cable", "nat": "port-restricted"}],
      "claims": [{"says": "they join", "metric": "dht.bootstrap_ms", "of": "p", "max_at_most": ")", bound, R"(", "count_at_least": 2}])", more, "}");
  }
  static constexpr const char* kFailsWhen =
      R"(, "fails_when": [{"says": "UDP is blocked", "set": {"hosts.p.nat": "udp-blocked"}, "claim": "they join"}])";

  std::filesystem::path dir_;
};

}  // namespace orchard::sim
