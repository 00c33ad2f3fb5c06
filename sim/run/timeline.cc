#include "sim/run/timeline.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "node/sidecar/operations.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

constexpr std::string_view kTopicWords[] = {"topic", "seed"};

bool Undoes(std::string_view action, std::string_view standing) {
  const sidecar::Operation* operation = sidecar::FindOperation(action);
  return operation != nullptr && operation->undoes == standing;
}
// By what tells one standing order from another: its topic, and the key pair it is for.
bool SameTopic(const Json& a, const Json& b) {
  return std::all_of(std::begin(kTopicWords), std::end(kTopicWords), [&](std::string_view word) {
    const Json *x = a.Find(word), *y = b.Find(word);
    return x == nullptr || y == nullptr ? x == y : x->Dump() == y->Dump();
  });
}

}  // namespace

// One host's occurrences of an `every`: an open loop that never waits, or a closed one that waits for its answer.
struct Timeline::Loop {
  size_t entry;
  HostIndex host;  // kNoHost: a fault or moment.
  Rng rng;
  Instant base;    // Of the next occurrence, before the host's point in the spread.
  Duration phase;
  uint64_t n = 0;
};

Timeline::Timeline(const Scenario& scenario, const Plan& plan, uint64_t seed, Stage& stage, Recorder& recorder,
                   Moments& moments, Results& results, Connections& connections)
    : scenario_(scenario), plan_(plan), seed_(seed), stage_(stage), recorder_(recorder), moments_(moments), results_(results),
      connections_(connections),
      agenda_(stage), churner_(plan, seed, stage, agenda_), filler_(plan, seed, stage, results),
      faults_(scenario, plan, seed, stage, agenda_, churner_), state_(scenario.timeline.size()),
      seen_(scenario.timeline.size()), standing_(plan.world.hosts.size()) {}

std::string Timeline::StreamName(std::string_view purpose, size_t i) const {
  return Cat(purpose, " ", entry(i).as.empty() ? entry(i).path : entry(i).as);
}

void Timeline::Prepare() {
  for (size_t i = 0; i < state_.size(); ++i) {
    const Entry& e = entry(i);
    if (e.who && e.act == Entry::Act::kOperation) state_[i].who = HostsOf(*e.who, scenario_, plan_);
  }
  churner_.Prepare(moments_);
  for (size_t i = 0; i < state_.size(); ++i) TryStart(i);
}

void Timeline::TryStart(size_t i) {
  const Entry& e = entry(i);
  if (state_[i].due) return;
  switch (e.when) {
    case Entry::When::kAt:
      if (std::optional<Instant> at = moments_.At(e.at)) Start(i, *at);
      break;
    case Entry::When::kAtDraw: {
      Rng rng = Rng::Named(seed_, "timeline", StreamName("at", i));
      Start(i, Instant(Duration(Sample(e.at_draw, rng))));
      break;
    }
    case Entry::When::kEvery:
      if (std::optional<Instant> from = moments_.At(e.from)) state_[i].due = true, StartLoops(i, *from);
      break;
    case Entry::When::kWhen: break;  // CheckEvent and Tick.
  }
}

void Timeline::Start(size_t i, Instant at) {
  state_[i].due = state_[i].exhausted = true;
  const Entry& e = entry(i);
  if (at > moments_.end()) return;  // Later than the end: it does not act.
  const auto what = e.act == Entry::Act::kFault    ? Agenda::Class::kFault
                    : e.act == Entry::Act::kMoment ? Agenda::Class::kMoment
                                                   : Agenda::Class::kOperation;
  ++state_[i].open;
  seen_[i].first = std::min(seen_[i].first, at);  // What is planned; Begin makes it true.
  agenda_.Put(at, what, i, [this, i, at] { Act(i, std::max(at, stage_.now())); });
}

void Timeline::StartLoops(size_t i, Instant from) {
  const Entry& e = entry(i);
  auto make = [&](HostIndex h, std::string_view name) {
    return std::make_shared<Loop>(Loop{i, h, Rng::Named(seed_, name, StreamName("arrivals", i)), from, Phase(i, h)});
  };
  if (e.act != Entry::Act::kOperation) {
    ++state_[i].open;
    return Step(make(kNoHost, "timeline"));
  }
  state_[i].open += state_[i].who.size();
  for (HostIndex h : state_[i].who) Step(make(h, plan_.world.hosts[h].id));
  if (state_[i].who.empty()) state_[i].exhausted = true;
}

Duration Timeline::Phase(size_t i, HostIndex h) const {
  if (entry(i).spread <= Duration::zero() || h == kNoHost) return {};
  Rng rng = Rng::Named(seed_, plan_.world.hosts[h].id, StreamName("spread", i));
  return Duration(int64_t(rng.Below(uint64_t(entry(i).spread.count()))));
}

