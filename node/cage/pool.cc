#include "node/cage/pool.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "node/cage/trace.h"

namespace orchard::cage {
namespace {

constexpr JobId kNoJob{};

uint64_t Micros(Duration d) { return uint64_t(std::max<int64_t>(d.count(), 0) / 1000); }

// May be carried out twice. RFC 9110 §9.2.2.
bool Idempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE" || method == "PUT" || method == "DELETE";
}

RunResult ResultOf(const JobDone& done) {
  if (done.status == absl::StatusCode::kOk) {
    if (auto result = Decode<RunResult>(done.result); result.ok()) return *std::move(result);
  }
  return {.cause = Cause::kEngine, .detail = "its process died"};
}

}  // namespace

Pool::Pool(SiteConfig config, const Image& image, uint32_t owner) : config_(std::move(config)), image_(image), owner_(owner) {
  config_.replicas = std::clamp(config_.replicas, 1u, kReplicasMax);
}

void Pool::Start(Turn& turn, Jobs& jobs) {
  if (config_.supervise > Duration{0}) next_look_ = turn.now + config_.supervise;
  Scale(turn, jobs, config_.replicas);
}

uint32_t Pool::healthy() const {
  return uint32_t(std::count_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.state == State::kRun; }));
}

void Pool::Move(Turn& turn, Slot& slot, State to) {
  CHECK(Legal(slot.state, to));
  slot.state = to;
  if (to == State::kTerm) turn.trace.Add(TraceCageDraining{.site = config_.name, .slot = uint64_t(&slot - slots_.data()), .cage = slot.cage});
  TellHealth(turn);
}

void Pool::TellHealth(Turn& turn) {
  const uint32_t now = healthy();
  if (now == std::exchange(told_, now) || leaving_) return;
  turn.trace.Add(TraceCageHealthy{.site = config_.name, .healthy = now, .replicas = wanted_});
}

// ---- A cage's life ----

void Pool::Cancel(Turn& turn, Jobs& jobs, Slot& s) {
  for (JobId* job : {&s.spawn, &s.watch, &s.check}) jobs.Cancel(turn, std::exchange(*job, kNoJob));
}

void Pool::Begin(Turn& turn, Jobs& jobs, uint32_t i) {
  Slot& s = slots_[i];
  stats_.restarts += s.state == State::kCrash;
  Move(turn, s, State::kInit);
  s.cage = jobs.NextCage(), s.active = 0, s.breaker = {}, s.memory_bytes = 0;
  s.respawn = s.next_check = s.leave = kNever;
  s.begun = turn.now;
  if (s.wrong == Instant{}) s.wrong = s.noticed = turn.now;
  s.spawn = jobs.Run(turn, owner_, JobKind::kCageSpawn, Encode(SpawnArgs{s.cage, s.image.module, config_.limits, s.image.files}));
}

std::string Pool::RunArgsOf(Turn& turn, uint32_t cage, const Request& request) const {
  Key32 seed;
  turn.rng.Fill(absl::MakeSpan(seed));
  return EncodeRun(cage, Micros(turn.now.time_since_epoch() + turn.unix_epoch), seed, request);
}

void Pool::Check(Turn& turn, Jobs& jobs, uint32_t i) {
  Slot& s = slots_[i];
  s.next_check = kNever, s.checked = turn.now;
  Request request{"GET", config_.check, config_.name, "http", "", {{"host", config_.name}, {"user-agent", "orchard-check"}}, ""};
  s.check = jobs.Run(turn, owner_, JobKind::kCageRun, RunArgsOf(turn, s.cage, request));
}

void Pool::Died(Turn& turn, Jobs& jobs, uint32_t i, Cause cause, std::string_view detail, Instant wrong) {
  Slot& s = slots_[i];
  Cancel(turn, jobs, s);
  if (s.state == State::kTerm) return Move(turn, s, State::kStop);  // It was to go; OnTime has what follows.
  s.last_cause = cause, s.last_detail = std::string(detail.substr(0, 200)), s.wrong = wrong;
  ++s.deaths, ++stats_.crashed;
  s.next_check = kNever;
  Move(turn, s, State::kCrash);
  s.hearsay = true;
  turn.trace.Add(TraceCageCrashed{.site = config_.name, .cause = CauseName(cause), .slot = i, .cage = s.cage});
  if (config_.supervise == Duration{0}) Notice(turn, i);
}

