#include "node/host/tcp_streams.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/host/sockaddr.h"

namespace orchard::host {
namespace {

// The low half of epoll's data, where other descriptors of the loop have a number that is not negative.
constexpr uint32_t kStreamTag = 0xfffffffe, kListenerTag = 0xffffffff;
constexpr size_t kLargeBuffer = 16 << 10;  // A stream that has nothing to write keeps no more than this.

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case 0: case ECONNRESET: case EPIPE: case ECONNABORTED: return absl::StatusCode::kAborted;
    case ETIMEDOUT: return absl::StatusCode::kDeadlineExceeded;
    default: return ErrnoStatus(error, "").code();  // Refused, unreachable: kUnavailable.
  }
}

int SocketError(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

size_t LimitOfStreams() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  return std::min<size_t>(TcpStreams::kStreamsMax, size_t(files.rlim_cur) / 2);
}

}  // namespace

TcpStreams::TcpStreams(int epoll_fd) : epoll_fd_(epoll_fd), streams_max_(LimitOfStreams()) {}

TcpStreams::~TcpStreams() = default;

// ---- Outputs ----

absl::StatusOr<Endpoint> TcpStreams::Listen(SocketId id, const Endpoint& local, const TlsContext* tls) {
  const bool v4 = local.is_v4();
  Fd fd(socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "socket");
  SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);  // Streams of an earlier life that linger do not keep the port.
  if (!v4) SetOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  sockaddr_storage address;
  const socklen_t size = ToSockaddr(local, v4, address);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd.get(), kBacklog) != 0) {
    return ErrnoStatus(errno, absl::StrCat("TCP ", local.ToString()));
  }
  const Endpoint bound = LocalOf(fd.get());
  Watch(fd.get(), uint32_t(id), true);
  Listener& l = listeners_[uint32_t(id)];
  l.fd = std::move(fd), l.tls = tls;
  return bound;
}

bool TcpStreams::CloseListener(SocketId id) { return listeners_.erase(uint32_t(id)) > 0; }

void TcpStreams::Connect(StreamId id, const Endpoint& to) {
  auto [it, fresh] = streams_.try_emplace(uint32_t(id), std::make_unique<Stream>());
  CHECK(fresh);  // Rule 5.
  it->second->peer = to;
  ToFlush(uint32_t(id), *it->second);
}

bool TcpStreams::Write(StreamId id, Bytes bytes) {
  Stream* s = Find(id);
  if (s == nullptr) return false;
  CHECK(!s->write_ended);
  CHECK_LE(bytes.size(), s->credit);
  s->credit -= uint32_t(bytes.size());
  if (s->out.capacity() == 0) s->out.swap(spare_);
  if (s->out_from > 0 && s->out.size() + bytes.size() > s->out.capacity()) {
    s->out.erase(s->out.begin(), s->out.begin() + ptrdiff_t(s->out_from)), s->out_from = 0;
  }
  s->out.insert(s->out.end(), bytes.begin(), bytes.end());
  ToFlush(uint32_t(id), *s);
  return true;
}

bool TcpStreams::Accept(StreamId id, uint32_t bytes) {
  Stream* s = Find(id);
  if (s == nullptr) return false;
  s->granted += bytes;
  if (s->readable) ToWork(uint32_t(id), *s);
  return true;
}

bool TcpStreams::End(StreamId id) {
  Stream* s = Find(id);
  if (s == nullptr) return false;
  CHECK(s->step == Stream::Step::kOpen);
  s->write_ended = true;
  ToFlush(uint32_t(id), *s);
  return true;
}

bool TcpStreams::Close(StreamId id) {
  Stream* s = Find(id);
  if (s == nullptr) return false;
  s->closed = true;
  ToFlush(uint32_t(id), *s);
  return true;
}

// ---- What happens ----

TcpStreams::Stream* TcpStreams::Find(StreamId id) {
  auto it = streams_.find(uint32_t(id));
  return it == streams_.end() || it->second->closed ? nullptr : it->second.get();
}

