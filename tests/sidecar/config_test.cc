#include "node/sidecar/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "node/cage/files.h"

namespace orchard::sidecar {
namespace {

using testing::HasSubstr;

struct Merged {
  Config config;
  std::vector<ConfigError> errors;
};
Merged FromJson(std::string_view json) {
  Merged m;
  MergeConfig(json, m.config, m.errors);
  return m;
}
Merged FromText(std::string_view path, std::string_view value) {
  Merged m;
  MergeConfigText(path, value, m.config, m.errors);
  return m;
}
// The only error, in words.
std::string Error(const Merged& m) { return m.errors.size() == 1 ? Describe(m.errors[0]) : "found " + std::to_string(m.errors.size()) + " errors"; }

TEST(ConfigTest, EveryKeyIsReadFromJson) {
  Merged m = FromJson(R"({
    // Comments are welcome in a file that people write.
    "profile": "js-compat", "seed": "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff", "ipc_socket": "/run/o.sock",
    "log": {"level": "debug"}, "metrics": {"port": 9100},
    "dht": {"bootstrap": true, "persistent": true, "ephemeral": false, "firewalled": false, "host": "127.0.0.1", "port": 1,
            "any_port": false, "concurrency": 3, "cache": false,
            "nodes": ["1.2.3.4:5", "node1.hyperdht.org:49737", "88.99.3.86@node1.hyperdht.org:49737"]}})");
  ASSERT_TRUE(m.errors.empty()) << Describe(m.errors[0]);
  const Config& c = m.config;
  EXPECT_EQ(c.profile, Profile::kJsCompat);
  EXPECT_EQ(c.seed_hex, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
  EXPECT_EQ(c.ipc_socket, "/run/o.sock");
  EXPECT_EQ(c.log.level, "debug");
  EXPECT_EQ(c.metrics.port, 9100);
  EXPECT_TRUE(c.dht.bootstrap && c.dht.persistent && !c.dht.ephemeral && !c.dht.any_port && !c.dht.cache);
  EXPECT_EQ(c.dht.firewalled, std::optional(false));
  EXPECT_EQ(c.dht.host, "127.0.0.1");
  EXPECT_EQ(c.dht.port, 1);
  EXPECT_EQ(c.dht.concurrency, 3u);
  ASSERT_TRUE(c.dht.nodes && c.dht.nodes->size() == 3);
  const auto& n = *c.dht.nodes;
  EXPECT_EQ(n[0].address, Endpoint::V4(0x01020304, 5));
  EXPECT_TRUE(!n[1].address && n[1].name == "node1.hyperdht.org" && n[1].port == 49737);
  EXPECT_TRUE(n[2].address == Endpoint::V4(0x58630356, 49737) && n[2].name == "node1.hyperdht.org");
}

TEST(ConfigTest, TheTableIsOrderedAndEachOfItsKeysIsKnownToEveryDoor) {
  auto keys = ConfigKeys();
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end(), [](auto& a, auto& b) { return a.path < b.path; }));
  for (const ConfigKey& k : keys) {
    EXPECT_FALSE(k.says.empty()) << k.path;
    // A NUL is wrong for every type, and no list of addresses: an error about the value, not about the key.
    Merged m = FromText(k.path, std::string_view("\0", 1));
    ASSERT_EQ(m.errors.size(), 1u) << k.path;
    EXPECT_THAT(Describe(m.errors[0]), testing::Not(HasSubstr("unknown key"))) << k.path;
  }
}

TEST(ConfigTest, WhatIsAbsentKeepsItsDefaultAndLaterLayersWin) {
  Merged m = FromJson("{}");
  EXPECT_EQ(m.config.dht.port, 49737);
  EXPECT_FALSE(m.config.dht.nodes);
  MergeConfig(R"({"dht": {"port": 5, "concurrency": 4}})", m.config, m.errors);
  MergeConfigText("dht.port", "6", m.config, m.errors);
  EXPECT_TRUE(m.errors.empty());
  EXPECT_EQ(m.config.dht.port, 6);
  EXPECT_EQ(m.config.dht.concurrency, 4u);
}