Duration Timeline::Interval(Loop& loop) {
  const Entry& e = entry(loop.entry);
  int64_t mean = Sample(e.every, loop.rng);
  if (e.arrivals == Entry::Arrivals::kPoisson) {
    Draw exp{.kind = Draw::Kind::kExp, .a = mean};
    mean = Sample(exp, loop.rng);
  }
  if (e.arrivals == Entry::Arrivals::kBursts) mean = (loop.n + 1) % e.burst == 0 ? mean * int64_t(e.burst) : 0;
  // A burst is one instant; otherwise no two occurrences of one host are, or the instant would never end.
  return Duration(e.arrivals == Entry::Arrivals::kBursts ? std::max<int64_t>(mean, 0) : std::max<int64_t>(mean, 1000));
}

// Puts the loop's next occurrence on the agenda, or ends it.
void Timeline::Step(std::shared_ptr<Loop> loop) {
  const size_t i = loop->entry;
  const Entry& e = entry(i);
  const std::optional<Instant> until = e.until ? moments_.At(*e.until) : std::optional(moments_.end());
  const bool over = (until && loop->base >= *until) || loop->base >= moments_.end() || (e.times && loop->n >= *e.times);
  if (over) {
    --state_[i].open;
    if (std::exchange(state_[i].exhausted, true)) {}
    return MaybeEnd(i);
  }
  const Instant at = loop->base + loop->phase;
  const auto what = e.act == Entry::Act::kFault ? Agenda::Class::kFault
                    : e.act == Entry::Act::kMoment ? Agenda::Class::kMoment : Agenda::Class::kOperation;
  agenda_.Put(at, what, i, [this, loop, at] {
    const size_t entry_index = loop->entry;
    const Entry& en = entry(entry_index);
    const std::optional<Instant> end = en.until ? moments_.At(*en.until) : std::nullopt;
    if (end && loop->base >= *end) return Step(loop);  // `until` became known meanwhile.
    const uint64_t n = loop->n;
    if (loop->host == kNoHost) {
      ++state_[entry_index].open;
      Act(entry_index, at);
    } else {
      Begin(entry_index);
      Operate(entry_index, loop->host, at, n);
    }
    if (en.closed_loop && loop->host != kNoHost) {
      const bool waits = std::any_of(running_.begin(), running_.end(), [&](const auto& r) {
        return r.second.entry == entry_index && r.second.host == loop->host && r.second.n == n;
      });
      if (waits) {
        closed_[{entry_index, loop->host}] = loop;
        return;
      }
    }
    loop->base += Interval(*loop), ++loop->n;
    Step(loop);
  });
}

void Timeline::Begin(size_t i) {
  EntrySeen& s = seen_[i];
  s.first = s.count == 0 ? stage_.now() : s.first;
  s.last = stage_.now(), ++s.count;
  if (!entry(i).as.empty() && !moments_.Began(entry(i).as)) {
    moments_.Begin(entry(i).as, stage_.now());
    MomentsChanged();
  }
}

void Timeline::MaybeEnd(size_t i) {
  if (!state_[i].exhausted || state_[i].open > 0 || seen_[i].ended != kNever) return;
  const Entry& e = entry(i);
  // A fault without `for` that changes the world lasts to the end of the run.
  if (e.act == Entry::Act::kFault && !e.lasts && (e.fault.kind == FaultKind::kPartition || e.fault.kind == FaultKind::kLink)) return;
  seen_[i].ended = stage_.now();
  if (e.as.empty()) return;
  moments_.End(e.as, stage_.now());
  MomentsChanged();
}

// A new moment: entries and hosts that waited for it, and theirs. Put on the agenda, so that nothing starts inside another.
void Timeline::MomentsChanged() {
  if (std::exchange(changing_, true)) return;
  agenda_.Put(stage_.now(), Agenda::Class::kMoment, 0, [this] {
    changing_ = false;
    churner_.Prepare(moments_);
    for (size_t i = 0; i < state_.size(); ++i) TryStart(i);
  });
}

