// The byte streams of a host: TCP sockets in its epoll loop, edge-triggered, so that credit comes and goes without a system
// call. A node's writes wait in a buffer as large as the credit it was given, and leave with the rest of a batch of turns; what
// comes in is read only as far as the node accepts it, so that a slow node slows its peer and nothing grows. All news is told by
// Work, once a round: a fast peer cannot keep the loop from its other sockets. A listener may be behind TLS (tls.h): the node hears of a
// stream once it has shaken hands. Sources: tcp(7), epoll(7), accept(2).
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "node/base/input.h"
#include "node/base/time.h"
#include "node/host/os.h"
#include "node/host/tls.h"

namespace orchard::host {

class TcpStreams {
 public:
  // Open at once, at most; fewer where descriptors are few, since the store must always get one.
  static constexpr size_t kStreamsMax = 24576;
  static constexpr int kBacklog = 128;       // Connections that the system holds for us.
  static constexpr int kAcceptsMax = 32;     // Of one listener in one round.
  static constexpr int kReadsMax = 4;        // Of one stream in one round.
  static constexpr size_t kReadBytes = 64 << 10;
  // Credit comes back in such steps: a turn for each would cost more than what it allows.
  static constexpr uint32_t kCreditStep = kStreamWindow / 4;
  // Streams that shake hands (TLS) at once, and for how long one may.
  static constexpr size_t kHandshakesMax = 1024;
  static constexpr Duration kHandshakeMax = std::chrono::seconds(10);
  // Without a descriptor or memory for the next connection, the listener waits this long.
  static constexpr Duration kAcceptPause = std::chrono::milliseconds(100);

  struct Counters {
    uint64_t accepted = 0, connected = 0, failed = 0, pauses = 0;
    uint64_t handshakes = 0, handshakes_failed = 0, resumed = 0;
    uint64_t sent_bytes = 0, send_calls = 0, received_bytes = 0, receive_calls = 0;
  };
  using Feed = absl::FunctionRef<void(const Input&)>;

  // `epoll_fd` outlives it; the events of that descriptor whose data.fd is negative belong here.
  explicit TcpStreams(int epoll_fd);
  // The peers see what they see when a process dies.
  ~TcpStreams();

  // Outputs. False: the id is dead. Except for Listen and CloseListener they happen in the next Flush.
  // `tls` null: plain; else it outlives this.
  absl::StatusOr<Endpoint> Listen(SocketId id, const Endpoint& local, const TlsContext* tls = nullptr);
  bool CloseListener(SocketId id);
  void Connect(StreamId id, const Endpoint& to);
  bool Write(StreamId id, Bytes bytes);
  bool Accept(StreamId id, uint32_t bytes);
  bool End(StreamId id);
  bool Close(StreamId id);

  // Epoll's data and events.
  void OnEvent(uint64_t data, uint32_t events);
  // Tells the node what happened. Outputs may be called meanwhile; Flush may not.
  void Work(Instant now, Feed feed);
  // Does what outputs asked for.
  void Flush(Instant now);
  // Work has something to do at once.
  bool busy() const { return !ready_.empty() || !ready_listeners_.empty(); }
  // Work has something to do by then.
  Instant next_deadline() const;

  const Counters& counters() const { return counters_; }
  size_t size() const { return streams_.size(); }
  void set_limit_for_test(size_t max) { streams_max_ = max; }

 private:
  struct Stream {
    enum class Step : uint8_t { kNew, kConnecting, kHandshake, kOpen } step = Step::kNew;
    // Of the descriptor, since the last edge.
    bool readable = false, writable = false, hung_up = false, broken = false;
    bool write_ended = false;  // The node said End …
    bool end_sent = false;     // … and the system was told.
    bool read_ended = false;   // The node was told.
    bool closed = false;       // The node said Close; gone with the next Flush.
    bool in_ready = false, in_flush = false;
    std::optional<absl::StatusCode> failed;  // To be told.
    std::optional<SocketId> listener;
    Fd fd;
    std::unique_ptr<TlsStream> tls;  // Null: plain.
    Endpoint peer;
    uint64_t granted = 0;  // The node accepts so many bytes more.
    uint32_t credit = 0;   // The node may write so many bytes more; credit + waiting + owed = kStreamWindow.
    uint32_t owed = 0;     // Left, but not granted anew.
    std::vector<uint8_t> out;  // What waits to leave, from out_from on.
    size_t out_from = 0;
    size_t waiting() const { return out.size() - out_from; }
  };
  struct Listener {
    Fd fd;
    const TlsContext* tls = nullptr;
    bool ready = false;
  };
  struct Dialing {
    Instant deadline;
    uint32_t id;
  };

  Stream* Find(StreamId id);  // Null if dead.
  // Work and Flush will look at it.
  void ToWork(uint32_t id, Stream& s);
  void ToFlush(uint32_t id, Stream& s);
  void Watch(int fd, uint32_t id, bool listener);
  void Visit(uint32_t id, Feed feed);
  void FinishConnect(uint32_t id, Stream& s, Feed feed);
  void Read(uint32_t id, Stream& s, Feed feed);
  // Behind TLS (tcp_streams_tls.cc). Shake: a stream that fails is gone then, and the node has not heard of it.
  void Shake(uint32_t id, Stream& s, Feed feed);
  void DropShaking(uint32_t id);
  void ReadSecure(uint32_t id, Stream& s, Feed feed);
  bool SendSecure(uint32_t id, Stream& s);  // One record; false: no more now.
  void EndSecure(Stream& s);
  // The last word of a stream, which is gone then.
  void TellClosed(uint32_t id, absl::StatusCode status, Feed feed);
  void AcceptFrom(uint32_t id, Instant now, Feed feed);
  void Dial(uint32_t id, Stream& s, Instant now);
  void Send(uint32_t id, Stream& s);
  void Fail(uint32_t id, Stream& s, absl::StatusCode status);
  void Erase(uint32_t id);

  const int epoll_fd_;
  size_t streams_max_;
  absl::btree_map<uint32_t, std::unique_ptr<Stream>> streams_;
  absl::btree_map<uint32_t, Listener> listeners_;
  std::vector<uint32_t> ready_, to_flush_, ready_listeners_;
  std::deque<Dialing> dials_, shakes_;    // All of one wait equally long: in order.
  size_t shaking_ = 0;
  Instant accept_again_ = kNever;         // A listener waits for a stream to go, or for the system.
  size_t accepted_open_ = 0, dialed_open_ = 0;  // With a descriptor.
  uint32_t next_accepted_ = kAccepted;
  std::vector<uint8_t> read_buffer_, spare_;  // spare_: a write buffer that was large, for the next stream that needs one.
  Counters counters_;
};

}  // namespace orchard::host
