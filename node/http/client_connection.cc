#include "node/http/client_connection.h"

#include "node/base/check.h"
#include "node/http/limits.h"

namespace orchard::http {

void ClientConnection::Open(Turn& turn, const Endpoint& to) {
  turn.out.Connect(stream_, to);
  deadline_ = turn.now + patience_.connect;
}

void ClientConnection::Send(Turn& turn, std::string_view method, std::string_view head) {
  CHECK(!asked_ && (step_ == Step::kConnecting || step_ == Step::kIdle));
  asked_ = silent_ = true, interim_ = 0, method_ = method;
  parser_.Next(method_);
  out_.Write(turn, stream_, AsBytes(head));
  if (step_ == Step::kIdle) step_ = Step::kAwaiting, deadline_ = turn.now + patience_.first_byte;
}

void ClientConnection::OnOpened(Turn& turn, ClientNews& news) {
  if (step_ != Step::kConnecting) return;
  out_.OnOpened(turn, stream_);
  in_.OnOpened(turn, stream_);
  step_ = asked_ ? Step::kAwaiting : Step::kIdle;
  deadline_ = turn.now + (asked_ ? patience_.first_byte : patience_.idle);
  news.push_back(ClientWritable{});
}

void ClientConnection::OnCredit(Turn& turn, uint32_t bytes, ClientNews& news) {
  if (ended()) return;
  out_.OnCredit(turn, stream_, bytes);
  // A large body on its way up: its answer is not late yet.
  if (step_ == Step::kAwaiting) deadline_ = turn.now + patience_.first_byte;
  news.push_back(ClientWritable{});
}

void ClientConnection::Took(Turn& turn, size_t bytes) {
  if (ended()) return;
  in_.Took(turn, stream_, bytes);
  if (step_ == Step::kBody) Quiet(turn);
}

// From here on the server has so long to say more; but only if it may.
void ClientConnection::Quiet(Turn& turn) { deadline_ = in_.shut() ? kNever : turn.now + patience_.stall; }

void ClientConnection::OnData(Turn& turn, Bytes bytes, ClientNews& news) {
  if (ended() || bytes.empty()) return;
  in_.OnData(bytes.size());
  if (step_ == Step::kIdle) return Fail(turn, Failure::kBadMessage, Refusal::kMalformed, news);  // Nobody asked.
  silent_ = false;
  size_t used = 0;
  while (used < bytes.size() && !ended() && asked_) {
    ParserNews parsed;
    const size_t n = parser_.OnBytes(bytes.subspan(used), parsed);
    used += n;
    size_t body = 0;
    for (const auto& p : parsed) {
      if (const auto* part = std::get_if<BodyPart>(&p)) body += part->bytes.size();
    }
    in_.Took(turn, stream_, n - body);
    Take(turn, parsed, news);
    if (!parser_.complete() || ended()) continue;
    if (response().status / 100 == 1) {
      if (++interim_ > kInterimMax) return Fail(turn, Failure::kBadMessage, Refusal::kTooManyInterim, news);
      news.push_back(ResponseInterim{response().status, response().reason, response().headers});
      parser_.Next(method_);
    } else {
      Done(turn, used < bytes.size(), news);
    }
  }
  if (step_ == Step::kAwaiting || step_ == Step::kBody) Quiet(turn);
}

void ClientConnection::Take(Turn& turn, const ParserNews& parsed, ClientNews& news) {
  for (const auto& p : parsed) {
    if (std::holds_alternative<HeadComplete>(p) && response().status / 100 != 1) step_ = Step::kBody, news.push_back(ResponseStarted{});
    if (const auto* part = std::get_if<BodyPart>(&p)) news.push_back(ResponseBody{part->bytes});
    if (const auto* refused = std::get_if<MessageRefused>(&p)) {
      return Fail(turn, refused->why == Refusal::kTruncated ? Failure::kClosedEarly : Failure::kBadMessage, refused->why, news);
    }
  }
}

// What comes behind an answer answers nothing: such a server is not asked again.
void ClientConnection::Done(Turn& turn, bool more_came, ClientNews& news) {
  asked_ = false, ++answered_;
  const bool reusable = response().keep_alive && response().body != BodyKind::kTunnel && !more_came && !out_.pending();
  if (reusable) step_ = Step::kIdle, deadline_ = turn.now + patience_.idle;
  else Close(turn);
  news.push_back(ResponseDone{reusable});
}

void ClientConnection::Close(Turn& turn) {
  if (ended()) return;
  step_ = Step::kEnded, deadline_ = kNever;
  turn.out.Close(stream_);
}

void ClientConnection::Fail(Turn& turn, Failure why, Refusal refusal, ClientNews& news) {
  Close(turn);
  news.push_back(ClientFailed{why, refusal, silent_});
}

void ClientConnection::OnEnded(Turn& turn, ClientNews& news) {
  if (ended()) return;
  if (!asked_) return Fail(turn, Failure::kClosedEarly, Refusal::kNone, news);
  ParserNews parsed;
  parser_.OnEnd(parsed);
  Take(turn, parsed, news);
  if (ended()) return;
  if (parser_.complete()) Done(turn, false, news);
  else Fail(turn, Failure::kClosedEarly, Refusal::kTruncated, news);
}

void ClientConnection::OnClosed(Turn&, absl::StatusCode status, ClientNews& news) {
  if (ended()) return;
  const Failure why = step_ == Step::kConnecting ? ConnectFailure(status) : StreamFailure(status);
  step_ = Step::kEnded, deadline_ = kNever;  // The host has forgotten it.
  news.push_back(ClientFailed{why, Refusal::kNone, silent_});
}

void ClientConnection::OnTime(Turn& turn, ClientNews& news) {
  if (deadline_ > turn.now) return;
  switch (step_) {
    case Step::kConnecting: return Fail(turn, Failure::kUnreachable, Refusal::kNone, news);
    case Step::kIdle: return Fail(turn, Failure::kClosedEarly, Refusal::kNone, news);
    case Step::kAwaiting: return Fail(turn, silent_ ? Failure::kFirstByteTimeout : Failure::kStalled, Refusal::kNone, news);
    case Step::kBody: return Fail(turn, Failure::kStalled, Refusal::kNone, news);
    case Step::kEnded: deadline_ = kNever;
  }
}

}  // namespace orchard::http
