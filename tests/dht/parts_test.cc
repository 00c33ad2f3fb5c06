// The parts against the recorded vectors of dht-rpc: ids, packets, tokens, table, NAT sampler; and what no vector says.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "node/dht/congestion_window.h"
#include "node/dht/health.h"
#include "node/dht/message.h"
#include "node/dht/nat_sampler.h"
#include "node/dht/patience.h"
#include "node/dht/routing_table.h"
#include "node/dht/rpc.h"
#include "node/dht/tokens.h"

namespace orchard::dht {
namespace {

using nlohmann::json;

const json& Vectors() {
  static const json v = json::parse(std::ifstream(std::string(ORCHARD_SOURCE_DIR) + "/tests/vectors/v02-dht-rpc.json"));
  return v;
}
Ipv4Address Parse(const std::string& text) { return Ipv4Address::Of(*Endpoint::Parse(text)); }
Key32 Key(const json& hex) {
  Key32 k;
  std::string bytes = *FromHex(hex.get<std::string>());
  std::copy(bytes.begin(), bytes.end(), k.begin());
  return k;
}
uint32_t Host(const std::string& dotted) { return Parse(dotted + ":1").host; }

TEST(IdTest, IdsAreHashesOfAddressesAlsoWhenTheMemoryIsFull) {
  ASSERT_EQ(Vectors().at("node_ids").size(), 8u);
  for (int round = 0; round < 2; ++round) {
    for (const json& row : Vectors().at("node_ids")) {
      Ipv4Address a = Parse(row.at("host").get<std::string>() + ":" + std::to_string(row.at("port").get<int>()));
      EXPECT_EQ(ToHex(IdOf(a)), row.at("id").get<std::string>());
    }
    for (uint32_t i = 0; i < 20000; ++i) IdOf({i, 9});  // Grows, and overwrites.
  }
}

TEST(MessageTest, RequestsAreTheRecordedBytes) {
  ASSERT_EQ(Vectors().at("requests").size(), 12u);
  for (const json& row : Vectors().at("requests")) {
    const json& f = row.at("fields");
    Key32 self = Key(row.at("selfId")), token{}, target{};
    std::string value;
    RequestOut out{.tid = f.at("tid"), .internal = f.at("internal"), .command = f.at("command")};
    out.to = Parse(f.at("to").at("host").get<std::string>() + ":" + std::to_string(f.at("to").at("port").get<int>()));
    if (row.at("self") == "persistent" && row.at("socket") == "server") out.id = &self;
    if (!f.at("token").is_null()) token = Key(f.at("token")), out.token = &token;
    if (!f.at("target").is_null()) target = Key(f.at("target")), out.target = &target;
    if (!f.at("value").is_null()) value = *FromHex(f.at("value").get<std::string>()), out.value = AsBytes(value);
    wire::Writer w;
    Encode(out, w);
    EXPECT_EQ(ToHex(w.bytes()), row.at("hex").get<std::string>()) << row.at("name");

    Ipv4Address from{1, 2};
    auto r = DecodeRequest(w.bytes(), from);
    ASSERT_TRUE(r.ok()) << row.at("name");
    EXPECT_EQ(r->tid, out.tid);
    EXPECT_EQ(r->to, out.to);
    EXPECT_EQ(r->from, from);
    EXPECT_EQ(r->internal, out.internal);
    EXPECT_EQ(r->command, out.command);
    EXPECT_EQ(r->from_id.has_value(), out.id != nullptr);
    EXPECT_EQ(r->has_token, out.token != nullptr);
    if (r->has_token) { EXPECT_EQ(r->token, token); }
    EXPECT_EQ(r->target.has_value(), out.target != nullptr);
    EXPECT_EQ(r->value.has_value(), out.value.has_value());
    if (r->value) { EXPECT_EQ(AsText(*r->value), value); }
  }
}

TEST(MessageTest, RepliesAreTheRecordedBytes) {
  ASSERT_EQ(Vectors().at("replies").size(), 6u);
  for (const json& row : Vectors().at("replies")) {
    const json& f = row.at("fields");
    std::string request = *FromHex(row.at("request").get<std::string>());
    Ipv4Address from = Parse(row.at("requestFrom"));
    auto r = DecodeRequest(AsBytes(request), from);
    ASSERT_TRUE(r.ok());
    Key32 self = Key(row.at("selfId")), token;
    Tokens tokens;
    tokens.SetSecrets(Key(row.at("secrets")[0]), Key(row.at("secrets")[1]));
    Rng rng(Key32{});
    RoutingTable table(self);
    ResponseOut out{.tid = r->tid, .to = from, .error = f.at("error")};
    std::string value;
    if (row.at("self") == "persistent") out.id = &self;
    if (f.at("token").get<bool>()) token = tokens.Mint(rng, from.host), out.token = &token;
    if (!f.at("value").is_null()) value = *FromHex(f.at("value").get<std::string>()), out.value = AsBytes(value);
    // The recorded order is the table's; filled in another order, it must come out the same.
    std::vector<std::string> nodes = row.at("closerNodes");
    if (row.at("name").get<std::string>().starts_with("find_node")) {
      nodes.clear();
      for (int i = 29; i >= 0; --i) nodes.push_back("20.0." + std::to_string(i) + ".1:" + std::to_string(1000 + i));
    }
    for (const std::string& n : nodes) {
      RoutingTable::Slot s;
      table.Add({Parse(n), IdOf(Parse(n))}, 1, &s);
    }
    std::vector<Ipv4Address> closer;
    if (f.at("hasCloser").get<bool>() && r->target) table.Closest(*r->target, 20, [&](Ipv4Address a, auto) { closer.push_back(a); });
    out.closer = closer;
    wire::Writer w;
    Encode(out, w);
    EXPECT_EQ(ToHex(w.bytes()), row.at("sent")[0].at("hex").get<std::string>()) << row.at("name");

    auto back = DecodeResponse(w.bytes(), from);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->tid, out.tid);
    EXPECT_EQ(back->error, out.error);
    ASSERT_EQ(back->closer.size(), closer.size());
    for (size_t i = 0; i < closer.size(); ++i) EXPECT_EQ(back->closer[i], closer[i]);
    EXPECT_EQ(back->token.has_value(), out.token != nullptr);
    if (back->value) { EXPECT_EQ(AsText(*back->value), value); }
  }
}

TEST(MessageTest, EveryTruncationIsRefusedAndTrailingBytesAreNot) {
  for (const char* kind : {"requests", "replies"}) {
    for (const json& row : Vectors().at(kind)) {
      const bool request = std::string_view(kind) == "requests";
      std::string bytes = *FromHex((request ? row.at("hex") : row.at("sent")[0].at("hex")).get<std::string>());
      for (size_t n = 1; n < bytes.size(); ++n) {
        Bytes part = AsBytes(bytes).subspan(0, n);
        EXPECT_FALSE(request ? DecodeRequest(part, {}).ok() : DecodeResponse(part, {}).ok()) << n;
      }
      bytes += "more";
      EXPECT_TRUE(request ? DecodeRequest(AsBytes(bytes), {}).ok() : DecodeResponse(AsBytes(bytes), {}).ok());
    }
  }
}

TEST(TokensTest, AreTheRecordedOnes) {
  Rng rng(Key32{});
  for (const json& row : Vectors().at("tokens")) {
    Tokens t;
    t.SetSecrets(Key(row.at("secret0")), Key(row.at("secret1")));
    uint32_t host = Host(row.at("host"));
    EXPECT_EQ(t.Mint(rng, host), Key(row.at("token_current")));
    EXPECT_TRUE(t.Valid(rng, host, Key(row.at("token_current"))));
    EXPECT_TRUE(t.Valid(rng, host, Key(row.at("token_other"))));
    EXPECT_FALSE(t.Valid(rng, host + 1, Key(row.at("token_current"))));
  }
}

TEST(TokensTest, SecretRotatesAfterTenDrains) {
  const json& v = Vectors().at("secret_rotation");
  Tokens t;
  t.SetSecrets(Key(v.at("before")[0]), Key(v.at("before")[1]));
  t.OnDrains(9);
  EXPECT_EQ(t.secrets()[0], Key(v.at("before")[0]));
  t.OnDrains(1);
  EXPECT_EQ(t.secrets()[0], Key(v.at("after")[0]));
  EXPECT_EQ(t.secrets()[1], Key(v.at("after")[1]));
}

TEST(TokensTest, ATokenOutlivesOneRotationAndNotTwo) {
  Rng rng = Rng::Named(1, "a", "b");
  Tokens t;
  Key32 token = t.Mint(rng, 5);
  t.OnDrains(19);
  EXPECT_TRUE(t.Valid(rng, 5, token));
  t.OnDrains(1);
  EXPECT_FALSE(t.Valid(rng, 5, token));
}

TEST(RoutingTableTest, AcceptsAndAnswersAsTheRecordedTable) {
  const json& v = Vectors().at("routing_table");
  RoutingTable t(Key(v.at("self")));
  ASSERT_EQ(v.at("inserts").size(), 200u);
  for (const json& row : v.at("inserts")) {
    Ipv4Address a = Parse(row.at("host").get<std::string>() + ":" + std::to_string(row.at("port").get<int>()));
    RoutingTable::Slot s;
    EXPECT_EQ(t.Add({a, IdOf(a)}, 1, &s) == RoutingTable::Added::kYes, row.at("accepted").get<bool>());
  }
  size_t rows = 0;
  for (const json& row : v.at("rows")) rows += row.at("size").get<size_t>();
  EXPECT_EQ(t.size(), rows);
  ASSERT_EQ(v.at("queries").size(), 4u);
  for (const json& q : v.at("queries")) {
    std::vector<std::string> got;
    t.Closest(Key(q.at("target")), 20, [&](Ipv4Address a, auto) { got.push_back(a.ToString()); });
    EXPECT_EQ(got, q.at("closest20").get<std::vector<std::string>>());
  }
}

TEST(RoutingTableTest, RemovalLeavesNoTraceAndRecenteringKeepsAll) {
  Rng rng = Rng::Named(3, "t", "");
  RoutingTable t(Key32{});
  auto add = [&](uint32_t i) {
    RoutingTable::Slot s;
    Ipv4Address a{i, 7};
    return t.Add({a, IdOf(a)}, 1, &s) == RoutingTable::Added::kYes;
  };
  std::vector<uint32_t> in;
  for (uint32_t i = 0; i < 500; ++i) {
    if (add(i)) in.push_back(i);
  }
  for (size_t i = 0; i < in.size(); i += 2) t.Remove(t.Find({in[i], 7}, IdOf({in[i], 7})));
  EXPECT_EQ(t.size(), in.size() / 2);
  for (size_t i = 0; i < in.size(); ++i) {
    EXPECT_EQ(t.Find({in[i], 7}, IdOf({in[i], 7})) != RoutingTable::kNone, i % 2 == 1);
  }
  size_t before = t.size(), dropped = t.Recenter(IdOf({1, 1})).size(), listed = 0;
  EXPECT_EQ(t.size() + dropped, before);
  for (auto s = t.oldest(); s != RoutingTable::kNone; s = t[s].newer) ++listed;
  EXPECT_EQ(listed, t.size());
  size_t found = 0;
  t.Closest(t.self(), 1000, [&](Ipv4Address a, RoutingTable::Slot s) { found += t.Find(a, t[s].id) == s; });
  EXPECT_EQ(found, t.size());
  std::set<RoutingTable::Slot> drawn;
  for (int i = 0; i < 2000; ++i) drawn.insert(t.Random(rng));
  EXPECT_GT(drawn.size(), t.size() * 9 / 10);
}

TEST(RoutingTableTest, TheOrderOfHearingIsKept) {
  RoutingTable t(Key32{});
  RoutingTable::Slot s[3];
  for (uint32_t i = 0; i < 3; ++i) t.Add({{i, 7}, IdOf({i, 7})}, 1, &s[i]);
  t.Touch(s[0]);
  EXPECT_EQ(t.oldest(), s[1]);
  EXPECT_EQ(t.latest(), s[0]);
  t.Remove(s[1]);
  EXPECT_EQ(t.oldest(), s[2]);
}

TEST(NatSamplerTest, TracesAreTheRecordedOnes) {
  ASSERT_EQ(Vectors().at("nat_sampler").size(), 5u);
  for (const json& v : Vectors().at("nat_sampler")) {
    NatSampler n;
    int step = 0;
    for (const json& row : v.at("trace")) {
      EXPECT_EQ(n.Add(Parse(row.at("add"))), row.at("hits").get<int>()) << v.at("name") << step;
      EXPECT_EQ(n.host().has_value(), !row.at("host").is_null()) << v.at("name") << step;
      if (n.host()) { EXPECT_EQ(*n.host(), Host(row.at("host"))); }
      EXPECT_EQ(n.port(), row.at("port").get<int>()) << v.at("name") << step;
      EXPECT_EQ(n.size(), row.at("size").get<int>());
      EXPECT_EQ(n.threshold(), row.at("threshold").get<int>());
      ++step;
    }
  }
}

TEST(NatSamplerTest, SurvivesAnyFlood) {
  Rng rng = Rng::Named(5, "nat", "");
  NatSampler n;
  for (int i = 0; i < 100000; ++i) n.Add({uint32_t(rng.Below(6)), uint16_t(rng.Below(4))});
  EXPECT_EQ(n.size(), NatSampler::kSamples);
}

TEST(PatienceTest, FollowsWhatAnswersTakeButNeverBeyondASecond) {
  using namespace std::chrono_literals;
  Patience p;
  EXPECT_EQ(p.value(), Patience::kFirst);
  for (int i = 0; i < 50; ++i) p.OnAnswer(10ms, true);
  EXPECT_EQ(p.value(), Patience::kMin);
  for (int i = 0; i < 50; ++i) p.OnAnswer(i % 2 == 0 ? 100ms : 200ms, true);
  EXPECT_GT(p.value(), 300ms);  // Beyond the slower half.
  EXPECT_LT(p.value(), 400ms);
  for (int i = 0; i < 50; ++i) p.OnAnswer(3s, true);
  EXPECT_EQ(p.value(), Patience::kMax);
}

TEST(PatienceTest, AnAnswerToOneOfSeveralCopiesOnlyShowsThatWeWereTooImpatient) {
  using namespace std::chrono_literals;
  Patience p;
  for (int i = 0; i < 50; ++i) p.OnAnswer(250ms, true);
  const Duration before = p.value();
  p.OnAnswer(before - 1ms, false);
  EXPECT_EQ(p.value(), before);
  p.OnAnswer(900ms, false);
  EXPECT_GT(p.value(), before);
}

TEST(CongestionWindowTest, EightyInASlotAndTwiceThatInAll) {
  CongestionWindow w;
  for (int i = 0; i < 80; ++i) {
    EXPECT_FALSE(w.full());
    w.OnSend();
  }
  EXPECT_TRUE(w.full());
  w.OnEnd();
  EXPECT_FALSE(w.full());
  w.OnSend(), w.OnDrains(1);
  for (int i = 0; i < 80; ++i) {
    EXPECT_FALSE(w.full());
    w.OnSend();
  }
  w.OnDrains(1);
  EXPECT_TRUE(w.full());  // 160 in all.
  w.OnEnd();              // Of an earlier slot: frees nothing.
  EXPECT_TRUE(w.full());
  w.OnDrains(2);          // The first 80 are forgotten.
  EXPECT_FALSE(w.full());
  w.OnDrains(1'000'000'000'000);
  EXPECT_FALSE(w.full());
}

TEST(HealthTest, OfflineAfterTwoSilentTicksAndBackWithTheFirstAnswer) {
  Health h;
  uint64_t responses = 0, timeouts = 0;
  for (int i = 0; i < 4; ++i) h.OnTick(responses += 5, timeouts);
  EXPECT_FALSE(h.OnTick(responses, timeouts += 5));
  EXPECT_TRUE(h.OnTick(responses, timeouts += 5));
  EXPECT_FALSE(h.online());
  EXPECT_FALSE(h.OnTick(responses, timeouts += 1));  // Idle: says nothing.
  EXPECT_TRUE(h.OnTick(responses += 9, timeouts));
  EXPECT_TRUE(h.online());
}

TEST(HealthTest, DegradedOnlyWhenFourTicksAreAndClearedOnlyByFourGoodOnes) {
  Health h;
  uint64_t responses = 0, timeouts = 0;
  int ticks = 0;
  for (; !h.degraded() && ticks < 9; ++ticks) h.OnTick(responses += 2, timeouts += 3);
  EXPECT_EQ(ticks, 7);  // Three cold ones, four bad ones.
  EXPECT_TRUE(h.online());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(h.OnTick(responses += 5, timeouts));
  EXPECT_TRUE(h.OnTick(responses += 5, timeouts));
  EXPECT_FALSE(h.degraded());
}

}  // namespace
}  // namespace orchard::dht
