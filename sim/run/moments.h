// When the entries of the timeline happened, and what their operations answered: what moments, `$x` and claims refer to.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/language/scenario.h"

namespace orchard::sim {

class Moments {
 public:
  explicit Moments(Duration duration) : end_(Instant(duration)) {}
  // The first call counts: an `every` begins once.
  void Begin(std::string_view as, Instant at) { began_.emplace(std::string(as), at); }
  void End(std::string_view as, Instant at) { ended_.emplace(std::string(as), at); }

  std::optional<Instant> Began(std::string_view as) const { return In(began_, as); }
  std::optional<Instant> Ended(std::string_view as) const { return In(ended_, as); }
  // Nothing while it is not known.
  std::optional<Instant> At(const Moment& m) const {
    std::optional<Instant> base;
    switch (m.kind) {
      case Moment::Kind::kTime: base = Instant{}; break;
      case Moment::Kind::kEnd: base = end_; break;
      case Moment::Kind::kEntry: base = Began(m.entry); break;
      case Moment::Kind::kEntryEnd: base = Ended(m.entry); break;
    }
    if (base) *base += m.offset;
    return base;
  }
  Instant end() const { return end_; }

 private:
  using Map = std::map<std::string, Instant, std::less<>>;
  static std::optional<Instant> In(const Map& map, std::string_view as) {
    auto it = map.find(as);
    return it == map.end() ? std::nullopt : std::optional(it->second);
  }
  Instant end_;
  Map began_, ended_;
};

// The final answer of an operation on one host.
struct OpResult {
  Instant at;
  bool ok = false;
  std::string code;  // Of the error, if it ended in one.
  Json data;         // Object.
};

// By entry and host; a later answer of the same entry and host replaces the earlier one.
class Results {
 public:
  void Add(std::string_view as, uint32_t host, OpResult result) {
    results_[std::string(as)].insert_or_assign(host, std::move(result));
  }
  const OpResult* Find(std::string_view as, uint32_t host) const {
    auto it = results_.find(as);
    if (it == results_.end()) return nullptr;
    auto h = it->second.find(host);
    return h == it->second.end() ? nullptr : &h->second;
  }
  // Null if nobody ran it.
  const std::map<uint32_t, OpResult>* Of(std::string_view as) const {
    auto it = results_.find(as);
    return it == results_.end() ? nullptr : &it->second;
  }
  // The text of `field` of the result that `self` means by "$name.field": its own if it ran it, else the only one. Nothing if
  // there is none, or if it is not clear which is meant.
  std::optional<std::string> Field(std::string_view as, std::optional<uint32_t> self, std::string_view field) const {
    const std::map<uint32_t, OpResult>* of = Of(as);
    if (of == nullptr) return std::nullopt;
    const OpResult* r = self ? Find(as, *self) : nullptr;
    if (r == nullptr && of->size() == 1) r = &of->begin()->second;
    if (r == nullptr) return std::nullopt;
    const Json* value = r->data.Find(field);
    if (value == nullptr || value->is(Json::Kind::kNull)) return std::nullopt;
    return value->is_text() ? value->text : value->Dump();
  }

 private:
  std::map<std::string, std::map<uint32_t, OpResult>, std::less<>> results_;
};

}  // namespace orchard::sim
