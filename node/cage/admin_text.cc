#include "node/cage/admin_text.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "node/base/bytes.h"
#include "node/base/json_writer.h"

namespace orchard::cage {
namespace {

// Slots in a state, for which GAVE-UP is one.
constexpr std::string_view kSlotStates[] = {"INIT", "RUN", "CRASH", "TERM", "STOP", "GAVE-UP"};

const Traffic& TrafficOf(const Front& front, const Sites::Site& site) {
  static const Traffic kNone;
  const Traffic* t = front.traffic(site.config.name);
  return t == nullptr ? kNone : *t;
}
const Pool::Stats& PoolStatsOf(const Sites::Site& site) {
  static const Pool::Stats kNone;
  return site.pool == nullptr ? kNone : site.pool->stats();
}
absl::Span<const Pool::Slot> SlotsOf(const Sites::Site& site) {
  return site.pool == nullptr ? absl::Span<const Pool::Slot>() : absl::MakeConstSpan(site.pool->slots());
}
uint32_t HealthyOf(const Sites::Site& site) { return site.pool == nullptr ? 0 : site.pool->healthy(); }

std::string Printable(std::string_view text) { return IsPrintableUtf8(AsBytes(text)) ? std::string(text) : "(not text) " + ToHex(AsBytes(text.substr(0, 64))); }

void OrNull(JsonWriter& w, std::optional<uint64_t> n) {
  if (n.has_value()) w.Uint(*n); else w.Null();
}

void SlotJson(JsonWriter& w, Instant now, const Pool::Slot& s) {
  w.Open('{').Key("state").Text(StateOf(s)).Key("cage").Uint(s.cage).Key("active").Uint(s.active).Key("served").Uint(s.served);
  w.Key("deaths").Uint(s.deaths).Key("memory").Uint(s.memory_bytes).Key("breaker").Text(s.breaker.open() ? "open" : "closed").Key("died_of");
  if (s.last_cause == Cause::kNone) w.Null(); else w.Text(CauseName(s.last_cause));
  w.Key("next_in_ms");
  if (s.respawn == kNever) w.Null(); else w.Uint(uint64_t(std::max<int64_t>(ToMillis(s.respawn - now), 0)));
  w.Close('}');
}

void SiteJson(JsonWriter& w, Instant now, const Sites::Site& site, const Front& front) {
  const Traffic& t = TrafficOf(front, site);
  const Pool::Stats& p = PoolStatsOf(site);
  w.Open('{').Key("site").Text(site.config.name).Key("aliases").Open('[');
  for (const std::string& alias : site.config.aliases) w.Text(alias);
  w.Close(']').Key("state").Text(StateOf(site)).Key("replicas").Uint(site.config.replicas).Key("healthy").Uint(HealthyOf(site));
  w.Key("module").Text(Printable(site.config.module)).Key("version");
  if (site.module.has_value()) w.Hex(site.module->module); else w.Null();
  w.Key("why");
  if (!site.problem.empty()) w.Text(Printable(site.problem)); else w.Null();
  w.Key("requests").Uint(t.requests()).Key("failures").Uint(t.failures()).Key("statuses").Open('{');
  for (size_t i = 0; i < Traffic::kNames.size(); ++i) w.Key(Traffic::kNames[i]).Uint(t.counts[i]);
  w.Close('}');
  const Histogram recent = t.latency.Recent(now);
  w.Key("guard").Open('{').Key("mode").Text(guard::NameOf(site.guard.mode()));
  for (size_t i = 1; i < guard::kClassNames.size(); ++i) w.Key(guard::kClassNames[i]).Uint(site.guard.counts()[i]);
  w.Close('}');
  OrNull(w.Key("p50_us"), recent.Quantile(500));
  OrNull(w.Key("p99_us"), recent.Quantile(990));
  w.Key("bytes_in").Uint(t.bytes_in).Key("bytes_out").Uint(t.bytes_out);
  w.Key("deaths").Uint(p.crashed).Key("restarts").Uint(p.restarts).Key("retried").Uint(p.retried).Key("refused").Uint(p.refused);
  w.Key("waiting").Uint(site.pool == nullptr ? 0 : site.pool->waiting()).Key("slots").Open('[');
  for (const Pool::Slot& s : SlotsOf(site)) SlotJson(w, now, s);
  w.Close(']').Close('}');
}

// Microseconds as seconds.
std::string Seconds(uint64_t us) {
  std::string fraction = absl::StrCat(us % 1'000'000);
  fraction.insert(0, 6 - fraction.size(), '0');
  return absl::StrCat(us / 1'000'000, ".", fraction);
}

class Metrics {
 public:
  explicit Metrics(const Sites& sites) : sites_(sites) {}
  void Head(std::string_view name, std::string_view type, std::string_view help) {
    name_ = std::string(name);
    Append("# HELP orchard_cage_", name, " ", help), Append("\n# TYPE orchard_cage_", name, " ", type), text_ += '\n';
  }
  void Whole(std::string_view name, std::string_view type, std::string_view help, uint64_t value) {
    Head(name, type, help);
    absl::StrAppend(&text_, "orchard_cage_", name_, " ", value, "\n");
  }
  // `more`: further labels, `,name="value"`.
  void Sample(const std::string& site, std::string_view more, std::string_view value, std::string_view suffix = "") {
    Append("orchard_cage_", name_, suffix, "{site=\""), Append(site, "\"", more, "} "), Append(value, "\n");
  }
  template <class Value>
  void Each(std::string_view name, std::string_view type, std::string_view help, Value value) {
    Head(name, type, help);
    for (const auto& [site_name, site] : sites_.all()) Sample(LabelText(site_name), "", absl::StrCat(uint64_t(value(site))));
  }
  std::string text_;

