// The host rules 1 to 4 (base/turn.h), once for all hosts: a host owns one runner per machine, feeds it inputs, and
// performs what comes out.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "node/base/turn.h"

namespace orchard {

// A store as its host sees it: batches that are committed, then synced.
class HostStore : public Store {
 public:
  struct Committed {
    bool any = false;    // The turn wrote.
    bool sync = false;   // The turn called Sync().
  };
  // Ends the turn: its writes become visible to other processes' deaths, not yet to power loss. Folds the batch into
  // `digest` unless null. A failed commit stops the process.
  virtual Committed Commit(Digest* digest) = 0;
};

class TurnRunner {
 public:
  class Host {
   public:
    virtual ~Host() = default;
    virtual void Perform(const Output& output, Bytes bytes) = 0;
    // All turns up to now must survive power loss; answer with Synced(), once per call, in order.
    virtual void StartSync() = 0;
  };
  // `digest` (the fingerprint) and `sink` may be null.
  TurnRunner(std::unique_ptr<Machine> machine, Rng rng, HostStore* store, Digest* digest, Trace::Sink* sink);

  // Feeds `input` at `now`; a due deadline goes first. `outbox` is scratch and may be shared by all runners of a thread.
  void Feed(Instant now, Duration unix_epoch, const Input& input, Host& host, Outbox& outbox);
  // A datagram that came while the host was stopped: a due deadline waits until all of them are fed.
  void FeedMissed(Instant now, Duration unix_epoch, const Datagram& datagram, Host& host, Outbox& outbox);
  // Feeds Deadline if one is due; else does nothing.
  void FeedDeadline(Instant now, Duration unix_epoch, Host& host, Outbox& outbox);
  // The oldest StartSync() is done: opens the gate, unless a later turn shut it again.
  void Synced(Host& host);

  Instant next_deadline() const { return machine_->next_deadline(); }
  Machine& machine() { return *machine_; }
  const Machine& machine() const { return *machine_; }
  bool gate_shut() const { return syncs_started_ > syncs_done_; }
  uint64_t turns() const { return turns_; }

 private:
  struct Held {
    Output output;
    std::string bytes;
    uint64_t opens_after;  // Leaves when this many syncs are done.
  };
  void RunTurn(Instant now, Duration unix_epoch, const Input& input, Host& host, Outbox& outbox);

  std::unique_ptr<Machine> machine_;
  Rng rng_;
  HostStore* store_;
  Digest* digest_;
  Trace::Sink* sink_;
  std::unique_ptr<std::deque<Held>> held_;  // Made when first needed: an empty deque is 704 bytes.
  uint64_t syncs_started_ = 0, syncs_done_ = 0, turns_ = 0;
  Instant last_{};
};

}  // namespace orchard
