// The lives of hosts: when each starts, and how churners come and go. A kill or stop of the timeline suspends a host's churn
// until a start. Every draw is from the stream (seed, host, "churn").
#pragma once

#include <cstdint>
#include <vector>

#include "node/base/rng.h"
#include "sim/run/moments.h"
#include "sim/language/plan.h"
#include "sim/run/timeline_agenda.h"

namespace orchard::sim {

class Churner {
 public:
  Churner(const Plan& plan, uint64_t seed, Stage& stage, Agenda& agenda);

  // Puts the first start of every host whose moment is known on the agenda; again after each new moment.
  void Prepare(const Moments& moments);
  void OnDown(HostIndex h);
  // A fault took the host down, or up: its churn stands still, or goes on with a fresh session.
  void Suspend(HostIndex h) { if (!lives_.empty()) ++lives_[h].epoch, lives_[h].suspended = true; }
  void Resume(HostIndex h);
  bool churns(HostIndex h) const { return plan_.lives[h].churns; }

 private:
  struct Life {
    Rng rng;
    uint32_t epoch = 0;       // Agenda entries of an older one are void.
    bool begun = false, suspended = false;
  };
  void Arrive(HostIndex h, Duration session);
  void Depart(HostIndex h);
  void After(HostIndex h, Duration wait, bool arrive);

  const Plan& plan_;
  Stage& stage_;
  Agenda& agenda_;
  std::vector<Life> lives_;
};

}  // namespace orchard::sim
