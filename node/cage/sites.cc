#include "node/cage/sites.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/cage/site_id.h"
#include "node/cage/trace.h"

namespace orchard::cage {

Instant Sites::DeadlineOf(const Site& site) {
  if (site.pool == nullptr) return kNever;
  return std::min(site.pool->next_deadline(), site.rollout.has_value() ? site.rollout->next_deadline() : kNever);
}

absl::Status Sites::Add(Turn& turn, SiteConfig config, std::string bytes, PoolNews& news) {
  for (const std::string& name : config.aliases) {
    const auto it = aliases_.find(name);
    if (!IsSiteName(name)) return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is no host name in lower case"));
    if (sites_.contains(name) || (it != aliases_.end() && it->second != config.name)) return absl::AlreadyExistsError(absl::StrCat("\"", name, "\" is another site's"));
  }
  if (!IsSiteName(config.name)) return absl::InvalidArgumentError(absl::StrCat("\"", config.name, "\" is no host name in lower case"));
  if (aliases_.contains(config.name)) return absl::AlreadyExistsError(absl::StrCat("\"", config.name, "\" is an alias of the site \"", aliases_[config.name], "\""));
  if (!sites_.contains(config.name) && sites_.size() >= kSitesMax) return absl::ResourceExhaustedError(absl::StrCat("there are ", kSitesMax, " sites already"));
  if (Site* live = Named(config.name); live != nullptr && live->pool != nullptr) {
    Discard(turn, *live, news);
    live->next_problem.clear();
    live->next = std::make_unique<Site>();
    Begin(turn, *live->next, std::move(config), std::move(bytes));
    return absl::OkStatus();
  }
  Remove(turn, config.name, news);
  for (const std::string& name : config.aliases) aliases_[name] = config.name;
  Site& site = sites_[config.name];
  Begin(turn, site, std::move(config), std::move(bytes));
  return absl::OkStatus();
}

bool Sites::Remove(Turn& turn, std::string_view name, PoolNews& news) {
  const auto it = sites_.find(std::string(name));
  if (it == sites_.end()) return false;
  Site& site = it->second;
  Discard(turn, site, news);
  End(turn, site, news);
  absl::erase_if(aliases_, [&](const auto& alias) { return alias.second == name; });
  sites_.erase(it);
  return true;
}

bool Sites::Scale(Turn& turn, std::string_view name, uint32_t replicas) {
  Site* site = Named(name);
  if (site == nullptr) return false;
  site->config.replicas = replicas;
  With(*site, [&](Pool& pool) { pool.Scale(turn, jobs_, replicas); });
  return true;
}

Sites::Site* Sites::Named(std::string_view name) {
  const auto it = sites_.find(absl::string_view(name.data(), name.size()));
  return it == sites_.end() ? nullptr : &it->second;
}

Sites::Site* Sites::Find(std::string_view host, std::string_view fallback) {
  const std::string id = SiteId(host);
  if (Site* site = Named(id); site != nullptr) return site;
  if (const auto it = aliases_.find(id); it != aliases_.end()) return Named(it->second);
  return Named(fallback);
}

void Sites::Loaded(Turn& turn, Site& site, const JobDone& done) {
  site.load = {};
  auto result = done.status == absl::StatusCode::kOk ? Decode<LoadResult>(done.result)
                                                     : absl::Status(done.status, absl::string_view(reinterpret_cast<const char*>(done.result.data()), done.result.size()));
  site.problem = result.ok() ? "" : std::string(result.status().message());
  if (!result.ok() && site.problem.empty()) site.problem = absl::StatusCodeToString(result.status().code());
  turn.trace.Add(TraceCageLoaded{.site = site.config.name, .bytes = result.ok() ? result->bytes : 0, .why = std::string_view(site.problem).substr(0, 200)});
  if (!result.ok()) return;
  if (site.pool != nullptr) {  // An update.
    site.former_module = std::exchange(site.config.module, std::move(site.next_module));
    site.former = site.module, site.taken_back = false;
    const Image from = site.module->image(), to = result->image();
    site.module = *result;
    if (to == from) return;
    With(site, [&](Pool& pool) {
      pool.set_image(to);
      site.rollout.emplace(from, to).Go(turn, jobs_, pool);
    });
    return;
  }
  site.module = *result;
  site.pool = std::make_unique<Pool>(site.config, result->image(), site.number);
  With(site, [&](Pool& pool) { pool.Start(turn, jobs_); });
}

void Sites::Ask(Turn& turn, Site& site, RequestId id, Request request, PoolNews& news) {
  if (site.pool == nullptr) return news.push_back(Refused{id, Unserved::kNoCage, Cause::kNone, 0, 0});
  With(site, [&](Pool& pool) { pool.Ask(turn, jobs_, id, std::move(request), news); });
}

void Sites::Forget(std::string_view name, RequestId id) {
  if (Site* site = Named(name); site != nullptr) With(*site, [&](Pool& pool) { pool.Forget(id); });
}

void Sites::Judge(Turn& turn, std::string_view name, uint32_t cage, const absl::Status& answer) {
  Site* site = Named(name);
  if (site == nullptr) return;
  const bool sense = answer.ok();
  if (!sense) {
    std::string line = absl::StrCat("cage ", cage, " answered nonsense: ", answer.message());
    if (std::find(site->log.begin(), site->log.end(), line) == site->log.end()) site->log.push_back(std::move(line));  // Once: there may be many.
    while (site->log.size() > kLogLinesMax) site->log.pop_front();
  }
  With(*site, [&](Pool& pool) {
    pool.Judge(turn, cage, sense);
    if (!site->rollout.has_value() || site->rollout->over()) return;
    for (const Pool::Slot& s : pool.slots()) {
      if (s.cage == cage && s.image == site->rollout->to()) site->rollout->Judge(sense);
    }
    Roll(turn, *site);
  });
}

bool Sites::Revive(Turn& turn, std::string_view name) {
  bool any = false;
  if (Site* site = Named(name); site != nullptr) With(*site, [&](Pool& pool) { any = pool.Revive(turn, jobs_); });
  return any;
}

bool Sites::OnJobDone(Turn& turn, const JobDone& done, PoolNews& news) {
  if (!Jobs::Ours(done.job)) return false;
  const auto owner = jobs_.Done(done.job);
  if (!owner.has_value()) return true;  // Of something that is gone.
  if (*owner == kDirectory) return Looked(turn, done, news), true;
  Site& site = ByNumber(*owner);
  if (site.load == done.job) Loaded(turn, site, done);
  else With(site, [&](Pool& pool) {
    const size_t before = news.size();
    pool.OnJobDone(turn, jobs_, done, news);
    if (site.rollout.has_value() && !site.rollout->over()) Roll(turn, site);
    Note(turn, site, news, before);
  });
  Settle(turn, *owner, news);
  return true;
}

void Sites::Roll(Turn& turn, Site& site) {
  const auto back = [&] { return site.rollout->step() == Rollout::Step::kBackRolling || site.rollout->step() == Rollout::Step::kRolledBack; };
  const bool before = back();
  site.rollout->Go(turn, jobs_, *site.pool);
  if (!before && back()) TakeBack(site);
}

void Sites::TakeBack(Site& site) {
  std::swap(site.config.module, site.former_module), std::swap(site.module, site.former);
  site.pool->set_image(site.module->image());
}

void Sites::Note(Turn& turn, Site& site, const PoolNews& news, size_t from) {
  for (size_t i = from; i < news.size(); ++i) {
    const auto* answered = std::get_if<Answered>(&news[i]);
    if (answered != nullptr && !answered->result.log.empty()) site.log.push_back(absl::StrCat("cage ", answered->cage, ": ", answered->result.log));
  }
  for (const Pool::Slot& s : site.pool->slots()) {
    if (s.state == State::kCrash && s.noticed == turn.now) {
      const std::string_view cause = CauseName(s.last_cause);
      std::string line = absl::StrCat("cage ", s.cage, " died: ", absl::string_view(cause.data(), cause.size()), s.last_detail.empty() ? "" : ", ", s.last_detail);
      if (site.log.empty() || site.log.back() != line) site.log.push_back(std::move(line));
    }
  }
  while (site.log.size() > kLogLinesMax) site.log.pop_front();
}

absl::Status Sites::Update(Turn& turn, std::string_view name, std::string module) {
  Site* site = Named(name);
  if (site == nullptr) return absl::NotFoundError("");
  if (site->load != JobId{} || site->next != nullptr || (site->rollout.has_value() && !site->rollout->over())) return absl::FailedPreconditionError("another update is under way");
  site->problem.clear();
  site->load = jobs_.Run(turn, site->number, JobKind::kCageLoad, Encode(LoadArgs{module, "", site->config.limits, site->config.directory, site->config.files}));
  if (site->pool == nullptr) site->config.module = std::move(module);
  else site->next_module = std::move(module);
  return absl::OkStatus();
}

absl::Status Sites::RollBack(Turn& turn, std::string_view name) {
  Site* site = Named(name);
  if (site == nullptr || !site->rollout.has_value() || site->rollout->step() == Rollout::Step::kRolledBack || site->taken_back) return absl::NotFoundError("");
  site->problem.clear();
  if (site->rollout->step() == Rollout::Step::kDone) {  // The same the other way round.
    const Image from = site->rollout->to(), to = site->rollout->from();
    site->taken_back = true;
    site->rollout.reset();
    TakeBack(*site);
    With(*site, [&](Pool& pool) { site->rollout.emplace(from, to).Go(turn, jobs_, pool); });
    return absl::OkStatus();
  }
  With(*site, [&](Pool& pool) { site->rollout->Back(turn, jobs_, pool); });
  TakeBack(*site);
  return absl::OkStatus();
}

void Sites::OnTime(Turn& turn, PoolNews& news) {
  while (const auto number = due_.due(turn.now)) {
    Site& site = ByNumber(*number);
    With(site, [&](Pool& pool) {
      const size_t before = news.size();
      pool.OnTime(turn, jobs_, news);
      if (site.rollout.has_value() && !site.rollout->over()) Roll(turn, site);
      Note(turn, site, news, before);
    });
    Settle(turn, *number, news);
  }
}

void Sites::Stop(Turn& turn, PoolNews& news) {
  jobs_.Cancel(turn, std::exchange(look_, JobId{}));
  while (!sites_.empty()) Remove(turn, std::string(sites_.begin()->first), news);
  for (auto& [number, site] : leaving_) End(turn, site, news);
  leaving_.clear();
}

std::string_view StateOf(const Sites::Site& site) {
  if (site.pool == nullptr) return site.problem.empty() ? "loading" : "failed";
  if (site.rollout.has_value() && !site.rollout->over()) return Rollout::StepName(site.rollout->step());
  return site.pool->healthy() == 0 ? "down" : site.pool->healthy() < site.config.replicas ? "healing" : "healthy";
}

std::string_view StateOf(const Pool::Slot& slot) { return slot.gave_up ? "GAVE-UP" : StateName(slot.state); }

}  // namespace orchard::cage
