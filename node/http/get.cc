#include "node/http/get.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "node/http/trace.h"
#include "node/http/writer.h"

namespace orchard::http {

uint64_t GetResult::kbps() const {
  if (took.count() <= 0) return 0;
  return uint64_t(static_cast<unsigned __int128>(bytes) * 8'000'000 / uint64_t(took.count()));
}

void Gets::Start(Turn& turn, Ids& ids, GetId get, GetRequest request, GetNews& news) {
  Running r{.url = {}, .request = std::move(request), .addresses = {}, .http = nullptr, .sum = {}, .result = {}, .started = turn.now};
  const auto url = Url::Parse(r.request.url);
  const bool range_fits = r.request.range.empty() || RangeRequest::Parse("bytes=" + r.request.range).kind != RangeRequest::Kind::kNone;
  const bool full = gets_.size() >= kMax;
  const auto [it, is_new] = gets_.emplace(get, std::move(r));
  CHECK(is_new);
  if (full) return Finish(turn, it, Failure::kTooMany, Refusal::kNone, news);
  // TLS is not spoken here, with or without a proxy.
  if (!url.ok() || url->https || !range_fits) return Finish(turn, it, Failure::kBadUrl, Refusal::kNone, news);
  it->second.url = *url;
  if (it->second.request.proxy.has_value() || it->second.addresses.Ask(turn, ids, url->authority)) Connect(turn, ids, it);
}

void Gets::Connect(Turn& turn, Ids& ids, Table::iterator it) {
  Running& r = it->second;
  ++r.addresses_tried;
  const StreamId stream = ids.NextStream();
  r.http = std::make_unique<ClientConnection>(stream, r.request.patience);
  streams_.emplace(stream, it->first);
  r.http->Open(turn, r.request.proxy.has_value() ? *r.request.proxy : r.addresses.now());
  HeaderList headers;
  headers.Add("Host", r.request.host.empty() ? r.url.host_header() : r.request.host);
  if (!r.request.range.empty()) headers.Add("Range", "bytes=" + r.request.range);
  headers.Add("Accept", "*/*");
  headers.Add("Connection", "close");
  const std::string_view method = r.request.head ? "HEAD" : "GET";
  r.http->Send(turn, method, WriteRequest(method, r.request.proxy.has_value() ? r.url.ToString() : r.url.target, headers));
  due_.Move(it->first, kNever, r.http->next_deadline());
}

bool Gets::Cancel(Turn& turn, GetId get) {
  const auto it = gets_.find(get);
  if (it == gets_.end()) return false;
  it->second.addresses.Cancel(turn);
  const Instant before = it->second.http == nullptr ? kNever : it->second.http->next_deadline();
  if (it->second.http != nullptr) it->second.http->Close(turn);
  due_.Move(get, before, kNever);
  Forget(it);
  return true;
}

void Gets::Clear(Turn& turn) {
  while (!gets_.empty()) Cancel(turn, gets_.begin()->first);
}

void Gets::Forget(Table::iterator it) {
  if (it->second.http != nullptr) streams_.erase(it->second.http->stream());
  gets_.erase(it);
}

uint64_t Gets::bytes(GetId get) const {
  const auto it = gets_.find(get);
  return it == gets_.end() ? 0 : it->second.result.bytes;
}

bool Gets::OnInput(Turn& turn, Ids& ids, const Input& input, GetNews& news) {
  if (const auto* done = std::get_if<JobDone>(&input)) {
    const auto it = std::find_if(gets_.begin(), gets_.end(), [&](const auto& g) { return g.second.addresses.asked(done->job); });
    if (it == gets_.end()) return false;
    if (it->second.addresses.OnJobDone(*done)) Connect(turn, ids, it);
    else Finish(turn, it, Failure::kNoName, Refusal::kNone, news);
    return true;
  }
  auto on = [&](StreamId stream, auto call) {
    const auto get = streams_.find(stream);
    if (get == streams_.end()) return false;
    const auto it = gets_.find(get->second);
    const Instant before = it->second.http->next_deadline();
    ClientNews heard;
    call(*it->second.http, heard);
    Take(turn, ids, it, before, heard, news);
    return true;
  };
  if (const auto* x = std::get_if<StreamOpened>(&input)) return !x->listener.has_value() && on(x->stream, [&](auto& c, auto& h) { c.OnOpened(turn, h); });
  if (const auto* x = std::get_if<StreamData>(&input)) return on(x->stream, [&](auto& c, auto& h) { c.OnData(turn, x->bytes, h); });
  if (const auto* x = std::get_if<StreamCredit>(&input)) return on(x->stream, [&](auto& c, auto& h) { c.OnCredit(turn, x->bytes, h); });
  if (const auto* x = std::get_if<StreamEnded>(&input)) return on(x->stream, [&](auto& c, auto& h) { c.OnEnded(turn, h); });
  if (const auto* x = std::get_if<StreamClosed>(&input)) return on(x->stream, [&](auto& c, auto& h) { c.OnClosed(turn, x->status, h); });
  return false;
}

void Gets::OnTime(Turn& turn, Ids& ids, GetNews& news) {
  while (const auto get = due_.due(turn.now)) {
    const auto it = gets_.find(*get);
    const Instant before = it->second.http->next_deadline();
    ClientNews heard;
    it->second.http->OnTime(turn, heard);
    Take(turn, ids, it, before, heard, news);
  }
}

void Gets::Take(Turn& turn, Ids& ids, Table::iterator it, Instant before, const ClientNews& heard, GetNews& news) {
  Running& r = it->second;
  std::optional<std::pair<Failure, Refusal>> end;
  const uint64_t bytes_before = r.result.bytes;
  for (const auto& n : heard) {
    if (std::holds_alternative<ResponseStarted>(n)) {
      r.result.status = r.http->response().status;
      r.result.first_byte = turn.now - r.started;
      if (auto field = r.http->response().headers.Find("Content-Range"); field.has_value()) r.result.content_range = ContentRange::Parse(*field);
    }
    if (const auto* body = std::get_if<ResponseBody>(&n)) {
      if (r.last == kNever) r.result.first_byte = turn.now - r.started;
      else r.result.longest_gap = std::max(r.result.longest_gap, turn.now - r.last);
      r.last = turn.now;
      r.result.bytes += body->bytes.size();
      r.sum.Add(body->bytes);
      r.http->Took(turn, body->bytes.size());
    }
    if (std::holds_alternative<ResponseDone>(n)) end = {Failure::kNone, Refusal::kNone};
    if (const auto* failed = std::get_if<ClientFailed>(&n); failed != nullptr && !end.has_value()) end = {failed->why, failed->refusal};
  }
  due_.Move(it->first, before, r.http->next_deadline());
  if (r.result.bytes > bytes_before) turn.trace.Add(HttpReceived{.get = uint64_t(it->first), .bytes = r.result.bytes - bytes_before});
  if (!end.has_value()) return;
  const bool another = (end->first == Failure::kRefused || end->first == Failure::kUnreachable) && r.addresses_tried < r.addresses.size();
  if (!another) {
    due_.Move(it->first, r.http->next_deadline(), kNever);
    r.http->Close(turn);
    return Finish(turn, it, end->first, end->second, news);
  }
  streams_.erase(r.http->stream());
  r.addresses.Next();
  Connect(turn, ids, it);
}

void Gets::Finish(Turn& turn, Table::iterator it, Failure why, Refusal refusal, GetNews& news) {
  Running& r = it->second;
  // A reader waits for what does not come, too.
  if (r.last != kNever && why != Failure::kNone) r.result.longest_gap = std::max(r.result.longest_gap, turn.now - r.last);
  r.result.why = why, r.result.refusal = refusal;
  r.result.took = turn.now - r.started;
  r.result.sha256 = r.sum.Digest();
  if (why != Failure::kNone) turn.trace.Add(HttpFailed{.host = r.url.authority.host, .why = NameOf(why), .status = uint64_t(r.result.status)});
  turn.trace.Add(HttpGot{.get = uint64_t(it->first), .status = uint64_t(r.result.status), .bytes = r.result.bytes, .took_ns = uint64_t(r.result.took.count()),
                         .first_byte_ns = uint64_t(r.result.first_byte.count()), .gap_ns = uint64_t(r.result.longest_gap.count()), .why = NameOf(why)});
  news.push_back(GetDone{it->first, r.result});
  Forget(it);
}

}  // namespace orchard::http
