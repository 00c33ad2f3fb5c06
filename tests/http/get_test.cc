#include "node/http/get.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/crypto/sha256.h"
#include "node/http/origin.h"
#include "tests/http/net.h"

namespace orchard::http {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Node = MemHost::NodeIndex;

constexpr uint64_t kFilm = 3'000'000;

struct World {
  explicit World(OriginConfig config = {}) {
    config.files = {{"/film", kFilm}, {"/empty", 0}};
    origin = net.Add("origin", [config](uint32_t) { return std::make_unique<Origin>(config); });
    Begin();
  }
  explicit World(RawServer::Script script) {
    origin = net.Add("origin", [script](uint32_t) { return std::make_unique<RawServer>(script); });
    Begin();
  }
  void Begin() {
    client = net.Add("client", [](uint32_t) { return std::make_unique<GetMachine>(); });
    net.SetName("origin", {net.address(origin)});
    net.Run(1ms);
  }
  GetResult Get(GetRequest request) {
    const GetId id{next++};
    Do<GetMachine>(net, client, [=](Turn& turn, GetMachine& m) { m.Get(turn, id, request); });
    auto& m = net.machine<GetMachine>(client);
    EXPECT_TRUE(net.RunUntil([&] { return m.done.contains(id); }, 200s));
    EXPECT_EQ(m.gets.next_deadline(), kNever);
    return m.done[id];
  }
  Content film() { return *net.machine<Origin>(origin).content("/film"); }
  MemHost net;
  Node origin = 0, client = 0;
  uint32_t next = 1;
};

RawServer::Script Always(std::string bytes, bool end = false) {
  return [=](std::string_view, size_t) { return RawServer::Reply{.bytes = bytes, .end = end}; };
}

TEST(GetTest, BringsTheFileAndMeasuresIt) {
  World w;
  const GetResult r = w.Get({.url = "http://origin/film"});
  EXPECT_TRUE(r.ok());
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.bytes, kFilm);
  EXPECT_EQ(r.sha256, w.film().Sha256());
  // A name takes 5 ms here, a way 20: asked, connected, answered.
  EXPECT_EQ(ToMillis(r.first_byte), 5 + 80);
  EXPECT_GE(r.took, r.first_byte);
  EXPECT_EQ(r.kbps(), kFilm * 8'000'000 / uint64_t(r.took.count()));
  EXPECT_EQ((GetResult{.bytes = 12'500'000, .took = 1s}.kbps()), 100'000u);
}

TEST(GetTest, BringsAPartWhenAskedForOne) {
  World w;
  const GetResult r = w.Get({.url = "http://origin/film", .range = "1000-1999"});
  EXPECT_EQ(r.status, 206);
  EXPECT_EQ(r.bytes, 1000u);
  EXPECT_EQ(r.sha256, w.film().Sha256(1000, 1000));
  ASSERT_TRUE(r.content_range.has_value());
  EXPECT_EQ(r.content_range->ToString(), "bytes 1000-1999/3000000");
  EXPECT_EQ(w.Get({.url = "http://origin/film", .range = "3000000-"}).status, 416);
  EXPECT_EQ(w.Get({.url = "http://origin/film", .head = true}).bytes, 0u);
  EXPECT_EQ(w.Get({.url = "http://origin/empty"}).sha256, crypto::Sha256({}));
}

TEST(GetTest, SaysWhyNothingCame) {
  World w;
  EXPECT_EQ(w.Get({.url = "http://nobody/film"}).why, Failure::kNoName);
  EXPECT_EQ(w.Get({.url = "http://origin:81/film"}).why, Failure::kRefused);
  EXPECT_EQ(w.Get({.url = "https://origin/film"}).why, Failure::kBadUrl);
  EXPECT_EQ(w.Get({.url = "http://origin/film", .range = "x"}).why, Failure::kBadUrl);
  const GetResult nobody = w.Get({.url = "http://10.9.9.9/film"});
  EXPECT_EQ(nobody.why, Failure::kUnreachable);
  EXPECT_EQ(nobody.took, ClientConnection::Patience().connect);
  const GetResult missing = w.Get({.url = "http://origin/none"});
  EXPECT_EQ(missing.why, Failure::kNone);
  EXPECT_EQ(missing.status, 404);
  EXPECT_FALSE(missing.ok());
}

TEST(GetTest, TriesTheNextAddressOfAName) {
  World w;
  w.net.SetName("two", {*Endpoint::Parse("10.9.9.9:1"), w.net.address(w.origin)});
  const GetResult r = w.Get({.url = "http://two/film"});
  EXPECT_TRUE(r.ok());
  EXPECT_GE(r.took, ClientConnection::Patience().connect);
}

TEST(GetTest, TellsAnAnswerCutOffFromAWholeOne) {
  World longer({.lie = 5});
  EXPECT_EQ(longer.Get({.url = "http://origin/film"}).why, Failure::kClosedEarly);
  World shorter({.lie = -5});
  EXPECT_EQ(shorter.Get({.url = "http://origin/film"}).bytes, kFilm - 5);
  World chunked({.chunked = true});
  EXPECT_EQ(chunked.Get({.url = "http://origin/film"}).sha256, chunked.film().Sha256());
  World cut(Always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true));
  EXPECT_EQ(cut.Get({.url = "http://origin/film"}).why, Failure::kClosedEarly);
  World until_end(Always("HTTP/1.1 200 OK\r\n\r\nhello", true));
  EXPECT_EQ(until_end.Get({.url = "http://origin/film"}).sha256, crypto::Sha256(AsBytes("hello")));
}

