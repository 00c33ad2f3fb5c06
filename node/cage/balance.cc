#include "node/cage/balance.h"

namespace orchard::cage {

std::string_view BalanceName(Balance balance) {
  static constexpr std::string_view kNames[] = {"round-robin", "least-connected", "weighted", "two-choices"};
  return kNames[size_t(balance)];
}

std::optional<size_t> Balancer::Choose(Balance balance, absl::Span<const Candidate> slots, Rng& rng) {
  std::vector<size_t> able;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].able) able.push_back(i);
  }
  if (able.empty()) return std::nullopt;
  switch (balance) {
    case Balance::kRoundRobin: {
      // The next after the last: whoever follows one that cannot would otherwise get its share too.
      for (size_t i : able) {
        if (i >= next_) return next_ = i + 1, i;
      }
      return next_ = able.front() + 1, able.front();
    }
    case Balance::kLeastConnected: {
      size_t best = able.front();
      for (size_t i : able) {
        if (slots[i].active < slots[best].active) best = i;
      }
      return best;
    }
    case Balance::kWeighted: {
      // nginx's ngx_http_upstream_get_peer: each gains its weight, the richest is taken and pays the sum.
      current_.resize(slots.size());
      int64_t sum = 0;
      size_t best = able.front();
      for (size_t i : able) {
        current_[i] += slots[i].weight, sum += slots[i].weight;
        if (current_[i] > current_[best]) best = i;
      }
      current_[best] -= sum;
      return best;
    }
    case Balance::kTwoChoices: {
      if (able.size() == 1) return able.front();
      const size_t a = size_t(rng.Below(able.size()));
      size_t b = size_t(rng.Below(able.size() - 1));
      if (b >= a) ++b;
      return slots[able[b]].active < slots[able[a]].active ? able[b] : able[a];
    }
  }
  return std::nullopt;
}

}  // namespace orchard::cage
