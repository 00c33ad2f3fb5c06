#include "node/http/url.h"

#include <gtest/gtest.h>

namespace orchard::http {
namespace {

TEST(UrlTest, SplitsWhatItReads) {
  const auto url = Url::Parse("HTTP://Example.ORG:8080/a/b?c=d#e");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_EQ(url->authority.host, "example.org");
  EXPECT_EQ(url->authority.port, 8080);
  EXPECT_EQ(url->target, "/a/b?c=d");
  EXPECT_EQ(url->host_header(), "example.org:8080");
  EXPECT_EQ(url->ToString(), "http://example.org:8080/a/b?c=d");
  EXPECT_FALSE(url->authority.literal().has_value());
  EXPECT_EQ(Url::Parse("http://a")->target, "/");
  EXPECT_EQ(Url::Parse("http://a?b")->target, "/?b");
  EXPECT_EQ(Url::Parse("https://a/")->authority.port, 443);
  EXPECT_EQ(Url::Parse("https://a:443/")->host_header(), "a");
}

TEST(UrlTest, LiteralAddressesNeedNoResolver) {
  EXPECT_EQ(Url::Parse("http://10.0.0.1/")->authority.literal(), Endpoint::V4(0x0a000001, 80));
  const auto v6 = Url::Parse("http://[2001:db8::1]:81/x");
  ASSERT_TRUE(v6.ok());
  EXPECT_EQ(v6->host_header(), "[2001:db8::1]:81");
  EXPECT_EQ(v6->authority.literal(), Endpoint::Parse("[2001:db8::1]:81"));
  EXPECT_EQ(Authority::Parse("[::1]:443", 0)->literal()->port, 443);
}

TEST(UrlTest, RefusesWhatIsNoUrlOfHttp) {
  for (std::string_view text : {"", "a", "/a", "ftp://a/", "http://", "http:///x", "http://u@a/", "http://u:p@a/", "http://a:0/", "http://a:65536/",
                                "http://a:x/", "http://[::1/", "http://[::1]x/", "http://[zz]/", "http://a b/", "http://a/b c", "http://a/\x80", "http://a/\r\nX:"}) {
    EXPECT_FALSE(Url::Parse(text).ok()) << text;
  }
  EXPECT_FALSE(Url::Parse("http://a/" + std::string(Url::kMax, 'x')).ok());
}

TEST(UrlTest, AnAuthorityOfConnectNeedsItsPort) {
  EXPECT_EQ(Authority::Parse("A.org:443", 0)->ToString(443), "a.org");
  EXPECT_FALSE(Authority::Parse("a.org", 0).ok());
  EXPECT_FALSE(Authority::Parse("[::1]", 0).ok());
  EXPECT_FALSE(Authority::Parse("a:b:1", 0).ok());
}

}  // namespace
}  // namespace orchard::http
