// One connection to a server: requests one at a time, each answered before the next. Redirects are answers. The parent gives it
// the inputs of its stream, and reads its news in the same turn.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "node/base/turn.h"
#include "node/http/failure.h"
#include "node/http/parser.h"
#include "node/http/stream_io.h"

namespace orchard::http {

struct ResponseInterim { int status; std::string reason; HeaderList headers; };  // 1xx: the response itself is still to come.
struct ResponseStarted {};            // response() is its head.
struct ResponseBody { Bytes bytes; };  // The parent answers with Took(), now or later.
// Not reusable: the connection is closed, and this is its last news.
struct ResponseDone { bool reusable; };
struct ClientWritable {};             // There is room() for more of a request's body.
// The connection is closed; the last news. `silent`: no byte of an answer had come. While it was idle: nothing is lost.
struct ClientFailed { Failure why; Refusal refusal; bool silent; };

using ClientNews = std::vector<std::variant<ResponseInterim, ResponseStarted, ResponseBody, ResponseDone, ClientWritable, ClientFailed>>;

class ClientConnection {
 public:
  static constexpr uint32_t kReadAhead = 256 << 10;

  struct Patience {
    Duration connect = std::chrono::seconds(10);
    Duration first_byte = std::chrono::seconds(30);  // From the request (or the connection, if later).
    Duration stall = std::chrono::seconds(30);       // Between bytes, while we take them.
    Duration idle = std::chrono::seconds(15);        // Between requests. Servers commonly wait 5 to 75 s.
  };

  explicit ClientConnection(StreamId stream, Patience patience) : stream_(stream), patience_(patience) {}
  explicit ClientConnection(StreamId stream) : ClientConnection(stream, Patience()) {}

  void Open(Turn& turn, const Endpoint& to);
  // `head` is a request's (writer.h), perhaps with its whole body; more of that by WriteBody. Before the stream is open it waits.
  void Send(Turn& turn, std::string_view method, std::string_view head);
  size_t room() const { return out_.room(); }
  void WriteBody(Turn& turn, Bytes bytes) { out_.Write(turn, stream_, bytes); }
  // The consumer is done with so many bytes of the body.
  void Took(Turn& turn, size_t bytes);
  // Drops it; no news follow.
  void Close(Turn& turn);

  void OnOpened(Turn& turn, ClientNews& news);
  void OnData(Turn& turn, Bytes bytes, ClientNews& news);
  void OnCredit(Turn& turn, uint32_t bytes, ClientNews& news);
  void OnEnded(Turn& turn, ClientNews& news);
  void OnClosed(Turn& turn, absl::StatusCode status, ClientNews& news);
  void OnTime(Turn& turn, ClientNews& news);
  Instant next_deadline() const { return deadline_; }

  StreamId stream() const { return stream_; }
  bool idle() const { return step_ == Step::kIdle; }
  bool ended() const { return step_ == Step::kEnded; }
  const ResponseHead& response() const { return parser_.head(); }
  const HeaderList& trailers() const { return parser_.trailers(); }
  uint32_t answered() const { return answered_; }

 private:
  enum class Step : uint8_t { kConnecting, kIdle, kAwaiting, kBody, kEnded };
  void Take(Turn& turn, const ParserNews& parsed, ClientNews& news);
  void Done(Turn& turn, bool more_came, ClientNews& news);
  void Fail(Turn& turn, Failure why, Refusal refusal, ClientNews& news);
  void Quiet(Turn& turn);

  StreamId stream_;
  Patience patience_;
  Step step_ = Step::kConnecting;
  StreamOut out_;
  StreamIn in_{kReadAhead};
  ResponseParser parser_;
  std::string method_;
  bool asked_ = false, silent_ = true;
  size_t interim_ = 0;
  uint32_t answered_ = 0;
  Instant deadline_ = kNever;
};

}  // namespace orchard::http