void TcpStreams::ToWork(uint32_t id, Stream& s) {
  if (!s.in_ready) s.in_ready = true, ready_.push_back(id);
}

void TcpStreams::ToFlush(uint32_t id, Stream& s) {
  if (!s.in_flush) s.in_flush = true, to_flush_.push_back(id);
}

void TcpStreams::Watch(int fd, uint32_t id, bool listener) {
  epoll_event e{.events = EPOLLIN | EPOLLET | (listener ? 0u : uint32_t(EPOLLOUT | EPOLLRDHUP)), .data = {}};
  e.data.u64 = uint64_t(id) << 32 | (listener ? kListenerTag : kStreamTag);
  CHECK_EQ(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &e), 0);
}

void TcpStreams::OnEvent(uint64_t data, uint32_t events) {
  const auto id = uint32_t(data >> 32);
  if (uint32_t(data) == kListenerTag) {
    auto it = listeners_.find(id);
    if (it != listeners_.end() && !std::exchange(it->second.ready, true)) ready_listeners_.push_back(id);
    return;
  }
  Stream* s = Find(StreamId{id});
  if (s == nullptr) return;  // Ids are never reused: this is of an earlier socket.
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) s->readable = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP)) != 0) s->hung_up = true;
  if ((events & EPOLLERR) != 0) s->broken = true;
  if ((events & EPOLLOUT) != 0) s->writable = true;
  if (s->writable && (s->waiting() > 0 || (s->write_ended && !s->end_sent))) ToFlush(id, *s);
  if (s->readable || s->step == Stream::Step::kConnecting) ToWork(id, *s);
}

Instant TcpStreams::next_deadline() const {
  return std::min({dials_.empty() ? kNever : dials_.front().deadline, shakes_.empty() ? kNever : shakes_.front().deadline, accept_again_});
}

void TcpStreams::Work(Instant now, Feed feed) {
  for (; !dials_.empty() && dials_.front().deadline <= now; dials_.pop_front()) {
    Stream* s = Find(StreamId{dials_.front().id});
    if (s != nullptr && s->step == Stream::Step::kConnecting) Fail(dials_.front().id, *s, absl::StatusCode::kDeadlineExceeded);
  }
  for (; !shakes_.empty() && shakes_.front().deadline <= now; shakes_.pop_front()) {
    Stream* s = Find(StreamId{shakes_.front().id});
    if (s != nullptr && s->step == Stream::Step::kHandshake) DropShaking(shakes_.front().id);
  }
  if (accept_again_ <= now) {
    accept_again_ = kNever;
    for (auto& [id, l] : listeners_) {
      if (l.ready && std::find(ready_listeners_.begin(), ready_listeners_.end(), id) == ready_listeners_.end()) ready_listeners_.push_back(id);
    }
  }
  for (uint32_t id : std::exchange(ready_listeners_, {})) AcceptFrom(id, now, feed);
  for (uint32_t id : std::exchange(ready_, {})) Visit(id, feed);
}

void TcpStreams::AcceptFrom(uint32_t id, Instant now, Feed feed) {
  for (int k = 0; k < kAcceptsMax; ++k) {
    auto it = listeners_.find(id);
    if (it == listeners_.end()) return;  // Closed by a turn.
    // A quarter is left for connections of our own.
    if (accepted_open_ >= streams_max_ - streams_max_ / 4 || (it->second.tls != nullptr && shaking_ >= kHandshakesMax)) {
      ++counters_.pauses, accept_again_ = now + kAcceptPause;
      return;
    }
    sockaddr_storage address;
    socklen_t size = sizeof address;
    Fd fd(accept4(it->second.fd.get(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.ok()) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        it->second.ready = false;
        return;
      }
      if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) continue;  // That connection's affair.
      ++counters_.pauses, accept_again_ = now + kAcceptPause;
      return;
    }
    SetOption(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    auto stream = std::make_unique<Stream>();
    stream->step = Stream::Step::kOpen, stream->credit = kStreamWindow, stream->writable = true;
    stream->listener = SocketId{id}, stream->peer = FromSockaddr(address);
    while (streams_.contains(next_accepted_)) next_accepted_ = (next_accepted_ + 1) | kAccepted;  // After two thousand million of them.
    const uint32_t accepted = next_accepted_;
    next_accepted_ = (next_accepted_ + 1) | kAccepted;
    Watch(fd.get(), accepted, false);
    const StreamOpened opened{StreamId{accepted}, SocketId{id}, LocalOf(fd.get()), stream->peer};
    if (it->second.tls != nullptr) {
      stream->step = Stream::Step::kHandshake;
      stream->tls = std::make_unique<TlsStream>(*it->second.tls, fd.get());
      shakes_.push_back({now + kHandshakeMax, accepted}), ++shaking_;
    }
    const bool plain = stream->tls == nullptr;
    stream->fd = std::move(fd);
    streams_.emplace(accepted, std::move(stream));
    ++accepted_open_, ++counters_.accepted;
    if (plain) feed(opened);
  }
  ready_listeners_.push_back(id);  // There may be more.
}