void Pool::Notice(Turn& turn, uint32_t i) {
  Slot& s = slots_[i];
  s.hearsay = false, s.noticed = turn.now;
  const auto wait = s.backoff.OnDeath(turn.now, config_.backoff, config_.backoff_max, config_.attempts, config_.steady, config_.faithful);
  if (wait.has_value()) {
    s.respawn = turn.now + *wait;
  } else {
    s.gave_up = true;
    turn.trace.Add(TraceCageGaveUp{.site = config_.name, .slot = i, .attempts = s.backoff.made()});
  }
}

void Pool::Leave(Turn& turn, Jobs& jobs, uint32_t i) {
  Slot& s = slots_[i];
  Cancel(turn, jobs, s);
  jobs.RunAndForget(turn, JobKind::kCageStop, Encode(StopArgs{s.cage}));
  turn.trace.Add(TraceCageStopped{.site = config_.name, .slot = i, .cage = s.cage});
  s.leave = kNever;
  Move(turn, s, State::kStop);
}

// ---- Requests ----

void Pool::Ask(Turn& turn, Jobs& jobs, RequestId id, Request request, PoolNews& news) {
  auto run = std::make_unique<Run>(Run{.id = id, .request = std::move(request)});
  Pump(turn, jobs);
  if (waiting_.empty() && Give(turn, jobs, run)) return;
  if (waiting_.size() >= config_.waiting || config_.patience <= Duration{0}) {
    ++stats_.refused;
    return news.push_back(Refused{id, healthy() == 0 ? Unserved::kNoCage : Unserved::kFull, Cause::kNone, 0, 0});
  }
  waiting_.push_back({std::move(run), turn.now + config_.patience});
}

bool Pool::Give(Turn& turn, Jobs& jobs, std::unique_ptr<Run>& run) {
  std::vector<Balancer::Candidate> candidates(slots_.size());
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& s = slots_[i];
    candidates[i] = {s.state == State::kRun && s.active < config_.concurrent && s.breaker.Allows(turn.now), s.active,
                     i < config_.weights.size() ? config_.weights[i] : 1};
  }
  const auto chosen = balancer_.Choose(config_.balance, candidates, turn.rng);
  if (!chosen.has_value()) return false;
  Slot& s = slots_[*chosen];
  ++s.active, ++run->tries;
  s.breaker.OnSent();
  run->cage = s.cage, run->began = turn.now;
  const JobId job = jobs.Run(turn, owner_, JobKind::kCageRun, RunArgsOf(turn, s.cage, run->request));
  runs_.emplace(job, std::move(run));
  return true;
}

std::optional<uint32_t> Pool::Alive(uint32_t cage) const {
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    const Slot& s = slots_[i];
    if (s.cage == cage && (s.state == State::kRun || s.state == State::kTerm)) return i;
  }
  return std::nullopt;
}

void Pool::Pump(Turn& turn, Jobs& jobs) {
  while (!waiting_.empty() && Give(turn, jobs, waiting_.front().run)) waiting_.pop_front();
}

void Pool::Forget(RequestId id) {
  std::erase_if(waiting_, [&](const Waiting& w) { return w.run->id == id; });
  for (auto& [job, run] : runs_) {
    if (run->id == id) run->wanted = false;  // It goes on: the cage cannot be told, and its place is taken until it is over.
  }
}

void Pool::Judge(Turn& turn, uint32_t cage, bool sense) {
  const auto slot = Alive(cage);
  if (!slot.has_value()) return;
  Breaker& b = slots_[*slot].breaker;
  const bool was = b.open();
  if (sense) b.OnGood(); else b.OnBad(turn.now);
  if (b.open() != was) turn.trace.Add(TraceCageBreaker{.site = config_.name, .slot = *slot, .cage = cage, .open = b.open()});
}

