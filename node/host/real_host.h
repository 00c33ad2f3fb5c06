// The host of one machine on real sockets: one thread, one epoll loop. What a batch of turns wants to do to the world
// (datagrams, answers to callers, jobs) is done after their writes are in the store's log, in the order written.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "node/base/turn_runner.h"
#include "node/host/cage_workers.h"
#include "node/host/h3_door.h"
#include "node/host/inbox.h"
#include "node/host/os.h"
#include "node/host/rocks_store.h"
#include "node/host/tcp_streams.h"
#include "node/host/tls.h"
#include "node/host/udp_socket.h"
#include "node/host/workers.h"

namespace orchard::host {

// Where the events of operations go.
class OpDoor {
 public:
  virtual ~OpDoor() = default;
  // These three must not feed the host. Binary output of an operation; the bytes that it can take now.
  virtual void OnOpEvent(OpId op, Bytes json, bool final) = 0;
  virtual void OnOpBytes(OpId, Bytes) {}
  virtual void OnOpAccept(OpId, uint32_t) {}
  // Once a round, between turns: may grant credit. True if it wants to be asked again at once.
  virtual bool Pump() { return false; }
};

class RealHost final : private TurnRunner::Host {
 public:
  struct Counters {
    UdpSocket::Counters udp;
    uint64_t turns = 0, dead_ids = 0, syncs = 0, jobs = 0;
  };
  // A deadline that is so much overdue was not missed by a busy loop: the process was stopped, or the machine slept.
  static constexpr Duration kMissed = std::chrono::milliseconds(100);
  // Called when `fd` is ready; may feed the host.
  using Handler = std::function<void(uint32_t epoll_events)>;

  // `sink` may be null.
  RealHost(std::unique_ptr<Machine> machine, Rng rng, std::unique_ptr<RocksStore> store, Trace::Sink* sink);
  ~RealHost() override;

  // For ListenSecure; before Begin. Without it there is none.
  void set_tls(std::unique_ptr<TlsContext> tls) { tls_ = std::move(tls); }
  // And HTTP/3 on the same port of UDP, for the first listener; before Begin. If that port is taken, neither listens.
  void set_h3(TlsFiles files) { h3_files_ = std::move(files); }
  // Feeds Start.
  absl::Status Begin();
  // Waits for the next thing to happen, at most `wait_max`, and works it off. An error is final: the store failed, nothing
  // of the failed batch has left.
  absl::Status RunOnce(Duration wait_max);
  // The machine said Stopped, and all that it said before is on its way.
  bool stopped() const { return stopped_; }

  // Before the first job of a cage; else metered modules are not kept.
  void set_cage_options(CageWorkers::Options options) { cage_options_ = std::move(options); }
  const CageWorkers* cages() const { return cages_.get(); }  // Null before the first.

  // For doors, between or inside Handlers:
  void set_door(OpDoor* door) { door_ = door; }
  void Watch(int fd, uint32_t epoll_events, Handler handler);
  void Rewatch(int fd, uint32_t epoll_events);
  void Unwatch(int fd);
  OpId NewOp() { return OpId{next_op_++}; }
  void CallAs(OpId op, std::string_view name, Bytes params);
  void Credit(OpId op, uint32_t events);
  // At most what OnOpAccept granted; `end`: nothing more will come.
  void Data(OpId op, Bytes bytes, bool end);
  void Cancel(OpId op);
  void Stop();

  const Counters& counters() const { return counters_; }
  const TcpStreams& streams() const { return streams_; }
  const H3Door* h3() const { return h3_.get(); }  // Null: none.
  Instant now() const { return now_; }
  int epoll_fd() const { return epoll_.get(); }
  TurnRunner& runner() { return runner_; }
  // For tests: syncs that are done stay unreported until the hold ends.
  void HoldSyncs(bool hold);

 private:
  struct Socket {
    std::unique_ptr<UdpSocket> udp;
    bool waits_for_room = false;  // EPOLLOUT is on.
    bool queued = false;          // In to_flush_.
  };
  struct Job {
    JobId id;
    JobKind kind;
    std::string args;
  };
  // Datagrams of a round, and what the last message has more: about half a millisecond. Then answers leave, and whatever
  // came meanwhile may overtake what still waits.
  static constexpr size_t kDatagramsMax = 128;

  // Datagrams that are heard before such a deadline: what the sockets of a full node hold, a tenth of a second's work.
  static constexpr size_t kMissedMax = 16384;

  void Perform(const Output& output, Bytes bytes) override;
  void StartSync() override;
  void Feed(const Input& input);
  // Reads the clocks: once for a batch of turns.
  void Tick();
  // Commits the turns so far, then lets their outputs leave.
  absl::Status Flush();
  // The first half of it: only datagrams leave.
  absl::Status Commit();
  void OpenSocket(SocketId id, const Endpoint& local, bool shared);
  void CloseSocket(SocketId id);
  void JoinGroup(SocketId id, const Endpoint& group, const Endpoint& interface);
  void Listen(SocketId id, const Endpoint& local, bool secure);
  bool IsH3(uint32_t id) const { return h3_ != nullptr && h3_->Owns(StreamId{id}); }
  void CountDead(bool alive) { counters_.dead_ids += alive ? 0 : 1; }
  void OnSocket(SocketId id, uint32_t events);
  void Deliver();
  // Hears what came while we were stopped, if we were.
  void CatchUp();
  void FlushSocket(Socket& s);
  void ReportSyncs();
  void OnInterfaces();
  void RunJobs();

  std::unique_ptr<RocksStore> store_;
  TurnRunner runner_;
  Outbox outbox_;
  Instant now_{};
  Duration unix_epoch_{};
  absl::Status failed_;
  OpDoor* door_ = nullptr;
  bool stopped_ = false, saw_stopped_ = false, hold_syncs_ = false, pump_ = false, catching_up_ = false;

  Fd epoll_, netlink_;
  absl::btree_map<int, std::shared_ptr<Handler>> handlers_;  // By descriptor; a handler may unwatch itself.
  absl::btree_map<uint32_t, Socket> sockets_;
  Inbox inbox_;
  std::unique_ptr<TlsContext> tls_;  // Outlives the streams.
  TcpStreams streams_;
  std::optional<TlsFiles> h3_files_;
  std::unique_ptr<H3Door> h3_;
  bool h3_ready_ = false;
  std::vector<Interface> interfaces_;
  Workers workers_;
  CageWorkers::Options cage_options_;
  std::unique_ptr<CageWorkers> cages_;
  absl::btree_set<uint32_t> ops_, jobs_;  // Alive.
  uint32_t next_op_ = 1;

  // Since the last flush:
  std::vector<uint32_t> to_flush_;             // Sockets with something to send.
  std::vector<Socket> closing_;                // They send what they were told before.
  std::vector<Job> to_run_;
  struct Tell {
    Do what;  // kOpEvent, kOpBytes, kOpFinal, kOpAccept.
    OpId op;
    std::string bytes;
    uint32_t credit;
  };
  std::vector<Tell> to_tell_;
  std::deque<Input> answers_;                  // SocketOpened and GroupJoined: inputs of the next turns.
  uint64_t syncs_requested_ = 0, syncs_reported_ = 0;
  Counters counters_;
};

}  // namespace orchard::host
