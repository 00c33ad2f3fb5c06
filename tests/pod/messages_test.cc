// The wire of the original, byte for byte, and what is refused.

#include "node/pod/messages.h"

#include <gtest/gtest.h>

#include "tests/pod/vectors.h"

namespace orchard::pod {
namespace {

std::string Frames(const char* name) { return Raw(Vectors()["frames"][name]); }
TransferId Transfer() { return Array<16>(Vectors()["transfer"]); }

std::vector<std::pair<const char*, Message>> All() {
  static const std::string url = Vectors()["url"], payload = Vectors()["payload"];
  const Identity a = A(), b = B();
  Beacon beacon;
  beacon.device = a.device, beacon.public_key = a.public_key, beacon.listen_port = 45679;
  DiscoveryResponse response;
  response.device = b.device, response.public_key = b.public_key, response.listen_port = 45679;
  ChunkData data{.transfer = Transfer(), .start = 0, .end = 11, .payload = AsBytes(payload)};
  const std::string frame = Frames("data");
  std::copy_n(AsBytes(frame).begin() + 40, 32, data.hash.begin());
  return {{"beacon_a", beacon}, {"response_b", response}, {"join_a", Join{a.device}}, {"leave_a", Leave{a.device}},
          {"heartbeat_a", Heartbeat{a.device}},
          {"request_url", ChunkRequest{.transfer = Transfer(), .end = 262144, .url = url}},
          {"request_none", ChunkRequest{.transfer = Transfer(), .end = 262144}},
          {"data", data}, {"nack", Nack{.transfer = Transfer(), .end = 262144}}};
}

TEST(MessagesTest, EveryMessageIsWrittenAsTheOriginalWritesIt) {
  for (const auto& [name, message] : All()) {
    EXPECT_EQ(Hex(Frame(message)), Vectors()["frames"][name].get<std::string>()) << name;
    EXPECT_EQ(FrameBytes(message), Frames(name).size()) << name;
  }
}

TEST(MessagesTest, EveryRecordedFrameReadsAndWritesBack) {
  size_t seen = 0;
  for (const auto& [name, hex] : Vectors()["frames"].items()) {
    const std::string raw = Raw(hex);
    const auto message = ReadMessage(AsBytes(raw).subspan(4));
    ASSERT_TRUE(message.ok()) << name;
    EXPECT_EQ(Hex(Frame(*message)), hex.get<std::string>());
    ++seen;
  }
  EXPECT_EQ(seen, 9u);
}

TEST(MessagesTest, EveryTruncationIsRefusedExceptARequestWithoutItsOption) {
  for (const auto& [name, hex] : Vectors()["frames"].items()) {
    const std::string raw = Raw(hex).substr(4);
    for (size_t n = 0; n < raw.size(); ++n) {
      // PROTOCOL.md describes requests of 36 bytes.
      const bool fine = std::string(name).starts_with("request") && n == 36;
      EXPECT_EQ(ReadMessage(AsBytes(raw).subspan(0, n)).ok(), fine) << name << " cut to " << n;
    }
  }
}

// ---- Our extension: docs/PEAPOD.md §5 ----

std::vector<std::pair<std::string, Message>> Extension() {
  return {{"19000000080000000700" "0000bb01" "0700000000000000" "612e62652e6368", RelayOpen{RelayId{7}, 443, "a.be.ch"}},
          {"0800000009000000" "07000000", RelayOpened{RelayId{7}}},
          {"140000000a000000" "0700000001" "0300000000000000" "160301", RelayData{RelayId{7}, true, AsBytes("\x16\x03\x01")}},
          {"0d0000000b000000" "0700000000" "00000100", RelayCredit{RelayId{7}, false, 65536}},
          {"090000000c000000" "0700000001", RelayEnd{RelayId{7}, true}},
          {"0a0000000d000000" "0700000000" "02", RelayClose{RelayId{7}, false, RelayEnding::kForbidden}}};
}

TEST(MessagesTest, RelaysAreWrittenAsThePageSaysAndReadBack) {
  for (const auto& [hex, message] : Extension()) {
    EXPECT_EQ(Hex(Frame(message)), hex);
    EXPECT_EQ(FrameBytes(message), hex.size() / 2);
    const std::string raw = Raw(hex);
    const auto read = ReadMessage(AsBytes(raw).subspan(4));
    ASSERT_TRUE(read.ok()) << hex;
    EXPECT_TRUE(IsExtension(*read));
    EXPECT_EQ(RelayOf(*read), RelayId{7});
    EXPECT_EQ(OfOpener(*read), OfOpener(message));
    EXPECT_EQ(Hex(Frame(*read)), hex);
    for (size_t n = 4; n < raw.size(); ++n) EXPECT_FALSE(ReadMessage(AsBytes(raw).subspan(4, n - 4)).ok()) << hex << " cut to " << n;
  }
}

TEST(MessagesTest, ARequestMayNameAStateBehindItsUrlAndNothingElseThereMatters) {
  const ChunkRequest plain{.transfer = Transfer(), .end = 262144, .url = "http://h/f"};
  ChunkRequest stated = plain;
  stated.validator = "\"tag\"";
  const std::string frame = Frame(stated);
  EXPECT_EQ(frame.size(), FrameBytes(stated));
  EXPECT_EQ(Hex(frame.substr(Frame(plain).size())), "01" "0500000000000000" "2274616722");
  EXPECT_EQ(std::get<ChunkRequest>(*ReadMessage(AsBytes(frame).subspan(4))).validator, stated.validator);
  const std::string longest(kValidatorMax, 'x'), longer(kValidatorMax + 1, 'x');
  auto behind = [&](const std::string& bytes) {
    const std::string raw = Frame(plain).substr(4) + bytes;
    const auto read = ReadMessage(AsBytes(raw));
    EXPECT_TRUE(read.ok() && std::get<ChunkRequest>(*read).url == plain.url);
    return std::get<ChunkRequest>(*read).validator.has_value();
  };
  auto slice = [](const std::string& text) { return std::string(1, 1) + char(text.size()) + char(text.size() >> 8) + std::string(6, 0) + text; };
  EXPECT_TRUE(behind(slice(longest)));
  for (const std::string& odd : {std::string(), std::string(1, 0), std::string(1, 2), std::string("\1\2"), slice(""), slice(longer), slice("a\x01"), slice("a").substr(0, 9)}) {
    EXPECT_FALSE(behind(odd)) << Hex(odd);
  }
}

TEST(MessagesTest, RelaysOfOddSizesAreRefusedWithAReason) {
  auto why = [](const Message& m) {
    const std::string frame = Frame(m);
    const auto read = ReadMessage(AsBytes(frame).subspan(4));
    return read.ok() ? "" : std::string(read.status().message());
  };
  EXPECT_EQ(why(RelayOpen{.host = ""}), "bincode: a host that is no name");
  EXPECT_EQ(why(RelayOpen{.host = std::string(256, 'a')}), "bincode: a host that is no name");
  EXPECT_EQ(why(RelayOpen{.host = "a\x01"}), "bincode: a host that is no name");
  EXPECT_EQ(why(RelayOpen{.host = std::string(255, 'a')}), "");
  EXPECT_EQ(why(RelayData{}), "bincode: a piece of a relay that is empty or too long");
  const std::string piece(kRelayPieceMax + 1, 'x');
  EXPECT_EQ(why(RelayData{.payload = AsBytes(piece)}), "bincode: a piece of a relay that is empty or too long");
  EXPECT_EQ(why(RelayCredit{}), "bincode: credit of nothing, or of more than a window");
  EXPECT_EQ(why(RelayCredit{.bytes = kRelayWindow + 1}), "bincode: credit of nothing, or of more than a window");
  std::string close = Frame(RelayClose{});
  close[13] = 99;  // A reason of a newer peer.
  EXPECT_EQ(std::get<RelayClose>(*ReadMessage(AsBytes(close).subspan(4))).why, RelayEnding::kBroken);
  close[12] = 2;
  EXPECT_FALSE(ReadMessage(AsBytes(close).subspan(4)).ok());
}

TEST(MessagesTest, TrailingBytesAreIgnored) {
  for (const auto& [name, hex] : Vectors()["frames"].items()) {
    EXPECT_TRUE(ReadMessage(AsBytes(Raw(hex).substr(4) + "more")).ok()) << name;
  }
}

TEST(MessagesTest, OddValuesAreRefusedWithAReason) {
  auto why = [](std::string frame, size_t at, uint8_t value) {
    frame[at] = char(value);
    const auto message = ReadMessage(AsBytes(frame).subspan(4));
    return message.ok() ? "" : std::string(message.status().message());
  };
  EXPECT_EQ(why(Frames("join_a"), 4, 14), "peapod: there is no message 14");
  EXPECT_EQ(why(Frames("join_a"), 8, 15), "bincode: a key or an id of another length");
  EXPECT_EQ(why(Frames("request_none"), 40, 2), "bincode: an option that is neither there nor not");
  EXPECT_EQ(why(Frames("request_url"), 49, 0xff), "bincode: a url that is no text");
  EXPECT_EQ(why(Frames("nack"), 31, 0x80), "bincode: a range that ends before it starts");
  EXPECT_EQ(why(Frames("data"), 79, 1), "bincode: a length beyond its end");
}

TEST(BeaconDatagramTest, IsTheWholeFrameAndNeedsNoSecretInVersionOne) {
  const std::string frame = Frames("beacon_a");
  const auto read = ReadBeaconDatagram(AsBytes(frame), kVersion, nullptr);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->announcement.device, A().device);
  EXPECT_EQ(read->announcement.listen_port, 45679);
  EXPECT_FALSE(read->response);
  EXPECT_TRUE(ReadBeaconDatagram(AsBytes(Frames("response_b")), kVersion, nullptr)->response);
  EXPECT_EQ(ReadBeaconDatagram(AsBytes(frame), kHardenedVersion, nullptr).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReadBeaconDatagram(AsBytes(Frames("join_a")), kVersion, nullptr).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(ReadBeaconDatagram(AsBytes(frame.substr(0, 74)), kVersion, nullptr).ok());
}

TEST(BeaconDatagramTest, AProofOfThePodSecretIsDemandedByWhoHasOne) {
  const json& v2 = Vectors()["v2"];
  const Key32 secret = Array(v2["beacon_secret"]), other{1};
  const std::string plain = Raw(v2["beacon"]), proved = Raw(v2["beacon_proved"]);
  const auto beacon = ReadMessage(AsBytes(plain).subspan(4));
  EXPECT_EQ(Hex(BeaconDatagram(*beacon, nullptr)), Hex(plain));
  EXPECT_EQ(Hex(BeaconDatagram(*beacon, &secret)), Hex(proved));
  EXPECT_TRUE(ReadBeaconDatagram(AsBytes(proved), kHardenedVersion, &secret).ok());
  EXPECT_TRUE(ReadBeaconDatagram(AsBytes(proved), kHardenedVersion, nullptr).ok());
  EXPECT_EQ(ReadBeaconDatagram(AsBytes(plain), kHardenedVersion, &secret).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(ReadBeaconDatagram(AsBytes(proved), kHardenedVersion, &other).status().code(), absl::StatusCode::kUnauthenticated);
}

}  // namespace
}  // namespace orchard::pod
