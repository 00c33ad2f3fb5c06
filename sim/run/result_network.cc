// topology.json: who was there, behind what, and who spoke to whom.
#include <algorithm>
#include <map>
#include <set>

#include "sim/run/result.h"
#include "sim/run/result_connections.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

Json List() { return JsonList({}); }

std::string_view Letters(Dependence d) {
  return d == Dependence::kEndpointIndependent ? "EI" : d == Dependence::kAddressDependent ? "AD" : "AP";
}

Json BoxWords(const NatSpec& n) {
  Json b = Json::Object();
  b.At("preset") = Json::Text(n.preset);
  b.At("mapping") = Json::Text(n.udp_blocked ? "block" : Letters(n.mapping));
  b.At("filtering") = Json::Text(n.udp_blocked ? "block" : Letters(n.filtering));
  static constexpr std::string_view kPorts[] = {"preserve", "sequential", "random", "block"};
  b.At("ports") = Json::Text(kPorts[size_t(n.ports)]);
  b.At("idle_ms") = JsonMicro(n.idle.count());
  b.At("hairpin") = JsonBool(n.hairpin);
  return b;
}

Json LinkJson(const LinkSpec& l, uint64_t hosts) {
  Json j = Json::Object();
  j.At("name") = Json::Text(l.preset);
  j.At("down_bps") = JsonNumber(uint64_t(l.down_bps)), j.At("up_bps") = JsonNumber(uint64_t(l.up_bps));
  j.At("delay_ms") = JsonMicro(l.delay.count()), j.At("queue_ms") = JsonMicro(l.queue.count());
  j.At("loss_ratio") = JsonMicro(l.loss_ppm), j.At("hosts") = JsonNumber(hosts);
  return j;
}

Json ClassJson(const Traffic::Class& c) {
  Json j = Json::Object();
  j.At("region") = Json::Text(c.region), j.At("nat") = Json::Text(c.nat);
  return j;
}

constexpr size_t kEdgesMax = 4000, kFlowsMax = 2000, kFailedMax = 100, kRecordsMax = 32, kHoldersMax = 32;

// Who asked and answered whom, who could not be reached, who holds which record.
void TalkJson(const CaseFacts& f, Json& j) {
  const Traffic& traffic = f.watch.traffic();
  Json edges = List(), flows = List(), failed = List(), records = List();
  edges.items = ConnectionEdges(f);  // First: they are what a reader came for.
  for (const Traffic::Edge& e : traffic.Edges()) {
    if (edges.items.size() >= kEdgesMax) break;
    Json x = Json::Object();
    x.At("a") = JsonNumber(e.a), x.At("b") = JsonNumber(e.b);
    x.At("kind") = Json::Text(e.answered > 0 ? "dht" : "failed");
    x.At("count") = JsonNumber(e.answered > 0 ? e.answered : e.refused);
    if (e.times != nullptr) x.At("p50_ms") = JsonMicro(e.times->Median().count());
    if (e.answered > 0) x.At("first_ms") = JsonMs(e.first), x.At("last_ms") = JsonMs(e.last);
    edges.items.push_back(std::move(x));
  }
  for (const Traffic::Flow& w : traffic.Flows()) {
    if (flows.items.size() >= kFlowsMax) break;
    Json x = Json::Object();
    x.At("a") = ClassJson(w.a), x.At("b") = ClassJson(w.b), x.At("kind") = Json::Text(w.answered > 0 ? "dht" : "failed");
    x.At("count") = JsonNumber(w.asked), x.At("ok") = JsonNumber(w.answered);
    if (w.times != nullptr) x.At("p50_ms") = JsonMicro(w.times->Median().count());
    flows.items.push_back(std::move(x));
  }
  for (const Traffic::Failure& w : traffic.Failures()) {
    if (failed.items.size() >= kFailedMax) break;
    Json x = Json::Object();
    x.At("from") = Json::Text(w.from), x.At("to") = Json::Text(w.to), x.At("why") = Json::Text(w.why), x.At("count") = JsonNumber(w.count);
    failed.items.push_back(std::move(x));
  }
  j.At("edges") = std::move(edges), j.At("flows") = std::move(flows), j.At("failed") = std::move(failed);

  // Those that an operation of the timeline put or announced come first, under its name.
  struct Shown {
    std::string says, key;
    const Watch::Record* record;
    std::vector<HostIndex> holders;
  };
  std::map<std::string, std::string, std::less<>> names;
  for (const Entry& e : f.scenario.timeline) {
    const std::map<uint32_t, OpResult>* of = e.as.empty() ? nullptr : f.results.Of(e.as);
    if (of == nullptr) continue;
    for (const auto& [host, result] : *of) {
      for (std::string_view field : {"target", "topic", "hash", "key"}) {
        const Json* v = result.data.Find(field);
        if (v != nullptr && v->is_text()) names.emplace(v->text, e.as);
      }
    }
  }
  std::vector<Shown> shown;
  for (const auto& [key, record] : f.watch.records()) {
    auto name = names.find(key);
    Shown s{name == names.end() ? "" : name->second, key, &record, {}};
    for (const auto& [host, incarnation] : record.holders) {
      if (f.world.up(host) && f.world.incarnation(host) == incarnation && s.holders.size() < kHoldersMax) s.holders.push_back(host);
    }
    if (!s.holders.empty()) shown.push_back(std::move(s));
  }
  std::stable_sort(shown.begin(), shown.end(), [](const Shown& a, const Shown& b) {
    return a.says.empty() != b.says.empty() ? b.says.empty() : a.holders.size() > b.holders.size();
  });
  for (const Shown& s : shown) {
    if (records.items.size() >= kRecordsMax) break;
    Json x = Json::Object(), holders = List();
    if (!s.says.empty()) x.At("says") = Json::Text(s.says);
    for (HostIndex h : s.holders) holders.items.push_back(JsonNumber(h));
    x.At("kind") = Json::Text(s.record->kind), x.At("key") = Json::Text(s.key), x.At("holders") = std::move(holders);
    records.items.push_back(std::move(x));
  }
  j.At("records") = std::move(records);
}

}  // namespace

