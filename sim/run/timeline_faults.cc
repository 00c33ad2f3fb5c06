#include "sim/run/timeline_faults.h"

#include <utility>

#include "node/base/check.h"
#include "node/base/rng.h"
#include "sim/language/text.h"

namespace orchard::sim {

World::Keep KeepOf(Fault::Store store) {
  switch (store) {
    case Fault::Store::kKept: return World::Keep::kKept;
    case Fault::Store::kLost: return World::Keep::kLost;
    case Fault::Store::kTorn: return World::Keep::kTorn;
  }
  return World::Keep::kKept;
}

int64_t FaultHand::Drawn(const Draw& draw, const Entry& e, uint64_t n, std::string_view purpose) const {
  Rng rng = Rng::Named(seed_, e.as.empty() ? e.path : e.as, Cat("fault ", purpose, " ", n));
  return Sample(draw, rng);
}

std::vector<std::string> FaultHand::Targets(const Entry& e) const {
  return e.who ? TargetsOf(*e.who, scenario_, plan_) : std::vector<std::string>();
}

void FaultHand::EachHost(size_t entry, uint64_t n, const std::function<void(HostIndex)>& act) {
  const Entry& e = scenario_.timeline[entry];
  if (!e.who) return;
  for (HostIndex h : HostsOf(*e.who, scenario_, plan_)) {
    if (e.spread <= Duration::zero()) {
      act(h);
      continue;
    }
    Rng rng = Rng::Named(seed_, plan_.world.hosts[h].id, Cat("spread ", e.as.empty() ? e.path : e.as, " ", n));
    agenda_.Put(stage_.now() + Duration(int64_t(rng.Below(uint64_t(e.spread.count())))), Agenda::Class::kFault, entry,
                [act, h] { act(h); });
  }
}

std::function<void()> FaultHand::OnLinks(const Entry& e, uint64_t n, bool lasts) {
  const Fault& f = e.fault;
  World::LinkChange c;
  auto number = [&](const std::optional<Draw>& d, std::string_view purpose, auto& out) {
    if (d) out = static_cast<typename std::remove_reference_t<decltype(out)>::value_type>(Drawn(*d, e, n, purpose));
  };
  number(f.down, "down", c.down_bps), number(f.up, "up", c.up_bps);
  number(f.delay, "delay", c.delay), number(f.jitter, "jitter", c.jitter), number(f.queue, "queue", c.queue);
  number(f.loss, "loss", c.loss_ppm), number(f.mtu, "mtu", c.mtu), number(f.reorder, "reorder", c.reorder_ppm);
  number(f.duplicate, "duplicate", c.duplicate_ppm), number(f.corrupt, "corrupt", c.corrupt_ppm);
  number(f.burst, "burst", c.burst_mean);
  c.inbound = f.inbound, c.outbound = f.outbound, c.up = f.is_up, c.cuts = f.cuts;
  std::vector<uint64_t> tickets;
  for (const std::string& link : Targets(e)) {
    if (lasts) tickets.push_back(stage_.PushLinkChange(link, c));
    else stage_.ChangeLink(link, c);
  }
  if (tickets.empty()) return {};
  return [this, tickets] {
    for (uint64_t t : tickets) stage_.PopLinkChange(t);
  };
}

std::function<void()> FaultHand::Cut_(size_t entry) {
  const Fault& f = scenario_.timeline[entry].fault;
  uint64_t ticket = 0;
  if (f.groups.empty()) {
    CHECK(f.from && f.to);
    ticket = stage_.PartitionOneWay(HostsOf(*f.from, scenario_, plan_), HostsOf(*f.to, scenario_, plan_));
  } else {
    std::vector<std::vector<HostIndex>> groups;
    for (const Selector& s : f.groups) groups.push_back(HostsOf(s, scenario_, plan_));
    ticket = stage_.Partition(groups);
  }
  cuts_.push_back({entry, ticket});
  return [this, ticket] {
    if (std::erase_if(cuts_, [&](const Cut& c) { return c.ticket == ticket; }) > 0) stage_.Heal(ticket);
  };
}

void FaultHand::Heal(const Entry& e) {
  for (const Cut& c : std::vector<Cut>(cuts_)) {
    if (!e.fault.heal_of.empty() && scenario_.timeline[c.entry].as != e.fault.heal_of) continue;
    stage_.Heal(c.ticket);
    healed_.push_back(c.entry);
    std::erase_if(cuts_, [&](const Cut& x) { return x.ticket == c.ticket; });
  }
}

std::function<void()> FaultHand::Inflict(size_t entry, uint64_t n, Duration lasts) {
  const Entry& e = scenario_.timeline[entry];
  const Fault& f = e.fault;
  const bool ends = lasts > Duration::zero();
  switch (f.kind) {
    case FaultKind::kLink: return OnLinks(e, n, ends);
    case FaultKind::kPartition: return Cut_(entry);
    case FaultKind::kHeal: return Heal(e), nullptr;
    case FaultKind::kKill:
    case FaultKind::kStop: {
      const bool kill = f.kind == FaultKind::kKill;
      EachHost(entry, n, [this, kill](HostIndex h) { churner_.Suspend(h), kill ? stage_.Kill(h) : stage_.Stop(h); });
      if (!ends) return {};
      return [this, entry, n] {  // Who was taken down for a while comes back.
        EachHost(entry, n, [this](HostIndex h) { stage_.StartHost(h, World::Keep::kKept), churner_.Resume(h); });
      };
    }
    case FaultKind::kStart:
      EachHost(entry, n, [this, &f](HostIndex h) {
        if (f.new_ip) stage_.Renumber(plan_.world.hosts[h].id);
        stage_.StartHost(h, KeepOf(f.store)), churner_.Resume(h);
      });
      return {};
    case FaultKind::kRestart: {
      const Duration down = ends ? lasts : Duration(Drawn(f.down_time, e, n, "down"));
      EachHost(entry, n, [this, &f, entry, down](HostIndex h) {
        churner_.Suspend(h), stage_.Kill(h);
        if (f.new_ip) stage_.Renumber(plan_.world.hosts[h].id);
        agenda_.Put(stage_.now() + down, Agenda::Class::kLife, entry,
                    [this, &f, h] { stage_.StartHost(h, KeepOf(f.store)), churner_.Resume(h); });
      });
      return {};
    }
    case FaultKind::kNatRemap:
      for (const std::string& box : Targets(e)) stage_.NatRemap(box, f.share_ppm, f.new_ip);
      return {};
    case FaultKind::kNatReboot:
      for (const std::string& box : Targets(e)) stage_.NatReboot(box, lasts, f.new_ip);
      return {};
    case FaultKind::kRenumber:
      for (const std::string& link : Targets(e)) stage_.Renumber(link);
      return {};
    case FaultKind::kClock: {
      const Duration offset(Drawn(f.offset, e, n, "offset"));
      const int64_t drift = Drawn(f.drift_ppm, e, n, "drift");
      EachHost(entry, n, [this, offset, drift](HostIndex h) { stage_.Clock(h, offset, drift); });
      if (!ends) return {};
      return [this, entry, n, offset] { EachHost(entry, n, [this, offset](HostIndex h) { stage_.Clock(h, -offset, 0); }); };
    }
    case FaultKind::kMisbehave:
      EachHost(entry, n, [this, &f](HostIndex h) { stage_.Misbehave(h, f.misdeed, f.share_ppm); });
      if (!ends) return {};
      return [this, entry, n] { EachHost(entry, n, [this](HostIndex h) { stage_.Misbehave(h, Misdeed::kNone, 0); }); };
    case FaultKind::kCageCrash:
    case FaultKind::kCageHang: {
      const std::optional<cage::Cause> cause = f.kind == FaultKind::kCageCrash ? std::optional(f.cause) : std::nullopt;
      EachHost(entry, n, [this, &f, cause](HostIndex h) { stage_.BreakCages(h, f.site, f.cages, cause); });
      return {};
    }
    case FaultKind::kCageSlow: {
      const Duration by(Drawn(f.by, e, n, "by"));
      EachHost(entry, n, [this, &f, by](HostIndex h) { stage_.SlowCages(h, f.site, f.cages, by); });
      if (!ends) return {};
      return [this, entry, n, &f] { EachHost(entry, n, [this, &f](HostIndex h) { stage_.SlowCages(h, f.site, 0, Duration{0}); }); };
    }
    case FaultKind::kCageWorkerKill: EachHost(entry, n, [this, &f](HostIndex h) { stage_.KillCageProcess(h, f.process); }); return {};
    case FaultKind::kDisk: {
      const World::Disk state = f.disk == Fault::Disk::kFull   ? World::Disk::kFull
                                : f.disk == Fault::Disk::kSlow ? World::Disk::kSlow
                                                               : World::Disk::kFailing;
      const Duration delay(Drawn(f.disk_delay, e, n, "disk"));
      EachHost(entry, n, [this, &f, &e, n, state, delay](HostIndex h) {
        Rng rng = Rng::Named(seed_, plan_.world.hosts[h].id, Cat("share ", e.as.empty() ? e.path : e.as, " ", n));
        if (rng.Chance(f.share_ppm, 1'000'000)) stage_.ChangeDisk(h, state, delay);
      });
      if (!ends) return {};
      return [this, entry, n] { EachHost(entry, n, [this](HostIndex h) { stage_.ChangeDisk(h, World::Disk::kFine, {}); }); };
    }
  }
  return {};
}

}  // namespace orchard::sim
