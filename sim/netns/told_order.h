// What several processes told, put back into the order in which it happened. Their pipes are read one after the other: whoever is
// read last may tell what came of something that stands in a pipe read before, and was not there yet. A process tells a thing
// before its consequences leave it; so whatever happened before the moment in which a round of reading began has been read when
// the round is over, and may be told on in order. The rest waits for the next round.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "node/base/time.h"

namespace orchard::sim {

template <class T>
class ToldOrder {
 public:
  void Add(Instant at, T told) { waiting_.emplace(at, std::move(told)); }
  // Hands over all that happened before `round_began`, oldest first; of one moment, what was added first.
  void Take(Instant round_began, const std::function<void(T&&)>& each) {
    while (!waiting_.empty() && waiting_.begin()->first < round_began) {
      auto first = waiting_.extract(waiting_.begin());  // `each` may add or take.
      each(std::move(first.mapped()));
    }
  }
  bool empty() const { return waiting_.empty(); }

 private:
  std::multimap<Instant, T> waiting_;
};

}  // namespace orchard::sim
