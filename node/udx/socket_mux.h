// Owns this node's UDP sockets and says what an arriving datagram is. The DHT has two: the server socket, bound to the
// configured port or one near it, and the client socket on any port, whose NAT mapping says nothing about the server's.
// Hole punching opens extra ones, up to 256 for a birthday attack, and closes what it does not keep.
// Source: dht-rpc 6.27 lib/io.js (binding), hyperdht 6.34 (dispatch), lib/socket-pool.js (extra sockets).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "node/base/turn.h"
#include "node/wire/address.h"

namespace orchard::udx {

// What the opener of an extra socket notes on it, to know later for whom it was. 0: nothing.
enum class SocketMark : uint32_t {};
enum class SocketRole : uint8_t { kServer, kClient };

// What the first bytes say.
enum class DatagramKind : uint8_t { kRequest, kResponse, kUdx, kProbe, kForeign };
DatagramKind Classify(Bytes payload);

class SocketMux {
 public:
  // After the configured port, the four above it are tried, then any.
  static constexpr uint16_t kPortsTried = 5;
  // Bytes before which a packet cannot be UDX.
  static constexpr size_t kUdxHeaderBytes = 20;
  // Extra sockets at once: three birthday attacks of 256 and what connections hold.
  static constexpr size_t kExtraMax = 1024;

  struct Config {
    Endpoint host;     // Its port is ignored.
    uint16_t port = 0;  // Of the server socket; 0: any.
    bool any_port = true;
  };
  enum class Binding : uint8_t { kClosed, kOpening, kOpen, kFailed };
  struct Counters {
    uint64_t udx = 0, probes = 0, foreign = 0, unknown_socket = 0;  // Datagrams dropped here.
  };

  explicit SocketMux(const Config& config) : config_(config) {}

  void Open(Turn& turn);
  void Close(Turn& turn);
  // True if `opened` was ours, an extra one too; for the two, binding() then tells.
  bool OnSocketOpened(Turn& turn, const SocketOpened& opened);

  Binding binding() const { return binding_; }
  // Why binding failed.
  absl::StatusCode failure() const { return failure_; }
  // Nothing if `socket` is not one of the DHT's two.
  std::optional<SocketRole> role(SocketId socket) const;
  SocketId socket(SocketRole role) const { return sockets_[size_t(role)].id; }
  const Endpoint& local(SocketRole role) const { return sockets_[size_t(role)].local; }

  // One more socket, on any port of the configured host. Usable in this turn; answered by SocketOpened, and forgotten here if
  // that says failure. SocketId{0} if there are kExtraMax already. Close() closes it too.
  SocketId OpenExtra(Turn& turn, SocketMark mark = {});
  // Nothing happens if `socket` is not an extra one.
  void CloseExtra(Turn& turn, SocketId socket);
  bool IsExtra(SocketId socket) const { return FindExtra(socket) != nullptr; }
  // Nothing if `socket` is not an extra one.
  std::optional<SocketMark> mark(SocketId socket) const;
  // Where it is bound; null until SocketOpened told, and if it is not an extra one. Valid until the next call.
  const Endpoint* extra_local(SocketId socket) const;
  size_t extras() const { return extras_.size(); }

  // Datagrams of the DHT mean nothing once the process is gone, so they never wait for the disk.
  void Send(Turn& turn, SocketId socket, Ipv4Address to, Bytes packet) {
    turn.out.Send(socket, to.endpoint(), packet, Gate::kNone);
  }
  // Counts a datagram that nobody here takes.
  void CountDropped(DatagramKind kind);
  const Counters& counters() const { return counters_; }

 private:
  struct Socket {
    SocketId id{0};
    Endpoint local{};
    bool open = false;
    SocketMark mark{};
  };
  void TryServerPort(Turn& turn);
  const Socket* FindExtra(SocketId socket) const;
  void OpenOne(Turn& turn, SocketRole role, uint16_t port);

  Config config_;
  std::array<Socket, 2> sockets_;
  std::vector<Socket> extras_;  // By id, which is by age.
  Counters counters_;
  uint32_t next_id_ = 1;
  uint8_t tries_ = 0;  // Of the server port.
  Binding binding_ = Binding::kClosed;
  absl::StatusCode failure_ = absl::StatusCode::kOk;
};

}  // namespace orchard::udx
