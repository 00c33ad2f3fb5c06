// Prometheus' text format over HTTP/1.0 on loopback: GET /metrics, and nothing else.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "node/host/real_host.h"

namespace orchard::host {

class MetricsServer {
 public:
  static constexpr size_t kClientsMax = 16;
  static constexpr size_t kRequestMax = 8 << 10;

  // `text` makes the body. Port 0 lets the system choose.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Listen(RealHost* host, uint16_t port, std::function<std::string()> text);
  ~MetricsServer();
  uint16_t port() const { return port_; }

 private:
  struct Client {
    Fd fd;
    std::string in, out;
  };
  MetricsServer(RealHost* host, Fd fd, uint16_t port, std::function<std::string()> text);
  void OnAccept();
  void OnClient(uint64_t key);
  void Drop(uint64_t key);

  RealHost* host_;
  Fd listen_;
  uint16_t port_;
  std::function<std::string()> text_;
  std::map<uint64_t, Client> clients_;
  uint64_t next_ = 1;
};

}  // namespace orchard::host
