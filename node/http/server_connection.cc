#include "node/http/server_connection.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/http/date.h"
#include "node/http/writer.h"

namespace orchard::http {

void ServerConnection::OnOpened(Turn& turn) {
  out_.OnOpened(turn, stream_);
  in_.OnOpened(turn, stream_);
  head_deadline_ = turn.now + patience_.head;  // Whoever connects has something to say.
  Wait(turn);
}

// When the client is given up, as things stand now.
void ServerConnection::Wait(Turn& turn) {
  switch (reading_) {
    case Reading::kHead: deadline_ = head_deadline_; return;
    case Reading::kLinger:
    case Reading::kEnded: return;
    default: break;
  }
  const bool theirs = reading_ == Reading::kBody && !in_.shut();
  const bool full = (writing_ == Writing::kBody && room() == 0) || out_.pending();
  // Nothing is owed in a tunnel but what does not get through.
  deadline_ = theirs || full ? turn.now + patience_.stall : kNever;
}

void ServerConnection::OnData(Turn& turn, Bytes bytes, ServerNews& news) {
  if (ended() || bytes.empty()) return;
  in_.OnData(bytes.size());
  if (reading_ == Reading::kLinger) return in_.Took(turn, stream_, bytes.size());  // Nobody listens any more.
  buffer_.erase(0, at_), at_ = 0;
  buffer_.append(AsText(bytes));
  Read(turn, news);
}

void ServerConnection::Read(Turn& turn, ServerNews& news) {
  if (reading_ == Reading::kTunnel) ReadTunnel(news);
  while ((reading_ == Reading::kHead || reading_ == Reading::kBody) && at_ < buffer_.size()) {
    if (reading_ == Reading::kHead && parser_.between()) head_deadline_ = turn.now + patience_.head;
    ParserNews parsed;
    const size_t used = parser_.OnBytes(AsBytes(std::string_view(buffer_).substr(at_)), parsed);
    at_ += used;
    size_t body = 0;
    for (const auto& p : parsed) {
      if (const auto* part = std::get_if<BodyPart>(&p)) body += part->bytes.size();
    }
    in_.Took(turn, stream_, used - body);
    for (const auto& p : parsed) {
      if (std::holds_alternative<HeadComplete>(p)) {
        ++requests_, reading_ = Reading::kBody;
        news.push_back(RequestStarted{});
      } else if (const auto* part = std::get_if<BodyPart>(&p)) {
        news.push_back(RequestBody{part->bytes});
      } else if (std::holds_alternative<MessageComplete>(p)) {
        reading_ = Reading::kDone;
        if (request().body != BodyKind::kTunnel) news.push_back(RequestDone{});
      } else if (const auto* refused = std::get_if<MessageRefused>(&p)) {
        return Refuse(turn, refused->why, news);
      }
    }
  }
  Wait(turn);
  MaybeNext(turn, news);
}

void ServerConnection::ReadTunnel(ServerNews& news) {
  if (at_ == buffer_.size()) return;
  news.push_back(TunnelData{AsBytes(std::string_view(buffer_).substr(at_))});
  at_ = buffer_.size();
}

// Says why, unless an answer is under way: then what is cut off says it.
void ServerConnection::Refuse(Turn& turn, Refusal why, ServerNews& news) {
  refusal_ = why;
  if (writing_ == Writing::kBody) {
    Abort(turn);
    return news.push_back(ServerClosed{Failure::kBadMessage, why});
  }
  if (writing_ == Writing::kNone) {
    HeaderList headers;
    const std::string text = absl::StrCat(std::string(NameOf(why)), "\n");
    headers.Add("Content-Type", "text/plain"), headers.Add("Content-Length", absl::StrCat(text.size())), headers.Add("Connection", "close");
    AddDate(headers, UnixSeconds(turn));
    out_.Write(turn, stream_, AsBytes(WriteResponse(StatusOf(why), headers) + text));
    writing_ = Writing::kDone;
  }
  Linger(turn);
}

void ServerConnection::Linger(Turn& turn) {
  out_.End(turn, stream_);
  reading_ = Reading::kLinger;
  deadline_ = turn.now + patience_.linger;
  // What came is done with, heads and bodies that the parent holds too.
  in_.Took(turn, stream_, in_.held());
}

void ServerConnection::Interim(Turn& turn, int status, std::string_view reason, const HeaderList& headers) {
  CHECK_EQ(status / 100, 1);
  if (ended() || reading_ == Reading::kLinger || writing_ != Writing::kNone || request().minor == 0 || status == 101) return;
  if (status == 100) continued_ = true;
  out_.Write(turn, stream_, AsBytes(WriteResponse(status, reason, headers)));
}

void ServerConnection::Took(Turn& turn, size_t bytes) {
  if (ended() || reading_ == Reading::kLinger) return;
  in_.Took(turn, stream_, bytes);
  if (reading_ == Reading::kBody) Wait(turn);
}

size_t ServerConnection::room() const {
  const size_t frame = chunked_ ? 32 : 0;  // Around a chunk.
  return ended() || out_.room() <= frame ? 0 : out_.room() - frame;
}

void ServerConnection::Respond(Turn& turn, Response response, ServerNews& news) { RespondWhole(turn, std::move(response), {}, news); }

void ServerConnection::RespondWhole(Turn& turn, Response response, Bytes body, ServerNews& news) {
  if (ended() || reading_ == Reading::kLinger) return;
  CHECK(writing_ == Writing::kNone && reading_ != Reading::kHead);
  const bool none = request().method == "HEAD" || response.status == 204 || response.status == 304;
  // A body that is not on its way, because nobody asked for it, may come or not: its end is not known.
  const bool unread = reading_ == Reading::kBody && request().expects_continue && !continued_;
  // Whoever refuses a body does not read it to its end: let the client stop sending it (RFC 9112 §9.3, §9.6).
  const bool refused = reading_ == Reading::kBody && response.status >= 400;
  keep_ = request().keep_alive && !unread && !refused && !finishing_ && !response.as_is;
  if (!response.as_is && !response.relayed) AddDate(response.headers, UnixSeconds(turn));
  chunked_ = until_end_ = false;
  if (response.as_is) {
    until_end_ = !none;
  } else if (response.length.has_value()) {
    if (response.status != 204 && !response.relayed) response.headers.Add("Content-Length", absl::StrCat(*response.length));
  } else if (request().minor >= 1) {
    if (response.status != 204 && response.status != 304 && !(none && response.relayed)) response.headers.Add("Transfer-Encoding", "chunked");
    chunked_ = !none;
  } else {
    until_end_ = !none;
    keep_ = keep_ && none;
  }
  if (!keep_) response.headers.Add("Connection", "close");
  else if (request().minor == 0) response.headers.Add("Connection", "keep-alive");
  const std::string_view reason = response.reason.empty() ? ReasonPhrase(response.status) : response.reason;
  std::string bytes = WriteResponse(response.status, reason, response.headers);
  left_ = response.length.value_or(0);
  writing_ = none || (!chunked_ && !until_end_ && left_ == 0) ? Writing::kDone : Writing::kBody;
  if (writing_ == Writing::kBody && !body.empty()) {
    CHECK(left_ == body.size());
    bytes.append(AsText(body));
    left_ = 0, writing_ = Writing::kDone;
  }
  out_.Write(turn, stream_, AsBytes(bytes));
  Wait(turn);
  MaybeNext(turn, news);
}

void ServerConnection::RespondText(Turn& turn, int status, std::string_view text, ServerNews& news) {
  Response r{.status = status, .headers = {}, .length = text.size()};
  r.headers.Add("Content-Type", "text/plain");
  RespondWhole(turn, std::move(r), AsBytes(text), news);
}

void ServerConnection::WriteBody(Turn& turn, Bytes bytes) {
  if (ended() || bytes.empty()) return;
  CHECK(writing_ == Writing::kBody);
  if (chunked_) {
    const std::string head = ChunkHead(bytes.size());
    out_.Write(turn, stream_, AsBytes(head));
    out_.Write(turn, stream_, bytes);
    out_.Write(turn, stream_, AsBytes(kChunkTail));
  } else {
    if (!until_end_) {
      CHECK_LE(bytes.size(), left_);
      left_ -= bytes.size();
    }
    out_.Write(turn, stream_, bytes);
  }
  Wait(turn);
}

void ServerConnection::FinishBody(Turn& turn, ServerNews& news) {
  if (ended() || writing_ != Writing::kBody) return;
  if (!chunked_ && !until_end_ && left_ > 0) {
    Abort(turn);
    return news.push_back(ServerClosed{Failure::kClosedEarly, Refusal::kNone});
  }
  if (chunked_) out_.Write(turn, stream_, AsBytes(kLastChunk));
  writing_ = Writing::kDone;
  Wait(turn);
  MaybeNext(turn, news);
}

void ServerConnection::EndShort(Turn& turn) {
  if (ended() || writing_ != Writing::kBody) return;
  if (until_end_) return Abort(turn);
  writing_ = Writing::kDone;
  Linger(turn);
  deadline_ = turn.now + patience_.stall;  // What is on its way may be much, and the client slow; it ends when it has seen our end.
}

void ServerConnection::Continue(Turn& turn) {
  if (ended() || writing_ != Writing::kNone || !request().expects_continue || continued_) return;
  continued_ = true;
  out_.Write(turn, stream_, AsBytes(WriteResponse(100, {})));
}

void ServerConnection::OpenTunnel(Turn& turn, ServerNews& news) {
  if (ended()) return;
  CHECK(request().body == BodyKind::kTunnel && writing_ == Writing::kNone);
  out_.Write(turn, stream_, AsBytes(WriteResponse(200, "Connection Established", {})));
  reading_ = Reading::kTunnel, writing_ = Writing::kDone;
  ReadTunnel(news);
  if (peer_ended_) news.push_back(TunnelEnded{});
  Wait(turn);
}

// Once a request is read and answered: the next, if there may be one.
void ServerConnection::MaybeNext(Turn& turn, ServerNews& news) {
  if (writing_ != Writing::kDone || reading_ == Reading::kTunnel || reading_ == Reading::kLinger || ended()) return;
  // Answered before all of it was here: whoever refuses a body does not read it to its end.
  if (!keep_ || reading_ == Reading::kBody) return Linger(turn);
  if (reading_ != Reading::kDone || out_.room() < kRoomMin) return;
  reading_ = Reading::kHead, writing_ = Writing::kNone;
  continued_ = false;
  parser_.Next();
  if (finishing_ || (peer_ended_ && at_ == buffer_.size())) return Linger(turn);
  head_deadline_ = turn.now + patience_.idle;
  Read(turn, news);
  if (peer_ended_ && reading_ == Reading::kHead) Linger(turn);  // Half a request, and no more to come.
}

void ServerConnection::Finish(Turn& turn) {
  finishing_ = true;
  keep_ = false;
  if (reading_ == Reading::kHead) Linger(turn);
}

void ServerConnection::OnCredit(Turn& turn, uint32_t bytes, ServerNews& news) {
  if (ended()) return;
  out_.OnCredit(turn, stream_, bytes);
  Wait(turn);
  MaybeNext(turn, news);
  if (writing_ == Writing::kBody || reading_ == Reading::kTunnel) news.push_back(ServerWritable{});
}

void ServerConnection::OnEnded(Turn& turn, ServerNews& news) {
  if (ended() || peer_ended_) return;
  peer_ended_ = true;
  if (reading_ == Reading::kTunnel) return news.push_back(TunnelEnded{});
  if (reading_ == Reading::kHead || reading_ == Reading::kBody) {
    if (reading_ == Reading::kHead && parser_.between()) return Linger(turn);
    Refuse(turn, Refusal::kTruncated, news);
  }
  // Else: it asked, and listens on.
}

void ServerConnection::OnClosed(Turn&, absl::StatusCode status, ServerNews& news) {
  if (ended()) return;
  const bool fine = status == absl::StatusCode::kOk || (reading_ == Reading::kHead && parser_.between());
  Ended(fine ? Failure::kNone : Failure::kReset, news);
}

void ServerConnection::Ended(Failure why, ServerNews& news) {
  if (refusal_ != Refusal::kNone) why = Failure::kBadMessage;
  reading_ = Reading::kEnded, deadline_ = kNever;
  news.push_back(ServerClosed{why, refusal_});
}

void ServerConnection::Abort(Turn& turn) {
  if (ended()) return;
  reading_ = Reading::kEnded, deadline_ = kNever;
  turn.out.Close(stream_);
}

void ServerConnection::OnTime(Turn& turn, ServerNews& news) {
  if (deadline_ > turn.now || ended()) return;
  // Whoever dawdles within a request hears why; whoever asks nothing more, or does not listen, does not.
  if (reading_ == Reading::kHead && !parser_.between() && writing_ == Writing::kNone) {
    HeaderList headers;
    headers.Add("Content-Length", "0"), headers.Add("Connection", "close");
    AddDate(headers, UnixSeconds(turn));
    out_.Write(turn, stream_, AsBytes(WriteResponse(408, headers)));
    writing_ = Writing::kDone;
    return Linger(turn);
  }
  const bool fine = (reading_ == Reading::kHead && parser_.between()) || (reading_ == Reading::kLinger && !out_.pending());
  turn.out.Close(stream_);
  Ended(fine ? Failure::kNone : Failure::kStalled, news);
}

}  // namespace orchard::http
