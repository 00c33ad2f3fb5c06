#include "sim/world/network.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/base/fixed_point.h"
#include "sim/language/presets.h"

namespace orchard::sim {
namespace {

ns3::Ptr<Segment> MakeSegment(Core* core, std::string name, std::unique_ptr<Segment::Wide> wide = nullptr) {
  return ns3::Ptr<Segment>(new Segment(core, std::move(name), std::move(wide)), false);
}

}  // namespace

Network::Network(Core* core, const WorldPlan* plan, const std::function<Station*(HostIndex)>& station)
    : core_(core), plan_(plan) {
  BuildWide();
  std::map<std::string, size_t> members;
  for (const HostPlan& h : plan->hosts) ++members[h.lan];
  for (const LanPlan& l : plan->lans) BuildLan(l, members[l.id]);
  host_ports_.resize(plan->hosts.size());
  link_names_.reserve(plan->hosts.size());
  for (HostIndex h = 0; h < plan->hosts.size(); ++h) BuildHost(h, station(h));
  for (NatBox& box : boxes_) {
    if (box.spec() != nullptr && box.spec()->remap_every.count() > 0) ScheduleRemap(&box);
  }
}

Network::~Network() {
  for (NatBox& box : boxes_) box.inside->Dispose();
  for (auto& [id, lan] : lans_) lan.segment->Dispose();
  wide_->Dispose();
}

void Network::BuildWide() {
  std::set<std::string> names = {""};
  for (const auto& [pair, latency] : plan_->latency) names.insert(pair.first), names.insert(pair.second);
  for (const HostPlan& h : plan_->hosts) names.insert(h.region);
  for (const LanPlan& l : plan_->lans) names.insert(l.region);
  regions_.assign(names.begin(), names.end());
  auto wide = std::make_unique<Segment::Wide>();
  wide->hops = plan_->hops, wide->loss_ppm = plan_->loss_ppm;
  wide->jitter_ppm = plan_->jitter_ppm, wide->jitter_ns = plan_->jitter.count();
  wide->regions = regions_.size();
  for (const std::string& a : regions_) {
    for (const std::string& b : regions_) {
      Duration d = a == b && !plan_->latency.empty() ? kInsideRegion : plan_->latency_default;
      for (const auto& pair : {std::pair(b, a), std::pair(a, b)}) {
        if (auto it = plan_->latency.find(pair); it != plan_->latency.end()) d = it->second;
      }
      wide->latency_ns.push_back(d.count());
    }
  }
  wide_ = MakeSegment(core_, "wan", std::move(wide));
  for (const auto& [name, spec] : plan_->bottlenecks) {
    Link* link = MakeLink(name, spec, kNoHost, true);
    link->line = &bottlenecks_.emplace_back(Intern(link->base), link->name, KeyOf(core_->seed, name, "link"));
    bottleneck_names_[name] = link->line;
  }
}

uint16_t Network::RegionOf(const std::string& name) const {
  return uint16_t(std::lower_bound(regions_.begin(), regions_.end(), name) - regions_.begin());
}

Network::Link* Network::MakeLink(std::string name, const LinkSpec& spec, HostIndex host, bool up) {
  Link& link = links_.emplace_back();
  link.name = std::move(name), link.preset = spec.preset, link.host = host, link.base = LineParams::Of(spec);
  link.base.way[0].up = link.base.way[1].up = up;
  link_names_[link.name] = &link;
  return &link;
}

void Network::GiveLine(Port* port, Link* link, const LinkSpec& spec) {
  port->set_line(Intern(link->base), link->name, KeyOf(core_->seed, link->name, "link"));
  if (auto it = bottleneck_names_.find(spec.shares); it != bottleneck_names_.end()) port->bottleneck = it->second;
  link->lined = port;
}

Port* Network::AddPort(Segment& segment, Station* station, std::string_view name, HostIndex host, uint16_t region) {
  auto port = ns3::Ptr<Port>(new Port(core_, station, name), false);
  port->host = host, port->region = region;
  Segment& space = segment.borrows != nullptr ? *segment.borrows : segment;
  const uint32_t address = space.space.Take(core_->seed, name, 0);
  if (segment.borrows != nullptr) space.AddAddress(ns3::PeekPointer(BoxBehind(segment)->outer), address);
  segment.Attach(port, address);
  return ns3::PeekPointer(port);
}

NatBox* Network::BoxBehind(const Segment& segment) {
  return segment.gateway() == nullptr ? nullptr : static_cast<NatBox*>(segment.gateway()->station());
}

NatBox* Network::MakeBox(std::string name, const NatSpec* spec, Segment& outside, ns3::Ptr<Segment> inside, HostIndex host,
                         uint16_t region) {
  NatBox& box = boxes_.emplace_back(core_, std::move(name), spec);
  box_names_[box.name()] = &box;
  box.outer = AddPort(outside, &box, box.name(), host, region);
  box.inside = std::move(inside);
  box.inner = ns3::Ptr<Port>(new Port(core_, &box, box.name()), false);
  box.inner->region = region;
  box.inside->Attach(box.inner, box.inside->space.gateway());
  box.inside->set_gateway(ns3::PeekPointer(box.inner));
  uint8_t behind = 1;
  for (NatBox* b = &box; b != nullptr; b = BoxBehind(*b->outer->segment()), ++behind) {
    b->outer->boxes_behind = std::max(b->outer->boxes_behind, behind);
  }
  if (spec == nullptr) return &box;
  std::vector<uint32_t> addresses = {box.outer->address};
  for (uint32_t i = 1; i < spec->pool; ++i) {
    addresses.push_back(outside.space.Take(core_->seed, absl::StrCat(box.name(), "+", i), 0));
    outside.AddAddress(ns3::PeekPointer(box.outer), addresses.back());
  }
  box.table = std::make_unique<NatTable>(spec, std::move(addresses), KeyOf(core_->seed, box.name(), "nat"));
  return &box;
}

Network::Chain Network::BuildChain(const std::vector<NatRef>& nat, const std::string& name, HostIndex host, uint16_t region,
                                   ns3::Ptr<Segment> inside) {
  Chain chain{ns3::PeekPointer(wide_)};
  for (size_t i = nat.size(); i-- > 0;) {
    const NatRef& ref = nat[i];
    NatBox* box = nullptr;
    if (ref.shared_name.empty()) {
      std::string box_name = i == 0 ? name : absl::StrCat(name, "[", i, "]");
      auto segment = i == 0 && inside != nullptr ? inside : MakeSegment(core_, box_name);
      if (segment != inside) segment->space = PrivateSpace(core_->seed, box_name, 1);
      box = MakeBox(std::move(box_name), &ref.spec, *chain.segment, segment, host, region);
      chain.access = ns3::PeekPointer(box->outer);
    } else {
      // One box for all who name it; who names it first says what it stands behind.
      const std::string key = ref.shared_name.substr(ref.shared_name.rfind('@') + 1);
      NatBox*& shared = shared_[key];
      if (shared == nullptr) {
        std::string box_name = absl::StrCat(ref.spec.preset, "@", key);
        auto segment = MakeSegment(core_, box_name);
        segment->space = CarrierSpace();
        shared = MakeBox(std::move(box_name), &ref.spec, *chain.segment, segment, kNoHost, region);
      }
      box = shared;
      chain.access = nullptr;  // The link lies between the subscriber and the box.
    }
    chain.segment = ns3::PeekPointer(box->inside);
  }
  return chain;
}

void Network::BuildLan(const LanPlan& plan, size_t members) {
  Lan& lan = lans_[plan.id];
  lan.segment = MakeSegment(core_, plan.id);
  lan.segment->space = PrivateSpace(core_->seed, plan.id, members);
  LinkSpec spec;
  spec.preset = "lan", spec.down_bps = spec.up_bps = plan.rate_bps, spec.delay = plan.delay;
  lan.link = MakeLink(plan.id, spec, kNoHost, true);
  if (!plan.router) return;
  const uint16_t region = RegionOf(plan.region);
  Chain chain = BuildChain(plan.router->nat, plan.id, kNoHost, region, lan.segment);
  NatBox* router = BoxBehind(*lan.segment);
  if (router == nullptr) {
    // No NAT of its own: a router that changes nothing; the members' addresses are of the network behind it.
    router = MakeBox(plan.id, nullptr, *chain.segment, lan.segment, kNoHost, region);
    lan.segment->borrows = chain.segment;
  }
  GiveLine(ns3::PeekPointer(router->outer), MakeLink(absl::StrCat(plan.id, "/router"), plan.router->link, kNoHost, plan.router->up),
           plan.router->link);
}

void Network::BuildHost(HostIndex h, Station* station) {
  const HostPlan& plan = plan_->hosts[h];
  std::vector<Port*>& ports = host_ports_[h];
  const uint16_t region = RegionOf(plan.region);
  ports.reserve(plan.uplinks.size() + !plan.lan.empty());
  for (size_t i = 0; i < plan.uplinks.size(); ++i) {
    const UplinkPlan& up = plan.uplinks[i];
    Link* link = MakeLink(up.name == "wan" ? plan.id : absl::StrCat(plan.id, "/", up.name), up.link, h, up.up);
    if (i == 0) link_names_[plan.id] = link;
    Chain chain = BuildChain(up.nat, link->name, h, region, nullptr);
    Port* port = AddPort(*chain.segment, station, link->name, h, region);
    ports.push_back(port);
    link->face = port;
    port->set_up(up.up);
    GiveLine(chain.access != nullptr ? chain.access : port, link, up.link);
  }
  if (plan.lan.empty()) return;
  auto it = lans_.find(plan.lan);
  CHECK(it != lans_.end());  // The loader refuses a member of no LAN.
  Link* link = MakeLink(plan.uplinks.empty() ? plan.id : absl::StrCat(plan.id, "/", plan.lan), {}, h, true);
  link->base = it->second.link->base, link->preset = "lan", link->lan = it->second.link;
  link->lan->places.push_back(link);
  link->face = AddPort(*it->second.segment, station, link->name, h, region);
  GiveLine(link->face, link, {});
  ports.push_back(link->face);
}

// ---- While it runs ----

Network::Link* Network::FindLink(std::string_view name) const {
  if (name.ends_with("/wan")) name.remove_suffix(4);
  auto it = link_names_.find(std::string(name));
  return it == link_names_.end() ? nullptr : it->second;
}

void Network::Apply(Link& link) {
  for (Link* place : link.places) Apply(*place);
  LineParams p = link.base;
  if (link.lan != nullptr) {
    for (const auto& [ticket, change] : link.lan->changes) p = p.With(change);
  }
  for (const auto& [ticket, change] : link.changes) p = p.With(change);
  if (link.line != nullptr) link.line->set_params(Intern(p));
  if (link.lined == nullptr) return;
  const LineParams before = link.lined->line()->params();
  const bool was_up = link.lined->up(), up = p.way[0].up || p.way[1].up;
  link.lined->line()->set_params(Intern(p));
  for (Way way : {Way::kOut, Way::kIn}) {
    if (before.way[int(way)].up && !p.way[int(way)].up) link.lined->Flush(way);
  }
  if (was_up == up) return;
  link.lined->NotifyLinkChange();
  if (link.face == nullptr) return;
  link.face->set_up(up);
  if (on_change_) on_change_(link.host);
}

uint64_t Network::PushLinkChange(std::string_view name, const World::LinkChange& change) {
  Link* link = FindLink(name);
  if (link == nullptr) return 0;
  link->changes.emplace_back(next_ticket_, change);
  tickets_[next_ticket_] = link;
  Apply(*link);
  return next_ticket_++;
}

void Network::PopLinkChange(uint64_t ticket) {
  auto it = tickets_.find(ticket);
  if (it == tickets_.end()) return;
  Link& link = *it->second;
  tickets_.erase(it);
  std::erase_if(link.changes, [&](const auto& c) { return c.first == ticket; });
  Apply(link);
}

bool Network::ChangeLink(std::string_view name, const World::LinkChange& change) {
  Link* link = FindLink(name);
  if (link == nullptr) return false;
  link->changes.emplace_back(0, change);
  Apply(*link);
  return true;
}

// Gives the port an address that it never had.
void Network::MoveTo(Port& port, std::string_view name) {
  Segment& segment = *port.segment();
  Segment& space = segment.borrows != nullptr ? *segment.borrows : segment;
  const uint32_t old = port.address, now = space.space.Take(core_->seed, name, ++port.generation);
  segment.RemoveAddress(old), space.RemoveAddress(old), space.space.Release(old);
  segment.AddAddress(&port, now);
  if (segment.borrows != nullptr) space.AddAddress(ns3::PeekPointer(BoxBehind(segment)->outer), now);
  port.address = now;
}

bool Network::Renumber(std::string_view name) {
  Link* link = FindLink(name);
  if (link == nullptr || (link->face == nullptr && link->places.empty())) return false;
  auto renumber = [&](Link& l) {
    MoveTo(*l.face, l.name);
    if (on_change_) on_change_(l.host);
  };
  if (link->face != nullptr) renumber(*link);
  for (Link* place : link->places) renumber(*place);
  return true;
}

NatBox* Network::FindBox(std::string_view name) const {
  if (auto at = name.rfind('@'); at != name.npos) {
    auto it = shared_.find(name.substr(at + 1));
    return it == shared_.end() ? nullptr : it->second;
  }
  if (auto it = box_names_.find(std::string(name)); it != box_names_.end()) return it->second->table ? it->second : nullptr;
  // A link's nearest box: a shared one, or that of a member's LAN.
  Link* link = FindLink(name);
  if (link == nullptr || link->face == nullptr) return nullptr;
  NatBox* box = BoxBehind(*link->face->segment());
  while (box != nullptr && box->table == nullptr) box = BoxBehind(*box->outer->segment());
  return box;
}

void Network::NewAddresses(NatBox& box) {
  Segment& outside = *box.outer->segment();
  std::vector<uint32_t> addresses = box.table->addresses();
  for (size_t i = 1; i < addresses.size(); ++i) {
    outside.RemoveAddress(addresses[i]), outside.space.Release(addresses[i]);
    addresses[i] = outside.space.Take(core_->seed, absl::StrCat(box.name(), "+", i), box.outer->generation + 1);
    outside.AddAddress(ns3::PeekPointer(box.outer), addresses[i]);
  }
  MoveTo(*box.outer, box.name());
  addresses[0] = box.outer->address;
  if (box.tcp_table() != nullptr) box.tcp_table()->set_addresses(addresses);
  box.table->set_addresses(std::move(addresses));
}

void Network::Remap(NatBox& box, uint32_t share_ppm) {
  box.table->Remap(share_ppm);
  if (box.tcp_table() != nullptr) box.tcp_table()->Remap(share_ppm);
}

bool Network::NatRemap(std::string_view name, uint32_t share_ppm, bool new_address) {
  NatBox* box = FindBox(name);
  if (box == nullptr) return false;
  // Another address takes every mapping's outside endpoint away.
  Remap(*box, new_address ? 1'000'000 : share_ppm);
  if (new_address) NewAddresses(*box);
  return true;
}

bool Network::NatReboot(std::string_view name, int64_t down_ns, bool new_address) {
  NatBox* box = FindBox(name);
  if (box == nullptr) return false;
  box->table->Flush();
  if (box->tcp_table() != nullptr) box->tcp_table()->Flush();
  box->down_until = core_->now() + down_ns;
  if (new_address) NewAddresses(*box);
  return true;
}

void Network::ScheduleRemap(NatBox* box) {
  remap_luck_.push_back(Rng::Named(core_->seed, box->name(), "remap"));
  Rng* luck = &remap_luck_.back();
  struct Again {
    Core* core;
    NatBox* box;
    Rng* luck;
    void operator()() const { Network::Remap(*box, 1'000'000), Arm(); }
    void Arm() const { core->After(1 + DrawExponential(*luck, box->spec()->remap_every.count()), *this); }
  };
  Again{core_, box, luck}.Arm();
}

std::optional<uint32_t> Network::PublicAddress(const Port& port) const {
  uint32_t address = port.address;
  for (const Segment* s = port.segment(); !s->wide();) {
    NatBox* box = BoxBehind(*s);
    if (box == nullptr) return std::nullopt;
    if (box->table != nullptr) address = box->table->AddressFor(address);
    s = box->outer->segment();
  }
  return address;
}

std::vector<World::BoxInfo> Network::boxes() const {
  std::vector<World::BoxInfo> out;
  for (const NatBox& box : boxes_) {
    World::BoxInfo& info = out.emplace_back();
    info.name = box.name(), info.outside = box.outer->segment()->name();
    for (size_t i = 0; i < box.inside->GetNDevices(); ++i) {
      auto* port = static_cast<Port*>(ns3::PeekPointer(box.inside->GetDevice(i)));
      if (port != ns3::PeekPointer(box.inner)) info.members.emplace_back(port->name());
    }
    if (box.table == nullptr) {
      info.spec.preset = "router";
      info.addresses.push_back(Endpoint::V4(box.outer->address, 0));
      continue;
    }
    info.spec = *box.spec();
    for (uint32_t a : box.table->addresses()) info.addresses.push_back(Endpoint::V4(a, 0));
    const NatTable::Counts& c = box.table->counts();
    info.mappings = box.table->size(), info.mappings_made = c.made;
    info.filtered = c.filtered + c.unmapped, info.refused = c.refused;
    if (const NatTable* tcp = box.tcp_table(); tcp != nullptr) {
      const NatTable::Counts& t = tcp->counts();
      info.mappings += tcp->size(), info.mappings_made += t.made;
      info.filtered += t.filtered + t.unmapped, info.refused += t.refused;
    }
  }
  return out;
}

std::vector<World::LinkInfo> Network::links() const {
  std::vector<World::LinkInfo> out;
  auto add = [](World::WayInfo& a, const World::WayInfo& b) {
    a.packets += b.packets, a.bytes += b.bytes, a.drops += b.drops, a.busy += b.busy, a.queue_total += b.queue_total;
    a.queue_max = std::max(a.queue_max, b.queue_max);
  };
  for (const Link& link : links_) {
    World::LinkInfo& info = out.emplace_back();
    info.name = link.name, info.preset = link.preset, info.host = link.host;
    Line* line = link.lined != nullptr ? link.lined->line() : link.line;
    if (line != nullptr) info.up = line->up(), info.outbound = line->info(Way::kOut), info.inbound = line->info(Way::kIn);
    for (const Link* place : link.places) {
      add(info.outbound, place->lined->line()->info(Way::kOut));
      add(info.inbound, place->lined->line()->info(Way::kIn));
    }
  }
  return out;
}

}  // namespace orchard::sim
