// A scenario as parsed: one case of a file, every word typed, every quantity in base form (ns, bit/s, bytes, ppm), and
// everything with its place and the text as written. The loader makes it; the plan and the runner read it.
// Language: docs/SCENARIOS.md.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/base/time.h"
#include "node/cage/job.h"
#include "sim/language/json_text.h"
#include "sim/language/spec.h"

namespace orchard::sim {

// ---- The five small grammars ----

// A quantity that may vary. kOneOf has its alternatives in `values`.
struct Draw {
  enum class Kind : uint8_t { kFixed, kBetween, kExp, kWeibull, kLognormal, kOneOf };
  Kind kind = Kind::kFixed;
  int64_t a = 0;                // kFixed: the value; kBetween: from; kExp: mean; kWeibull: scale; kLognormal: median. Base form.
  int64_t b = 0;                // kBetween: to, inclusive; kWeibull: k × 10^6; kLognormal: sigma × 10^6.
  std::vector<int64_t> values;
  std::string written;
  Place place;
};

struct Moment {
  enum class Kind : uint8_t {
    kTime,      // `offset` from the start.
    kEnd,       // The scenario's duration.
    kEntry,     // When the entry of that name happened (first occurrence), plus offset.
    kEntryEnd,  // When its `for` was over, or its operation had ended on every `who`, plus offset.
  };
  Kind kind = Kind::kTime;
  std::string entry;
  Duration offset{};
  std::string written;
  Place place;
};

// One condition on a label: any of `values`, or with `negate` none of them.
struct Match {
  std::string label;
  std::vector<std::string> values;
  bool negate = false;
  Place place;
};

struct SelectorTerm {
  enum class Kind : uint8_t {
    kAll,
    kGroup,   // `text` is a host's id: all its members, or the one.
    kMember,  // "peer-3"
    kGlob,    // "peer-4*"
    kPicked,  // The `as` of a selector that picks, or of any selector object.
    kUplink,  // "laptop/wifi": `text` is a host, a member, a group or a glob, `uplink` the name. Faults only.
    kLan,     // Faults only.
    kLink,    // A bottleneck of world.links. Faults only.
    kNatBox,  // "nat@telco": `text` is "nat@telco". Faults only.
  };
  Kind kind = Kind::kAll;
  std::string text, uplink;
  Place place;
};

struct Selector {
  std::vector<SelectorTerm> terms;
  std::vector<SelectorTerm> except;
  std::vector<Match> where;                 // Labels of the host: host region nat link group.
  std::optional<uint32_t> pick_count;
  std::optional<uint32_t> pick_ppm;         // "30%": each by chance.
  std::string as;
  std::string written;                      // Also the key of the pick's random streams, if there is no `as`.
  Place place;
};

// Inside `with`, and `is` of claims.
struct Reference {
  enum class Kind : uint8_t {
    kHostKey,  // "@bob": public key; a list for a group.
    kHostIp,   // "@bob.ip"
    kAny,      // {"any": "peer"}: a member's key, drawn at each call, never the caller's.
    kResult,   // "$x.key", "$x[bob].key"
  };
  Kind kind = Kind::kHostKey;
  std::string name;    // The host or group, or the entry.
  std::string host;    // kResult: which host's; empty: one's own, else the only one.
  std::string field;   // kResult: "key".
};

// ---- Hosts (the plan expands them) ----

struct Churn {
  std::string preset;     // Empty: none named.
  Draw up, down;          // Lengths of sessions and absences; `faster` is applied.
  uint32_t silent_ppm = 700'000;
  bool store_kept = true; // Else lost.
  bool assumed_down = false, assumed_silent = false;  // By a preset: shown as assumed.
};

struct Starts {
  enum class Kind : uint8_t { kUnset, kDraw, kMoment, kNever };
  Kind kind = Kind::kUnset;  // kUnset: at 0, or with churn in mid-session.
  Draw draw;
  Moment moment;
};

// A link, NAT chain or mix as a host may state it: the alternatives of {"one_of": …}, or the single one.
struct LinkChoice { std::vector<LinkSpec> of; };
struct NatChoice { std::vector<std::vector<NatRef>> of; };  // An empty chain is `open`.

struct UplinkWords {
  std::string name;
  std::optional<LinkChoice> link;
  std::optional<NatChoice> nat;
  bool up = true;
};

struct MixClass {
  std::string says;
  uint32_t share_ppm = 0;
  std::optional<NatChoice> nat;
  std::optional<LinkChoice> link;
  std::vector<uint32_t> link_ppm;  // Weights of link->of; empty: equal.
  uint32_t hairpin_ppm = 0;        // Chance that the nearest box hairpins, beyond what `nat` says.
  Firewall firewall = Firewall::kNone;
  bool assumed = false;            // The share is an analyst's: the report says so.
};
struct Mix {
  std::string name;
  std::vector<MixClass> classes;   // Shares sum to 1,000,000.
};

struct HostGroup {
  std::string id;
  uint32_t count = 1;
  bool grouped = false;              // `count` was stated: members are id-1 … id-count.
  std::vector<std::string> regions;  // Alternatives; empty: by its mix, or by weight.
  std::optional<LinkChoice> link;
  std::optional<NatChoice> nat;
  std::optional<Mix> mix;
  std::optional<Firewall> firewall;
  Starts starts;
  std::optional<Churn> churn;
  std::optional<Stack> stack;
  bool runs_node = true;
  bool runs_js = false;
  std::shared_ptr<const WebSpec> web;  // Not null: it runs an origin server, and no node.
  std::string config_json = "{}";
  std::vector<UplinkWords> uplinks;
  std::string household;
  uint32_t lan_of = 0;
  Place place;
};

struct LanWords {
  std::string id;
  int64_t rate_bps = 1'000'000'000;
  Duration delay{200'000};
  std::vector<SelectorTerm> members;
  std::optional<LinkChoice> router_link;
  std::optional<NatChoice> router_nat;
  bool has_router = false;
  Place place;
};

struct WorldWords {
  std::map<std::pair<std::string, std::string>, Duration> latency;  // Each pair in both orders.
  std::vector<std::string> regions;                                 // Known ones, in the table's order.
  Duration latency_default{};
  std::string latency_name;   // "world-8", "20ms", "table"
  uint32_t jitter_ppm = 0;
  Duration jitter{};
  uint32_t loss_ppm = 0;
  uint8_t hops = 12;
  bool hops_stated = false;
  std::map<std::string, LinkSpec> links;
  std::map<std::string, NatSpec> nats;
  std::map<std::string, Mix> mixes;
};

// ---- Timeline ----

enum class FaultKind : uint8_t {
  kLink, kPartition, kHeal, kKill, kStop, kStart, kRestart, kNatRemap, kNatReboot, kRenumber, kClock, kDisk, kMisbehave, kCageCrash, kCageHang,
  kCageSlow, kCageWorkerKill,
};

struct Fault {
  FaultKind kind = FaultKind::kLink;
  // link: words that are not named keep their value.
  std::optional<Draw> down, up, delay, jitter, loss, queue, mtu, reorder, duplicate, corrupt;  // ns, bit/s, ppm, bytes.
  std::optional<Draw> burst;                       // Mean length of a loss burst, in packets (Gilbert).
  bool inbound = true, outbound = true;            // `way`
  std::optional<bool> is_up;
  // partition: `groups`, or from → to. The rest stays with the first group.
  std::vector<Selector> groups;
  std::optional<Selector> from, to;
  std::string heal_of;                             // heal: the entry; empty: all.
  // restart, start
  enum class Store : uint8_t { kKept, kLost, kTorn } store = Store::kKept;
  Draw down_time;                                  // restart: `down`.
  bool new_ip = false;                             // restart, start: `ip`; nat-remap, nat-reboot: `address`.
  uint32_t share_ppm = 1'000'000;                  // nat-remap `ports`; disk `share`.
  Draw offset, drift_ppm;                          // clock
  enum class Disk : uint8_t { kFull, kSlow, kFailing } disk = Disk::kFull;
  Draw disk_delay;
  std::optional<uint8_t> cuts;                     // link: an IP protocol, or 0.
  std::string site;                                // cage-crash, cage-hang, cage-slow: empty: the host's only one.
  uint32_t cages = 1;                              // 0: all.
  cage::Cause cause = cage::Cause::kPanic;         // cage-crash
  Draw by;                                         // cage-slow
  uint32_t process = 1;                            // cage-worker-kill: from 1 on; 0: all.
  Misdeed misdeed = Misdeed::kNone;                // misbehave: `how`; its `rate` is share_ppm.
};

struct Condition {  // `when`
  bool is_event = true;
  std::string subject;        // Event or metric.
  std::optional<Selector> of;
  std::vector<Match> where;
  uint64_t count = 1;
  bool count_all = false;     // Every host of `of` (of all nodes, if there is none).
  // Metric: total of a counter, last of a gauge, in millionths of its unit.
  enum class Cmp : uint8_t { kAtLeast, kAtMost, kIs } cmp = Cmp::kAtLeast;
  int64_t value_micro = 0;
  std::string written;
};

struct Entry {
  size_t index = 0;       // In the file, of this case.
  std::string as;         // Empty: unnamed.
  std::string path;       // "timeline.cut" or "timeline[3]": for messages.
  Place place;

