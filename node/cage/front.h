// The door to the sites: HTTP/1.1 and, for clients that speak it from the first byte on, HTTP/2, on one port. A machine; its parent
// gives it the inputs of its listener and streams, and all news of the sites.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/btree_map.h"
#include "node/base/deadlines.h"
#include "node/base/turn.h"
#include "node/cage/sites.h"
#include "node/cage/traffic.h"
#include "node/http/server_connection.h"
#include "node/http2/server_session.h"

namespace orchard::cage {

struct FrontConfig {
  Endpoint local;                       // Where it listens; port 0: nowhere.
  Endpoint secure;                      // And where behind TLS.
  std::string fallback;                 // The site of requests that name none of ours; empty: 404.
  bool http3 = false;                   // Its host speaks that too, on the same port of UDP as `secure`: clients are told.
  uint64_t body_max = 1 << 20;          // Of a request; more is 413.
};

class Front {
 public:
  static constexpr size_t kClientsMax = 16384;
  static constexpr size_t kBodiesMax = 64 << 20;  // Bytes of requests and answers that are held, of all clients; then 503.
  static constexpr size_t kTrafficMax = 2 * Sites::kSitesMax;  // Sites whose traffic is remembered: those that are gone go first.
  struct Stats {
    uint64_t connections = 0, http2 = 0, crowded = 0, requests = 0, bad_requests = 0, unknown_site = 0, nonsense = 0;
    absl::btree_map<int, uint64_t> statuses;
  };

  // `listener` and the id after it.
  Front(SocketId listener, FrontConfig config) : listener_(listener), secure_{uint32_t(listener) + 1}, config_(std::move(config)) {}
  void Open(Turn& turn);
  // No new connections; those that are there end after the answers under way.
  void Finish(Turn& turn);
  void Close(Turn& turn);

  // True if the input is about its listener or its streams.
  bool OnInput(Turn& turn, Sites& sites, const Input& input, PoolNews& news);
  // All of `news`.
  void OnNews(Turn& turn, Sites& sites, PoolNews news);
  void OnTime(Turn& turn, Sites& sites, PoolNews& news);
  Instant next_deadline() const { return due_.next(); }

  const std::optional<Endpoint>& listening() const { return listening_; }
  const std::optional<Endpoint>& listening_secure() const { return listening_secure_; }
  // The first that was not opened: why.
  absl::StatusCode bind_failure() const { return bind_failure_; }
  const std::string& fallback() const { return config_.fallback; }
  void set_fallback(std::string site) { config_.fallback = std::move(site); }
  size_t clients() const { return clients_.size(); }
  size_t exchanges() const { return exchanges_.size(); }
  size_t held() const { return held_; }
  const Stats& stats() const { return stats_; }
  // Of a site's requests, also those before it was replaced. Null: there were none.
  const Traffic* traffic(const std::string& site) const {
    const auto it = traffic_.find(site);
    return it == traffic_.end() ? nullptr : &it->second;
  }

 private:
  // Which of a client's requests: the stream's id of HTTP/2, or 0.
  using Which = uint32_t;
  // A request and its answer.
  struct Exchange {
    RequestId id{};
    StreamId stream{};
    Which which = 0;
    std::string site;
    Request request;
    Instant began{};
    bool asked = false;
    std::string answer;    // Ends in the body that is being written:
    size_t at = 0;         // from here on.
    size_t held = 0;       // What is counted for it in held_.
    int status = 0;
    uint64_t fuel = 0, body = 0, came = 0;  // `body`: of the answer; `came`: of the request.
    uint32_t cage = 0, tries = 0;
  };
  // What a turn's calls to a client's connection brought.
  struct Heard {
    http::ServerNews one;
    http2::SessionNews many;
  };
  // A connection: of HTTP/1.1 until its first bytes say otherwise.
  struct Client {
    Client(StreamId stream, uint64_t body_max, const Endpoint& peer, bool secure) : one(stream, {}, body_max), peer(peer), peer_text(peer.ToString()), secure(secure) {}
    http::ServerConnection one;
    std::unique_ptr<http2::ServerSession> many;
    Endpoint peer;
    std::string peer_text;
    bool secure;           // It came through TLS.
    std::string sniffed;   // Too few bytes to tell.
    bool told = false;
    absl::btree_map<Which, Exchange*> exchanges;