void TcpStreams::Visit(uint32_t id, Feed feed) {
  auto it = streams_.find(id);
  if (it == streams_.end()) return;
  Stream& s = *it->second;  // It stays till Flush, or TellClosed.
  s.in_ready = false;
  if (s.closed) return;
  if (s.failed) return TellClosed(id, *s.failed, feed);
  if (s.step == Stream::Step::kHandshake) return Shake(id, s, feed);
  if (s.step == Stream::Step::kConnecting) FinishConnect(id, s, feed);
  if (s.step != Stream::Step::kOpen || s.closed || s.failed) return;
  if (s.owed >= kCreditStep && !s.write_ended) {
    const uint32_t more = std::exchange(s.owed, 0);
    s.credit += more;
    feed(StreamCredit{StreamId{id}, more});
  }
  if (!s.closed && s.readable && !s.read_ended) s.tls == nullptr ? Read(id, s, feed) : ReadSecure(id, s, feed);
  if (s.closed || s.failed) return;
  if (s.broken) {
    // Data that came before the error is read first, as far as it is accepted.
    if (s.read_ended || s.granted == 0) Fail(id, s, CodeOf(SocketError(s.fd.get())));
    return;
  }
  if (s.read_ended && s.end_sent) TellClosed(id, absl::StatusCode::kOk, feed);
}

void TcpStreams::FinishConnect(uint32_t id, Stream& s, Feed feed) {
  if (const int error = SocketError(s.fd.get()); error != 0) return Fail(id, s, CodeOf(error));
  if (!s.writable) return;
  const Endpoint local = LocalOf(s.fd.get());
  // A connect to a port that nobody listens at can meet itself, if the system chose that port: RFC 9293 §3.5, simultaneous opens.
  if (local == s.peer) return Fail(id, s, absl::StatusCode::kUnavailable);
  s.step = Stream::Step::kOpen, s.credit = kStreamWindow;
  ++counters_.connected;
  feed(StreamOpened{StreamId{id}, std::nullopt, local, s.peer});
}

void TcpStreams::Read(uint32_t id, Stream& s, Feed feed) {
  read_buffer_.resize(kReadBytes);
  for (int k = 0; k < kReadsMax; ++k) {
    // Without credit the end can be seen, if nothing is before it.
    if (s.granted == 0 && !s.hung_up) return;
    const bool peek = s.granted == 0;
    const size_t size = peek ? 1 : size_t(std::min<uint64_t>(s.granted, kReadBytes));
    const ssize_t n = recv(s.fd.get(), read_buffer_.data(), size, MSG_DONTWAIT | (peek ? MSG_PEEK : 0));
    ++counters_.receive_calls;
    if (n < 0) {
      if (errno == EINTR) continue;
      s.readable = false;
      if (errno != EAGAIN && errno != EWOULDBLOCK) Fail(id, s, CodeOf(errno));
      return;
    }
    if (n == 0) {
      s.readable = false;
      if (s.broken) return Fail(id, s, absl::StatusCode::kAborted);  // The error was taken by an earlier call.
      s.read_ended = true;
      feed(StreamEnded{StreamId{id}});
      return;
    }
    if (peek) return;  // Accept comes back to it.
    s.granted -= uint64_t(n), counters_.received_bytes += uint64_t(n);
    // A short read emptied it, and the next byte is a new edge; an end that was seen already is not.
    if (size_t(n) < size && !s.hung_up && !s.broken) s.readable = false;
    feed(StreamData{StreamId{id}, Bytes(read_buffer_.data(), size_t(n))});
    if (s.closed || !s.readable) return;
  }
  ToWork(id, s);  // There may be more; others first.
}

