#include "node/http2/server_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/http/date.h"
#include "node/http/limits.h"
#include "node/http2/callbacks.h"

namespace orchard::http2 {
namespace {

using http::Failure;
using http::Refusal;

constexpr size_t kFrameHead = 9, kFrameMax = 16384, kUsualHead = 4096;

int32_t StreamOf(RequestId id) { return int32_t(id); }

nghttp2_nv Field(std::string_view name, std::string_view value) {
  auto* n = const_cast<char*>(name.data());
  auto* v = const_cast<char*>(value.data());
  return {.name = reinterpret_cast<uint8_t*>(n), .value = reinterpret_cast<uint8_t*>(v), .namelen = name.size(), .valuelen = value.size(), .flags = NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

ServerSession::ServerSession(StreamId stream, SessionLimits limits) : stream_(stream), limits_(limits), memory_(kSessionMemoryMax) {
  session_ = Callbacks::NewSession(*this);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindowBytes},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, uint32_t(http::kHeaderBytesMax)},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};  // RFC 9218 §2.1: without the tree of RFC 7540, and the games with it.
  CHECK_EQ(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings)), 0);
  CHECK_EQ(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, int32_t(kSessionWindowBytes)), 0);
}

ServerSession::~ServerSession() { nghttp2_session_del(session_); }

ServerSession::Exchange* ServerSession::Find(RequestId id) {
  const auto it = exchanges_.find(id);
  return it == exchanges_.end() || it->second->gone ? nullptr : it->second.get();
}

const ServerSession::Exchange* ServerSession::Find(RequestId id) const {
  const auto it = exchanges_.find(id);
  return it == exchanges_.end() || it->second->gone ? nullptr : it->second.get();
}

const http::RequestHead& ServerSession::request(RequestId id) const { return exchanges_.at(id)->head; }

// ---- What nghttp2 reports ----

void ServerSession::Tell(std::variant<RequestStarted, RequestBody, RequestDone, RequestReset, Writable, SessionClosed> what) {
  (news_ != nullptr ? *news_ : untold_).push_back(what);
}

// The head of a request is whole.
void ServerSession::Head(int32_t stream, bool ends) {
  Exchange* e = Find(RequestId(stream));
  if (e == nullptr) return;
  Refusal why = reader_.Finish(ends, e->head);
  if (why == Refusal::kNone && e->head.method == "CONNECT") why = Refusal::kUnknownMethod;  // 501: no tunnels here.
  if (why == Refusal::kNone && e->head.length > limits_.body_max) why = Refusal::kBodyTooLarge;
  if (why != Refusal::kNone) return Refuse(stream, *e, why);
  e->told = true, ++requests_;
  Tell(RequestStarted{RequestId(stream)});
}

void ServerSession::Body(int32_t stream, Bytes bytes) {
  Exchange* e = Find(RequestId(stream));
  if (e == nullptr || !e->told) {  // Nobody listens.
    nghttp2_session_consume(session_, stream, bytes.size());
    return;
  }
  e->body_bytes += bytes.size();
  if (e->body_bytes > limits_.body_max) {
    nghttp2_session_consume(session_, stream, bytes.size() + e->held);
    held_ -= e->held, e->held = 0;
    const bool owed = !(e->responded && e->finished);
    Refuse(stream, *e, Refusal::kBodyTooLarge);
    if (owed) Tell(RequestReset{RequestId(stream), Failure::kBadMessage});
    return;
  }
  e->held += uint32_t(bytes.size()), held_ += bytes.size();
  Tell(RequestBody{RequestId(stream), bytes});
}

void ServerSession::Done(int32_t stream) {
  Exchange* e = Find(RequestId(stream));
  if (e == nullptr) return;
  e->done = true;
  if (e->told) Tell(RequestDone{RequestId(stream)});
}