TEST(ConfigTest, UnknownKeysNameTheNearest) {
  EXPECT_EQ(Error(FromJson(R"({"dht": {"prot": 1}})")),
            "dht.prot: unknown key \"prot\"; \"dht\" has any_port, birthday, bootstrap, cache, concurrency, ephemeral, firewalled, host, "
            "nodes, persistent, port, punch. did you mean \"port\"?");
  EXPECT_THAT(Error(FromJson(R"({"dth": {}})")), HasSubstr("did you mean \"dht\"?"));
  EXPECT_THAT(Error(FromJson(R"({"bootstrap": true})")), HasSubstr("did you mean \"dht.bootstrap\"?"));
  EXPECT_THAT(Error(FromText("dht.zzzzzzzz", "1")), testing::Not(HasSubstr("did you mean")));
}

TEST(ConfigTest, WrongValuesSayWhatWasFoundAndExpected) {
  EXPECT_EQ(Error(FromJson(R"({"dht": {"port": "1"}})")), "dht.port: found \"1\"; expected a whole number from 0 to 65535");
  EXPECT_EQ(Error(FromJson(R"({"dht": {"port": 65536}})")), "dht.port: found 65536; expected a whole number from 0 to 65535");
  EXPECT_EQ(Error(FromJson(R"({"dht": {"port": -1}})")), "dht.port: found -1; expected a whole number from 0 to 65535");
  EXPECT_EQ(Error(FromJson(R"({"dht": {"port": 1.5}})")), "dht.port: found 1.5; expected a whole number from 0 to 65535");
  EXPECT_EQ(Error(FromJson(R"({"dht": {"concurrency": 0}})")), "dht.concurrency: found 0; expected a whole number from 1 to 256");
  EXPECT_EQ(Error(FromJson(R"({"dht": {"bootstrap": 1}})")), "dht.bootstrap: found 1; expected true or false");
  EXPECT_EQ(Error(FromJson(R"({"dht": []})")).substr(0, 35), "dht: found []; expected an object. ");
  EXPECT_EQ(Error(FromJson(R"({"dht": {"host": "localhost"}})")), "dht.host: found \"localhost\"; expected an IPv4 address such as \"0.0.0.0\" (the DHT has no other)");
  EXPECT_THAT(Error(FromText("dht.host", "::1")), HasSubstr("IPv4"));
  EXPECT_EQ(Error(FromText("dht.host", "224.0.0.1")), "dht.host: found \"224.0.0.1\"; expected an address of this machine, such as \"0.0.0.0\". that one is of a group, or of nobody");
  EXPECT_THAT(Error(FromText("swarm.refresh", "99999999h")), HasSubstr("from a second to a day"));
  EXPECT_THAT(Error(FromText("swarm.refresh", "10ms")), HasSubstr("from a second to a day"));
  EXPECT_THAT(Error(FromJson(R"({"profile": "js-compt"})")), HasSubstr("did you mean \"js-compat\"?"));
  EXPECT_THAT(Error(FromJson(R"({"log": {"level": 3}})")), HasSubstr("one of error, warn, info, debug"));
  EXPECT_THAT(Error(FromJson(R"({"dht": {"nodes": ["1.2.3.4"]}})")), HasSubstr("dht.nodes[0]: found \"1.2.3.4\""));
  EXPECT_THAT(Error(FromJson(R"({"dht": {"nodes": ["1.2.3.4"]}})")), HasSubstr("the port is missing"));
  for (const char* bad : {"1.2.3.400:5", "a:0", "a:65536", "a:1x", ":1", "a b:1", "1.2.3@name:4", "1.2.3.4@:4", "[::1]:7"}) {
    EXPECT_EQ(FromText("dht.nodes", bad).errors.size(), 1u) << bad;
  }
  EXPECT_EQ(FromJson("[]").errors.size(), 1u);
  EXPECT_EQ(FromJson("{").errors.size(), 1u);
}

TEST(ConfigTest, ManyMistakesAreToldAtOnce) {
  EXPECT_EQ(FromJson(R"({"dht": {"port": "x", "hots": 1, "nodes": ["a", 7]}, "profil": 1})").errors.size(), 5u);
}

TEST(ConfigTest, ASeedIsNeverShown) {
  EXPECT_THAT(Error(FromText("seed", "5ec2e7")), testing::Not(HasSubstr("5ec2e7")));
}

