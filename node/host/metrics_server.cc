#include "node/host/metrics_server.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace orchard::host {

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Listen(RealHost* host, uint16_t port, std::function<std::string()> text) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return ErrnoStatus(errno, "cannot make a TCP socket");
  int one = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET, address.sin_port = htons(port), address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd.get(), 16) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot serve metrics on 127.0.0.1:", port, " (choose another with metrics.port)"));
  }
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return std::unique_ptr<MetricsServer>(new MetricsServer(host, std::move(fd), ntohs(address.sin_port), std::move(text)));
}

MetricsServer::MetricsServer(RealHost* host, Fd fd, uint16_t port, std::function<std::string()> text)
    : host_(host), listen_(std::move(fd)), port_(port), text_(std::move(text)) {
  host_->Watch(listen_.get(), EPOLLIN, [this](uint32_t) { OnAccept(); });
}

MetricsServer::~MetricsServer() {
  host_->Unwatch(listen_.get());
  for (auto& [key, c] : clients_) host_->Unwatch(c.fd.get());
}

void MetricsServer::OnAccept() {
  Fd fd(accept4(listen_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.ok()) return;
  if (clients_.size() >= kClientsMax) Drop(clients_.begin()->first);  // The oldest has had its time.
  uint64_t key = next_++;
  host_->Watch(fd.get(), EPOLLIN, [this, key](uint32_t) { OnClient(key); });
  clients_[key].fd = std::move(fd);
}

void MetricsServer::OnClient(uint64_t key) {
  auto it = clients_.find(key);
  if (it == clients_.end()) return;
  Client& c = it->second;
  if (c.out.empty()) {
    char buffer[2048];
    ssize_t n = recv(c.fd.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return Drop(key);
    c.in.append(buffer, size_t(n));
    if (c.in.size() > kRequestMax) return Drop(key);
    if (c.in.find("\r\n\r\n") == c.in.npos) return;
    const bool found = absl::StartsWith(c.in, "GET /metrics ");
    std::string body = found ? text_() : "metrics are at /metrics\n";
    c.out = absl::StrCat("HTTP/1.0 ", found ? "200 OK" : "404 Not Found", "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: ",
                         body.size(), "\r\nConnection: close\r\n\r\n", body);
    host_->Rewatch(c.fd.get(), EPOLLOUT);
  }
  ssize_t n = send(c.fd.get(), c.out.data(), c.out.size(), MSG_NOSIGNAL);
  if (n < 0 && errno == EAGAIN) return;
  if (n < 0) return Drop(key);
  c.out.erase(0, size_t(n));
  if (c.out.empty()) Drop(key);
}

void MetricsServer::Drop(uint64_t key) {
  auto it = clients_.find(key);
  host_->Unwatch(it->second.fd.get());
  clients_.erase(it);
}

}  // namespace orchard::host