void ServerSession::Over(int32_t stream) {
  Exchange* e = Find(RequestId(stream));
  if (e == nullptr) return;
  e->gone = true, --open_;
  gone_.push_back(RequestId(stream));
  due_.Move(RequestId(stream), std::exchange(e->deadline, kNever), kNever);
  nghttp2_session_consume_connection(session_, e->held);
  held_ -= e->held, e->held = 0;
  const bool whole = e->responded && e->finished;
  if (e->told && !whole && !e->by_us) Tell(RequestReset{RequestId(stream), e->by_peer ? Failure::kReset : Failure::kBadMessage});
}

void ServerSession::Refuse(int32_t stream, Exchange& e, Refusal why) {
  e.told = false;
  if (e.responded) {
    e.by_us = true;
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    return;
  }
  e.pending = absl::StrCat(std::string(http::NameOf(why)), "\n");
  http::Response response{.status = http::StatusOf(why), .headers = {}, .length = e.pending.size()};
  response.headers.Add("content-type", "text/plain");
  Submit(stream, e, response);
  e.finished = true, e.left = 0;
}

void ServerSession::Submit(int32_t stream, Exchange& e, const http::Response& response) {
  CHECK(response.status >= 200 && response.status <= 999);
  http::HeaderList headers = response.headers;
  headers.RemoveHopByHop();
  http::AddDate(headers, unix_seconds_);
  const bool none = e.head.method == "HEAD" || response.status == 204 || response.status == 304;
  const bool says_length = response.length.has_value() && !response.relayed && response.status != 204;
  int status = response.status;
  if (headers.bytes().size() > kResponseHeaderBytesMax) headers.Clear(), http::AddDate(headers, unix_seconds_), status = 502;  // nghttp2 would not send it.
  const std::string code = absl::StrCat(status), length = absl::StrCat(response.length.value_or(0));
  std::string names;  // In lower case, one behind the other.
  std::vector<nghttp2_nv> fields = {Field(":status", code)};
  names.reserve(headers.bytes().size()), fields.reserve(headers.size() + 2);
  for (size_t i = 0; i < headers.size(); ++i) {
    const http::HeaderList::Header h = headers[i];
    if (IsConnectionSpecific(h.name) || (says_length && http::EqualsIgnoringCase(h.name, "content-length"))) continue;
    const size_t at = names.size();
    for (const char c : h.name) names.push_back(absl::ascii_tolower(uint8_t(c)));
    fields.push_back(Field(std::string_view(names).substr(at), h.value));
    // What is said once is not worth a place in the table, which is searched each time.
    if (std::string_view(names).substr(at) == "x-request-id") fields.back().flags = NGHTTP2_NV_FLAG_NO_INDEX;
  }
  if (says_length) fields.push_back(Field("content-length", length));
  e.responded = true;
  e.counted = response.length.has_value(), e.left = response.length.value_or(0);
  e.finished = none || (e.counted && e.left == 0);
  if (e.finished) e.pending.clear();
  nghttp2_data_provider body = Callbacks::Provider();
  const int error = nghttp2_submit_response(session_, stream, fields.data(), fields.size(), e.finished ? nullptr : &body);
  if (error != 0) broken_ = true;  // Of memory; nothing else is left to go wrong.
}

size_t ServerSession::Fill(Exchange& e, uint8_t* into, size_t size, bool& end) {
  const size_t n = std::min(size, e.pending.size() - e.at);
  std::copy_n(e.pending.data() + e.at, n, into);
  e.at += n;
  const bool all = e.at == e.pending.size();
  if (all) e.pending.clear(), e.at = 0;
  end = all && e.finished;
  return n;
}

// ---- Out ----

void ServerSession::Pump(Turn& turn) {
  while (!broken_ && !half_closed_ && out_.room() > 0) {
    const uint8_t* bytes = nullptr;
    const ssize_t n = nghttp2_session_mem_send(session_, &bytes);
    if (n < 0) broken_ = true;
    if (n <= 0) return;
    out_.Write(turn, stream_, Bytes(bytes, size_t(n)));
  }
}

