// kernels NAME ROUNDS: runs one kernel so many times and prints nothing; without arguments lists them. For callgrind, whose
// count at two numbers of rounds gives the instructions of one.

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "bench/kernels.h"
#include "node/base/rng.h"

int main(int argc, char** argv) {
  orchard::ForbidHiddenRandomness();
  for (const orchard::bench::Kernel& k : orchard::bench::Kernels()) {
    if (argc == 1) std::printf("%s\n", k.name);
    if (argc == 3 && std::string_view(argv[1]) == k.name) return k.run(size_t(std::atol(argv[2]))), 0;
  }
  for (const auto& kernels : {orchard::bench::TimedKernels(), orchard::bench::ConnectKernels()}) {
    for (const orchard::bench::Kernel& k : kernels) {
      if (argc == 3 && std::string_view(argv[1]) == k.name) return k.run(size_t(std::atol(argv[2]))), 0;
    }
  }
  if (argc == 1) return 0;
  std::fprintf(stderr, "usage: kernels [NAME ROUNDS]; without arguments it lists the names\n");
  return 2;
}
