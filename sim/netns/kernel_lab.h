// A case in the kernel, in real time: the daemons, the namespaces between them, and what the timeline does to both. The same
// timeline, recorder and judge as in ns-3's world.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/netns/kernel_net.h"
#include "sim/netns/peer_process.h"
#include "sim/netns/told_order.h"
#include "sim/run/lab.h"

namespace orchard::sim {

class KernelLab final : public Lab {
 public:
  struct Programs {
    std::string daemon;              // `orchard`.
    std::string node, js_peer;       // The JavaScript engine, and the peer's script.
  };
  static absl::StatusOr<std::unique_ptr<KernelLab>> Make(const Plan& plan, Observer* observer, const Programs& programs);
  ~KernelLab() override;

  std::string_view kind() const override { return "netns"; }
  void RunUntil(Instant end) override;
  std::vector<std::string> notes() const override { return notes_; }
  void Note(std::string text) { notes_.push_back(std::move(text)); }
  std::vector<std::string> complaints() const override;

  Instant now() const override { return now_; }
  void At(Instant when, std::function<void()> act) override;
  bool up(HostIndex h) const override { return lives_[h].up; }
  void StartHost(HostIndex h, World::Keep keep) override;
  void Kill(HostIndex h) override;
  void Stop(HostIndex h) override;
  bool Call(HostIndex h, OpId op, std::string_view name, std::string_view params) override;
  bool Cancel(HostIndex h, OpId op) override;
  Endpoint public_address(HostIndex h) const override;
  bool ChangeLink(std::string_view link, const World::LinkChange& change) override { return net_->ChangeLink(link, change); }
  uint64_t PushLinkChange(std::string_view link, const World::LinkChange& c) override { return net_->PushLinkChange(link, c); }
  void PopLinkChange(uint64_t ticket) override { net_->PopLinkChange(ticket); }
  bool Renumber(std::string_view link) override { return net_->Renumber(link); }
  uint64_t Partition(const std::vector<std::vector<HostIndex>>& groups) override { return net_->Partition(groups); }
  uint64_t PartitionOneWay(const std::vector<HostIndex>& from, const std::vector<HostIndex>& to) override { return net_->PartitionOneWay(from, to); }
  void Heal(uint64_t ticket) override { net_->Heal(ticket); }
  bool NatRemap(std::string_view box, uint32_t share_ppm, bool new_address) override;
  bool NatReboot(std::string_view box, Duration down, bool new_address) override;
  bool Clock(HostIndex, Duration, int64_t) override { return false; }     // Refused before anything starts.
  bool Misbehave(HostIndex, Misdeed, uint32_t) override { return false; }
  bool BreakCages(HostIndex, const std::string&, uint32_t, std::optional<cage::Cause>) override { return false; }
  bool SlowCages(HostIndex, const std::string&, uint32_t, Duration) override { return false; }
  bool KillCageProcess(HostIndex, uint32_t) override { return false; }
  bool ChangeDisk(HostIndex, World::Disk, Duration) override { return false; }

  size_t size() const override { return plan_.world.hosts.size(); }
  std::optional<HostIndex> Find(std::string_view id) const override;
  uint32_t incarnation(HostIndex h) const override { return lives_[h].incarnation; }
  Totals totals() const override;
  uint64_t bytes_sent(HostIndex h) const override { return net_->sent(h).bytes; }
  std::vector<World::BoxInfo> boxes() const override { return net_->boxes(); }
  std::vector<World::LinkInfo> links() const override { return net_->links(); }
  std::string fingerprint() const override { return ""; }
  std::vector<std::string> checkpoints() const override { return {}; }
  const HostCheckpoints* host_checkpoints() const override { return nullptr; }
  bool sees_all() const override { return false; }

 private:
  struct Life {
    std::unique_ptr<PeerProcess> process;  // Null: down, or a host that runs nothing.
    bool up = false, stopping = false;
    uint32_t incarnation = 0;
    Instant stop_by = kNever;              // Then it is killed.
  };
  KernelLab(const Plan& plan, Observer* observer, Programs programs);
  absl::Status Begin();
  PeerProcess::Command CommandOf(HostIndex h);
  std::string Folder(HostIndex h) const;
  void Tick(Instant end);
  void Wait(Instant until);
  void Listen(HostIndex h);
  // Tells the observer all that happened before.
  void TellOn(Instant before);
  void OnEvent(HostIndex h, const std::string& line);
  void OnAnswer(HostIndex h, const std::string& line);
  void Down(HostIndex h, bool graceful);
  void Complain(std::string text);
  void ScheduleRemap(size_t box);

  const Plan& plan_;
  Observer* observer_;
  Programs programs_;
  std::string dir_;                        // Data directories, sockets, logs.
  std::unique_ptr<KernelNet> net_;
  std::vector<Life> lives_;
  std::vector<std::string> configs_;       // By host: what `--set` lays over its file.
  std::string roots_;
  std::vector<Rng> remap_luck_;            // By box.
  Instant began_{}, now_{};
  Duration js_clock_{};                    // A JavaScript peer's, plus this, is ours.
  struct Told {
    HostIndex host;
    bool answer;                           // Of an operation; else an event.
    std::string line;
  };
  ToldOrder<Told> told_;
  std::map<std::pair<Instant, uint64_t>, std::function<void()>> acts_;
  uint64_t next_act_ = 0, events_ = 0;
  std::vector<std::string> notes_, complaints_;
};

// Why this machine cannot run `plan` in namespaces, and what to do about it, in a sentence; empty: it can.
std::string KernelObstacle(const KernelLab::Programs& programs, bool js);
// Where they are: beside this program, or where the build puts them.
KernelLab::Programs FindPrograms();

}  // namespace orchard::sim
