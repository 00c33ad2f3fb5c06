#include "node/pod/proxy_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/http/writer.h"
#include "node/pod/proxy_trace.h"

namespace orchard::pod {
namespace {

using http::Failure;

constexpr size_t kChunkFrame = 32;  // Around a chunk.

// RFC 9209 §2.3, and the status that goes with it.
struct Named { int status; std::string_view error; };
Named NamedFor(Failure why) {
  switch (why) {
    case Failure::kNoName: return {502, "dns_error"};
    case Failure::kRefused: return {502, "connection_refused"};
    case Failure::kUnreachable: return {504, "connection_timeout"};
    case Failure::kFirstByteTimeout:
    case Failure::kStalled: return {504, "http_response_timeout"};
    case Failure::kBadMessage: return {502, "http_protocol_error"};
    default: return {502, "connection_terminated"};
  }
}

}  // namespace

void ProxyClient::OnInput(ProxyTurn& t, const Input& input) {
  if (const auto* x = std::get_if<StreamData>(&input)) server_.OnData(t.turn, x->bytes, t.heard);
  if (const auto* x = std::get_if<StreamCredit>(&input)) server_.OnCredit(t.turn, x->bytes, t.heard);
  if (std::holds_alternative<StreamEnded>(input)) server_.OnEnded(t.turn, t.heard);
  if (const auto* x = std::get_if<StreamClosed>(&input)) server_.OnClosed(t.turn, x->status, t.heard);
  Settle(t);
}

void ProxyClient::OnOriginInput(ProxyTurn& t, StreamId stream, const Input& input) {
  if (tunnel_ != nullptr && !tunnel_->relay.has_value() && tunnel_->stream == stream) {
    OnTunnelInput(t, input);
  } else if (up_ != nullptr && up_->stream() == stream) {
    http::ClientNews heard;
    if (std::holds_alternative<StreamOpened>(input)) up_->OnOpened(t.turn, heard);
    if (const auto* x = std::get_if<StreamData>(&input)) up_->OnData(t.turn, x->bytes, heard);
    if (const auto* x = std::get_if<StreamCredit>(&input)) up_->OnCredit(t.turn, x->bytes, heard);
    if (std::holds_alternative<StreamEnded>(input)) up_->OnEnded(t.turn, heard);
    if (const auto* x = std::get_if<StreamClosed>(&input)) up_->OnClosed(t.turn, x->status, heard);
    Take(t, heard);
  }
  Settle(t);
}

void ProxyClient::OnTime(ProxyTurn& t) {
  if (server_.next_deadline() <= t.turn.now) server_.OnTime(t.turn, t.heard);
  if (up_ != nullptr && up_->next_deadline() <= t.turn.now) {
    http::ClientNews heard;
    up_->OnTime(t.turn, heard);
    Take(t, heard);
  }
  if (tunnel_ != nullptr && tunnel_->deadline <= t.turn.now) {
    if (tunnel_->open) Cut(t, "idle-tunnel");
    else if (tunnel_->relay.has_value()) FailRelay(t, RelayEnding::kUnreachable);
    else OnTunnelClosed(t, absl::StatusCode::kDeadlineExceeded);
  }
  Settle(t);
}

Instant ProxyClient::next_deadline() const {
  return std::min({server_.next_deadline(), up_ == nullptr ? kNever : up_->next_deadline(), tunnel_ == nullptr ? kNever : tunnel_->deadline});
}

size_t ProxyClient::held() const {
  return upload_.size() + download_.size() + (split_ == nullptr ? 0 : split_->pod.size()) +
         (tunnel_ == nullptr ? 0 : tunnel_->up.size() + tunnel_->down.size());
}

// What the client's connection said, and what it says when that is answered.
void ProxyClient::Settle(ProxyTurn& t) {
  for (size_t i = 0; i < t.heard.size(); ++i) OnHeard(t, t.heard, i);
  t.heard.clear();
}

void ProxyClient::OnHeard(ProxyTurn& t, const http::ServerNews& heard, size_t i) {
  if (std::holds_alternative<http::RequestStarted>(heard[i])) return Begin(t);
  if (const auto* body = std::get_if<http::RequestBody>(&heard[i])) {
    if (step_ == Step::kNone) return server_.Took(t.turn, body->bytes.size());  // It was answered without.
    upload_.Push(body->bytes);
    return PumpUp(t);
  }
  if (std::holds_alternative<http::RequestDone>(heard[i])) {
    if (step_ == Step::kNone) return;
    request_done_ = true;
    return PumpUp(t);
  }
  if (const auto* data = std::get_if<http::TunnelData>(&heard[i])) {
    const Bytes bytes = data->bytes;
    return TunnelUp(t, bytes);
  }
  if (std::holds_alternative<http::TunnelEnded>(heard[i]) && tunnel_ != nullptr) {
    tunnel_->client_ended = true;
    StirTunnel(t);
    return PumpTunnel(t);
  }
  if (std::holds_alternative<http::ServerWritable>(heard[i])) return tunnel_ != nullptr ? PumpTunnel(t) : Pump(t);
  if (const auto* closed = std::get_if<http::ServerClosed>(&heard[i])) {
    if (closed->why == Failure::kBadMessage) ++t.stats.refused;
    EndExchange(t);
    DropOrigin(t);
  }
}

void ProxyClient::Begin(ProxyTurn& t) {
  const http::RequestHead& request = server_.request();
  ++t.stats.requests;
  method_ = request.method;
  retried_ = last_chunk_ = origin_done_ = dry_ = false;
  request_done_ = request.body == http::BodyKind::kNone || request.body == http::BodyKind::kTunnel;
  if (method_ == "CONNECT") return BeginTunnel(t);
  absl::StatusOr<Forward> forward = ForwardOf(request);
  if (!forward.ok()) {
    ++t.stats.refused;
    const std::string why(forward.status().message());
    return Fail(t, method_ == "TRACE" ? 405 : 400, "http_request_error", why);
  }
  forward_ = *std::move(forward);
  digest_.reset(), last_.clear();
  if (const auto digest = request.headers.Find(kSha256Header); digest.has_value()) {
    const auto bytes = FromHex(*digest);
    if (!bytes.has_value() || bytes->size() != 32 || request.headers.Count(kSha256Header) > 1) {
      ++t.stats.refused;
      return Fail(t, 400, "http_request_error", absl::StrCat(std::string(kSha256Header), ": expected 64 hex digits"));
    }
    if (method_ == "GET" && request.headers.Has("Range")) {
      ++t.stats.refused;
      return Fail(t, 400, "http_request_error", absl::StrCat(std::string(kSha256Header), ": it is of the whole, and a part is asked for"));
    }
    if (method_ == "GET") std::copy_n(AsBytes(*bytes).begin(), 32, digest_.emplace().begin()), hash_.emplace();
  }
  const auto range = SplittableRange(request);
  // A pod of us alone has nothing to add, nor has a part that is soon over.
  const bool splits = range.has_value() && t.downloads.peers() > 0 && t.transfers.size() < kTransfersMax &&
                      !(range->kind == http::RangeRequest::Kind::kSingle && range->last - range->first < 2 * t.config.chunk_bytes - 1);
  if (!splits) return Ask(t, forward_.headers);
  ++t.stats.probed;
  split_ = std::make_unique<Split>(Split{.asked = *range});
  http::HeaderList headers = forward_.headers;
  const uint64_t first = range->kind == http::RangeRequest::Kind::kNone ? 0 : range->first;
  split_->part_at = first, split_->part_end = first + t.config.chunk_bytes;
  if (range->kind == http::RangeRequest::Kind::kNone) headers.Remove("If-Range");  // It meant nothing; now it would.
  headers.Replace("Range", absl::StrCat("bytes=", first, "-", split_->part_end - 1));
  Ask(t, headers);
}

void ProxyClient::Ask(ProxyTurn& t, const http::HeaderList& headers) {
  head_ = http::WriteRequest(method_, forward_.target, headers);
  step_ = Step::kAsking, origin_done_ = false;
  const bool same = origin_ == forward_.url.authority;
  // A kept connection may be closed just now: only what may be asked twice is asked on one (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
  const bool twice = (method_ == "GET" || method_ == "HEAD" || method_ == "OPTIONS") && request_done_;
  if (up_ != nullptr && up_->idle() && same && twice) return up_->Send(t.turn, method_, head_);
  DropOrigin(t);
  tried_ = 0;
  if (same && addresses_.known()) return Connect(t);
  origin_ = forward_.url.authority;
  addresses_ = http::Addresses();
  if (addresses_.Ask(t.turn, t.ids, origin_)) return Connect(t);
  step_ = Step::kResolving;
}

void ProxyClient::OnJobDone(ProxyTurn& t, const JobDone& done) {
  const bool found = addresses_.OnJobDone(done);
  if (!found) FailFor(t, Failure::kNoName, http::Refusal::kNone);
  else if (method_ == "CONNECT") ConnectTunnel(t);
  else Connect(t);
  Settle(t);
}

bool ProxyClient::IsLoop(const ProxyTurn& t, const Endpoint& to) const {
  if (!t.listening.has_value() || to.port != t.listening->port) return false;
  const Endpoint loop6 = [] { Endpoint e; e.ip[15] = 1; return e; }();
  return to == *t.listening || (to.is_v4() && (to.v4() >> 24 == 127 || to.v4() == 0)) || to.ip == loop6.ip || to.ip == Endpoint().ip;
}

void ProxyClient::Connect(ProxyTurn& t) {
  const Endpoint to = addresses_.now();
  if (IsLoop(t, to)) return Fail(t, 502, "proxy_loop_detected", "the proxy was asked for itself");
  ++tried_;
  step_ = Step::kAsking;
  const StreamId stream = t.ids.NextStream();
  up_ = std::make_unique<http::ClientConnection>(stream, t.config.origin);
  t.origins.emplace(stream, server_.stream());
  up_->Open(t.turn, to);
  up_->Send(t.turn, method_, head_);
}

void ProxyClient::Take(ProxyTurn& t, const http::ClientNews& heard) {
  const StreamId stream = up_->stream();
  for (const auto& n : heard) {
    if (up_ == nullptr || up_->stream() != stream) return;  // Given up meanwhile.
    if (const auto* interim = std::get_if<http::ResponseInterim>(&n)) {
      if (step_ == Step::kAsking && (split_ == nullptr || !split_->answered)) {
        http::HeaderList headers = interim->headers;
        headers.RemoveHopByHop();
        server_.Interim(t.turn, interim->status, interim->reason, headers);
      }
    } else if (std::holds_alternative<http::ResponseStarted>(n)) {
      OnHead(t);
    } else if (const auto* body = std::get_if<http::ResponseBody>(&n)) {
      OnBody(t, body->bytes);
    } else if (std::holds_alternative<http::ClientWritable>(n)) {
      PumpUp(t);
    } else if (std::holds_alternative<http::ResponseDone>(n)) {
      origin_done_ = true;
    } else if (const auto* failed = std::get_if<http::ClientFailed>(&n)) {
      OnLost(t, *failed);
    }
  }
  Pump(t);
}

void ProxyClient::OnHead(ProxyTurn& t) {
  if (step_ == Step::kNone) return;
  if (split_ == nullptr) return AnswerPlainly(t);
  split_->answered ? OnNextPart(t) : OnFirstPart(t);
}

void ProxyClient::AnswerPlainly(ProxyTurn& t) {
  const http::ResponseHead& head = up_->response();
  http::Response r{.status = head.status, .headers = RelayedHeaders(head), .reason = head.reason, .relayed = true};
  if (head.body == http::BodyKind::kLength) r.length = head.length;
  if (head.body == http::BodyKind::kNone) r.length = 0;
  if (r.status != 200) digest_.reset();  // It is of the whole.
  if (digest_.has_value() && r.length == uint64_t{0} && *digest_ != hash_->Digest()) return Fail(t, 502, "http_response_incomplete", "the answer is empty, and that has another SHA-256");
  step_ = Step::kAnswering;
  server_.Respond(t.turn, std::move(r), t.heard);
  if (!server_.answering()) EndExchange(t);
}

void ProxyClient::OnBody(ProxyTurn& t, Bytes bytes) {
  if (step_ != Step::kAnswering || !server_.answering()) return up_->Took(t.turn, bytes.size());
  if (split_ != nullptr) {
    if (bytes.size() > split_->part_end - split_->part_at) return Cut(t, "wrong-range");
    split_->part_at += bytes.size();
  }
  if (download_.empty()) {
    const size_t n = std::min(server_.room(), bytes.size());
    Give(t, bytes.subspan(0, n));
    up_->Took(t.turn, n);
    t.stats.body_bytes += n;
    if (split_ != nullptr) split_->sent += n;
    bytes.remove_prefix(n);
  }
  download_.Push(bytes);
}

// The connection to the origin is closed.
void ProxyClient::OnLost(ProxyTurn& t, const http::ClientFailed& failed) {
  const bool stale = failed.silent && up_->answered() > 0 && (failed.why == Failure::kClosedEarly || failed.why == Failure::kReset) && !retried_;
  const bool another = (failed.why == Failure::kRefused || failed.why == Failure::kUnreachable) && tried_ < addresses_.size();
  DropOrigin(t);
  if (step_ == Step::kNone || origin_done_) return;  // Nothing was owed.
  if (step_ == Step::kAsking && (stale || another)) {
    if (stale) retried_ = true;
    if (another) addresses_.Next();
    return Connect(t);
  }
  if (split_ != nullptr && split_->answered) return GoAlone(t);
  if (step_ == Step::kAsking) return FailFor(t, failed.why, failed.refusal);
  RunDry(t, http::NameOf(failed.why));
}

void ProxyClient::PumpUp(ProxyTurn& t) {
  if (step_ == Step::kNone || up_ == nullptr || up_->ended()) return;
  const size_t frame = forward_.chunked ? kChunkFrame : 0;
  while (!upload_.empty() && up_->room() > frame) {
    const Bytes piece = upload_.front(up_->room() - frame);
    if (forward_.chunked) up_->WriteBody(t.turn, AsBytes(http::ChunkHead(piece.size())));
    up_->WriteBody(t.turn, piece);
    if (forward_.chunked) up_->WriteBody(t.turn, AsBytes(http::kChunkTail));
    server_.Took(t.turn, piece.size());
    upload_.Pop(piece.size());
  }
  if (forward_.chunked && request_done_ && upload_.empty() && !last_chunk_ && up_->room() > frame) {
    last_chunk_ = true;
    up_->WriteBody(t.turn, AsBytes(http::kLastChunk));
  }
}

// To the client; of what has a digest all but the last byte, until the whole is seen to have it.
void ProxyClient::Give(ProxyTurn& t, Bytes bytes) {
  if (!digest_.has_value()) return server_.WriteBody(t.turn, bytes);
  if (bytes.empty()) return;
  hash_->Add(bytes);
  std::string now = std::exchange(last_, std::string(AsText(bytes.last(1))));
  now.append(AsText(bytes.first(bytes.size() - 1)));
  server_.WriteBody(t.turn, AsBytes(now));
}

void ProxyClient::FinishAnswer(ProxyTurn& t) {
  if (digest_.has_value()) {
    if (hash_->Digest() != *digest_) return Cut(t, "hash-mismatch");
    server_.WriteBody(t.turn, AsBytes(last_));
  }
  server_.FinishBody(t.turn, t.heard);
  EndExchange(t);
}

size_t ProxyClient::WriteSome(ProxyTurn& t, ByteQueue& from, uint64_t most) {
  size_t written = 0;
  while (!from.empty() && server_.room() > 0 && most > 0) {
    const Bytes piece = from.front(size_t(std::min<uint64_t>(server_.room(), most)));
    const size_t n = piece.size();
    Give(t, piece);
    from.Pop(n);
    written += n, most -= n;
  }
  t.stats.body_bytes += written;
  return written;
}

void ProxyClient::Pump(ProxyTurn& t) {
  if (step_ != Step::kAnswering && !(step_ == Step::kAsking && split_ != nullptr && split_->answered)) return;
  if (server_.ended()) return;
  if (const size_t n = WriteSome(t, download_, UINT64_MAX); n > 0) {
    if (up_ != nullptr) up_->Took(t.turn, n);
    if (split_ != nullptr) split_->sent += n;
  }
  if (split_ != nullptr) return PumpSplit(t);
  if (dry_ && download_.empty()) return EndDry(t);
  if (!origin_done_ || !download_.empty()) return;
  FinishAnswer(t);
}

void ProxyClient::Fail(ProxyTurn& t, int status, std::string_view error, std::string_view text) {
  if (split_ != nullptr && split_->answered) return Cut(t, error);
  ++t.stats.failed;
  t.turn.trace.Add(ProxyFailed{.host = forward_.url.authority.host, .why = error, .status = uint64_t(status)});
  const std::string body = absl::StrCat("orchard: ", std::string(text), "\n");
  // What a client sent behind a CONNECT was meant for somebody else, and is no request.
  if (method_ == "CONNECT") server_.Finish(t.turn);
  http::Response r{.status = status, .length = body.size()};
  r.headers.Add("Content-Type", "text/plain");
  r.headers.Add("Proxy-Status", absl::StrCat("orchard; error=", std::string(error)));
  server_.Respond(t.turn, std::move(r), t.heard);
  if (server_.answering()) {
    server_.WriteBody(t.turn, AsBytes(body));
    server_.FinishBody(t.turn, t.heard);
  }
  EndExchange(t);
}

void ProxyClient::FailFor(ProxyTurn& t, Failure why, http::Refusal refusal) {
  const auto [status, error] = NamedFor(why);
  const std::string where = method_ == "CONNECT" ? origin_.ToString(0) : forward_.url.host_header();
  std::string text = absl::StrCat(where, ": ", std::string(http::NameOf(why)));
  if (refusal != http::Refusal::kNone) absl::StrAppend(&text, " (", std::string(http::NameOf(refusal)), ")");
  Fail(t, status, error, text);
}

// So that the client sees that it is short.
void ProxyClient::Cut(ProxyTurn& t, std::string_view why) {
  ++t.stats.cut;
  t.turn.trace.Add(ProxyFailed{.host = method_ == "CONNECT" ? origin_.host : forward_.url.authority.host, .why = why, .status = 0});
  server_.Abort(t.turn);
  EndExchange(t);
  DropOrigin(t);
}

// As a direct connection would end: with all that came, in order, and then short.
void ProxyClient::RunDry(ProxyTurn& t, std::string_view why) {
  ++t.stats.cut;
  t.turn.trace.Add(ProxyFailed{.host = forward_.url.authority.host, .why = why, .status = 0});
  DropOrigin(t);
  dry_ = true;
  Pump(t);
}

void ProxyClient::EndDry(ProxyTurn& t) {
  server_.EndShort(t.turn);
  EndExchange(t);
}

void ProxyClient::Abort(ProxyTurn& t) {
  server_.Abort(t.turn);
  EndExchange(t);
  DropOrigin(t);
}

void ProxyClient::EndExchange(ProxyTurn& t) {
  step_ = Step::kNone;
  addresses_.Cancel(t.turn);
  LeavePod(t);
  split_.reset();
  DropTunnel(t);
  const bool kept = up_ != nullptr && up_->idle() && request_done_ && upload_.empty() && !server_.ended();
  upload_.Clear(), download_.Clear();
  if (!kept) DropOrigin(t);
}

void ProxyClient::DropOrigin(ProxyTurn& t) {
  if (up_ == nullptr) return;
  up_->Close(t.turn);
  t.origins.erase(up_->stream());
  up_.reset();
}

}  // namespace orchard::pod
