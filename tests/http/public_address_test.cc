#include "node/http/public_address.h"

#include <gtest/gtest.h>

namespace orchard::http {
namespace {

Endpoint At(std::string_view text) { return *Endpoint::Parse(text); }

TEST(PublicAddressTest, KnowsWhatIsNotOfThePublicInternet) {
  for (const char* text : {"127.0.0.1:80", "127.255.0.9:80", "10.0.0.1:80", "172.16.0.1:80", "172.31.255.255:80", "192.168.1.1:80", "169.254.169.254:80",
                           "100.64.0.1:80", "100.127.0.1:80", "0.0.0.0:80", "0.1.2.3:80", "224.0.0.1:80", "239.255.60.60:80", "240.0.0.1:80",
                           "255.255.255.255:80", "192.0.2.1:80", "198.18.0.1:80", "198.51.100.1:80", "203.0.113.1:80", "[0:0:0:0:0:0:0:1]:80",
                           "[fe80:0:0:0:0:0:0:1]:80", "[fc00:0:0:0:0:0:0:1]:80", "[ff02:0:0:0:0:0:0:1]:80", "[2002:7f00:1:0:0:0:0:1]:80",
                           "[64:ff9b:0:0:0:0:7f00:1]:80", "[2001:db8:0:0:0:0:0:1]:80"}) {
    EXPECT_FALSE(IsPublic(At(text))) << text;
  }
  for (const char* text : {"1.1.1.1:80", "9.255.255.255:80", "11.0.0.0:80", "172.15.0.1:80", "172.32.0.1:80", "192.167.0.1:80", "192.169.0.1:80",
                           "100.63.0.1:80", "100.128.0.1:80", "126.0.0.1:80", "128.0.0.1:80", "223.255.255.255:80", "[2606:4700:0:0:0:0:0:1111]:80"}) {
    EXPECT_TRUE(IsPublic(At(text))) << text;
  }
}

TEST(PublicAddressTest, AllowsNoAddressOfItsOwn) {
  const AddressRules rules{.public_only = true, .own = {Endpoint::V4(0x08080808, 0)}};
  EXPECT_FALSE(rules.Allows(At("8.8.8.8:80")));
  EXPECT_TRUE(rules.Allows(At("8.8.4.4:80")));
  EXPECT_TRUE(AddressRules{}.Allows(At("127.0.0.1:80")));
}

}  // namespace
}  // namespace orchard::http