TEST(ConfigTest, TheAdminsDoorHasItsPlaceAndATokenThatIsNeverShown) {
  Merged m = FromJson(R"({"cage": {"admin_host": "10.0.0.1", "admin_port": 9001, "admin_token": "0123456789abcdef", "sites_dir": "/srv/sites"}})");
  ASSERT_TRUE(m.errors.empty()) << Describe(m.errors[0]);
  EXPECT_EQ(m.config.cage.admin_host, "10.0.0.1");
  EXPECT_EQ(m.config.cage.host, "0.0.0.0");
  EXPECT_EQ(m.config.cage.admin_port, 9001);
  EXPECT_EQ(m.config.cage.admin_token, "0123456789abcdef");
  EXPECT_TRUE(m.config.cage.serves());
  for (std::string_view token : {"shortsecret", "with a space in it, long", "quote\"in-the-secret-of-it"}) {
    const std::string error = Error(FromText("cage.admin_token", token));
    EXPECT_THAT(error, HasSubstr("not shown"));
    EXPECT_THAT(error, testing::Not(HasSubstr("secret-of"))) << error;
  }
  m = FromJson(R"({"cage": {"admin_port": 8080}})");
  CheckConfig(m.config, m.errors);
  EXPECT_THAT(Error(m), HasSubstr("cage.admin_port: found 8080, where sites are served"));
}

TEST(ConfigTest, FilesOfASiteAreADirectoryOrTextsByPath) {
  Merged m = FromJson(R"({"cage": {"sites": {"a": {"module": "example:files.wasm", "files": "/srv/www"}, "b": {"module": "m", "files": {"css/x.css": "h1 {}"}}}}})");
  ASSERT_TRUE(m.errors.empty()) << Describe(m.errors[0]);
  EXPECT_EQ(m.config.cage.sites[0].directory, "/srv/www");
  EXPECT_EQ(m.config.cage.sites[0].files, "");
  EXPECT_EQ(*cage::DecodeFiles(AsBytes(m.config.cage.sites[1].files)), (cage::FileMap{{"css/x.css", "h1 {}"}}));
  const auto wrong = [](const std::string& files) { return Error(FromJson(R"({"cage": {"sites": {"a": {"module": "m", "files": )" + files + "}}}}")); };
  EXPECT_THAT(wrong("7"), HasSubstr("cage.sites.a.files: found 7"));
  EXPECT_THAT(wrong(R"({"x": 7})"), HasSubstr("texts by path"));
  EXPECT_THAT(wrong(R"({"../x": ""})"), HasSubstr("the file \"../x\" is no path"));
}

TEST(ConfigTest, ASiteSaysWhatItsGuardDoes) {
  Merged m = FromJson(R"({"cage": {"guard": "block", "sites": {"a": {"module": "m", "guard": "off", "guard_rate": 0}, "b": {"module": "m"}}}})");
  EXPECT_EQ(m.config.cage.guard, guard::Mode::kBlock);
  EXPECT_EQ(m.config.cage.sites[0].guard, guard::Mode::kOff);
  EXPECT_EQ(m.config.cage.sites[0].guard_rate, 0u);
  EXPECT_EQ(m.config.cage.sites[1].guard, std::nullopt);
  EXPECT_EQ(m.config.cage.sites[1].guard_rate, 100u);
  EXPECT_EQ(FromJson("{}").config.cage.guard, guard::Mode::kFlag);
  EXPECT_THAT(Error(FromJson(R"({"cage": {"guard": "on"}})")), HasSubstr("cage.guard: found \"on\""));
  EXPECT_THAT(Error(FromJson(R"({"cage": {"sites": {"a": {"module": "m", "guard": "blok"}}}})")), HasSubstr("did you mean \"block\"?"));
  EXPECT_THAT(Error(FromJson(R"({"cage": {"sites": {"a": {"module": "m", "guard_rate": 1000001}}}})")), HasSubstr("cage.sites.a.guard_rate: found 1000001"));
}