TEST(GetTest, AnswersThatNeverComeAreGivenUp) {
  World mute(Always(""));
  const GetResult none = mute.Get({.url = "http://origin/film"});
  EXPECT_EQ(none.why, Failure::kFirstByteTimeout);
  EXPECT_EQ(none.status, 0);
  World stalled(Always("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"));
  const GetResult half = stalled.Get({.url = "http://origin/film"});
  EXPECT_EQ(half.why, Failure::kStalled);
  EXPECT_EQ(half.bytes, 5u);
  EXPECT_GE(half.longest_gap, ClientConnection::Patience().stall);
}

TEST(GetTest, RefusesAnswersThatAreNone) {
  World w(Always("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"));
  const GetResult r = w.Get({.url = "http://origin/film"});
  EXPECT_EQ(r.why, Failure::kBadMessage);
  EXPECT_EQ(r.refusal, Refusal::kLengthAndCoding);
  std::string interim;
  for (int i = 0; i < 20; ++i) interim += "HTTP/1.1 103 Early Hints\r\n\r\n";
  World hints(Always(interim));
  EXPECT_EQ(hints.Get({.url = "http://origin/film"}).refusal, Refusal::kTooManyInterim);
}

TEST(GetTest, AProxyIsAskedForTheWholeUrl) {
  World w(Always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  const GetResult r = w.Get({.url = "http://far.example:8080/film?a", .proxy = w.net.address(w.origin).with_port(80)});
  EXPECT_TRUE(r.ok());
  const std::string& asked = w.net.machine<RawServer>(w.origin).requests.at(0);
  EXPECT_THAT(asked, StartsWith("GET http://far.example:8080/film?a HTTP/1.1\r\nHost: far.example:8080\r\n"));
}

TEST(GetTest, TheLongestGapIsMeasured) {
  World w({.rate = 100'000});
  const GetResult r = w.Get({.url = "http://origin/film", .range = "0-299999"});
  EXPECT_EQ(ToMillis(r.longest_gap), 50);  // Twenty slices a second.
  EXPECT_NEAR(double(r.kbps()), 800, 40);
}

TEST(GetTest, ManyAtOnceAreDoneAndCancelledOnesAreSilent) {
  World w;
  Do<GetMachine>(w.net, w.client, [](Turn& turn, GetMachine& m) {
    for (uint32_t i = 100; i < 150; ++i) m.Get(turn, GetId{i}, {.url = "http://origin/film", .range = std::to_string(i) + "-" + std::to_string(i * 1000)});
    EXPECT_TRUE(m.gets.Cancel(turn, GetId{120}));
    EXPECT_FALSE(m.gets.Cancel(turn, GetId{1}));
  });
  w.net.Run(10s);
  auto& m = w.net.machine<GetMachine>(w.client);
  EXPECT_EQ(m.done.size(), 49u);
  for (uint32_t i = 100; i < 150; ++i) {
    if (i != 120) { EXPECT_EQ(m.done[GetId{i}].sha256, w.film().Sha256(i, i * 999 + 1)) << i; }
  }
  EXPECT_EQ(m.gets.size(), 0u);
}

}  // namespace
}  // namespace orchard::http