void TcpStreams::Fail(uint32_t id, Stream& s, absl::StatusCode status) {
  if (s.failed) return;
  s.failed = status;
  ++counters_.failed;
  ToWork(id, s);
}

void TcpStreams::TellClosed(uint32_t id, absl::StatusCode status, Feed feed) {
  Erase(id);
  feed(StreamClosed{StreamId{id}, status});
}

void TcpStreams::Erase(uint32_t id) {
  auto it = streams_.find(id);
  if (it->second->fd.ok()) --((id & kAccepted) != 0 ? accepted_open_ : dialed_open_);
  streams_.erase(it);
}

// ---- Flush ----

void TcpStreams::Flush(Instant now) {
  for (uint32_t id : std::exchange(to_flush_, {})) {
    auto it = streams_.find(id);
    if (it == streams_.end()) continue;
    Stream& s = *it->second;
    s.in_flush = false;
    if (s.closed) {
      const linger reset{1, 0};
      if (s.fd.ok() && !(s.read_ended && s.end_sent)) setsockopt(s.fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
      Erase(id);
      continue;
    }
    if (s.failed) continue;
    if (s.step == Stream::Step::kNew) Dial(id, s, now);
    if (s.step != Stream::Step::kOpen) continue;
    Send(id, s);
    if (s.write_ended && !s.end_sent && s.waiting() == 0 && !s.failed) {
      if (s.tls != nullptr) EndSecure(s);
      if (s.tls != nullptr && !s.writable) continue;  // Its goodbye waits for room.
      shutdown(s.fd.get(), SHUT_WR);
      s.end_sent = true;
      if (s.read_ended) ToWork(id, s);
    }
  }
}

void TcpStreams::Dial(uint32_t id, Stream& s, Instant now) {
  s.step = Stream::Step::kConnecting;
  if (accepted_open_ + dialed_open_ >= streams_max_) return Fail(id, s, absl::StatusCode::kResourceExhausted);
  const bool v4 = s.peer.is_v4();
  s.fd = Fd(socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!s.fd.ok()) return Fail(id, s, CodeOf(errno));
  ++dialed_open_;
  SetOption(s.fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  sockaddr_storage address;
  const socklen_t size = ToSockaddr(s.peer, v4, address);
  if (connect(s.fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 && errno != EINPROGRESS) return Fail(id, s, CodeOf(errno));
  Watch(s.fd.get(), id, false);  // Not before: an idle socket is an edge of its own.
  dials_.push_back({now + kConnectMax, id});
}

void TcpStreams::Send(uint32_t id, Stream& s) {
  while (s.writable && s.waiting() > 0) {
    if (s.tls != nullptr) {
      if (!SendSecure(id, s)) break;
      continue;
    }
    const size_t size = s.waiting();
    const ssize_t n = send(s.fd.get(), s.out.data() + s.out_from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    ++counters_.send_calls;
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) s.writable = false;  // The next room is an edge.
      else Fail(id, s, CodeOf(errno));
      return;
    }
    if (size_t(n) < size) s.writable = false;
    s.out_from += size_t(n), s.owed += uint32_t(n), counters_.sent_bytes += uint64_t(n);
  }
  if (s.failed) return;
  if (s.waiting() == 0) {
    s.out.clear(), s.out_from = 0;
    if (s.out.capacity() > kLargeBuffer) {
      if (spare_.capacity() < s.out.capacity()) spare_.swap(s.out);
      s.out = {};
    }
  }
  if (s.owed >= kCreditStep && !s.write_ended) ToWork(id, s);
}

}  // namespace orchard::host
