// Whole runs of the program on the kernel host: what it refuses, what it finds, what it leaves behind.

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/language/json_text.h"
#include "tests/netns/lab.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace orchard::sim {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string Read(const fs::path& p) {
  std::ifstream in(p);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

class RunTest : public KernelTest {
 protected:
  struct Said {
    int status = 0;
    std::string text;
  };
  // `orchard-sim ARGUMENTS`; a run takes as long as its scenario.
  Said Sim(const std::string& arguments, const std::string& before = "") {
    const std::string log = dir_ / "said", command = before + " " + ORCHARD_BINARY_DIR "/sim/orchard-sim " + arguments + " >" + log + " 2>&1";
    const int status = std::system(command.c_str());
    return {WEXITSTATUS(status), Read(log)};
  }
  std::string Scenario(const std::string& text) {
    const std::string file = dir_ / "s.json";
    std::ofstream(file) << text;
    return file;
  }
  Json Result(const std::string& run) {
    JsonError error;
    return ParseJson(Read(dir_ / run + "/result.json"), 0, error).value();
  }
  const std::string dht_ = ORCHARD_SOURCE_DIR "/tests/netns/dht.json";
  TempDir dir_;
};

TEST_F(RunTest, DaemonsInTheKernelComeToWhatTheSimulatorFinds) {
  const Said s = Sim("sim " + dht_ + " --compare --case dht --out " + dir_ / "run");
  EXPECT_EQ(s.status, 0) << s.text;
  EXPECT_THAT(s.text, HasSubstr("ns3 and netns came to the same in 10 of 10 answers"));
  EXPECT_THAT(s.text, HasSubstr("on netns 6 of 6 claims held in 1 case"));
  const Json r = Result("run");
  EXPECT_EQ(r.Find("compared")->Find("differ")->text, "0");
  EXPECT_EQ(r.Find("compared")->Find("same")->text, "10");
}

TEST_F(RunTest, AClaimThatFailsInTheKernelFailsTheRun) {
  const Said s = Sim("sim " + dht_ + " --host netns --case dht --out " + dir_ / "run --set 'claims[\"and soon\"].p95_at_most=1us' --set hosts.home.nat=udp-blocked --set timeline.shop.fails=maybe --set timeline.look.fails=maybe --set timeline.again.fails=maybe");
  EXPECT_EQ(s.status, 1) << s.text;
  EXPECT_THAT(s.text, HasSubstr("FAILED    the shop is found"));
  EXPECT_THAT(s.text, HasSubstr("--host netns"));  // How to replay it.
}

TEST_F(RunTest, JavaScriptPeersTakePartInTheirNamespaces) {
  const Said s = Sim("sim " + dht_ + " --host netns --case 'dht (js at home)' --out " + dir_ / "run");
  EXPECT_EQ(s.status, 0) << s.text;
  EXPECT_THAT(s.text, HasSubstr("6 of 6 claims held"));
}

TEST_F(RunTest, CasesWithJavaScriptPeersAreNotRunInTheSimulatorAndSaidToBe) {
  const Said s = Sim("sim " + dht_ + " --out " + dir_ / "run");
  EXPECT_EQ(s.status, 0) << s.text;
  EXPECT_THAT(s.text, HasSubstr("not on ns3, for their hosts run the JavaScript peer: dht (js at home)"));
  const Said none = Sim("sim " + dht_ + " --case 'dht (js*' --out " + dir_ / "none");
  EXPECT_EQ(none.status, 2);
  EXPECT_THAT(none.text, HasSubstr("only --host netns has"));
}

