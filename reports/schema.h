// The formats of docs/RUN-DIRECTORY.md as tables: what a place may hold. Pairs of a path and a type; `[]` is every element, `{}` every
// member. Types: s text, n number, b true or false, o object, a array; several letters: any of them; a trailing `?` allows null, a leading `*` says that it must be there.
#pragma once

#include "absl/types/span.h"

namespace orchard::reports {

struct Rule {
  const char* path;
  const char* type;
};

inline constexpr Rule kClaimRules[] = {
    {"claims[]", "o"}, {"claims[].says", "*s"}, {"claims[].verdict", "*s"}, {"claims[].case", "s"},
    {"claims[].expected", "s?"}, {"claims[].observed", "s?"}, {"claims[].n", "n?"}, {"claims[].at", "n?"},
    {"claims[].window", "o?"}, {"claims[].window.from_ms", "n?"}, {"claims[].window.to_ms", "n?"}, {"claims[].window.says", "s"},
    {"claims[].subject", "s?"}, {"claims[].unit", "s?"}, {"claims[].bounds", "a"}, {"claims[].bounds[]", "o"},
    {"claims[].bounds[].stat", "s?"}, {"claims[].bounds[].is", "s?"}, {"claims[].bounds[].bound", "n?"},
    {"claims[].bounds[].observed", "n?"}, {"claims[].bounds[].margin", "n?"}, {"claims[].bounds[].held", "b"},
    {"claims[].bounds[].part", "s?"}, {"claims[].why", "a"}, {"claims[].why[]", "s"}};

inline constexpr Rule kResultRules[] = {
    {"scenario", "*s"}, {"seed", "*n"}, {"passed", "*b"}, {"claims", "*a"}, {"name", "s"}, {"says", "s?"}, {"case", "s?"}, {"cell", "s?"}, {"interrupted", "b"},
    {"version", "s"}, {"host", "s"}, {"fingerprint", "s"}, {"checked", "b?"}, {"replay", "s"}, {"hosts", "n"},
    {"duration_ms", "n?"}, {"sim_seconds", "n"}, {"wall_seconds", "n"}, {"events", "n"}, {"packets", "n"}, {"bytes", "n"},
    {"drops", "n"}, {"peak_rss_bytes", "n"}, {"metrics", "o"}, {"metrics{}", "o"}, {"metrics{}.count", "n?"}, {"metrics{}.mean", "n?"},
    {"metrics{}.p50", "n?"}, {"metrics{}.p95", "n?"}, {"metrics{}.p99", "n?"}, {"metrics{}.max", "n?"}, {"metrics{}.min", "n?"},
    {"metrics{}.total", "n?"}, {"metrics{}.unit", "s?"}, {"assumed", "a"}, {"assumed[]", "o"}, {"assumed[].says", "s"}, {"assumed[].source", "s?"},
    {"assumed[].drawn", "a"}, {"assumed[].drawn[]", "o"}, {"assumed[].drawn[].name", "s"}, {"assumed[].drawn[].share", "n?"},
    {"assumed[].drawn[].expected", "n?"}, {"assumed[].drawn[].count", "n?"}, {"moments", "a"}, {"moments[]", "o"}, {"moments[].kind", "s"},
    {"moments[].do", "s?"}, {"moments[].says", "s?"}, {"moments[].as", "s?"}, {"moments[].on", "s?"}, {"moments[].from_ms", "*n"},
    {"moments[].to_ms", "n?"}, {"moments[].count", "n?"}, {"notes", "a"}, {"notes[]", "s"}, {"fails_when", "a"}, {"fails_when[]", "o"},
    {"fails_when[].says", "s?"}, {"fails_when[].claim", "s?"}, {"fails_when[].in", "sa?"}, {"fails_when[].in[]", "s"}, {"fails_when[].proved", "b?"}, {"cases", "a"},
    {"cases[]", "o"}, {"cases[].name", "*s"}, {"cases[].says", "s?"}, {"cases[].cell", "s?"}, {"cases[].passed", "*b"}, {"cases[].replay", "s"}, {"cases[].fingerprint", "s"},
    {"cases[].sim_seconds", "n"}, {"cases[].wall_seconds", "n"}, {"cases[].claims_held", "n"}, {"cases[].claims_total", "n"}, {"cases[].dir", "s"},
    {"matrix", "o?"}, {"matrix.rows", "o"}, {"matrix.rows.path", "s"}, {"matrix.rows.values", "a"}, {"matrix.columns", "o"}, {"matrix.columns.path", "s"},
    {"matrix.columns.values", "a"}, {"matrix.key", "o"}, {"matrix.key{}", "s"}, {"matrix.cells", "*a"}, {"matrix.cells[]", "a"}, {"matrix.cells[][]", "o?"},
    {"matrix.cells[][].case", "s?"}, {"matrix.cells[][].expected", "s?"}, {"matrix.cells[][].seen", "s?"}, {"matrix.cells[][].p50_ms", "n?"}, {"matrix.cells[][].passed", "b"}};

inline constexpr Rule kTopologyRules[] = {
    {"hosts", "*a"}, {"hosts[]", "o"}, {"hosts[].id", "*s"}, {"hosts[].group", "s"}, {"hosts[].region", "s?"}, {"hosts[].nat", "s?"}, {"hosts[].link", "s?"},
    {"hosts[].lan", "s?"}, {"hosts[].up", "b"}, {"hosts[].bootstrap", "b"}, {"hosts[].runs", "s"}, {"hosts[].ring", "s?"}, {"hosts[].spans", "a?"},
    {"hosts[].spans[]", "a"}, {"hosts[].spans[][]", "n?"}, {"hosts[].uplinks", "a"}, {"hosts[].uplinks[]", "o"}, {"hosts[].boxes", "a"}, {"hosts[].boxes[]", "s"},
    {"regions", "a"}, {"regions[]", "o"}, {"regions[].id", "*s"}, {"regions[].hosts", "n"}, {"paths", "a"}, {"paths[]", "o"}, {"paths[].a", "*s"}, {"paths[].b", "*s"},
    {"paths[].delay_ms", "n?"}, {"nats", "a"}, {"nats[]", "o"}, {"nats[].label", "*s"}, {"nats[].hosts", "n"}, {"nats[].chain", "a"}, {"nats[].chain[]", "o"},
    {"nats[].chain[].preset", "s"}, {"nats[].chain[].mapping", "s"}, {"nats[].chain[].filtering", "s"}, {"nats[].chain[].ports", "s"}, {"nats[].chain[].idle_ms", "n?"},
    {"nats[].chain[].hairpin", "b"}, {"nats[].mappings", "n?"}, {"nats[].filtered", "n?"}, {"nats[].refused", "n?"}, {"boxes", "a"}, {"boxes[]", "o"}, {"boxes[].name", "*s"},
    {"boxes[].label", "s"}, {"boxes[].inside", "s?"}, {"boxes[].members", "n"}, {"boxes[].preset", "s"}, {"boxes[].mapping", "s"}, {"boxes[].filtering", "s"},
    {"boxes[].ports", "s"}, {"boxes[].idle_ms", "n?"}, {"boxes[].hairpin", "b"}, {"links", "a"}, {"links[]", "o"}, {"links[].name", "*s"}, {"links[].down_bps", "n?"},
    {"links[].up_bps", "n?"}, {"links[].delay_ms", "n?"}, {"links[].queue_ms", "n?"}, {"links[].loss_ratio", "n?"}, {"links[].hosts", "n"}, {"lans", "a"}, {"lans[]", "o"},
    {"lans[].id", "*s"}, {"lans[].region", "s?"}, {"lans[].rate_bps", "n?"}, {"lans[].delay_ms", "n?"}, {"lans[].router", "s?"}, {"lans[].members", "n"}, {"edges", "a"},
    {"edges[]", "o"}, {"edges[].a", "*n"}, {"edges[].b", "*n"}, {"edges[].kind", "*s"}, {"edges[].count", "n?"}, {"edges[].p50_ms", "n?"}, {"edges[].first_ms", "n?"},
    {"edges[].last_ms", "n?"}, {"edges[].relay", "n?"}, {"edges[].claim", "n?"}, {"flows", "a"}, {"flows[]", "o"}, {"flows[].a", "*o"}, {"flows[].b", "*o"}, {"flows[].a.region", "s"},
    {"flows[].a.nat", "s"}, {"flows[].b.region", "s"}, {"flows[].b.nat", "s"}, {"flows[].kind", "s"}, {"flows[].count", "n"}, {"flows[].ok", "n"}, {"flows[].p50_ms", "n?"},
    {"worst", "a"}, {"worst[]", "o"}, {"worst[].host", "*s"}, {"worst[].says", "s"}, {"degree", "o?"}, {"degree.of", "s"}, {"degree.from", "n"}, {"degree.width", "n"},
    {"degree.counts", "*a"}, {"degree.counts[]", "n"}, {"ring", "o?"}, {"ring.nodes", "*a"}, {"ring.nodes[]", "n"}, {"ring.stored", "a"}, {"ring.stored[]", "n"}, {"records", "a"},
    {"records[]", "o"}, {"records[].says", "s"}, {"records[].kind", "s"}, {"records[].key", "s"}, {"records[].holders", "a"}, {"records[].holders[]", "n"}, {"failed", "a"},
    {"failed[]", "o"}, {"failed[].from", "s"}, {"failed[].to", "s"}, {"failed[].why", "s"}, {"failed[].count", "n"}};

inline constexpr Rule kSeriesRules[] = {
    {"series", "a"}, {"series[]", "o"}, {"series[].name", "*s"}, {"series[].labels", "o"}, {"series[].labels{}", "s"}, {"series[].unit", "s"}, {"series[].kind", "s"},
    {"series[].from_ms", "n"}, {"series[].step_ms", "*n"}, {"series[].values", "*a"}, {"series[].values[]", "n?"}, {"samples", "a"}, {"samples[]", "o"}, {"samples[].name", "*s"},
    {"samples[].labels", "o"}, {"samples[].labels{}", "s"}, {"samples[].unit", "s"}, {"samples[].count", "n"}, {"samples[].quantiles", "*a"}, {"samples[].quantiles[]", "n"},
    {"histograms", "a"}, {"histograms[]", "o"}, {"histograms[].name", "*s"}, {"histograms[].labels", "o"}, {"histograms[].labels{}", "s"}, {"histograms[].unit", "s"},
    {"histograms[].from", "n"}, {"histograms[].width", "n"}, {"histograms[].counts", "*a"}, {"histograms[].counts[]", "n"}, {"claims", "a"}, {"claims[]", "o"}, {"claims[].claim", "*n"},
    {"claims[].stat", "s?"}, {"claims[].unit", "s?"}, {"claims[].from_ms", "n"}, {"claims[].step_ms", "*n"}, {"claims[].values", "*a"}, {"claims[].values[]", "n?"}};

}  // namespace orchard::reports
