// What a host that lies does to what its honest node hears and says.
#include "sim/run/liar.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "node/pod/messages.h"
#include "tests/support/bare_turn.h"

namespace orchard::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint16_t kDiscovery = 45678;

// Remembers what it heard.
class Ear final : public Machine {
 public:
  explicit Ear(std::string* heard) : heard_(heard) {}
  void Handle(Turn&, const Input& input) override {
    if (const auto* data = std::get_if<StreamData>(&input)) heard_->append(AsText(data->bytes));
  }
  Instant next_deadline() const override { return kNever; }

 private:
  std::string* heard_;
};

class LiarTest : public testing::Test {
 protected:
  void Open(uint32_t stream, uint16_t port) {
    liar_.Handle(bare_.turn, StreamOpened{StreamId{stream}, std::nullopt, Endpoint::V4(1, 1), Endpoint::V4(2, port)});
  }
  // What the node hears of a piece.
  std::string Hear(uint32_t stream, const std::string& piece) {
    heard_.clear();
    liar_.Handle(bare_.turn, StreamData{StreamId{stream}, AsBytes(piece)});
    return heard_;
  }
  static size_t Differ(const std::string& a, const std::string& b) {
    size_t n = 0;
    for (size_t i = 0; i < a.size(); ++i) n += a[i] != b[i];
    return n;
  }
  std::string heard_;
  Lies lies_;
  BareTurn bare_;
  Liar liar_{std::make_unique<Ear>(&heard_), &lies_, kDiscovery, Rng::Named(1, "liar", "")};
};

TEST_F(LiarTest, FlipsABitOfWhatTheWebSendsAndOfNothingElse) {
  const std::string piece(4000, 'x'), head(Liar::kHeadMax, 'h');
  Open(1, 80), Open(2, 45679);
  EXPECT_EQ(Hear(1, piece), piece);  // It is honest so far.
  lies_ = {Misdeed::kFlipBytes, 1'000'000};
  EXPECT_EQ(Differ(Hear(1, piece), piece), 1u);
  EXPECT_EQ(Hear(1, piece).substr(0, Liar::kHeadMax), piece.substr(0, Liar::kHeadMax));
  EXPECT_EQ(Hear(1, head), head);
  EXPECT_EQ(Hear(2, piece), piece);
  lies_.rate_ppm = 250'000;
  size_t flipped = 0;
  for (int i = 0; i < 400; ++i) flipped += Differ(Hear(1, piece), piece);
  EXPECT_GT(flipped, 60u);
  EXPECT_LT(flipped, 140u);
}

TEST_F(LiarTest, InventsMembersTenTimesASecond) {
  liar_.Handle(bare_.turn, SocketOpened{SocketId{7}, Endpoint::V4(0, kDiscovery), absl::StatusCode::kOk});
  auto invented = [&](Duration until) {
    std::set<pod::DeviceId> devices;
    for (; liar_.next_deadline() <= Instant{} + until;) {
      bare_.At(liar_.next_deadline() - Instant{});
      bare_.out.Clear();
      liar_.Handle(bare_.turn, Deadline{});
      for (const Output& o : bare_.out.outputs()) {
        EXPECT_EQ(o.id, 7u);
        EXPECT_EQ(o.ttl, 1);
        auto read = pod::ReadBeaconDatagram(bare_.out.bytes(o), 1, nullptr);
        EXPECT_TRUE(read.ok());
        if (read.ok()) devices.insert(read->announcement.device);
      }
    }
    return devices.size();
  };
  EXPECT_EQ(invented(1s), 0u);
  lies_ = {Misdeed::kSpoofBeacon, 1'000'000};
  EXPECT_EQ(invented(2s), 10u);
  lies_ = {};
  EXPECT_EQ(invented(3s), 0u);
}

}  // namespace
}  // namespace orchard::sim
