// Which seeds a sweep runs, and which of its runs are this process's share when several ranks work on one sweep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace orchard::sim {

struct SeedRange {
  uint64_t first = 1, last = 1;  // Both included.
  uint64_t count() const { return last - first + 1; }
  std::string text() const;      // "1..200", or "17".
  friend bool operator==(const SeedRange&, const SeedRange&) = default;
};

inline constexpr uint64_t kSeedLast = uint64_t{1} << 53;  // What every JSON reader keeps exactly.
inline constexpr uint64_t kSeedsMax = 1'000'000;          // As "sweep" of a file.

// "1..200", or "17" for one seed. Nothing if it is neither, or too many.
std::optional<SeedRange> ParseSeeds(std::string_view text);

// One of `size` processes that share the runs of a sweep.
struct Rank {
  uint64_t rank = 0, size = 1;
  std::string from;  // What said so: "OMPI_COMM_WORLD_RANK". Empty: nothing did.
  bool takes(size_t run) const { return run % size == rank; }
};

// "0/4": the first of four. Nothing if it is no share.
std::optional<Rank> ParseShare(std::string_view text);

// Of Open MPI, else of PMI (MPICH, srun --mpi=pmi2), else of srun; in a Slurm array each of its tasks has that many. `variable`
// answers as getenv does. Nothing, and `error`, if what is set makes no sense.
std::optional<Rank> RankOf(const std::function<const char*(const char*)>& variable, std::string& error);

}  // namespace orchard::sim
