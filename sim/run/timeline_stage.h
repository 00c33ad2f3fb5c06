// What the timeline acts on: the world, or in tests a toy of it. One method per deed of sim/world/world.h; its comments hold.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

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
  virtual bool ChangeDisk(HostIndex h, World::Disk state, Duration delay) = 0;
};

class WorldStage final : public Stage {
 public:
  explicit WorldStage(World& world) : w_(world) {}
  Instant now() const override { return w_.now(); }
  void At(Instant when, std::function<void()> act) override { w_.At(when, std::move(act)); }
  bool up(HostIndex h) const override { return w_.up(h); }
  void StartHost(HostIndex h, World::Keep keep) override { w_.StartHost(h, keep); }
  void Kill(HostIndex h) override { w_.Kill(h); }
  void Stop(HostIndex h) override { w_.Stop(h); }
  bool Call(HostIndex h, OpId op, std::string_view name, std::string_view params) override { return w_.Call(h, op, name, params); }
  bool Cancel(HostIndex h, OpId op) override { return w_.Cancel(h, op); }
  Endpoint public_address(HostIndex h) const override { return w_.public_address(h); }
  bool ChangeLink(std::string_view link, const World::LinkChange& change) override { return w_.ChangeLink(link, change); }
  uint64_t PushLinkChange(std::string_view link, const World::LinkChange& c) override { return w_.PushLinkChange(link, c); }
  void PopLinkChange(uint64_t ticket) override { w_.PopLinkChange(ticket); }
  bool Renumber(std::string_view link) override { return w_.Renumber(link); }
  uint64_t Partition(const std::vector<std::vector<HostIndex>>& groups) override { return w_.Partition(groups); }
  uint64_t PartitionOneWay(const std::vector<HostIndex>& from, const std::vector<HostIndex>& to) override {
    return w_.PartitionOneWay(from, to);
  }
  void Heal(uint64_t ticket) override { w_.Heal(ticket); }
  bool NatRemap(std::string_view b, uint32_t share_ppm, bool fresh) override { return w_.NatRemap(b, share_ppm, fresh); }
  bool NatReboot(std::string_view b, Duration down, bool fresh) override { return w_.NatReboot(b, down, fresh); }
  bool Clock(HostIndex h, Duration offset, int64_t drift_ppm) override { return w_.Clock(h, offset, drift_ppm); }
  bool ChangeDisk(HostIndex h, World::Disk state, Duration delay) override { return w_.ChangeDisk(h, state, delay); }

 private:
  World& w_;
};

}  // namespace orchard::sim