  enum class When : uint8_t { kAt, kAtDraw, kEvery, kWhen } when = When::kAt;
  Moment at;                       // kAt
  Draw at_draw;                    // kAtDraw: from the start.
  Draw every;                      // kEvery
  Moment from;                     // kEvery; default the start.
  std::optional<Moment> until;     // kEvery; exclusive. Neither until nor times: to the end.
  std::optional<uint64_t> times;
  Condition condition;             // kWhen

  enum class Act : uint8_t { kMoment, kOperation, kFault } act = Act::kMoment;
  std::string action;              // "dht.lookup", "nat-remap"
  std::optional<Selector> who;     // Operation: `who`. Fault: `on`.
  Json with;                       // An object; operations' parameters are checked, references are still text.
  Fault fault;
  Duration spread{};
  std::optional<Draw> lasts;       // `for`
  bool standing = false;           // The operation has lasting effect.

  enum class Fails : uint8_t { kNever, kMaybe, kWith } fails = Fails::kNever;  // kMaybe is filled in for `every`; churn is the plan's.
  bool fails_stated = false;
  std::string fails_code;
  enum class Arrivals : uint8_t { kEven, kPoisson, kBursts } arrivals = Arrivals::kEven;
  uint32_t burst = 1;
  bool closed_loop = false;
};

// ---- Claims ----

struct Bound {
  enum class Stat : uint8_t { kCount, kTotal, kMean, kMin, kMax, kLast, kRatio, kQuantile, kShare };
  enum class Cmp : uint8_t { kAtLeast, kAtMost, kIs };
  Stat stat = Stat::kTotal;
  uint32_t quantile_ppm = 0;      // p99.9 is 999'000.
  Cmp cmp = Cmp::kAtLeast;
  int64_t value_micro = 0;        // In millionths of the metric's own unit (so "500ms" on a _ms metric is 500'000'000);
                                  // of one for kCount, kRatio, kShare, and when the claim has `over`.
  std::string key;                // "p95_at_most"
  std::string written;            // "8s" or 0.99
  Place place;
};

struct Window {
  enum class Kind : uint8_t {
    kWholeRun,
    kBy,      // At some moment up to `a`.
    kAt,      // At `a`.
    kDuring,  // [a, b]
    kSpan,    // Of the entry `span`: from it to its end.
  };
  Kind kind = Kind::kWholeRun;
  Moment a, b;
  std::string span;
  std::optional<Moment> since;    // Opens the window.
};

struct Over {
  enum class Kind : uint8_t { kNone, kQuantity, kMetric, kBest, kSum, kCase };
  Kind kind = Kind::kNone;
  int64_t quantity_micro = 0;     // In the metric's unit.
  std::string metric;
  std::optional<Selector> of;
  std::vector<Match> where;
  std::vector<std::string> cases; // kBest, kSum; kCase: one.
};

struct Claim {
  size_t index = 0;
  std::string says;               // Never empty: without one it is made from the subject.
  std::string path;               // claims["reachable again"]
  Place place;