void Pool::RunDone(Turn& turn, Jobs& jobs, std::unique_ptr<Run> run, const JobDone& done, PoolNews& news) {
  const auto slot = Alive(run->cage);
  RunResult result = ResultOf(done);
  if (slot.has_value()) --slots_[*slot].active;
  if (result.cause == Cause::kNone) {
    if (slot.has_value()) ++slots_[*slot].served, slots_[*slot].memory_bytes = result.memory_bytes;
    ++stats_.answered;
    if (run->wanted) news.push_back(Answered{run->id, std::move(result), run->cage, run->tries});
    return;
  }
  const bool begun = done.status != absl::StatusCode::kAborted && done.status != absl::StatusCode::kNotFound;
  const Cause cause = result.cause;
  if (slot.has_value()) {
    slots_[*slot].breaker.OnLost();
    Died(turn, jobs, *slot, cause, result.detail, cause == Cause::kTimeout ? run->began : turn.now);
  }
  if (!run->wanted) return;
  if (!begun || (Idempotent(run->request.method) && run->tries <= config_.retries)) {
    ++stats_.retried;
    turn.trace.Add(TraceCageRetried{.site = config_.name, .request = uint64_t(run->id), .cage = run->cage});
    if (!begun) --run->tries;
    waiting_.push_back({std::move(run), turn.now + std::max(config_.patience, Duration{0})});
    return;
  }
  ++stats_.refused;
  news.push_back(Refused{run->id, Unserved::kDied, cause, run->cage, run->tries});
}

// ---- Inputs ----

void Pool::OnJobDone(Turn& turn, Jobs& jobs, const JobDone& done, PoolNews& news) {
  if (auto it = runs_.find(done.job); it != runs_.end()) {
    std::unique_ptr<Run> run = std::move(it->second);
    runs_.erase(it);
    RunDone(turn, jobs, std::move(run), done, news);
  } else {
    for (uint32_t i = 0; i < slots_.size(); ++i) {
      if (done.job == slots_[i].spawn) SpawnDone(turn, jobs, i, done);
      else if (done.job == slots_[i].watch) WatchDone(turn, jobs, i, done);
      else if (done.job == slots_[i].check) CheckDone(turn, jobs, i, done);
    }
  }
  OnTime(turn, jobs, news);
}

void Pool::SpawnDone(Turn& turn, Jobs& jobs, uint32_t i, const JobDone& done) {
  Slot& s = slots_[i];
  s.spawn = kNoJob;
  if (done.status != absl::StatusCode::kOk) return Died(turn, jobs, i, Cause::kEngine, AsText(done.result), turn.now);
  s.made = turn.now;
  ++stats_.spawned;
  turn.trace.Add(TraceCageSpawned{.site = config_.name, .slot = i, .cage = s.cage, .spawn_us = Micros(s.made - s.begun)});
  s.watch = jobs.Run(turn, owner_, JobKind::kCageWatch, Encode(WatchArgs{s.cage}));
  Check(turn, jobs, i);
}

void Pool::WatchDone(Turn& turn, Jobs& jobs, uint32_t i, const JobDone& done) {
  slots_[i].watch = kNoJob;
  auto death = Decode<Death>(done.result);
  if (death.ok()) Died(turn, jobs, i, death->cause, death->detail, turn.now);
  else Died(turn, jobs, i, Cause::kEngine, "its process died", turn.now);
}

void Pool::CheckDone(Turn& turn, Jobs& jobs, uint32_t i, const JobDone& done) {
  Slot& s = slots_[i];
  s.check = kNoJob;
  const RunResult result = ResultOf(done);
  if (result.cause != Cause::kNone) return Died(turn, jobs, i, result.cause, result.detail, result.cause == Cause::kTimeout ? s.checked : turn.now);
  s.memory_bytes = result.memory_bytes;
  s.next_check = turn.now + config_.check_every;
  if (s.state != State::kInit) return;
  Move(turn, s, State::kRun);
  s.backoff.OnHealthy(turn.now);
  turn.trace.Add(TraceCageServed{.site = config_.name, .cause = CauseName(s.last_cause), .slot = i, .cage = s.cage,
                                 .detect_us = Micros(s.noticed - s.wrong), .backoff_us = Micros(s.begun - s.noticed),
                                 .spawn_us = Micros(s.made - s.begun), .answer_us = Micros(turn.now - s.made)});
}