 private:
  void Append(std::string_view a, std::string_view b, std::string_view c = "", std::string_view d = "") { text_.append(a).append(b).append(c).append(d); }
  const Sites& sites_;
  std::string name_;
};

std::string Label(std::string_view name, std::string_view value) { return absl::StrCat(",", std::string(name), "=\"", LabelText(value), "\""); }

}  // namespace

size_t SitesDown(const Sites& sites) {
  return size_t(std::count_if(sites.all().begin(), sites.all().end(), [](const auto& entry) { return HealthyOf(entry.second) == 0; }));
}

std::string StatsJson(Instant now, Duration up, const Sites& sites, const Front& front) {
  const Front::Stats& f = front.stats();
  JsonWriter w;
  w.Open('{').Key("up_ms").Uint(uint64_t(ToMillis(up))).Key("connections").Uint(f.connections).Key("clients").Uint(front.clients());
  w.Key("http2").Uint(f.http2).Key("requests").Uint(f.requests).Key("under_way").Uint(front.exchanges()).Key("unknown_site").Uint(f.unknown_site);
  w.Key("bad_requests").Uint(f.bad_requests).Key("nonsense").Uint(f.nonsense).Key("crowded").Uint(f.crowded).Key("held_bytes").Uint(front.held());
  w.Key("sites").Open('[');
  for (const auto& [name, site] : sites.all()) SiteJson(w, now, site, front);
  w.Close(']').Close('}');
  return w.text() + "\n";
}

std::string LabelText(std::string_view value) {
  return absl::StrReplaceAll(Printable(value), {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}});
}

