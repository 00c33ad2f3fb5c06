// Ops, continued: sites and their cages.

#include "node/base/check.h"
#include "node/cage/server.h"
#include "node/sidecar/config_parts.h"
#include "node/sidecar/ops.h"

namespace orchard::sidecar {
namespace {

void SiteFields(JsonWriter& w, const cage::Sites::Site& site) {
  w.Key("site").Text(site.config.name).Key("state").Text(cage::StateOf(site));
  w.Key("healthy").Uint(site.pool == nullptr ? 0 : site.pool->healthy()).Key("replicas").Uint(site.config.replicas);
  w.Key("module").Text(site.config.module).Key("hash");
  if (site.module.has_value()) w.Hex(site.module->module); else w.Null();
  w.Key("answered").Uint(site.pool == nullptr ? 0 : site.pool->stats().answered).Key("crashed").Uint(site.pool == nullptr ? 0 : site.pool->stats().crashed);
}

std::string ListFields(const cage::Sites& sites) {
  JsonWriter w;
  w.Key("sites").Open('[');
  size_t n = 0;
  for (const auto& [name, site] : sites.all()) {
    if (++n > Ops::kListMax) break;
    SiteFields(w.Open('{'), site);
    w.Close('}');
  }
  return w.Close(']').Key("count").Uint(sites.all().size()).text();
}

std::string StatusFields(const Turn& turn, const cage::Sites::Site& site) {
  JsonWriter w;
  SiteFields(w, site);
  w.Key("why");
  if (!site.problem.empty()) w.Text(site.problem);
  else if (site.rollout.has_value() && !site.rollout->why().empty()) w.Text(site.rollout->why());
  else w.Null();
  w.Key("cages").Open('[');
  if (site.pool != nullptr) {
    for (size_t i = 0; i < site.pool->slots().size(); ++i) {
      const cage::Pool::Slot& s = site.pool->slots()[i];
      w.Open('{').Key("slot").Uint(i).Key("cage").Uint(s.cage).Key("state").Text(cage::StateOf(s)).Key("active").Uint(s.active);
      w.Key("served").Uint(s.served).Key("deaths").Uint(s.deaths).Key("memory").Uint(s.memory_bytes).Key("died_of");
      if (s.last_cause == cage::Cause::kNone) w.Null(); else w.Text(std::string(cage::CauseName(s.last_cause)) + (s.last_detail.empty() ? "" : ": " + s.last_detail));
      w.Key("next_in_ms");
      if (s.respawn == kNever) w.Null(); else w.Uint(uint64_t(std::max<int64_t>(ToMillis(s.respawn - turn.now), 0)));
      w.Close('}');
    }
  }
  w.Close(']').Key("waiting").Uint(site.pool == nullptr ? 0 : site.pool->waiting());
  w.Key("retried").Uint(site.pool == nullptr ? 0 : site.pool->stats().retried).Key("refused").Uint(site.pool == nullptr ? 0 : site.pool->stats().refused);
  w.Key("guard").Text(guard::NameOf(site.guard.mode()));
  for (size_t i = 1; i < guard::kClassNames.size(); ++i) w.Key(guard::kClassNames[i]).Uint(site.guard.counts()[i]);
  return w.text();
}

std::string LogFields(const cage::Sites::Site& site) {
  JsonWriter w;
  w.Key("site").Text(site.config.name).Key("lines").Open('[');
  for (const std::string& line : site.log) w.Text(IsPrintableUtf8(AsBytes(line)) ? line : "(not text) " + ToHex(AsBytes(line.substr(0, 64))));
  return w.Close(']').Key("count").Uint(site.log.size()).text();
}

void Names(JsonWriter& w, std::string_view key, const std::vector<std::string>& names) {
  w.Key(key).Open('[');
  for (const std::string& name : names) w.Text(name);
  w.Close(']');
}

OpError NoDirectory() { return {.code = "NOT_FOUND", .message = "there is no directory of sites; --set cage.sites_dir=DIR of orchard node names one"}; }

OpError NoSite(const std::string& name) { return {.code = "NOT_FOUND", .message = "no site is called \"" + name + "\"; orchard cage list shows those that there are"}; }

}  // namespace

std::optional<OpError> Ops::BeginCage(Turn& turn, OpTarget t, Map::iterator it) {
  Running& r = it->second;
  const std::string_view name = r.operation->name;
  if (t.cages == nullptr) {
    if (name == "site.reload") return NoDirectory();
    if (name == "cage.list") return Succeed(turn, it, JsonWriter().Key("sites").Open('[').Close(']').Key("count").Uint(0).text()), std::nullopt;
    return NoSite(r.params.text("site").value_or(""));
  }
  cage::Sites& sites = t.cages->sites();
  if (name == "cage.list") return Succeed(turn, it, ListFields(sites)), std::nullopt;
  if (name == "site.reload") {
    r.look = sites.Reload(turn);
    if (!r.look.has_value()) return NoDirectory();
    return std::nullopt;
  }
  const std::string site_name = *r.params.text("site");
  cage::PoolNews news;
  std::optional<OpError> error;
  if (name == "cage.deploy") {
    std::vector<ConfigError> wrong;
    std::optional<cage::SiteConfig> config = SiteOf(r.params, wrong);
    if (!config.has_value()) return OpError{.code = "ERR_PARAMS", .message = Describe(wrong.front())};
    if (absl::Status added = sites.Add(turn, *std::move(config), "", news); !added.ok()) {
      return OpError{.code = added.code() == absl::StatusCode::kResourceExhausted ? "OVERLOAD" : "ERR_PARAMS", .message = std::string(added.message())};
    }
    t.cages->SetFallback(site_name, r.params.flag("default").value_or(false));
    r.site = site_name, r.until = turn.now + kDeployMax;
    wake_at_ = std::min(wake_at_, r.until);
  } else if (sites.Named(site_name) == nullptr) {
    return NoSite(site_name);
  } else if (name == "cage.status") {
    Succeed(turn, it, StatusFields(turn, *sites.Named(site_name)));
  } else if (name == "cage.logs") {
    Succeed(turn, it, LogFields(*sites.Named(site_name)));
  } else if (name == "cage.scale") {
    const uint64_t replicas = *r.params.number("replicas");
    if (replicas < 1 || replicas > cage::kReplicasMax) {
      return OpError{.code = "ERR_PARAMS", .message = "a site has 1 to " + std::to_string(cage::kReplicasMax) + " cages",
                     .param = ParamError{.param = "replicas", .found = std::to_string(replicas), .expected = "1 to " + std::to_string(cage::kReplicasMax)}};
    }
    sites.Scale(turn, site_name, uint32_t(replicas));
    Succeed(turn, it, JsonWriter().Key("site").Text(site_name).Key("replicas").Uint(replicas).text());
  } else if (name == "cage.stop") {
    sites.Remove(turn, site_name, news);
    t.cages->SetFallback(site_name, false);
    Succeed(turn, it, JsonWriter().Key("site").Text(site_name).text());
  } else if (name == "cage.restart") {
    Succeed(turn, it, JsonWriter().Key("site").Text(site_name).Key("restarted").Bool(sites.Revive(turn, site_name)).text());
  } else if (name == "cage.update") {
    if (absl::Status s = sites.Update(turn, site_name, *r.params.text("module")); !s.ok()) return OpError{.code = "BUSY", .message = std::string(s.message())};
    r.site = site_name, r.until = turn.now + kDeployMax;
    wake_at_ = std::min(wake_at_, r.until);
  } else {
    CHECK(name == "cage.rollback");
    if (!sites.RollBack(turn, site_name).ok()) return OpError{.code = "NOT_FOUND", .message = "there is no update of \"" + site_name + "\" to take back"};
    r.site = site_name, r.until = turn.now + kDeployMax;
    wake_at_ = std::min(wake_at_, r.until);
  }
  t.cages->OnNews(turn, news);
  return std::nullopt;
}

void Ops::OnCages(Turn& turn, OpTarget t) {
  for (auto next = running_.begin(); next != running_.end();) {
    const auto it = next++;
    Running& r = it->second;
    if (r.look.has_value() && *r.look <= t.cages->sites().looks()) {
      const cage::Sites::Look& look = t.cages->sites().last_look();
      JsonWriter w;
      Names(w, "added", look.added), Names(w, "updated", look.updated), Names(w, "removed", look.removed), Names(w, "skipped", look.skipped);
      if (!look.problem.empty()) Fail(turn, it, {.code = "NOT_FOUND", .message = "the directory of sites cannot be read: " + look.problem});
      else Succeed(turn, it, w.text());
      continue;
    }
    if (!r.site.has_value()) continue;
    const cage::Sites::Site* site = t.cages->sites().Named(*r.site);
    const bool deploys = r.operation->name == "cage.deploy";
    if (site == nullptr) {
      Fail(turn, it, {.code = "NOT_FOUND", .message = "the site was stopped meanwhile"});
    } else if (deploys && site->next != nullptr && r.until > turn.now) {
      wake_at_ = std::min(wake_at_, r.until);  // The old one serves meanwhile.
    } else if (deploys && !site->next_problem.empty()) {
      Fail(turn, it, {.code = "ERR_MODULE", .message = site->config.name + ": " + site->next_problem + "; the site goes on as it was"});
    } else if (!site->problem.empty()) {
      Fail(turn, it, {.code = "ERR_MODULE", .message = site->config.name + ": " + site->problem});
    } else if (deploys && site->next == nullptr && site->pool != nullptr && site->pool->healthy() > 0) {
      JsonWriter w;
      SiteFields(w, *site);
      Succeed(turn, it, w.text());
    } else if (!deploys && site->load == JobId{} && (!site->rollout.has_value() || site->rollout->over())) {
      if (r.operation->name == "cage.update" && site->rollout.has_value() && site->rollout->step() == cage::Rollout::Step::kRolledBack) {
        Fail(turn, it, {.code = "ROLLED_BACK", .message = "the update was taken back: " + std::string(site->rollout->why())});
        continue;
      }
      JsonWriter w;
      SiteFields(w, *site);
      Succeed(turn, it, w.text());
    } else if (r.until <= turn.now) {
      Fail(turn, it, {.code = "TIMEOUT", .message = "after " + std::to_string(ToMillis(kDeployMax) / 1000) + " s no cage of it answered, or the update is not over; orchard cage status says how it stands",
                      .step = std::string_view(site->pool == nullptr ? "load" : site->pool->healthy() == 0 ? "spawn" : "rollout")});
    } else {
      wake_at_ = std::min(wake_at_, r.until);
    }
  }
}

}  // namespace orchard::sidecar
