// A turn without a host, for machines that need no more than the time and luck.
#pragma once

#include "node/base/turn.h"
#include "node/store/mem_store.h"

namespace orchard {

struct BareTurn {
  explicit BareTurn(uint64_t seed = 1) : rng(Rng::Named(seed, "bare-turn", "")) {}

  Rng rng;
  MemStore store;
  Outbox out;
  Trace trace{nullptr, nullptr};
  Turn turn{Instant{}, {}, rng, store, out, trace};
  BareTurn(const BareTurn&) = delete;

  Turn& At(Duration since_start) {
    turn.now = Instant{} + since_start;
    return turn;
  }
};

}  // namespace orchard
