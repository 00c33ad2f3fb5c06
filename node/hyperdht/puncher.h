// One side of one hole punch: its sockets, what it learns of its own NAT, whom it probes and how. The connect flow and the
// server drive it; it knows neither. A probe is a datagram of one zero byte. Those with a low TTL open the filters of our own
// NAT and die before the other side's; those with a full TTL get through once both have opened.
// Source: npm hyperdht lib/holepuncher.js, lib/nat.js, lib/socket-pool.js.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
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
  Instant last = kNever;  // When one ended; kNever: none has.
  bool busy(Instant now) const { return running >= kLimit || (last != kNever && now - last < kInterval); }
};

class Puncher {
 public:
  static constexpr size_t kBirthdaySockets = 256;
  static constexpr uint32_t kConsistentRounds = 10, kRandomProbes = 1750, kReopensMax = 3;
  // Sockets of a birthday attack are opened in such steps: as fast as JavaScript opens them (30 in a millisecond, measured),
  // and no burst for the queue of the line.
  static constexpr size_t kBirthdayStep = 32;
  // So far that our own NAT lets it out, and not as far as the other side's; all the way.
  static constexpr uint8_t kOpenTtl = 5, kFullTtl = 64;
  // Probers whose way back is being tried.
  static constexpr size_t kUnconfirmedMax = 64;
  // Of what the other side says; honest ones name two or three.
  static constexpr size_t kRemoteAddressesMax = 16;
  // Probes answered: all that an honest client can send. Two servers that answer each other end here.
  static constexpr uint32_t kAnswersMax = kRandomProbes + kBirthdaySockets;
  // Analyze() calls that wait; further ones are answered at once with what is known.
  static constexpr size_t kWaitingMax = 16;

  struct Config {
    bool initiator = false;
    bool dht_firewalled = true;
    bool birthday = true;       // Off: a RANDOM side is never punched with (a scenario's word, dht.birthday).
    // Ours: an initiator whose NAT is not known to keep one port takes no single probe for a way through. It answers, and is
    // connected by the probe that answers the answer: only that proves the way back. The deployed logic takes the first.
    bool confirm = false;
    dht::Asker asker{};         // The mark on its pings and its sockets.
  };
  enum class Event : uint8_t {
    kAnalyzed,    // The wait of one Analyze() is over: `reopen` and `stable` say which and how.
    kConnected,   // Initiator: a probe came; `socket` and `from` are the way through. Sockets other than that one are released.
    kAborted,     // Destroyed itself: punching is over without a connection.
  };
  struct Happened {
    Event event;
    SocketId socket{};
    Endpoint from{};
    bool reopen = false, stable = false;
  };
  using News = std::vector<Happened>;

  // `limiter` outlives the puncher.
  Puncher(const Config& config, PunchLimiter* limiter);

  // Opens the primary socket, and begins to sample its NAT by pings from it.
  void Start(Turn& turn, dht::Rpc& rpc);
  // False if it is not the answer to one of its sockets. Aborts if its only socket could not be opened.
  bool OnSocketOpened(Turn& turn, dht::Rpc& rpc, const SocketOpened& opened, News& news);
  // Of the puncher's own sampling pings; false if the request is not one of them.
  bool OnReply(Turn& turn, dht::Rpc& rpc, const dht::ReplyReceived& reply, News& news);
  bool OnFailure(Turn& turn, dht::Rpc& rpc, const dht::RequestFailed& failed, News& news);
  // A datagram of one byte on one of its sockets. The initiator is connected by the first; the other side answers each.
  void OnProbe(Turn& turn, dht::Rpc& rpc, SocketId socket, const Endpoint& from, News& news);
  void OnTime(Turn& turn, dht::Rpc& rpc, News& news);
  Instant next_deadline() const;

  bool owns(SocketId socket) const;
  // The primary one, from Start until the puncher is destroyed or settled without one; SocketId{0} outside of that.
  SocketId socket() const { return sockets_.empty() ? SocketId{0} : sockets_[0]; }
  bool ready() const { return local_.has_value(); }         // The primary socket is open.
  const std::optional<Endpoint>& local() const { return local_; }  // Where it is bound.
  size_t sockets() const { return sockets_.size(); }
  // Of the primary socket: another one after a reopening. A sample added here is noticed at the next verb.
  Nat& nat() { return nat_; }
  const Nat& nat() const { return nat_; }
  // What another node said of the primary socket's address, noticed at once.
  void AddSample(Turn& turn, dht::Rpc& rpc, Ipv4Address seen_as, Ipv4Address sampler, News& news);

  // A probe that opens our filter and dies on the way (TTL 5), or reaches the other side (TTL 64).
  void OpenSession(Turn& turn, dht::Rpc& rpc, const Endpoint& to);
  void Ping(Turn& turn, dht::Rpc& rpc, const Endpoint& to);