void Timeline::Act(size_t i, Instant at) {
  const Entry& e = entry(i);
  Begin(i);
  if (e.act == Entry::Act::kMoment) {
    --state_[i].open;
    return MaybeEnd(i);
  }
  if (e.act == Entry::Act::kOperation) {
    for (HostIndex h : state_[i].who) {
      const Duration phase = Phase(i, h);
      if (phase == Duration::zero()) {
        Operate(i, h, at, 0);
        continue;
      }
      ++state_[i].open;
      agenda_.Put(at + phase, Agenda::Class::kOperation, i, [this, i, h, when = at + phase] {
        Operate(i, h, when, 0);
        --state_[i].open;
        MaybeEnd(i);
      });
    }
    --state_[i].open;
    return MaybeEnd(i);
  }
  const uint64_t n = seen_[i].count - 1;
  Duration lasts{};
  if (e.lasts) {
    Rng rng = Rng::Named(seed_, "timeline", Cat(StreamName("for", i), " ", n));
    lasts = Duration(Sample(*e.lasts, rng));
  }
  std::function<void()> undo = faults_.Inflict(i, n, lasts);
  for (size_t healed : faults_.TakeHealed()) {
    if (seen_[healed].ended != kNever) continue;
    seen_[healed].ended = stage_.now();
    if (!entry(healed).as.empty()) moments_.End(entry(healed).as, stage_.now()), MomentsChanged();
  }
  if (lasts <= Duration::zero()) {
    --state_[i].open;
    return MaybeEnd(i);
  }
  agenda_.Put(stage_.now() + lasts, Agenda::Class::kFault, i, [this, i, undo] {
    if (undo) undo();
    --state_[i].open;
    MaybeEnd(i);
  });
}

void Timeline::Operate(size_t i, HostIndex h, Instant intended, uint64_t n) {
  const Entry& e = entry(i);
  if (e.standing) {
    standing_[h].push_back({i});
  }
  if (!stage_.up(h)) return;  // Nothing is run and nothing is counted.
  std::vector<std::string> needs = ValueFiller::Needs(e.with);
  std::erase_if(needs, [&](const std::string& as) { return moments_.Ended(as).has_value(); });
  if (!needs.empty()) {
    ++state_[i].open;
    waiting_.push_back({i, h, n, std::move(needs)});
    return;
  }
  Issue(i, h, intended, n, false);
}

void Timeline::RetryWaiting() {
  std::vector<Waiting> ready;
  std::erase_if(waiting_, [&](Waiting& w) {
    std::erase_if(w.needs, [&](const std::string& as) { return moments_.Ended(as).has_value(); });
    if (!w.needs.empty()) return false;
    ready.push_back(std::move(w));
    return true;
  });
  for (const Waiting& w : ready) {
    agenda_.Put(stage_.now(), Agenda::Class::kOperation, w.entry, [this, w] {
      if (stage_.up(w.host)) Issue(w.entry, w.host, stage_.now(), w.n, false);
      --state_[w.entry].open;
      MaybeEnd(w.entry);
    });
  }
}

void Timeline::Issue(size_t i, HostIndex h, Instant intended, uint64_t n, bool again) {
  const Entry& e = entry(i);
  std::string error;
  std::optional<Json> params = filler_.Fill(e, h, n, error);
  const OpId op{next_op_++};
  Call call{i, h, intended, n, again, op};
  if (!again) ++state_[i].open;
  ++seen_[i].running;
  if (!params) return Done(call, false, "ERR_REFERENCE", Json::Object(), error);
  call.peer = connections_.PeerOf(*params);
  if (!e.standing) {  // What this undoes is no longer carried out when the host returns.
    std::erase_if(standing_[h], [&](const Standing& s) {
      return Undoes(e.action, entry(s.entry).action) && SameTopic(e.with, entry(s.entry).with);
    });
  }
  running_.emplace(uint32_t(op), call);
  connections_.OnOperation(stage_.now(), h, op, uint16_t(i + 1), e.action, *params);
  if (!stage_.Call(h, op, e.action, params->Dump())) {
    running_.erase(uint32_t(op));
    connections_.OnOperationEnd(stage_.now(), op, false);
    return Lost(i), --state_[i].open, MaybeEnd(i);
  }
  if (e.lasts) {  // `for` ends a stream.
    Rng rng = Rng::Named(seed_, plan_.world.hosts[h].id, Cat(StreamName("for", i), " ", n));
    agenda_.Put(stage_.now() + Duration(Sample(*e.lasts, rng)), Agenda::Class::kOperation, i, [this, h, op] {
      if (running_.contains(uint32_t(op))) stage_.Cancel(h, op);
    });
  }
}

// An operation whose host went away before it answered: neither ok nor failed.
void Timeline::Lost(size_t i) { --seen_[i].running; }

void Timeline::OnOpFinal(HostIndex host, OpId op, std::string_view json) {
  auto it = running_.find(uint32_t(op));
  if (it == running_.end()) return;
  const Call call = it->second;
  CHECK_EQ(call.host, host);
  running_.erase(it);
  JsonError broken;
  std::optional<Json> event = ParseJson(json, 0, broken);
  CHECK(event && event->is_object());  // The node's own writer made it.
  const Json* data = event->Find("data");
  Json fields = data != nullptr && data->is_object() ? *data : Json::Object();
  // `ok`: it found or did what was asked; else `code` says why not.
  const Json *ok = fields.Find("ok"), *code = fields.Find("code"), *message = fields.Find("message"), *step = fields.Find("step");
  auto text = [](const Json* j) { return j != nullptr && j->is_text() ? j->text : std::string(); };
  const std::string error = text(code), waited = text(step);
  const std::string detail = waited.empty() ? text(message) : Cat("after waiting in step \"", waited, "\"");
  Done(call, ok != nullptr && ok->truth, error, std::move(fields), detail);
}

