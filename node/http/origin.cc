#include "node/http/origin.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "node/http/trace.h"
#include "node/http/url.h"
#include "node/http/writer.h"

namespace orchard::http {
namespace {

constexpr SocketId kListener{1};

// Without the query, and without the authority of a proxy's request.
std::string PathOf(std::string_view target) {
  std::string path(target);
  if (auto url = Url::Parse(target); url.ok()) path = url->target;
  return path.substr(0, path.find('?'));
}

}  // namespace

Instant Origin::Client::deadline() const {
  const Instant server_at = server.next_deadline();
  return server.answering() && next_slice != Instant{} && server.room() > 0 ? std::min(server_at, next_slice) : server_at;
}

std::optional<Content> Origin::content(std::string_view path) const {
  const auto it = config_.files.find(std::string(path));
  if (it == config_.files.end()) return std::nullopt;
  return Content(config_.seed, path, it->second);
}

void Origin::Handle(Turn& turn, const Input& input) {
  if (std::holds_alternative<Start>(input)) {
    turn.out.Listen(kListener, config_.local);
  } else if (const auto* opened = std::get_if<SocketOpened>(&input)) {
    bind_failure_ = opened->status;
    if (opened->status == absl::StatusCode::kOk) listening_ = opened->local;
  } else if (const auto* stream = std::get_if<StreamOpened>(&input)) {
    if (clients_.size() >= kConnectionsMax) {
      ++stats_.crowded;
      return turn.out.Close(stream->stream);
    }
    ++stats_.connections;
    const auto it = clients_.emplace(stream->stream, std::make_unique<Client>(stream->stream)).first;
    it->second->server.OnOpened(turn);
    due_.Move(it->first, kNever, it->second->deadline());
  } else if (const auto id = StreamOf(input); id.has_value()) {
    if (const auto it = clients_.find(*id); it != clients_.end()) OnClient(turn, it, input);
  } else if (std::holds_alternative<Deadline>(input)) {
    while (const auto id = due_.due(turn.now)) OnClient(turn, clients_.find(*id), input);
  } else if (std::holds_alternative<Stop>(input)) {
    for (auto& [id, client] : clients_) client->server.Abort(turn);
    clients_.clear(), due_ = {};
    turn.out.CloseSocket(kListener);
    turn.out.Stopped();
  }
}

void Origin::OnClient(Turn& turn, Clients::iterator it, const Input& input) {
  Client& c = *it->second;
  const Instant before = c.deadline();
  ServerNews news;
  if (const auto* x = std::get_if<StreamData>(&input)) c.server.OnData(turn, x->bytes, news);
  if (const auto* x = std::get_if<StreamCredit>(&input)) c.server.OnCredit(turn, x->bytes, news);
  if (std::holds_alternative<StreamEnded>(input)) c.server.OnEnded(turn, news);
  if (const auto* x = std::get_if<StreamClosed>(&input)) c.server.OnClosed(turn, x->status, news);
  if (std::holds_alternative<Deadline>(input)) {
    c.server.OnTime(turn, news);
    Pump(turn, c, news);
  }
  for (size_t i = 0; i < news.size(); ++i) {
    const auto n = news[i];  // What is done about it adds news.
    if (std::holds_alternative<RequestStarted>(n)) Answer(turn, c, news);
    if (const auto* body = std::get_if<RequestBody>(&n)) c.server.Took(turn, body->bytes.size());
    if (std::holds_alternative<ServerWritable>(n)) Pump(turn, c, news);
    if (const auto* closed = std::get_if<ServerClosed>(&n)) {
      c.over = true;
      if (closed->refusal != Refusal::kNone) {
        ++stats_.refused;
        turn.trace.Add(HttpRefused{.why = NameOf(closed->refusal), .status = uint64_t(StatusOf(closed->refusal))});
      }
    }
  }
  due_.Move(it->first, before, c.over || c.server.ended() ? kNever : c.deadline());
  if (c.over || c.server.ended()) clients_.erase(it);
}

void Origin::Answer(Turn& turn, Client& c, ServerNews& news) {
  ++stats_.requests;
  const RequestHead& request = c.server.request();
  c.server.Continue(turn);
  c.file.reset(), c.gzip.reset(), c.next_slice = Instant{};
  if (!config_.redirect.empty() && IsFieldValue(config_.redirect)) {
    Response r{.status = 302, .headers = {}, .length = 0};
    r.headers.Add("Location", config_.redirect);
    return c.server.Respond(turn, std::move(r), news);
  }
  if (config_.status != 0) return c.server.RespondText(turn, config_.status, "as configured\n", news);
  if (request.method != "GET" && request.method != "HEAD") {
    Response r{.status = 405, .headers = {}, .length = 0};
    r.headers.Add("Allow", "GET, HEAD");
    return c.server.Respond(turn, std::move(r), news);
  }
  std::optional<Content> file = content(PathOf(request.target));
  if (file.has_value() && changed()) file = Content(config_.seed + 1, PathOf(request.target), file->size());
  if (!file.has_value()) return c.server.RespondText(turn, 404, "no such file\n", news);
  AnswerFile(turn, c, *file, news);
}

void Origin::AnswerFile(Turn& turn, Client& c, const Content& file, ServerNews& news) {
  const RequestHead& request = c.server.request();
  const bool packed = config_.gzip && request.headers.HasToken("Accept-Encoding", "gzip");
  std::string etag = file.etag();
  if (packed) etag.insert(etag.size() - 1, "-gzip");  // Another representation: RFC 9110 §8.8.3.3.
  Response r{.status = 200, .headers = {}, .length = packed ? StoredGzip::SizeOf(file.size()) : file.size()};
  if (config_.etags) r.headers.Add("ETag", etag);
  const int64_t now = (turn.now.time_since_epoch() + turn.unix_epoch).count() / 1'000'000'000;
  const std::string date = changed() ? HttpDate(now - 60) : config_.last_modified;
  // The clock is told only where it matters: it says that the date is strong.
  if (IsHttpDate(config_.last_modified)) r.headers.Add("Last-Modified", date), r.headers.Add("Date", HttpDate(now));
  if (config_.gzip) r.headers.Add("Vary", "Accept-Encoding");
  if (packed) r.headers.Add("Content-Encoding", "gzip");
  const bool cuts = config_.ranges && !packed;
  if (cuts) r.headers.Add("Accept-Ranges", "bytes");
  r.headers.Add("Content-Type", "application/octet-stream");

  ByteRange part{0, file.size() == 0 ? 0 : file.size() - 1};
  uint64_t size = file.size();
  const RangeRequest range = RangeRequest::Of(request.headers);
  const Validator current{.etag = config_.etags ? etag : "", .last_modified = config_.last_modified.empty() ? "" : date};
  // Ranges are of GET alone (§14.2). Of several it sends the whole, as it may.
  const bool ranged = cuts && request.method == "GET" && range.kind != RangeRequest::Kind::kNone && range.kind != RangeRequest::Kind::kSeveral &&
                      IfRangeHolds(request.headers, current);
  c.shift = 0;
  if (ranged) {
    const std::optional<ByteRange> resolved = range.Resolve(file.size());
    if (!resolved.has_value()) {
      Response none{.status = 416, .headers = {}, .length = 0};
      none.headers.Add("Content-Range", ContentRange{.range = std::nullopt, .size = file.size()}.ToString());
      return c.server.Respond(turn, std::move(none), news);
    }
    part = *resolved, size = part.size();
    r.status = 206, r.length = size;
    r.headers.Add("Content-Range", ContentRange{.range = part, .size = file.size()}.ToString());
    c.shift = config_.shift;
  }
  if (config_.chunked) r.length.reset();
  if (config_.lie != 0) {
    r.headers.Add("Content-Length", absl::StrCat(std::max<int64_t>(0, int64_t(r.length.value_or(size)) + config_.lie)));
    r.as_is = true;
  }
  turn.trace.Add(HttpAnswered{.path = request.target, .status = uint64_t(r.status), .bytes = size});
  c.file = file, c.at = part.first, c.end = part.first + size;
  if (packed) c.gzip = std::make_unique<StoredGzip>();
  if (config_.rate > 0) c.next_slice = turn.now;
  c.server.Respond(turn, std::move(r), news);
  if (c.gzip != nullptr && c.server.answering()) c.server.WriteBody(turn, AsBytes(StoredGzip::Header()));
  Pump(turn, c, news);
}

// Writes what the client takes now.
void Origin::Pump(Turn& turn, Client& c, ServerNews& news) {
  if (!c.server.answering() || !c.file.has_value()) return;
  if (c.gzip != nullptr) return PumpGzip(turn, c, news);
  std::array<uint8_t, kSlice> slice;
  while (c.at < c.end && c.server.room() > 0) {
    if (config_.rate > 0 && c.next_slice > turn.now) return;
    uint64_t n = std::min<uint64_t>({c.end - c.at, c.server.room(), kSlice});
    if (config_.rate > 0) n = std::min(n, std::max<uint64_t>(1, config_.rate / 20));  // Twenty slices a second.
    const auto piece = absl::MakeSpan(slice).subspan(0, size_t(n));
    const uint64_t from = uint64_t(std::clamp<int64_t>(int64_t(c.at) + c.shift, 0, int64_t(c.file->size() - n)));
    c.file->Read(from, piece);
    c.server.WriteBody(turn, piece);
    c.at += n, stats_.body_bytes += n;
    if (config_.rate > 0) c.next_slice = std::max(c.next_slice, turn.now - std::chrono::seconds(1)) + Duration(int64_t(n * 1'000'000'000 / config_.rate));
  }
  if (c.at == c.end) c.file.reset(), c.server.FinishBody(turn, news);
}

void Origin::PumpGzip(Turn& turn, Client& c, ServerNews& news) {
  std::vector<uint8_t> block(StoredGzip::kBlockMax);
  bool first = c.at == 0;
  while ((c.at < c.end || first) && c.server.room() >= StoredGzip::kBlockMax + 64) {
    const auto piece = absl::MakeSpan(block).subspan(0, size_t(std::min<uint64_t>(c.end - c.at, block.size())));
    c.file->Read(c.at, piece);
    c.at += piece.size(), stats_.body_bytes += piece.size();
    const std::string packed = c.gzip->Block(piece, c.at == c.end);
    c.server.WriteBody(turn, AsBytes(packed));
    first = false;
  }
  if (c.at < c.end || first) return;
  c.server.WriteBody(turn, AsBytes(c.gzip->Trailer()));
  c.file.reset(), c.server.FinishBody(turn, news);
}

}  // namespace orchard::http
