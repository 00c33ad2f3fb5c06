// Each requirement of RFC 4787 that a scenario can ask for or switch off, on the table alone.

#include "sim/world/nat_table.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/sim/sim_world.h"

namespace orchard::sim {
namespace {

constexpr uint32_t kPublic = 0x01020304, kPublic2 = 0x01020305;
constexpr Ep4 kIn{0xc0a80105, 4000}, kIn2{0xc0a80106, 4000}, kIn3{0xc0a80107, 4000};
constexpr Ep4 kA{0x08080808, 53}, kA2{0x08080808, 54}, kB{0x09090909, 53};
constexpr Dependence kEI = Dependence::kEndpointIndependent, kAD = Dependence::kAddressDependent,
                     kAPD = Dependence::kAddressAndPortDependent;
constexpr int64_t kSecond = 1'000'000'000;

struct Box {
  explicit Box(NatSpec s, std::vector<uint32_t> addresses = {kPublic}) : spec(s), table(&spec, std::move(addresses), 7) {}
  Ep4 Out(int64_t at, Ep4 in, Ep4 to) {
    NatResult r = table.Outbound(at, in, to);
    EXPECT_EQ(r.verdict, NatVerdict::kOk);
    return r.to;
  }
  NatVerdict In(int64_t at, Ep4 outside, Ep4 from) { return table.Inbound(at, outside, from).verdict; }
  NatSpec spec;
  NatTable table;
};

TEST(NatTableTest, MappingDependsOnTheRemoteAsFarAsItSays) {  // RFC 4787 §4.1, REQ-1.
  Box ei(Nat(kEI, kAPD, PortChoice::kRandom));
  Ep4 a = ei.Out(0, kIn, kA);
  EXPECT_EQ(ei.Out(0, kIn, kA2), a);
  EXPECT_EQ(ei.Out(0, kIn, kB), a);
  Box ad(Nat(kAD, kAPD, PortChoice::kRandom));
  a = ad.Out(0, kIn, kA);
  EXPECT_EQ(ad.Out(0, kIn, kA2), a);
  EXPECT_NE(ad.Out(0, kIn, kB), a);
  Box apd(Nat(kAPD, kAPD, PortChoice::kRandom));
  a = apd.Out(0, kIn, kA);
  EXPECT_NE(apd.Out(0, kIn, kA2), a);
  EXPECT_NE(apd.Out(0, kIn, kB), a);
  EXPECT_EQ(apd.Out(0, kIn, kA), a);
}

TEST(NatTableTest, FilteringDependsOnTheRemoteAsFarAsItSays) {  // §5, REQ-8.
  for (Dependence mapping : {kEI, kAD, kAPD}) {
    Box ei(Nat(mapping, kEI)), ad(Nat(mapping, kAD)), apd(Nat(mapping, kAPD));
    Ep4 x = ei.Out(0, kIn, kA), y = ad.Out(0, kIn, kA), z = apd.Out(0, kIn, kA);
    EXPECT_EQ(ei.In(1, x, kB), NatVerdict::kOk);
    EXPECT_EQ(ad.In(1, y, kA2), NatVerdict::kOk);
    EXPECT_EQ(ad.In(1, y, kB), NatVerdict::kFiltered);
    EXPECT_EQ(apd.In(1, z, kA), NatVerdict::kOk);
    EXPECT_EQ(apd.In(1, z, kA2), NatVerdict::kFiltered);
    EXPECT_EQ(apd.In(1, z, kB), NatVerdict::kFiltered);
    EXPECT_EQ(apd.In(1, {kPublic, uint16_t(z.port + 1)}, kA), NatVerdict::kUnmapped);
    EXPECT_EQ(apd.In(1, {kPublic2, z.port}, kA), NatVerdict::kUnmapped);
    EXPECT_EQ(apd.table.Inbound(1, z, kA).to, kIn);
  }
}

TEST(NatTableTest, PortsAreNeverSharedByTwoInsideEndpoints) {  // REQ-3.
  for (PortChoice ports : {PortChoice::kPreserve, PortChoice::kSequential, PortChoice::kRandom, PortChoice::kBlock}) {
    Box box(Nat(kEI, kAPD, ports));
    std::set<uint16_t> seen;
    for (uint32_t i = 0; i < 100; ++i) {
      Ep4 out = box.Out(0, {kIn.ip + i, 4000}, kA);
      EXPECT_TRUE(seen.insert(out.port).second);
      EXPECT_GE(out.port, 1024);
    }
  }
}

TEST(NatTableTest, PreservedPortsAreTheInsideOnesUntilTheyClash) {
  Box box(Nat(kEI, kAPD, PortChoice::kPreserve));
  EXPECT_EQ(box.Out(0, kIn, kA).port, 4000);
  EXPECT_NE(box.Out(0, kIn2, kA).port, 4000);
  // Symmetric and preserving: all mappings of one endpoint keep the port, each for its own remote.
  Box sym(Nat(kAPD, kAPD, PortChoice::kPreserve));
  Ep4 a = sym.Out(0, kIn, kA), b = sym.Out(0, kIn, kB);
  EXPECT_EQ(a.port, 4000);
  EXPECT_EQ(b, a);
  EXPECT_EQ(sym.table.size(), 2u);
  EXPECT_EQ(sym.In(1, a, kA), NatVerdict::kOk);
  EXPECT_EQ(sym.In(1, a, kB), NatVerdict::kOk);
  EXPECT_EQ(sym.In(1, a, kA2), NatVerdict::kFiltered);
  EXPECT_NE(sym.Out(1, kIn2, kA).port, 4000);
}

TEST(NatTableTest, SequentialPortsFollowEachOther) {
  Box box(Nat(kAPD, kAPD, PortChoice::kSequential));
  uint16_t first = box.Out(0, kIn, kA).port;
  EXPECT_EQ(box.Out(0, kIn, kA2).port, first + 1);
  EXPECT_EQ(box.Out(0, kIn2, kB).port, first + 2);
}

TEST(NatTableTest, BlocksGiveEachSubscriberItsOwnPortsAndNoMore) {  // RFC 6888 REQ-9, RFC 7422.
  NatSpec s = Nat(kEI, kAPD, PortChoice::kBlock);
  s.block_ports = 64;
  Box box(s);
  std::set<uint32_t> blocks[2];
  for (uint16_t i = 0; i < 64; ++i) {
    blocks[0].insert((box.Out(0, {kIn.ip, uint16_t(2000 + i)}, kA).port - 1024u) / 64);
    blocks[1].insert((box.Out(0, {kIn2.ip, uint16_t(2000 + i)}, kA).port - 1024u) / 64);
  }
  EXPECT_EQ(blocks[0].size(), 1u);
  EXPECT_EQ(blocks[1].size(), 1u);
  EXPECT_NE(blocks[0], blocks[1]);
  EXPECT_EQ(box.table.Outbound(0, {kIn.ip, 3000}, kA).verdict, NatVerdict::kFull);
  EXPECT_EQ(box.table.counts().refused, 1u);
  // All blocks given away; those of subscribers who have nothing left are taken back.
  s.block_ports = 16'128;
  Box small(s);
  for (uint32_t i = 0; i < 4; ++i) small.Out(0, {kIn.ip + i, 4000}, kA);
  EXPECT_EQ(small.table.Outbound(1, {kIn.ip + 9, 4000}, kA).verdict, NatVerdict::kFull);
  EXPECT_EQ(small.table.Outbound(31 * kSecond, {kIn.ip + 9, 4000}, kA).verdict, NatVerdict::kOk);
}

TEST(NatTableTest, AnUnansweredMappingLivesShorterThanAnAnsweredOne) {  // §4.3, REQ-5.
  Box box(Nat(kEI, kAPD, PortChoice::kRandom));  // 30 s and 120 s.
  Ep4 a = box.Out(0, kIn, kA);
  EXPECT_EQ(box.In(30 * kSecond - 1, a, kA), NatVerdict::kOk);  // From now on answered.
  EXPECT_EQ(box.In(120 * kSecond - 1, a, kA), NatVerdict::kOk);
  EXPECT_EQ(box.In(120 * kSecond, a, kA), NatVerdict::kUnmapped);
  Ep4 b = box.Out(200 * kSecond, kIn, kA);
  EXPECT_EQ(box.In(230 * kSecond, b, kA), NatVerdict::kUnmapped);
}

TEST(NatTableTest, OutboundTrafficRefreshesAndInboundOnlyIfAsked) {  // REQ-6.
  for (bool both : {false, true}) {
    NatSpec s = Nat(kEI, kAPD, PortChoice::kRandom);
    s.idle = s.idle_first = 30s, s.refresh_inbound = both;
    Box box(s);
    Ep4 a = box.Out(0, kIn, kA);
    for (int t : {20, 40, 60}) {
      EXPECT_EQ(box.In(t * kSecond, a, kA), both || t < 30 ? NatVerdict::kOk : NatVerdict::kUnmapped) << t;
    }
    Box out(s);
    a = out.Out(0, kIn, kA);
    for (int t : {20, 40, 60}) EXPECT_EQ(out.Out(t * kSecond, kIn, kA), a);
  }
}

TEST(NatTableTest, EachRemotesPermissionAgesByItself) {
  Box box(Nat(kEI, kAPD));
  Ep4 a = box.Out(0, kIn, kA);
  for (int t = 0; t < 100; t += 20) box.Out(t * kSecond, kIn, kB);  // Keeps the mapping, not A's permission.
  EXPECT_EQ(box.In(90 * kSecond, a, kB), NatVerdict::kOk);
  EXPECT_EQ(box.In(90 * kSecond, a, kA), NatVerdict::kFiltered);
}

TEST(NatTableTest, AnAbsoluteLifeEndsBusyMappingsToo) {
  NatSpec s = Nat(kEI, kEI, PortChoice::kRandom);
  s.life = 60s;
  Box box(s);
  Ep4 a = box.Out(0, kIn, kA);
  for (int t = 10; t < 60; t += 10) EXPECT_EQ(box.Out(t * kSecond, kIn, kA), a);
  EXPECT_NE(box.Out(60 * kSecond, kIn, kA), a);
  EXPECT_EQ(box.In(60 * kSecond, a, kA), NatVerdict::kUnmapped);
}

TEST(NatTableTest, AFullTableRefusesOrEvictsTheLeastUsed) {
  NatSpec s = Nat(kEI, kAPD);
  s.max_mappings = 2;
  Box refuse(s);
  refuse.Out(0, kIn, kA), refuse.Out(1, kIn2, kA);
  EXPECT_EQ(refuse.table.Outbound(2, kIn3, kA).verdict, NatVerdict::kFull);
  refuse.Out(3, kIn, kB);  // What exists still works.
  EXPECT_EQ(refuse.table.Outbound(31 * kSecond, kIn3, kA).verdict, NatVerdict::kOk);  // The old ones are over.

  s.when_full = WhenFull::kEvict;
  Box evict(s);
  Ep4 a = evict.Out(0, kIn, kA), b = evict.Out(1, kIn2, kA);
  evict.Out(2, kIn, kA);
  evict.Out(3, kIn3, kA);
  EXPECT_EQ(evict.In(4, a, kA), NatVerdict::kOk);
  EXPECT_EQ(evict.In(4, b, kA), NatVerdict::kUnmapped);
  EXPECT_EQ(evict.table.counts().evicted, 1u);
}

TEST(NatTableTest, PoolingIsPaired) {  // REQ-2.
  NatSpec s = Nat(kAPD, kAPD, PortChoice::kRandom);
  s.pool = 2;
  Box box(s, {kPublic, kPublic2});
  std::set<uint32_t> all;
  for (uint32_t i = 0; i < 32; ++i) {
    const uint32_t ip = box.Out(0, {kIn.ip + i, 1}, kA).ip;
    EXPECT_EQ(box.Out(0, {kIn.ip + i, 2}, kB).ip, ip);
    EXPECT_EQ(box.table.AddressFor(kIn.ip + i), ip);
    all.insert(ip);
  }
  EXPECT_EQ(all.size(), 2u);
}

TEST(NatTableTest, ARemapGivesOtherPortsEvenWherePortsArePreserved) {
  for (PortChoice ports : {PortChoice::kPreserve, PortChoice::kSequential, PortChoice::kRandom, PortChoice::kBlock}) {
    Box box(Nat(kEI, kAPD, ports));
    Ep4 before = box.Out(0, kIn, kA);
    box.table.Remap(1'000'000);
    EXPECT_EQ(box.In(1, before, kA), NatVerdict::kUnmapped);
    EXPECT_NE(box.Out(1, kIn, kA), before);
  }
  Box part(Nat(kEI, kAPD, PortChoice::kRandom));
  for (uint32_t i = 0; i < 1000; ++i) part.Out(0, {kIn.ip + i, 4000}, kA);
  part.table.Remap(300'000);
  EXPECT_NEAR(double(part.table.size()), 700, 60);
  part.table.Remap(0);
  EXPECT_NEAR(double(part.table.size()), 700, 60);
}

TEST(NatTableTest, ARebootForgetsEverything) {
  Box box(Nat(kEI, kEI));
  Ep4 a = box.Out(0, kIn, kA);
  box.table.Flush();
  EXPECT_EQ(box.table.size(), 0u);
  EXPECT_EQ(box.In(1, a, kA), NatVerdict::kUnmapped);
  EXPECT_EQ(box.Out(1, kIn, kA), a);  // Preserved: nothing says that a reboot changes it.
}

TEST(NatTableTest, ABlockedBoxLetsNoUdpThrough) {
  Box box(Nat("udp-blocked"));
  EXPECT_EQ(box.table.Outbound(0, kIn, kA).verdict, NatVerdict::kBlocked);
  EXPECT_EQ(box.In(0, {kPublic, 4000}, kA), NatVerdict::kBlocked);
}

TEST(NatTableTest, AFullRangeOfPortsRefusesAndRecovers) {
  Box box(Nat(kAPD, kAPD, PortChoice::kSequential));
  for (uint32_t i = 0; i < NatTable::kPorts; ++i) box.Out(0, kIn, {0x08000000 + i, 53});
  EXPECT_EQ(box.table.Outbound(1, kIn, kB).verdict, NatVerdict::kFull);
  EXPECT_EQ(box.table.Outbound(31 * kSecond, kIn, kB).verdict, NatVerdict::kOk);
}

TEST(NatTableTest, MemoryOfWhatIsOverIsGivenBack) {
  Box box(Nat(kAPD, kAPD, PortChoice::kRandom));
  for (uint32_t i = 0; i < 20'000; ++i) box.Out(int64_t(i) * kSecond, kIn, {0x08000000 + i, 53});
  EXPECT_LT(box.table.size(), 200u);  // 30 live at any time.
}

TEST(NatTableTest, TcpLivesForHoursOnceAnsweredAndForMinutesAroundItsEnds) {  // RFC 5382 §5, REQ-5.
  for (Dependence mapping : {kEI, kAPD}) {
    NatSpec udp = Nat(mapping, kAPD);
    udp.udp_blocked = true;
    Box box(NatTable::TcpSpec(udp));
    auto out = [&](int64_t at, FlowMark mark) { return box.table.Outbound(at * kSecond, kIn, kA, mark); };
    auto in = [&](int64_t at, FlowMark mark) { return box.table.Inbound(at * kSecond, {kPublic, kIn.port}, kA, mark).verdict; };
    ASSERT_EQ(out(0, FlowMark::kOpens).verdict, NatVerdict::kOk);
    EXPECT_EQ(in(241, FlowMark::kOpens), NatVerdict::kUnmapped) << "nobody answered";
    out(1000, FlowMark::kOpens);
    EXPECT_EQ(in(1001, FlowMark::kOpens), NatVerdict::kOk);
    EXPECT_EQ(in(1001 + 7439, FlowMark::kNone), NatVerdict::kOk);
    EXPECT_EQ(in(1001 + 2 * 7439, FlowMark::kNone), NatVerdict::kOk) << "either side keeps it";
    out(20'000, FlowMark::kCloses);
    EXPECT_EQ(in(20'239, FlowMark::kNone), NatVerdict::kOk);
    out(20'300, FlowMark::kOpens);  // The same ports again.
    EXPECT_EQ(in(20'301, FlowMark::kOpens), NatVerdict::kOk);
    EXPECT_EQ(in(21'000, FlowMark::kNone), NatVerdict::kOk);
    EXPECT_EQ(in(21'001, FlowMark::kCloses), NatVerdict::kOk);
    EXPECT_EQ(in(21'242, FlowMark::kNone), NatVerdict::kUnmapped);
  }
}

}  // namespace
}  // namespace orchard::sim
