// What a fault does to the world, and how it is undone when its `for` is over.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/run/churn.h"
#include "sim/language/plan.h"
#include "sim/run/timeline_agenda.h"
#include "sim/run/timeline_stage.h"

namespace orchard::sim {

class FaultHand {
 public:
  FaultHand(const Scenario& scenario, const Plan& plan, uint64_t seed, Stage& stage, Agenda& agenda, Churner& churner)
      : scenario_(scenario), plan_(plan), seed_(seed), stage_(stage), agenda_(agenda), churner_(churner) {}

  // Does it, the n-th time. `lasts` is its `for`, or zero. The result undoes it; empty if there is nothing to undo.
  std::function<void()> Inflict(size_t entry, uint64_t n, Duration lasts);
  // Entries whose partition the last heal ended before their time.
  std::vector<size_t> TakeHealed() { return std::move(healed_); }

 private:
  struct Cut { size_t entry; uint64_t ticket; };
  std::function<void()> OnLinks(const Entry& e, uint64_t n, bool lasts);
  std::function<void()> Cut_(size_t entry);
  void Heal(const Entry& e);
  // Each host of `on`, at its own point of the spread.
  void EachHost(size_t entry, uint64_t n, const std::function<void(HostIndex)>& act);
  std::vector<std::string> Targets(const Entry& e) const;
  int64_t Drawn(const Draw& draw, const Entry& e, uint64_t n, std::string_view purpose) const;

  const Scenario& scenario_;
  const Plan& plan_;
  uint64_t seed_;
  Stage& stage_;
  Agenda& agenda_;
  Churner& churner_;
  std::vector<Cut> cuts_;
  std::vector<size_t> healed_;
};

World::Keep KeepOf(Fault::Store store);

}  // namespace orchard::sim
