// Google Benchmark over the kernels. Absolute times of a shared machine mean little; bench/run counts instructions too.

#include <benchmark/benchmark.h>
#include <malloc.h>

#include "bench/kernels.h"
#include "node/base/rng.h"

int main(int argc, char** argv) {
  orchard::ForbidHiddenRandomness();
  mallopt(M_TRIM_THRESHOLD, 16 << 20), mallopt(M_MMAP_THRESHOLD, 4 << 20);  // As the daemon: host/os.h, KeepFreedMemory.
  for (const auto& kernels : {orchard::bench::Kernels(), orchard::bench::TimedKernels()}) {
    for (const orchard::bench::Kernel& k : kernels) {
      benchmark::RegisterBenchmark(k.name, [&k](benchmark::State& state) {
        constexpr size_t kRounds = 64;
        while (state.KeepRunningBatch(kRounds)) k.run(kRounds);
        state.SetLabel(k.says);
      });
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
