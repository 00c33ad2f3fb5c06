#include "sim/world/line.h"

#include <algorithm>

namespace orchard::sim {
namespace {

// Held back by `reorder`: up to this much later than its turn.
constexpr int64_t kReorderMaxNs = 20'000'000;

int64_t PsPerByte(int64_t bps) { return 8'000'000'000'000 / std::max<int64_t>(1, bps); }

}  // namespace

LineParams LineParams::Of(const LinkSpec& spec) {
  WayParams w;
  w.delay_ns = spec.delay.count(), w.jitter_ns = spec.jitter.count(), w.queue_ns = spec.queue.count();
  w.loss_ppm = spec.loss_ppm, w.mtu = spec.mtu;
  LineParams p{{w, w}};
  p.way[int(Way::kOut)].ps_per_byte = PsPerByte(spec.up_bps);
  p.way[int(Way::kIn)].ps_per_byte = PsPerByte(spec.down_bps);
  return p;
}

LineParams LineParams::With(const World::LinkChange& c) const {
  LineParams p = *this;
  for (Way way : {Way::kOut, Way::kIn}) {
    if (!(way == Way::kOut ? c.outbound : c.inbound)) continue;
    WayParams& w = p.way[int(way)];
    const auto& bps = way == Way::kOut ? c.up_bps : c.down_bps;
    if (bps) w.ps_per_byte = PsPerByte(*bps);
    if (c.delay) w.delay_ns = c.delay->count();
    if (c.jitter) w.jitter_ns = c.jitter->count();
    if (c.queue) w.queue_ns = c.queue->count();
    if (c.loss_ppm) w.loss_ppm = *c.loss_ppm;
    if (c.mtu) w.mtu = *c.mtu;
    if (c.reorder_ppm) w.reorder_ppm = *c.reorder_ppm;
    if (c.duplicate_ppm) w.duplicate_ppm = *c.duplicate_ppm;
    if (c.corrupt_ppm) w.corrupt_ppm = *c.corrupt_ppm;
    if (c.burst_mean) w.burst_mean = *c.burst_mean;
    if (c.cuts) w.cuts = *c.cuts;
    if (c.up) w.up = *c.up;
  }
  return p;
}

Line::Line(const LineParams* params, std::string_view name, uint64_t key)
    : params_(params), name_(name), key_(key), lanes_{{.luck = Luck(Mix(key + 1))}, {.luck = Luck(Mix(key + 2))}} {}

bool Line::Lost(const WayParams& p, Lane& lane) {
  if (p.loss_ppm == 0) return false;
  if (p.loss_ppm >= 1'000'000) return true;
  if (p.burst_mean < 2) return lane.luck.Chance(p.loss_ppm);
  // Gilbert (1960): bursts of `burst_mean` packets on average; entered so often that the share of losses is `loss_ppm`.
  const uint64_t leave = 1'000'000 / p.burst_mean;
  const uint64_t enter = leave * p.loss_ppm / (1'000'000 - p.loss_ppm);
  lane.bad = lane.bad ? !lane.luck.Chance(uint32_t(leave)) : lane.luck.Chance(uint32_t(std::min<uint64_t>(enter, 1'000'000)));
  return lane.bad;
}

Passage Line::Pass(Way way, int64_t now, uint32_t size) {
  const WayParams& p = params_->way[int(way)];
  Lane& lane = lanes_[int(way)];
  World::WayInfo& info = lane.info;
  auto drop = [&](std::string_view why) {
    ++info.drops;
    return Passage{.drop = why};
  };
  if (!p.up) return drop("down");
  if (size > p.mtu) return drop("mtu");
  const int64_t now_ps = now * 1000;  // Overflows after 106 simulated days.
  const int64_t start_ps = std::max(lane.busy_until_ps, now_ps), wait_ns = (start_ps - now_ps) / 1000;
  if (wait_ns > p.queue_ns) return drop("queue");
  const int64_t service_ps = p.ps_per_byte * size;
  lane.busy_until_ps = start_ps + service_ps;
  ++info.packets, info.bytes += size;
  info.busy += Duration(service_ps / 1000), info.queue_total += Duration(wait_ns);
  info.queue_max = std::max(info.queue_max, Duration(wait_ns));
  // What is lost on the air has used it.
  if (Lost(p, lane)) return drop("loss");

  Passage out;
  out.leaves = (lane.busy_until_ps + 999) / 1000;
  out.arrives = std::max(out.leaves, out.leaves + p.delay_ns + Jitter(Mix(key_ + 3 + uint64_t(way)), out.leaves, p.jitter_ns));
  if (p.duplicate_ppm != 0 && lane.luck.Chance(p.duplicate_ppm)) out.arrives_again = out.arrives;
  if (p.reorder_ppm != 0 && lane.luck.Chance(p.reorder_ppm)) out.arrives += 1 + int64_t(lane.luck.Below(kReorderMaxNs));
  if (p.corrupt_ppm != 0 && lane.luck.Chance(p.corrupt_ppm)) out.corrupt = true, out.corrupt_bit = lane.luck.Next();
  return out;
}

}  // namespace orchard::sim
