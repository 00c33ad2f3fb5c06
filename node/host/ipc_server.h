// The door on the daemon's Unix socket: lines of JSON in, lines of JSON out (docs/IPC.md). It trusts nobody: other users are
// turned away, lines and clients and operations are bounded, and a client that never reads holds less than 1 MiB.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "node/host/log.h"
#include "node/host/real_host.h"
#include "node/host/standing_orders.h"

namespace orchard::host {

class IpcServer final : public OpDoor {
 public:
  static constexpr size_t kClientsMax = 288;  // More than operations that a node carries out at a time: it says so itself.
  static constexpr size_t kOpsMax = 32;                 // Of one client at a time.
  static constexpr size_t kLineMax = 64 << 10;
  static constexpr int kDepthMax = 32;                  // Of JSON in JSON: what writes it again recurses.
  static constexpr uint32_t kWindow = 8;                // Events of one operation that may be under way.
  static constexpr size_t kQueueCredit = 64 << 10;      // No credit is granted while more than this waits for the client.
  static constexpr size_t kQueueMax = 640 << 10;        // More than this waits: the client is cut off.
  static constexpr int kSocketBuffer = 128 << 10;       // The kernel doubles it (socket(7)).

  struct Counters {
    uint64_t clients = 0, refused = 0, calls = 0, bad_lines = 0, cut_off = 0;
  };
  // Removes a stale socket, but neither a live one nor another file. Attaches itself to `host`.
  // `orders`, unless null, learns of each operation with lasting effect that was not refused; `log` of what goes wrong with them.
  static absl::StatusOr<std::unique_ptr<IpcServer>> Listen(RealHost* host, const std::string& path, StandingOrders* orders = nullptr, Log* log = nullptr);
  ~IpcServer() override;

  // Calls the orders that an earlier life left. One that fails is told to the log, and stays an order.
  void CarryOutOrders();
  void OnOpEvent(OpId op, Bytes json, bool final) override;
  void OnOpBytes(OpId op, Bytes bytes) override;
  void OnOpAccept(OpId op, uint32_t bytes) override;
  bool Pump() override;
  const Counters& counters() const { return counters_; }
  size_t clients() const { return clients_.size(); }

 private:
  struct Op {
    uint64_t id;            // The client's own.
    uint32_t granted;       // Events that the node may still emit.
    StandingOrders::Order lasts = {};  // Empty: it leaves nothing to remember.
  };
  struct Client {
    Fd fd;
    std::string in, out;
    size_t out_done = 0;    // Bytes of `out` that are written.
    std::map<OpId, Op> ops;
    bool half_closed = false;  // It will say nothing more, and may still read.
    bool waits_for_room = false;
    bool closing = false;   // Once `out` is written.
    // Once it called an operation that streams: what it writes is that operation's input, what it reads are frames.
    std::optional<OpId> stream;
    uint64_t stream_credit = 0;  // Bytes that the operation takes now.
    bool stream_ended = false;   // The end of the input is told.
    size_t waiting() const { return out.size() - out_done; }
  };
  IpcServer(RealHost* host, std::string path, Fd fd, StandingOrders* orders, Log* log);
  void Remember(const StandingOrders::Order& order, bool ended);
  void OnAccept();
  void OnClient(uint64_t key, uint32_t events);
  void Read(uint64_t key);
  void ReadStream(uint64_t key);
  void Frame(Client& c, char kind, Bytes bytes);
  // What the client's descriptor waits for.
  uint32_t Wants(const Client& c) const;
  void OnLine(uint64_t key, std::string_view line);
  void Say(Client& c, std::string_view id, std::string_view tagged);
  void Error(Client& c, std::string_view id, std::string_view code, std::string_view message);
  // False if it is gone.
  bool Write(uint64_t key);
  void Drop(uint64_t key);

  RealHost* host_;
  std::string path_;
  Fd listen_;
  std::map<uint64_t, Client> clients_;  // By arrival.
  std::map<OpId, uint64_t> owner_;
  StandingOrders* orders_;
  Log* log_;
  std::map<OpId, std::string> carried_out_;  // Orders that run: their operation.
  uint64_t next_client_ = 1;
  Counters counters_;
};

// A JSON string with its quotes.
std::string QuoteJson(std::string_view text);

}  // namespace orchard::host
