// UDX: reliable, ordered byte streams and unordered messages over UDP. `Streams` owns every stream of a node, on all its
// sockets; a stream is known by our receive id, which stands in each packet to us. There is no handshake on the wire: ids
// travel by other means (the Noise payload of hyperdht), and nothing here is encrypted or authenticated.
// Source: libudx, udx-native 1.21 (packet format, receive order, recovery); RFC 8985 (RACK, TLP).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "node/base/turn.h"

namespace orchard::udx {

enum class StreamId : uint32_t {};  // Our receive id.

struct StreamsConfig {
  // Exactly as the JavaScript packages do, also where that is no help to anybody (docs/decisions/0007).
  bool deployed = false;
  uint32_t receive_window = 4u << 20;  // Bytes per stream that were told and not yet consumed. Of a sender that ignores
                                       // what we say, twice as many are taken.
  uint32_t mtu_max = 1500;             // Of our own link; probes go no higher.
};

// Limits. Sequence numbers that a stream may have outstanding or hold out of order: a window of 4 MiB is 2,900 full packets.
inline constexpr uint32_t kSpanMax = 16384;
// Bytes held out of order by all streams together; then such packets are dropped, and come again.
inline constexpr uint64_t kHeldBytesMax = 256u << 20;
// room() is this less what was never sent. What was sent and is not acknowledged, kSpanMax packets at most, comes on top.
// Source: libudx has the same mark, but counts both.
inline constexpr uint64_t kHighWater = 262144;

struct StreamOptions {
  // A packet that comes through another socket than the stream's, from another address than its remote, or before Connect, is
  // taken, and told by RemoteSeen before what it brought. Without it those of other sockets are dropped and counted.
  bool any_socket = false;
  uint32_t first_seq = 0, first_ack = 0;  // Where our numbers begin, and the other side's. Both sides must agree.
};

// A packet for `stream` came from elsewhere than its own path, or before Connect. The parent may connect, change the
// remote or let it be, in the same turn; the packet itself is taken either way.
struct RemoteSeen { StreamId stream; SocketId socket; Endpoint from; };
// The next bytes in order. They count against the receive window until Consumed. Valid until the turn ends.
struct StreamData { StreamId stream; Bytes bytes; };
// One unordered message, as it came; perhaps empty. Valid until the turn ends.
struct StreamMessage { StreamId stream; Bytes bytes; };
// The other side's half has ended, and all its bytes were told.
struct StreamEnded { StreamId stream; };
// All that was written has arrived: the other side acknowledged it.
struct StreamFlushed { StreamId stream; };
// room() was zero and is not any more.
struct StreamDrained { StreamId stream; };
// All that was sent to the former remote is acknowledged (or given up): the change is complete.
struct RemoteChanged { StreamId stream; };
enum class CloseReason : uint8_t { kEnded, kReset, kTimedOut, kDestroyed };
// The stream is gone; its id means nothing from here on. Not told after Destroy.
struct StreamClosed { StreamId stream; CloseReason why; };

struct News {
  std::vector<std::variant<RemoteSeen, StreamData, StreamMessage, StreamEnded, StreamFlushed, StreamDrained, RemoteChanged, StreamClosed>> list;
  std::vector<std::vector<uint8_t>> kept;  // What the spans of `list` point to beyond the datagram itself.
};

// What was refused or dropped, over all streams.
struct StreamCounters {
  uint64_t malformed = 0;     // The extension is longer than the packet.
  uint64_t wrong_socket = 0;  // Came through another socket, and StreamOptions::any_socket is off.
  uint64_t duplicates = 0;    // DATA or END that had come before; acknowledged again.
  uint64_t far_ahead = 0;     // A sequence number more than kSpanMax ahead.
  uint64_t beyond_end = 0;    // DATA after the END.
  uint64_t over_window = 0;   // More bytes than we were ready to take.
  uint64_t held_full = 0;     // Out of order, and no room to hold it.
  uint64_t bad_acks = 0;      // For what was never sent.
  uint64_t bad_sacks = 0;     // Blocks for what was never sent, or that were acknowledged, or empty.
  uint64_t stale_destroys = 0;
  uint64_t answered_closed = 0;  // Packets for streams that are gone, answered so that the other side need not time out.
  uint64_t relayed = 0, relay_dropped = 0;
};

// What a stream did, for whoever watches.
struct StreamStats {
  uint64_t packets_sent = 0, packets_received = 0, retransmits = 0, timeouts = 0, bytes_sent = 0, bytes_received = 0;
  Duration rtt{};              // Smoothed; zero before the first sample.
  uint32_t mtu = 0, congestion_window = 0, inflight = 0;  // Bytes of a datagram with its headers; packets.
  uint64_t pacing_bytes_per_second = 0;
};

// Calls that name a stream which is gone do nothing, and questions about it yield nothing: its end may lie in the same news as
// what is being answered.
class Streams {
 public:
  explicit Streams(const StreamsConfig& config = {});
  ~Streams();
  Streams(Streams&&) noexcept;
  Streams& operator=(Streams&&) noexcept;

