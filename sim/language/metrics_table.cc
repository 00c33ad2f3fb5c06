#include "sim/language/metrics_table.h"

#include <algorithm>
#include <regex>

#include "node/sidecar/operations.h"
#include "sim/language/client_operations.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

// Operations on a peer know its NAT, and the path to it where they answer it.
std::string OperationLabels(const sidecar::Operation& o) {
  const bool peer = std::any_of(o.params.begin(), o.params.end(), [](const sidecar::Param& p) { return p.name == "to" && p.type == sidecar::ParamType::kKey; });
  return peer ? "error path remote_nat" : o.name.starts_with("http.") ? "error status" : "error";
}

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
      {"connect.ok", MetricKind::kSample, "ratio", "operation connect; dials of the node itself: trace", "error path remote_nat",
       "1 if the peer was reached, else 0"},
      {"connect_ms", MetricKind::kSample, "ms", "operation connect; dials of the node itself: trace", "error path remote_nat",
       "from the intended start until the connection was open, or was given up"},
      {"connect.path", MetricKind::kSample, "", "trace connect.opened", "path remote_nat",
       "of each connection, as it opened: 1 on a path of its own (lan, direct, punched), 0 through a relay"},
      {"connect.attempts", MetricKind::kSample, "", "trace connect.opened, connect.failed", "error path remote_nat",
       "handshakes that one dial sent"},
      {"connect.probes", MetricKind::kSample, "", "trace connect.opened, connect.failed", "error path remote_nat",
       "hole-punching datagrams that one dial sent"},
      {"connect.remote_changes", MetricKind::kCounter, "", "trace", "path remote_nat", "times that the other side's address became another"},
      {"connect.opened", MetricKind::kEvent, "", "trace", "path remote_nat side", "a connection opened; side: out or in"},
      {"connect.failed", MetricKind::kEvent, "", "trace", "error step remote_nat side", "a dial, or one that came in, did not come about"},
      {"connect.closed", MetricKind::kEvent, "", "trace", "error path remote_nat side", "an open connection is no more; error: OK if in order"},
      {"connect.path_changed", MetricKind::kEvent, "", "trace", "path remote_nat", "a connection took another path; path: the new one"},
      {"connect.refused", MetricKind::kEvent, "", "trace", "why", "a handshake was turned away"},
      {"server.listening", MetricKind::kEvent, "", "trace", "", "a server's first announcement is stored"},
      {"server.remapped", MetricKind::kEvent, "", "trace", "", "a server noticed that its NAT gave it another mapping"},
      {"stream.bytes", MetricKind::kCounter, "bytes", "trace stream.received", "path remote_nat", "message bytes received"},
      {"stream.bytes_lost", MetricKind::kCounter, "bytes", "traces of both ends", "path remote_nat",
       "message bytes sent that the other side had not received when the last connection of the two closed, or at the end of the run"},
      {"stream.goodput_mbps", MetricKind::kSample, "mbps", "trace stream.received", "path remote_nat",
       "message bits received, of each connection and second with some"},
      {"stream.rtt_ms", MetricKind::kSample, "ms", "trace stream.rtt", "path remote_nat", "smoothed round trip of a connection with traffic"},
      {"stream.gap_ms", MetricKind::kSample, "ms", "traces of both ends", "path remote_nat",
       "silence until each receipt, while the other side had something to deliver"},
      {"stream.stalled", MetricKind::kEvent, "", "traces of both ends", "path remote_nat",
       "nothing came for a second, though the other side had something to deliver"},
      {"stream.closed", MetricKind::kEvent, "", "trace connect.closed", "error path remote_nat side",
       "the stream of an open connection ended, whoever ended it"},
      {"swarm.peers", MetricKind::kGauge, "", "traces, read each second", "", "peers that a host on a topic has an open connection to"},
      {"swarm.reach_ratio", MetricKind::kGauge, "ratio", "operations swarm.join and traces, read each second", "",
       "share of a topic's other hosts that hang together with this one; those without UDP are not counted"},
      {"swarm.joined", MetricKind::kEvent, "", "trace", "", "the node is on a topic"},
      {"http.get_mbps", MetricKind::kSample, "mbps", "operation http.get: mbps", "error status", "bits of the body over all the time that a get took, of those that succeeded"},
      {"http.get.bytes", MetricKind::kCounter, "bytes", "trace http.received", "", "bytes of bodies, as they come"},
      {"http.get.first_byte_ms", MetricKind::kSample, "ms", "operation http.get: first_byte_ms", "error status", "until the first byte of the body, or the head of one without"},
      {"http.get.gap_ms", MetricKind::kSample, "ms", "operation http.get: gap_ms", "error status", "the longest time between pieces of a body, and until a get was given up"},
      {"http.answered", MetricKind::kEvent, "", "trace", "", "an origin begins to answer with a file"},
      {"http.failed", MetricKind::kEvent, "", "trace", "why", "a client's exchange brought nothing, or not what was asked for"},
      {"http.got", MetricKind::kEvent, "", "trace", "", "a get is over, whatever came of it"},
      {"http.refused", MetricKind::kEvent, "", "trace", "why", "a server did not take a request"},
      {"cage.answer_ms", MetricKind::kSample, "ms", "trace cage.served", "site cause", "from when a cage was made until its first good answer; cause: what its predecessor died of"},
      {"cage.backoff_ms", MetricKind::kSample, "ms", "trace cage.served", "site cause", "from when a death was noticed until the next cage was begun"},
      {"cage.detect_ms", MetricKind::kSample, "ms", "trace cage.served", "site cause", "from when a cage went wrong, as its host knows it, until that was noticed"},
      {"cage.fuel", MetricKind::kSample, "", "trace cage.request", "site status", "fuel that a request burnt"},
      {"cage.heal_ms", MetricKind::kSample, "ms", "trace cage.served", "site cause", "detect + backoff + spawn + answer"},
      {"cage.healthy", MetricKind::kGauge, "", "trace cage.healthy, read each second", "site", "cages that get requests"},
      {"cage.request_ms", MetricKind::kSample, "ms", "trace cage.request", "site status", "from the head of a request until its answer was written"},
      {"cage.spawn_ms", MetricKind::kSample, "ms", "trace cage.served", "site cause", "until the next cage was made"},
      {"cage.breaker", MetricKind::kEvent, "", "trace", "site", "a cage that answers nonsense is spared requests, or no longer"},
      {"cage.crashed", MetricKind::kEvent, "", "trace", "site cause", "a cage died, as its host knows; a supervisor may look later"},
      {"cage.gave_up", MetricKind::kEvent, "", "trace", "site", "a slot gets no more cages"},
      {"cage.guard", MetricKind::kEvent, "", "trace", "site class blocked", "the guard found something in a request; of a client that floods, in the first of each second"},
      {"cage.loaded", MetricKind::kEvent, "", "trace", "site why", "a module was compiled; why: what was wrong with it, or nothing"},
      {"cage.retried", MetricKind::kEvent, "", "trace", "site", "a request whose cage died was given to another"},
      {"cage.served", MetricKind::kEvent, "", "trace", "site cause", "a new cage answered for the first time; cause: what its predecessor died of"},
      {"cage.spawned", MetricKind::kEvent, "", "trace", "site", "a cage was made"},
      {"cage.stopped", MetricKind::kEvent, "", "trace", "site", "a cage was ended on purpose"},
      {"pod.bytes", MetricKind::kCounter, "bytes", "trace pod.chunk", "link", "bytes that a member's download took; link: the uplink that brought them, as HOST/UPLINK"},
      {"pod.chunks", MetricKind::kCounter, "", "trace pod.chunk", "link", "pieces that a member's download took; link as of pod.bytes"},
      {"pod.nonce_reused", MetricKind::kCounter, "", "trace pod.keyed", "", "a direction of a session sealed with a key that had sealed before, again from the first nonce on"},
      {"pod.refetched_bytes", MetricKind::kCounter, "bytes", "trace pod.refetched", "", "bytes that came though they were there already"},
      {"pod.share_ratio", MetricKind::kGauge, "ratio", "trace pod.chunk, read each second", "link", "share of all that a member downloaded that came by this uplink"},
      {"pod.tail_ms", MetricKind::kSample, "ms", "traces pod.chunk, pod.ended", "", "from the last bytes of all uplinks but the last until the download was whole"},
      {"pod.chunk_refused", MetricKind::kEvent, "", "trace", "why", "a member was refused what it asked for"},
      {"pod.ended", MetricKind::kEvent, "", "trace", "why", "a download over the pod is over; why: done, or how it failed"},
      {"pod.formed", MetricKind::kEvent, "", "trace", "", "another member is there"},
      {"pod.isolated", MetricKind::kEvent, "", "trace", "why", "a member gets nothing for a while, or is out for good (liar)"},
      {"pod.keyed", MetricKind::kEvent, "", "trace", "", "a session of two members began to seal"},
      {"pod.left", MetricKind::kEvent, "", "trace", "why", "a member is not there any more"},
      {"pod.refused", MetricKind::kEvent, "", "trace", "why", "a connection that became no membership"},
      {"pod.started", MetricKind::kEvent, "", "trace", "", "a download over the pod began"},
      {"swarm.flushed", MetricKind::kEvent, "", "trace", "", "the first round of a topic's announcements and lookups is over"},
  };
  auto has = [&](const std::string& name) { return std::any_of(m.begin(), m.end(), [&](const Metric& x) { return x.name == name; }); };
  for (const sidecar::Operation* action : Actions()) {
    const sidecar::Operation& o = *action;
    const std::string ok = Cat(o.name, ".ok"), ms = Cat(o.name, "_ms"), labels = OperationLabels(o);
    if (!has(ok)) {
      m.push_back(Metric{ok, MetricKind::kSample, "ratio", Cat("operation ", o.name), labels, Cat("1 if it found or did what was asked, else 0: ", o.says)});
    }
    if (!has(ms)) {
      m.push_back(Metric{ms, MetricKind::kSample, "ms", Cat("operation ", o.name), labels, "from the intended start until the final answer, whichever it was"});
    }
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
