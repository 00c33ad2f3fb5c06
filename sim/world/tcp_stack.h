// A host's TCP: listeners and streams as the seam has them (base/outbox.h), each on a socket of ns-3's. Made when a node first
// listens or connects. The sockets only say that something changed; what that is goes to the node one input at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "node/base/input.h"
#include "sim/world/chance.h"
#include "sim/world/core.h"
#include "sim/world/ip_stack.h"
#include "sim/world/tcp_end.h"

namespace orchard::sim {

class Host;

class TcpStack final : public TcpEnd::Owner {
 public:
  static constexpr size_t kStreamsMax = 8192;    // At once; more are refused, or not answered.
  static constexpr size_t kHalfOpenMax = 1024;   // Handshakes not yet done. Linux: somaxconn 4096.
  static constexpr size_t kLingerMax = 16'384;   // Streams that the node is done with. Linux: tcp_max_tw_buckets.
  static constexpr uint32_t kChunk = 64 << 10;   // Of one StreamData.

  // All must outlive it. `key` is of its luck.
  TcpStack(Host* host, Core* core, IpStack* ip, uint64_t key) : host_(host), core_(core), ip_(ip), luck_(key) {}
  ~TcpStack() override;

  // `local` gets its port if it has none.
  absl::StatusCode Listen(uint32_t id, Ep4* local);
  bool listens(uint32_t id) const { return listeners_.contains(id); }
  void CloseListener(uint32_t id);
  void Connect(uint32_t id, const Endpoint& to);
  // False: no such stream.
  bool Write(uint32_t id, Bytes bytes);
  bool Accept(uint32_t id, uint32_t bytes);
  bool End(uint32_t id);
  bool Close(uint32_t id);

  // A segment for this host has come.
  void Receive(Port& port, Bytes packet);
  // The next input for the node, until there is none. Its spans live until the next call.
  std::optional<Input> Take();
  // The process ends. A computer that lives on resets what was open; one that is gone says nothing.
  void Die(bool computer_lives);

 private:
  struct Stream {
    ns3::Ptr<TcpEnd> end;  // Null: could not even begin.
    std::optional<SocketId> listener;
    std::string written;   // By the node; from `taken` on it is not yet in TCP's buffer: at most kStreamWindow of that.
    size_t taken = 0;
    uint32_t accept = 0;   // What the node granted and has not got.
    uint32_t untold = 0;   // Moved into TCP's buffer, and the node has no credit for it yet.
    absl::StatusCode refusal = absl::StatusCode::kUnavailable;  // Of one without an end.
    bool queued = false, opened = false, end_wanted = false, ended = false;
    bool forgotten = false;  // By the node; only what is unsent keeps it.
    size_t unsent() const { return written.size() - taken; }
  };

  bool MayFork(const TcpEnd& listener) override;
  void Forked(ns3::Ptr<TcpEnd> child) override;
  void Changed(TcpEnd& end) override;

  Stream* Find(uint32_t id);  // Null if unknown to the node.
  void Queue(uint32_t id, Stream& s);
  void Flush(Stream& s);
  std::optional<Input> News(uint32_t id, Stream& s);
  void Linger(ns3::Ptr<TcpEnd> end);
  bool PortTaken(uint16_t port) const;
  uint16_t FreePort();

  Host* host_;
  Core* core_;
  IpStack* ip_;
  Luck luck_;  // Of ephemeral ports.
  absl::btree_map<uint32_t, ns3::Ptr<TcpEnd>> listeners_;
  absl::btree_map<uint32_t, Stream> streams_;
  std::vector<ns3::Ptr<TcpEnd>> half_open_;
  std::deque<ns3::Ptr<TcpEnd>> linger_;
  std::deque<uint32_t> ready_;  // Streams that may have news, in the order in which they got it.
  uint32_t accepted_ = 0;       // In this life.
  bool receiving_ = false, armed_ = false;
};

}  // namespace orchard::sim
