#include "node/host/h3_door.h"

#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/host/sockaddr.h"

namespace orchard::host {
namespace {

constexpr size_t kCidBytes = 18;  // Of those that we give.
constexpr ngtcp2_duration kTokenLife = 10 * NGTCP2_SECONDS;

}  // namespace

absl::StatusOr<std::unique_ptr<H3Door>> H3Door::Open(SocketId listener, const Endpoint& local, const TlsFiles& files) {
  std::unique_ptr<H3Door> door(new H3Door());
  CHECK_EQ(gnutls_certificate_allocate_credentials(&door->credentials_), 0);
  if (const int e = gnutls_certificate_set_x509_key_file(door->credentials_, files.certificate.c_str(), files.key.c_str(), GNUTLS_X509_FMT_PEM); e < 0) {
    return absl::InvalidArgumentError(absl::StrCat("no certificate with its key: ", files.certificate, ", ", files.key, ": ", gnutls_strerror(e)));
  }
  const bool v4 = local.is_v4();
  door->fd_ = Fd(socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!door->fd_.ok()) return ErrnoStatus(errno, "socket");
  if (!v4) SetOption(door->fd_.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  SetOption(door->fd_.get(), SOL_SOCKET, SO_RCVBUF, 4 << 20);
  sockaddr_storage address;
  const socklen_t size = ToSockaddr(local, v4, address);
  if (bind(door->fd_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return ErrnoStatus(errno, absl::StrCat("UDP ", local.ToString()));
  door->listener_ = listener, door->local_ = LocalOf(door->fd_.get());
  door->secret_ = OsEntropy();
  door->buffer_.resize(64 << 10);
  return door;
}

H3Door::~H3Door() {
  connections_.clear();
  if (credentials_ != nullptr) gnutls_certificate_free_credentials(credentials_);
}

// ---- What a connection asks ----

StreamId H3Door::NewStream(uint64_t connection, int64_t stream) {
  const StreamId id{next_stream_};
  next_stream_ = next_stream_ == 0xffffffff ? kFirstStream : next_stream_ + 1;
  streams_[uint32_t(id)] = {connection, stream};
  return id;
}

void H3Door::NewCid(uint64_t connection, std::string cid) {
  connections_[connection].cids.push_back(cid);
  cids_[std::move(cid)] = connection;
}

H3Exchange* H3Door::Find(StreamId id, uint64_t* connection, int64_t* stream) {
  const auto it = streams_.find(uint32_t(id));
  if (it == streams_.end()) return nullptr;
  *connection = it->second.first, *stream = it->second.second;
  const auto c = connections_.find(*connection);
  H3Exchange* e = c == connections_.end() ? nullptr : c->second.connection->Find(*stream);
  return e == nullptr || e->finished ? nullptr : e;
}

// ---- Outputs ----

bool H3Door::Write(StreamId id, Bytes bytes) {
  uint64_t c;
  int64_t s;
  H3Exchange* e = Find(id, &c, &s);
  if (e == nullptr) return false;
  CHECK_LE(bytes.size(), e->credit);
  connections_[c].connection->Write(s, bytes);
  Ready(c, s), Touch(c);
  return true;
}

bool H3Door::Accept(StreamId id, uint32_t bytes) {
  uint64_t c;
  int64_t s;
  H3Exchange* e = Find(id, &c, &s);
  if (e == nullptr) return false;
  e->granted += bytes;
  Ready(c, s);
  return true;
}

bool H3Door::End(StreamId id) {
  uint64_t c;
  int64_t s;
  if (Find(id, &c, &s) == nullptr) return false;
  connections_[c].connection->EndWrites(s);
  Ready(c, s), Touch(c);
  return true;
}

bool H3Door::Close(StreamId id) {
  uint64_t c;
  int64_t s;
  H3Exchange* e = Find(id, &c, &s);
  if (e == nullptr) return false;
  e->finished = true;
  streams_.erase(uint32_t(id));
  if (!(e->complete() && e->ours_ended)) connections_[c].connection->Reset(s);
  Ready(c, s), Touch(c);
  return true;
}

// ---- What comes ----

void H3Door::Touch(uint64_t id) {
  Entry& e = connections_[id];
  if (!std::exchange(e.dirty, true)) dirty_.push_back(id);
}

void H3Door::Work(Instant now, Feed feed) {
  more_ = true;
  for (int k = 0; k < kPacketsMax; ++k) {
    sockaddr_storage address;
    socklen_t size = sizeof address;
    const ssize_t n = recvfrom(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&address), &size);
    if (n < 0 && errno != EINTR && errno != ECONNREFUSED) {
      more_ = false;
      break;
    }
    if (n <= 0) continue;
    ++counters_.received;
    OnPacket(FromSockaddr(address), Bytes(buffer_.data(), size_t(n)), now);
  }
  while (const auto id = due_.due(now)) {
    Entry& e = connections_[*id];
    e.connection->OnTime(now);
    due_.Move(*id, std::exchange(e.due, kNever), kNever);  // Flush sets it anew.
    Touch(*id);
  }
  for (const Key& key : std::exchange(ready_, {})) Visit(key, feed);
  std::vector<uint64_t> dead;
  for (const uint64_t id : dirty_) {
    if (const auto c = connections_.find(id); c != connections_.end() && c->second.connection->dead()) dead.push_back(id);
  }
  for (const uint64_t id : dead) Drop(id, feed);
}

void H3Door::OnPacket(const Endpoint& from, Bytes packet, Instant now) {
  ngtcp2_version_cid v;
  const int r = ngtcp2_pkt_decode_version_cid(&v, packet.data(), packet.size(), kCidBytes);
  if (r == NGTCP2_ERR_VERSION_NEGOTIATION) {
    if (packet.size() < 1200) return;  // No answer larger than what asked for it.
    const uint32_t ours[] = {NGTCP2_PROTO_VER_V1};
    uint8_t out[256];
    const ngtcp2_ssize n = ngtcp2_pkt_write_version_negotiation(out, sizeof out, packet[1], v.scid, v.scidlen, v.dcid, v.dcidlen, ours, 1);
    if (n > 0) SendTo(from, Bytes(out, size_t(n)));
    return;
  }
  if (r != 0) return void(++counters_.dropped);
  const auto it = cids_.find(std::string(AsText(Bytes(v.dcid, v.dcidlen))));
  const uint64_t id = it != cids_.end() ? it->second : Welcome(from, packet, now);
  if (id == 0) return;
  Entry& e = connections_[id];
  e.connection->OnPacket(from, packet, now);
  if (e.shaking && e.connection->shaken()) e.shaking = false, --shaking_;
  Touch(id);
}

uint64_t H3Door::Welcome(const Endpoint& from, Bytes packet, Instant now) {
  H3Accept a{.head = {}, .original = {}, .local = local_, .peer = from};
  if (ngtcp2_accept(&a.head, packet.data(), packet.size()) != 0 || a.head.version != NGTCP2_PROTO_VER_V1) return ++counters_.dropped, 0;
  if (finishing_ || connections_.size() >= kConnectionsMax) return ++counters_.refused, 0;
  sockaddr_storage address;
  const socklen_t size = ToSockaddr(from, local_.is_v4(), address);
  auto* remote = reinterpret_cast<ngtcp2_sockaddr*>(&address);
  const auto stamp = uint64_t(now.time_since_epoch().count());
  if (a.head.token.len > 0 && a.head.token.base[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY) {
    ngtcp2_cid original;
    if (ngtcp2_crypto_verify_retry_token(&original, a.head.token.base, a.head.token.len, secret_.data(), secret_.size(), a.head.version, remote, size, &a.head.dcid, kTokenLife, stamp) != 0) {
      return ++counters_.bad_tokens, 0;
    }
    a.original = original;
  } else if (shaking_ >= retry_above_) {
    ngtcp2_cid ours;
    ours.datalen = kCidBytes;
    CHECK_EQ(gnutls_rnd(GNUTLS_RND_RANDOM, ours.data, ours.datalen), 0);
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN], out[512];
    const ngtcp2_ssize n = ngtcp2_crypto_generate_retry_token(token, secret_.data(), secret_.size(), a.head.version, remote, size, &ours, &a.head.dcid, stamp);
    const ngtcp2_ssize m = n < 0 ? n : ngtcp2_crypto_write_retry(out, sizeof out, a.head.version, &a.head.scid, &ours, &a.head.dcid, token, size_t(n));
    if (m > 0) ++counters_.retries, SendTo(from, Bytes(out, size_t(m)));
    return 0;
  }
  const uint64_t id = next_connection_++;
  ++shaking_, ++counters_.connections;
  auto made = std::make_unique<H3Connection>(id, static_cast<H3Registry*>(this), credentials_, a, now);
  connections_[id].connection = std::move(made);
  return id;
}

// ---- To the node ----

void H3Door::Visit(Key key, Feed feed) {
  const auto c = connections_.find(key.first);
  if (c == connections_.end()) return;
  H3Connection& connection = *c->second.connection;
  H3Exchange* e = connection.Find(key.second);
  if (e == nullptr) return;
  const StreamId id = e->id();
  if (!e->finished && e->open()) {
    if (!std::exchange(e->told_open, true)) ++counters_.requests, feed(StreamOpened{id, listener_, connection.local(), connection.peer()});
    if (const std::string text(e->text()); !text.empty() && !e->dead && !e->finished) {
      connection.Extend(key.second, e->Told(text.size()));
      Touch(key.first);
      feed(StreamData{id, AsBytes(text)});
    }
    if (const uint32_t freed = e->TakeFreed(); freed > 0 && !e->dead && !e->finished && !e->ours_ended) {
      e->credit += freed;
      feed(StreamCredit{id, freed});
    }
    if (!e->dead && !e->finished && e->drained() && !std::exchange(e->told_end, true)) feed(StreamEnded{id});
    const bool over = e->told_end && e->ours_ended;
    if (!e->finished && (e->dead || over)) {
      e->finished = true;
      streams_.erase(uint32_t(id));
      feed(StreamClosed{id, e->dead ? absl::StatusCode::kAborted : absl::StatusCode::kOk});
    }
  }
  if (e->closed && (e->finished || !e->open())) streams_.erase(uint32_t(id)), connection.Erase(key.second);
}

void H3Door::Drop(uint64_t id, Feed feed) {
  const auto it = connections_.find(id);
  for (const std::string& cid : it->second.cids) {
    if (const auto c = cids_.find(cid); c != cids_.end() && c->second == id) cids_.erase(c);
  }
  due_.Move(id, it->second.due, kNever);
  if (it->second.shaking) --shaking_;
  std::vector<StreamId> open;
  for (auto& [stream, e] : it->second.connection->exchanges()) {
    streams_.erase(uint32_t(e->id()));
    if (e->told_open && !e->finished) open.push_back(e->id());
  }
  connections_.erase(it);
  for (const StreamId s : open) feed(StreamClosed{s, absl::StatusCode::kAborted});
}

// ---- Out ----

void H3Door::SendTo(const Endpoint& to, Bytes packet) {
  sockaddr_storage address;
  const socklen_t size = ToSockaddr(to, local_.is_v4(), address);
  // What does not fit is lost, as packets are.
  (void)!sendto(fd_.get(), packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address), size);
  ++counters_.sent;
}

void H3Door::Flush(Instant now) {
  for (const uint64_t id : std::exchange(dirty_, {})) {
    const auto it = connections_.find(id);
    if (it == connections_.end()) continue;
    Entry& e = it->second;
    e.dirty = false;
    const bool more = e.connection->Flush(now, [this](const Endpoint& to, Bytes packet) { SendTo(to, packet); });
    const Instant due = e.connection->next_deadline();
    due_.Move(id, std::exchange(e.due, due), due);
    if (more || e.connection->dead()) Touch(id);
  }
}

}  // namespace orchard::host
