// One dial, from nothing to a path: finds nodes that know the peer, sends the handshake through them, and tries, in the
// deployed order, whatever leads to it: straight, over the LAN, by a hole punched on both sides. It chooses paths; Peers puts the
// stream on them. Owned by its connection. connect_punch.cc has the second half.
// Source: npm hyperdht lib/connect.js.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/hyperdht/connection.h"
#include "node/hyperdht/handshake.h"
#include "node/hyperdht/holepunch_payload.h"
#include "node/hyperdht/puncher.h"
#include "node/hyperdht/world.h"

namespace orchard::hyperdht {

class ConnectFlow {
 public:
  // Handshakes under way at once; one more if there are nodes that likely know the peer.
  static constexpr size_t kAtOnce = 2, kAtOnceWithCandidates = 3;
  // Nodes remembered and asked in one dial: the twenty closest, twice, and what an application knew.
  static constexpr size_t kAttemptsMax = 64;
  // Whoever likely knows the peer has so long to answer before others are searched for: most dials then need no search.
  // Source of the thought: npm hyperdht lib/connect.js, findAndConnect, which searches only after all of these failed.
  static constexpr Duration kSearchAfter = std::chrono::milliseconds(200);
  static constexpr Duration kPassiveWait = std::chrono::seconds(10);
  static constexpr Duration kUnknownPause = std::chrono::seconds(1);
  static constexpr Duration kTryLater = std::chrono::seconds(10);  // And up to so much again.
  // Messages of one punch; numbers above 252 are garbled by the deployed writer.
  static constexpr uint64_t kRoundsMax = 128;

  struct Spec {
    Key32 target{};
    std::vector<Ipv4Address> candidates;
    bool open = false;       // We told the other side that anyone can reach us.
    bool firewalled = false; // Punch as if we were behind a firewall, whatever the DHT thinks.
    bool fast_open = true, lan = true, punch = true;
    bool relay_only = false; // RelayPolicy::kOnly: no path is chosen here.
    bool birthday = true;
    PunchPolicy punches = PunchPolicy::kAny;
    bool confirm = false;    // Puncher::Config::confirm.
    ConnectionId connection{};  // Whose dial it is: the mark on all that it asks and opens.
  };
  enum class Event : uint8_t {
    kStep,        // `step`.
    kHandshaken,  // accepted() is set.
    kPath,        // `socket`, `to`, `path`: the stream can go there.
    kFailed,      // `code`. No other way is being tried.
  };
  struct Happened {
    Event event;
    ConnectStep step{};
    SocketId socket{};
    Endpoint to{};
    Path path{};
    ConnectCode code{};
  };
  using News = std::vector<Happened>;

  ConnectFlow(Spec spec, ClientHandshake handshake) : spec_(std::move(spec)), handshake_(std::move(handshake)) {}

  void Begin(World& w, News& news);
  // Each says whether it was this flow's.
  bool OnQueryReply(World& w, const dht::QueryReply& reply, News& news);
  bool OnQueryFinished(World& w, const dht::QueryFinished& finished, News& news);
  bool OnReply(World& w, const dht::ReplyReceived& reply, News& news);
  bool OnFailure(World& w, const dht::RequestFailed& failed, News& news);
  bool OnProbe(World& w, SocketId socket, const Endpoint& from, News& news);
  bool OnSocketOpened(World& w, const SocketOpened& opened, News& news);
  void OnTime(World& w, News& news);
  Instant next_deadline() const;
  // A packet of the peer's stream came before its handshake reply.
  void OnEarlyPacket(SocketId socket, const Endpoint& from, Path path) { early_ = Happened{.event = Event::kPath, .socket = socket, .to = from, .path = path}; }
  // The other end of a blind relay is being waited for, or found: a busy punch may wait too.
  void set_relay(bool relay) { relay_ = relay; }
  // Forgets everything under way. With `keep`, that socket of the puncher stays open.
  void Stop(World& w, std::optional<SocketId> keep);

