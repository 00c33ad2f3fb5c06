#include "sim/run/cage_lab.h"

#include <algorithm>

namespace orchard::sim {
namespace {

// How long that much computing takes.
Duration Computing(uint64_t fuel) { return Duration(int64_t(fuel) * 1'000'000 / int64_t(cage::kFuelPerMs)); }

}  // namespace

CageLab::HostCages* CageLab::Of(HostIndex h, uint32_t life) {
  HostCages& host = hosts_[h];
  if (life < host.life) return nullptr;
  if (life > host.life) {  // Another life: its processes are others.
    host.cages.clear();
    host.ready.fill(kNever);
    host.life = life, host.runner = factory_();
  }
  return &host;
}

void CageLab::Finish(HostIndex h, uint32_t life, JobId job, absl::StatusCode status, std::string result, Duration after) {
  at_(now_() + after, [this, h, life, job, status, result = std::move(result)] { finish_(h, life, job, status, AsBytes(result)); });
}

void CageLab::Run(HostIndex h, uint32_t life, JobId job, JobKind kind, Bytes args) {
  HostCages* host = Of(h, life);
  if (host == nullptr) return;
  const auto refuse = [&](absl::Status s) { Finish(h, life, job, s.code(), std::string(s.message()), kHop); };
  switch (kind) {
    case JobKind::kCageLoad: {
      auto load = cage::Decode<cage::LoadArgs>(args);
      auto result = load.ok() ? host->runner->Load(*load) : load.status();
      if (!result.ok()) return Finish(h, life, job, result.status().code(), std::string(result.status().message()), kLoad);
      return Finish(h, life, job, absl::StatusCode::kOk, cage::Encode(*result), kLoad);
    }
    case JobKind::kCageSpawn: {
      auto spawn = cage::Decode<cage::SpawnArgs>(args);
      const absl::Status made = spawn.ok() ? host->runner->Spawn(*spawn) : spawn.status();
      if (!made.ok()) return refuse(made);
      const size_t process = ProcessFor(*host, spawn->module);
      Instant& ready = host->ready[process];
      if (ready == kNever) ready = now_() + kProcess;
      Cage& c = host->cages[spawn->cage];
      c.process = process, c.module = spawn->module, c.limits = spawn->limits;
      return Finish(h, life, job, absl::StatusCode::kOk, "", std::max(ready - now_(), Duration{0}) + kSpawn);
    }
    case JobKind::kCageWatch: {
      auto watch = cage::Decode<cage::WatchArgs>(args);
      const auto it = watch.ok() ? host->cages.find(watch->cage) : host->cages.end();
      if (it == host->cages.end()) return Finish(h, life, job, absl::StatusCode::kOk, cage::Encode(cage::Death{}), kHop);
      it->second.watch = job;
      return;
    }
    case JobKind::kCageRun: {
      auto run = cage::Decode<cage::RunArgs>(args);
      if (!run.ok()) return refuse(run.status());
      const auto it = host->cages.find(run->cage);
      if (it == host->cages.end()) return refuse(absl::NotFoundError(""));
      const uint32_t cage = run->cage;
      it->second.queue.push_back({job, *std::move(run)});
      if (it->second.queue.size() == 1) Begin(h, life, cage);
      return;
    }
    case JobKind::kCageStop: {
      auto stop = cage::Decode<cage::StopArgs>(args);
      if (stop.ok() && host->cages.contains(stop->cage)) Die(h, *host, stop->cage, cage::Cause::kEngine, "stopped", kHop);
      return Finish(h, life, job, absl::StatusCode::kOk, "", kHop);
    }
    case JobKind::kResolve: case JobKind::kListSites: return;
  }
}

size_t CageLab::ProcessFor(const HostCages& host, const Key32& module) {
  std::array<std::pair<size_t, size_t>, kProcesses> lives{};
  for (const auto& [id, cage] : host.cages) lives[cage.process].first += cage.module == module, ++lives[cage.process].second;
  return size_t(std::min_element(lives.begin(), lives.end()) - lives.begin());
}

void CageLab::Begin(HostIndex h, uint32_t life, uint32_t id) {
  HostCages* host = Of(h, life);
  Cage& c = host->cages.at(id);
  const uint64_t run = ++c.begun;
  c.since = now_();
  const Duration timeout = std::chrono::milliseconds(c.limits.timeout_ms);
  Duration takes{};
  if (c.hung) {
    c.result = cage::RunResult{.cause = cage::Cause::kTimeout, .detail = "it hung", .fuel = c.limits.timeout_ms * cage::kFuelPerMs};
  } else {
    c.result = host->runner->Run(c.queue.front().args);
    takes = Computing(c.result->fuel) + c.slow;
    if (takes > timeout && c.slow > Duration{0}) c.result = cage::RunResult{.cause = cage::Cause::kTimeout, .detail = "it was too slow", .fuel = c.result->fuel};
  }
  if (c.result->cause == cage::Cause::kTimeout) takes = timeout;
  at_(now_() + kHop + takes, [=, this] { End(h, life, id, run); });
}

void CageLab::End(HostIndex h, uint32_t life, uint32_t id, uint64_t run) {
  HostCages* host = Of(h, life);
  if (host == nullptr) return;
  const auto it = host->cages.find(id);
  if (it == host->cages.end() || it->second.begun != run || !it->second.result.has_value()) return;
  Cage& c = it->second;
  const cage::RunResult result = *std::move(c.result);
  const JobId job = c.queue.front().job;
  c.queue.pop_front(), c.result.reset();
  if (result.cause != cage::Cause::kNone) {
    // The watch and what waited come after the answer of the run that killed it.
    Finish(h, life, job, absl::StatusCode::kOk, cage::Encode(result), Duration{0});
    return Die(h, *host, id, result.cause, result.detail, Duration{0});
  }
  if (!c.queue.empty()) Begin(h, life, id);
  finish_(h, life, job, absl::StatusCode::kOk, AsBytes(cage::Encode(result)));
}

void CageLab::Die(HostIndex h, HostCages& host, uint32_t id, cage::Cause cause, const std::string& detail, Duration notice) {
  Cage c = std::move(host.cages.at(id));
  host.cages.erase(id);
  host.runner->Stop(id);
  bool begun = c.result.has_value();
  for (const Pending& p : c.queue) {
    const bool cut = std::exchange(begun, false);
    Finish(h, host.life, p.job, cut ? absl::StatusCode::kOk : absl::StatusCode::kAborted, cut ? cage::Encode(cage::RunResult{.cause = cause, .detail = detail}) : "", notice);
  }
  if (c.watch.has_value()) Finish(h, host.life, *c.watch, absl::StatusCode::kOk, cage::Encode(cage::Death{cause, detail}), notice);
}

bool CageLab::Crash(HostIndex h, uint32_t id, cage::Cause cause) {
  HostCages& host = hosts_[h];
  if (!host.cages.contains(id)) return false;
  Die(h, host, id, cause, "by the scenario", kNotice);
  return true;
}

bool CageLab::KillProcess(HostIndex h, size_t process) {
  HostCages& host = hosts_[h];
  if (process >= kProcesses || std::exchange(host.ready[process], kNever) == kNever) return false;
  std::vector<uint32_t> dead;
  for (const auto& [id, cage] : host.cages) {
    if (cage.process == process) dead.push_back(id);
  }
  for (uint32_t id : dead) Die(h, host, id, cage::Cause::kEngine, "its process died", kNotice);
  return true;
}

bool CageLab::Hang(HostIndex h, uint32_t id) {
  HostCages& host = hosts_[h];
  const auto it = host.cages.find(id);
  if (it == host.cages.end()) return false;
  Cage& c = it->second;
  c.hung = true;
  if (!c.result.has_value()) return true;
  // What is under way ends a time-out after it began.
  c.result = cage::RunResult{.cause = cage::Cause::kTimeout, .detail = "it hung", .fuel = c.limits.timeout_ms * cage::kFuelPerMs};
  const uint64_t run = ++c.begun;
  at_(c.since + kHop + std::chrono::milliseconds(c.limits.timeout_ms), [=, this, life = host.life] { End(h, life, id, run); });
  return true;
}

bool CageLab::Slow(HostIndex h, uint32_t id, Duration by) {
  HostCages& host = hosts_[h];
  const auto it = host.cages.find(id);
  if (it == host.cages.end()) return false;
  it->second.slow = by;
  return true;
}

}  // namespace orchard::sim
