// Every word of the language, once: the loader refuses what is not here, scenarios/schema.json and the tables of
// docs/SCENARIOS.md are generated from it, and `orchard lint` reads from it what the kernel host cannot do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"

namespace orchard::sim {

enum class WordType : uint8_t {
  kText, kTextList,          // A text; a text or a list of them.
  kName,                     // Letters, digits, - and _.
  kBool,
  kCount,                    // A whole number, 0 or more.
  kDuration, kRate, kSize,   // With their unit.
  kShare,                    // "1.5%" or 0 to 1.
  kPpm,                      // "200ppm"
  kDurationDraw, kRateDraw, kSizeDraw, kShareDraw, kPpmDraw, kCountDraw,  // Or a draw of such.
  kJitter,                   // A share or a duration.
  kLatency, kRegion, kLink, kNat, kMix, kChurn, kStarts, kSizes,
  kMoment, kMomentOrDraw, kDuring,
  kSelector, kSelectorList,
  kWhere, kFails, kArrivals, kWithin, kOver, kCondition, kPair, kPath,
  kChoice,                   // One of `of`, separated by spaces.
  kObject, kList, kMap,      // Of the set `of`: one object, a list, or a map from names to objects.
  kMixes, kConfig, kWith, kSet, kTimes, kCells, kMatrixAxis, kAny,
};

struct Word {
  std::string_view name;
  WordType type;
  std::string_view says;
  std::string_view of = {};      // Choices, or the name of a set.
  std::string_view later = {};   // Not in this version: what it will be for.
  std::string_view netns = {};   // "no: " or "about: " and what the kernel host cannot do, or not exactly; empty: it can.
};

struct WordSet {
  std::string_view name;         // "host"
  std::string_view article;      // "a host": "a host has id, count, …"
  absl::Span<const Word> words;
};

absl::Span<const WordSet> WordSets();
const WordSet& FindWordSet(std::string_view name);
const Word* FindWord(const WordSet& set, std::string_view name);
std::vector<std::string> WordNames(const WordSet& set);

// The faults of the timeline, with their words in the set "with <fault>".
struct FaultWord {
  std::string_view name;
  std::string_view on;     // What it happens to: "hosts, uplinks, LANs or links"; empty: it has no `on`.
  std::string_view says;
  bool lasts = true;       // Takes `for`.
  std::string_view later = {};
  std::string_view netns = {};
};
absl::Span<const FaultWord> FaultWords();
const FaultWord* FindFaultWord(std::string_view name);

// Operations that the language names and this version's node lacks: refused as "not in this version".
bool IsLaterOperation(std::string_view name);
// Metrics and events of layers that are not built yet.
bool IsLaterMetric(std::string_view name);

// The lists behind kChoice words, split at spaces.
std::vector<std::string> Choices(std::string_view of);

}  // namespace orchard::sim
