// HTTP/3 (RFC 9114) beside a listener behind TLS, on the same port of UDP: each request is shown to the node as a stream that was
// accepted, with HTTP/1.1 on it, asked once; QUIC stays here. Connections are found by their ids, and asked by the time they want to be
// (an ordered index: never all of them). While many shake hands at once, a client must show first that it is where it says (Retry,
// RFC 9000 §8.1.2).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "node/base/deadlines.h"
#include "node/host/h3_connection.h"
#include "node/host/os.h"
#include "node/host/tls.h"

namespace orchard::host {

class H3Door final : private H3Registry {
 public:
  static constexpr uint32_t kFirstStream = 0xc0000000;  // Ids of these streams; those of TCP lie below.
  static constexpr size_t kConnectionsMax = 4096;
  static constexpr size_t kRetryAbove = 64;             // Handshakes at once.
  static constexpr int kPacketsMax = 256;               // Of one round.

  struct Counters {
    uint64_t connections = 0, requests = 0, received = 0, sent = 0, retries = 0, bad_tokens = 0, refused = 0, dropped = 0;
  };
  using Feed = absl::FunctionRef<void(const Input&)>;

  // `listener` is whose streams these seem to be. The descriptor is for the loop to watch (EPOLLIN).
  static absl::StatusOr<std::unique_ptr<H3Door>> Open(SocketId listener, const Endpoint& local, const TlsFiles& files);
  ~H3Door() override;

  int fd() const { return fd_.get(); }
  SocketId listener() const { return listener_; }
  const Endpoint& local() const { return local_; }
  bool Owns(StreamId id) const { return uint32_t(id) >= kFirstStream; }

  // No new connections.
  void Finish() { finishing_ = true; }

  // Outputs. False: the id is dead.
  bool Write(StreamId id, Bytes bytes);
  bool Accept(StreamId id, uint32_t bytes);
  bool End(StreamId id);
  bool Close(StreamId id);

  // What came, and what is due; tells the node. Outputs may be called meanwhile.
  void Work(Instant now, Feed feed);
  // What is to leave, leaves.
  void Flush(Instant now);
  bool busy() const { return more_ || !ready_.empty() || !dirty_.empty(); }
  Instant next_deadline() const { return due_.next(); }
  const Counters& counters() const { return counters_; }
  size_t size() const { return connections_.size(); }
  void set_retry_above_for_test(size_t n) { retry_above_ = n; }

 private:
  struct Entry {
    std::unique_ptr<H3Connection> connection;
    std::vector<std::string> cids;
    Instant due = kNever;
    bool dirty = false, shaking = true;
  };
  using Key = std::pair<uint64_t, int64_t>;  // Connection, stream.

  H3Door() = default;
  StreamId NewStream(uint64_t connection, int64_t stream) override;
  void NewCid(uint64_t connection, std::string cid) override;
  void DropCid(const std::string& cid) override { cids_.erase(cid); }
  void Ready(uint64_t connection, int64_t stream) override { ready_.push_back({connection, stream}); }
  const Key32& secret() const override { return secret_; }

  void OnPacket(const Endpoint& from, Bytes packet, Instant now);
  uint64_t Welcome(const Endpoint& from, Bytes packet, Instant now);  // 0: nobody.
  void Touch(uint64_t id);
  void Visit(Key key, Feed feed);
  void Drop(uint64_t id, Feed feed);
  void SendTo(const Endpoint& to, Bytes packet);
  H3Exchange* Find(StreamId id, uint64_t* connection, int64_t* stream);

  SocketId listener_{};
  Endpoint local_;
  Fd fd_;
  gnutls_certificate_credentials_t credentials_ = nullptr;
  Key32 secret_{};
  absl::btree_map<uint64_t, Entry> connections_;
  absl::flat_hash_map<std::string, uint64_t> cids_;  // Looked up, never walked.
  absl::btree_map<uint32_t, Key> streams_;
  Deadlines<uint64_t> due_;
  std::vector<Key> ready_;
  std::vector<uint64_t> dirty_;
  uint64_t next_connection_ = 1;
  uint32_t next_stream_ = kFirstStream;
  size_t shaking_ = 0, retry_above_ = kRetryAbove;
  bool more_ = false, finishing_ = false;
  std::vector<uint8_t> buffer_;
  Counters counters_;
};

}  // namespace orchard::host
