// The streams that are behind TLS: as the others in tcp_streams.cc, with what OpenSSL wants of the socket in between. It may want to
// write in order to read, and the reverse (a change of keys); readable and writable say what is awaited in any case.
#include <sys/socket.h>

#include "node/base/check.h"
#include "node/host/sockaddr.h"
#include "node/host/tcp_streams.h"

namespace orchard::host {

void TcpStreams::DropShaking(uint32_t id) {
  ++counters_.handshakes_failed;
  CHECK_GT(shaking_, 0u);
  --shaking_;
  Erase(id);
}

void TcpStreams::Shake(uint32_t id, Stream& s, Feed feed) {
  if (!s.readable) return;
  switch (s.tls->Handshake()) {
    case TlsStream::Outcome::kWantsRead: s.readable = false; return;
    case TlsStream::Outcome::kWantsWrite: s.writable = false; return;
    case TlsStream::Outcome::kDone: break;
    default: return DropShaking(id);
  }
  --shaking_, ++counters_.handshakes;
  counters_.resumed += s.tls->resumed() ? 1 : 0;
  s.step = Stream::Step::kOpen;
  ToWork(id, s);  // The first bytes may be here; others first.
  feed(StreamOpened{StreamId{id}, s.listener, LocalOf(s.fd.get()), s.peer});
}

void TcpStreams::ReadSecure(uint32_t id, Stream& s, Feed feed) {
  read_buffer_.resize(kReadBytes);
  for (int k = 0; k < kReadsMax; ++k) {
    if (s.granted == 0 && !s.hung_up) return;
    // Without credit the end can be seen, if nothing is before it.
    const TlsStream::Result r = s.granted == 0 ? TlsStream::Result{s.tls->Peek(), 0} : s.tls->Read(read_buffer_.data(), size_t(std::min<uint64_t>(s.granted, kReadBytes)));
    ++counters_.receive_calls;
    switch (r.outcome) {
      case TlsStream::Outcome::kDone: break;
      case TlsStream::Outcome::kWantsRead: s.readable = false; return;
      case TlsStream::Outcome::kWantsWrite: s.writable = false; return;
      case TlsStream::Outcome::kFailed:
        s.readable = false;
        // Cut off without a goodbye: what is missing we cannot know. But after our own end, it is one.
        if (!(s.end_sent && s.hung_up && !s.broken)) return Fail(id, s, absl::StatusCode::kAborted);
        [[fallthrough]];
      case TlsStream::Outcome::kEnded:
        s.readable = false, s.read_ended = true;
        feed(StreamEnded{StreamId{id}});
        return;
    }
    if (r.bytes == 0) return;  // A peek; Accept comes back to it.
    s.granted -= r.bytes, counters_.received_bytes += r.bytes;
    feed(StreamData{StreamId{id}, Bytes(read_buffer_.data(), r.bytes)});
    if (s.closed) return;
  }
  ToWork(id, s);  // There may be more; others first.
}

bool TcpStreams::SendSecure(uint32_t id, Stream& s) {
  const TlsStream::Result r = s.tls->Write(Bytes(s.out).subspan(s.out_from));
  ++counters_.send_calls;
  switch (r.outcome) {
    case TlsStream::Outcome::kDone: break;
    case TlsStream::Outcome::kWantsRead: s.readable = false; return false;
    case TlsStream::Outcome::kWantsWrite: s.writable = false; return false;
    default: return Fail(id, s, absl::StatusCode::kAborted), false;
  }
  s.out_from += r.bytes, s.owed += uint32_t(r.bytes), counters_.sent_bytes += r.bytes;
  return true;
}

void TcpStreams::EndSecure(Stream& s) {
  if (s.tls->End() == TlsStream::Outcome::kWantsWrite) s.writable = false;
}

}  // namespace orchard::host
