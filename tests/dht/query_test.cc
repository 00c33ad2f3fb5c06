// The search against the recorded walks of the real Query on a scripted network of 120 nodes.
#include "node/dht/query.h"

#include <gtest/gtest.h>

#include <deque>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "node/dht/rpc.h"
#include "node/wire/writer.h"

namespace orchard::dht {
namespace {

using nlohmann::json;

const json& Vectors() {
  static const json v = json::parse(std::ifstream(std::string(ORCHARD_SOURCE_DIR) + "/tests/vectors/v02b-query.json"));
  return v;
}
Ipv4Address Parse(const std::string& text) { return Ipv4Address::Of(*Endpoint::Parse(text)); }
Key32 Key(const std::string& hex) {
  Key32 k;
  std::string bytes = *FromHex(hex);
  std::copy(bytes.begin(), bytes.end(), k.begin());
  return k;
}

// Delivers answers strictly in the order of the visits, as the recording did.
std::vector<std::string> Walk(const json& run, Query& query, const RoutingTable& table) {
  std::map<Ipv4Address, bool> down;
  std::vector<Ipv4Address> nodes;
  for (const json& n : Vectors().at("nodes")) nodes.push_back(Parse(n.at("addr"))), down[nodes.back()] = n.at("down");
  const json& replies = Vectors().at("replies").at(run.at("target").get<std::string>());

  std::vector<std::string> log;
  std::deque<Query::Visit> under_way;
  size_t hints = 0;
  Query::World world{table, {}};
  Query::Work work;
  auto record = [&] {
    for (const Query::Hint& h : work.hints) {
      if (hints++ < 50) log.push_back("hint " + h.down.ToString() + " to " + h.to.ToString());  // A tick's budget.
    }
    for (const Query::Visit& v : work.visits) log.push_back("visit " + v.to.ToString()), under_way.push_back(v);
    work.hints.clear(), work.visits.clear();
  };
  std::vector<Ipv4Address> roots;
  if (query.WantsRoots(world)) {
    for (const json& b : run.at("bootstrap")) roots.push_back(Parse(b));
  }
  query.Begin(world, roots, work);
  record();
  while (!under_way.empty()) {
    Query::Visit v = under_way.front();
    under_way.pop_front();
    if (down.at(v.to)) {
      log.push_back("timeout " + v.to.ToString());
      query.OnTimeout(world, v.node, work);
    } else {
      wire::Writer closer;
      for (size_t i : replies.at(v.to.ToString())) closer.Ipv4(nodes[i]);
      log.push_back("reply " + v.to.ToString());
      query.OnReply(world, v.node,
                    Response{.from = v.to, .from_id = IdOf(v.to), .token = Key32{}, .closer = AddressList(closer.bytes())}, work);
    }
    record();
  }
  EXPECT_TRUE(work.finished);
  return log;
}

class QueryVectorTest : public testing::TestWithParam<size_t> {};

TEST_P(QueryVectorTest, VisitsAndHintsAndClosestAreExactlyTheRecordedOnes) {
  const json& run = Vectors().at("runs").at(GetParam());
  RoutingTable table(Key(run.at("selfTable")));
  for (const json& n : run.at("tableNodes")) {
    RoutingTable::Slot s;
    Ipv4Address a = Parse(n);
    ASSERT_EQ(table.Add({a, IdOf(a)}, 1, &s), RoutingTable::Added::kYes);
  }
  std::vector<Contact> seeds;
  if (!run.at("options").at("nodes").is_null()) {
    for (const json& n : run.at("options").at("nodes")) seeds.push_back({Parse(n), IdOf(Parse(n))});
  }
  Query query(Key(run.at("target")), run.at("options").at("concurrency"), seeds, run.at("options").at("onlyClosestNodes"));
  std::vector<std::string> log = Walk(run, query, table), want;
  for (const json& e : run.at("log")) {
    if (e.contains("visit")) want.push_back("visit " + e.at("visit").get<std::string>());
    if (e.contains("reply")) want.push_back("reply " + e.at("reply").get<std::string>());
    if (e.contains("timeout")) want.push_back("timeout " + e.at("timeout").get<std::string>());
    if (e.contains("downHint")) want.push_back("hint " + e.at("downHint").get<std::string>() + " to " + e.at("to").get<std::string>());
  }
  ASSERT_GT(want.size(), 30u);
  EXPECT_EQ(log, want);
  std::vector<std::string> closest;
  for (const ClosestReply& c : query.closest()) closest.push_back(c.from.ToString());
  EXPECT_EQ(closest, run.at("closest").get<std::vector<std::string>>());
  EXPECT_EQ(query.successes(), run.at("successes").get<uint32_t>());
  EXPECT_EQ(query.errors(), run.at("errors").get<uint32_t>());
}

INSTANTIATE_TEST_SUITE_P(V02b, QueryVectorTest, testing::Range<size_t>(0, 5), [](const auto& info) {
  std::string name = Vectors().at("runs").at(info.param).at("name");
  std::erase_if(name, [](char c) { return !isalnum(c); });
  return name;
});

struct SmallWorld {
  RoutingTable table{Key32{1}};
  Query::World world{table, {}};
  Query::Work work;
  Contact Node(uint32_t n) { return {{0x0a000000 + n, 1000}, IdOf({0x0a000000 + n, 1000})}; }
};

TEST(QueryTest, ASlowNodeGivesItsPlaceToAnother) {
  SmallWorld w;
  RoutingTable::Slot s;
  for (uint32_t n = 0; n < 12; ++n) w.table.Add(w.Node(n), 1, &s);
  Query q(Key32{7}, 10, {}, false);
  q.WantsRoots(w.world);
  q.Begin(w.world, {}, w.work);
  ASSERT_EQ(w.work.visits.size(), 10u);
  q.OnSlow(w.world, w.work.visits[0].node, w.work);
  EXPECT_EQ(w.work.visits.size(), 11u);
  q.OnSlow(w.world, w.work.visits[0].node, w.work);  // Only once per node.
  EXPECT_EQ(w.work.visits.size(), 11u);
}

TEST(QueryTest, HopsIsTheLongestChainOfReferralsToTheClosest) {
  SmallWorld w;
  RoutingTable::Slot s;
  w.table.Add(w.Node(0), 1, &s);
  Query q(Key32{7}, 10, {}, false);
  q.WantsRoots(w.world);
  q.Begin(w.world, {}, w.work);
  for (uint32_t n = 1; n <= 3; ++n) {  // Each names the next one.
    wire::Writer closer;
    if (n < 3) closer.Ipv4(w.Node(n).address);
    Query::Visit v = w.work.visits.back();
    q.OnReply(w.world, v.node, Response{.from = v.to, .from_id = IdOf(v.to), .closer = AddressList(closer.bytes())}, w.work);
  }
  EXPECT_TRUE(w.work.finished);
  EXPECT_EQ(q.hops(), 3u);
}

TEST(QueryTest, AFloodOfAddressesIsBounded) {
  SmallWorld w;
  RoutingTable::Slot s;
  w.table.Add(w.Node(0), 1, &s);
  Query q(Key32{7}, 10, {}, false);
  q.WantsRoots(w.world);
  q.Begin(w.world, {}, w.work);
  wire::Writer closer;
  for (uint32_t n = 1; n < 20000; ++n) closer.Ipv4(w.Node(n).address);
  Query::Visit v = w.work.visits.back();
  q.OnReply(w.world, v.node, Response{.from = v.to, .from_id = IdOf(v.to), .closer = AddressList(closer.bytes())}, w.work);
  size_t visited = w.work.visits.size();
  for (size_t i = 1; i < w.work.visits.size(); ++i) q.OnRefused(w.world, w.work.visits[i].node, w.work);
  EXPECT_GT(w.work.visits.size(), visited);
  EXPECT_LE(w.work.visits.size(), Query::kSeenMax);
  EXPECT_TRUE(w.work.finished);
}

}  // namespace
}  // namespace orchard::dht
