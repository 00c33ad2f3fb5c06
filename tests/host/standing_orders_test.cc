#include "node/host/standing_orders.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/temp_dir.h"

namespace orchard::host {
namespace {

class StandingOrdersTest : public testing::Test {
 protected:
  StandingOrders Read() { return *StandingOrders::Open(file_); }
  void Write(const std::string& text) { std::ofstream(file_) << text; }
  static std::vector<std::string> Of(const StandingOrders& o) {
    std::vector<std::string> out;
    for (const auto& x : o.orders()) out.push_back(x.operation + " " + x.params);
    return out;
  }
  using Lines = std::vector<std::string>;
  TempDir dir_;
  std::string file_ = dir_ / "standing.jsonl";
};

TEST_F(StandingOrdersTest, WhatEndedWellOutlivesTheProcessInItsOrder) {
  StandingOrders o = Read();
  EXPECT_TRUE(o.orders().empty());
  EXPECT_TRUE(o.Done("listen", "{}").ok());
  EXPECT_TRUE(o.Done("swarm.join", R"({"topic":"apples"})").ok());
  EXPECT_TRUE(o.Done("dht.announce", R"({"topic":"apples"})").ok());
  EXPECT_EQ(Of(Read()), (Lines{"listen {}", R"(swarm.join {"topic":"apples"})", R"(dht.announce {"topic":"apples"})"}));
  struct stat st;
  ASSERT_EQ(stat(file_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(StandingOrdersTest, ADeploymentIsWhatWasLastMadeOfIt) {
  StandingOrders o = Read();
  EXPECT_TRUE(o.Done("cage.deploy", R"({"module":"a.wasm","replicas":2,"site":"shop"})").ok());
  EXPECT_TRUE(o.Done("cage.update", R"({"module":"b.wasm","site":"shop"})").ok());
  EXPECT_TRUE(o.Done("cage.scale", R"({"replicas":5,"site":"shop"})").ok());
  EXPECT_TRUE(o.Done("cage.update", R"({"module":"c.wasm","site":"other"})").ok());  // Of the configuration: nobody's order.
  EXPECT_EQ(Of(Read()), Lines{R"(cage.deploy {"module":"b.wasm","replicas":5,"site":"shop"})"});
  EXPECT_TRUE(o.Done("cage.rollback", R"({"site":"shop"})").ok());
  EXPECT_TRUE(o.Done("cage.rollback", R"({"site":"shop"})").ok());
  EXPECT_EQ(Of(Read()), Lines{R"(cage.deploy {"module":"a.wasm","replicas":5,"site":"shop"})"});
  EXPECT_TRUE(o.Done("cage.stop", R"({"site":"shop"})").ok());
  EXPECT_TRUE(Read().orders().empty());
}

TEST_F(StandingOrdersTest, WhatIsNoOrderIsSaidAndKeptBesideTheFile) {
  const std::string text = "{\"op\":\"listen\",\"params\":{}}\ngarbage\n\n{\"op\":\"dht.put\",\"params\":{}}\n{\"op\":\"swarm.join\",\"params\":{}}\n{\"op\":\"listen\",\"params\":{\"seed\":\"zz\"}}\n";
  Write(text);
  StandingOrders o = Read();
  EXPECT_EQ(Of(o), Lines{"listen {}"});
  ASSERT_EQ(o.complaints().size(), 4u);
  EXPECT_EQ(o.complaints()[0], "line 2 is no order, and is left out");
  EXPECT_EQ(o.complaints()[3], "line 6 is no order, and is left out");
  EXPECT_TRUE(o.Done("unlisten", "{}").ok());
  std::stringstream kept;
  kept << std::ifstream(file_ + ".bad").rdbuf();
  EXPECT_EQ(kept.str(), text);
  EXPECT_TRUE(Read().complaints().empty());
}

TEST_F(StandingOrdersTest, OfTooManyTheRestIsLeftOutAndSaid) {
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += "{\"op\":\"swarm.join\",\"params\":{\"topic\":\"t" + std::to_string(i) + "\"}}\n";
  Write(text);
  const StandingOrders o = Read();
  EXPECT_EQ(o.orders().size(), StandingOrders::kMax);
  ASSERT_EQ(o.complaints().size(), 1u);
}

TEST_F(StandingOrdersTest, WhatIsNoFileIsNotReadForever) {
  ASSERT_EQ(mkfifo(file_.c_str(), 0600), 0);
  EXPECT_EQ(StandingOrders::Open(file_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(StandingOrdersTest, OneIsUndoneByItsTopicHoweverThatIsWritten) {
  const std::string hex = "689973fcde3f2fb98c6474cf1537a1bab8e11f6180c25a345bc2cb00c479fa95";  // BLAKE2b of "apples".
  StandingOrders o = Read();
  for (std::string topic : {"apples", "pears"}) EXPECT_TRUE(o.Done("swarm.join", "{\"topic\":\"" + topic + "\"}").ok());
  EXPECT_TRUE(o.Done("swarm.leave", "{\"topic\":\"" + hex + "\"}").ok());
  EXPECT_EQ(Of(Read()), Lines{R"(swarm.join {"topic":"pears"})"});
  EXPECT_TRUE(o.Done("dht.unannounce", R"({"topic":"pears"})").ok());  // That is another matter.
  EXPECT_EQ(Read().orders().size(), 1u);
}

TEST_F(StandingOrdersTest, ServersAreToldApartByTheirSeeds) {
  const std::string seed = "{\"seed\":\"" + std::string(64, '1') + "\"}";
  StandingOrders o = Read();
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(o.Done("listen", "{}").ok());
    EXPECT_TRUE(o.Done("listen", seed).ok());
  }
  EXPECT_EQ(o.orders().size(), 2u);
  EXPECT_TRUE(o.Done("unlisten", "{}").ok());
  EXPECT_EQ(Of(Read()), Lines{"listen " + seed});
}

TEST_F(StandingOrdersTest, JoiningAgainInAnotherModeReplacesTheFirst) {
  StandingOrders o = Read();
  EXPECT_TRUE(o.Done("swarm.join", R"({"topic":"apples"})").ok());
  EXPECT_TRUE(o.Done("swarm.join", R"({"server":false,"topic":"apples"})").ok());
  EXPECT_EQ(Of(Read()), Lines{R"(swarm.join {"server":false,"topic":"apples"})"});
}

TEST_F(StandingOrdersTest, WhatIsNoOrderIsLeftOut) {
  Write("nonsense\n[]\n{\"op\":\"info\",\"params\":{}}\n{\"op\":\"listen\",\"params\":7}\n{\"op\":\"swarm.join\",\"params\":{}}\n"
        "{\"op\":\"of another version\",\"params\":{}}\n{\"op\":\"listen\",\"params\":{}}");
  EXPECT_EQ(Of(Read()), Lines{"listen {}"});
  std::filesystem::remove(file_);
  std::filesystem::create_directory(file_);
  EXPECT_FALSE(StandingOrders::Open(file_).ok());
}

// Of two the parser would take the last.
TEST_F(StandingOrdersTest, AKeyTwiceIsNoOrderAndIsNamed) {
  Write("{\"op\":\"listen\",\"params\":{}}\n{\"op\":\"swarm.join\",\"params\":{\"topic\":\"apples\",\"topic\":\"pears\"}}\n"
        "{\"op\":\"listen\",\"op\":\"listen\",\"params\":{}}\n");
  const StandingOrders o = Read();
  EXPECT_EQ(Of(o), Lines{"listen {}"});
  EXPECT_EQ(o.complaints(), (Lines{"line 2 has the key \"topic\" twice, and is left out", "line 3 has the key \"op\" twice, and is left out"}));
}

TEST_F(StandingOrdersTest, ASymbolicLinkIsRefusedAndLeftAlone) {
  const std::string target = dir_ / "elsewhere";
  std::ofstream(target) << "{\"op\":\"listen\",\"params\":{}}\n";
  for (const std::string& to : {target, dir_ / "nothing"}) {
    std::filesystem::create_symlink(to, file_);
    const auto o = StandingOrders::Open(file_);
    EXPECT_EQ(o.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_NE(o.status().message().find(file_ + " is a symbolic link"), absl::string_view::npos) << o.status();
    EXPECT_TRUE(std::filesystem::is_symlink(file_));
    std::filesystem::remove(file_);
  }
}

TEST_F(StandingOrdersTest, OneThatCannotBeWrittenIsAnError) {
  StandingOrders o = *StandingOrders::Open(dir_ / "gone/standing.jsonl");
  EXPECT_FALSE(o.Done("listen", "{}").ok());
}

}  // namespace
}  // namespace orchard::host