void ServerSession::Sweep() {
  for (const RequestId id : gone_) exchanges_.erase(id);
  gone_.clear();
}

Trouble ServerSession::Judge(Turn& turn) {
  if (turn.now >= window_ends_) {
    window_ends_ = turn.now + kRateWindow;
    resets_ = idle_frames_ = window_updates_ = sent_bytes_ = 0;
  }
  const FramesSeen seen = watch_.Take();
  resets_ += seen.resets, idle_frames_ += seen.idle, window_updates_ += seen.window_updates;
  if (resets_ > kResetsMax) return Trouble::kRapidReset;
  if (idle_frames_ > kIdleFramesMax) return Trouble::kIdleFrames;
  if (window_updates_ > kWindowUpdatesMax + sent_bytes_ / kBytesPerWindowUpdate) return Trouble::kWindowUpdates;
  return Trouble::kNone;
}

void ServerSession::ForgetAll(Failure why, SessionNews& news) {
  for (auto& [id, kept] : exchanges_) {
    Exchange& e = *kept;
    if (e.gone) continue;
    if (e.told && !(e.responded && e.finished) && !e.by_us) news.push_back(RequestReset{id, why});
    e.gone = true;
    gone_.push_back(id);
    due_.Move(id, std::exchange(e.deadline, kNever), kNever);
  }
  open_ = 0, held_ = 0;
}

