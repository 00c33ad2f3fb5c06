#include "sim/run/cage_watch.h"

#include "sim/language/text.h"
#include "sim/run/trace_fields.h"

namespace orchard::sim {
Tag CageWatch::OnTrace(Instant now, HostIndex host, std::string_view event, absl::Span<const TraceField> fields) {
  film_.OnTrace(now, host, event, fields);
  const std::string site(Word(fields, "site")), cause(Word(fields, "cause"));
  const Tag tag = recorder_.Intern({{"site", site}, {"cause", cause}});
  if (event == "cage.served" && cause != "none") {
    int64_t heal = 0;
    for (std::string_view part : {"detect", "backoff", "spawn", "answer"}) {
      const int64_t nanos = int64_t(Number(fields, Cat(part, "_us"))) * 1000;  // Millionths of a millisecond.
      recorder_.Add(Cat("cage.", part, "_ms"), now, host, nanos, 0, tag);
      heal += nanos;
    }
    recorder_.Add("cage.heal_ms", now, host, heal, 0, tag);
  }
  if (event == "cage.healthy") healthy_[{host, site}] = Number(fields, "healthy");
  if (event == "cage.request") {
    const Tag answered = recorder_.Intern({{"site", site}, {"status", Cat(Number(fields, "status"))}});
    recorder_.Add("cage.request_ms", now, host, int64_t(Number(fields, "us")) * 1000, 0, answered);
    if (Number(fields, "fuel") > 0) recorder_.Add("cage.fuel", now, host, int64_t(Number(fields, "fuel")) * kMicro, 0, answered);
    return answered;
  }
  if (event == "cage.guard") return recorder_.Intern({{"site", site}, {"class", std::string(Word(fields, "class"))}, {"blocked", Cat(Number(fields, "blocked"))}});
  if (event == "cage.loaded") return recorder_.Intern({{"site", site}, {"why", std::string(Word(fields, "why"))}});
  return tag;
}

void CageWatch::OnHostDown(Instant now, HostIndex host) {
  film_.OnHostDown(now, host);
  for (auto it = healthy_.lower_bound({host, ""}); it != healthy_.end() && it->first.first == host; ++it) it->second = 0;
}

void CageWatch::Second(Instant now) {
  if (!recorder_.reads("cage.healthy", now)) return;
  for (const auto& [of, healthy] : healthy_) recorder_.Add("cage.healthy", now, of.first, int64_t(healthy) * kMicro, 0, recorder_.Intern("site", of.second));
}

}  // namespace orchard::sim