void Timeline::Done(const Call& call, bool ok, const std::string& code, Json data, const std::string& detail) {
  const Entry& e = entry(call.entry);
  const Instant now = stage_.now();
  const uint16_t as = uint16_t(call.entry + 1);
  connections_.OnOperationEnd(now, call.op, ok);
  const Json* path = ok ? data.Find("path") : nullptr;
  auto number = [&](std::string_view field) {
    const Json* value = data.Find(field);
    return value != nullptr && value->is_number() ? std::string_view(value->text) : std::string_view();
  };
  const Tag tag = recorder_.Intern({{"error", ok ? std::string_view() : code.empty() ? std::string_view("nothing found") : std::string_view(code)},
                                    {"status", number("status")},
                                    {"path", path != nullptr && path->is_text() ? std::string_view(path->text) : std::string_view()},
                                    {"remote_nat", call.peer == kNoHost ? std::string_view() : std::string_view(plan_.world.hosts[call.peer].nat_label)}});
  recorder_.Add(Cat(e.action, ".ok"), now, call.host, ok ? kMicro : 0, as, tag);
  recorder_.Add(Cat(e.action, "_ms"), now, call.host, (now - call.intended).count(), as, tag);
  for (std::string_view field : {".hops", ".requests", ".first_byte_ms", ".gap_ms", "_mbps"}) {
    const std::string metric = Cat(e.action, field);
    const Json* value = data.Find(field.substr(1));
    if (value != nullptr && value->is_number() && FindMetric(metric) != nullptr) {
      recorder_.Add(metric, now, call.host, value->Micro().value_or(0), as, tag);
    }
  }
  --seen_[call.entry].running;
  ++(ok ? seen_[call.entry].ok : seen_[call.entry].failed);
  if (!e.as.empty()) results_.Add(e.as, call.host, {now, ok, code, std::move(data)});

  const bool maybe = e.fails == Entry::Fails::kMaybe || call.again || (!e.fails_stated && churner_.churns(call.host));
  if (e.fails == Entry::Fails::kNever && !ok && !maybe) {
    Complain(call.entry, call.host, Cat(e.action, " on ", plan_.world.hosts[call.host].id, code.empty() ? " found nothing" : Cat(" ended in ", code),
                                        detail.empty() ? "" : Cat(detail.starts_with("after") ? " " : ": ", detail)));
  }
  if (e.fails == Entry::Fails::kWith && (ok || code != e.fails_code)) {
    Complain(call.entry, call.host, Cat(e.action, " on ", plan_.world.hosts[call.host].id, " must end in ", e.fails_code,
                                        ok ? ", but succeeded" : Cat(", but ended in ", code)));
  }
  if (!call.again) --state_[call.entry].open;
  MaybeEnd(call.entry);
  RetryWaiting();
  auto loop = closed_.find({call.entry, call.host});
  if (loop != closed_.end() && loop->second->n == call.n) {
    std::shared_ptr<Loop> l = std::move(loop->second);
    closed_.erase(loop);
    const Duration wait = Interval(*l);
    l->base = now + wait - l->phase, ++l->n;
    Step(l);
  }
}

void Timeline::OnHostUp(HostIndex host) {
  // In the order they were given; each at most once a life.
  for (const Standing& s : standing_[host]) {
    agenda_.Put(stage_.now(), Agenda::Class::kOperation, s.entry, [this, i = s.entry, host] {
      if (stage_.up(host)) Issue(i, host, stage_.now(), 0, true);
    });
  }
}

void Timeline::OnHostDown(HostIndex host) {
  std::vector<uint32_t> gone;
  for (const auto& [op, call] : running_) {
    if (call.host == host) gone.push_back(op);
  }
  std::sort(gone.begin(), gone.end());
  for (uint32_t op : gone) {
    const Call call = running_.at(op);
    running_.erase(op);
    Lost(call.entry);
    if (!call.again) --state_[call.entry].open;
    auto loop = closed_.find({call.entry, host});
    if (loop != closed_.end() && loop->second->n == call.n) {
      std::shared_ptr<Loop> l = std::move(loop->second);
      closed_.erase(loop);
      l->base = stage_.now() + Interval(*l) - l->phase, ++l->n;
      Step(l);
    }
    MaybeEnd(call.entry);
  }
  churner_.OnDown(host);
  if (!gone.empty()) RetryWaiting();
}

}  // namespace orchard::sim
