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

struct StreamOptions {
  // A packet that comes through another socket than the stream's, or before Connect, is taken, and told by RemoteSeen
  // before what it brought. Without it such packets are dropped and counted.
  bool any_socket = false;
};

// A packet for `stream` came from elsewhere than its own socket, or before Connect. The parent may connect, change the
// remote or let it be, in the same turn; the packet itself is taken either way.
struct RemoteSeen { StreamId stream; SocketId socket; Endpoint from; };
// The next bytes in order. They count against the receive window until Consumed. Valid until the turn ends.
struct StreamData { StreamId stream; Bytes bytes; };
// One unordered message, as it came; perhaps empty. Valid until the turn ends.
struct StreamMessage { StreamId stream; Bytes bytes; };
// The other side's half has ended, and all its bytes were told.
struct StreamEnded { StreamId stream; };
// room() was zero and is not any more.
struct StreamDrained { StreamId stream; };
// All that was sent to the former remote is acknowledged (or given up): the change is complete.
struct RemoteChanged { StreamId stream; };
enum class CloseReason : uint8_t { kEnded, kReset, kTimedOut, kDestroyed };
// The stream is gone; its id means nothing from here on. Not told after Destroy.
struct StreamClosed { StreamId stream; CloseReason why; };

struct News {
  std::vector<std::variant<RemoteSeen, StreamData, StreamMessage, StreamEnded, StreamDrained, RemoteChanged, StreamClosed>> list;
  std::vector<std::string> kept;  // What the spans of `list` point to beyond the datagram itself.
};

// What a stream did, for whoever watches.
struct StreamStats {
  uint64_t packets_sent = 0, packets_received = 0, retransmits = 0, timeouts = 0, bytes_sent = 0, bytes_received = 0;
  Duration rtt{};              // Smoothed; zero before the first sample.
  uint32_t mtu = 0, congestion_window = 0, inflight = 0;  // Bytes of a datagram with its headers; packets.
  uint64_t pacing_bytes_per_second = 0;
};

class Streams {
 public:
  Streams();
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

  // False if the datagram is not a packet for one of ours.
  bool OnDatagram(Turn& turn, const Datagram& datagram, News& news);
  void OnTime(Turn& turn, News& news);
  Instant next_deadline() const;
  // Last in every turn that touched a stream: sends what windows and pacing allow, and the acknowledgements.
  void Flush(Turn& turn);

  // True if a stream uses `socket`: it must stay open.
  bool uses(SocketId socket) const;
  StreamStats stats(StreamId stream) const;
  size_t size() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orchard::udx
