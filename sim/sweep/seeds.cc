#include "sim/sweep/seeds.h"

#include <charconv>

#include "sim/language/text.h"

namespace orchard::sim {
namespace {

std::optional<uint64_t> Whole(std::string_view text) {
  uint64_t n = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

}  // namespace

std::string SeedRange::text() const { return first == last ? std::to_string(first) : Cat(first, "..", last); }

std::optional<SeedRange> ParseSeeds(std::string_view text) {
  const size_t dots = text.find("..");
  const std::optional<uint64_t> first = Whole(text.substr(0, dots)), last = dots == text.npos ? first : Whole(text.substr(dots + 2));
  if (!first || !last || *first > *last || *last > kSeedLast || *last - *first >= kSeedsMax) return std::nullopt;
  return SeedRange{*first, *last};
}

std::optional<Rank> ParseShare(std::string_view text) {
  const size_t stroke = text.find('/');
  if (stroke == text.npos) return std::nullopt;
  const std::optional<uint64_t> rank = Whole(text.substr(0, stroke)), size = Whole(text.substr(stroke + 1));
  if (!rank || !size || *rank >= *size) return std::nullopt;
  return Rank{*rank, *size, "--share"};
}

std::optional<Rank> RankOf(const std::function<const char*(const char*)>& variable, std::string& error) {
  struct Pair {
    const char *rank, *size;
  };
  // A launcher's own variables first: under mpirun in a Slurm job those of srun are of the launcher's daemons.
  constexpr Pair kPairs[] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"}, {"PMI_RANK", "PMI_SIZE"}, {"SLURM_PROCID", "SLURM_NTASKS"}};
  auto number = [&](const char* name) -> std::optional<uint64_t> {
    const char* text = variable(name);
    if (text == nullptr) return std::nullopt;
    std::optional<uint64_t> n = Whole(text);
    if (!n) error = Cat(name, ": found \"", text, "\"; expected a number");
    return n;
  };
  auto fits = [&](const Rank& r, const Pair& p) {
    if (error.empty() && r.rank >= r.size) error = Cat(p.rank, " is ", r.rank, ", but ", p.size, " is ", r.size);
    return error.empty();
  };
  Rank out;
  for (const Pair& p : kPairs) {
    if (variable(p.rank) == nullptr || variable(p.size) == nullptr) continue;
    out = {number(p.rank).value_or(0), number(p.size).value_or(1), p.rank};
    if (!fits(out, p)) return std::nullopt;
    break;
  }
  constexpr Pair kArray = {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"};
  if (variable(kArray.rank) == nullptr || variable(kArray.size) == nullptr) return out;
  const uint64_t id = number(kArray.rank).value_or(0), least = number("SLURM_ARRAY_TASK_MIN").value_or(0);
  const uint64_t step = number("SLURM_ARRAY_TASK_STEP").value_or(1);
  if (error.empty() && (id < least || step == 0 || (id - least) % step != 0)) error = "SLURM_ARRAY_TASK_ID: expected an array such as 0-15 or 1-31:2";
  if (!error.empty()) return std::nullopt;
  const Rank array{(id - least) / step, number(kArray.size).value_or(1), kArray.rank};
  if (!fits(array, kArray)) return std::nullopt;
  return Rank{array.rank * out.size + out.rank, array.size * out.size, out.size > 1 ? Cat(array.from, " and ", out.from) : array.from};
}

}  // namespace orchard::sim
