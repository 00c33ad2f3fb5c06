// Sites, continued: one that is deployed in another's place. The old one serves until the new one can, and ends with its requests.

#include <utility>

#include "absl/strings/str_cat.h"
#include "node/cage/sites.h"

namespace orchard::cage {

Sites::Site& Sites::ByNumber(uint32_t number) {
  if (const auto it = leaving_.find(number); it != leaving_.end()) return it->second;
  Site& site = sites_.at(numbers_.at(number));
  return site.number == number ? site : *site.next;
}

void Sites::Begin(Turn& turn, Site& site, SiteConfig config, std::string bytes) {
  site.number = next_number_++;
  numbers_[site.number] = config.name;
  site.load = jobs_.Run(turn, site.number, JobKind::kCageLoad, Encode(LoadArgs{config.module, std::move(bytes), config.limits, config.directory, config.files}));
  site.guard = guard::Guard(config.guard.value_or(guard_), config.guard_rate);
  site.config = std::move(config);
}

void Sites::Settle(Turn& turn, uint32_t number, PoolNews& news) {
  if (const auto it = leaving_.find(number); it != leaving_.end()) {
    if (!it->second.pool->drained()) return;
    End(turn, it->second, news);
    leaving_.erase(it);
    return;
  }
  Site& site = sites_.at(numbers_.at(number));
  if (site.number == number) return;
  const Site& next = *site.next;
  if (next.problem.empty() && next.pool == nullptr) return;
  if (next.pool != nullptr && next.pool->healthy() > 0) return TakePlace(turn, site, news);
  // None of its cages got as far as a first answer.
  if (next.pool != nullptr && next.pool->stats().crashed < next.config.replicas) return;
  site.next_problem = next.pool == nullptr ? next.problem : next.log.empty() ? "its cages died at their first answer" : next.log.back();
  Discard(turn, site, news);
}

void Sites::TakePlace(Turn& turn, Site& site, PoolNews& news) {
  Site old = std::exchange(site, std::move(*std::unique_ptr<Site>(std::move(site.next))));
  const std::string name = site.config.name;
  old.log.insert(old.log.end(), site.log.begin(), site.log.end());
  site.log = std::move(old.log);
  absl::erase_if(aliases_, [&](const auto& alias) { return alias.second == name; });
  for (const std::string& alias : site.config.aliases) {
    if (!sites_.contains(alias)) aliases_.try_emplace(alias, name);  // Else another site took it meanwhile.
  }
  jobs_.Cancel(turn, std::exchange(old.load, JobId{}));
  due_.Move(old.number, DeadlineOf(old), kNever);
  old.rollout.reset();
  Site& leaving = leaving_[old.number] = std::move(old);
  due_.Move(leaving.number, kNever, DeadlineOf(leaving));
  std::vector<std::pair<RequestId, Request>> waiting;
  With(leaving, [&](Pool& pool) { waiting = pool.Drain(turn, jobs_); });
  With(site, [&](Pool& pool) {
    for (auto& [id, request] : waiting) pool.Ask(turn, jobs_, id, std::move(request), news);
  });
  Settle(turn, leaving.number, news);
}

void Sites::Discard(Turn& turn, Site& site, PoolNews& news) {
  if (site.next == nullptr) return;
  End(turn, *site.next, news);
  site.next.reset();
}

void Sites::End(Turn& turn, Site& site, PoolNews& news) {
  jobs_.Cancel(turn, site.load);
  if (site.pool != nullptr) {
    due_.Move(site.number, DeadlineOf(site), kNever);
    site.pool->Stop(turn, jobs_, news);
  }
  numbers_.erase(site.number);
}

}  // namespace orchard::cage
