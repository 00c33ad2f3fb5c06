// One access link, or a bottleneck that several share: a queue each way with a rate, then a delay, and the ways in which a
// link goes wrong. Analytic: one call per packet says when it comes out at the far end, without an event of its own.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "sim/world/chance.h"
#include "sim/language/spec.h"
#include "sim/world/world.h"

namespace orchard::sim {

enum class Way : uint8_t { kOut = 0, kIn = 1 };  // As whoever owns the link sees it.

struct WayParams {
  int64_t ps_per_byte = 0;  // 0: no time at all.
  int64_t delay_ns = 0, jitter_ns = 0, queue_ns = 100'000'000;
  uint32_t loss_ppm = 0, burst_mean = 0, reorder_ppm = 0, duplicate_ppm = 0, corrupt_ppm = 0, mtu = 1500;
  uint8_t cuts = 0;  // The IP protocol that does not come through; 0: all do.
  bool up = true;
  friend auto operator<=>(const WayParams&, const WayParams&) = default;
};

struct LineParams {
  WayParams way[2];
  friend auto operator<=>(const LineParams&, const LineParams&) = default;
  static LineParams Of(const LinkSpec& spec);
  // With `change` laid over it.
  LineParams With(const World::LinkChange& change) const;
};

// How a packet comes through.
struct Passage {
  std::string_view drop{};     // Empty: it arrives.
  int64_t leaves = 0;          // The queue is done with it.
  int64_t arrives = 0;         // After the delay.
  int64_t arrives_again = -1;  // A duplicate.
  bool corrupt = false;
  uint64_t corrupt_bit = 0;    // Any number; the packet's size makes it a place.
};

class Line {
 public:
  // `params` and `name` must outlive the line; most lines share theirs.
  Line(const LineParams* params, std::string_view name, uint64_t key);

  Passage Pass(Way way, int64_t now, uint32_t size);
  // Counts a packet that died on it for another reason.
  void CountDrop(Way way) { ++lanes_[int(way)].info.drops; }

  uint8_t cuts(Way way) const { return params_->way[int(way)].cuts; }
  bool up() const { return params_->way[0].up || params_->way[1].up; }
  const LineParams& params() const { return *params_; }
  // Its queue is empty.
  void Clear(Way way) { lanes_[int(way)].busy_until_ps = 0; }
  // Packets already accepted keep their time.
  void set_params(const LineParams* params) { params_ = params; }
  std::string_view name() const { return name_; }
  const World::WayInfo& info(Way way) const { return lanes_[int(way)].info; }

 private:
  struct Lane {
    int64_t busy_until_ps = 0;
    Luck luck;
    bool bad = false;  // Gilbert's state: all is lost.
    World::WayInfo info;
  };
  static bool Lost(const WayParams& p, Lane& lane);

  const LineParams* params_;
  std::string_view name_;
  uint64_t key_;
  Lane lanes_[2];
};

}  // namespace orchard::sim
