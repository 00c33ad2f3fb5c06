// What became of a site's requests, as its clients see it: for whoever watches.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "node/cage/latency.h"

namespace orchard::cage {

struct Traffic {
  // By the answer's status: 2xx, 3xx, 4xx, 5xx; and those whose client went away first.
  static constexpr std::array<std::string_view, 5> kNames = {"2xx", "3xx", "4xx", "5xx", "lost"};
  std::array<uint64_t, 5> counts{};
  uint64_t bytes_in = 0, bytes_out = 0;  // Of bodies.
  Latency latency;

  // Status 0: there was no answer. `us`: from the head of the request till the answer was handed on.
  void Add(Instant now, int status, uint64_t us, uint64_t in, uint64_t out) {
    ++counts[status == 0 ? 4 : size_t(status / 100 - 2)];
    bytes_in += in, bytes_out += out;
    if (status != 0) latency.Add(now, us);
  }
  uint64_t requests() const {
    uint64_t n = 0;
    for (uint64_t c : counts) n += c;
    return n;
  }
  uint64_t failures() const { return counts[3]; }
};

}  // namespace orchard::cage
