// One side of one hole punch: its sockets, what it learns of its own NAT, whom it probes and how. The connect flow and the
// server drive it; it knows neither. Source: npm hyperdht lib/holepuncher.js, lib/nat.js, lib/socket-pool.js.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "node/base/turn.h"
#include "node/dht/rpc.h"
#include "node/hyperdht/messages.h"
#include "node/hyperdht/nat.h"

namespace orchard::hyperdht {

// Random punches of a node: one at a time, and twenty seconds apart. Shared by all its punchers, owned by Peers.
struct PunchLimiter {
  static constexpr uint32_t kLimit = 1;
  static constexpr Duration kInterval = std::chrono::seconds(20);
  uint32_t running = 0;
  Instant last{};
  bool busy(Instant now) const { return running >= kLimit || now - last < kInterval; }
};

class Puncher {
 public:
  static constexpr size_t kBirthdaySockets = 256;
  static constexpr uint32_t kConsistentRounds = 10, kRandomProbes = 1750, kReopensMax = 3;

  struct Config {
    bool initiator = false;
    bool dht_firewalled = true;
    bool birthday = true;       // Off: a RANDOM side is never punched with (a scenario's word, dht.birthday).
  };
  enum class Event : uint8_t {
    kAnalyzed,    // The wait of Analyze() is over: stable() tells.
    kConnected,   // Initiator: a probe came; `socket` and `from` are the way through. Sockets other than that one are released.
    kAborted,     // Destroyed itself: punching is over without a connection.
  };
  struct Happened {
    Event event;
    SocketId socket{};
    Endpoint from{};
  };
  using News = std::vector<Happened>;

  Puncher(const Config& config, PunchLimiter* limiter);

  // Opens the primary socket, and begins to sample its NAT by pings from it.
  void Start(Turn& turn, dht::Rpc& rpc);
  void OnSocketOpened(Turn& turn, dht::Rpc& rpc, const SocketOpened& opened, News& news);
  // Of the puncher's own sampling pings; false if the request is not one of them.
  bool OnReply(Turn& turn, dht::Rpc& rpc, const dht::ReplyReceived& reply, News& news);
  bool OnFailure(Turn& turn, dht::Rpc& rpc, const dht::RequestFailed& failed, News& news);
  // A datagram of one byte on one of its sockets.
  void OnProbe(Turn& turn, dht::Rpc& rpc, SocketId socket, const Endpoint& from, News& news);
  void OnTime(Turn& turn, dht::Rpc& rpc, News& news);
  Instant next_deadline() const;

  bool owns(SocketId socket) const;
  SocketId socket() const;                     // The primary one; valid once Start was called.
  bool ready() const;                          // The primary socket is open.
  Nat& nat();
  const Nat& nat() const;

  // A probe that opens our filter and dies on the way (TTL 5), or reaches the other side (TTL 64).
  void OpenSession(Turn& turn, dht::Rpc& rpc, const Endpoint& to);
  void Ping(Turn& turn, dht::Rpc& rpc, const Endpoint& to);

  // Waits until the NAT is classified; with `allow_reopen` replaces the primary socket up to three times while unstable.
  // kAnalyzed follows, in `news` at once if nothing must be waited for.
  void Analyze(Turn& turn, dht::Rpc& rpc, bool allow_reopen, News& news);
  bool stable() const;

  // What the other side said. `verified`: its host proved that it receives there.
  void UpdateRemote(bool punching, Firewall firewall, const std::vector<Endpoint>* addresses, const std::optional<Endpoint>& verified);
  Firewall remote_firewall() const;
  bool remote_punching() const;

  // Begins to punch, once. False if the two NATs cannot meet, or nothing is known of the other's address.
  bool Punch(Turn& turn, dht::Rpc& rpc);
  bool punching() const;
  bool connected() const;
  uint32_t probes() const;
  // The path is chosen, by a probe or otherwise: every socket but `keep` is closed, no more probes.
  void Settle(Turn& turn, dht::Rpc& rpc, std::optional<SocketId> keep);
  void Destroy(Turn& turn, dht::Rpc& rpc);
};

}  // namespace orchard::hyperdht
