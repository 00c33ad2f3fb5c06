// Multicast in the simulated world: a group is heard on one LAN, and no further.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/sim_world.h"

namespace orchard::sim {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

const Endpoint kGroup = Endpoint::V4(0xefff3c3c, 4000);  // 239.255.60.60

// Two homes with two hosts each, and one far away; whoever is told "join" joins on all its interfaces.
struct Homes : PuppetWorld {
  static WorldPlan Plan(Stack stack) {
    WorldPlan plan = PlainPlan();
    plan.stack = stack;
    for (const char* id : {"east", "west"}) {
      LanPlan& lan = plan.lans.emplace_back();
      lan.id = id, lan.router = UplinkPlan{.link = FindLinkPreset("cable")->spec(), .nat = {{Nat("full-cone")}}};
    }
    for (const char* id : {"e1", "e2", "e3", "w1"}) AddHost(plan, id).uplinks.clear(), plan.hosts.back().lan = id[0] == 'e' ? "east" : "west";
    AddHost(plan, "both", {{Nat("port-restricted")}}, "dsl").lan = "west";
    AddHost(plan, "far");
    return plan;
  }
  explicit Homes(Stack stack) : PuppetWorld(Plan(stack), [this](Turn& t, const Input& i, Puppet&) {
    if (const auto* s = std::get_if<Start>(&i)) mine[&t.store].assign(s->interfaces.begin(), s->interfaces.end());
    if (const auto* j = std::get_if<GroupJoined>(&i)) statuses.push_back(j->status);
    if (const auto* c = std::get_if<OpCall>(&i); c != nullptr && c->name == "join") {
      for (const Interface& x : mine[&t.store]) t.out.JoinGroup(SocketId{1}, kGroup, x.address);
    }
  }) { StartAll(); }
  void Join(std::string_view who) { world->Call(Index(who), OpId{1000}, "join", ""); }

  std::map<const Store*, std::vector<Interface>> mine;  // A host's store outlives its lives.
  std::vector<absl::StatusCode> statuses;
};

class GroupsTest : public testing::TestWithParam<Stack> {};

TEST_P(GroupsTest, MembersOnALanHearIncludingTheSenderAndNobodyBeyondTheRouter) {
  Homes w(GetParam());
  for (const char* id : {"e1", "e2", "w1", "both", "far"}) w.Join(id);  // e3 does not.
  for (uint8_t ttl : {1, 64}) {
    const size_t mark = w.heard.size();
    w.Send("e1", kGroup, "here", ttl);
    w.Run(500ms);
    EXPECT_THAT(w.Texts("e1", mark), ElementsAre("here"));
    EXPECT_THAT(w.Texts("e2", mark), ElementsAre("here"));
    for (const char* id : {"e3", "w1", "both", "far"}) EXPECT_THAT(w.Texts(id, mark), IsEmpty()) << id;
    EXPECT_EQ(w.Last("e2")->from, w.world->local_address(0).with_port(4000));
  }
  EXPECT_THAT(w.dropped, IsEmpty()) << "what is for others is no loss";
}

TEST_P(GroupsTest, AHostOnALanAndInTheWorldSpeaksFromTheAddressOfEach) {
  Homes w(GetParam());
  w.Join("both"), w.Join("w1");
  EXPECT_THAT(w.statuses, testing::Each(absl::StatusCode::kOk));
  w.Send("both", kGroup, "hello", 1);
  w.Run(500ms);
  EXPECT_THAT(w.Texts("w1"), ElementsAre("hello"));
  EXPECT_EQ(w.Last("w1")->from.ip, w.world->interfaces(w.Index("both")).back().address.ip);
  EXPECT_EQ(w.Texts("both").size(), 2u);  // It is a member on either interface.
}

TEST_P(GroupsTest, AMembershipEndsWithItsSocketAndItsLife) {
  Homes w(GetParam());
  w.Join("e1"), w.Join("e2");
  w.world->Kill(w.Index("e2"));
  w.world->StartHost(w.Index("e2"));
  w.Send("e1", kGroup, "once", 1);
  w.Run(100ms);
  EXPECT_THAT(w.Texts("e2"), IsEmpty());
  EXPECT_THAT(w.Texts("e1"), ElementsAre("once"));
}

TEST_P(GroupsTest, PartitionsAndLinksCutGroupsToo) {
  Homes w(GetParam());
  for (const char* id : {"e1", "e2", "e3"}) w.Join(id);
  const uint64_t cut = w.world->Partition({{0}, {1}});  // e1 | e2; e3 is with the first.
  w.Send("e1", kGroup, "cut", 1);
  w.Run(100ms);
  EXPECT_THAT(w.Texts("e2"), IsEmpty());
  EXPECT_THAT(w.Texts("e3"), ElementsAre("cut"));
  w.world->Heal(cut);
  World::LinkChange down;
  down.up = false;
  const uint64_t link = w.world->PushLinkChange("e3", down);
  w.Send("e1", kGroup, "down", 1);
  w.Run(100ms);
  EXPECT_THAT(w.Texts("e2"), ElementsAre("down"));
  EXPECT_THAT(w.Texts("e3"), ElementsAre("cut"));
  w.world->PopLinkChange(link);
  w.Send("e3", kGroup, "back", 1);
  w.Run(100ms);
  EXPECT_THAT(w.Texts("e2"), ElementsAre("down", "back"));
}

TEST_P(GroupsTest, ALinkMayCutOneProtocol) {
  Homes w(GetParam());
  for (const char* id : {"e1", "e2"}) w.Join(id);
  for (uint8_t protocol : {uint8_t{17}, uint8_t{6}}) {
    World::LinkChange cut;
    cut.cuts = protocol;
    const uint64_t link = w.world->PushLinkChange("e2", cut);
    w.Send("e1", kGroup, protocol == 17 ? "udp is cut" : "tcp is cut", 1);
    w.Run(100ms);
    w.world->PopLinkChange(link);
  }
  EXPECT_THAT(w.Texts("e2"), ElementsAre("tcp is cut"));
}

INSTANTIATE_TEST_SUITE_P(Stacks, GroupsTest, testing::Values(Stack::kFast, Stack::kFull));

}  // namespace
}  // namespace orchard::sim
