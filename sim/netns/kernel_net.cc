#include "sim/netns/kernel_net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/base/status_macros.h"
#include "sim/language/text.h"
#include "sim/netns/relay.h"

namespace orchard::sim {
namespace {

// Every hub's address towards its stations: they know nobody else.
constexpr char kHub[] = "169.254.0.1";

std::string RingAddress(size_t link, int end) { return Cat("169.254.", link + 1, ".", end); }

// A token bucket of four milliseconds, and of two full packets at least: the kernel's clock ticks that often.
std::string Bucket(std::string_view face, const WayParams& p) {
  const int64_t bps = p.ps_per_byte == 0 ? 0 : 8'000'000'000'000 / p.ps_per_byte;
  if (bps == 0) return "";
  const int64_t burst = std::max<int64_t>(bps / 8 / 250, 3200);
  return Cat("qdisc replace dev ", face, " root tbf rate ", bps, "bit burst ", burst, "b latency ", std::max<int64_t>(p.queue_ns / 1000, 1), "us\n");
}

}  // namespace

struct KernelNet::LinkState {
  LineParams base;
  std::vector<std::pair<uint64_t, World::LinkChange>> changes;  // Oldest first; ticket 0: for good.
  LineParams now;
  LineParams Effective() const {
    LineParams p = base;
    for (const auto& [ticket, change] : changes) p = p.With(change);
    return p;
  }
};

KernelNet::KernelNet(const WorldPlan& plan) : plan_(plan) {}
KernelNet::~KernelNet() = default;

absl::StatusOr<std::unique_ptr<KernelNet>> KernelNet::Build(const WorldPlan& plan) {
  signal(SIGPIPE, SIG_IGN);
  std::unique_ptr<KernelNet> net(new KernelNet(plan));
  net->wiring_ = MakeWiring(plan, access("/dev/net/tun", R_OK | W_OK) == 0);
  RETURN_IF_ERROR(net->Set());
  return net;
}

absl::Status KernelNet::Set() {
  for (const WireLink& l : wiring_.links) {
    LinkState s{.base = LineParams::Of(l.spec)};
    s.base.way[0].up = s.base.way[1].up = l.up;
    s.now = s.base;
    link_state_.push_back(std::move(s));
  }
  remaps_.resize(wiring_.boxes.size());
  for (const Site& site : wiring_.sites) {
    ASSIGN_OR_RETURN(Space space, Space::Make());
    spaces_.push_back(std::move(space));
    const Space& s = spaces_.back();
    // Nothing but the rules below decides what passes; and no packet of the kernel's own adds to the counters.
    for (const char* scope : {"all", "default"}) {
      SetSwitch(s, Cat("net/ipv4/conf/", scope, "/rp_filter"), "0");
      SetSwitch(s, Cat("net/ipv4/conf/", scope, "/send_redirects"), "0");
      SetSwitch(s, Cat("net/ipv4/conf/", scope, "/accept_redirects"), "0");
      SetSwitch(s, Cat("net/ipv6/conf/", scope, "/disable_ipv6"), "1");
    }
    SetSwitch(s, "net/bridge/bridge-nf-call-iptables", "0");
    // A hub's own answers go round the ring and come back to it; and all hubs have one address.
    if (site.what == Site::What::kHub) SetSwitch(s, "net/ipv4/conf/all/accept_local", "1");
    const bool forwards = site.what != Site::What::kHost && site.what != Site::What::kLan;
    if (forwards && !SetSwitch(s, "net/ipv4/ip_forward", "1")) return absl::InternalError("cannot make a namespace forward packets");
  }
  if (wiring_.relays) {
    ASSIGN_OR_RETURN(relay_, Relay::Make(spaces_[wiring_.core[wiring_.relay]], plan_));
  }
  RETURN_IF_ERROR(SetCables());
  for (size_t site = 0; site < wiring_.sites.size(); ++site) RETURN_IF_ERROR(SetSite(site));
  for (size_t link = 0; link < wiring_.links.size(); ++link) {
    const LineParams& p = link_state_[link].base;
    if (!p.way[0].up) Run(wiring_.ports[wiring_.links[link].port].site, {"ip", "-batch", "-"}, Cat("link set dev ", wiring_.ports[wiring_.links[link].port].face, " down\n"));
  }
  for (size_t port = 0; port < wiring_.ports.size(); ++port) PutStation(port);
  for (HostIndex h = 0; h < plan_.hosts.size(); ++h) {
    const Space::Visit visit(space(h));
    counters_.emplace_back(open("/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC));
  }
  if (!failures_.empty()) return absl::InternalError(failures_[0]);
  RETURN_IF_ERROR(Settle());
  for (HostIndex h = 0; h < plan_.hosts.size(); ++h) sent_before_.push_back(ReadSent(h));
  return absl::OkStatus();
}

absl::Status KernelNet::Settle() {
  struct Ask {
    size_t port;
    host::Fd socket;
  };
  std::vector<Ask> asks;
  for (size_t port = 0; port < wiring_.ports.size(); ++port) {
    const PortWire& p = wiring_.ports[port];
    const bool down = std::any_of(wiring_.links.begin(), wiring_.links.end(), [&](const WireLink& l) { return l.port == port && !l.up; });
    if (down || p.lan != kNoPlace) continue;
    const Space::Visit visit(spaces_[p.site]);
    asks.push_back({port, host::Fd(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP))});
    if (!asks.back().socket.ok()) return host::ErrnoStatus(errno, "a raw socket");
  }
  const Instant end = host::BootNow() + std::chrono::seconds(20);
  while (!asks.empty()) {
    std::vector<pollfd> fds;
    for (const Ask& a : asks) {
      const PortWire& p = wiring_.ports[a.port];
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_addr.s_addr = p.on_internet() ? inet_addr(kHub) : htonl(wiring_.boxes[p.inside].gateway);
      icmphdr echo{};
      echo.type = ICMP_ECHO;
      echo.checksum = uint16_t(~uint16_t(ICMP_ECHO));  // The only word that is not zero.
      sendto(a.socket.get(), &echo, sizeof echo, 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
      fds.push_back({a.socket.get(), POLLIN, 0});
    }
    const Instant look_until = host::BootNow() + std::chrono::milliseconds(50);
    for (int64_t left; (left = ToMillis(look_until - host::BootNow())) > 0 && poll(fds.data(), fds.size(), int(left)) > 0;) {
      for (pollfd& f : fds) {
        uint8_t packet[128];
        if (f.revents == 0 || recv(f.fd, packet, sizeof packet, 0) < 28 || packet[(packet[0] & 15) * 4] != ICMP_ECHOREPLY) continue;
        std::erase_if(asks, [&](const Ask& a) { return a.socket.get() == f.fd; });
        f.fd = -1;
      }
    }
    if (host::BootNow() > end) return absl::InternalError(Cat("no packet passes from ", wiring_.ports[asks[0].port].name, " to its gateway"));
  }
  return absl::OkStatus();
}

absl::Status KernelNet::SetCables() {
  std::string batch;
  for (const Cable& c : wiring_.cables) {
    batch += Cat("link add ", c.a_face, " netns ", spaces_[c.a].path(), " type veth peer name ", c.b_face, " netns ", spaces_[c.b].path(), "\n");
  }
  return RunTool(spaces_[0], {"ip", "-batch", "-"}, batch);
}

// The address of a port, and its way out.
std::string KernelNet::PortCommands(const PortWire& p) const {
  std::string out = Cat("address flush dev ", p.face, "\n");
  if (p.on_internet()) {
    return Cat(out, "address add ", AddressText(p.address), "/32 dev ", p.face, "\nlink set ", p.face, " up\nroute replace default via ", kHub, " dev ", p.face, " onlink\n");
  }
  const int bits = p.lan != kNoPlace ? 24 : int(wiring_.boxes[p.inside].bits);
  out += Cat("address add ", AddressText(p.address), "/", bits, " dev ", p.face, "\nlink set ", p.face, " up\n");
  if (p.inside != kNoPlace) out += Cat("route replace default via ", AddressText(wiring_.boxes[p.inside].gateway), " dev ", p.face, "\n");
  return out;
}

absl::Status KernelNet::SetSite(size_t site) {
  const Site& s = wiring_.sites[site];
  std::string ip, tc, nft;
  size_t ring_link = 0;
  for (size_t c = 0; c < wiring_.cables.size(); ++c) {
    const Cable& cable = wiring_.cables[c];
    if (cable.a != site && cable.b != site) continue;
    const std::string& face = cable.a == site ? cable.a_face : cable.b_face;
    ring_link = c;
    if (s.what == Site::What::kHub || s.what == Site::What::kCore) {
      // Cables of the ring and its entries have a pair of addresses by their number.
      const bool of_ring = wiring_.sites[cable.a].what >= Site::What::kHub && wiring_.sites[cable.b].what >= Site::What::kHub;
      ip += of_ring ? Cat("address add ", RingAddress(ring_link, cable.a == site ? 1 : 2), "/30 dev ", face, "\n") : Cat("address add ", kHub, "/32 dev ", face, "\n");
      ip += Cat("link set ", face, " up\n");
      if (face == "to") ip += Cat("route add default via ", RingAddress(c, 2), " dev to\n");
      if (face == "fro") ip += "rule add pref 100 iif fro lookup 100\n";
      const bool relays = wiring_.relays && s.what == Site::What::kCore && site == wiring_.core[wiring_.relay];
      if (face == "next") ip += Cat("route add default via ", RingAddress(c, 2), " dev next", relays ? " table 100" : "", "\n");
      if (face == "next" && relays) ip += "link set tun0 txqueuelen 5000 up\nroute add default dev tun0\nrule add pref 100 iif tun0 lookup 100\n";
      if (face.starts_with("leave")) {
        for (const PortWire& p : wiring_.ports) {
          if (p.on_internet() && Cat("leave", p.depth) == face) ip += Cat("route add ", AddressText(p.address), "/32 via ", RingAddress(c, 2), " dev ", face, "\n");
        }
      }
    }
  }
  for (size_t port = 0; port < wiring_.ports.size(); ++port) {
    const PortWire& p = wiring_.ports[port];
    const Cable& cable = wiring_.cables[p.cable];
    if (p.site == site) ip += PortCommands(p);
    if (cable.b != site) continue;
    if (cable.b_bridged) {
      if (ip.find("link add in type bridge") == std::string::npos) ip += "link add in type bridge mcast_snooping 0\nlink set in up\n";
      ip += Cat("link set ", cable.b_face, " master in\nlink set ", cable.b_face, " up\n");
    } else {
      ip += Cat("route add ", AddressText(p.address), "/32 dev ", cable.b_face, " table 100\n");
    }
  }
  if (s.what == Site::What::kBox) {
    const BoxWire& box = wiring_.boxes[s.of];
    if (ip.find("link add in type bridge") == std::string::npos) ip += "link add in type bridge mcast_snooping 0\nlink set in up\n";
    ip += Cat("address add ", AddressText(box.gateway), "/", int(box.bits), " dev in\n");
    nft += NatRules(FactsOf(s.of));
    // The first two seconds of an answered flow still count as its beginning (nf_conntrack_proto_udp.c).
    auto seconds = [](Duration d) { return std::to_string(std::max<int64_t>(1, d.count() / 1'000'000'000)); };
    SetSwitch(spaces_[site], "net/netfilter/nf_conntrack_udp_timeout", seconds(box.spec.idle_first));
    SetSwitch(spaces_[site], "net/netfilter/nf_conntrack_udp_timeout_stream", seconds(box.spec.idle));
  }
  auto loss = [&](std::string_view face, uint32_t ppm) { return ppm == 0 ? std::string() : LossRules(face, ppm); };
  if (s.what == Site::What::kHost) nft += FirewallRules(plan_.hosts[s.of].firewall);
  if (s.what == Site::What::kCore && site == wiring_.core[wiring_.relay]) nft += loss("prev", plan_.loss_ppm);
  for (size_t l = 0; l < wiring_.links.size(); ++l) {
    const PortWire& p = wiring_.ports[wiring_.links[l].port];
    const Cable& cable = wiring_.cables[p.cable];
    const LineParams& params = link_state_[l].base;
    // Each end shapes what it sends, and loses what the other sent.
    if (p.site == site) tc += Bucket(p.face, params.way[int(Way::kOut)]), nft += loss(p.face, params.way[int(Way::kIn)].loss_ppm);
    if (cable.b == site) tc += Bucket(cable.b_face, params.way[int(Way::kIn)]), nft += loss(cable.b_face, params.way[int(Way::kOut)].loss_ppm);
    if (params.way[0].mtu != 1500 && p.site == site) ip += Cat("link set ", p.face, " mtu ", params.way[0].mtu, "\n");
    if (params.way[0].mtu != 1500 && cable.b == site) ip += Cat("link set ", cable.b_face, " mtu ", params.way[0].mtu, "\n");
  }
  if (!ip.empty()) RETURN_IF_ERROR(RunTool(spaces_[site], {"ip", "-batch", "-"}, ip));
  if (!tc.empty()) RETURN_IF_ERROR(RunTool(spaces_[site], {"tc", "-batch", "-"}, tc));
  if (!nft.empty()) RETURN_IF_ERROR(RunTool(spaces_[site], {"nft", "-f", "-"}, nft));
  return absl::OkStatus();
}

std::string KernelNet::LossRules(std::string_view face, uint32_t ppm) const {
  const std::string table = Cat("netdev loss_", face);
  std::string out = Cat("table ", table, "\ndelete table ", table, "\n");
  if (ppm == 0) return out;
  return Cat(out, "table ", table, " {\n  chain come { type filter hook ingress device \"", face, "\" priority 0;\n    meta protocol ip ", ppm < 1'000'000 ? Cat("numgen random mod 1000000 < ", ppm, " ") : std::string(), "drop\n  }\n}\n");
}

size_t KernelNet::Outermost(HostIndex h) const {
  size_t port = wiring_.host_port[h];
  while (wiring_.ports[port].inside != kNoPlace) port = wiring_.boxes[wiring_.ports[port].inside].outer;
  return port;
}

std::optional<uint32_t> KernelNet::public_address(HostIndex h) const {
  const PortWire& p = wiring_.ports[Outermost(h)];
  return p.on_internet() ? std::optional(p.address) : std::nullopt;
}

NatFacts KernelNet::FactsOf(size_t box) const {
  const BoxWire& b = wiring_.boxes[box];
  NatFacts f{.spec = b.spec, .outer = wiring_.ports[b.outer].address, .gateway = b.gateway, .bits = b.bits, .remaps = remaps_[box]};
  for (size_t member : b.members) f.members.push_back(wiring_.ports[member].address);
  return f;
}

// ---- While it runs ----

void KernelNet::Run(size_t site, const std::vector<std::string>& command, const std::string& input) {
  const absl::Status s = RunTool(spaces_[site], command, input);
  if (!s.ok() && failures_.size() < 20) failures_.push_back(Cat(wiring_.sites[site].name, ": ", std::string(s.message())));
}

void KernelNet::Reload(size_t box) { Run(wiring_.boxes[box].site, {"nft", "-f", "-"}, NatRules(FactsOf(box))); }

// Tells the relay who stands at the port, and what its link is like.
void KernelNet::PutStation(size_t port) {
  const PortWire& p = wiring_.ports[port];
  if (relay_ == nullptr || !p.on_internet()) return;
  LineParams params;
  for (size_t l = 0; l < wiring_.links.size(); ++l) {
    if (wiring_.links[l].port == port) params = link_state_[l].now;
  }
  relay_->Put(p.address, p.name, p.region, params);
}

std::optional<size_t> KernelNet::FindLink(std::string_view name) const {
  if (name.ends_with("/wan")) name.remove_suffix(4);
  auto it = wiring_.link_names.find(name);
  return it == wiring_.link_names.end() ? std::nullopt : std::optional(it->second);
}

void KernelNet::Apply(size_t link) {
  LinkState& s = link_state_[link];
  const LineParams before = std::exchange(s.now, s.Effective());
  const size_t port = wiring_.links[link].port;
  const PortWire& p = wiring_.ports[port];
  const Cable& cable = wiring_.cables[p.cable];
  auto end = [&](size_t site, const std::string& face, Way out, Way in) {
    const WayParams &was_out = before.way[int(out)], &now_out = s.now.way[int(out)], &was_in = before.way[int(in)], &now_in = s.now.way[int(in)];
    if (was_out.ps_per_byte != now_out.ps_per_byte || was_out.queue_ns != now_out.queue_ns) Run(site, {"tc", "-batch", "-"}, Bucket(face, now_out));
    // A way that is down loses all.
    auto loss = [](const WayParams& w) { return w.up ? w.loss_ppm : 1'000'000u; };
    if (loss(was_in) != loss(now_in)) Run(site, {"nft", "-f", "-"}, LossRules(face, loss(now_in)));
    if (was_out.mtu != now_out.mtu) Run(site, {"ip", "-batch", "-"}, Cat("link set ", face, " mtu ", now_out.mtu, "\n"));
  };
  end(p.site, p.face, Way::kOut, Way::kIn);
  end(cable.b, cable.b_face, Way::kIn, Way::kOut);
  const bool was_up = before.way[0].up || before.way[1].up, up = s.now.way[0].up || s.now.way[1].up;
  if (was_up != up) {
    // The host's own face goes down, as a plug that is pulled: the node is told by the kernel.
    const HostIndex h = wiring_.links[link].host;
    const PortWire& face = h == kNoHost ? p : wiring_.ports[wiring_.host_port[h]];
    Run(face.site, {"ip", "-batch", "-"}, up ? PortCommands(face) : Cat("link set ", face.face, " down\n"));
  }
  PutStation(port);
}

bool KernelNet::ChangeLink(std::string_view name, const World::LinkChange& change) {
  std::optional<size_t> link = FindLink(name);
  if (!link) return false;
  link_state_[*link].changes.emplace_back(0, change);
  Apply(*link);
  return true;
}

uint64_t KernelNet::PushLinkChange(std::string_view name, const World::LinkChange& change) {
  std::optional<size_t> link = FindLink(name);
  if (!link) return 0;
  link_state_[*link].changes.emplace_back(next_ticket_, change);
  tickets_[next_ticket_] = *link;
  Apply(*link);
  return next_ticket_++;
}

void KernelNet::PopLinkChange(uint64_t ticket) {
  auto it = tickets_.find(ticket);
  if (it == tickets_.end()) return;
  const size_t link = it->second;
  tickets_.erase(it);
  std::erase_if(link_state_[link].changes, [&](const auto& c) { return c.first == ticket; });
  Apply(link);
}

// Gives the port an address that it never had, and tells whoever knows the old one.
void KernelNet::MoveTo(size_t port) {
  const uint32_t old = wiring_.ports[port].address;
  NextAddress(plan_, wiring_, port);
  const PortWire& p = wiring_.ports[port];
  Run(p.site, {"ip", "-batch", "-"}, PortCommands(p));
  if (p.on_internet()) {
    const Cable& cable = wiring_.cables[p.cable];
    Run(cable.b, {"ip", "-batch", "-"}, Cat("route del ", AddressText(old), "/32 table 100\nroute add ", AddressText(p.address), "/32 dev ", cable.b_face, " table 100\n"));
    const size_t leave = wiring_.core[wiring_.CoreAt(wiring_.ring - p.depth)];
    for (size_t c = 0; c < wiring_.cables.size(); ++c) {
      const Cable& x = wiring_.cables[c];
      if (x.a != leave || x.a_face != Cat("leave", p.depth)) continue;
      Run(leave, {"ip", "-batch", "-"}, Cat("route del ", AddressText(old), "/32\nroute add ", AddressText(p.address), "/32 via ", RingAddress(c, 2), " dev ", x.a_face, "\n"));
    }
    if (relay_ != nullptr) relay_->Remove(old);
    PutStation(port);
  } else if (p.inside != kNoPlace) {
    Reload(p.inside);
  }
}

bool KernelNet::Renumber(std::string_view name) {
  std::optional<size_t> link = FindLink(name);
  if (!link || wiring_.links[*link].host == kNoHost) return false;
  MoveTo(wiring_.host_port[wiring_.links[*link].host]);
  return true;
}

std::optional<size_t> KernelNet::FindBox(std::string_view name) const {
  if (const size_t at = name.rfind('@'); at != name.npos) {
    for (size_t b = 0; b < wiring_.boxes.size(); ++b) {
      const std::string& box = wiring_.boxes[b].name;
      if (const size_t x = box.rfind('@'); x != box.npos && std::string_view(box).substr(x + 1) == name.substr(at + 1)) return b;
    }
    return std::nullopt;
  }
  if (auto it = wiring_.box_names.find(name); it != wiring_.box_names.end()) return it->second;
  std::optional<size_t> link = FindLink(name);
  if (!link || wiring_.links[*link].host == kNoHost) return std::nullopt;
  const size_t inside = wiring_.ports[wiring_.host_port[wiring_.links[*link].host]].inside;
  return inside == kNoPlace ? std::nullopt : std::optional(inside);
}

bool KernelNet::NatRemap(std::string_view name, bool new_address) {
  std::optional<size_t> box = FindBox(name);
  if (!box) return false;
  ++remaps_[*box];
  if (new_address) MoveTo(wiring_.boxes[*box].outer);
  Reload(*box);
  Run(wiring_.boxes[*box].site, {"conntrack", "-F"}, "");
  return true;
}

bool KernelNet::PowerOff(std::string_view name, bool new_address) {
  std::optional<size_t> box = FindBox(name);
  if (!box) return false;
  if (new_address) MoveTo(wiring_.boxes[*box].outer);
  Reload(*box);
  Run(wiring_.boxes[*box].site, {"nft", "-f", "-"}, "add rule ip box power drop\n");
  Run(wiring_.boxes[*box].site, {"conntrack", "-F"}, "");
  return true;
}

void KernelNet::PowerOn(std::string_view name) {
  if (std::optional<size_t> box = FindBox(name)) Run(wiring_.boxes[*box].site, {"nft", "-f", "-"}, "flush chain ip box power\n");
}

// ---- Cuts: by public address, in the router that every packet passes ----

std::string KernelNet::AddressSet(const std::string& name, const std::vector<uint32_t>& addresses) const {
  std::string out = Cat("  set ", name, " { type ipv4_addr;");
  for (size_t i = 0; i < addresses.size(); ++i) out += Cat(i == 0 ? " elements = { " : ", ", AddressText(addresses[i]));
  return Cat(out, addresses.empty() ? " }\n" : " } }\n");
}

void KernelNet::Cut(uint64_t ticket, const std::string& rules) {
  Run(wiring_.core[wiring_.relay], {"nft", "-f", "-"}, Cat("table ip cut", ticket, " {\n", rules, "}\n"));
}

uint64_t KernelNet::Partition(const std::vector<std::vector<HostIndex>>& groups) {
  std::vector<size_t> group(plan_.hosts.size(), 0);
  for (size_t g = 0; g < groups.size(); ++g) {
    for (HostIndex h : groups[g]) group[h] = g;
  }
  // An address that hosts of two groups share belongs to neither.
  std::map<uint32_t, std::set<size_t>> of;
  for (HostIndex h = 0; h < plan_.hosts.size(); ++h) {
    if (auto address = public_address(h)) of[*address].insert(group[h]);
  }
  std::vector<std::vector<uint32_t>> sets(std::max<size_t>(groups.size(), 1));
  for (const auto& [address, in] : of) {
    if (in.size() == 1) sets[*in.begin()].push_back(address);
  }
  std::string rules, drops;
  for (size_t a = 0; a < sets.size(); ++a) {
    rules += AddressSet(Cat("g", a), sets[a]);
    for (size_t b = 0; b < sets.size(); ++b) {
      if (a != b) drops += Cat("    ip saddr @g", a, " ip daddr @g", b, " drop\n");
    }
  }
  Cut(next_ticket_, Cat(rules, "  chain pass { type filter hook forward priority 0;\n", drops, "  }\n"));
  return next_ticket_++;
}

uint64_t KernelNet::PartitionOneWay(const std::vector<HostIndex>& from, const std::vector<HostIndex>& to) {
  auto addresses = [&](const std::vector<HostIndex>& hosts) {
    std::set<uint32_t> out;
    for (HostIndex h : hosts) {
      if (auto address = public_address(h)) out.insert(*address);
    }
    return std::vector<uint32_t>(out.begin(), out.end());
  };
  Cut(next_ticket_, Cat(AddressSet("a", addresses(from)), AddressSet("b", addresses(to)),
                        "  chain pass { type filter hook forward priority 0;\n    ip saddr @a ip daddr @b drop\n  }\n"));
  return next_ticket_++;
}

void KernelNet::Heal(uint64_t ticket) { Run(wiring_.core[wiring_.relay], {"nft", "-f", "-"}, Cat("delete table ip cut", ticket, "\n")); }

// ---- Figures ----

KernelNet::Sent KernelNet::sent(HostIndex h) const {
  const Sent now = ReadSent(h);
  return {now.packets - sent_before_[h].packets, now.bytes - sent_before_[h].bytes};
}

KernelNet::Sent KernelNet::ReadSent(HostIndex h) const {
  char text[4096];
  const ssize_t n = pread(counters_[h].get(), text, sizeof text, 0);
  const std::string_view all(text, size_t(std::max<ssize_t>(n, 0)));
  const size_t at = all.find("eth0:");
  if (at == all.npos) return {};
  // Eight columns of what was received, then bytes and packets of what was sent.
  uint64_t columns[10] = {};
  size_t place = at + 5;
  for (uint64_t& c : columns) {
    while (place < all.size() && all[place] == ' ') ++place;
    for (; place < all.size() && all[place] >= '0' && all[place] <= '9'; ++place) c = c * 10 + uint64_t(all[place] - '0');
  }
  constexpr uint64_t kEthernet = 14;
  return {columns[9], columns[8] - std::min(columns[8], columns[9] * kEthernet)};
}

std::vector<World::BoxInfo> KernelNet::boxes() const {
  std::vector<World::BoxInfo> out;
  for (const BoxWire& b : wiring_.boxes) {
    const PortWire& outer = wiring_.ports[b.outer];
    World::BoxInfo& info = out.emplace_back();
    info.name = b.name, info.spec = b.spec;
    info.outside = outer.inside == kNoPlace ? "wan" : wiring_.boxes[outer.inside].name;
    for (size_t m : b.members) info.members.push_back(wiring_.ports[m].name);
    info.addresses.push_back(Endpoint::V4(outer.address, 0));
  }
  return out;
}

std::vector<World::LinkInfo> KernelNet::links() const {
  std::vector<World::LinkInfo> out;
  for (size_t l = 0; l < wiring_.links.size(); ++l) {
    const WireLink& w = wiring_.links[l];
    World::LinkInfo& info = out.emplace_back();
    info.name = w.name, info.preset = w.spec.preset, info.host = w.host;
    info.up = link_state_[l].now.way[0].up || link_state_[l].now.way[1].up;
  }
  return out;
}

}  // namespace orchard::sim