  // Waits until the NAT is classified; with `allow_reopen` replaces the primary socket up to three times while unstable.
  // One kAnalyzed per call follows, in `news` at once if nothing must be waited for; calls that wait while the puncher ends
  // (kConnected, kAborted, Settle, Destroy) get none.
  void Analyze(Turn& turn, dht::Rpc& rpc, bool allow_reopen, News& news);
  // The answer of the last Analyze(): the two NATs can meet, as far as is known. After a reopening only our own counts.
  bool stable() const { return stable_; }

  // What the other side said. `verified`: its host proved that it receives there.
  void UpdateRemote(bool punching, Firewall firewall, const std::vector<Endpoint>* addresses, const std::optional<Endpoint>& verified);
  struct Remote {
    Endpoint address;
    bool verified;
  };
  const std::vector<Remote>& remote_addresses() const { return remote_; }
  Firewall remote_firewall() const { return remote_firewall_; }
  bool remote_punching() const { return remote_punching_; }

  // Begins to punch, once; later calls repeat the answer. False if the two NATs cannot meet, or nothing is known of the
  // other's address. The caller asks the limiter first; a random punch counts there until it ends.
  bool Punch(Turn& turn, dht::Rpc& rpc);
  bool punching() const { return strategy_ != Strategy::kNone; }
  bool connected() const { return life_ == Life::kConnected; }
  bool destroyed() const { return life_ == Life::kDestroyed; }
  uint32_t probes() const { return probes_; }
  // The path is chosen, by a probe or otherwise: every socket but `keep` is closed, no more probes. `keep` is the caller's
  // from here on: it is not closed by Destroy.
  void Settle(Turn& turn, dht::Rpc& rpc, std::optional<SocketId> keep);
  // Closes the sockets. No news.
  void Destroy(Turn& turn, dht::Rpc& rpc);

 private:
  enum class Life : uint8_t { kNew, kRunning, kConnected, kSettled, kDestroyed };
  enum class Strategy : uint8_t { kNone, kConsistent, kRandomPorts, kBirthdayOpen, kBirthdayKeep };
  enum class Reopening : uint8_t { kNever, kRunning, kOver };
  static std::string_view StrategyName(Strategy strategy);

  // puncher.cc
  SocketId OpenSocket(Turn& turn, dht::Rpc& rpc);
  void CloseAllBut(Turn& turn, dht::Rpc& rpc, std::optional<SocketId> keep);
  void Sample(Turn& turn, dht::Rpc& rpc);
  bool TakePing(Turn& turn, dht::Rpc& rpc, dht::RequestId request, const dht::Response* response, News& news);
  void CancelPings(Turn& turn, dht::Rpc& rpc);
  void Count(Turn& turn, Ipv4Address seen_as, Ipv4Address sampler);
  bool unstable() const;
  void Resume(Turn& turn, dht::Rpc& rpc, News& news);
  void Answer(bool reopen, bool stable, News& news);
  void Reopen(Turn& turn, dht::Rpc& rpc);
  void End(Turn& turn, dht::Rpc& rpc, Life life, std::optional<SocketId> keep, std::string_view how);
  void Abort(Turn& turn, dht::Rpc& rpc, News& news);

  // puncher_strategies.cc
  void SendProbe(Turn& turn, SocketId socket, const Endpoint& to, uint8_t ttl);
  void Begin(Turn& turn, Strategy strategy);
  // False if the strategy has done all it can.
  bool Step(Turn& turn, dht::Rpc& rpc);
  bool StepConsistent(Turn& turn);
  bool StepRandomPorts(Turn& turn);
  bool StepBirthdayOpen(Turn& turn, dht::Rpc& rpc);
  bool StepBirthdayKeep(Turn& turn);

  Config config_;
  PunchLimiter* limiter_;
  Nat nat_;
  std::vector<SocketId> sockets_;          // The primary one first.
  std::optional<Endpoint> local_;
  std::vector<dht::RequestId> pings_;      // Of the primary socket, not answered yet.
  std::vector<bool> waiting_;              // Analyze() calls, by allow_reopen.
  std::vector<Remote> remote_;
  std::vector<std::pair<SocketId, Endpoint>> unconfirmed_;
  std::optional<Endpoint> target_;         // Of random ports and birthdays: verified.
  std::optional<bool> punched_;            // What Punch() said.
  Instant step_at_ = kNever, began_{}, woken_{};
  uint32_t steps_ = 0, probes_ = 0, answers_ = 0, reopens_ = 0, number_ = 0;
  size_t cursor_ = 0;                      // The socket whose turn it is to keep its mapping alive.
  Life life_ = Life::kNew;
  Strategy strategy_ = Strategy::kNone;
  Reopening reopening_ = Reopening::kNever;
  Firewall remote_firewall_ = Firewall::kUnknown;
  bool remote_punching_ = false, stable_ = false;
  bool limited_ = false;      // We count in the limiter.
  bool asked_again_ = false;  // The second round of sampling pings is out.
  bool refused_ = false;      // The host or the mux gives no more sockets.
  bool first_cycle_ = true;   // Of the keep-alive: every mapping is opened before any packet goes all the way.
};

}  // namespace orchard::hyperdht
