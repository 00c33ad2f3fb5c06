// TLS of streams that a listener accepts, on OpenSSL: versions 1.2 and 1.3, by ALPN for HTTP/2 and HTTP/1.1. The node sees what was
// decrypted, and nothing of this. Tickets let a client come back with less work, and keep nothing here; there is no early data, no
// renegotiation (RFC 9325), no compression. Sources: RFC 8446, RFC 7301, RFC 9113 §9.2; ssl(7).
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "node/base/bytes.h"

namespace orchard::host {

// A certificate (with those that lead to its root, if it has them) and its key: files in PEM.
struct TlsFiles {
  std::string certificate, key;
};

class TlsContext {
 public:
  // kInvalidArgument: a file that is not what it should be, or a key of another certificate.
  static absl::StatusOr<std::unique_ptr<TlsContext>> Open(const TlsFiles& files);
  SSL_CTX* get() const { return context_.get(); }

 private:
  explicit TlsContext(SSL_CTX* context) : context_(context, SSL_CTX_free) {}
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
};

// The server's end, on a socket that does not block and belongs to somebody else.
class TlsStream {
 public:
  // kEnded: the client said that it has no more (close_notify). kFailed: it is no use any more; what it said is not TLS, or stopped in
  // the middle, or the socket broke.
  enum class Outcome : uint8_t { kDone, kWantsRead, kWantsWrite, kEnded, kFailed };
  struct Result {
    Outcome outcome;
    size_t bytes = 0;  // Plain ones, with kDone.
  };

  TlsStream(const TlsContext& context, int fd);
  Outcome Handshake();
  // As much as is here, at most `size`. Bytes that came before a failure are given first.
  Result Read(uint8_t* into, size_t size);
  // Something is here to be read; consumes nothing.
  Outcome Peek();
  Result Write(Bytes bytes);
  // Says that there will be no more.
  Outcome End();
  // "h2", "http/1.1"; empty: the client did not ask.
  std::string_view protocol() const;
  bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }

 private:
  Outcome Of(int result);
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
};

}  // namespace orchard::host