std::string MetricsText(const Sites& sites, const Front& front) {
  Metrics m(sites);
  const Front::Stats& f = front.stats();
  m.Whole("connections_total", "counter", "Connections of clients.", f.connections);
  m.Whole("http2_connections_total", "counter", "Those of them that spoke HTTP/2.", f.http2);
  m.Whole("crowded_total", "counter", "Connections closed because there were too many.", f.crowded);
  m.Whole("bad_requests_total", "counter", "Connections ended for what was no request.", f.bad_requests);
  m.Whole("unknown_site_total", "counter", "Requests for a host that is no site.", f.unknown_site);
  m.Whole("nonsense_total", "counter", "Answers of cages that were none.", f.nonsense);
  m.Whole("clients", "gauge", "Connections that are open.", front.clients());
  m.Whole("held_bytes", "gauge", "Bodies of requests and answers in memory.", front.held());

  m.Head("site_info", "gauge", "Which module a site runs; its hash is BLAKE2b-256.");
  for (const auto& [name, site] : sites.all()) {
    m.Sample(LabelText(name), Label("module", site.config.module) + Label("hash", site.module.has_value() ? ToHex(site.module->module) : ""), "1");
  }
  m.Each("replicas", "gauge", "Cages that a site should have.", [](const Sites::Site& s) { return s.config.replicas; });
  m.Each("healthy", "gauge", "Cages that get requests.", HealthyOf);
  m.Head("slots", "gauge", "A site's slots by the state of their cage.");
  for (const auto& [name, site] : sites.all()) {
    for (std::string_view state : kSlotStates) {
      const auto slots = SlotsOf(site);
      m.Sample(LabelText(name), Label("state", state), absl::StrCat(std::count_if(slots.begin(), slots.end(), [&](const auto& s) { return StateOf(s) == state; })));
    }
  }
  const auto sum = [](auto value) {
    return [value](const Sites::Site& site) {
      uint64_t n = 0;
      for (const Pool::Slot& s : SlotsOf(site)) n += value(s);
      return n;
    };
  };
  m.Each("active", "gauge", "Requests that cages are busy with.", sum([](const Pool::Slot& s) { return uint64_t(s.active); }));
  m.Each("breakers_open", "gauge", "Cages that are spared requests because they answer nonsense.", sum([](const Pool::Slot& s) { return uint64_t(s.breaker.open()); }));
  m.Each("memory_bytes", "gauge", "Linear memory of cages, after their last run.", sum([](const Pool::Slot& s) { return s.memory_bytes; }));
  m.Each("waiting", "gauge", "Requests that wait for a cage.", [](const Sites::Site& s) { return s.pool == nullptr ? 0 : s.pool->waiting(); });
  m.Each("spawned_total", "counter", "Cages made.", [](const Sites::Site& s) { return PoolStatsOf(s).spawned; });
  m.Each("deaths_total", "counter", "Cages that died.", [](const Sites::Site& s) { return PoolStatsOf(s).crashed; });
  m.Each("restarts_total", "counter", "Cages begun where one had died.", [](const Sites::Site& s) { return PoolStatsOf(s).restarts; });
  m.Each("retried_total", "counter", "Requests given to another cage because theirs died.", [](const Sites::Site& s) { return PoolStatsOf(s).retried; });
  m.Each("refused_total", "counter", "Requests that no cage answered.", [](const Sites::Site& s) { return PoolStatsOf(s).refused; });

  m.Head("requests_total", "counter", "Requests by the class of their status; lost: the client went away first.");
  for (const auto& [name, site] : sites.all()) {
    for (size_t i = 0; i < Traffic::kNames.size(); ++i) m.Sample(LabelText(name), Label("code", Traffic::kNames[i]), absl::StrCat(TrafficOf(front, site).counts[i]));
  }
  m.Head("guard_total", "counter", "Requests that the guard found something in, by its class; served or refused, as the site says.");
  for (const auto& [name, site] : sites.all()) {
    for (size_t i = 1; i < guard::kClassNames.size(); ++i) m.Sample(LabelText(name), Label("class", guard::kClassNames[i]), absl::StrCat(site.guard.counts()[i]));
  }
  m.Each("request_bytes_total", "counter", "Bodies of requests.", [&](const Sites::Site& s) { return TrafficOf(front, s).bytes_in; });
  m.Each("response_bytes_total", "counter", "Bodies of answers.", [&](const Sites::Site& s) { return TrafficOf(front, s).bytes_out; });
  m.Head("request_duration_seconds", "histogram", "From the head of a request until its answer was handed on.");
  for (const auto& [name, site] : sites.all()) {
    const Histogram& h = TrafficOf(front, site).latency.all();
    const std::string label = LabelText(name);
    for (uint32_t k = 8; k <= 26; k += 2) m.Sample(label, Label("le", Seconds(uint64_t{1} << k)), absl::StrCat(h.AtMost(k)), "_bucket");
    m.Sample(label, Label("le", "+Inf"), absl::StrCat(h.count()), "_bucket");
    m.Sample(label, "", Seconds(h.sum_us()), "_sum");
    m.Sample(label, "", absl::StrCat(h.count()), "_count");
  }
  return std::move(m.text_);
}

}  // namespace orchard::cage