void ServerSession::GiveUp(Turn& turn, Trouble why, SessionNews& news) {
  trouble_ = why;
  failure_ = why == Trouble::kSlowHead || why == Trouble::kNotReading ? Failure::kStalled : Failure::kBadMessage;
  const bool calm = why != Trouble::kProtocol && why != Trouble::kNotHttp2;
  if (!broken_) nghttp2_session_terminate_session(session_, calm ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
  ForgetAll(failure_, news);
  Close(turn);
}

void ServerSession::Close(Turn& turn) {
  state_ = State::kClosing;
  close_deadline_ = turn.now + limits_.patience.linger;
  Pump(turn);
  if (half_closed_ || (!broken_ && nghttp2_session_want_write(session_) != 0)) return;  // More with the next credit.
  half_closed_ = true;
  out_.End(turn, stream_);
}

void ServerSession::Settle(Turn& turn, SessionNews& news) {
  if (ended()) return;
  news_ = &news;
  Pump(turn);
  news_ = nullptr;
  if (state_ == State::kClosing) {
    const Instant then = close_deadline_;
    Close(turn);
    close_deadline_ = then;
    return;
  }
  // What nghttp2 sent may be resets that the client provoked.
  if (const Trouble why = Judge(turn); why != Trouble::kNone) return GiveUp(turn, why, news);
  if (broken_) return GiveUp(turn, Trouble::kMemory, news);
  const bool silent = nghttp2_session_want_write(session_) == 0;
  if (silent && nghttp2_session_want_read(session_) == 0) {
    if (goaway_error_ != NGHTTP2_NO_ERROR) trouble_ = Trouble::kProtocol, failure_ = Failure::kBadMessage;
    ForgetAll(failure_ == Failure::kNone ? Failure::kReset : failure_, news);
    return Close(turn);
  }
  if (silent && (finishing_ || peer_ended_) && open_ == 0) return Close(turn);
  const bool progress = std::exchange(room_changed_, false);
  if (progress) {
    for (auto& [id, e] : exchanges_) {
      if (!e->gone) WaitFor(turn, id, *e);
    }
    TellWritable(news);
  }
  Wait(turn, progress);
}

// Fairly: another is the first each time, since the first takes all that there is.
void ServerSession::TellWritable(SessionNews& news) {
  const size_t before = news.size();
  const auto tell = [&](auto from, auto to) {
    for (; from != to; ++from) {
      if (answering(from->first) && room(from->first) > 0) news.push_back(Writable{from->first});
    }
  };
  const auto middle = exchanges_.upper_bound(served_);
  tell(middle, exchanges_.end());
  tell(exchanges_.begin(), middle);
  if (news.size() > before) served_ = std::get<Writable>(news[before]).id;
}

// ---- Time ----

bool ServerSession::blocked() const {
  return out_.pending() || out_.room() == 0 || (open_ > 0 && nghttp2_session_get_remote_window_size(session_) <= 0);
}

void ServerSession::Wait(Turn& turn, bool progress) {
  if (!watch_.greeted()) {
    // As it was from the beginning.
  } else if (!watch_.within()) {
    head_deadline_ = kNever;
  } else if (head_deadline_ == kNever || unit_ != watch_.unit()) {
    head_deadline_ = turn.now + limits_.patience.head;
  }
  unit_ = watch_.unit();
  if (open_ > 0) idle_deadline_ = kNever;
  else if (idle_deadline_ == kNever) idle_deadline_ = turn.now + limits_.patience.idle;
  if (!blocked()) blocked_deadline_ = kNever;
  else if (progress || blocked_deadline_ == kNever) blocked_deadline_ = turn.now + limits_.patience.stall;
  if (!untold_.empty()) tell_at_ = turn.now;
}

// When that request is given up, as things stand now.
void ServerSession::WaitFor(Turn& turn, RequestId id, Exchange& e) {
  const bool theirs = !e.done && e.held < kStreamWindowBytes / 2 && held_ < kSessionWindowBytes / 2;
  const bool full = e.responded && (e.finished ? !e.pending.empty() : room(id) == 0);
  const Instant then = (theirs || full) && !e.by_us ? turn.now + limits_.patience.stall : kNever;
  due_.Move(id, std::exchange(e.deadline, then), then);
}

Instant ServerSession::next_deadline() const {
  if (ended()) return kNever;
  if (state_ == State::kClosing) return std::min(close_deadline_, tell_at_);
  return std::min({head_deadline_, idle_deadline_, blocked_deadline_, tell_at_, due_.next()});
}

// ---- Inputs ----

void ServerSession::OnOpened(Turn& turn) {
  out_.OnOpened(turn, stream_);
  in_.OnOpened(turn, stream_);
  head_deadline_ = turn.now + limits_.patience.head;  // For the preface and SETTINGS.
  window_ends_ = turn.now + kRateWindow;
  Pump(turn);
  Wait(turn, false);
}

void ServerSession::OnData(Turn& turn, Bytes bytes, SessionNews& news) {
  if (ended() || bytes.empty()) return;
  // At once: what of it is of bodies, the windows of HTTP/2 hold back.
  in_.OnData(bytes.size());
  in_.Took(turn, stream_, bytes.size());
  unix_seconds_ = http::UnixSeconds(turn);
  if (state_ == State::kClosing) return;
  Sweep();
  const Trouble large = watch_.OnBytes(bytes), many = Judge(turn);
  if (large != Trouble::kNone || many != Trouble::kNone) return GiveUp(turn, large != Trouble::kNone ? large : many, news);
  news_ = &news;
  const ssize_t n = nghttp2_session_mem_recv(session_, bytes.data(), bytes.size());
  news_ = nullptr;
  if (n < 0) {
    broken_ = n != NGHTTP2_ERR_FLOODED;
    const Trouble why = n == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? Trouble::kNotHttp2 : n == NGHTTP2_ERR_NOMEM ? Trouble::kMemory : n == NGHTTP2_ERR_FLOODED ? Trouble::kIdleFrames : Trouble::kProtocol;
    return GiveUp(turn, why, news);
  }
  Settle(turn, news);
}

void ServerSession::OnCredit(Turn& turn, uint32_t bytes, SessionNews& news) {
  if (ended()) return;
  Sweep();
  out_.OnCredit(turn, stream_, bytes);
  room_changed_ = true;
  Settle(turn, news);
}

void ServerSession::OnEnded(Turn& turn, SessionNews& news) {
  if (ended() || peer_ended_) return;
  peer_ended_ = true;
  if (state_ == State::kClosing) return;
  Sweep();
  for (auto& [id, kept] : exchanges_) {
    Exchange& e = *kept;
    if (e.done || e.gone) continue;
    if (std::exchange(e.told, false) && !(e.responded && e.finished)) news.push_back(RequestReset{id, Failure::kClosedEarly});
    e.by_us = true;
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, StreamOf(id), NGHTTP2_CANCEL);
  }
  Settle(turn, news);
}

