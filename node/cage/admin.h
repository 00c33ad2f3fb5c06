// What an operator sees of the sites, over HTTP/1.1 on a port of its own: GET /health, /stats (JSON), /metrics (Prometheus) and /, a
// page that shows them live. On loopback unless told otherwise; all but /health and the page itself want a token. It changes nothing:
// that is for the operations. A machine beside the front; its parent gives it the inputs of its listener and streams.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/btree_map.h"
#include "node/base/deadlines.h"
#include "node/base/turn.h"
#include "node/cage/front.h"
#include "node/cage/sites.h"
#include "node/http/server_connection.h"

namespace orchard::cage {

struct AdminConfig {
  Endpoint local;     // Where it listens; port 0: nowhere.
  std::string token;  // Of Authorization: Bearer; empty: nobody has it.
};

class Admin {
 public:
  static constexpr size_t kClientsMax = 64;       // Those who watch are few; the newest of more is let go.
  static constexpr size_t kHeldMax = 64 << 20;    // Bytes of answers that are on their way; then 503.
  static constexpr uint64_t kBodyMax = 4096;      // Of a request, which has no use for one.
  struct Stats {
    uint64_t requests = 0, denied = 0, strange_hosts = 0, crowded = 0;
  };
  // What it tells of.
  struct View {
    const Sites& sites;
    const Front& front;
  };

  Admin(SocketId listener, AdminConfig config) : listener_(listener), config_(std::move(config)) {}
  void Open(Turn& turn);
  void Finish(Turn& turn);
  void Close(Turn& turn);
  // True if the input is about its listener or its streams.
  bool OnInput(Turn& turn, View view, const Input& input);
  void OnTime(Turn& turn, View view);
  Instant next_deadline() const { return due_.next(); }

  const std::optional<Endpoint>& listening() const { return listening_; }
  size_t clients() const { return clients_.size(); }
  size_t held() const { return held_; }
  const Stats& stats() const { return stats_; }

 private:
  struct Client {
    explicit Client(StreamId stream) : server(stream, {}, kBodyMax) {}
    http::ServerConnection server;
    std::string answer;  // The body that is being written.
    size_t at = 0;
  };
  struct Reply {
    int status = 200;
    http::HeaderList headers;
    std::string body;
  };
  using Clients = absl::btree_map<StreamId, std::unique_ptr<Client>>;

  void OnClient(Turn& turn, View view, Clients::iterator it, const Input& input);
  void Answer(Turn& turn, View view, Client& c, http::ServerNews& heard);
  void Pump(Turn& turn, Client& c, http::ServerNews& heard);
  void Hold(Client& c, std::string answer);
  Reply Compose(Turn& turn, View view, const http::RequestHead& head);
  // A page of a name that leads here by a trick (DNS rebinding) says its own name.
  bool IsOurName(std::string_view host) const;
  bool HasToken(const http::RequestHead& head) const;

  SocketId listener_;
  AdminConfig config_;
  Clients clients_;
  Deadlines<StreamId> due_;
  std::optional<Endpoint> listening_;
  Instant opened_{};
  size_t held_ = 0;
  bool finishing_ = false;
  Stats stats_;
};

}  // namespace orchard::cage
