#include "sim/netns/wiring.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "node/base/check.h"
#include "sim/language/text.h"
#include "sim/world/addresses.h"

namespace orchard::sim {
namespace {

// Routers of the ring that are neither an entry nor an exit of a chain: two, for the relay counts twice; the deepest chain's
// entry and exit are one router each, and every other's one more.
constexpr size_t kRingCore = 4;
constexpr size_t kHopsMax = 64;  // A namespace each.

const std::vector<NatRef>& ChainOf(const WorldPlan& plan, const HostPlan& h) {
  static const std::vector<NatRef> kNone;
  if (!h.uplinks.empty()) return h.uplinks[0].nat;
  for (const LanPlan& l : plan.lans) {
    if (l.id == h.lan && l.router) return l.router->nat;
  }
  return kNone;
}

class Builder {
 public:
  Builder(const WorldPlan& plan, bool relay) : plan_(plan) { w_.relays = relay; }

  Wiring Run() {
    size_t depth = 0;
    for (const HostPlan& h : plan_.hosts) depth = std::max(depth, ChainOf(plan_, h).size()), ++members_[h.lan];
    Ring(depth);
    for (const LanPlan& l : plan_.lans) Lan(l);
    for (HostIndex h = 0; h < plan_.hosts.size(); ++h) Host(h);
    Depths();
    for (PortWire& p : w_.ports) {
      if (p.on_internet()) Join(p);
    }
    return std::move(w_);
  }

 private:
  size_t AddSite(Site::What what, std::string name, size_t of) {
    w_.sites.push_back({what, std::move(name), of});
    return w_.sites.size() - 1;
  }
  size_t AddCable(size_t a, std::string a_face, size_t b, std::string b_face, bool bridged = false) {
    w_.cables.push_back({a, b, std::move(a_face), std::move(b_face), bridged});
    return w_.cables.size() - 1;
  }

  void Ring(size_t depth) {
    w_.ring = size_t(plan_.hops) - 2;
    w_.relay = depth + 1;  // After the last entry: its place counts from 0.
    const size_t routers = w_.ring - w_.relays;
    for (size_t i = 0; i < routers; ++i) w_.core.push_back(AddSite(Site::What::kCore, Cat("core ", i + 1), i));
    for (size_t i = 0; i + 1 < routers; ++i) AddCable(w_.core[i], "next", w_.core[i + 1], "prev");
    for (size_t b = 0; b <= depth; ++b) {
      w_.hubs.push_back(AddSite(Site::What::kHub, Cat("hub ", b), b));
      AddCable(w_.hubs[b], "to", w_.core[w_.CoreAt(1 + b)], Cat("enter", b));
      AddCable(w_.core[w_.CoreAt(w_.ring - b)], Cat("leave", b), w_.hubs[b], "fro");
    }
  }

  // A port on the Internet (`box` kNoPlace) or inside a box. Its cable follows once all depths are known, or now.
  size_t AddPort(std::string name, size_t site, std::string face, size_t box, const std::string& region) {
    PortWire p{.name = std::move(name), .site = site, .face = std::move(face), .inside = box, .region = region};
    if (box == kNoPlace) {
      p.address = wide_.Take(plan_.seed, p.name, 0);
    } else {
      p.address = spaces_[box].Take(plan_.seed, p.name, 0);
      BoxWire& b = w_.boxes[box];
      p.cable = AddCable(site, p.face, b.site, Cat("m", b.members.size()), true);
      b.members.push_back(w_.ports.size());
    }
    w_.ports.push_back(std::move(p));
    return w_.ports.size() - 1;
  }

  size_t AddBox(std::string name, const NatSpec& spec, size_t outside, AddressSpace inside, HostIndex host, const std::string& region) {
    const size_t box = w_.boxes.size(), site = AddSite(Site::What::kBox, Cat("box ", name), box);
    w_.boxes.push_back({.name = name, .spec = spec, .site = site, .gateway = inside.gateway(), .bits = inside.bits(), .host = host});
    spaces_.push_back(std::move(inside));
    w_.box_names[name] = box;
    const size_t outer = AddPort(std::move(name), site, "wan", outside, region);
    w_.boxes[box].outer = outer;
    return box;
  }