  const std::optional<Accepted>& accepted() const { return accepted_; }
  Ipv4Address relay() const { return met_.relay; }  // The node that the handshake went through.
  const Puncher* puncher() const { return puncher_.get(); }
  bool failed() const { return failed_; }
  // A path through the punch may still come.
  bool punching() const { return puncher_ != nullptr && !failed_ && !given_up_.has_value(); }
  uint32_t attempts() const { return tried_; }
  uint32_t rounds() const { return uint32_t(round_); }

 private:
  enum class Wait : uint8_t { kNothing, kProbeReply, kUnknownPause, kAnalysis, kReopened, kPunchReply, kTryLater, kPunch };
  struct Attempt {
    dht::RequestId request;
    Ipv4Address node;
    bool candidate;
  };
  // How the handshake's answer came to us.
  struct Met {
    bool relayed = false;
    Ipv4Address relay;
    Endpoint server, client;  // Each as the relay sees it.
  };

  void Enter(ConnectStep step, News& news) { news.push_back({.event = Event::kStep, .step = step}); }
  void Fail(World& w, ConnectCode code, News& news);
  void StopPunching(World& w, std::optional<SocketId> keep);
  void ChoosePath(SocketId socket, const Endpoint& to, Path path, News& news);
  // connect_flow.cc
  void Search(World& w, bool seeded);
  void Remember(Ipv4Address node);
  void Pump(World& w, News& news);
  void Try(World& w, Ipv4Address node, bool candidate, News& news);
  void OnHandshakeReply(World& w, const Attempt& attempt, const dht::Response& response, News& news);
  void Decide(World& w, News& news);
  bool PingLan(World& w);
  // connect_punch.cc
  void StartPunch(World& w, News& news);
  void ProbeRound(World& w, bool retry, News& news);
  void OnProbeReply(World& w, const dht::Response& response, News& news);
  void AfterAnalysis(World& w, News& news);
  void Conclude(World& w, News& news);
  void RoundPunch(World& w, bool delayed, News& news);
  void OnPunchReply(World& w, const dht::Response& response, News& news);
  void TryLater(World& w, News& news);
  void Ask(World& w, Ipv4Address relay, const Endpoint& peer, HolepunchPayload payload, bool awaited);
  void Abort(World& w, ConnectCode code, News& news);
  void ReleaseReservation(World& w);
  void OnPuncher(World& w, Puncher::News& happened, News& news);
  std::optional<HolepunchPayload> OpenReply(const dht::Response& response, Endpoint* peer, News& news, World& w);
  HolepunchPayload Says(bool punching) const;

  Spec spec_;
  ClientHandshake handshake_;
  std::vector<Attempt> attempts_;
  std::vector<Ipv4Address> found_;    // By the search, in order; the first `next_found_` were tried.
  size_t next_candidate_ = 0, next_found_ = 0;
  std::optional<dht::QueryId> query_;
  uint32_t queries_ = 0, searched_ = 0, tried_ = 0;
  std::optional<Accepted> accepted_;
  Met met_;
  std::optional<Happened> early_;
  bool chosen_ = false, failed_ = false, relay_ = false;
  std::optional<ConnectCode> given_up_;  // Why punching failed; the LAN ping is still out.
  Instant passive_until_ = kNever, wake_at_ = kNever, search_at_ = kNever;
  std::optional<dht::RequestId> lan_ping_;
  Endpoint lan_address_{};

  std::unique_ptr<Puncher> puncher_;
  std::optional<SecurePayload> secure_;
  NoisePayload::Relay server_relay_{};
  std::optional<dht::RequestId> punch_request_;
  Endpoint asked_peer_{};               // Whom the last message was addressed to.
  Ipv4Address asked_relay_{};
  std::optional<Key32> sent_token_, remote_token_;
  uint64_t round_ = 0;
  Wait wait_ = Wait::kNothing;
  bool probe_retry_ = false, delayed_ = false, reserved_ = false;
};

}  // namespace orchard::hyperdht