    StreamId stream() const { return one.stream(); }
    bool ended() const { return many != nullptr ? many->ended() : one.ended(); }
    Instant next_deadline() const { return many != nullptr ? many->next_deadline() : one.next_deadline(); }
    const http::RequestHead& request(Which w) const { return many != nullptr ? many->request(http2::RequestId{w}) : one.request(); }
    bool answering(Which w) const { return many != nullptr ? many->answering(http2::RequestId{w}) : one.answering(); }
    size_t room(Which w) const { return many != nullptr ? many->room(http2::RequestId{w}) : one.room(); }
    void Respond(Turn& turn, Which w, http::Response r, Heard& heard) {
      many != nullptr ? many->Respond(turn, http2::RequestId{w}, std::move(r), heard.many) : one.Respond(turn, std::move(r), heard.one);
    }
    bool Fits(Which w, size_t bytes) const { return many != nullptr ? many->Fits(http2::RequestId{w}, bytes) : one.Fits(bytes); }
    void RespondWhole(Turn& turn, Which w, http::Response r, Bytes body, Heard& heard) {
      many != nullptr ? many->RespondWhole(turn, http2::RequestId{w}, std::move(r), body, heard.many) : one.RespondWhole(turn, std::move(r), body, heard.one);
    }
    void Write(Turn& turn, Which w, Bytes bytes) { many != nullptr ? many->WriteBody(turn, http2::RequestId{w}, bytes) : one.WriteBody(turn, bytes); }
    void FinishBody(Turn& turn, Which w, Heard& heard) {
      many != nullptr ? many->FinishBody(turn, http2::RequestId{w}, heard.many) : one.FinishBody(turn, heard.one);
    }
    void Continue(Turn& turn, Which w) { many != nullptr ? many->Continue(turn, http2::RequestId{w}) : one.Continue(turn); }
    void Took(Turn& turn, Which w, size_t n) { many != nullptr ? many->Took(turn, http2::RequestId{w}, n) : one.Took(turn, n); }
    void Finish(Turn& turn) { many != nullptr ? many->Finish(turn) : one.Finish(turn); }
    void Abort(Turn& turn) { many != nullptr ? many->Abort(turn) : one.Abort(turn); }
  };
  using Clients = absl::btree_map<StreamId, std::unique_ptr<Client>>;

  void OnClient(Turn& turn, Sites& sites, Clients::iterator it, const Input& input, PoolNews& news);
  void OnBytes(Turn& turn, Client& c, Bytes bytes, Heard& heard);
  void Settle(Turn& turn, Sites& sites, Clients::iterator it, Instant before);
  void Take(Turn& turn, Sites& sites, Client& c, Heard& heard, PoolNews& news);
  void Started(Turn& turn, Sites& sites, Client& c, Which which, Heard& heard);
  void Body(Turn& turn, Client& c, Which which, Bytes bytes, Heard& heard);
  void Done(Turn& turn, Sites& sites, Client& c, Which which, Heard& heard, PoolNews& news);
  void Lost(Turn& turn, Sites& sites, Client& c, Which which);
  void Answer(Turn& turn, Sites& sites, Client& c, Exchange& e, Answered answered, Heard& heard);
  void Say(Turn& turn, Client& c, Exchange& e, int status, std::string_view error, Heard& heard);
  void Respond(Turn& turn, Client& c, Exchange& e, http::Response response, Heard& heard);
  void Pump(Turn& turn, Client& c, Which which, Heard& heard);
  // Of its client too; `e` is no more.
  void Over(Turn& turn, Client& c, Exchange& e);
  void Hold(Exchange& e, size_t bytes);
  // Null: there is none.
  Exchange* Find(Client& c, Which which);

  bool IsOurs(SocketId s) const { return s == listener_ || s == secure_; }
  void CloseListeners(Turn& turn);

  SocketId listener_, secure_;
  FrontConfig config_;
  Clients clients_;
  absl::btree_map<RequestId, std::unique_ptr<Exchange>> exchanges_;
  Deadlines<StreamId> due_;
  uint64_t next_request_ = 1;
  size_t held_ = 0;
  bool finishing_ = false;
  std::optional<Endpoint> listening_, listening_secure_;
  absl::StatusCode bind_failure_ = absl::StatusCode::kOk;
  Stats stats_;
  absl::btree_map<std::string, Traffic> traffic_;  // At most kTrafficMax.
};

}  // namespace orchard::cage
