#include "node/http/range_fetcher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/http/trace.h"
#include "node/http/writer.h"

namespace orchard::http {

void RangeFetcher::Fetch(Turn& turn, Ids& ids, FetchId fetch, const Url& url, const ByteRange& range, const Validator& validator,
                         FetchNews& news) {
  CHECK_LE(range.first, range.last);
  const Authority& origin = url.authority;
  const bool known = pools_.contains(origin);
  ++stats_.started;
  const bool fits = fetches_.size() < kFetchesMax && (known || pools_.size() < kOriginsMax);
  CHECK(fetches_.try_emplace(fetch, Wanted{.origin = origin, .target = url.target, .host = url.host_header(), .range = range,
                                           .validator = validator, .stream = std::nullopt}).second);
  if (url.https || !fits) return Fail(turn, fetch, url.https ? Failure::kBadUrl : Failure::kTooMany, 0, Refusal::kNone, news);
  Pool& pool = pools_[origin];
  pool.waiting.push_back(fetch);
  if (!known && pool.addresses.Ask(turn, ids, origin)) pool.forbidden = !pool.addresses.Keep(rules_);
  Dispatch(turn, ids, origin, news);
}

bool RangeFetcher::Cancel(Turn& turn, Ids& ids, FetchId fetch, FetchNews& news) {
  const auto it = fetches_.find(fetch);
  if (it == fetches_.end()) return false;
  const Authority origin = it->second.origin;
  // An answer under way cannot be called off but with its connection.
  if (it->second.stream.has_value()) {
    const auto link = links_.find(*it->second.stream);
    due_.Move(link->first, link->second->http.next_deadline(), kNever);
    link->second->http.Close(turn);
    Unlink(link);
  } else {
    auto& waiting = pools_.at(origin).waiting;
    waiting.erase(std::find(waiting.begin(), waiting.end(), fetch));
  }
  fetches_.erase(it);
  Dispatch(turn, ids, origin, news);
  return true;
}

void RangeFetcher::Clear(Turn& turn) {
  for (auto& [stream, link] : links_) link->http.Close(turn);
  for (auto& [origin, pool] : pools_) pool.addresses.Cancel(turn);
  links_.clear(), pools_.clear(), fetches_.clear(), due_ = {};
}

// Gives the waiting to connections that are free, or new ones; forgets an origin that nobody needs.
void RangeFetcher::Dispatch(Turn& turn, Ids& ids, const Authority& origin, FetchNews& news) {
  const auto found = pools_.find(origin);
  if (found == pools_.end()) return;
  Pool& pool = found->second;
  if (!pool.addresses.known() && !pool.addresses.asking()) {
    FailAll(turn, origin, pool.forbidden ? Failure::kForbidden : Failure::kNoName, news);
  }
  while (!pool.waiting.empty() && pool.addresses.known()) {
    const auto free = std::find_if(links_.begin(), links_.end(), [&](const auto& l) { return l.second->origin == origin && l.second->http.idle(); });
    if (free != links_.end()) {
      ++stats_.reused;
      const Instant before = free->second->http.next_deadline();
      Ask(turn, *free->second, pool.waiting.front());
      due_.Move(free->first, before, free->second->http.next_deadline());
    } else if (pool.links < kConnectionsPerOrigin) {
      const StreamId stream = ids.NextStream();
      auto link = std::make_unique<Link>(stream, patience_);
      link->origin = origin, link->to = pool.addresses.now();
      link->http.Open(turn, link->to);
      Ask(turn, *link, pool.waiting.front());
      due_.Move(stream, kNever, link->http.next_deadline());
      links_.emplace(stream, std::move(link));
      ++pool.links, ++stats_.connects;
    } else {
      break;
    }
    pool.waiting.erase(pool.waiting.begin());
  }
  if (pool.waiting.empty() && pool.links == 0 && !pool.addresses.asking()) pools_.erase(found);
}

void RangeFetcher::Ask(Turn& turn, Link& link, FetchId fetch) {
  Wanted& w = fetches_.at(fetch);
  w.stream = link.http.stream();
  link.fetch = fetch;
  HeaderList headers;
  headers.Add("Host", w.host);
  headers.Add("Range", absl::StrCat("bytes=", w.range.first + w.got, "-", w.range.last));
  if (!w.validator.if_range().empty()) headers.Add("If-Range", w.validator.if_range());
  headers.Add("Accept-Encoding", "identity");  // Ranges of something packed are ranges of other bytes.
  headers.Add("Accept", "*/*");
  link.http.Send(turn, "GET", WriteRequest("GET", w.target, headers));
}

bool RangeFetcher::OnInput(Turn& turn, Ids& ids, const Input& input, FetchNews& news) {
  if (const auto* done = std::get_if<JobDone>(&input)) {
    const auto it = std::find_if(pools_.begin(), pools_.end(), [&](const auto& p) { return p.second.addresses.asked(done->job); });
    if (it == pools_.end()) return false;
    const Authority origin = it->first;
    it->second.addresses.OnJobDone(*done);
    it->second.forbidden = !it->second.addresses.Keep(rules_);
    Dispatch(turn, ids, origin, news);
    return true;
  }
  ClientNews heard;
  auto on = [&](StreamId stream, auto call) {
    const auto it = links_.find(stream);
    if (it == links_.end()) return false;
    const Instant before = it->second->http.next_deadline();
    call(it->second->http);
    due_.Move(stream, before, it->second->http.next_deadline());
    Take(turn, ids, it, heard, news);
    return true;
  };
  if (const auto* x = std::get_if<StreamOpened>(&input)) return !x->listener.has_value() && on(x->stream, [&](auto& c) { c.OnOpened(turn, heard); });
  if (const auto* x = std::get_if<StreamData>(&input)) return on(x->stream, [&](auto& c) { c.OnData(turn, x->bytes, heard); });
  if (const auto* x = std::get_if<StreamCredit>(&input)) return on(x->stream, [&](auto& c) { c.OnCredit(turn, x->bytes, heard); });
  if (const auto* x = std::get_if<StreamEnded>(&input)) return on(x->stream, [&](auto& c) { c.OnEnded(turn, heard); });
  if (const auto* x = std::get_if<StreamClosed>(&input)) return on(x->stream, [&](auto& c) { c.OnClosed(turn, x->status, heard); });
  return false;
}

void RangeFetcher::OnTime(Turn& turn, Ids& ids, FetchNews& news) {
  while (const auto stream = due_.due(turn.now)) {
    const auto it = links_.find(*stream);
    const Instant before = it->second->http.next_deadline();
    ClientNews heard;
    it->second->http.OnTime(turn, heard);
    due_.Move(*stream, before, it->second->http.next_deadline());
    Take(turn, ids, it, heard, news);
  }
}

void RangeFetcher::Take(Turn& turn, Ids& ids, Links::iterator it, const ClientNews& heard, FetchNews& news) {
  Link& link = *it->second;
  const Authority origin = link.origin;
  const Instant before = link.http.next_deadline();
  for (const auto& n : heard) {
    if (std::holds_alternative<ResponseStarted>(n)) OnHead(turn, link, news);
    if (const auto* body = std::get_if<ResponseBody>(&n)) {
      link.http.Took(turn, body->bytes.size());
      if (!link.fetch.has_value()) continue;
      Wanted& w = fetches_.at(*link.fetch);
      if (body->bytes.size() > w.range.size() - w.got) {
        Fail(turn, *std::exchange(link.fetch, std::nullopt), Failure::kWrongRange, link.http.response().status, Refusal::kNone, news);
        link.http.Close(turn);
        continue;
      }
      news.push_back(FetchProgress{*link.fetch, w.range.first + w.got, body->bytes});
      w.got += body->bytes.size();
    }
    if (std::holds_alternative<ResponseDone>(n) && link.fetch.has_value()) {
      const FetchId fetch = *std::exchange(link.fetch, std::nullopt);
      const Wanted& w = fetches_.at(fetch);
      if (w.got != w.range.size()) {
        Fail(turn, fetch, Failure::kWrongRange, link.http.response().status, Refusal::kNone, news);
      } else {
        ++stats_.done;
        fetches_.erase(fetch);
        news.push_back(FetchDone{fetch});
      }
    }
    if (const auto* failed = std::get_if<ClientFailed>(&n); failed != nullptr && link.fetch.has_value()) {
      OnLost(turn, link, *std::exchange(link.fetch, std::nullopt), *failed, news);
    }
  }
  due_.Move(it->first, before, link.http.next_deadline());
  if (link.http.ended()) Unlink(it);
  Dispatch(turn, ids, origin, news);
}

// Is it what was asked for? If not, the rest is not read.
void RangeFetcher::OnHead(Turn& turn, Link& link, FetchNews& news) {
  if (!link.fetch.has_value()) return;
  const ResponseHead& head = link.http.response();
  Wanted& w = fetches_.at(*link.fetch);
  const auto encoding = head.headers.Find("Content-Encoding");
  const auto field = head.headers.Find("Content-Range");
  const auto range = field.has_value() && head.headers.Count("Content-Range") == 1 ? ContentRange::Parse(*field) : std::nullopt;
  Failure why = Failure::kNone;
  if (head.status == 200) why = Failure::kWholeAnswer;
  else if (head.status == 416) why = Failure::kUnsatisfiable;
  else if (head.status != 206) why = Failure::kStatus;
  else if (encoding.has_value() && !EqualsIgnoringCase(*encoding, "identity")) why = Failure::kEncoded;
  else if (!range.has_value() || range->range != ByteRange{w.range.first + w.got, w.range.last}) why = Failure::kWrongRange;
  else if (head.body == BodyKind::kNone || (head.body == BodyKind::kLength && head.length != w.range.size() - w.got)) why = Failure::kWrongRange;
  else if (!w.validator.Matches(head.headers)) why = Failure::kChanged;
  if (why == Failure::kNone) {
    if (std::exchange(w.begun, true)) return;
    if (w.validator.if_range().empty()) w.validator = Validator::Of(head.headers);
    return news.push_back(FetchStarted{*link.fetch, range->size, Validator::Of(head.headers)});
  }
  const int status = head.status;
  link.http.Close(turn);
  Fail(turn, *std::exchange(link.fetch, std::nullopt), why, status, Refusal::kNone, news);
}

// A kept connection may be closed by the server as we ask: that is no answer, and it is asked once more on a new one (RFC 9110
// §9.2.2, RFC 9112 §9.3.1). An address that does not answer has others beside it.
void RangeFetcher::OnLost(Turn& turn, const Link& link, FetchId fetch, const ClientFailed& failed, FetchNews& news) {
  Wanted& w = fetches_.at(fetch);
  Pool& pool = pools_.at(link.origin);
  const bool closed = failed.silent && link.http.answered() > 0 && (failed.why == Failure::kClosedEarly || failed.why == Failure::kReset) && !w.retried;
  const bool another = (failed.why == Failure::kRefused || failed.why == Failure::kUnreachable) && w.addresses_tried < pool.addresses.size();
  // Before anything came nothing has to fit.
  const bool stalled = (failed.why == Failure::kStalled || failed.why == Failure::kFirstByteTimeout) && w.resumes < kResumesMax &&
                       (!w.begun || !w.validator.if_range().empty());
  if (stalled) ++w.resumes, ++stats_.resumed;
  if (!closed && !another && !stalled) return Fail(turn, fetch, failed.why, 0, failed.refusal, news);
  if (closed) w.retried = true;
  if (another) {
    ++w.addresses_tried;
    if (pool.addresses.now() == link.to) pool.addresses.Next();  // Unless another connection found out before.
  }
  ++stats_.retried;
  w.stream.reset();
  pool.waiting.insert(pool.waiting.begin(), fetch);
}

void RangeFetcher::Fail(Turn& turn, FetchId fetch, Failure why, int status, Refusal refusal, FetchNews& news) {
  ++stats_.failed;
  turn.trace.Add(HttpFailed{.host = fetches_.at(fetch).host, .why = NameOf(why), .status = uint64_t(status)});
  fetches_.erase(fetch);
  news.push_back(FetchFailed{fetch, why, status, refusal});
}

void RangeFetcher::FailAll(Turn& turn, const Authority& origin, Failure why, FetchNews& news) {
  const std::vector<FetchId> waiting = std::exchange(pools_.at(origin).waiting, {});
  for (FetchId f : waiting) Fail(turn, f, why, 0, Refusal::kNone, news);
}

// Its deadline is gone already.
void RangeFetcher::Unlink(Links::iterator it) {
  --pools_.at(it->second->origin).links;
  links_.erase(it);
}

}  // namespace orchard::http
