#include "node/dht/nat_sampler.h"

#include "node/base/check.h"

namespace orchard::dht {

// The tally of an equal recent sample, or a new one. `back` is 2 for full addresses, 1 for hosts: they alternate.
NatSampler::Ref NatSampler::Bump(Ipv4Address address, uint8_t back) {
  for (uint8_t i = 0; i < kLookBack; ++i) {
    uint8_t j = uint8_t(top_ - back - 2 * i) & (2 * kSamples - 1);
    if (j >= filled_) break;
    Tally& t = tallies_[samples_[j]];
    if (t.address != address) continue;
    ++t.hits, ++t.refs;
    return samples_[j];
  }
  Ref free = 0;
  while (tallies_[free].refs > 0) ++free;
  CHECK_LT(free, tallies_.size());
  tallies_[free] = {address, 1, 1};
  return free;
}

void NatSampler::Prefer(Ref& best, Ref candidate) {
  if (best != kNone && tallies_[best].hits >= tallies_[candidate].hits) return;
  ++tallies_[candidate].refs;
  if (best != kNone) Release(best);
  best = candidate;
}

int NatSampler::Add(Ipv4Address sample) {
  Ref full = Bump(sample, 2), host = Bump({sample.host, 0}, 1);
  if (filled_ < samples_.size()) {
    ++size_;
    threshold_ = uint8_t(size_ - (size_ < 4 ? 0 : size_ < 8 ? 1 : size_ < 12 ? 2 : 3));
    samples_[filled_++] = full, samples_[filled_++] = host;
    top_ = uint8_t(top_ + 2);
  } else {
    if (top_ == samples_.size()) top_ = 0;
    for (Ref next : {full, host}) {
      Ref old = samples_[top_];
      samples_[top_++] = next;
      --tallies_[old].hits, Release(old);
    }
  }
  Prefer(best_full_, full), Prefer(best_host_, host);

  const Tally &a = tallies_[best_full_], &b = tallies_[best_host_];
  host_known_ = a.hits >= threshold_ || b.hits >= threshold_;
  estimate_ = a.hits >= threshold_ ? a.address : b.hits >= threshold_ ? b.address : Ipv4Address{};
  return tallies_[full].hits;
}

}  // namespace orchard::dht
