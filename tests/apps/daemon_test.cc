// The daemon as its operator meets it: as a process.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>

#include "node/host/udp_socket.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace orchard {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

class DaemonTest : public testing::Test {
 protected:
  // A node that talks to nobody.
  std::vector<std::string> Node(std::vector<std::string> more = {}) {
    std::vector<std::string> command = {ORCHARD_PROGRAM, "node", "--data", data_, "--set", "dht.host=127.0.0.1", "--set", "dht.port=0", "--set", "dht.nodes="};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  TempDir dir_;
  std::string data_ = dir_ / "data";
};

TEST_F(DaemonTest, SaysGoodbyeOnSigtermAndLeavesNoSocket) {
  Process node(Node());
  ASSERT_TRUE(node.WaitForError("host.started")) << node.err();
  EXPECT_TRUE(fs::exists(data_ + "/orchard.sock"));
  EXPECT_EQ(fs::status(data_).permissions() & fs::perms::all, fs::perms::owner_all);
  node.Signal(SIGTERM);
  EXPECT_EQ(node.Wait(), 0) << node.err();
  EXPECT_THAT(node.err(), testing::AllOf(HasSubstr("\"event\":\"host.stopping\""), HasSubstr("\"event\":\"host.stopped\"")));
  EXPECT_FALSE(fs::exists(data_ + "/orchard.sock"));
}

TEST_F(DaemonTest, CarriesOutAgainWhatLasts) {
  auto ask = [&](std::vector<std::string> operation) {
    operation.insert(operation.begin(), ORCHARD_PROGRAM);
    for (const char* o : {"--json", "--no-start", "--data"}) operation.push_back(o);
    operation.push_back(data_);
    Process p(operation);
    p.Wait();
    return p.out();
  };
  {
    Process node(Node());
    ASSERT_TRUE(node.WaitForError("host.started")) << node.err();
    // Nobody is there; the node goes on trying, and so it is an order. Wrong calls are none.
    for (const char* topic : {"apples", "pears"}) EXPECT_THAT(ask({"swarm", "join", topic}), HasSubstr("goes on trying"));
    EXPECT_THAT(ask({"listen", "--seed", "short"}), HasSubstr("ERR_PARAMS"));
    node.Signal(SIGKILL);
    node.Wait();
  }
  for (bool left : {false, true}) {
    Process node(Node());
    ASSERT_TRUE(node.WaitForError(left ? "\"orders\":\"1\"" : "\"orders\":\"2\"")) << node.err();
    EXPECT_THAT(ask({"swarm", "leave", "pears"}), HasSubstr(left ? "NOT_FOUND" : "\"ok\":true")) << node.err();
    node.Signal(SIGTERM);
    EXPECT_EQ(node.Wait(), 0) << node.err();
  }
}

TEST_F(DaemonTest, WritesItsEventsToTheTraceAsLines) {
  const std::string file = dir_ / "events.jsonl";
  Process node({ORCHARD_PROGRAM, "node", "--data", data_, "--set", "dht.host=127.0.0.1", "--set", "dht.port=0", "--set", "dht.bootstrap=true",
                "--set", "dht.nodes=", "--trace", file});
  ASSERT_TRUE(node.WaitForError("host.started")) << node.err();
  node.Signal(SIGTERM);
  EXPECT_EQ(node.Wait(), 0) << node.err();
  std::ifstream in(file);
  std::string line;
  size_t lines = 0, persistent = 0;
  for (; std::getline(in, line); ++lines) {
    EXPECT_TRUE(line.starts_with("{\"at\":") && line.ends_with("}")) << line;
    persistent += line.find("\"event\":\"dht.persistent\"") != line.npos;
  }
  EXPECT_EQ(persistent, 1u) << lines;
}

TEST_F(DaemonTest, RefusesATraceThatCannotBeWritten) {
  Process node(Node({"--trace", dir_ / "nowhere/events.jsonl"}));
  EXPECT_EQ(node.Wait(), 3);
  EXPECT_THAT(node.err(), AllOf(HasSubstr("cannot write the trace"), HasSubstr("No such file")));
}

TEST_F(DaemonTest, ASecondOneIsToldWhoIsThere) {
  Process first(Node());
  ASSERT_TRUE(first.WaitForError("host.started"));
  Process second(Node());
  EXPECT_EQ(second.Wait(), 3);
  EXPECT_THAT(second.err(), testing::AllOf(HasSubstr("process " + std::to_string(first.pid())), HasSubstr("--data")));
}

TEST_F(DaemonTest, StartsAgainAfterKillMinusNine) {
  {
    Process node(Node());
    ASSERT_TRUE(node.WaitForError("host.started"));
    node.Signal(SIGKILL);
    EXPECT_EQ(node.Wait(), -SIGKILL);
  }
  EXPECT_TRUE(fs::exists(data_ + "/orchard.sock"));  // Stale.
  Process again(Node());
  EXPECT_TRUE(again.WaitForError("host.started")) << again.err();
}

TEST_F(DaemonTest, APortInUseIsNamedWithAWayOut) {
  auto taken = host::UdpSocket::Open(Endpoint::V4(0x7f000001, 0));
  ASSERT_TRUE(taken.ok());
  std::string port = std::to_string((*taken)->local().port);
  Process node(Node({"--set", "dht.port=" + port, "--set", "dht.any_port=false"}));
  EXPECT_EQ(node.Wait(), 3);
  EXPECT_THAT(node.err(), testing::AllOf(HasSubstr("UDP port " + port), HasSubstr("in use"), HasSubstr("dht.any_port=true")));
}

TEST_F(DaemonTest, AnAddressThatIsNotOursIsNamed) {
  Process node(Node({"--set", "dht.host=192.0.2.1"}));  // RFC 5737.
  EXPECT_EQ(node.Wait(), 3);
  EXPECT_THAT(node.err(), testing::AllOf(HasSubstr("192.0.2.1"), HasSubstr("dht.host=")));
}

TEST_F(DaemonTest, AFullDiskIsAClearErrorAndLosesNothing) {
  {
    Process node(Node());
    ASSERT_TRUE(node.WaitForError("host.started"));
    node.Signal(SIGTERM), node.Wait();
  }
  {
    // Longer files cannot be written: the store cannot open its log.
    Process node(Node(), {.environment = {}, .file_bytes_max = 4096});
    EXPECT_EQ(node.Wait(), 3);
    EXPECT_THAT(node.err(), testing::AllOf(HasSubstr("full"), HasSubstr("free some space")));
  }
  Process again(Node());
  EXPECT_TRUE(again.WaitForError("host.started")) << again.err();
}

TEST_F(DaemonTest, ADamagedStoreIsAClearError) {
  {
    Process node(Node());
    ASSERT_TRUE(node.WaitForError("host.started"));
    node.Signal(SIGTERM), node.Wait();
  }
  for (const auto& e : fs::directory_iterator(data_ + "/store")) {
    if (e.path().filename() == "CURRENT") std::ofstream(e.path()) << "MANIFEST-999999\n";
  }
  Process node(Node());
  EXPECT_EQ(node.Wait(), 3);
  EXPECT_THAT(node.err(), HasSubstr("the store in " + data_));
}

TEST_F(DaemonTest, WrongConfigurationsEndWithStatusTwo) {
  auto say = [&](std::vector<std::string> more, std::vector<std::string> environment = {}) {
    Process node(Node(std::move(more)), {.environment = std::move(environment)});
    EXPECT_EQ(node.Wait(), 2);
    return node.err();
  };
  std::string file = dir_ / "config.json";
  std::ofstream(file) << R"({"dht": {"prot": 1, "concurrency": "x"}})";
  EXPECT_THAT(say({"--config", file}), testing::AllOf(HasSubstr(file + ": dht.prot"), HasSubstr("did you mean \"port\"?"), HasSubstr("dht.concurrency")));
  std::ofstream(file) << "{";
  EXPECT_THAT(say({"--config", file}), HasSubstr("expected JSON"));
  EXPECT_THAT(say({"--config", dir_ / "nothing"}), HasSubstr("No such file"));
  EXPECT_THAT(say({"--config", dir_.path()}), HasSubstr("Is a directory"));
  EXPECT_THAT(say({"--set", "dht.port"}), HasSubstr("KEY=VALUE"));
  EXPECT_THAT(say({"--prot"}), HasSubstr("unknown option"));
  EXPECT_THAT(say({}, {"ORCHARD_DHT_PROT=1"}), HasSubstr("did you mean \"ORCHARD_DHT_PORT\"?"));
  EXPECT_FALSE(fs::exists(data_));
}

TEST_F(DaemonTest, CheckReadsAndChangesNothing) {
  Process node(Node({"--check"}));
  EXPECT_EQ(node.Wait(), 0);
  EXPECT_FALSE(fs::exists(data_));
}

TEST_F(DaemonTest, TheCommandLineDoesNotStartOneIfToldSo) {
  Process info({ORCHARD_PROGRAM, "info", "--data", data_, "--no-start"});
  EXPECT_EQ(info.Wait(), 3);
  EXPECT_THAT(info.err(), HasSubstr("orchard node --data " + data_));
}

// Talks to a node, which is started for it and ended by the test.
class CommandTest : public DaemonTest {
 protected:
  ~CommandTest() override {
    int pid = 0;
    if (std::ifstream(data_ + "/lock") >> pid && pid > 0) kill(pid, SIGKILL);
  }
  Process Orchard(std::vector<std::string> words) {
    words.insert(words.begin(), ORCHARD_PROGRAM);
    return Process(words, {.environment = {"ORCHARD_DATA=" + data_, "ORCHARD_DHT_HOST=127.0.0.1", "ORCHARD_DHT_PORT=0", "ORCHARD_DHT_NODES=", "ORCHARD_DHT_BOOTSTRAP=true"}});
  }
};

TEST_F(CommandTest, TheFirstCallStartsANodeAndTheNextFindsIt) {
  Process first = Orchard({"info"});
  EXPECT_EQ(first.Wait(), 0) << first.err();
  EXPECT_THAT(first.err(), HasSubstr("started a node"));
  EXPECT_THAT(first.out(), testing::AllOf(HasSubstr("address     127.0.0.1:"), HasSubstr("version ")));
  Process second = Orchard({"info", "--json"});
  EXPECT_EQ(second.Wait(), 0);
  EXPECT_EQ(second.err(), "");
  EXPECT_TRUE(second.out().starts_with("{\"tag\":\"final\",\"data\":{\"ok\":true,")) << second.out();
}

TEST_F(CommandTest, TwoFirstCallsAtOnceShareOneNode) {
  Process one = Orchard({"info", "--json"}), two = Orchard({"info", "--json"});
  EXPECT_EQ(one.Wait(), 0) << one.err();
  EXPECT_EQ(two.Wait(), 0) << two.err();
  auto key = [](const std::string& out) { return out.substr(out.find("\"key\""), 74); };
  EXPECT_EQ(key(one.out()), key(two.out()));
}

TEST_F(CommandTest, WhatTheOperationSaysIsTheStatus) {
  EXPECT_EQ(Orchard({"info"}).Wait(), 0);
  Process ping = Orchard({"dht", "ping", "127.0.0.1:9"});
  EXPECT_EQ(ping.Wait(), 1);
  EXPECT_THAT(ping.err(), HasSubstr("nobody answered"));
  EXPECT_EQ(Orchard({"dht", "ping", "127.0.0.1"}).Wait(), 2);
  Process put = Orchard({"dht", "put", "xyz", "--encoding", "hex"});
  EXPECT_EQ(put.Wait(), 2);  // Found by the node.
  EXPECT_THAT(put.err(), HasSubstr("hex"));
}

TEST_F(CommandTest, AnAnswerThatCannotBeWrittenIsAnError) {
  const std::string program = ORCHARD_PROGRAM;
  Process help = Process({"/bin/sh", "-c", program + " help > /dev/full"}, {.environment = {}});
  EXPECT_EQ(help.Wait(), 3);
  EXPECT_THAT(help.err(), HasSubstr("No space left on device"));
  EXPECT_EQ(Orchard({"info"}).Wait(), 0);
  Process info = Process({"/bin/sh", "-c", program + " info --data " + data_ + " > /dev/full"}, {.environment = {}});
  EXPECT_EQ(info.Wait(), 3);
  EXPECT_THAT(info.err(), HasSubstr("No space left on device"));
}

// As on a disk that is mounted read-only: whatever the node said of it was lost with its log.
TEST_F(CommandTest, ALogThatCannotBeWrittenIsNamed) {
  fs::create_directories(data_ + "/daemon.log");
  Process info = Orchard({"info"});
  EXPECT_EQ(info.Wait(), 3);
  EXPECT_THAT(info.err(), testing::AllOf(HasSubstr("daemon.log: Is a directory"), HasSubstr("--data DIR")));
}

TEST_F(CommandTest, ANodeThatCannotStartSaysWhy) {
  fs::create_directory(data_);
  std::ofstream(data_ + "/config.json") << R"({"dht": {"prot": 1}})";
  Process info = Orchard({"info"});
  EXPECT_EQ(info.Wait(), 2);
  EXPECT_THAT(info.err(), HasSubstr("did you mean \"port\"?"));
}

TEST_F(DaemonTest, HelpAndVersionNeedNothing) {
  for (const char* word : {"help", "--help", "--version", "man"}) {
    Process p({ORCHARD_PROGRAM, word});
    EXPECT_EQ(p.Wait(), 0) << word;
    EXPECT_THAT(p.out(), HasSubstr("orchard"));
  }
  Process p(std::vector<std::string>{ORCHARD_PROGRAM});
  EXPECT_EQ(p.Wait(), 2);
}

}  // namespace
}  // namespace orchard
