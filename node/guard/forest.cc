#include "node/guard/forest.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"

namespace orchard::guard {
namespace {

constexpr uint32_t kDepthMax = 5;  // ⌈log2 kSubsample⌉: deeper is as usual as the average.
static_assert((size_t{1} << kDepthMax) >= Forest::kSubsample && (size_t{1} << (kDepthMax - 1)) < Forest::kSubsample);

constexpr Q32 kLn2 = 2977044472;  // ln 2 × 2^32.

// c(n): the mean path of a search that fails among n, 2 H(n-1) - 2 (n-1)/n. §2, equation 1.
constexpr auto kMeanPaths = [] {
  std::array<Q32, Forest::kSubsample + 1> c{};
  Q32 harmonic = 0;
  for (size_t n = 2; n < c.size(); ++n) {
    harmonic += kQ32One / Q32(n - 1);
    c[n] = 2 * harmonic - 2 * Q32(n - 1) * kQ32One / Q32(n);
  }
  return c;
}();

}  // namespace

void Forest::Train(absl::Span<const Sample> samples, Rng& rng) {
  CHECK_GE(samples.size(), kSubsample);
  nodes_.clear(), roots_.clear();
  std::vector<Sample> all(samples.begin(), samples.end());
  for (size_t tree = 0; tree < kTrees; ++tree) {
    // The first of a shuffle: drawn without putting back.
    for (size_t i = 0; i < kSubsample; ++i) std::swap(all[i], all[i + rng.Below(all.size() - i)]);
    roots_.push_back(uint32_t(nodes_.size()));
    Grow(absl::MakeSpan(all).first(kSubsample), 0, rng);
  }
}

void Forest::Grow(absl::Span<Sample> samples, uint32_t depth, Rng& rng) {
  const size_t at = nodes_.size();
  nodes_.push_back({.cut = uint32_t(samples.size())});
  if (samples.size() == 1 || depth == kDepthMax) return;
  Sample low = samples[0], high = samples[0];
  for (const Sample& s : samples) {
    for (size_t f = 0; f < kFeatures; ++f) low[f] = std::min(low[f], s[f]), high[f] = std::max(high[f], s[f]);
  }
  size_t differ = 0;
  std::array<uint8_t, kFeatures> features{};
  for (size_t f = 0; f < kFeatures; ++f) {
    if (low[f] != high[f]) features[differ++] = uint8_t(f);
  }
  if (differ == 0) return;
  const uint8_t f = features[rng.Below(differ)];
  // Whole numbers: a cut anywhere between two of them is the lower one.
  const uint32_t cut = low[f] + uint32_t(rng.Below(high[f] - low[f]));
  const auto middle = std::stable_partition(samples.begin(), samples.end(), [&](const Sample& s) { return s[f] <= cut; });
  const size_t left = size_t(middle - samples.begin());
  Grow(samples.first(left), depth + 1, rng);
  nodes_[at] = {.cut = cut, .low = low[f], .high = high[f], .right = uint16_t(nodes_.size() - at), .feature = f};
  Grow(samples.subspan(left), depth + 1, rng);
}

Q32 Forest::Path(size_t at, const Sample& x) const {
  Q32 path = 0, here = kQ32One;  // `here`: how likely it is that no cut has set x apart yet.
  for (;;) {
    const Node& n = nodes_[at];
    if (n.right == 0) return path + MulQ32(here, kMeanPaths[n.cut]);
    path += here;
    const uint32_t value = x[n.feature];
    if (slack_.has_value() && (value < n.low || value > n.high)) {
      const uint64_t slack = (*slack_)[n.feature], beyond = value < n.low ? n.low - value : value - n.high;
      const uint64_t gap = beyond > slack ? beyond - slack : 0;
      here = MulQ32(here, kQ32One - RatioQ32(int64_t(gap), int64_t(gap + n.high - n.low)));
    }
    at += value <= n.cut ? 1 : n.right;
  }
}

uint32_t Forest::Score(const Sample& x) const {
  if (!trained()) return kUntrained;
  Q32 sum = 0;
  for (uint32_t root : roots_) sum += Path(root, x);
  const Q32 mean = sum / Q32(kTrees);
  return uint32_t(ScaleQ32(1000, ExpQ32(-MulQ32(DivQ32(mean, kMeanPaths[kSubsample]), kLn2))));
}

}  // namespace orchard::guard
