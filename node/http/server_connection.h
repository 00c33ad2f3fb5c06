// One connection of a client: its requests one at a time and in order, each answered by the parent before the next is read.
// What is no request is answered here, and the connection ends. The parent gives it the inputs of its stream, and reads its
// news in the same turn.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "node/base/turn.h"
#include "node/http/failure.h"
#include "node/http/parser.h"
#include "node/http/stream_io.h"

namespace orchard::http {

struct RequestStarted {};            // request() is its head. After CONNECT: OpenTunnel() or Respond().
struct RequestBody { Bytes bytes; };  // The parent answers with Took(), now or later.
struct RequestDone {};               // All of it is here.
struct TunnelData { Bytes bytes; };   // As a body's.
struct TunnelEnded {};               // The client's half.
struct ServerWritable {};            // There is room().
// The last news. kNone: it ended as it should. kBadMessage: `refusal` was answered.
struct ServerClosed { Failure why; Refusal refusal; };

using ServerNews = std::vector<std::variant<RequestStarted, RequestBody, RequestDone, TunnelData, TunnelEnded, ServerWritable, ServerClosed>>;

// What the parent answers. Content-Length, Transfer-Encoding and Connection are added here; Date too, if there is none.
struct Response {
  int status = 200;
  HeaderList headers;
  std::optional<uint64_t> length;  // Of the body. Unknown: chunked, or to a client of HTTP/1.0 until the stream ends.
  std::string_view reason{};       // Empty: the usual one.
  bool as_is = false;              // A body until the stream ends, and no header added but Connection: close.
  bool relayed = false;            // Content-Length and Date, if there are any, are among the headers; an answer without a body has what it says there.
};

class ServerConnection {
 public:
  static constexpr uint32_t kReadAhead = 64 << 10;
  // The next of pipelined requests is read when so much can be written: the answers to many small ones are bounded by a window.
  static constexpr size_t kRoomMin = 16 << 10;

  struct Patience {
    Duration head = std::chrono::seconds(10);   // For a whole head, however it drips (slow loris).
    Duration idle = std::chrono::seconds(60);   // Between requests.
    Duration stall = std::chrono::seconds(30);  // Between bytes of a body, while we take them, and between those that the client takes.
    Duration linger = std::chrono::seconds(2);  // After our end, for the client's: a reset would take our last words with it (RFC 9112 §9.6).
  };

  ServerConnection(StreamId stream, Patience patience, uint64_t body_max) : stream_(stream), patience_(patience), parser_(body_max) {}
  explicit ServerConnection(StreamId stream) : ServerConnection(stream, Patience(), MessageParser::kAnyBody) {}

  // Starts to answer; once per request, from RequestStarted on. A body of exactly `length` follows by WriteBody and FinishBody,
  // unless bodiless() is true then: HEAD, 204, 304, length 0. Interim answers go by Continue.
  void Respond(Turn& turn, Response response, ServerNews& news);
  // With all of its body, whose length is response.length: what the host does not take at once waits here.
  void RespondWhole(Turn& turn, Response response, Bytes body, ServerNews& news);
  // So much of a body could leave at once, and a head of the usual size with it.
  bool Fits(size_t bytes) const { return !ended() && !out_.pending() && out_.room() >= bytes + 4096; }
  // A small answer that explains itself.
  void RespondText(Turn& turn, int status, std::string_view text, ServerNews& news);
  bool bodiless() const { return writing_ == Writing::kDone; }
  size_t room() const;
  // At most room().
  void WriteBody(Turn& turn, Bytes bytes);
  // May bring the next request, already here. A body that is too short is cut off instead, so that the client sees it.
  void FinishBody(Turn& turn, ServerNews& news);
  // The rest of the body does not come: ends our half behind what was written, which still arrives, and the client sees by its framing that
  // it is short. Where only the stream's end ends a body: resets, since an end would say that it is whole. No further request is read.
  void EndShort(Turn& turn);
  // 100, if the client waits for it.
  void Continue(Turn& turn);
  // Another's 1xx, passed on before the answer; not to clients of HTTP/1.0, which know none (RFC 9110 §15.2).
  void Interim(Turn& turn, int status, std::string_view reason, const HeaderList& headers);
  void Took(Turn& turn, size_t bytes);
  // Answers CONNECT with 200; what comes is TunnelData from then on.
  void OpenTunnel(Turn& turn, ServerNews& news);
  void WriteTunnel(Turn& turn, Bytes bytes) { out_.Write(turn, stream_, bytes); }
  void EndTunnel(Turn& turn) { out_.End(turn, stream_); }
  // Resets it; no news follow.
  void Abort(Turn& turn);
  // No further requests: ends after the one that is being answered, or at once.
  void Finish(Turn& turn);

  void OnOpened(Turn& turn);
  void OnData(Turn& turn, Bytes bytes, ServerNews& news);
  void OnCredit(Turn& turn, uint32_t bytes, ServerNews& news);
  void OnEnded(Turn& turn, ServerNews& news);
  void OnClosed(Turn& turn, absl::StatusCode status, ServerNews& news);
  void OnTime(Turn& turn, ServerNews& news);
  Instant next_deadline() const { return deadline_; }

  StreamId stream() const { return stream_; }
  const RequestHead& request() const { return parser_.head(); }
  const HeaderList& trailers() const { return parser_.trailers(); }
  bool answering() const { return writing_ == Writing::kBody; }
  bool ended() const { return reading_ == Reading::kEnded; }
  uint32_t requests() const { return requests_; }

 private:
  enum class Reading : uint8_t { kHead, kBody, kDone, kTunnel, kLinger, kEnded };
  enum class Writing : uint8_t { kNone, kBody, kDone };
  void Read(Turn& turn, ServerNews& news);
  void ReadTunnel(ServerNews& news);
  void Refuse(Turn& turn, Refusal why, ServerNews& news);
  void MaybeNext(Turn& turn, ServerNews& news);
  void Linger(Turn& turn);
  void Ended(Failure why, ServerNews& news);
  void Wait(Turn& turn);

  StreamId stream_;
  Patience patience_;
  RequestParser parser_;
  StreamOut out_;
  StreamIn in_{kReadAhead};
  Reading reading_ = Reading::kHead;
  Writing writing_ = Writing::kNone;
  std::string buffer_;     // Came, and not yet parsed from at_ on; news point into it until the next OnData.
  size_t at_ = 0;
  bool keep_ = true, chunked_ = false, until_end_ = false, peer_ended_ = false, continued_ = false, finishing_ = false;
  uint64_t left_ = 0;      // Of the body that we write.
  uint32_t requests_ = 0;
  Refusal refusal_ = Refusal::kNone;
  Instant deadline_ = kNever, head_deadline_ = kNever;
};

}  // namespace orchard::http