  // A new stream, not connected, with an id that none of ours has.
  StreamId Create(Turn& turn, const StreamOptions& options);
  // From now on packets go through `socket` to `to` and carry `remote_id`. What came before is acknowledged. Once a stream.
  void Connect(Turn& turn, StreamId stream, SocketId socket, const Endpoint& to, uint32_t remote_id);
  bool connected(StreamId stream) const;
  bool exists(StreamId stream) const;

  // Takes all of `bytes`; a caller that minds memory writes while room() > 0. Allowed before Connect.
  void Write(Turn& turn, StreamId stream, std::string&& bytes);
  // How many more bytes are welcome; 0 above the high-water mark.
  size_t room(StreamId stream) const;
  // Bytes that were written and are not acknowledged yet.
  uint64_t unacknowledged(StreamId stream) const;
  // One packet, not acknowledged, not repeated, perhaps lost. Dropped if not connected or larger than max_message().
  void SendMessage(Turn& turn, StreamId stream, Bytes bytes);
  size_t max_message(StreamId stream) const;
  // Our half ends after what was written; StreamClosed follows when both have ended.
  void End(Turn& turn, StreamId stream);
  // Gone at once, with one DESTROY packet if connected. No news.
  void Destroy(Turn& turn, StreamId stream);
  // The parent is done with so many bytes of StreamData: the window opens again.
  void Consumed(Turn& turn, StreamId stream, size_t bytes);

  // New packets go elsewhere from now on; seq and ack go on. With `abandon_old` the former path is dead: what is outstanding is sent
  // again to the new remote, and its round trip and window are forgotten; else retransmissions keep their first address.
  void ChangeRemote(Turn& turn, StreamId stream, SocketId socket, const Endpoint& to, uint32_t remote_id, bool abandon_old);
  // Every packet for `from` is sent on to `to`'s remote, unchanged but for the id. Call it both ways for a relay.
  void RelayTo(StreamId from, StreamId to);

  // While nothing is outstanding, a HEARTBEAT so often; zero: never.
  void SetKeepAlive(Turn& turn, StreamId stream, Duration interval);
  // It gives up after 21 s without an answer, not 13: a process may be stopped for a while, and the deployed side is none the worse.
  void SetPatient(StreamId stream);

  // False if the datagram is not a packet for one of ours.
  bool OnDatagram(Turn& turn, const Datagram& datagram, News& news);
  void OnTime(Turn& turn, News& news);
  Instant next_deadline() const;
  // Last in every turn that touched a stream: sends what windows and pacing allow, and the acknowledgements.
  void Flush(Turn& turn);

  // True if a stream uses `socket`: it must stay open.
  bool uses(SocketId socket) const;
  StreamStats stats(StreamId stream) const;
  // When the last packet of any kind came for it. Long ago if none did.
  Instant heard_at(StreamId stream) const;
  // The last that acknowledged something new: so long ago what we sent arrived.
  Instant acked_at(StreamId stream) const;
  size_t size() const;
  const StreamCounters& counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orchard::udx