Json TopologyJson(const CaseFacts& f) {
  Json j = Json::Object(), hosts = List(), regions = List(), paths = List(), nats = List(), boxes = List(), links = List(), lans = List();
  j.At("schema") = Json::Text("orchard.topology/1");
  std::map<std::string, uint64_t> by_region, by_link;
  std::map<std::string, LinkSpec> specs;
  std::map<std::string, std::pair<uint64_t, const HostPlan*>> by_nat;
  const std::vector<HostPlan>& plan = f.plan.world.hosts;
  std::vector<uint64_t> ring(256);
  std::map<std::string_view, const LanPlan*> lan_plans;
  for (const LanPlan& l : f.plan.world.lans) lan_plans.emplace(l.id, &l);
  auto way_out = [&](const HostPlan& p) -> const UplinkPlan* {
    if (!p.uplinks.empty()) return &p.uplinks[0];
    auto lan = lan_plans.find(p.lan);
    return lan == lan_plans.end() || !lan->second->router ? nullptr : &*lan->second->router;
  };
  std::map<std::string, bool> link_up;  // Of hosts with several uplinks.
  if (std::any_of(plan.begin(), plan.end(), [](const HostPlan& p) { return p.uplinks.size() > 1; })) {
    for (const World::LinkInfo& l : f.world.links()) link_up.emplace(l.name, l.up);
  }
  for (HostIndex h = 0; h < plan.size(); ++h) {
    const HostPlan& p = plan[h];
    Json host = Json::Object();
    const std::string link = LabelOf(p, "link");
    host.At("id") = Json::Text(p.id), host.At("group") = Json::Text(p.group), host.At("region") = Json::Text(p.region);
    host.At("nat") = Json::Text(p.nat_label), host.At("link") = Json::Text(link);
    if (!p.lan.empty()) host.At("lan") = Json::Text(p.lan);
    if (!f.world.up(h)) host.At("up") = JsonBool(false);
    if (!p.runs_node || p.runs_js) host.At("runs") = Json::Text(p.runs_js ? "js" : p.web != nullptr ? "web" : "none");
    if (p.config_json.find("\"bootstrap\":true") != std::string::npos) host.At("bootstrap") = JsonBool(true);
    const std::string& id = f.watch.state(h).id;
    if (!id.empty()) {
      host.At("ring") = Json::Text(id);
      ++ring[std::stoul(id.substr(0, 2), nullptr, 16)];
    }
    const auto& lives = f.recorder.lives(h);
    if (plan.size() <= 1000 && !(lives.size() == 1 && lives[0].second == kNever)) {
      Json spans = List();
      for (const auto& [from, to] : lives) {
        Json span = List();
        span.items = {JsonMs(from), JsonMs(to)};
        spans.items.push_back(std::move(span));
      }
      host.At("spans") = std::move(spans);
    }
    std::vector<std::string> shared;
    if (!p.uplinks.empty()) {
      for (const NatRef& n : p.uplinks[0].nat) {
        if (!n.shared_name.empty()) shared.push_back(Cat(n.spec.preset, "@", n.shared_name));
      }
    }
    if (p.uplinks.size() > 1) {
      Json uplinks = List();
      for (const UplinkPlan& u : p.uplinks) {
        Json w = Json::Object();
        std::string nat;
        for (const NatRef& n : u.nat) nat += Cat(nat.empty() ? "" : "+", n.spec.preset);
        auto state = link_up.find(Cat(p.id, "/", u.name));
        w.At("name") = Json::Text(u.name), w.At("link") = Json::Text(u.link.preset), w.At("nat") = Json::Text(nat.empty() ? "open" : nat);
        w.At("up") = JsonBool(state == link_up.end() ? u.up : state->second);
        uplinks.items.push_back(std::move(w));
      }
      host.At("uplinks") = std::move(uplinks);
    }
    if (const UplinkPlan* way = way_out(p)) ++by_link[link], specs[link] = way->link;
    if (!shared.empty()) host.At("boxes") = JsonList(shared);
    ++by_region[p.region];
    auto& nat = by_nat[p.nat_label];
    ++nat.first, nat.second = &p;
    hosts.items.push_back(std::move(host));
  }
  j.At("hosts") = std::move(hosts);
  for (const auto& [id, n] : by_region) {
    Json r = Json::Object();
    r.At("id") = Json::Text(id), r.At("hosts") = JsonNumber(n);
    regions.items.push_back(std::move(r));
    for (const auto& [other, m] : by_region) {
      if (other <= id) continue;
      auto it = f.plan.world.latency.find({id, other});
      Json p = Json::Object();
      p.At("a") = Json::Text(id), p.At("b") = Json::Text(other);
      p.At("delay_ms") = JsonMicro((it == f.plan.world.latency.end() ? f.plan.world.latency_default : it->second).count());
      paths.items.push_back(std::move(p));
    }
  }
  std::map<std::string, std::array<uint64_t, 3>> box_sums;
  for (const World::BoxInfo& b : f.world.boxes()) {
    std::optional<HostIndex> host = f.world.Find(b.name.substr(0, b.name.find_first_of("/[")));
    if (host && f.world.sees_all()) {
      auto& sum = box_sums[plan[*host].nat_label];
      sum[0] += b.mappings_made, sum[1] += b.filtered, sum[2] += b.refused;
    } else if (!host && boxes.items.size() < 500) {
      Json box = BoxWords(b.spec);
      box.At("name") = Json::Text(b.name), box.At("label") = Json::Text(b.spec.preset), box.At("inside") = Json::Text(b.outside);
      box.At("members") = JsonNumber(b.members.size());
      if (f.world.sees_all()) box.At("mappings") = JsonNumber(b.mappings), box.At("filtered") = JsonNumber(b.filtered), box.At("refused") = JsonNumber(b.refused);
      boxes.items.push_back(std::move(box));
    }
  }
  for (const auto& [label, n] : by_nat) {
    Json nat = Json::Object(), chain = List();
    nat.At("label") = Json::Text(label), nat.At("hosts") = JsonNumber(n.first);
    if (const UplinkPlan* way = way_out(*n.second)) {
      for (const NatRef& r : way->nat) chain.items.push_back(BoxWords(r.spec));
    }
    nat.At("chain") = std::move(chain);
    if (auto it = box_sums.find(label); it != box_sums.end()) {
      nat.At("mappings") = JsonNumber(it->second[0]), nat.At("filtered") = JsonNumber(it->second[1]);
      nat.At("refused") = JsonNumber(it->second[2]);
    }
    nats.items.push_back(std::move(nat));
  }
  for (const auto& [name, spec] : specs) links.items.push_back(LinkJson(spec, by_link[name]));
  for (const LanPlan& l : f.plan.world.lans) {
    if (lans.items.size() >= 500) break;
    Json lan = Json::Object();
    lan.At("id") = Json::Text(l.id), lan.At("region") = Json::Text(l.region);
    lan.At("rate_bps") = JsonNumber(uint64_t(l.rate_bps)), lan.At("delay_ms") = JsonMicro(l.delay.count());
    if (l.router && !l.router->nat.empty() && !l.router->nat[0].shared_name.empty()) {
      lan.At("router") = Json::Text(Cat(l.router->nat[0].spec.preset, "@", l.router->nat[0].shared_name.substr(l.router->nat[0].shared_name.rfind('@') + 1)));
    }
    lan.At("members") = JsonNumber(uint64_t(std::count_if(plan.begin(), plan.end(), [&](const HostPlan& p) { return p.lan == l.id; })));
    lans.items.push_back(std::move(lan));
  }
  j.At("regions") = std::move(regions), j.At("paths") = std::move(paths), j.At("nats") = std::move(nats);
  j.At("boxes") = std::move(boxes), j.At("links") = std::move(links), j.At("lans") = std::move(lans);

  TalkJson(f, j);
  ConnectionsJson(f, j);

  // Table sizes as they were last seen, the ring, and who fared worst.
  Json degree = Json::Object(), degree_counts = List(), ring_json = Json::Object(), nodes = List(), stored = List(), worst = List();
  std::vector<uint64_t> counts;
  uint64_t largest = 0;
  for (HostIndex h = 0; h < plan.size(); ++h) {
    if (f.watch.state(h).has_table) largest = std::max(largest, f.watch.state(h).table);
  }
  uint64_t width = 1;  // Some thirty bars.
  for (uint64_t w : {1, 2, 5, 10, 20, 50, 100, 200, 500}) {
    if (largest / width >= 32) width = w;
  }
  for (HostIndex h = 0; h < plan.size(); ++h) {
    if (!f.watch.state(h).has_table || !f.world.up(h)) continue;
    size_t bin = size_t(std::min<uint64_t>(f.watch.state(h).table / width, 255));
    if (counts.size() <= bin) counts.resize(bin + 1);
    ++counts[bin];
  }
  for (uint64_t n : counts) degree_counts.items.push_back(JsonNumber(n));
  degree.At("of") = Json::Text("dht.table.nodes"), degree.At("from") = JsonNumber(0), degree.At("width") = JsonNumber(width);
  degree.At("counts") = std::move(degree_counts);
  for (uint64_t n : ring) nodes.items.push_back(JsonNumber(n));
  for (uint64_t n : f.watch.stored()) stored.items.push_back(JsonNumber(n));
  ring_json.At("nodes") = std::move(nodes), ring_json.At("stored") = std::move(stored);
  if (const Series* s = f.recorder.Find("dht.lookup.ok")) {
    std::map<uint32_t, std::pair<uint64_t, uint64_t>> missed;
    for (const Reading& r : s->samples) ++missed[r.host].second, missed[r.host].first += r.micro == 0;
    // One miss is bad luck, and what everybody missed is no host's fault: named are those that missed twice the mean share.
    uint64_t asked = 0, lost = 0;
    for (const auto& [host, n] : missed) lost += n.first, asked += n.second;
    std::erase_if(missed, [&](const auto& m) { return m.second.first < 2 || m.second.first * asked < 2 * lost * m.second.second; });
    std::vector<std::pair<uint32_t, std::pair<uint64_t, uint64_t>>> order(missed.begin(), missed.end());
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
      return a.second.first * b.second.second > b.second.first * a.second.second;  // By share.
    });
    for (size_t i = 0; i < order.size() && i < 20; ++i) {
      Json w = Json::Object();
      w.At("host") = Json::Text(plan[order[i].first].id);
      w.At("says") = Json::Text(Cat(order[i].second.first, " of ", order[i].second.second, " lookups missed"));
      worst.items.push_back(std::move(w));
    }
  }
  j.At("degree") = std::move(degree), j.At("ring") = std::move(ring_json), j.At("worst") = std::move(worst);
  return j;
}

}  // namespace orchard::sim