TEST(ConfigTest, TextIsReadAsTheKeysType) {
  EXPECT_TRUE(FromText("dht.bootstrap", "1").config.dht.bootstrap);
  EXPECT_FALSE(FromText("dht.cache", "false").config.dht.cache);
  EXPECT_EQ(FromText("dht.bootstrap", "yes").errors.size(), 1u);
  EXPECT_EQ(FromText("dht.port", "80").config.dht.port, 80);
  EXPECT_EQ(FromText("dht.port", "80 ").errors.size(), 1u);
  EXPECT_EQ(FromText("dht.nodes", "1.2.3.4:5, a.b:6").config.dht.nodes->size(), 2u);
  EXPECT_TRUE(FromText("dht.nodes", "").config.dht.nodes->empty());
}

TEST(ConfigTest, EveryKeyIsAnEnvironmentVariable) {
  EXPECT_EQ(EnvironmentName("dht.any_port"), "ORCHARD_DHT_ANY_PORT");
  Merged m;
  std::vector<std::string> environment = {"PATH=/bin", "ORCHARD_DATA=/x", "ORCHARD_DHT_PORT=77", "ORCHARD_LOG_LEVEL=warn", "ORCHARDIST=1"};
  std::vector<std::string_view> others = {"DATA"};
  MergeConfigEnvironment(environment, others, m.config, m.errors);
  EXPECT_TRUE(m.errors.empty());
  EXPECT_EQ(m.config.dht.port, 77);
  EXPECT_EQ(m.config.log.level, "warn");
  environment = {"ORCHARD_DHT_PROT=1", "ORCHARD_DHT_PORT=x"};
  MergeConfigEnvironment(environment, others, m.config, m.errors);
  ASSERT_EQ(m.errors.size(), 2u);
  EXPECT_THAT(Describe(m.errors[0]), HasSubstr("did you mean \"ORCHARD_DHT_PORT\"?"));
  EXPECT_EQ(m.errors[1].path, "ORCHARD_DHT_PORT");
}

TEST(ConfigTest, ContradictionsAreErrors) {
  Merged m = FromJson(R"({"dht": {"bootstrap": true, "ephemeral": true, "firewalled": true}})");
  EXPECT_TRUE(m.errors.empty());
  CheckConfig(m.config, m.errors);
  EXPECT_EQ(m.errors.size(), 2u);
}

TEST(ConfigTest, HostileTextsAreRefusedInFewShortWords) {
  // Printing a value goes down its nesting: half a million brackets once ended the process.
  std::string deep = R"({"dht":{"port":)" + std::string(400'000, '[') + std::string(400'000, ']') + "}}";
  EXPECT_THAT(Error(FromJson(deep)), HasSubstr("nested more than 64 deep"));
  std::string many = "{";
  for (int i = 0; i < 5000; ++i) many += (i > 0 ? ",\"k" : "\"k") + std::to_string(i) + "\":1";
  Merged m = FromJson(many + "}");
  ASSERT_EQ(m.errors.size(), 21u);
  EXPECT_THAT(Describe(m.errors.back()), HasSubstr("4980 more errors"));
  EXPECT_LT(Error(FromJson("{\"" + std::string(900'000, 'k') + "\":1}")).size(), 400u);
  EXPECT_THAT(Error(FromJson(R"({"dht":{"po\u0000\u001brt":1}})")), HasSubstr(R"(dht.po\u0000\u001brt: unknown key)"));
}

TEST(ConfigTest, ARoomIsNoKey) {
  EXPECT_THAT(Error(FromText("log", "debug")), HasSubstr("log: found the room log and no key in it; expected log.level or another key"));
}

TEST(ConfigTest, TextThatIsNoJsonIsToldByItsPlace) {
  EXPECT_THAT(Error(FromJson("{\n  \"dht\": {\"port\": 1,}\n}")), HasSubstr(R"(line 2, column 21: found "}"; expected JSON)"));
  EXPECT_THAT(Error(FromJson("{\"dht\": {")), HasSubstr("line 1, column 10: found the end of the file"));
  EXPECT_THAT(Error(FromJson("")), HasSubstr("line 1, column 1: found the end of the file"));
  EXPECT_THAT(Error(FromJson("42")), HasSubstr("found 42; expected a JSON object"));
}

}  // namespace
}  // namespace orchard::sidecar