  static std::string SharedKey(const NatRef& ref) { return ref.shared_name.substr(ref.shared_name.rfind('@') + 1); }

  struct Chain {
    size_t box = kNoPlace;           // The nearest.
    std::optional<size_t> access{};  // The port where the access link ends; none: the subscriber's own.
  };
  Chain AddChain(const std::vector<NatRef>& nat, const std::string& name, HostIndex host, const std::string& region, size_t members) {
    Chain chain;
    for (size_t i = nat.size(); i-- > 0;) {
      const NatRef& ref = nat[i];
      if (ref.shared_name.empty()) {
        std::string box_name = i == 0 ? name : Cat(name, "[", i, "]");
        AddressSpace inside = PrivateSpace(plan_.seed, box_name, i == 0 ? members : 1);
        chain.box = AddBox(std::move(box_name), ref.spec, chain.box, std::move(inside), host, region);
        chain.access = w_.boxes[chain.box].outer;
        continue;
      }
      auto [it, fresh] = shared_.try_emplace(SharedKey(ref), kNoPlace);
      if (fresh) it->second = AddBox(Cat(ref.spec.preset, "@", it->first), ref.spec, chain.box, CarrierSpace(), kNoHost, region);
      chain.box = it->second;
      chain.access.reset();  // The link lies between the subscriber and the box.
    }
    return chain;
  }

  void AddLink(std::string name, const LinkSpec& spec, HostIndex host, bool up, size_t port) {
    w_.link_names[name] = w_.links.size();
    w_.links.push_back({std::move(name), spec, host, up, port});
  }

  void Lan(const LanPlan& lan) {
    Place& place = lans_[lan.id];
    if (!lan.router) {
      place.site = AddSite(Site::What::kLan, Cat("lan ", lan.id), kNoPlace);
      lan_spaces_.emplace(lan.id, PrivateSpace(plan_.seed, lan.id, members_[lan.id]));
      return;
    }
    Chain chain = AddChain(lan.router->nat, lan.id, kNoHost, lan.region, members_[lan.id]);
    place.box = chain.box;
    AddLink(Cat(lan.id, "/router"), lan.router->link, kNoHost, lan.router->up, w_.boxes[chain.box].outer);
  }

  void Host(HostIndex h) {
    const HostPlan& plan = plan_.hosts[h];
    const size_t site = AddSite(Site::What::kHost, plan.id, h);
    w_.host_site.push_back(site);
    if (!plan.uplinks.empty()) {
      const UplinkPlan& up = plan.uplinks[0];
      const std::string name = up.name == "wan" ? plan.id : Cat(plan.id, "/", up.name);
      Chain chain = AddChain(up.nat, name, h, plan.region, 1);
      const size_t port = AddPort(name, site, "eth0", chain.box, plan.region);
      w_.host_port.push_back(port);
      AddLink(name, up.link, h, up.up, chain.access.value_or(port));
      w_.link_names[plan.id] = w_.links.size() - 1;
      return;
    }
    const LanPlan& lan = *std::find_if(plan_.lans.begin(), plan_.lans.end(), [&](const LanPlan& l) { return l.id == plan.lan; });
    Place& place = lans_.at(plan.lan);
    size_t port;
    if (place.box != kNoPlace) {
      port = AddPort(plan.id, site, "eth0", place.box, plan.region);
    } else {
      port = w_.ports.size();
      PortWire p{.name = plan.id, .site = site, .face = "eth0", .lan = place.site, .region = plan.region};
      p.address = lan_spaces_.at(plan.lan).Take(plan_.seed, p.name, 0);
      p.cable = AddCable(site, "eth0", place.site, Cat("m", place.members++), true);
      w_.ports.push_back(std::move(p));
    }
    w_.host_port.push_back(port);
    LinkSpec spec;
    spec.preset = "lan", spec.down_bps = spec.up_bps = lan.rate_bps, spec.delay = lan.delay;
    AddLink(plan.id, spec, h, true, port);
  }