void ServerSession::OnClosed(Turn&, absl::StatusCode status, SessionNews& news) {
  if (ended()) return;
  const bool fine = status == absl::StatusCode::kOk || open_ == 0;
  ForgetAll(Failure::kReset, news);
  Ended(failure_ != Failure::kNone ? failure_ : fine ? Failure::kNone : Failure::kReset, news);
}

void ServerSession::Ended(Failure why, SessionNews& news) {
  for (auto& n : untold_) news.push_back(n);
  untold_.clear();
  state_ = State::kEnded;
  news.push_back(SessionClosed{why, trouble_});
}

void ServerSession::OnTime(Turn& turn, SessionNews& news) {
  if (ended() || next_deadline() > turn.now) return;
  Sweep();
  for (auto& n : untold_) news.push_back(n);
  untold_.clear(), tell_at_ = kNever;
  if (state_ == State::kClosing) {
    if (close_deadline_ > turn.now) return;
    turn.out.Close(stream_);
    return Ended(failure_, news);
  }
  if (blocked_deadline_ <= turn.now) {
    trouble_ = Trouble::kNotReading;
    ForgetAll(Failure::kStalled, news);
    turn.out.Close(stream_);  // It would not hear a GOAWAY.
    return Ended(Failure::kStalled, news);
  }
  if (head_deadline_ <= turn.now) return GiveUp(turn, Trouble::kSlowHead, news);
  if (idle_deadline_ <= turn.now) {
    nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
    return Close(turn);
  }
  while (const auto id = due_.due(turn.now)) {
    Exchange& e = *exchanges_.at(*id);
    if (std::exchange(e.told, false) && !(e.responded && e.finished)) news.push_back(RequestReset{*id, Failure::kStalled});
    e.by_us = true;
    due_.Move(*id, std::exchange(e.deadline, kNever), kNever);
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, StreamOf(*id), NGHTTP2_CANCEL);
  }
  Settle(turn, news);
}

// ---- The parent's calls ----

void ServerSession::Quiet(Turn& turn, RequestId id) {
  Pump(turn);
  if (Exchange* e = Find(id); e != nullptr) WaitFor(turn, id, *e);
  Wait(turn, false);
}

void ServerSession::Begin(Turn& turn, RequestId id, const http::Response& response, std::optional<Bytes> whole, SessionNews& news) {
  Exchange* e = Find(id);
  if (e == nullptr || !e->told || state_ != State::kOpen) return;
  CHECK(!e->responded);
  unix_seconds_ = http::UnixSeconds(turn);
  if (whole.has_value()) e->pending = AsText(*whole);
  Submit(StreamOf(id), *e, response);
  if (whole.has_value()) e->finished = true, e->left = 0;
  Settle(turn, news);
  if (e = Find(id); e != nullptr && state_ == State::kOpen) WaitFor(turn, id, *e);
}

void ServerSession::Respond(Turn& turn, RequestId id, http::Response response, SessionNews& news) { Begin(turn, id, response, std::nullopt, news); }

void ServerSession::RespondWhole(Turn& turn, RequestId id, http::Response response, Bytes body, SessionNews& news) {
  CHECK(body.empty() || response.length == body.size());
  Begin(turn, id, response, body, news);
}

bool ServerSession::Fits(RequestId id, size_t bytes) const {
  const Exchange* e = Find(id);
  if (e == nullptr || !e->told || e->responded || state_ != State::kOpen || out_.pending() || out_.room() < bytes + kUsualHead) return false;
  return nghttp2_session_get_stream_remote_window_size(session_, StreamOf(id)) >= int64_t(bytes) && nghttp2_session_get_remote_window_size(session_) >= int64_t(bytes);
}

