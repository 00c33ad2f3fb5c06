#include "sim/language/grammar_words.h"

#include <algorithm>

#include "node/base/check.h"

namespace orchard::sim {
namespace {

using T = WordType;

constexpr Word kScenario[] = {
    {"says", T::kText, "one sentence: what this scenario shows"},
    {"seed", T::kCount, "of all draws; --seed wins"},
    {"duration", T::kDuration, "how long to simulate, at most"},
    {"include", T::kTextList, "files with world, hosts and lans, relative to this one; on the same id this file wins"},
    {"world", T::kObject, "latency, loss, links and NATs", "world"},
    {"hosts", T::kList, "who is there", "host"},
    {"lans", T::kList, "local networks", "lan"},
    {"timeline", T::kList, "what happens", "entry"},
    {"claims", T::kList, "what must be true", "claim"},
    {"fails_when", T::kList, "changes that must break a claim; required in files that ship", "fails_when"},
    {"cases", T::kList, "the same file with changes, each a whole run", "case"},
    {"matrix", T::kObject, "one case per cell of a table", "matrix"},
    {"sweep", T::kText, "seeds for which ratios are judged, such as \"1..200\""},
};

constexpr Word kWorld[] = {
    {"latency", T::kLatency, "one way between regions: \"world-8\", \"world-8-slow\", \"20ms\" everywhere, or {\"eu\": {\"us-east\": \"45ms\"}}", {}, {}, "about: latency goes through a relay of ours; without it it is left out, and the run says so"},
    {"jitter", T::kJitter, "standard deviation of a path's delay: a share of it (\"5%\") or a duration", {}, {}, "about: jitter goes through a relay of ours; without it it is left out, and the run says so"},
    {"loss", T::kShare, "of packets, in the core"},
    {"hops", T::kCount, "routers on a path, NATs included: taken off the TTL; default 12", {}, {}, "no: fewer than 12 or more than 64 routers on a path"},
    {"links", T::kMap, "links of this file by name", "link"},
    {"nats", T::kMap, "NATs of this file by name", "nat"},
    {"mixes", T::kMixes, "mixes of this file by name: lists of classes with shares", "mix"},
};

constexpr Word kLinkWords[] = {
    {"like", T::kText, "a link preset, or another link of this file, that gives the words not stated"},
    {"down", T::kRate, "towards the host"},
    {"up", T::kRate, "from the host"},
    {"rate", T::kRate, "both ways"},
    {"delay", T::kDuration, "one way, added to the path", {}, {}, "about: delays go through a relay of ours, which sees nobody behind a shared box; without it they are left out, and the run says so"},
    {"jitter", T::kDuration, "standard deviation of the delay", {}, {}, "about: jitter goes through a relay of ours; without it it is left out, and the run says so"},
    {"loss", T::kShare, "of packets"},
    {"queue", T::kDuration, "longest wait before the tail is dropped; default 100 ms"},
    {"mtu", T::kCount, "largest packet in bytes; default 1500"},
    {"shares", T::kText, "the link of world.links that this one feeds through, with all others that name it", {}, {}, "no: a bottleneck that links share"},
};

constexpr Word kNatWords[] = {
    {"like", T::kText, "a NAT preset, or another NAT of this file, that gives the words not stated"},
    {"mapping", T::kChoice, "when an inside endpoint keeps its public port (RFC 4787 §4.1)", "endpoint-independent address-dependent address-and-port-dependent", {}, "no: a mapping that depends on the address alone; with one that depends on the port too, preserved ports, wider filters and hairpin"},
    {"filtering", T::kChoice, "who may send inwards (RFC 4787 §5)", "endpoint-independent address-dependent address-and-port-dependent"},
    {"ports", T::kChoice, "how a public port is chosen (RFC 4787 §4.2)", "preserve sequential random block", {}, "no: sequential ports"},
    {"idle", T::kDuration, "life of a mapping that saw traffic both ways, without any"},
    {"idle_first", T::kDuration, "life of one that only ever saw outbound packets", {}, {}, "about: and, in the kernel, of one that saw both for less than two seconds"},
    {"life", T::kDuration, "absolute life of a mapping, used or not", {}, {}, "no: an absolute mapping life (nftables only has idle time-outs)"},
    {"refresh", T::kChoice, "which packets keep a mapping alive (RFC 4787 §4.3)", "outbound both", {}, "about: the kernel refreshes a mapping both ways"},
    {"hairpin", T::kBool, "whether two inside hosts reach each other by their public addresses (RFC 4787 §6)"},
    {"max_mappings", T::kCount, "most mappings at a time", {}, {}, "no: a limit of mappings per box"},
    {"when_full", T::kChoice, "what happens to one more", "refuse evict", {}, "no: a limit of mappings per box"},
    {"pool", T::kCount, "public addresses; a host keeps to one of them", {}, {}, "no: a pool of addresses"},
    {"block_ports", T::kCount, "with ports: block, ports per inside address; default 512"},
    {"remap_every", T::kDuration, "mean time, exponential, after which all mappings are lost"},
};

constexpr Word kMixWords[] = {
    {"share", T::kShare, "of hosts; the shares of a mix sum to 1"},
    {"nat", T::kNat, "as of a host"},
    {"link", T::kLink, "as of a host"},
    {"firewall", T::kChoice, "as of a host", "none stateful"},
    {"says", T::kText, "what these hosts are"},
};

constexpr Word kHost[] = {
    {"id", T::kName, "its name; of a group the members are id-1, id-2, …"},
    {"count", T::kCount, "makes a group of that many"},
    {"region", T::kRegion, "where it stands; unstated: by the share of each region"},
    {"link", T::kLink, "its access link: a preset, a name of world.links, or {\"like\": …}; default datacenter"},
    {"nat", T::kNat, "its NAT: a preset, a name of world.nats, \"cgn@telco\" for a shared box, {\"like\": …}, or a list, nearest first; default open"},
    {"mix", T::kMix, "draws NAT and link of each host; words that the host states win"},
    {"starts", T::kStarts, "when: an instant, a draw, or \"never\" (until a start)"},
    {"churn", T::kChurn, "how it comes and goes: a preset or {\"like\": …}", "churn"},
    {"firewall", T::kChoice, "stateful drops what was not asked for", "none stateful"},
    {"ip", T::kTextList, "address families; [\"v4\"]"},
    {"runs", T::kChoice, "node, web for an origin server, js for the JavaScript peer (netns only), or none for a host with clients at most", "node js none web"},
    {"web", T::kObject, "what the origin server offers, of a host that runs web", "web", {}, "no: a web server"},
    {"node", T::kConfig, "the node's configuration, word for word that of the daemon"},
    {"stack", T::kChoice, "fast, or full for ns-3's Internet stack", "fast full"},
    {"uplinks", T::kMap, "several uplinks by name; the first that is up carries the default route", "uplink", {}, "no: several uplinks"},
    {"household", T::kName, "a LAN behind one router with the hosts' link and NAT, for all who name it"},
    {"lan_of", T::kCount, "copies of a group share a household by so many"},
};

constexpr Word kWebWords[] = {
    {"files", T::kSizes, "paths and sizes; what is in them comes of the path and the seed"},
    {"ranges", T::kBool, "whether it answers 206; default true"},
    {"gzip", T::kBool, "compresses for those who take it, and then knows no ranges"},
    {"etags", T::kBool, "whether files have a strong ETag; default true"},
    {"last_modified", T::kText, "an IMF-fixdate for all files"},
    {"chunked", T::kBool, "does not tell lengths"},
    {"rate", T::kRate, "most that one connection gets; default as fast as it goes"},
    {"port", T::kCount, "where it listens; default 80"},
    {"status", T::kCount, "answers so, always: 404, 503, …"},
    {"redirect", T::kText, "answers 302 to there, always"},
    {"lie", T::kAny, "bytes added to each Content-Length; may be below 0"},
    {"shift", T::kAny, "bytes added to the offset of what it sends for a range, and not to what it says"},
    {"tls", T::kBool, "whether it speaks https", {}, "TLS in the simulated web"},
};

constexpr Word kUplink[] = {
    {"link", T::kLink, "as of a host"},
    {"nat", T::kNat, "as of a host"},
    {"is", T::kChoice, "at the start", "up down"},
};

constexpr Word kLan[] = {
    {"id", T::kName, "its name"},
    {"rate", T::kRate, "of the LAN; default 1 Gbps"},
    {"delay", T::kDuration, "one way; default 0.2 ms"},
    {"members", T::kSelectorList, "hosts"},
    {"router", T::kObject, "a way out for members without an uplink of their own", "router"},
};
constexpr Word kRouter[] = {
    {"link", T::kLink, "as of a host"},
    {"nat", T::kNat, "as of a host; the box is the LAN's"},
};

constexpr Word kChurnWords[] = {
    {"like", T::kChoice, "a preset that gives the words not stated", "ipfs-server-2022 mainline-client"},
    {"faster", T::kCount, "divides both lengths, so that hours become minutes"},
    {"up", T::kDurationDraw, "length of a session"},
    {"down", T::kDurationDraw, "length of an absence"},
    {"silent", T::kShare, "of departures, without goodbye"},
    {"store", T::kChoice, "what a host finds when it comes back", "kept lost"},
};

constexpr Word kEntry[] = {
    {"at", T::kMomentOrDraw, "when: \"90s\", \"end\", \"remap\", \"15s after remap.end\", or a draw"},
    {"every", T::kDurationDraw, "again and again, with from, and until or times"},
    {"from", T::kMoment, "with every: the first"},
    {"until", T::kMoment, "with every: the end, exclusive"},
    {"times", T::kCount, "with every: how often"},
    {"when", T::kCondition, "as soon as an event or a metric is there; if it never comes the run fails", "when"},
    {"who", T::kSelector, "hosts that carry out the operation"},
    {"on", T::kSelector, "what the fault happens to"},
    {"do", T::kText, "an operation of the node, or a fault; without it the entry is a mere moment"},
    {"with", T::kWith, "parameters of the operation or fault"},
    {"spread", T::kDuration, "gives each host its own point in that span"},
    {"for", T::kDurationDraw, "how long the fault lasts"},
    {"as", T::kName, "names the entry: its moment, its span, its result"},
    {"fails", T::kFails, "\"maybe\", or the code with which the operation must fail"},
    {"arrivals", T::kArrivals, "with every: \"even\", \"poisson\" or \"bursts:20\""},
    {"loop", T::kChoice, "with every: closed waits for each answer before the next interval", "open closed"},
};

constexpr Word kWhen[] = {
    {"event", T::kText, "its name"},
    {"metric", T::kText, "its name, with at_least, at_most or is"},
    {"of", T::kSelector, "hosts; default all"},
    {"where", T::kWhere, "labels"},
    {"count", T::kTimes, "hosts that saw the event: a number or \"all\"; default 1"},
    {"at_least", T::kAny, "bound of the metric, in its unit"},
    {"at_most", T::kAny, "bound of the metric, in its unit"},
    {"is", T::kAny, "value of the metric, in its unit"},
};

constexpr Word kSelectorWords[] = {
    {"from", T::kSelectorList, "hosts to choose from"},
    {"where", T::kWhere, "labels: host group region nat link; \"!x\" means not x"},
    {"except", T::kSelectorList, "hosts to leave out"},
    {"pick", T::kTimes, "how many, drawn; or \"30%\", each by chance"},
    {"as", T::kName, "names who was chosen"},
};

constexpr Word kClaim[] = {
    {"says", T::kText, "the claim as a sentence; also its name"},
    {"metric", T::kText, "subject: a metric, with bounds such as p95_at_most"},
    {"event", T::kText, "subject: an event that happens"},
    {"leads_to", T::kText, "with event: each time, this one follows on the same host"},
    {"never", T::kText, "subject: an event that does not happen"},
    {"same", T::kChoice, "subject: equal and present on all of `of`", "bytes"},
    {"differ", T::kChoice, "subject: present, and not all equal", "bytes"},
    {"cost", T::kChoice, "subject: what the run took", "events packets bytes bytes_per_host peak_rss_bytes wall_seconds", {}, "about: what the simulator costs is not judged"},
    {"connected", T::kPair, "subject: every host of the first with every host of the second"},
    {"path", T::kPath, "with connected: one of these, or a list of which any will do; default any but none", "lan direct punched relayed none"},
    {"name", T::kName, "with same or differ: the entry whose results are compared"},
    {"key", T::kText, "with same or differ: the key of a core", {}, "cores and documents"},
    {"is", T::kAny, "with same: the value, such as \"$note.sha256\"; else the exact bound"},
    {"of", T::kSelector, "hosts; default all"},
    {"where", T::kWhere, "labels, and up: \"5min\" for hosts that have been up so long"},
    {"each", T::kText, "\"host\" or another label: asked of every part separately"},
    {"in", T::kTextList, "cases, globs allowed; default all"},
    {"by", T::kMoment, "at some moment up to this"},
    {"at", T::kMoment, "at this moment"},
    {"during", T::kDuring, "[a, b], or an entry's name: its span"},
    {"since", T::kMoment, "opens the window"},
    {"within", T::kWithin, "with leads_to a duration; with share bounds [low, high]"},
    {"over", T::kOver, "divides by a quantity, a metric, or other cases"},
    {"holds", T::kShare, "in a sweep: the share of runs that must hold"},
};

constexpr Word kFailsWhen[] = {
    {"says", T::kText, "what is broken"},
    {"set", T::kSet, "the change: paths and values; null removes"},
    {"in", T::kTextList, "the case in which"},
    {"claim", T::kText, "the claim that must break, by its says"},
};
constexpr Word kCase[] = {
    {"name", T::kText, "its name"},
    {"says", T::kText, "what is different"},
    {"set", T::kSet, "the change: paths and values; null removes"},
    {"cell", T::kText, "the value of $cell in claims"},
};
constexpr Word kMatrix[] = {
    {"rows", T::kMatrixAxis, "one path and its values"},
    {"columns", T::kMatrixAxis, "one path and its values"},
    {"key", T::kMap, "what a letter means", "text"},
    {"cells", T::kCells, "a text of letters per row"},
};
constexpr Word kOver[] = {
    {"metric", T::kText, "its total"},
    {"of", T::kSelector, "hosts of that metric"},
    {"where", T::kWhere, "labels of that metric"},
    {"best", T::kTextList, "the best of these cases"},
    {"sum", T::kTextList, "the sum of these cases"},
    {"case", T::kText, "that case"},
};

constexpr Word kWithLink[] = {
    {"down", T::kRateDraw, "towards the host"},
    {"up", T::kRateDraw, "from the host"},
    {"rate", T::kRateDraw, "both ways"},
    {"delay", T::kDurationDraw, "one way"},
    {"jitter", T::kDurationDraw, "standard deviation of the delay"},
    {"loss", T::kShareDraw, "of packets"},
    {"queue", T::kDurationDraw, "longest wait before the tail is dropped"},
    {"mtu", T::kCountDraw, "largest packet in bytes"},
    {"reorder", T::kShareDraw, "of packets that overtake others", {}, {}, "about: reordering goes through a relay of ours; without it it is left out, and the run says so"},
    {"duplicate", T::kShareDraw, "of packets that arrive twice", {}, {}, "about: duplicates go through a relay of ours; without it they are left out, and the run says so"},
    {"corrupt", T::kShareDraw, "of packets with a bit turned", {}, {}, "about: corruption goes through a relay of ours; without it it is left out, and the run says so"},
    {"burst", T::kCountDraw, "mean length of a loss burst in packets (Gilbert)", {}, {}, "no: bursts of losses"},
    {"way", T::kChoice, "which direction changes", "both in out"},
    {"cuts", T::kChoice, "a protocol whose packets are dropped", "none tcp udp", {}, "no: a protocol that a link drops"},
    {"is", T::kChoice, "the link itself", "up down"},
};
constexpr Word kWithMisbehave[] = {
    {"how", T::kChoice, "flip-bytes: a bit of what the web sends it is turned, and so what it serves is false; spoof-beacon: ten times a second it invents a pod member", "flip-bytes spoof-beacon"},
    {"rate", T::kShare, "of the pieces that come; default all"},
};
constexpr Word kWithCageCrash[] = {
    {"site", T::kName, "whose cages; default the host's only site"},
    {"cages", T::kAny, "how many of those that get requests, from the first slot on; default 1"},
    {"cause", T::kChoice, "what kills them; default panic", "panic timeout memory engine"},
};
constexpr Word kWithCageHang[] = {
    {"site", T::kName, "whose cages; default the host's only site"},
    {"cages", T::kAny, "how many of those that get requests, from the first slot on; default 1"},
};
constexpr Word kWithCageSlow[] = {
    {"site", T::kName, "whose cages; default the host's only site"},
    {"cages", T::kAny, "how many of those that get requests, from the first slot on; default 1"},
    {"by", T::kDurationDraw, "how much longer each run takes"},
};
constexpr Word kWithCageWorkerKill[] = {{"process", T::kAny, "which of the host's two, 1 or 2, or \"all\"; default 1"}};
constexpr Word kWithPartition[] = {
    {"groups", T::kSelectorList, "two or more: reach each other only inside; the rest stays with the first"},
    {"from", T::kSelector, "one way: packets from these"},
    {"to", T::kSelector, "one way: to these are lost"},
};
constexpr Word kWithHeal[] = {{"of", T::kName, "the partition to end; default all"}};
constexpr Word kWithStart[] = {
    {"store", T::kChoice, "what the host finds", "kept lost torn", {}, "no: a torn store (a real file system keeps what was written)"},
    {"ip", T::kChoice, "its address", "same new"},
};
constexpr Word kWithRestart[] = {
    {"store", T::kChoice, "what the host finds", "kept lost torn", {}, "no: a torn store (a real file system keeps what was written)"},
    {"down", T::kDurationDraw, "how long it is away; default 0 s"},
    {"ip", T::kChoice, "its address", "same new"},
};
constexpr Word kWithRemap[] = {
    {"ports", T::kAny, "\"all\", or a share of the mappings", {}, {}, "no: a re-map of a share of the mappings"},
    {"address", T::kChoice, "the public address", "same new"},
};
constexpr Word kWithReboot[] = {{"address", T::kChoice, "the public address", "same new"}};
constexpr Word kWithClock[] = {
    {"offset", T::kDurationDraw, "the clock jumps by this"},
    {"drift", T::kPpmDraw, "and runs too fast by this"},
};
constexpr Word kWithDisk[] = {
    {"is", T::kChoice, "what is wrong", "full slow failing"},
    {"delay", T::kDurationDraw, "of each sync, if slow"},
    {"share", T::kShare, "of commits that fail, if failing"},
};

constexpr WordSet kSets[] = {
    {"scenario", "a scenario", kScenario}, {"world", "world", kWorld}, {"link", "a link", kLinkWords}, {"nat", "a NAT", kNatWords},
    {"mix", "a class of a mix", kMixWords}, {"host", "a host", kHost}, {"web", "web", kWebWords}, {"uplink", "an uplink", kUplink}, {"lan", "a LAN", kLan},
    {"router", "a router", kRouter}, {"churn", "churn", kChurnWords}, {"entry", "an entry", kEntry}, {"when", "when", kWhen},
    {"selector", "a selector", kSelectorWords}, {"claim", "a claim", kClaim}, {"fails_when", "a change of fails_when", kFailsWhen},
    {"case", "a case", kCase}, {"matrix", "a matrix", kMatrix}, {"over", "over", kOver}, {"with link", "link", kWithLink},
    {"with partition", "partition", kWithPartition}, {"with heal", "heal", kWithHeal}, {"with kill", "kill", {}},
    {"with stop", "stop", {}}, {"with start", "start", kWithStart}, {"with restart", "restart", kWithRestart},
    {"with nat-remap", "nat-remap", kWithRemap}, {"with nat-reboot", "nat-reboot", kWithReboot}, {"with renumber", "renumber", {}},
    {"with clock", "clock", kWithClock}, {"with disk", "disk", kWithDisk},
    {"with misbehave", "misbehave", kWithMisbehave}, {"with cage-crash", "cage-crash", kWithCageCrash}, {"with cage-hang", "cage-hang", kWithCageHang},
    {"with cage-slow", "cage-slow", kWithCageSlow}, {"with cage-worker-kill", "cage-worker-kill", kWithCageWorkerKill},
};

constexpr FaultWord kFaults[] = {
    {"link", "hosts, uplinks, LANs or named links", "changes a link; words that are not named keep their value"},
    {"partition", "", "cuts the world into groups, or one way"},
    {"heal", "", "ends a partition, or all", false},
    {"kill", "hosts", "takes a host away without goodbye; churn is suspended until a start"},
    {"stop", "hosts", "takes a host away after it said goodbye; churn is suspended until a start"},
    {"start", "hosts", "starts hosts that are down", false},
    {"restart", "hosts", "kills a host and starts it again", false},
    {"nat-remap", "hosts, uplinks or nat@name", "makes a NAT forget its mappings"},
    {"nat-reboot", "hosts, uplinks or nat@name", "the table is lost, and the box down for `for`"},
    {"renumber", "hosts, uplinks or LANs", "gives the interface another address", false},
    {"clock", "hosts", "the wall clock jumps or drifts", true, {}, "no: a clock of its own per host (the kernel has one)"},
    {"disk", "hosts", "the disk is full, slow or failing", true, {}, "no: a disk of its own per host (all lie on one)"},
    {"cage-crash", "hosts", "cages die, from one moment to the next", false, {}, "no: cages that die on command"},
    {"cage-hang", "hosts", "what cages compute, now or next, never ends", false, {}, "no: cages that hang on command"},
    {"cage-slow", "hosts", "what cages compute takes longer, from their next run on until they die or `for` is over", true, {}, "no: cages that dawdle on command"},
    {"cage-worker-kill", "hosts", "a process for cages dies, with all that live in it, whatever their site", false, {}, "no: processes for cages that die on command"},
    {"misbehave", "hosts", "a host lies to others while its own node is honest", true, {}, "no: hosts that lie (daemons are honest)"},
};

constexpr std::string_view kLaterOperations[] = {"http.put", "http.post", "seed", "download", "stage", "run", "release", "dump"};
constexpr std::string_view kLaterOperationFolders[] = {"swarm.", "drive.", "core.", "doc.", "ehr.", "pod.",
                                                       "bee.", "view.", "pass.", "app."};
constexpr std::string_view kLaterMetrics[] = {"download_ms", "link.changed"};
constexpr std::string_view kLaterMetricFolders[] = {"pod.", "core.", "doc.", "view.", "drive.", "ehr."};

template <class List>
bool Among(const List& list, std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}
template <class List>
bool Under(const List& folders, std::string_view name) {
  return std::any_of(std::begin(folders), std::end(folders), [&](std::string_view f) { return name.substr(0, f.size()) == f; });
}

}  // namespace

absl::Span<const WordSet> WordSets() { return kSets; }

const WordSet& FindWordSet(std::string_view name) {
  for (const WordSet& s : kSets) {
    if (s.name == name) return s;
  }
  CHECK(!"a word set of that name");
  return kSets[0];
}

const Word* FindWord(const WordSet& set, std::string_view name) {
  for (const Word& w : set.words) {
    if (w.name == name) return &w;
  }
  return nullptr;
}

std::vector<std::string> WordNames(const WordSet& set) {
  std::vector<std::string> out;
  for (const Word& w : set.words) {
    if (w.later.empty()) out.emplace_back(w.name);
  }
  return out;
}

absl::Span<const FaultWord> FaultWords() { return kFaults; }
const FaultWord* FindFaultWord(std::string_view name) {
  for (const FaultWord& f : kFaults) {
    if (f.name == name) return &f;
  }
  return nullptr;
}

bool IsLaterOperation(std::string_view name) { return Among(kLaterOperations, name) || Under(kLaterOperationFolders, name); }
bool IsLaterMetric(std::string_view name) { return Among(kLaterMetrics, name) || Under(kLaterMetricFolders, name); }

std::vector<std::string> Choices(std::string_view of) {
  std::vector<std::string> out;
  while (!of.empty()) {
    const size_t n = std::min(of.find(' '), of.size());
    if (n > 0) out.emplace_back(of.substr(0, n));
    of.remove_prefix(std::min(n + 1, of.size()));
  }
  return out;
}

}  // namespace orchard::sim
