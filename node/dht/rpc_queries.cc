// Queries: from a search to its commits.

#include <algorithm>
#include <utility>

#include "node/dht/rpc_state.h"
#include "node/dht/trace_events.h"

namespace orchard::dht {

Rpc::State::Running* Rpc::State::FindQuery(QueryId id) {
  auto at = std::lower_bound(queries.begin(), queries.end(), id, [](const auto& q, QueryId x) { return q->id < x; });
  return at == queries.end() || (*at)->id != id ? nullptr : at->get();
}

QueryId Rpc::State::Start(Turn& turn, News& news, const QuerySpec& spec, Kind kind) {
  QueryId id{next_query++};
  refresh_ticks = kRefreshTicks;
  if (queries.size() >= kQueriesMax) {
    ++stats.overload;
    news.push_back(QueryFinished{.query = id, .outcome = QueryOutcome::kOverload, .asker = spec.asker});
    return id;
  }
  ++stats.queries;
  uint32_t concurrency = spec.concurrency > 0 ? spec.concurrency : config.concurrency;
  queries.push_back(std::make_unique<Running>(Running{.id = id,
                                                      .search = Query(spec.target, concurrency, spec.seeds, spec.only_closest),
                                                      .kind = kind,
                                                      .commit = spec.commit,
                                                      .internal = spec.internal,
                                                      .replies = spec.replies,
                                                      .has_value = spec.value.has_value(),
                                                      .retries = spec.retries,
                                                      .command = spec.command,
                                                      .value = std::string(AsText(spec.value.value_or(Bytes{}))),
                                                      .started = turn.now,
                                                      .asker = spec.asker}));
  Running& q = *queries.back();
  const bool wants_roots = q.search.WantsRoots(world());
  if (wants_roots && !ResolveRoots(turn)) {
    // BeginOpened goes on when they are known. A first walk has the cache to begin with; they join it when they are known.
    if (kind != Kind::kBootstrap || !config.quick_walks || spec.seeds.empty()) return id;
    hurried = true;
  }
  q.stage = Running::Stage::kSearching;
  Query::Work work;
  q.search.Begin(world(), wants_roots ? RootAddresses() : std::vector<Ipv4Address>(), work);
  Pump(turn, news, q, work);
  return id;
}

void Rpc::State::BeginOpened(Turn& turn, News& news) {
  for (size_t i = 0; i < queries.size();) {
    Running& q = *queries[i];
    const bool late = q.stage == Running::Stage::kSearching && q.kind == Kind::kBootstrap && std::exchange(hurried, false);
    if (q.stage != Running::Stage::kOpening && !late) {
      ++i;
      continue;
    }
    q.stage = Running::Stage::kSearching;
    Query::Work work;
    q.search.Begin(world(), RootAddresses(), work);
    Pump(turn, news, q, work);
    i = 0;  // The list may have changed; each one is begun once.
  }
}

void Rpc::State::StartBackground(Turn& turn, News& news, const Key32& target, Kind kind, absl::Span<const Contact> seeds) {
  // Yields to other traffic; see OnQueryAnswer.
  uint32_t concurrency = Wide(kind) ? config.concurrency : std::min(config.concurrency, std::max(2u, config.concurrency / 8));
  Start(turn, news,
        {.target = target, .command = uint64_t(Internal::kFindNode), .internal = true, .seeds = seeds,
         .concurrency = concurrency, .replies = false},
        kind);
}

// Sends what the search wants sent. `q` may be gone afterwards.
void Rpc::State::Pump(Turn& turn, News& news, Running& q, Query::Work& work) {
  for (size_t i = 0; i < work.hints.size(); ++i) {
    const Query::Hint h = work.hints[i];
    if (hints >= kHintsPerTick) break;
    ++hints;
    if (!config.down_hints) continue;
    wire::Writer value;
    value.Ipv4(h.down);
    Send(turn, {.to = h.to, .command = uint64_t(Internal::kDownHint), .value = value.bytes()},
         {.purpose = Purpose::kHint, .evict = h.to_known, .a = uint32_t(q.id)});
  }
  work.hints.clear();
  // A visit that is refused makes room for others, which are then appended.
  for (size_t i = 0; i < work.visits.size(); ++i) {
    const Query::Visit v = work.visits[i];
    ++q.requests;
    std::optional<Bytes> value;
    if (q.has_value) value = AsBytes(q.value);
    if (Send(turn, {.to = v.to, .internal = q.internal, .command = q.command, .target = &q.search.target(), .value = value},
             {.purpose = Purpose::kQuery, .retries = q.retries, .evict = true, .a = uint32_t(q.id), .b = v.node,
              .timeout = FirstTimeout()})) {
      continue;
    }
    q.search.OnRefused(world(), v.node, work);
  }
  work.visits.clear();
  if (work.finished) OnSearched(turn, news, q);
}

void Rpc::State::OnQueryAnswer(Turn& turn, News& news, const Pending& p, const Response& r) {
  Running* q = FindQuery(QueryId{p.a});
  if (q == nullptr) return;
  ++q->answers;
  const bool searching = q->stage == Running::Stage::kSearching, ok = r.error == 0;
  const QueryId id = q->id;
  const Kind kind = q->kind;
  if (searching && ok && q->replies) news.push_back(QueryReply{id, r, q->asker});
  Query::Work work;
  q->search.OnReply(world(), p.b, r, work);
  Pump(turn, news, *q, work);
  if (!searching || !ok) return;
  if (kind == Kind::kBootstrap) OnBootstrapReply(turn, r);
  if (Wide(kind)) return;
  // A background query is narrow while there is other traffic.
  q = FindQuery(id);
  if (q == nullptr || q->stage != Running::Stage::kSearching) return;
  uint32_t narrow = std::min(config.concurrency, std::max(2u, config.concurrency / 8));
  q->search.set_concurrency(requests.size() < 3 ? config.concurrency : narrow);
  Query::Work more;
  q->search.ReadMore(world(), more);
  Pump(turn, news, *q, more);
}

void Rpc::State::OnSearched(Turn& turn, News& news, Running& q) {
  q.stage = Running::Stage::kCommitting;
  auto& closest = q.search.closest();
  if (q.commit == Commit::kNone) return FinishQuery(turn, news, q, QueryOutcome::kDone);
  if (closest.empty()) return FinishQuery(turn, news, q, QueryOutcome::kTooFew);
  if (q.commit == Commit::kByParent) {
    news.push_back(CommitDue{q.id, closest});
    return;
  }
  std::optional<Bytes> value;
  if (q.has_value) value = AsBytes(q.value);
  for (size_t i = 0; i < closest.size(); ++i) {
    if (!closest[i].token.has_value() || !CommitTo(turn, q, i, q.command, value)) ++q.commits_failed;
  }
  q.commits_ended = true;
  MaybeFinish(turn, news, q);
}

bool Rpc::State::CommitTo(Turn& turn, Running& q, size_t index, uint64_t command, std::optional<Bytes> value) {
  const ClosestReply& c = q.search.closest()[index];
  if (!Send(turn,
            {.to = c.from, .internal = false, .command = command, .target = &q.search.target(),
             .token = c.token ? &*c.token : nullptr, .value = value},
            {.purpose = Purpose::kCommit, .a = uint32_t(q.id), .b = uint32_t(index)})) {
    return false;
  }
  ++q.commits_pending;
  return true;
}

void Rpc::State::OnCommitted(Turn& turn, News& news, const Pending& p, const Response* r) {
  Running* q = FindQuery(QueryId{p.a});
  if (q == nullptr) return;
  --q->commits_pending;
  ++(r != nullptr ? q->commits_ok : q->commits_failed);
  news.push_back(CommitReply{q->id, p.b, r != nullptr, r != nullptr ? *r : Response{.from = p.to}});
  MaybeFinish(turn, news, *q);
}

void Rpc::State::MaybeFinish(Turn& turn, News& news, Running& q) {
  if (q.commits_pending > 0 || !q.commits_ended) return;
  FinishQuery(turn, news, q, q.commits_ok > 0 || q.commits_failed == 0 ? QueryOutcome::kDone : QueryOutcome::kCommitFailed);
}

void Rpc::State::DropRequestsOf(Turn& turn, QueryId id) {
  while (std::optional<Pending> p = requests.TakeOf(Purpose::kQuery, uint32_t(id))) {
    // The search is over without it, so no time-out will throw it out of the table.
    if (!config.quick_walks || checks >= kChecksMax || turn.now - p->created < FirstTimeout()) continue;
    RoutingTable::Slot s = table.Find(p->to, IdOf(p->to));
    if (s != RoutingTable::kNone && table[s].pinged < tick) StartCheck(turn, s);
  }
  for (Purpose purpose : {Purpose::kHint, Purpose::kCommit}) {
    while (requests.TakeOf(purpose, uint32_t(id)).has_value()) continue;
  }
}

void Rpc::State::FinishQuery(Turn& turn, News& news, Running& running, QueryOutcome outcome) {
  auto at = std::find_if(queries.begin(), queries.end(), [&](const auto& q) { return q.get() == &running; });
  std::unique_ptr<Running> q = std::move(*at);
  queries.erase(at);
  DropRequestsOf(turn, q->id);
  QueryFinished done{.query = q->id,
                     .outcome = outcome,
                     .closest = {},
                     .requests = q->requests,
                     .replies = q->answers,
                     .errors = q->search.error_answers(),
                     .timeouts = q->timeouts,
                     .commits_ok = q->commits_ok,
                     .commits_failed = q->commits_failed,
                     .took = turn.now - q->started,
                     .asker = q->asker};
  done.hops = q->search.hops();
  done.closest = std::move(q->search.closest());
  turn.trace.Add(trace::QueryFinished{.ms = uint64_t(ToMillis(done.took)), .hops = done.hops, .requests = done.requests,
                                      .replies = done.replies, .timeouts = done.timeouts, .closest = done.closest.size(),
                                      .outcome = uint64_t(outcome), .background = q->kind != Kind::kUser});
  if (q->kind == Kind::kUser) news.push_back(std::move(done));
  if (q->kind == Kind::kBootstrap) OnBootstrapQueryDone(turn, news);
}

}  // namespace orchard::dht
