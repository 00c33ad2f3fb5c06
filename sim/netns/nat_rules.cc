#include "sim/netns/nat_rules.h"

#include <algorithm>

#include "node/base/check.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

// Linux and most programs take the ports of their own from 32768 on, so a member that keeps its ports never meets one whose
// ports are given from below.
constexpr uint32_t kLow = 1024, kOwnPorts = 32768;

std::string Seconds(Duration d) { return Cat(std::max<int64_t>(1, (d.count() + 999'999'999) / 1'000'000'000), "s"); }

bool Fills(const NatSpec& s) { return s.filtering != Dependence::kAddressAndPortDependent || s.hairpin; }

// Both lives of a table's element: before an answer came, and after.
std::string Update(const NatFacts& f, std::string_view when, std::string_view table, std::string_view key, std::string_view value) {
  auto line = [&](std::string_view state, Duration life) {
    return Cat("    ", when, " ct state ", state, " update @", table, " { ", key, " timeout ", Seconds(life), value.empty() ? "" : Cat(" : ", value), " }\n");
  };
  return line("new", f.spec.idle_first) + line("established", f.spec.idle);
}

std::string Asked(const NatFacts& f, std::string_view port, std::string_view remote, std::string_view remote_port) {
  return f.spec.filtering == Dependence::kAddressAndPortDependent ? Cat(port, " . ", remote, " . ", remote_port) : Cat(port, " . ", remote);
}

}  // namespace

std::string AddressText(uint32_t a) { return Cat(a >> 24, ".", a >> 16 & 255, ".", a >> 8 & 255, ".", a & 255); }

PortRange PortsOf(const NatFacts& f, size_t member) {
  const uint32_t n = uint32_t(std::max<size_t>(f.members.size(), 1)), i = uint32_t(member);
  auto share = [&](uint32_t low, uint32_t high) {  // [low, high) in n parts.
    const uint32_t size = std::max(1u, (high - low) / n);
    // After a re-map the other half, and back.
    const uint32_t half = size / 2, from = low + i * size + (f.remaps % 2 == 1 && half > 0 ? half : 0);
    return PortRange{uint16_t(from), uint16_t(from + std::max(1u, half > 0 ? half : size) - 1)};
  };
  switch (f.spec.ports) {
    case PortChoice::kPreserve:
      // One keeps its ports; with several, and no luck, two would want the same, and the second would get another port for
      // each destination where they meet: so the others are given ports.
      if (i == 0 && f.remaps == 0) return {};
      return share(kLow, kOwnPorts);
    case PortChoice::kRandom: return share(kLow, kOwnPorts);
    case PortChoice::kBlock: {
      const uint32_t size = std::max(1u, f.spec.block_ports), low = kLow + i * size;
      CHECK_LE(low + size, 65536u);
      return {uint16_t(low), uint16_t(low + size - 1)};
    }
    case PortChoice::kSequential: break;
  }
  CHECK(!"a choice that the kernel can make");
  return {};
}

std::string NatRules(const NatFacts& f) {
  const NatSpec& s = f.spec;
  const std::string outer = AddressText(f.outer);
  const bool symmetric = s.mapping == Dependence::kAddressAndPortDependent;
  std::string out = "table ip box\ndelete table ip box\ntable ip box {\n";
  if (Fills(s)) {
    out += "  map inside { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; size 65535; }\n";
    out += Cat("  set asked { type ", s.filtering == Dependence::kAddressAndPortDependent ? "inet_service . ipv4_addr . inet_service" : "inet_service . ipv4_addr",
               "; flags dynamic,timeout; size 65535; }\n");
  }
  // Reboots put a rule here.
  out += "  chain power { type filter hook prerouting priority -400; }\n";
  // The router listens to nobody: a packet that is not dropped here would become a flow, and hold the port against the
  // answer that its inside host is about to ask for.
  out += "  chain listen { type filter hook input priority 0; policy drop;\n    meta l4proto icmp accept\n  }\n";
  out += "  chain pass { type filter hook forward priority 0; policy drop;\n    meta l4proto icmp ct state related accept\n";
  if (s.udp_blocked) return out + "  }\n}\n";
  out += "    iifname \"in\" oifname \"wan\" meta l4proto udp accept\n"
         "    iifname \"wan\" oifname \"in\" ct state established accept\n"
         "    meta l4proto udp ct status dnat accept\n"
         "    iifname \"in\" oifname \"in\" ct state established accept\n  }\n";
  out += "  chain leave { type nat hook postrouting priority srcnat;\n";
  for (size_t i = 0; i < f.members.size(); ++i) {
    const PortRange ports = PortsOf(f, i);
    std::string to = symmetric && s.ports == PortChoice::kRandom ? Cat(outer, " fully-random")
                     : ports.low == 0                            ? outer
                                                                 : Cat(outer, ":", ports.low, "-", ports.high, symmetric ? " fully-random" : "");
    out += Cat("    meta l4proto udp ip saddr ", AddressText(f.members[i]), " oifname \"wan\" snat to ", to, "\n");
    if (s.hairpin) out += Cat("    meta l4proto udp ip saddr ", AddressText(f.members[i]), " oifname \"in\" ct status dnat snat to ", to, "\n");
  }
  out += "  }\n";
  if (!Fills(s)) return out + "}\n";

  out += "  chain come { type nat hook prerouting priority dstnat;\n";
  if (s.filtering == Dependence::kEndpointIndependent) out += "    iifname \"wan\" meta l4proto udp dnat to udp dport map @inside\n";
  if (s.filtering == Dependence::kAddressDependent) out += "    iifname \"wan\" udp dport . ip saddr @asked dnat to udp dport map @inside\n";
  if (s.hairpin) out += Cat("    iifname \"in\" ip daddr ", outer, " meta l4proto udp dnat to udp dport map @inside\n");
  out += "  }\n";
  // After source NAT, when the outside port is known. A flow that the outside began has its ends the other way round.
  out += "  chain learn { type filter hook postrouting priority 200;\n";
  const std::string_view kOurs = "oifname \"wan\" meta l4proto udp ct direction original", kTheirs = "oifname \"wan\" meta l4proto udp ct direction reply";
  out += Update(f, kOurs, "inside", "ct reply proto-dst", "ct original ip saddr . ct original proto-src");
  out += Update(f, kOurs, "asked", Asked(f, "ct reply proto-dst", "ip daddr", "udp dport"), "");
  out += Update(f, kTheirs, "inside", "ct original proto-dst", "ct reply ip saddr . ct reply proto-src");
  out += Update(f, kTheirs, "asked", Asked(f, "ct original proto-dst", "ip daddr", "udp dport"), "");
  if (s.hairpin) {
    // With its outside address as the source (RFC 4787 REQ-9), so that the other's filter can judge it like any remote.
    const std::string ours = Cat("oifname \"in\" ip saddr ", outer, " meta l4proto udp ct direction original");
    const std::string theirs = Cat("oifname \"in\" ip saddr ", outer, " meta l4proto udp ct direction reply");
    out += Update(f, ours, "inside", "ct reply proto-dst", "ct original ip saddr . ct original proto-src");
    out += Update(f, ours, "asked", Asked(f, "ct reply proto-dst", outer, "ct original proto-dst"), "");
    out += Update(f, theirs, "asked", Asked(f, "ct original proto-dst", outer, "ct reply proto-dst"), "");
    if (s.filtering != Dependence::kEndpointIndependent) {
      out += Cat("    ", ours, " ", Asked(f, "ct original proto-dst", "ip saddr", "udp sport"), " != @asked drop\n");
    }
  }
  return out + "  }\n}\n";
}

std::string FirewallRules(Firewall firewall) {
  if (firewall == Firewall::kNone) return "";
  return "table ip firewall\ndelete table ip firewall\ntable ip firewall {\n"
         "  chain come { type filter hook input priority 0; policy drop;\n"
         "    iifname \"lo\" accept\n    meta l4proto icmp accept\n    ct state established,related accept\n  }\n}\n";
}

}  // namespace orchard::sim
