// One connection of QUIC (RFC 9000) that speaks HTTP/3, on ngtcp2, nghttp3 and GnuTLS, which do no I/O: packets in, packets out, and a
// time by which it wants to be asked.
#pragma once

#include <gnutls/gnutls.h>
#include <nghttp3/nghttp3.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/functional/function_ref.h"
#include "node/base/endpoint.h"
#include "node/base/time.h"
#include "node/host/h3_exchange.h"

namespace orchard::host {

// What a connection asks of its door.
class H3Registry {
 public:
  virtual ~H3Registry() = default;
  virtual StreamId NewStream(uint64_t connection, int64_t stream) = 0;
  virtual void NewCid(uint64_t connection, std::string cid) = 0;
  virtual void DropCid(const std::string& cid) = 0;
  // Something of it is to be told to the node.
  virtual void Ready(uint64_t connection, int64_t stream) = 0;
  virtual const Key32& secret() const = 0;
};

struct H3Accept {
  ngtcp2_pkt_hd head;
  std::optional<ngtcp2_cid> original;  // After a Retry: what the client called us first.
  Endpoint local, peer;
};

class H3Connection {
 public:
  static constexpr uint64_t kStreamsMax = 100;
  static constexpr uint64_t kStreamWindowBytes = 64 << 10;
  static constexpr uint64_t kWindowBytes = 256 << 10;
  static constexpr size_t kPacketMax = 1452;
  static constexpr int kPacketsMax = 64;  // In one go: others first.
  static constexpr Duration kQuietMax = std::chrono::seconds(60);  // Without a request whose head is whole.
  // Requests that the client breaks off, in so long a time (CVE-2023-44487).
  static constexpr uint32_t kResetsMax = 200;
  static constexpr Duration kRateWindow = std::chrono::seconds(10);
  using Send = absl::FunctionRef<void(const Endpoint& to, Bytes packet)>;

  H3Connection(uint64_t id, H3Registry* registry, gnutls_certificate_credentials_t credentials, const H3Accept& accept, Instant now);
  H3Connection(const H3Connection&) = delete;
  ~H3Connection();

  void OnPacket(const Endpoint& from, Bytes packet, Instant now);
  void OnTime(Instant now);
  // Writes what may leave. True: there is more.
  bool Flush(Instant now, Send send);
  Instant next_deadline() const;
  bool dead() const { return dead_; }
  bool shaken() const { return http_ != nullptr; }

  H3Exchange* Find(int64_t stream);
  absl::btree_map<int64_t, std::unique_ptr<H3Exchange>>& exchanges() { return exchanges_; }
  const Endpoint& local() const { return local_; }
  const Endpoint& peer() const { return peer_; }
  // The node's words.
  void Write(int64_t stream, Bytes text);
  void EndWrites(int64_t stream);
  void Reset(int64_t stream);
  // The node took the client's: it may send as much more.
  void Extend(int64_t stream, uint64_t bytes);
  void Erase(int64_t stream) { exchanges_.erase(stream); }

 private:
  struct Callbacks;
  bool StartHttp();
  void Answer(int64_t stream, H3Exchange& e);
  void Refuse(int64_t stream, http::Refusal why);
  void Gone(int64_t stream);
  void CountReset();
  ngtcp2_path Path(const Endpoint& from);

  const uint64_t id_;
  H3Registry* registry_;
  Endpoint local_, peer_;
  ngtcp2_conn* quic_ = nullptr;
  nghttp3_conn* http_ = nullptr;
  gnutls_session_t tls_ = nullptr;
  ngtcp2_crypto_conn_ref ref_{};
  ngtcp2_connection_close_error error_{};
  absl::btree_map<int64_t, std::unique_ptr<H3Exchange>> exchanges_;
  sockaddr_storage local_address_{}, peer_address_{};
  Instant now_{}, quiet_deadline_, window_ends_{};
  uint32_t resets_ = 0;
  bool dead_ = false, dying_ = false, silent_ = false;
};

}  // namespace orchard::host
