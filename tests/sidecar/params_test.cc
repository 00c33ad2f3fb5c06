#include "node/sidecar/params.h"

#include <gtest/gtest.h>

namespace orchard::sidecar {
namespace {

std::variant<Params, ParamError> Parse(std::string_view operation, std::string_view json) {
  return Params::Parse(*FindOperation(operation), AsBytes(json));
}

ParamError Wrong(std::string_view operation, std::string_view json) {
  auto r = Parse(operation, json);
  EXPECT_TRUE(std::holds_alternative<ParamError>(r)) << json;
  return std::holds_alternative<ParamError>(r) ? std::get<ParamError>(r) : ParamError{};
}

TEST(ParamsTest, AKeyIsHexOrZBase32) {
  // The text form that hypercore-id-encoding gives these bytes.
  std::string hex = "aaeeeb72f686029485137eb9ad00a4d773713ca566473b2ade44a6b0338c9c98";
  auto key = ParseKey(hex);
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(ToHex(*key), hex);
  auto z32 = ParseKey("yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
  ASSERT_TRUE(z32.has_value());
  EXPECT_EQ(*z32, Key32{});
  EXPECT_FALSE(ParseKey("yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyb").has_value());  // Bits beyond the 256th.
  EXPECT_FALSE(ParseKey("vyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy").has_value());  // No such digit.
  EXPECT_FALSE(ParseKey("aa").has_value());
  EXPECT_FALSE(ParseKey(std::string(64, 'g')).has_value());
}

TEST(ParamsTest, ATopicIsHexOrHashedText) {
  std::string hex(64, 'a');
  EXPECT_EQ(ToHex(ParseTopic(hex)), hex);
  EXPECT_EQ(ToHex(ParseTopic("hello world")), "256c83b297114d201b30179f3f0ef0cace9783622da5974326b436178aeef610");
}

TEST(ParamsTest, WhatTheTableNamesIsRead) {
  auto r = Parse("dht.put", R"({"value":"x","mutable":true,"seq":9007199254740991,"encoding":"hex"})");
  ASSERT_TRUE(std::holds_alternative<Params>(r));
  const Params& p = std::get<Params>(r);
  EXPECT_EQ(p.text("value"), "x");
  EXPECT_EQ(p.flag("mutable"), true);
  EXPECT_EQ(p.number("seq"), 9007199254740991u);
  EXPECT_EQ(p.text("encoding"), "hex");
  EXPECT_EQ(p.text("seed"), std::nullopt);
  auto ping = Parse("dht.ping", R"({"address":"1.2.3.4:5"})");
  EXPECT_EQ(std::get<Params>(ping).address("address"), Endpoint::V4(0x01020304, 5));
}

TEST(ParamsTest, AWrongParameterIsNamedWithWhatWasFoundAndExpected) {
  ParamError e = Wrong("dht.ping", R"({"address":"nowhere"})");
  EXPECT_EQ(e.param, "address");
  EXPECT_EQ(e.found, "\"nowhere\"");
  EXPECT_NE(e.expected.find("127.0.0.1:49737"), std::string::npos);
  EXPECT_EQ(Wrong("dht.ping", R"({"address":"1.2.3.4:0"})").param, "address");
  EXPECT_EQ(Wrong("dht.ping", "{}").found, "nothing");
  EXPECT_EQ(Wrong("dht.put", R"({"value":"x","seq":-1})").param, "seq");
  EXPECT_EQ(Wrong("dht.put", R"({"value":"x","seq":9007199254740992})").param, "seq");
  EXPECT_EQ(Wrong("dht.put", R"({"value":"x","seq":1.5})").param, "seq");
  EXPECT_EQ(Wrong("dht.put", R"({"value":"x","encoding":"base64"})").expected, "one of: utf8 hex");
  EXPECT_EQ(Wrong("dht.put", R"({"value":7})").param, "value");
  EXPECT_EQ(Wrong("dht.put", R"({"value":"x","mutable":"yes"})").param, "mutable");
  EXPECT_EQ(Wrong("dht.put", R"({"value":"x","seed":5})").found, "(not shown)");
  EXPECT_EQ(Wrong("dht.lookup", R"({"topic":""})").param, "topic");
}

TEST(ParamsTest, AnUnknownParameterNamesTheNearest) {
  ParamError e = Wrong("dht.lookup", R"({"topik":"apples"})");
  EXPECT_EQ(e.param, "topik");
  EXPECT_NE(e.message.find("did you mean \"topic\"?"), std::string::npos) << e.message;
  EXPECT_EQ(Wrong("info", R"({"x":1})").expected, "no parameters");
}

TEST(ParamsTest, ParametersAreOneObject) {
  EXPECT_EQ(Wrong("dht.lookup", "[]").param, "");
  EXPECT_EQ(Wrong("dht.lookup", "{\"topic\":").found, "malformed JSON");
  EXPECT_EQ(Wrong("dht.lookup", "\xff").found, "malformed JSON");
  EXPECT_TRUE(std::holds_alternative<Params>(Parse("info", "")));
}

}  // namespace
}  // namespace orchard::sidecar