  enum class Kind : uint8_t { kMetric, kEvent, kLeadsTo, kNever, kSame, kDiffer, kCost, kConnected };
  Kind kind = Kind::kMetric;
  std::string subject;            // Metric or event; of kSame, kDiffer what is compared ("bytes"); of kCost the figure.
  std::string leads_to;           // kLeadsTo
  std::optional<Selector> a, b;   // kConnected: every a with every b.
  std::vector<std::string> paths; // kConnected: any of these; empty: any but "none".
  Duration within{};              // kLeadsTo
  std::optional<Selector> of;
  std::vector<Match> where;
  Duration up{};                  // Only hosts that have been up so long.
  std::string each;               // "host" or another label; empty: all together.
  std::vector<std::string> in;    // Names of cases, globs allowed; empty: all.
  Window window;
  std::vector<Bound> bounds;
  int64_t within_low_micro = 0, within_high_micro = 0;  // For kShare.
  Over over;
  std::string name, key;          // kSame, kDiffer: the entry whose result is compared.
  std::string is;                 // kSame: "$note.sha256", or a literal; empty: only equal.
  std::optional<uint32_t> holds_ppm;
  // This case is only asked for the figure that the claim of another case divides by.
  bool figure_only = false;
  // Other cases have the last word: the claim is judged when all have run.
  bool over_cases() const { return over.kind == Over::Kind::kBest || over.kind == Over::Kind::kSum || over.kind == Over::Kind::kCase; }
};

// ---- The whole ----

struct Scenario {
  std::string says;
  uint64_t seed = 1;
  Duration duration{};
  WorldWords world;
  std::vector<HostGroup> hosts;
  std::vector<LanWords> lans;
  std::vector<Entry> timeline;
  std::vector<Claim> claims;               // Those that apply to this case.
  std::map<std::string, Selector> picks;   // By `as`.
  std::string case_name;                   // Empty: the file has no cases.
  std::string case_says;
  std::string cell, row, column;           // Of a matrix: the letter's word, and where it stands.
  std::string config_digest;               // Of the case's JSON after all changes: names the input in the report.
};

}  // namespace orchard::sim
