// The hot paths, each as a function of a number of rounds: Google Benchmark times them, callgrind counts their instructions.
#pragma once

#include <cstddef>

#include "absl/types/span.h"

namespace orchard::bench {

struct Kernel {
  const char* name;
  const char* says;   // What one round does.
  void (*run)(size_t rounds);
};

absl::Span<const Kernel> Kernels();
// Too long for callgrind.
absl::Span<const Kernel> TimedKernels();
// Whole connections, whose DHT costs more than a few rounds: counted at numbers of rounds of their own.
absl::Span<const Kernel> ConnectKernels();

}  // namespace orchard::bench
