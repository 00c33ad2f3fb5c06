// `orchard pipe` between two daemons of this machine, as shells use it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace orchard {
namespace {

using testing::HasSubstr;

class PipeTest : public testing::Test {
 protected:
  PipeTest() {
    root_ = Node("root", {"--set", "dht.bootstrap=true", "--set", "dht.nodes="});
    const std::string info = Ask("root", "info");
    const size_t at = info.find("\"address\":\"") + 11;
    const std::string roots = "dht.nodes=[\"" + info.substr(at, info.find('"', at) - at) + "\"]";
    near_ = Node("near", {"--set", roots}), far_ = Node("far", {"--set", roots});
    const std::string key = Ask("far", "info");
    key_ = key.substr(key.find("\"key\":\"") + 7, 64);
  }
  std::unique_ptr<Process> Node(const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> command = {ORCHARD_PROGRAM, "node", "--data", dir_ / name, "--set", "dht.host=127.0.0.1", "--set", "dht.port=0"};
    command.insert(command.end(), more.begin(), more.end());
    auto node = std::make_unique<Process>(command);
    EXPECT_TRUE(node->WaitForError("host.started")) << node->err();
    return node;
  }
  std::string Ask(const std::string& name, const std::string& operation) {
    Process p({ORCHARD_PROGRAM, operation, "--json", "--no-start", "--data", dir_ / name});
    EXPECT_EQ(p.Wait(), 0) << p.err();
    return p.out();
  }
  std::unique_ptr<Process> Shell(const std::string& script) {
    return std::make_unique<Process>(std::vector<std::string>{"/bin/sh", "-c", script}, Process::Options{.environment = {"PATH=/usr/bin:/bin"}});
  }
  // Of its connections, of which there are `count`; nothing before there are so many.
  std::optional<int64_t> Received(const std::string& name, int count) {
    const std::string said = Ask(name, "connections");
    if (said.find("\"count\":" + std::to_string(count)) == said.npos) return std::nullopt;
    const size_t at = said.find("\"received\":");
    return at == said.npos ? 0 : std::stoll(said.substr(at + 11));
  }
  bool Until(const std::function<bool()>& done) {
    const Instant end = host::BootNow() + Process::kBound;
    while (host::BootNow() < end) {
      if (done()) return true;
    }
    return false;
  }
  int64_t DescriptorsOf(pid_t pid) {
    const std::filesystem::directory_iterator fds("/proc/" + std::to_string(pid) + "/fd");
    return std::distance(begin(fds), end(fds));
  }

  const std::string program_ = ORCHARD_PROGRAM;
  TempDir dir_;
  std::unique_ptr<Process> root_, near_, far_;
  std::string key_;
};

TEST_F(PipeTest, WhatGoesInComesOutAndBothEnd) {
  const auto taking = Shell(program_ + " pipe --data " + dir_ / "far" + " < /dev/null | sha256sum");
  ASSERT_TRUE(taking->WaitForError("listening  key=" + key_)) << taking->err();
  const auto giving = Shell("seq 2000000 | " + program_ + " pipe " + key_ + " --data " + dir_ / "near" + " > /dev/null");
  EXPECT_EQ(giving->Wait(), 0) << giving->err();
  EXPECT_EQ(taking->Wait(), 0) << taking->err();
  const auto right = Shell("seq 2000000 | sha256sum");
  EXPECT_EQ(right->Wait(), 0);
  EXPECT_EQ(taking->out(), right->out());
}

TEST_F(PipeTest, KillingTheCommandLineInTheMiddleFreesEverything) {
  const int64_t fds = DescriptorsOf(near_->pid());
  const auto taking = Shell(program_ + " pipe --data " + dir_ / "far" + " < /dev/null > /dev/null");
  ASSERT_TRUE(taking->WaitForError("listening")) << taking->err();
  Process giving({"/bin/sh", "-c", "exec " + program_ + " pipe " + key_ + " --data " + dir_ / "near" + " < /dev/zero > /dev/null"});
  ASSERT_TRUE(Until([&] { return Received("far", 1) > 50'000'000; })) << Ask("far", "connections") << giving.err();
  const Instant killed = host::BootNow();
  giving.Signal(SIGKILL);
  EXPECT_TRUE(Until([&] { return Received("near", 0).has_value(); }));
  EXPECT_TRUE(Until([&] { return Received("far", 0).has_value(); }));
  printf("freed after %ld ms, most of it two calls of the command line\n", ToMillis(host::BootNow() - killed));
  // The command line that asked just now may not be forgotten yet.
  EXPECT_TRUE(Until([&] { return DescriptorsOf(near_->pid()) == fds; })) << DescriptorsOf(near_->pid()) << " against " << fds;
  EXPECT_EQ(giving.Wait(), -SIGKILL);
  EXPECT_NE(taking->Wait(), 0);  // Its peer's stream was cut, not ended.
  EXPECT_THAT(taking->err(), HasSubstr("the connection is gone"));
}

}  // namespace
}  // namespace orchard
