// One connection of a client that speaks HTTP/2 (RFC 9113): many requests at once, each answered by the parent in its own time.
// As http::ServerConnection, with the id of a request in every word. nghttp2 reads and writes the frames; it is fed here and asked
// for what it wants to send, and what it reports becomes news. What breaks a rule is answered and ended here: a stream's fault ends
// the stream, the connection's ends the connection with GOAWAY. The parent gives it the inputs of its stream, reads its news in
// the same turn, and moves next_deadline() after each call.
// nghttp2 draws no luck; of its one use of a clock, the limit of resets that Debian's security update brought, it is relieved.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "node/base/deadlines.h"
#include "node/base/turn.h"
#include "node/http/failure.h"
#include "node/http/server_connection.h"
#include "node/http2/frame_watch.h"
#include "node/http2/head_reader.h"
#include "node/http2/limits.h"
#include "node/http2/session_memory.h"
#include "node/http2/trouble.h"

struct nghttp2_session;

namespace orchard::http2 {

enum class RequestId : uint32_t {};  // The stream's id of HTTP/2; never given twice in one connection.

struct RequestStarted { RequestId id; };                // request(id) is its head.
struct RequestBody { RequestId id; Bytes bytes; };      // The parent answers with Took(), now or later.
struct RequestDone { RequestId id; };                   // All of it is here.
// The client gave it up (kReset), dawdled (kStalled), or broke a rule (kBadMessage); nothing more of it, and nothing to do. Only of
// requests that started and whose answer is not on its way whole.
struct RequestReset { RequestId id; http::Failure why; };
struct Writable { RequestId id; };                      // There is room().
// The last news; RequestReset came for each request that was open. kNone: it ended as it should.
struct SessionClosed { http::Failure why; Trouble trouble; };

using SessionNews = std::vector<std::variant<RequestStarted, RequestBody, RequestDone, RequestReset, Writable, SessionClosed>>;

struct SessionLimits {
  uint32_t streams = kStreamsMax;
  uint64_t body_max = http::MessageParser::kAnyBody;  // Of a request; more is 413.
  http::ServerConnection::Patience patience;          // `head` and `stall` are each request's.
};

class ServerSession {
 public:
  ServerSession(StreamId stream, SessionLimits limits);
  ServerSession(const ServerSession&) = delete;  // nghttp2 knows its address.
  ServerSession& operator=(const ServerSession&) = delete;
  ~ServerSession();

  // ---- Answers. An id that is gone is no error: nothing happens. ----
  // Starts to answer; once, from RequestStarted on. A body of exactly `length` follows by WriteBody and FinishBody, unless
  // answering(id) is false then. Headers are written in lower case, those of a connection of HTTP/1 left out.
  void Respond(Turn& turn, RequestId id, http::Response response, SessionNews& news);
  // With all of its body, whose length is response.length: what of it does not fit waits here.
  void RespondWhole(Turn& turn, RequestId id, http::Response response, Bytes body, SessionNews& news);
  // So much of a body could leave at once, and a head of the usual size with it.
  bool Fits(RequestId id, size_t bytes) const;
  // A small answer that explains itself.
  void RespondText(Turn& turn, RequestId id, int status, std::string_view text, SessionNews& news);
  // A body is to be written.
  bool answering(RequestId id) const;
  // What the client, its connection and the host take now.
  size_t room(RequestId id) const;
  // At most room().
  void WriteBody(Turn& turn, RequestId id, Bytes bytes);
  // A body that is too short is cut off instead, so that the client sees it.
  void FinishBody(Turn& turn, RequestId id, SessionNews& news);
  // 100, if the client waits for it.
  void Continue(Turn& turn, RequestId id);
  // So much of its body is done with: the client may send as much more.
  void Took(Turn& turn, RequestId id, size_t bytes);
  // Cuts it off.
  void Reset(Turn& turn, RequestId id);
  // No further requests: GOAWAY, and it ends after those that are open.
  void Finish(Turn& turn);
  // Resets the stream; no news follow.
  void Abort(Turn& turn);

  void OnOpened(Turn& turn);
  void OnData(Turn& turn, Bytes bytes, SessionNews& news);
  void OnCredit(Turn& turn, uint32_t bytes, SessionNews& news);
  void OnEnded(Turn& turn, SessionNews& news);
  void OnClosed(Turn& turn, absl::StatusCode status, SessionNews& news);
  void OnTime(Turn& turn, SessionNews& news);
  Instant next_deadline() const;

