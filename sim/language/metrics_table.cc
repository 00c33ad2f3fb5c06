#include "sim/language/metrics_table.h"

#include <algorithm>
#include <regex>

#include "node/sidecar/operations.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

std::vector<Metric> Make() {
  std::vector<Metric> m = {
      {"dht.bootstrap_ms", MetricKind::kSample, "ms", "host up until event dht.bootstrapped", "",
       "from the start of a host's life until another node answered it"},
      {"dht.join_ms", MetricKind::kSample, "ms", "host up until event dht.joined", "",
       "from the start of a host's life until its first walk to its own neighbourhood was over"},
      {"dht.lookup.hops", MetricKind::kSample, "", "operation dht.lookup: hops", "",
       "length of the way to the closest node that answered"},
      {"dht.lookup.requests", MetricKind::kSample, "", "operation dht.lookup: requests", "",
       "messages that one lookup sent"},
      {"dht.table.nodes", MetricKind::kGauge, "", "trace dht.table, read each second", "", "entries of the routing table"},
      {"dht.table.dead_ratio", MetricKind::kGauge, "ratio", "the node's table against the world", "",
       "share of the routing table's entries whose host is down"},
      {"dht.requests", MetricKind::kCounter, "", "trace dht.stats", "type", "requests sent, as the node sums them up every few seconds"},
      {"link.bytes", MetricKind::kCounter, "bytes", "world", "", "bytes put on the wire by a host, headers included"},
      {"link.drops", MetricKind::kCounter, "", "world", "why", "packets that did not arrive, by the rule that dropped them"},
      {"link.busy_ratio", MetricKind::kGauge, "ratio", "world", "", "share of the last second that the uplink was sending"},
      {"link.queue_ms", MetricKind::kSample, "ms", "world, read each second if a claim asks", "way",
       "mean wait in the queue of a host's own link, of each second's packets"},
      {"host.up", MetricKind::kEvent, "", "world", "", "a host began a life"},
      {"host.down", MetricKind::kEvent, "", "world", "", "a life ended"},
      {"dht.bootstrapped", MetricKind::kEvent, "", "trace", "", "another node answered for the first time in this life"},
      {"dht.ephemeral", MetricKind::kEvent, "", "trace", "", "the node left the routing tables of others: it slept"},
      {"dht.heal", MetricKind::kEvent, "", "trace", "", "the roots are asked again because much of the table was lost"},
      {"dht.probed", MetricKind::kEvent, "", "trace", "", "the firewall probe is over"},
      {"dht.record.stored", MetricKind::kEvent, "", "trace", "", "a node took another's record"},
      {"dht.relayed", MetricKind::kEvent, "", "trace", "", "a node passed another's handshake or holepunch message on"},
      {"dht.joined", MetricKind::kEvent, "", "trace", "", "the first walk to the node's own neighbourhood is over"},
      {"dht.persistent", MetricKind::kEvent, "", "trace", "", "the node joined the routing tables of others"},
      {"dht.rejected", MetricKind::kEvent, "", "trace", "why", "something the network said was refused"},
  };
  for (const sidecar::Operation& o : sidecar::Operations()) {
    m.push_back(Metric{Cat(o.name, ".ok"), MetricKind::kSample, "ratio", Cat("operation ", o.name), "error",
                 Cat("1 if it found or did what was asked, else 0: ", o.says)});
    m.push_back(Metric{Cat(o.name, "_ms"), MetricKind::kSample, "ms", Cat("operation ", o.name), "error",
                 "from the intended start until the final answer, whichever it was"});
  }
  std::sort(m.begin(), m.end(), [](const Metric& a, const Metric& b) { return a.name < b.name; });
  return m;
}

}  // namespace

const std::vector<Metric>& Metrics() {
  static const std::vector<Metric>* const kTable = new std::vector<Metric>(Make());
  return *kTable;
}

const Metric* FindMetric(std::string_view name) {
  const std::vector<Metric>& m = Metrics();
  auto it = std::lower_bound(m.begin(), m.end(), name, [](const Metric& a, std::string_view n) { return a.name < n; });
  return it != m.end() && it->name == name ? &*it : nullptr;
}

std::string_view KindName(MetricKind kind) {
  switch (kind) {
    case MetricKind::kSample: return "sample";
    case MetricKind::kCounter: return "counter";
    case MetricKind::kGauge: return "gauge";
    case MetricKind::kEvent: return "event";
  }
  return "";
}

std::string MetricsText(std::string_view pattern) {
  const std::regex re(pattern.begin(), pattern.end());
  std::string out;
  for (const Metric& m : Metrics()) {
    if (!pattern.empty() && !std::regex_search(m.name, re)) continue;
    std::string kind(KindName(m.kind)), labels = m.labels.empty() ? "" : Cat(" {", m.labels, "}");
    std::string unit = m.unit.empty() ? "" : Cat(" [", m.unit, "]");
    std::string name = Cat(m.name, unit, labels);
    out += Cat(PadRight(name, 35), " ", PadRight(kind, 9), m.says, "\n", std::string(45, ' '), "from ", m.source, "\n");
  }
  return out;
}

}  // namespace orchard::sim
