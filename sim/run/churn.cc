#include "sim/run/churn.h"

#include <algorithm>

namespace orchard::sim {
namespace {

// A session or absence of no length would let one instant never end.
constexpr int64_t kSessionMin = 1'000'000;

Duration Draw1(const Draw& draw, Rng& rng) { return Duration(std::max<int64_t>(Sample(draw, rng), kSessionMin)); }

}  // namespace

Churner::Churner(const Plan& plan, uint64_t seed, Stage& stage, Agenda& agenda) : plan_(plan), stage_(stage), agenda_(agenda) {
  for (const HostPlan& h : plan.world.hosts) lives_.push_back({.rng = Rng::Named(seed, h.id, "churn")});
}

void Churner::Prepare(const Moments& moments) {
  for (HostIndex h = 0; h < lives_.size(); ++h) {
    if (lives_[h].begun) continue;
    const HostLife& plan = plan_.lives[h];
    std::optional<Instant> start;
    if (plan.start == HostLife::Start::kAt) start = Instant(plan.at);
    if (plan.start == HostLife::Start::kMoment) start = moments.At(plan.moment);
    if (!start) continue;
    lives_[h].begun = true;
    const uint32_t epoch = lives_[h].epoch;
    const bool up_first = !plan.churns || plan.churn_starts_up;
    agenda_.Put(up_first ? *start : *start + plan.first_change, Agenda::Class::kLife, h, [this, h, epoch, up_first] {
      Life& l = lives_[h];
      if (l.epoch != epoch) return;
      const HostLife& p = plan_.lives[h];
      if (!p.churns) return stage_.StartHost(h, World::Keep::kKept);
      Arrive(h, up_first && p.first_change > Duration::zero() ? p.first_change : Draw1(p.churn.up, l.rng));
    });
  }
}

void Churner::After(HostIndex h, Duration wait, bool arrive) {
  const uint32_t epoch = lives_[h].epoch;
  agenda_.Put(stage_.now() + wait, Agenda::Class::kLife, h, [this, h, epoch, arrive] {
    Life& l = lives_[h];
    if (l.epoch != epoch || l.suspended) return;
    arrive ? Arrive(h, Draw1(plan_.lives[h].churn.up, l.rng)) : Depart(h);
  });
}

void Churner::Arrive(HostIndex h, Duration session) {
  const bool kept = plan_.lives[h].churn.store_kept;
  stage_.StartHost(h, kept ? World::Keep::kKept : World::Keep::kLost);
  After(h, session, false);
}

void Churner::Depart(HostIndex h) {
  Life& l = lives_[h];
  l.rng.Chance(plan_.lives[h].churn.silent_ppm, 1'000'000) ? stage_.Kill(h) : stage_.Stop(h);
}

void Churner::OnDown(HostIndex h) {
  Life& l = lives_[h];
  if (!plan_.lives[h].churns || l.suspended) return;
  // A host that dies by itself (a failing disk) comes back as from any absence.
  ++l.epoch;
  After(h, Draw1(plan_.lives[h].churn.down, l.rng), true);
}

void Churner::Resume(HostIndex h) {
  Life& l = lives_[h];
  l.suspended = false, l.begun = true, ++l.epoch;
  if (plan_.lives[h].churns) After(h, Draw1(plan_.lives[h].churn.up, l.rng), false);
}

}  // namespace orchard::sim