  StreamId stream() const { return stream_; }
  // From RequestStarted on, till the next input after it is over.
  const http::RequestHead& request(RequestId id) const;
  bool ended() const { return state_ == State::kEnded; }
  size_t open() const { return open_; }
  size_t held() const { return held_; }  // Of bodies: came, and not taken.
  uint64_t requests() const { return requests_; }
  const SessionMemory& memory() const { return memory_; }

 private:
  enum class State : uint8_t { kOpen, kClosing, kEnded };
  struct Exchange {
    http::RequestHead head;
    std::string pending;           // Of our body; empty but for refusals and small answers when a turn is over.
    size_t at = 0;
    uint64_t left = 0;             // Of a body whose length is known …
    bool counted = false;          // … as here.
    bool told = false, done = false, refused = false, continued = false;
    bool responded = false, finished = false;  // The head is written; nothing more will be.
    bool by_us = false, by_peer = false, gone = false;
    uint64_t body_bytes = 0;
    uint32_t held = 0;             // Came, and not taken.
    Instant deadline = kNever;
  };
  // nghttp2's callbacks: they know the session and no turn.
  struct Callbacks;
  Exchange* Find(RequestId id);
  const Exchange* Find(RequestId id) const;
  void Head(int32_t stream, bool ends);
  void Body(int32_t stream, Bytes bytes);
  void Done(int32_t stream);
  void Over(int32_t stream);
  // Answers what is no request; the parent does not hear of it, or no more.
  void Refuse(int32_t stream, Exchange& e, http::Refusal why);
  void Submit(int32_t stream, Exchange& e, const http::Response& response);
  // `whole`: all of the body, if it is here.
  void Begin(Turn& turn, RequestId id, const http::Response& response, std::optional<Bytes> whole, SessionNews& news);
  size_t Fill(Exchange& e, uint8_t* into, size_t size, bool& end);

  void Pump(Turn& turn);
  // Pumps, draws the consequences, and sets the timers: the end of every input.
  void Settle(Turn& turn, SessionNews& news);
  void Sweep();
  // GOAWAY, and the end.
  void GiveUp(Turn& turn, Trouble why, SessionNews& news);
  void Close(Turn& turn);
  // The client's half of the rates; kNone if they are bearable.
  Trouble Judge(Turn& turn);
  void ForgetAll(http::Failure why, SessionNews& news);
  void Tell(std::variant<RequestStarted, RequestBody, RequestDone, RequestReset, Writable, SessionClosed> what);
  // After a call that brings no news.
  void Quiet(Turn& turn, RequestId id);
  void TellWritable(SessionNews& news);
  void Wait(Turn& turn, bool progress);
  void WaitFor(Turn& turn, RequestId id, Exchange& e);
  void Ended(http::Failure why, SessionNews& news);
  bool blocked() const;

  StreamId stream_;
  SessionLimits limits_;
  SessionMemory memory_;
  nghttp2_session* session_ = nullptr;
  http::StreamOut out_;
  http::StreamIn in_{64 << 10};
  FrameWatch watch_;
  State state_ = State::kOpen;
  HeadReader reader_;                   // Of the head that comes: heads do not mix (RFC 9113 §4.3).
  absl::btree_map<RequestId, std::unique_ptr<Exchange>> exchanges_;
  Deadlines<RequestId> due_;
  std::vector<RequestId> gone_;         // Swept with the next input: news speak of them.
  SessionNews* news_ = nullptr;         // While nghttp2 works within an input.
  SessionNews untold_;                  // What it said while the parent called.
  size_t open_ = 0;                     // Exchanges that are not gone.
  size_t held_ = 0;                     // Of all bodies.
  RequestId served_{};                  // The last that was told first that there is room.
  uint64_t requests_ = 0;
  int64_t unix_seconds_ = 0;            // Of the input that is worked on.
  uint64_t resets_ = 0, idle_frames_ = 0, window_updates_ = 0, sent_bytes_ = 0;  // In this window of time.
  Instant window_ends_{};
  bool broken_ = false;                 // nghttp2 is not to be asked any more.
  bool finishing_ = false, peer_ended_ = false, room_changed_ = false, half_closed_ = false;
  uint32_t goaway_error_ = 0;           // Of the GOAWAY that was sent.
  Trouble trouble_ = Trouble::kNone;
  http::Failure failure_ = http::Failure::kNone;
  uint64_t unit_ = 0;                   // Of the head that is awaited.
  Instant head_deadline_ = kNever, idle_deadline_ = kNever, blocked_deadline_ = kNever, close_deadline_ = kNever, tell_at_ = kNever;
};

}  // namespace orchard::http2
