#include "sim/sweep/reduce.h"

#include <algorithm>
#include <cstdint>
#include <set>

#include "sim/language/grammar.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

using Ids = std::vector<uint32_t>;

// While it is reduced, a value's place is its number: it keeps it, wherever the values around it go.
void Number(Json& j, uint32_t& next) {
  j.place = {0, next++, 0};
  for (Json& item : j.items) Number(item, next);
}

Json Without(const Json& j, const std::set<uint32_t>& ids) {
  Json out = j;
  out.items.clear(), out.keys.clear();
  for (size_t i = 0; i < j.items.size(); ++i) {
    if (ids.contains(j.items[i].place.line)) continue;
    out.items.push_back(Without(j.items[i], ids));
    if (j.is_object()) out.keys.push_back(j.keys[i]);
  }
  return out;
}

Json* WithId(Json& j, uint32_t id) {
  if (j.place.line == id) return &j;
  for (Json& item : j.items) {
    if (Json* found = WithId(item, id)) return found;
  }
  return nullptr;
}

bool Says(const Json& claim, const std::string& text) {
  const Json* says = claim.Find("says");
  return says != nullptr && says->text == text;
}

class Reducer {
 public:
  Reducer(Json scenario, const std::string& claim, const FirstThatBreaks& first) : best_(std::move(scenario)), claim_(claim), first_(first) {
    uint32_t next = 1;
    Number(best_, next);
  }

  Json Run() {
    while (Round()) {}
    return best_;
  }

 private:
  // True if something went.
  bool Round() {
    bool less = false;
    less = Drop(Members("claims")) || less;
    less = Drop(RootWords()) || less;
    less = Drop(Members("timeline")) || less;
    less = Drop(Members("hosts")) || less;
    less = ShrinkNumbers() || less;
    less = ShrinkDuration() || less;
    less = Drop(Members("lans")) || less;
    less = Drop(Members("world")) || less;
    for (int depth = 1; depth <= kDepthMax; ++depth) {
      Ids words;
      for (const char* part : {"world", "hosts", "lans", "timeline"}) {
        if (const Json* j = best_.Find(part)) Deep(*j, depth, words);
      }
      less = Drop(words) || less;
    }
    return less;
  }

  // Of an array or object of the scenario; never the claim itself.
  Ids Members(std::string_view part) const {
    Ids out;
    const Json* j = best_.Find(part);
    if (j == nullptr) return out;
    for (const Json& m : j->items) {
      if (part != "claims" || !Says(m, claim_)) out.push_back(m.place.line);
    }
    return out;
  }
  Ids RootWords() const {
    Ids out;
    for (size_t i = 0; i < best_.keys.size(); ++i) {
      static constexpr std::string_view kNeeded[] = {"says", "seed", "duration", "hosts", "claims"};
      if (std::find(std::begin(kNeeded), std::end(kNeeded), best_.keys[i].text) == std::end(kNeeded)) out.push_back(best_.items[i].place.line);
    }
    return out;
  }
  // Values `depth` below the members of j.
  static void Deep(const Json& j, int depth, Ids& out) {
    for (const Json& item : j.items) {
      if (depth > 1) {
        Deep(item, depth - 1, out);
        continue;
      }
      for (size_t i = 0; i < item.items.size(); ++i) {
        if (!item.is_object() || (item.keys[i].text != "id" && item.keys[i].text != "do")) out.push_back(item.items[i].place.line);
      }
    }
  }

  bool Take(const std::vector<Json>& candidates) {
    if (candidates.empty()) return false;
    const size_t i = first_(candidates);
    if (i >= candidates.size()) return false;
    best_ = candidates[i];
    return true;
  }

  // Drops as many of these as can go: all, halves, quarters, … each.
  bool Drop(Ids ids) {
    bool less = false;
    for (size_t piece = ids.size(); piece > 0 && !ids.empty();) {
      std::vector<Json> candidates;
      for (size_t from = 0; from < ids.size(); from += piece) {
        candidates.push_back(Without(best_, {ids.begin() + ptrdiff_t(from), ids.begin() + ptrdiff_t(std::min(from + piece, ids.size()))}));
      }
      const size_t i = candidates.empty() ? 0 : first_(candidates);
      if (i < candidates.size()) {
        best_ = candidates[i], less = true;
        const size_t from = i * piece;
        ids.erase(ids.begin() + ptrdiff_t(from), ids.begin() + ptrdiff_t(std::min(from + piece, ids.size())));
        piece = std::min(piece, ids.size());
      } else {
        piece = piece == 1 ? 0 : (piece + 1) / 2;
      }
    }
    return less;
  }

  // Whole numbers of things: the least of these shares that still breaks, again and again.
  bool ShrinkNumbers() {
    static constexpr std::string_view kWords[] = {"count", "times", "pick"};
    Ids numbers;
    auto gather = [&](auto&& self, const Json& j) -> void {
      for (size_t i = 0; i < j.items.size(); ++i) {
        const bool counts = j.is_object() && std::find(std::begin(kWords), std::end(kWords), j.keys[i].text) != std::end(kWords);
        if (counts && j.items[i].Integer().value_or(0) > 1) numbers.push_back(j.items[i].place.line);
        self(self, j.items[i]);
      }
    };
    for (const char* part : {"timeline", "hosts"}) {
      if (const Json* j = best_.Find(part)) gather(gather, *j);
    }
    bool less = false;
    for (uint32_t id : numbers) {
      for (bool again = true; again;) {
        const Json* now = WithId(best_, id);
        const int64_t n = now == nullptr ? 0 : now->Integer().value_or(0);
        std::vector<Json> candidates;
        for (int64_t m : Shares(n, 1)) {
          candidates.push_back(best_);
          WithId(candidates.back(), id)->text = std::to_string(m);
        }
        again = Take(candidates);
        less = less || again;
      }
    }
    return less;
  }

  bool ShrinkDuration() {
    bool less = false;
    for (bool again = true; again;) {
      const Json* now = best_.Find("duration");
      const std::optional<Quantity> q = now == nullptr || !now->is_text() ? std::nullopt : ParseQuantity(now->text);
      std::vector<Json> candidates;
      constexpr int64_t kSecond = 1'000'000'000;
      for (int64_t m : Shares(q && q->unit == Unit::kDuration ? (q->value + kSecond - 1) / kSecond : 0, 1)) {
        candidates.push_back(best_);
        candidates.back().Find("duration")->text = Cat(m, "s");
      }
      again = Take(candidates);
      less = less || again;
    }
    return less;
  }

  // Eighths of n, and one less than it, ascending, each at least `least` and below n.
  static std::vector<int64_t> Shares(int64_t n, int64_t least) {
    std::set<int64_t> out;
    for (int64_t m : {least, n / 8, n / 4, n / 2, n * 3 / 4, n - 1}) {
      if (m >= least && m < n) out.insert(m);
    }
    return {out.begin(), out.end()};
  }

  static constexpr int kDepthMax = 6;  // Deeper words of a scenario are the node's configuration's.

  Json best_;
  const std::string& claim_;
  const FirstThatBreaks& first_;
};

}  // namespace

Json Reduce(Json scenario, const std::string& claim, const FirstThatBreaks& first) { return Reducer(std::move(scenario), claim, first).Run(); }

}  // namespace orchard::sim
