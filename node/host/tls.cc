#include "node/host/tls.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"

namespace orchard::host {
namespace {

// One record (RFC 8446 §5.1).
constexpr size_t kRecordMax = 16 << 10;

std::string Why() {
  char text[256] = "no reason given";
  if (const unsigned long error = ERR_get_error(); error != 0) ERR_error_string_n(error, text, sizeof text);
  ERR_clear_error();
  return text;
}

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL: a client that left would end the process.
int FdOf(BIO* bio) { return int(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }
bool IsLater(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

int SocketWrite(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = send(FdOf(bio), bytes, size_t(size), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && IsLater(errno)) BIO_set_retry_write(bio);
  return int(n);
}
int SocketRead(BIO* bio, char* into, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = recv(FdOf(bio), into, size_t(size), MSG_DONTWAIT);
  if (n < 0 && IsLater(errno)) BIO_set_retry_read(bio);
  if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return int(n);
}
long SocketControl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* SocketMethod() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "orchard socket");
    CHECK(m != nullptr);
    BIO_meth_set_write(m, SocketWrite), BIO_meth_set_read(m, SocketRead), BIO_meth_set_ctrl(m, SocketControl);
    return m;
  }();
  return kMethod;
}

// The best that both speak. A client that asks for neither is told so (RFC 7301 §3.2).
int ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned int in_size, void*) {
  static constexpr unsigned char kOurs[] = "\x02h2\x08http/1.1";
  const int found = SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, kOurs, sizeof kOurs - 1, in, in_size);
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TlsContext>> TlsContext::Open(const TlsFiles& files) {
  ERR_clear_error();
  std::unique_ptr<TlsContext> made(new TlsContext(SSL_CTX_new(TLS_server_method())));
  SSL_CTX* c = made->get();
  CHECK(c != nullptr);
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // RFC 9113 §9.2.2 and RFC 9325 §4.2: for 1.2, forward secrecy and authenticated encryption only.
  SSL_CTX_set_cipher_list(c, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);  // Tickets: the client keeps what is to be kept.
  SSL_CTX_set_num_tickets(c, 1);
  SSL_CTX_set_max_cert_list(c, 0);  // Clients have none to show.
  SSL_CTX_set_alpn_select_cb(c, ChooseProtocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(c, files.certificate.c_str()) != 1) {
    return absl::InvalidArgumentError(absl::StrCat("no certificate in PEM: ", files.certificate, ": ", Why()));
  }
  if (SSL_CTX_use_PrivateKey_file(c, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return absl::InvalidArgumentError(absl::StrCat("no key of that certificate in PEM: ", files.key, ": ", Why()));
  }
  if (SSL_CTX_check_private_key(c) != 1) return absl::InvalidArgumentError(absl::StrCat(files.key, " is not the key of ", files.certificate, ": ", Why()));
  return made;
}

TlsStream::TlsStream(const TlsContext& context, int fd) : ssl_(SSL_new(context.get()), SSL_free) {
  CHECK(ssl_ != nullptr);
  BIO* bio = BIO_new(SocketMethod());
  CHECK(bio != nullptr);
  BIO_set_data(bio, reinterpret_cast<void*>(intptr_t{fd}));
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
}

TlsStream::Outcome TlsStream::Of(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_NONE: return Outcome::kDone;
    case SSL_ERROR_WANT_READ: return Outcome::kWantsRead;
    case SSL_ERROR_WANT_WRITE: return Outcome::kWantsWrite;
    case SSL_ERROR_ZERO_RETURN: return Outcome::kEnded;
    default: return Outcome::kFailed;
  }
}

TlsStream::Outcome TlsStream::Handshake() {
  ERR_clear_error();
  const Outcome o = Of(SSL_do_handshake(ssl_.get()));
  return o == Outcome::kEnded ? Outcome::kFailed : o;
}

TlsStream::Result TlsStream::Read(uint8_t* into, size_t size) {
  size_t all = 0;
  while (all < size) {
    ERR_clear_error();
    size_t n = 0;
    if (const int r = SSL_read_ex(ssl_.get(), into + all, size - all, &n); r != 1) {
      if (all > 0) break;  // What comes after these bytes is told by the next call.
      return {Of(r), 0};
    }
    all += n;
  }
  return {Outcome::kDone, all};
}

TlsStream::Outcome TlsStream::Peek() {
  ERR_clear_error();
  uint8_t byte;
  size_t n = 0;
  return Of(SSL_peek_ex(ssl_.get(), &byte, 1, &n));
}

TlsStream::Result TlsStream::Write(Bytes bytes) {
  ERR_clear_error();
  size_t n = 0;
  const int r = SSL_write_ex(ssl_.get(), bytes.data(), std::min(bytes.size(), kRecordMax), &n);
  return {Of(r), n};
}

TlsStream::Outcome TlsStream::End() {
  ERR_clear_error();
  const int r = SSL_shutdown(ssl_.get());  // 0: said, and the client has not answered; it need not.
  return r >= 0 ? Outcome::kDone : Of(r);
}

std::string_view TlsStream::protocol() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return size == 0 ? std::string_view() : std::string_view(reinterpret_cast<const char*>(name), size);
}

}  // namespace orchard::host
