// The pod's local proxy (RFC 9110 §7.6, RFC 9112 §3.2.2): whoever is on this machine asks it for http URLs and tunnels. What can be
// split over the pod without anybody noticing is; everything else passes as it is, to the byte. The parent gives it the inputs
// of its streams and jobs, and, before its turn ends, all news of the pod by OnNews: the proxy may have made some.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/container/btree_map.h"
#include "node/base/deadlines.h"
#include "node/base/turn.h"
#include "node/http/ids.h"
#include "node/pod/download.h"
#include "node/pod/proxy_client.h"

namespace orchard::pod {

class Proxy {
 public:
  // A browser opens 32 to a proxy. Of other machines each may have an eighth of all.
  static constexpr size_t kClientsMax = 512, kClientsPerAddress = 64;

  Proxy(SocketId listener, ProxyConfig config) : listener_(listener), config_(std::move(config)) {}

  // Listens. bind_failure() is kPermissionDenied at once if that would serve others than this machine, and config.anyone is not set.
  void Open(Turn& turn);
  // Ends all clients.
  void Close(Turn& turn, Downloads& downloads, PodNews& news);

  // True if the input is about its listener, its streams or its jobs.
  bool OnInput(Turn& turn, http::Ids& ids, Downloads& downloads, const Input& input, PodNews& news);
  void OnTime(Turn& turn, http::Ids& ids, Downloads& downloads, PodNews& news);
  // All of `news`, and what is added meanwhile. What concerns the proxy is used up.
  void OnNews(Turn& turn, http::Ids& ids, Downloads& downloads, PodNews& news);
  Instant next_deadline() const { return due_.next(); }

  // Once it listens: where; and why not.
  const std::optional<Endpoint>& listening() const { return listening_; }
  absl::StatusCode bind_failure() const { return bind_failure_; }
  size_t clients() const { return clients_.size(); }
  size_t transfers() const { return transfers_.size(); }
  size_t tunnels_and_origins() const { return origins_.size() + relays_.size(); }
  const Endpoint& local() const { return config_.local; }  // As configured.
  // Bytes that wait for clients and origins, of all.
  size_t held() const;
  const ProxyStats& stats() const { return stats_; }

 private:
  struct Entry {
    Endpoint peer;
    std::unique_ptr<ProxyClient> client;
  };
  using Clients = absl::btree_map<StreamId, Entry>;
  ProxyTurn With(Turn& turn, http::Ids& ids, Downloads& downloads, PodNews& news) {
    return {turn, ids, downloads, news, config_, stats_, listening_, origins_, transfers_, relays_};
  }
  void OnClient(Turn& turn, const StreamOpened& opened, ProxyTurn& t);
  // Calls it, and keeps the index of deadlines; forgets it when it has ended.
  template <class Call>
  void At(Clients::iterator it, const Call& call);

  SocketId listener_;
  ProxyConfig config_;
  std::optional<Endpoint> listening_;
  absl::StatusCode bind_failure_ = absl::StatusCode::kOk;
  Clients clients_;
  absl::btree_map<StreamId, StreamId> origins_;
  absl::btree_map<TransferId, StreamId> transfers_;
  absl::btree_map<RelayId, StreamId> relays_;
  Deadlines<StreamId> due_;
  ProxyStats stats_;
};

}  // namespace orchard::pod
