// Everything that a node wants from its host, in the order written. Owns a copy of all bytes, in one arena, unpadded: a run
// of equal-sized datagrams to one peer is one UDP GSO send without a copy.
#pragma once

#include <cstdint>
#include <vector>

#include "node/base/bytes.h"
#include "node/base/endpoint.h"
#include "node/base/input.h"
#include "node/base/jobs.h"

namespace orchard {

// kDurable outputs wait, in order, while a turn that called Store::Sync() is not yet safe from power loss. kNone is for
// packets whose meaning dies with the process (DHT messages, probes, ACKs, retransmissions): dht/, hyperdht/, udx/ only.
enum class Gate : uint8_t { kDurable, kNone };

enum class Do : uint8_t {
  kOpenSocket, kCloseSocket, kSend, kOpEvent, kOpBytes, kOpFinal, kOpAccept, kRunJob, kCancelJob, kStopped,
  kOpenSharedSocket, kJoinGroup, kListen, kConnect, kWrite, kAccept, kEnd, kClose,
  kListenSecure,
};

struct Output {
  Do what;
  Gate gate = Gate::kDurable;
  uint8_t ttl = 64;     // kSend.
  JobKind kind{};       // kRunJob.
  uint32_t id = 0;      // SocketId, StreamId, OpId or JobId, as `what` says.
  uint32_t offset = 0;  // Into the arena.
  uint32_t size = 0;    // Of the bytes.
  uint32_t credit = 0;  // kOpAccept, kAccept.
  Endpoint peer{};      // kSend, kConnect: to. kOpen…, kListen: local. kJoinGroup: the group;
                        // the bytes are the 16 octets of the interface's address.
};

class Outbox {
 public:
  // Binds a UDP socket; port 0 lets the host choose. Answered by SocketOpened. Outputs to it in the same turn work.
  void OpenSocket(SocketId s, const Endpoint& local) { Add({.what = Do::kOpenSocket, .id = uint32_t(s), .peer = local}, {}); }
  // A socket whose port other sockets of this machine may bind too, if they share it as well (SO_REUSEADDR): for groups.
  // What comes to such a port for one machine alone goes to one of its sockets; which, the system says.
  void OpenSharedSocket(SocketId s, const Endpoint& local) { Add({.what = Do::kOpenSharedSocket, .id = uint32_t(s), .peer = local}, {}); }
  // Receives what comes for the multicast group, an IPv4 address (its port means nothing) on the interface of that address. Answered by
  // GroupJoined: kNotFound no such interface, kInvalidArgument no group, kResourceExhausted too many; to join again is kOk.
  // What a socket sends to a group leaves by every interface on which it joined it, by none if it did not, with the ttl of Send,
  // and comes back to this machine's members, the sender too. CloseSocket leaves the groups.
  void JoinGroup(SocketId s, const Endpoint& group, const Endpoint& interface) {
    Add({.what = Do::kJoinGroup, .id = uint32_t(s), .peer = group}, Bytes(interface.ip));
  }
  void CloseSocket(SocketId s) { Add({.what = Do::kCloseSocket, .id = uint32_t(s)}, {}); }
  void Send(SocketId s, const Endpoint& to, Bytes b, Gate gate = Gate::kDurable, uint8_t ttl = 64) {
    Add({.what = Do::kSend, .gate = gate, .ttl = ttl, .id = uint32_t(s), .peer = to}, b);
  }
  // Adds to the bytes of the output written last: a packet that is made of pieces is copied once.
  void Append(Bytes more) {
    arena_.insert(arena_.end(), more.begin(), more.end());
    outputs_.back().size += uint32_t(more.size());
  }
  // Binds a TCP socket that listens. Answered by SocketOpened; each stream by StreamOpened. CloseSocket leaves those alone.
  void Listen(SocketId s, const Endpoint& local) { Add({.what = Do::kListen, .id = uint32_t(s), .peer = local}, {}); }
  // As Listen, and the streams are behind TLS, which the host takes off: a stream opens when its client has shaken hands, and bytes are
  // plain ones, in the credit too. kFailedPrecondition: the host has no certificate. In the simulator and in memory it is Listen: TLS draws
  // luck that is not the node's, so what is simulated is above it.
  void ListenSecure(SocketId s, const Endpoint& local) { Add({.what = Do::kListenSecure, .id = uint32_t(s), .peer = local}, {}); }
  // Answered by StreamOpened, or StreamClosed: kUnavailable refused or no way there, kDeadlineExceeded nobody answered within
  // kConnectMax, kResourceExhausted too many streams. Until then only Accept and Close may name it.
  void Connect(StreamId s, const Endpoint& to) { Add({.what = Do::kConnect, .id = uint32_t(s), .peer = to}, {}); }
  // At most the credit: kStreamWindow once it is open, and what StreamCredit adds; a host may CHECK it. Once all that was written
  // has left, at least three quarters of the window are granted: the host may keep small change back. Wait for no more than that.
  void Write(StreamId s, Bytes b) { Add({.what = Do::kWrite, .id = uint32_t(s)}, b); }
  // Grants that many bytes of StreamData more. A stream begins with none.
  void Accept(StreamId s, uint32_t bytes) { Add({.what = Do::kAccept, .id = uint32_t(s), .credit = bytes}, {}); }
  // Closes our half, once what was written is sent. Nothing may be written after it.
  void End(StreamId s) { Add({.what = Do::kEnd, .id = uint32_t(s)}, {}); }
  // Forgets the stream, and resets it unless both halves have ended: what was written may be lost. There is no news of it any more,
  // nor need of this after StreamClosed.
  void Close(StreamId s) { Add({.what = Do::kClose, .id = uint32_t(s)}, {}); }
  // One JSON object {"tag":…,"data":…}. At most the events granted by OpCredit (the first is always granted), then the final.
  void Event(OpId o, Bytes json) { Add({.what = Do::kOpEvent, .id = uint32_t(o)}, json); }
  // Binary output of an operation that streams (`raw` in the table). A chunk counts as one event against OpCredit.
  void OpBytes(OpId o, Bytes chunk) { Add({.what = Do::kOpBytes, .id = uint32_t(o)}, chunk); }
  void Final(OpId o, Bytes json) { Add({.what = Do::kOpFinal, .id = uint32_t(o)}, json); }
  void AcceptOp(OpId o, uint32_t bytes) { Add({.what = Do::kOpAccept, .id = uint32_t(o), .credit = bytes}, {}); }
  void Run(JobId j, JobKind kind, Bytes args) { Add({.what = Do::kRunJob, .kind = kind, .id = uint32_t(j)}, args); }
  void Cancel(JobId j) { Add({.what = Do::kCancelJob, .id = uint32_t(j)}, {}); }
  // The answer to Stop, once goodbyes are said. Streams that were not closed by then may lose what was written.
  void Stopped() { Add({.what = Do::kStopped}, {}); }

  // For the host:
  absl::Span<const Output> outputs() const { return outputs_; }
  Bytes bytes(const Output& o) const { return Bytes(arena_).subspan(o.offset, o.size); }
  bool empty() const { return outputs_.empty(); }
  void Clear() { outputs_.clear(), arena_.clear(); }

 private:
  void Add(Output o, Bytes b) {
    o.offset = uint32_t(arena_.size()), o.size = uint32_t(b.size());
    arena_.insert(arena_.end(), b.begin(), b.end());
    outputs_.push_back(o);
  }
  std::vector<uint8_t> arena_;
  std::vector<Output> outputs_;
};

}  // namespace orchard