void ServerSession::RespondText(Turn& turn, RequestId id, int status, std::string_view text, SessionNews& news) {
  http::Response response{.status = status, .headers = {}, .length = text.size()};
  response.headers.Add("content-type", "text/plain");
  RespondWhole(turn, id, std::move(response), AsBytes(text), news);
}

bool ServerSession::answering(RequestId id) const {
  const Exchange* e = Find(id);
  return e != nullptr && e->told && e->responded && !e->finished && state_ == State::kOpen;
}

size_t ServerSession::room(RequestId id) const {
  const Exchange* e = Find(id);
  if (e == nullptr || !answering(id) || out_.pending()) return 0;
  // A frame's head for each 16 KiB, and for what else may leave first.
  const size_t room = out_.room(), heads = (room / kFrameMax + 2) * kFrameHead;
  if (room <= heads) return 0;
  const int32_t theirs = std::min(nghttp2_session_get_stream_remote_window_size(session_, StreamOf(id)), nghttp2_session_get_remote_window_size(session_));
  const size_t most = std::min(room - heads, size_t(std::max(theirs, 0)));
  return most - std::min(most, e->pending.size() - e->at);
}

void ServerSession::WriteBody(Turn& turn, RequestId id, Bytes bytes) {
  Exchange* e = Find(id);
  if (e == nullptr || bytes.empty() || !answering(id)) return;
  CHECK_LE(bytes.size(), room(id));
  if (e->counted) {
    CHECK_LE(bytes.size(), e->left);
    e->left -= bytes.size();
    e->finished = e->left == 0;  // Its end leaves with it.
  }
  e->pending.append(AsText(bytes));
  nghttp2_session_resume_data(session_, StreamOf(id));
  Quiet(turn, id);
}

void ServerSession::FinishBody(Turn& turn, RequestId id, SessionNews& news) {
  Exchange* e = Find(id);
  if (e == nullptr || !answering(id)) return;
  if (e->counted && e->left > 0) {
    Reset(turn, id);
    return news.push_back(RequestReset{id, Failure::kClosedEarly});
  }
  e->finished = true;
  nghttp2_session_resume_data(session_, StreamOf(id));
  Quiet(turn, id);
}

void ServerSession::Continue(Turn& turn, RequestId id) {
  Exchange* e = Find(id);
  if (e == nullptr || !e->told || e->responded || !e->head.expects_continue || std::exchange(e->continued, true)) return;
  const nghttp2_nv status = Field(":status", "100");
  if (nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, StreamOf(id), nullptr, &status, 1, nullptr) < 0) broken_ = true;
  Quiet(turn, id);
}

void ServerSession::Took(Turn& turn, RequestId id, size_t bytes) {
  Exchange* e = Find(id);
  if (e == nullptr || bytes == 0 || e->held == 0) return;  // Of one that was refused meanwhile nothing is held.
  CHECK_LE(bytes, e->held);
  e->held -= uint32_t(bytes), held_ -= bytes;
  nghttp2_session_consume(session_, StreamOf(id), bytes);
  Quiet(turn, id);
}

void ServerSession::Reset(Turn& turn, RequestId id) {
  Exchange* e = Find(id);
  if (e == nullptr || state_ != State::kOpen || std::exchange(e->by_us, true)) return;
  e->told = false;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, StreamOf(id), NGHTTP2_INTERNAL_ERROR);
  Quiet(turn, id);
}

void ServerSession::Finish(Turn& turn) {
  if (state_ != State::kOpen || std::exchange(finishing_, true)) return;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR, nullptr, 0);
  Pump(turn);
  if (open_ == 0) return Close(turn);
  Wait(turn, false);
}

void ServerSession::Abort(Turn& turn) {
  if (ended()) return;
  state_ = State::kEnded;
  turn.out.Close(stream_);
}

}  // namespace orchard::http2