  // How many boxes a packet from a host behind each port may have passed when it leaves that port, at most.
  void Depths() {
    for (size_t h = 0; h < plan_.hosts.size(); ++h) {
      uint16_t depth = 0;
      for (size_t port = w_.host_port[h];; port = w_.boxes[w_.ports[port].inside].outer) {
        w_.ports[port].depth = std::max(w_.ports[port].depth, depth);
        if (w_.ports[port].inside == kNoPlace) break;
        ++depth;
      }
    }
  }

  void Join(PortWire& p) {
    const size_t hub = w_.hubs[p.depth];
    p.cable = AddCable(p.site, p.face, hub, Cat("s", joined_[hub]++));
  }

  const WorldPlan& plan_;
  Wiring w_;
  AddressSpace wide_;
  std::vector<AddressSpace> spaces_;  // Insides, by box.
  struct Place {
    size_t box = kNoPlace, site = kNoPlace, members = 0;
  };
  std::map<std::string, Place, std::less<>> lans_;
  std::map<std::string, AddressSpace, std::less<>> lan_spaces_;
  std::map<std::string, size_t> members_;  // Of a LAN, by its id.
  std::map<std::string, size_t, std::less<>> shared_;
  std::map<size_t, size_t> joined_;
};

void AddOnce(std::vector<std::string>& out, std::string text) {
  if (std::find(out.begin(), out.end(), text) == out.end()) out.push_back(std::move(text));
}

}  // namespace

std::vector<std::string> WiringRefusals(const WorldPlan& plan) {
  std::vector<std::string> out;
  size_t depth = 0;
  std::map<std::string, const LanPlan*, std::less<>> lans;
  for (const LanPlan& l : plan.lans) lans[l.id] = &l;
  for (const HostPlan& h : plan.hosts) {
    depth = std::max(depth, ChainOf(plan, h).size());
    if (h.uplinks.size() > 1 || (!h.uplinks.empty() && !h.lan.empty())) AddOnce(out, Cat("hosts.", h.id, ": several uplinks"));
    if (!h.uplinks.empty() && !h.uplinks[0].link.shares.empty()) AddOnce(out, Cat("hosts.", h.id, ": a bottleneck that links share"));
    if (h.uplinks.empty() && !h.lan.empty() && lans.at(h.lan)->router && lans.at(h.lan)->router->nat.empty()) {
      AddOnce(out, Cat("lans.", h.lan, ": a router without a NAT"));
    }
  }
  const size_t least = 2 * depth + kRingCore + 2;
  if (plan.hops < least || plan.hops > kHopsMax) {
    out.push_back(Cat("world.hops: ", int(plan.hops), " routers on a path (from ", least, " with chains of ", depth, ", to ", kHopsMax, ")"));
  }
  return out;
}

Wiring MakeWiring(const WorldPlan& plan, bool relay) { return Builder(plan, relay).Run(); }

uint32_t NextAddress(const WorldPlan& plan, Wiring& wiring, size_t port) {
  PortWire& p = wiring.ports[port];
  // A space that holds what its neighbours have.
  AddressSpace space;
  if (p.inside != kNoPlace) {
    const BoxWire& box = wiring.boxes[p.inside];
    space = AddressSpace(box.gateway - 1, box.bits);
  } else if (p.lan != kNoPlace) {
    space = AddressSpace(p.address & 0xffffff00, 24);
  }
  std::set<uint32_t> taken;
  for (const PortWire& other : wiring.ports) {
    if (other.inside == p.inside && other.lan == p.lan) taken.insert(other.address);
  }
  do {
    p.address = space.Take(plan.seed, p.name, ++p.generation);
  } while (taken.contains(p.address));
  return p.address;
}

}  // namespace orchard::sim