TEST_F(RunTest, WhatTheKernelCannotDoIsRefusedByNameBeforeAnythingStarts) {
  const std::string file = Scenario(R"({"says": "x", "duration": "5s", "hosts": [{"id": "a", "nat": "symmetric-sequential"}, {"id": "b", "nat": {"like": "symmetric", "hairpin": true}}],
    "claims": [{"metric": "link.drops", "count_at_most": 5}]})");
  const Said s = Sim("sim " + file + " --host netns --out " + dir_ / "run");
  EXPECT_EQ(s.status, 2);
  EXPECT_THAT(s.text, HasSubstr("hosts.a.nat: the kernel host cannot do symmetric-sequential"));
  const Said more = Sim("sim " + file + " --host netns --set hosts.a.nat=open --out " + dir_ / "run");
  EXPECT_EQ(more.status, 2);
  EXPECT_THAT(more.text, testing::AllOf(HasSubstr("hosts.b.nat: the kernel host cannot do a wider filter, or hairpin"), HasSubstr("link.drops (only the simulator sees it)")));
  EXPECT_FALSE(fs::exists(dir_ / "run"));
  EXPECT_EQ(Sim("sim " + file + " --host netns --check").status, 2);
}

TEST_F(RunTest, AMachineThatMayNotMakeNamespacesIsToldSo) {
  const Said s = Sim("sim " + dht_ + " --host netns --case dht --out " + dir_ / "run", "setpriv --bounding-set -sys_admin --inh-caps -sys_admin");
  EXPECT_EQ(s.status, 3) << s.text;
  EXPECT_THAT(s.text, HasSubstr("cannot make a network namespace: Operation not permitted"));
}

// The worker's data lies in a directory of its name.
std::vector<fs::path> Folders() {
  std::vector<fs::path> out;
  for (const fs::directory_entry& e : fs::directory_iterator(fs::temp_directory_path())) {
    if (e.path().filename().string().starts_with("orchard-netns-")) out.push_back(e.path());
  }
  return out;
}
pid_t PidOf(const fs::path& folder) { return std::stoi(folder.filename().string().substr(14)); }

// Processes that name the folder, but for zombies.
size_t Processes(const fs::path& folder) {
  size_t n = 0;
  for (const fs::directory_entry& e : fs::directory_iterator("/proc")) {
    n += Read(e.path() / "cmdline").find(folder.string()) != std::string::npos;
  }
  return n;
}
template <class Condition>
bool Soon(Condition c) {
  for (const Instant end = host::BootNow() + Process::kBound; host::BootNow() < end; poll(nullptr, 0, 20)) {
    if (c()) return true;
  }
  return false;
}

TEST_F(RunTest, NothingOutlivesARunThatIsKilled) {
  const std::vector<fs::path> before = Folders();
  fs::path folder;
  {
    Process run({ORCHARD_BINARY_DIR "/sim/orchard-sim", "sim", dht_, "--host", "netns", "--case", "dht", "--out", dir_ / "run"});
    ASSERT_TRUE(Soon([&] {
      for (const fs::path& f : Folders()) {
        if (std::find(before.begin(), before.end(), f) == before.end()) folder = f;
      }
      return !folder.empty() && Processes(folder) >= 10;
    }));
    run.Signal(SIGKILL);  // Not even its worker hears of it in time.
    run.Wait();
  }
  EXPECT_TRUE(Soon([&] { return Processes(folder) == 0; }));
  EXPECT_TRUE(Soon([&] { return kill(PidOf(folder), 0) != 0; }));
  // Its directory goes with the next run.
  EXPECT_TRUE(fs::exists(folder));
  Process next({ORCHARD_BINARY_DIR "/sim/orchard-sim", "sim", dht_, "--host", "netns", "--case", "dht", "--out", dir_ / "next"});
  EXPECT_TRUE(Soon([&] { return !fs::exists(folder); }));
  fs::path second;
  ASSERT_TRUE(Soon([&] {
    for (const fs::path& f : Folders()) {
      if (std::find(before.begin(), before.end(), f) == before.end()) second = f;
    }
    return !second.empty() && Processes(second) >= 10;
  }));
  next.Signal(SIGINT);
  EXPECT_EQ(next.Wait(), 1);
  EXPECT_THAT(next.out(), HasSubstr("interrupted: a partial result"));
  EXPECT_EQ(Processes(second), 0u);
  EXPECT_FALSE(fs::exists(second));
}

}  // namespace
}  // namespace orchard::sim
