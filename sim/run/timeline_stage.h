// What the timeline acts on: a lab (lab.h), or in tests a toy of one. One method per deed of sim/world/world.h; its comments hold.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/cage/job.h"
#include "sim/world/world.h"

namespace orchard::sim {

class Stage {
 public:
  virtual ~Stage() = default;
  virtual Instant now() const = 0;
  virtual void At(Instant when, std::function<void()> act) = 0;
  virtual bool up(HostIndex h) const = 0;
  virtual void StartHost(HostIndex h, World::Keep keep) = 0;
  virtual void Kill(HostIndex h) = 0;
  virtual void Stop(HostIndex h) = 0;
  virtual bool Call(HostIndex h, OpId op, std::string_view name, std::string_view params) = 0;
  virtual bool Cancel(HostIndex h, OpId op) = 0;
  virtual Endpoint public_address(HostIndex h) const = 0;
  virtual bool ChangeLink(std::string_view link, const World::LinkChange& change) = 0;
  virtual uint64_t PushLinkChange(std::string_view link, const World::LinkChange& change) = 0;
  virtual void PopLinkChange(uint64_t ticket) = 0;
  virtual bool Renumber(std::string_view link) = 0;
  virtual uint64_t Partition(const std::vector<std::vector<HostIndex>>& groups) = 0;
  virtual uint64_t PartitionOneWay(const std::vector<HostIndex>& from, const std::vector<HostIndex>& to) = 0;
  virtual void Heal(uint64_t ticket) = 0;
  virtual bool NatRemap(std::string_view box, uint32_t share_ppm, bool new_address) = 0;
  virtual bool NatReboot(std::string_view box, Duration down, bool new_address) = 0;
  virtual bool Clock(HostIndex h, Duration offset, int64_t drift_ppm) = 0;
  virtual bool Misbehave(HostIndex h, Misdeed how, uint32_t rate_ppm) = 0;
  // Of the site's cages that get requests the first `count`, or all if it is 0. Without a cause they hang. `site` empty: the only one.
  virtual bool BreakCages(HostIndex h, const std::string& site, uint32_t count, std::optional<cage::Cause> cause) = 0;
  // As many: what they compute takes `by` longer; 0: as before.
  virtual bool SlowCages(HostIndex h, const std::string& site, uint32_t count, Duration by) = 0;
  // One of the host's processes for cages, from 1 on, or all if it is 0.
  virtual bool KillCageProcess(HostIndex h, uint32_t process) = 0;
  virtual bool ChangeDisk(HostIndex h, World::Disk state, Duration delay) = 0;
};

}  // namespace orchard::sim
