// Keeps one server findable: announces its key at the three nodes closest to it, which then relay handshakes, and pings these
// every three seconds so that the NAT's mapping toward them lives. Owned by the server that it announces.
// Source: npm hyperdht lib/announcer.js.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "node/dht/rpc.h"
#include "node/hyperdht/messages.h"
#include "node/hyperdht/signatures.h"

namespace orchard::hyperdht {

class Announcer {
 public:
  static constexpr size_t kNodes = 3;
  static constexpr Duration kPingEvery = std::chrono::seconds(3);
  // Rounds of pings between two announcements: about five minutes.
  static constexpr uint32_t kRounds = 100;
  // A failed announcement is tried again so much later.
  static constexpr Duration kRetry = std::chrono::seconds(3);

  // Named after what it waits for.
  enum class Step : uint8_t { kStopped, kOffline, kAnnounce, kPing, kSleep };
  struct Move {
    Step from, to;
  };
  static constexpr Move kMoves[] = {
      {Step::kStopped, Step::kAnnounce}, {Step::kStopped, Step::kOffline}, {Step::kOffline, Step::kAnnounce},
      {Step::kAnnounce, Step::kPing},    {Step::kAnnounce, Step::kSleep},  {Step::kPing, Step::kSleep},
      {Step::kPing, Step::kAnnounce},    {Step::kPing, Step::kOffline},    {Step::kSleep, Step::kPing},
      {Step::kSleep, Step::kAnnounce},   {Step::kSleep, Step::kOffline},   {Step::kAnnounce, Step::kStopped},
      {Step::kPing, Step::kStopped},     {Step::kSleep, Step::kStopped},   {Step::kOffline, Step::kStopped},
      {Step::kAnnounce, Step::kOffline},
  };

  struct Happened {
    enum class Event : uint8_t {
      kStored,       // The first announcement is stored.
      kRemapped,     // A relay sees us elsewhere than we announced: `from` then, `to` now.
      kObsolete,     // `node` holds an announcement that it should not hold any more.
    };
    Event event;
    Ipv4Address from{}, to{}, node{};
  };
  using News = std::vector<Happened>;

  // `notices_remaps` (ours): announces again as soon as a pong names another address of ours than was announced; else as
  // deployed, which notices only that pings fail, and a relay answers these at any address.
  Announcer(const KeyPair& key, bool notices_remaps) : key_(key), target_(Hash(key.public_key)), notices_remaps_(notices_remaps) {}

  void Start(Turn& turn, dht::Rpc& rpc, News& news);
  // Something changed about our place in the network.
  void Refresh(Turn& turn);
  // Forgets what is under way. The nodes of stored_at() still hold the announcement: the parent takes it back.
  void Stop(Turn& turn, dht::Rpc& rpc);

  // Each says whether it was this announcer's.
  bool OnCommitDue(Turn& turn, dht::Rpc& rpc, const dht::CommitDue& due);
  bool OnCommitReply(const dht::CommitReply& reply, News& news);
  bool OnQueryFinished(Turn& turn, dht::Rpc& rpc, const dht::QueryFinished& finished, News& news);
  bool OnReply(Turn& turn, dht::Rpc& rpc, const dht::ReplyReceived& reply, News& news);
  bool OnFailure(Turn& turn, dht::Rpc& rpc, const dht::RequestFailed& failed, News& news);
  void OnTime(Turn& turn, dht::Rpc& rpc, News& news);
  Instant next_deadline() const { return wake_at_; }

  Step step() const { return step_; }
  bool stored() const { return stored_; }
  // For the Noise payload: who relays for us, and our address as each sees it.
  const std::vector<NoisePayload::Relay>& relays() const { return relays_; }
  // If one of the last three generations of announcements lies there.
  bool IsRelay(Ipv4Address node) const;
  const std::vector<Ipv4Address>& stored_at() const { return generations_[0]; }

 private:
  struct Ping {
    dht::RequestId request;
    Ipv4Address node;
  };
  void Enter(Step step);
  void Announce(Turn& turn, dht::Rpc& rpc);
  void PingAll(Turn& turn, dht::Rpc& rpc, News& news);
  void OnPinged(Turn& turn, dht::Rpc& rpc, News& news);
  void DropPings(Turn& turn, dht::Rpc& rpc);
  void Sleep(Turn& turn, Duration how_long);

  KeyPair key_;
  Key32 target_;
  bool notices_remaps_;
  Step step_ = Step::kStopped;
  Instant wake_at_ = kNever;
  bool refresh_ = false, stored_ = false;
  std::optional<dht::QueryId> query_;
  std::vector<dht::ClosestReply> committed_;       // By commit index.
  std::vector<dht::Contact> closest_;              // Of the last announcement: asked first by the next.
  std::array<std::vector<Ipv4Address>, 3> generations_;  // Newest first.
  std::vector<NoisePayload::Relay> relays_, next_relays_;
  std::optional<SocketId> from_;                   // The socket that was announced from.
  std::vector<Ping> pings_;
  uint32_t answered_ = 0, asked_ = 0, rounds_ = 0;
};

std::string_view StepName(Announcer::Step step);

}  // namespace orchard::hyperdht
