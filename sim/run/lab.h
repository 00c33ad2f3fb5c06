// What a case runs in: the timeline acts on it (Stage), results are read from it (View). ns-3's world is one; the kernel's
// namespaces are another (sim/netns).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/run/cage_lab.h"
#include "sim/run/cage_runner.h"
#include "sim/run/runner_nodes.h"
#include "sim/run/timeline_stage.h"

namespace orchard::sim {

// The figures of sim/world/world.h; its comments hold.
class View {
 public:
  virtual ~View() = default;
  virtual Instant now() const = 0;
  virtual size_t size() const = 0;
  virtual std::optional<HostIndex> Find(std::string_view id) const = 0;
  virtual bool up(HostIndex h) const = 0;
  virtual uint32_t incarnation(HostIndex h) const = 0;
  virtual Endpoint public_address(HostIndex h) const = 0;
  virtual Totals totals() const = 0;
  virtual uint64_t bytes_sent(HostIndex h) const = 0;
  virtual std::vector<World::BoxInfo> boxes() const = 0;
  virtual std::vector<World::LinkInfo> links() const = 0;
  virtual std::string fingerprint() const = 0;  // Empty: such runs do not repeat.
  virtual std::vector<std::string> checkpoints() const = 0;
  virtual const HostCheckpoints* host_checkpoints() const = 0;  // Null: such runs do not repeat.

  // False: drops, the inside of nodes, and what boxes counted are not known, rather than zero.
  virtual bool sees_all() const = 0;
};

class Lab : public Stage, public View {
 public:
  Instant now() const override = 0;
  bool up(HostIndex h) const override = 0;
  Endpoint public_address(HostIndex h) const override = 0;

  virtual std::string_view kind() const = 0;  // "ns3", "netns"
  // Afterwards now() == end. Splitting a run changes nothing that happens in it.
  virtual void RunUntil(Instant end) = 0;
  // What the reader of the result must know; and what makes the run fail, whatever its claims say.
  virtual std::vector<std::string> notes() const { return {}; }
  virtual std::vector<std::string> complaints() const { return {}; }
};

// ns-3's.
class WorldLab final : public Lab {
 public:
  WorldLab(const Plan& plan, NodePool& nodes, Observer* observer)
      : nodes_(nodes), w_(std::make_unique<World>(std::shared_ptr<const WorldPlan>(std::shared_ptr<void>(), &plan.world), nodes.Factory(w_), observer)),
        cages_(MakeCageRunner, [this] { return w_->now(); }, [this](Instant at, std::function<void()> act) { w_->At(at, std::move(act)); },
               [this](HostIndex h, uint32_t life, JobId job, absl::StatusCode status, Bytes result) { w_->FinishJob(h, life, job, status, result); }) {
    w_->SetJobRunner(&cages_);
  }
  std::string_view kind() const override { return "ns3"; }
  void RunUntil(Instant end) override { w_->RunUntil(end); }
  Instant now() const override { return w_->now(); }
  void At(Instant when, std::function<void()> act) override { w_->At(when, std::move(act)); }
  bool up(HostIndex h) const override { return w_->up(h); }
  void StartHost(HostIndex h, World::Keep keep) override { w_->StartHost(h, keep); }
  void Kill(HostIndex h) override { w_->Kill(h); }
  void Stop(HostIndex h) override { w_->Stop(h); }
  bool Call(HostIndex h, OpId op, std::string_view name, std::string_view params) override { return w_->Call(h, op, name, params); }
  bool Cancel(HostIndex h, OpId op) override { return w_->Cancel(h, op); }
  Endpoint public_address(HostIndex h) const override { return w_->public_address(h); }
  bool ChangeLink(std::string_view link, const World::LinkChange& change) override { return w_->ChangeLink(link, change); }
  uint64_t PushLinkChange(std::string_view link, const World::LinkChange& c) override { return w_->PushLinkChange(link, c); }
  void PopLinkChange(uint64_t ticket) override { w_->PopLinkChange(ticket); }
  bool Renumber(std::string_view link) override { return w_->Renumber(link); }
  uint64_t Partition(const std::vector<std::vector<HostIndex>>& groups) override { return w_->Partition(groups); }
  uint64_t PartitionOneWay(const std::vector<HostIndex>& from, const std::vector<HostIndex>& to) override {
    return w_->PartitionOneWay(from, to);
  }
  void Heal(uint64_t ticket) override { w_->Heal(ticket); }
  bool NatRemap(std::string_view b, uint32_t share_ppm, bool fresh) override { return w_->NatRemap(b, share_ppm, fresh); }
  bool NatReboot(std::string_view b, Duration down, bool fresh) override { return w_->NatReboot(b, down, fresh); }
  bool Clock(HostIndex h, Duration offset, int64_t drift_ppm) override { return w_->Clock(h, offset, drift_ppm); }
  bool Misbehave(HostIndex h, Misdeed how, uint32_t rate_ppm) override { return nodes_.Misbehave(h, how, rate_ppm), true; }
  bool BreakCages(HostIndex h, const std::string& site, uint32_t count, std::optional<cage::Cause> cause) override {
    const std::vector<uint32_t> cages = nodes_.HealthyCages(h, site);
    for (size_t i = 0; i < cages.size() && (count == 0 || i < count); ++i) cause.has_value() ? cages_.Crash(h, cages[i], *cause) : cages_.Hang(h, cages[i]);
    return !cages.empty();
  }
  bool SlowCages(HostIndex h, const std::string& site, uint32_t count, Duration by) override {
    const std::vector<uint32_t> cages = nodes_.HealthyCages(h, site);
    for (size_t i = 0; i < cages.size() && (count == 0 || i < count); ++i) cages_.Slow(h, cages[i], by);
    return !cages.empty();
  }
  bool KillCageProcess(HostIndex h, uint32_t process) override {
    bool any = false;
    for (uint32_t p = 1; p <= CageLab::kProcesses; ++p) any |= (process == 0 || p == process) && cages_.KillProcess(h, p - 1);
    return any;
  }
  bool ChangeDisk(HostIndex h, World::Disk state, Duration delay) override { return w_->ChangeDisk(h, state, delay); }

  size_t size() const override { return w_->size(); }
  std::optional<HostIndex> Find(std::string_view id) const override { return w_->Find(id); }
  uint32_t incarnation(HostIndex h) const override { return w_->incarnation(h); }
  Totals totals() const override { return w_->totals(); }
  uint64_t bytes_sent(HostIndex h) const override { return w_->bytes_sent(h); }
  std::vector<World::BoxInfo> boxes() const override { return w_->boxes(); }
  std::vector<World::LinkInfo> links() const override { return w_->links(); }
  std::string fingerprint() const override { return w_->fingerprint(); }
  std::vector<std::string> checkpoints() const override { return w_->checkpoints(); }
  const HostCheckpoints* host_checkpoints() const override { return &w_->host_checkpoints(); }
  bool sees_all() const override { return true; }

 private:
  NodePool& nodes_;
  std::unique_ptr<World> w_;
  CageLab cages_;
};

}  // namespace orchard::sim
