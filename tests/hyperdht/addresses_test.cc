// v04: which of a peer's addresses is likely on our network, and which are special.

#include "node/hyperdht/addresses.h"

#include <gtest/gtest.h>

#include "tests/hyperdht/vectors.h"

namespace orchard::hyperdht {
namespace {

using nlohmann::json;

Endpoint Host(const std::string& ip, uint16_t port = 0) { return Endpoint::Parse(ip + ":1")->with_port(port); }
std::vector<Endpoint> Hosts(const json& list) {
  std::vector<Endpoint> out;
  for (const json& ip : list) out.push_back(Host(ip));
  return out;
}

TEST(AddressesTest, MatchIsTheRecordedOne) {
  const json v = LoadVectors("v04-holepunch.json");
  ASSERT_EQ(v["matchAddress"].size(), 6u);
  for (const json& c : v["matchAddress"]) {
    std::optional<Endpoint> expected;
    if (!c["result"].is_null()) expected = Host(c["result"]);
    EXPECT_EQ(MatchAddress(Hosts(c["local"]), Hosts(c["remote"])), expected) << c.dump();
  }
}

TEST(AddressesTest, BogonsAreTheRecordedOnes) {
  const json v = LoadVectors("v04-holepunch.json");
  ASSERT_EQ(v["bogon"].size(), 18u);
  for (const json& c : v["bogon"]) {
    const Endpoint e = Host(c["ip"]);
    EXPECT_EQ(IsBogon(e), c["bogon"]) << e.host();
    EXPECT_EQ(IsPrivate(e), c["private"]) << e.host();
    EXPECT_EQ(IsReserved(e), c["reserved"]) << e.host();
  }
}

TEST(AddressesTest, LocalOnesAreTheInterfacesWithTheSocketsPort) {
  const Interface interfaces[] = {{.address = Host("127.0.0.1"), .prefix_bits = 8, .loopback = true},
                                  {.address = Host("192.168.1.5"), .prefix_bits = 24},
                                  {.address = *Endpoint::Parse("[fe80:0:0:0:0:0:0:1]:1"), .prefix_bits = 64},
                                  {.address = Host("10.1.2.3"), .prefix_bits = 8}};
  EXPECT_EQ(LocalAddresses(interfaces, Host("0.0.0.0", 77)), (std::vector<Endpoint>{Host("192.168.1.5", 77), Host("10.1.2.3", 77)}));
  EXPECT_EQ(LocalAddresses(interfaces, Host("127.0.0.1", 77)), std::vector<Endpoint>{Host("127.0.0.1", 77)});
  EXPECT_EQ(LocalAddresses({}, Host("0.0.0.0", 77)), std::vector<Endpoint>{Host("127.0.0.1", 77)});
}

}  // namespace
}  // namespace orchard::hyperdht
