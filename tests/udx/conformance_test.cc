// The scripted raw peer of tests/vectors/v05c-udx-conformance.json against Streams: each crafted packet, and the exact answer of
// udx-native 1.21.3. Its stream has the id 10; ours is drawn, so it is written into the packets that come.

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/udx/bench_machine.h"

namespace orchard::udx {
namespace {

using nlohmann::json;

const Endpoint kFirst = Endpoint::V4(0x7f000001, 1111), kSecond = Endpoint::V4(0x7f000001, 2222), kStranger = Endpoint::V4(0x7f000001, 3333);

json Vectors() { return json::parse(std::ifstream(std::string(ORCHARD_SOURCE_DIR) + "/tests/vectors/v05c-udx-conformance.json")); }

std::string FlagsText(uint8_t type) {
  static constexpr const char* kNames[] = {"DATA", "END", "SACK", "MESSAGE", "DESTROY", "HEARTBEAT"};
  std::string text;
  for (int i = 0; i < 6; ++i) {
    if (type & (1 << i)) text += (text.empty() ? "" : "|") + std::string(kNames[i]);
  }
  return text.empty() ? "ACK" : text;
}

class Replay {
 public:
  explicit Replay(const json& scenario) : name_(scenario["name"]), bench_({.deployed = true}) {
    StreamOptions options;
    options.any_socket = name_.find("accepting firewall") != std::string::npos;
    if (name_.find("sequence wrap") == 0) options.first_ack = 0xfffffffe;
    bench_.Run([&](Turn& t, News&) {
      id_ = bench_.streams.Create(t, options);
      if (name_.find("unconnected") != 0) bench_.streams.Connect(t, id_, SocketId{1}, kFirst, 11);
    });
  }

  void Step(const json& step) {
    SCOPED_TRACE(name_ + ": " + step["step"].get<std::string>());
    Act(step["step"]);
    bool taken = true;
    for (const json& in : step["in"]) {
      std::string bytes = *FromHex(in["hex"].get<std::string>());
      if (in["id"] == 10) {
        for (size_t i = 0; i < 4; ++i) bytes[4 + i] = char(uint32_t(id_) >> (8 * i));
      }
      bench_.Receive(step["step"].get<std::string>().find("different source") == std::string::npos ? kFirst : kStranger, bytes);
      taken = bench_.took;
    }
    ExpectEvents(step, taken);
    ExpectSent(step);
  }

 private:
  void Write(std::string bytes) {
    bench_.Run([&](Turn& t, News&) { bench_.streams.Write(t, id_, std::move(bytes)); });
  }
  // What the script did to its own stream; the vectors say it in words.
  void Act(const std::string& step) {
    Streams& s = bench_.streams;
    const std::map<std::string, std::vector<std::string>> writes = {
        {"write 4 small packets", {"P0", "P1", "P2", "P3"}}, {"write one packet", {"Q0"}}, {"write 3", {"P0", "P1", "P2"}},
        {"peer advertises rwnd 0 on ack of first data", {"Z0"}}, {"write while closed", {"Z1"}},
        {"write 8000 bytes", {std::string(8000, 'x')}}, {"write R0 (unacked)", {"R0"}}, {"write R1", {"R1"}},
        {"write R2", {"R2"}}, {"write", {"x"}}};
    if (auto it = writes.find(step); it != writes.end()) {
      for (const std::string& w : it->second) Write(w);
    } else if (step == "local end") {
      bench_.Run([&](Turn& t, News&) { s.End(t, id_); });
    } else if (step == "connect") {
      bench_.Run([&](Turn& t, News&) { s.Connect(t, id_, SocketId{1}, kFirst, 11); });
    } else if (step == "changeRemote to second address, new id") {
      bench_.Run([&](Turn& t, News&) { s.ChangeRemote(t, id_, SocketId{1}, kSecond, 12, /*abandon_old=*/false); });
    } else if (step == "wait for RTO" || step == "wait 1.1 s") {
      bench_.Wait(1100ms);
    } else if (step == "wait 2.2 s") {
      bench_.Wait(2200ms);
    }
  }

  void ExpectEvents(const json& step, bool taken) {
    std::vector<std::string> expected;
    bool closes = false, reset = false;
    for (const std::string e : step["events"]) {
      if (e == "close") closes = true;
      else if (e == "error ECONNRESET") reset = true;
      else if (e.find("socket message") == 0) EXPECT_FALSE(taken);
      else expected.push_back(e);
    }
    std::vector<std::string> ours = bench_.TakeEvents();
    std::erase_if(ours, [](const std::string& e) { return e == "seen" || e == "changed"; });
    if (closes && bench_.streams.exists(id_)) {  // By the script.
      EXPECT_FALSE(reset);
      bench_.Run([&](Turn& t, News&) { bench_.streams.Destroy(t, id_); });
    } else if (closes) {
      expected.push_back(reset ? "close reset" : "close ended");
    }
    EXPECT_EQ(ours, expected);
  }

  void ExpectSent(const json& step) {
    std::vector<StreamsBench::Sent> sent = bench_.TakeSent();
    std::vector<json> expected(step["out"].begin(), step["out"].end());
    // The window opens with a tail probe pending, and JavaScript sends the same packet twice; once is enough.
    if (step["step"] == "open window") expected.pop_back();
    ASSERT_EQ(sent.size(), expected.size());
    for (size_t i = 0; i < sent.size(); ++i) {
      const json& e = expected[i];
      const Header h = sent[i].header();
      EXPECT_EQ(sent[i].to, e.contains("via") ? kSecond : kFirst);
      EXPECT_EQ(FlagsText(h.type), e["flags"]);
      EXPECT_EQ(h.id, e["id"]);
      EXPECT_EQ(h.window, e["rwnd"]);
      EXPECT_EQ(h.seq, e["seq"]);
      EXPECT_EQ(h.ack, e["ack"]);
      EXPECT_EQ(uint32_t(h.data_offset), e["off"]);
      const std::string payload = e.value("payload", "");
      if (payload.find("len ") == 0) {  // 8,000 random bytes, of which the recording keeps the head.
        EXPECT_EQ("len " + std::to_string(sent[i].payload().size()), payload);
        const size_t head = kHeaderBytes + h.data_offset;
        EXPECT_EQ(ToHex(AsBytes(sent[i].bytes).first(20)), e["hex"].get<std::string>().substr(0, 40));
        EXPECT_TRUE(sent[i].bytes.substr(20, head - 20) == std::string(head - 20, 0));
      } else if (e.contains("hex")) {
        EXPECT_EQ(ToHex(AsBytes(sent[i].bytes)), e["hex"]);
      } else {
        EXPECT_EQ(ToHex(AsBytes(sent[i].payload())), payload);
      }
      ++compared;
    }
  }

  std::string name_;
  StreamsBench bench_;
  StreamId id_{};

 public:
  int compared = 0;
};

TEST(ConformanceTest, EveryCraftedPacketGetsTheRecordedAnswer) {
  int compared = 0;
  const json vectors = Vectors();
  for (const json& scenario : vectors["scenarios"]) {
    Replay replay(scenario);
    for (const json& step : scenario["steps"]) replay.Step(step);
    compared += replay.compared;
  }
  EXPECT_EQ(compared, 66);  // All packets of the recording but one, for the reason above.
}

}  // namespace
}  // namespace orchard::udx