void Pool::OnTime(Turn& turn, Jobs& jobs, PoolNews& news) {
  if (next_look_ <= turn.now) {
    next_look_ = turn.now + config_.supervise;
    for (uint32_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].hearsay) Notice(turn, i);
    }
  }
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& s = slots_[i];
    if (s.state == State::kTerm && (s.active == 0 || s.leave <= turn.now)) Leave(turn, jobs, i);
    if (s.state == State::kStop && i < wanted_) s.wrong = {}, s.last_cause = Cause::kNone, Begin(turn, jobs, i);
    if (s.state == State::kCrash && i >= wanted_) Move(turn, s, State::kStop);
    if (s.state == State::kCrash && s.respawn <= turn.now) Begin(turn, jobs, i);
    if (s.state == State::kRun && s.next_check <= turn.now && s.check == kNoJob) Check(turn, jobs, i);
  }
  while (slots_.size() > wanted_ && slots_.back().state == State::kStop) slots_.pop_back();
  Pump(turn, jobs);
  while (!waiting_.empty() && waiting_.front().until <= turn.now) {
    ++stats_.refused;
    const Run& run = *waiting_.front().run;
    news.push_back(Refused{run.id, healthy() == 0 ? Unserved::kNoCage : Unserved::kFull, Cause::kNone, 0, run.tries});
    waiting_.pop_front();
  }
}

Instant Pool::next_deadline() const {
  Instant at = waiting_.empty() ? kNever : waiting_.front().until;
  bool hearsay = false;
  for (const Slot& s : slots_) {
    at = std::min({at, s.respawn, s.next_check, s.leave});
    hearsay |= s.hearsay;
  }
  return hearsay ? std::min(at, next_look_) : at;
}

// ---- By an operator's word ----

void Pool::Scale(Turn& turn, Jobs& jobs, uint32_t replicas) {
  wanted_ = config_.replicas = std::clamp(replicas, 1u, kReplicasMax);
  while (slots_.size() < wanted_) slots_.push_back({.image = image_});
  LetGo(turn, jobs);
}

void Pool::LetGo(Turn& turn, Jobs& jobs) {
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& s = slots_[i];
    if (i >= wanted_ && (s.state == State::kInit || s.state == State::kRun)) Move(turn, s, State::kTerm), s.leave = turn.now + config_.drain;
  }
  PoolNews none;
  OnTime(turn, jobs, none);
}

bool Pool::Revive(Turn& turn, Jobs& jobs) {
  bool any = false;
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& s = slots_[i];
    if (!s.gave_up) continue;
    any = true, s.gave_up = false, s.backoff.Reset();
    Begin(turn, jobs, i);
  }
  return any;
}

void Pool::Replace(Turn& turn, Jobs& jobs, size_t slot, const Image& image) {
  Slot& s = slots_[slot];
  s.image = image, s.gave_up = false;
  s.backoff = {};
  if (s.state == State::kInit || s.state == State::kRun) Move(turn, s, State::kTerm), s.leave = turn.now + config_.drain;
  else if (s.state == State::kCrash) s.respawn = turn.now;
  PoolNews none;
  OnTime(turn, jobs, none);
}

std::vector<std::pair<RequestId, Request>> Pool::Drain(Turn& turn, Jobs& jobs) {
  leaving_ = true, wanted_ = 0;
  std::vector<std::pair<RequestId, Request>> out;
  for (Waiting& w : waiting_) out.emplace_back(w.run->id, std::move(w.run->request));
  waiting_.clear();
  LetGo(turn, jobs);
  return out;
}

void Pool::Stop(Turn& turn, Jobs& jobs, PoolNews& news) {
  for (Slot& s : slots_) {
    Cancel(turn, jobs, s);
    if (s.state == State::kCrash || s.state == State::kStop) continue;
    jobs.RunAndForget(turn, JobKind::kCageStop, Encode(StopArgs{s.cage}));
  }
  for (const auto& [job, run] : runs_) {
    jobs.Cancel(turn, job);
    if (run->wanted) news.push_back(Refused{run->id, Unserved::kNoCage, Cause::kNone, 0, run->tries});
  }
  for (const Waiting& w : waiting_) news.push_back(Refused{w.run->id, Unserved::kNoCage, Cause::kNone, 0, w.run->tries});
  runs_.clear(), waiting_.clear(), slots_.clear();
}

}  // namespace orchard::cage
