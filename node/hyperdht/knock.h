// One handshake that came to a server of ours, from the first message until nobody repeats it any more: the answer, the hole
// punch that may follow, and who still waits. Owned by its server, in the slot whose number the client was told.
// Source: npm hyperdht lib/server.js.
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

class Announcer;

class Knock {
 public:
  // Its slot is free so long after the handshake failed or led to a connection.
  static constexpr Duration kClearAfter = std::chrono::seconds(10);
  // The client must come, or begin to punch, within this.
  static constexpr Duration kInitialWait = std::chrono::seconds(10);
  // Repetitions, through other relays, that wait for one decision; further ones are dropped and come again.
  static constexpr size_t kWaitingMax = 8, kPunchMessagesMax = 4;

  enum class Event : uint8_t {
    kStep,      // `step`.
    kPath,      // `socket`, `to`, `path`.
    kGivenUp,   // Punching. A neighbour may still come to our local address: `code`.
    kFailed,    // No way is being tried any more. `code`.
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

  // How a handshake came.
  struct Came {
    dht::Request request;                  // Without its value.
    Endpoint client;                       // As the relay saw it; who asked, if there was none.
    std::optional<Endpoint> second_relay;  // The node to answer, if not the one that asked.
    bool direct = false;
  };

  Knock(ConnectionId connection, ServerHandshake handshake, Came came);

  ConnectionId connection() const { return connection_; }
  const NoisePayload& remote() const { return handshake_.payload(); }
  const Key32& remote_key() const { return handshake_.remote_key(); }
  const Came& came() const { return came_; }
  bool answered() const { return answered_; }

  // The same message again. Answered now, or with the first.
  void OnAgain(World& w, Came came);
  // Answers with `ours`, and begins what follows. `open`: we told that anyone can reach us. `relay_only`: no
  // path is wanted; kFailed follows.
  void Answer(World& w, const NoisePayload& ours, bool open, bool relay_only, bool birthday, PunchPolicy punches, News& news);
  // No answer.
  void Refuse(Turn& turn);
  std::optional<Accepted> accepted() const { return accepted_; }

  void OnHolepunch(World& w, const dht::Request& request, const HolepunchEnvelope& envelope, bool own_relay, bool has_relay, News& news);
  bool OnReply(World& w, const dht::ReplyReceived& reply, News& news);
  bool OnFailure(World& w, const dht::RequestFailed& failed, News& news);
  bool OnProbe(World& w, SocketId socket, const Endpoint& from, News& news);
  bool OnSocketOpened(World& w, const SocketOpened& opened, News& news);
  void OnTime(World& w, News& news);
  Instant next_deadline() const;
  // A path was taken, or nothing will come of it: no more punching; with `keep`, that socket stays open. The answer can
  // be repeated until clear_at().
  void Settle(World& w, std::optional<SocketId> keep);
  bool settled() const { return settled_; }
  // Encrypted bytes came: the client has the answer, so nobody repeats the question. Only messages of a punch may still come.
  void OnOpened(Instant now);
  bool over(Instant now) const { return clear_at_ <= now; }
  // Its connection is open: whoever needs the slot more may have it.
  bool spare() const { return settled_ && opened_; }
  Instant clear_at() const { return clear_at_; }
  const Puncher* puncher() const { return puncher_.get(); }
  uint32_t rounds() const { return uint32_t(round_); }

 private:
  struct Message {
    dht::Request request;  // Without its value.
    Endpoint peer;
    HolepunchPayload payload;
    bool own_relay;
  };
  void SendAnswer(World& w, const Came& came);
  void NextMessage(World& w, News& news);
  void AfterAnalysis(World& w, News& news);
  void AnswerMessage(World& w, News& news);
  void Reply(World& w, const dht::Request& request, const Endpoint& peer, const HolepunchPayload& payload, std::optional<SocketId> socket);
  void Abort(World& w, const dht::Request& request, const Endpoint& peer, Error error, News& news);
  void Fail(World& w, ConnectCode code, News& news);
  void GiveUpPunching(World& w, News& news);
  void OnPuncher(World& w, Puncher::News& happened, News& news);

  ConnectionId connection_;
  ServerHandshake handshake_;
  Came came_;
  std::vector<Came> waiting_;
  bool answered_ = false, settled_ = false, failed_ = false, opened_ = false, has_relay_ = false, same_lan_ = false;
  PunchPolicy punches_ = PunchPolicy::kAny;
  std::string noise_;                       // The answer.
  std::optional<Accepted> accepted_;
  Instant initial_until_ = kNever, clear_at_ = kNever;

  std::unique_ptr<Puncher> puncher_;
  std::optional<SecurePayload> secure_;
  std::vector<Message> messages_;           // The first is being worked on.
  bool analyzing_ = false, reopening_ = false;
  uint64_t round_ = 0;
};

}  // namespace orchard::hyperdht
