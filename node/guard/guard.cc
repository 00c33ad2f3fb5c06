#include "node/guard/guard.h"

#include <algorithm>

namespace orchard::guard {
namespace {

// Path, queries, header lines, body, odd characters: by how much a request may be beyond the others without being odd for it.
// Without, a site that knows only "/" and "/a" would find "/about" an anomaly.
constexpr Forest::Sample kSlack = {64, 8, 16, 4096, 16};

uint32_t Whole32(size_t n) { return uint32_t(std::min<size_t>(n, UINT32_MAX)); }

}  // namespace

std::string_view NameOf(Mode mode) { return mode == Mode::kOff ? "off" : mode == Mode::kFlag ? "flag" : "block"; }

Forest::Sample FeaturesOf(const Asked& asked) {
  const std::string_view target = asked.target;
  const size_t query = std::min(target.find('?'), target.size());
  const auto queries = query + 1 >= target.size() ? 0 : 1 + std::count(target.begin() + ptrdiff_t(query), target.end(), '&');
  const auto odd = std::count_if(target.begin(), target.end(), [](char c) {
    return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '-' || c == '_' || c == '.' || c == '=' || c == '&' || c == '?');
  });
  return {Whole32(query), Whole32(size_t(queries)), Whole32(asked.headers.size()), Whole32(asked.body.size()), Whole32(size_t(odd))};
}

Guard::Guard(Mode mode, uint32_t rate) : mode_(mode), flood_(rate), forest_(kSlack) {}

uint64_t Guard::found() const {
  uint64_t n = 0;
  for (size_t c = 1; c < counts_.size(); ++c) n += counts_[c];
  return n;
}

Guard::Arrival Guard::Arrived(Instant now, const Endpoint& peer) {
  if (mode_ == Mode::kOff) return {};
  const Flood::Answer said = flood_.Ask(now, Client::Of(peer));
  if (!said.over) return {};
  ++counts_[size_t(Class::kFlood)];
  return {.verdict = {Class::kFlood, 1000, "requests a second"}, .tell = said.tell};
}

Verdict Guard::Whole(Rng& rng, const Asked& asked) {
  if (mode_ == Mode::kOff) return {};
  Verdict verdict = JudgeByRules(asked);
  // What a rule has found is nothing to learn from.
  if (!verdict && rng.Below(kOneOf) == 0) {
    const Forest::Sample x = FeaturesOf(asked);
    if (const uint32_t score = forest_.Score(x); score > kAnomaly) verdict = {Class::kAnomaly, score, "unlike the others"};
    samples_.push_back(x);
    // Again for each hundred: what is usual changes.
    if (samples_.size() == kSamples) {
      forest_.Train(samples_, rng);
      samples_.clear();
    }
  }
  ++counts_[size_t(verdict.what)];
  return verdict;
}

}  // namespace orchard::guard
