// What the kernel's NATs are, measured from outside in the words of RFC 4787, and compared to what the scenario asked for.

#include <gmock/gmock.h>

#include <set>

#include "sim/language/lint.h"
#include "sim/netns/nat_rules.h"
#include "tests/netns/lab.h"

namespace orchard::sim {
namespace {

constexpr uint16_t kPort = 49737;

class NatTest : public KernelTest {
 protected:
  // Host 0 (and 1, its neighbour behind the same box) behind the NAT; 2 and 3 on the Internet.
  void BuildBehind(NatSpec spec) {
    Build({Host("inside", {Box(spec, "x")}), Host("mate", {Box(spec, "x")}), Host("first"), Host("second")});
  }
  void BuildAlone(NatSpec spec) { Build({Host("inside", {Box(spec)}), Host("first"), Host("second")}); }

  struct Seen {
    Dependence mapping, filtering;
    bool preserved;
  };
  // `first` and `second` are the indices of two public hosts.
  Seen Classify(HostIndex inside, HostIndex first, HostIndex second, uint16_t from = kPort) {
    UdpEnd in = Open(inside, from), a = Open(first, 1000), a2 = Open(first, 1001), b = Open(second, 1000);
    auto outside = [&](const UdpEnd& at, Endpoint to) {
      in.Send(to, "map");
      std::optional<UdpEnd::Packet> p = at.Receive();
      EXPECT_TRUE(p.has_value());
      return p ? p->from : Endpoint{};
    };
    // Filters first, while only one remote was asked.
    const Endpoint mapped = outside(a, Public(first, 1000));
    a2.Send(mapped, "other port"), b.Send(mapped, "other address"), a.Send(mapped, "same");
    std::set<std::string> heard;
    for (std::optional<UdpEnd::Packet> p; (p = in.Receive(heard.contains("same") ? kSilenceMs : kArrivalMs)).has_value();) heard.insert(p->text);
    EXPECT_TRUE(heard.contains("same"));
    Seen s{};
    s.filtering = heard.contains("other address") ? Dependence::kEndpointIndependent
                  : heard.contains("other port")  ? Dependence::kAddressDependent
                                                  : Dependence::kAddressAndPortDependent;
    const Endpoint of_port = outside(a2, Public(first, 1001)), of_address = outside(b, Public(second, 1000));
    s.mapping = mapped == of_port && mapped == of_address ? Dependence::kEndpointIndependent
                : mapped == of_port                       ? Dependence::kAddressDependent
                                                          : Dependence::kAddressAndPortDependent;
    s.preserved = mapped.port == from;
    EXPECT_EQ(mapped.v4(), net_->public_address(inside));
    return s;
  }
};

struct Expected {
  const char* name;
  Dependence mapping, filtering;
  bool preserved;
};
constexpr Dependence kEI = Dependence::kEndpointIndependent, kAD = Dependence::kAddressDependent, kAPD = Dependence::kAddressAndPortDependent;

TEST_F(NatTest, EveryPresetIsWhatItsWordsSay) {
  for (const Expected& e : {Expected{"full-cone", kEI, kEI, true}, Expected{"restricted-cone", kEI, kAD, true}, Expected{"port-restricted", kEI, kAPD, true},
                            Expected{"symmetric", kAPD, kAPD, false}, Expected{"cgn", kEI, kAPD, false}}) {
    SCOPED_TRACE(e.name);
    BuildAlone(Preset(e.name));
    const Seen s = Classify(0, 1, 2);
    EXPECT_EQ(s.mapping, e.mapping);
    EXPECT_EQ(s.filtering, e.filtering);
    EXPECT_EQ(s.preserved, e.preserved);
    net_.reset();
  }
}

TEST_F(NatTest, RandomPortsWithFiltersOfEveryKindKeepOneMapping) {
  for (Dependence filtering : {kEI, kAD, kAPD}) {
    NatSpec spec = Preset("full-cone");
    spec.filtering = filtering, spec.ports = PortChoice::kRandom;
    BuildAlone(spec);
    const Seen s = Classify(0, 1, 2);
    EXPECT_EQ(s.mapping, kEI);
    EXPECT_EQ(s.filtering, filtering);
    EXPECT_FALSE(s.preserved);
    net_.reset();
  }
}

TEST_F(NatTest, TwoHostsBehindOneBoxThatUseTheSamePortKeepAMappingEach) {
  for (const char* preset : {"port-restricted", "cgn", "full-cone"}) {
    BuildBehind(Preset(preset));
    UdpEnd neighbour = Open(1, kPort), a = Open(2, 2000);
    neighbour.Send(Public(2, 2000), "here first");
    std::optional<UdpEnd::Packet> first = a.Receive();
    ASSERT_TRUE(first.has_value()) << preset;
    const Seen s = Classify(0, 2, 3);
    EXPECT_EQ(s.mapping, kEI) << preset;
    neighbour.Send(Public(2, 2000), "again");
    std::optional<UdpEnd::Packet> again = a.Receive();
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->from, first->from);
    net_.reset();
  }
}

TEST_F(NatTest, WhoKnocksBeforeHeIsAskedIsAnsweredLater) {
  // The flow that a refused packet might have made would take the port away from the inside host's own.
  BuildAlone(Preset("port-restricted"));
  UdpEnd in = Open(0, kPort), a = Open(1, 1000);
  a.Send(Public(0, kPort), "too early");
  EXPECT_FALSE(in.Receive(kSilenceMs).has_value());
  in.Send(Public(1, 1000), "now");
  std::optional<UdpEnd::Packet> p = a.Receive();
  ASSERT_TRUE(p.has_value() && p->text == "now");
  EXPECT_EQ(p->from, Public(0, kPort));
  a.Send(p->from, "welcome");
  EXPECT_TRUE(in.Hears("welcome", kArrivalMs));
}

TEST_F(NatTest, TwoPortRestrictedHostsMeetWhenBothKnock) {
  Build({Host("a", {Box(Preset("port-restricted"))}), Host("b", {Box(Preset("port-restricted"))})});
  UdpEnd a = Open(0, kPort), b = Open(1, kPort);
  a.Send(Public(1, kPort), "from a");
  EXPECT_FALSE(b.Receive(kSilenceMs).has_value());
  b.Send(Public(0, kPort), "from b");
  EXPECT_TRUE(a.Hears("from b", kArrivalMs));
  a.Send(Public(1, kPort), "again");
  EXPECT_TRUE(b.Hears("again", kArrivalMs));
}

TEST_F(NatTest, NothingPassesABoxThatBlocksUdp) {
  BuildAlone(Preset("udp-blocked"));
  UdpEnd in = Open(0, kPort), a = Open(1, 1000);
  in.Send(Public(1, 1000), "out");
  EXPECT_FALSE(a.Receive(kSilenceMs).has_value());
  a.Send(Public(0, kPort), "in");
  EXPECT_FALSE(in.Receive(kSilenceMs).has_value());
}

TEST_F(NatTest, NeighboursMeetByTheirPublicAddressOnlyWithHairpin) {
  for (bool hairpin : {false, true}) {
    for (Dependence filtering : {kEI, kAPD}) {
      NatSpec spec = Preset("cgn");
      spec.hairpin = hairpin, spec.filtering = filtering;
      BuildBehind(spec);
        UdpEnd in = Open(0, kPort), mate = Open(1, kPort), a = Open(2, 1000);
      auto outside = [&](UdpEnd& end) {
        end.Send(Public(2, 1000), "map");
        return a.Receive().value().from;
      };
      const Endpoint mine = outside(in), its = outside(mate);
      in.Send(its, "knock");
      const bool at_once = mate.Hears("knock", kSilenceMs);
      EXPECT_EQ(at_once, hairpin && filtering == kEI);
      mate.Send(mine, "knock back");
      EXPECT_EQ(in.Hears("knock back", hairpin ? kArrivalMs : kSilenceMs), hairpin);
      in.Send(its, "hello");
      std::optional<UdpEnd::Packet> p = mate.Receive(hairpin ? kArrivalMs : kSilenceMs);
      EXPECT_EQ(p.has_value(), hairpin);
      EXPECT_EQ(p ? p->from : mine, mine);  // RFC 4787 REQ-9a.
      net_.reset();
    }
  }
}

TEST_F(NatTest, ARemapTakesMappingsAndPortsAway) {
  for (const char* preset : {"port-restricted", "cgn"}) {
    BuildAlone(Preset(preset));
    UdpEnd in = Open(0, kPort), a = Open(1, 1000);
    in.Send(Public(1, 1000), "map");
    const Endpoint before = a.Receive().value().from;
    ASSERT_TRUE(net_->NatRemap("inside", false));
    a.Send(before, "old door");
    EXPECT_FALSE(in.Receive(kSilenceMs).has_value());
    in.Send(Public(1, 1000), "map");
    const Endpoint after = a.Receive().value().from;
    EXPECT_NE(before, after) << preset;
    ASSERT_TRUE(net_->NatRemap("inside", true));
    in.Send(Public(1, 1000), "map");
    const Endpoint moved = a.Receive().value().from;
    EXPECT_NE(after.v4(), moved.v4()) << preset;
    EXPECT_EQ(moved.v4(), net_->public_address(0));
    a.Send(moved, "new door");
    EXPECT_TRUE(in.Hears("new door", kArrivalMs));
    net_.reset();
  }
}

TEST_F(NatTest, ABoxThatIsOffPassesNothing) {
  BuildAlone(Preset("full-cone"));
  UdpEnd in = Open(0, kPort), a = Open(1, 1000);
  ASSERT_TRUE(net_->PowerOff("inside", false));
  in.Send(Public(1, 1000), "dark");
  EXPECT_FALSE(a.Receive(kSilenceMs).has_value());
  net_->PowerOn("inside");
  in.Send(Public(1, 1000), "light");
  EXPECT_TRUE(a.Hears("light", kArrivalMs));
}

TEST_F(NatTest, AMappingIdlesOutAsStated) {
  NatSpec spec = Preset("port-restricted");
  spec.idle_first = 1s, spec.idle = 4s;
  BuildAlone(spec);
  UdpEnd in = Open(0, kPort), a = Open(1, 1000);
  in.Send(Public(1, 1000), "map");
  const Endpoint mapped = a.Receive().value().from;
  // Its end is waited for by asking: each question that is not answered is one more look.
  EXPECT_FALSE(in.Receive(2500).has_value());
  a.Send(mapped, "too late");
  EXPECT_FALSE(in.Receive(kSilenceMs).has_value());
}

TEST(NatRulesTest, EveryPresetIsEitherMadeOrRefusedByName) {
  std::set<std::string> refused;
  for (const NatPreset& p : NatPresets()) {
    if (p.box && !KernelCannot(p.spec()).empty()) refused.insert(std::string(p.name));
  }
  EXPECT_EQ(refused, (std::set<std::string>{"symmetric-preserving", "symmetric-sequential"}));
}

TEST(NatRulesTest, MembersOfABoxHavePortsOfTheirOwn) {
  for (PortChoice choice : {PortChoice::kPreserve, PortChoice::kRandom, PortChoice::kBlock}) {
    NatFacts f{.spec = FindNatPreset("cgn")->spec(), .members = {1, 2, 3}};
    f.spec.ports = choice;
    for (uint32_t remaps : {0u, 1u, 2u}) {
      f.remaps = remaps;
      std::set<uint16_t> taken;
      for (size_t m = 0; m < 3; ++m) {
        const PortRange r = PortsOf(f, m);
        if (r.low == 0) continue;
        EXPECT_LE(r.low, r.high);
        EXPECT_GE(r.low, 1024);
        for (uint32_t p = r.low; p <= r.high; ++p) EXPECT_TRUE(taken.insert(uint16_t(p)).second) << p;
      }
    }
  }
}

}  // namespace
}  // namespace orchard::sim
