// A client of TLS for tests, on OpenSSL and a socket that does not block: what it wants is asked for again and again.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>

#include "node/base/check.h"
#include "node/host/os.h"
#include "node/host/sockaddr.h"

namespace orchard {

class TlsClient {
 public:
  struct Options {
    std::string alpn = std::string("\x02h2\x08http/1.1");
    std::string name = "localhost";
    int version_max = TLS1_3_VERSION;
    SSL_SESSION* session = nullptr;
    std::string trusts;  // A file; empty: whatever is shown.
  };
  explicit TlsClient(const Endpoint& to) : TlsClient(to, Options()) {}
  TlsClient(const Endpoint& to, Options o) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free), ssl_(nullptr, SSL_free) {
    signal(SIGPIPE, SIG_IGN);
    sockaddr_storage address;
    const socklen_t size = host::ToSockaddr(to, true, address);
    CHECK_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
    SSL_CTX_set_security_level(context_.get(), 0);
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context_.get(), o.version_max);
    if (!o.trusts.empty()) {
      CHECK_EQ(SSL_CTX_load_verify_locations(context_.get(), o.trusts.c_str(), nullptr), 1);
      SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    }
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (!o.alpn.empty()) SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const uint8_t*>(o.alpn.data()), unsigned(o.alpn.size()));
    if (!o.name.empty()) SSL_set_tlsext_host_name(ssl_.get(), o.name.c_str()), SSL_set1_host(ssl_.get(), o.name.c_str());
    if (o.session != nullptr) SSL_set_session(ssl_.get(), o.session);
    SSL_set_fd(ssl_.get(), fd_.get());
    SSL_set_connect_state(ssl_.get());
  }
  // Does what can be done now.
  void Step() {
    if (failed) return;
    if (!shaken) {
      ERR_clear_error();
      const int r = SSL_do_handshake(ssl_.get());
      if (r == 1) shaken = true;
      else return Look(r);
    }
    while (!to_write.empty()) {
      ERR_clear_error();
      const int n = SSL_write(ssl_.get(), to_write.data(), int(std::min<size_t>(to_write.size(), 16 << 10)));
      if (n <= 0) {
        Look(n);
        break;
      }
      to_write.erase(0, size_t(n));
    }
    char buffer[16 << 10];
    for (int k = 0; k < 16 && reads; ++k) {
      ERR_clear_error();
      const int n = SSL_read(ssl_.get(), buffer, sizeof buffer);
      if (n <= 0) return Look(n);
      got.append(buffer, size_t(n));
    }
  }
  void End() { SSL_shutdown(ssl_.get()); }
  void Hang() { fd_ = host::Fd(); }  // No goodbye.
  SSL* ssl() { return ssl_.get(); }
  int fd() const { return fd_.get(); }
  std::string protocol() const {
    const unsigned char* name = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return std::string(reinterpret_cast<const char*>(name), size);
  }

  std::string got, to_write;
  bool shaken = false, failed = false, ended = false, reads = true;

 private:
  void Look(int r) {
    switch (SSL_get_error(ssl_.get(), r)) {
      case SSL_ERROR_WANT_READ: case SSL_ERROR_WANT_WRITE: return;
      case SSL_ERROR_ZERO_RETURN: ended = true; return;
      default: failed = true;
    }
  }
  host::Fd fd_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
};

}  // namespace orchard
