#include "node/crypto/secretstream.h"

#include <gtest/gtest.h>

#include "tests/hyperdht/vectors.h"

namespace orchard::crypto {
namespace {

using hyperdht::Array;
using hyperdht::Hex;
using hyperdht::Raw;
using nlohmann::json;

// A recorded stream: the header, then the sealed bodies of its plaintexts.
struct Recorded {
  Key32 key;
  Secretstream::Header header;
  std::vector<std::string> plain, sealed;
  explicit Recorded(const json& v) : key(Array(v["tx"])) {
    const std::string first = Raw(v["frames"][0]);  // Length, stream id, header.
    std::copy_n(AsBytes(first).begin() + 3 + 32, header.size(), header.begin());
    for (size_t i = 0; i < v["plaintexts"].size(); ++i) {
      plain.push_back(Raw(v["plaintexts"][i]));
      sealed.push_back(Raw(v["frames"][1 + i]).substr(3));
    }
  }
};

std::vector<Recorded> All() {
  std::vector<Recorded> out;
  const json v = hyperdht::LoadVectors("v06-noise-secretstream.json");
  for (const json& s : v["secretstream"]) out.emplace_back(s);
  return out;
}

TEST(SecretstreamTest, SealsTheRecordedBytes) {
  ASSERT_EQ(All().size(), 2u);
  for (const Recorded& r : All()) {
    Secretstream push(r.key, r.header);
    ASSERT_EQ(r.plain.size(), 4u);
    for (size_t i = 0; i < r.plain.size(); ++i) {
      std::string out = "before";
      push.Push(AsBytes(r.plain[i]), out);
      EXPECT_EQ(Hex(out), Hex("before" + r.sealed[i]));
    }
  }
}

TEST(SecretstreamTest, OpensTheRecordedBytesInPlaceToo) {
  for (const Recorded& r : All()) {
    Secretstream pull(r.key, r.header), in_place(r.key, r.header);
    for (size_t i = 0; i < r.sealed.size(); ++i) {
      std::string plain(r.plain[i].size(), '?'), buffer = r.sealed[i];
      ASSERT_TRUE(pull.Pull(AsBytes(r.sealed[i]), reinterpret_cast<uint8_t*>(plain.data())));
      EXPECT_EQ(plain, r.plain[i]);
      ASSERT_TRUE(in_place.Pull(AsBytes(buffer), reinterpret_cast<uint8_t*>(buffer.data()) + 1));
      EXPECT_EQ(buffer.substr(1, plain.size()), r.plain[i]);
    }
  }
}

TEST(SecretstreamTest, AnAlteredMessageIsRefusedAndTheGenuineOneStillOpens) {
  const Recorded r = All()[0];
  Secretstream pull(r.key, r.header);
  std::string plain(r.plain[0].size(), '?');
  auto* out = reinterpret_cast<uint8_t*>(plain.data());
  for (size_t i = 0; i < r.sealed[0].size(); ++i) {
    std::string altered = r.sealed[0];
    altered[i] = char(altered[i] ^ 1);
    EXPECT_FALSE(pull.Pull(AsBytes(altered), out)) << i;
  }
  std::string other(r.plain[1].size(), '?');
  EXPECT_FALSE(pull.Pull(AsBytes(r.sealed[1]), reinterpret_cast<uint8_t*>(other.data())));  // Out of order.
  ASSERT_TRUE(pull.Pull(AsBytes(r.sealed[0]), out));
  EXPECT_EQ(plain, r.plain[0]);
  EXPECT_FALSE(pull.Pull(AsBytes(r.sealed[0]), out));  // Replayed.
}

}  // namespace
}  // namespace orchard::crypto
