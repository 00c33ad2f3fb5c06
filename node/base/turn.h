// A node is a value that is fed inputs; each input is one turn, run to completion; everything the node wants from the world
// leaves through that turn's outbox. Rules that every host keeps (base/turn_runner.h does for all of them; the suite
// tests/support/host_suite.h and its neighbours for streams and groups run on each):
//  1. Order. A due deadline is delivered before any other input of the same `now`. `now` never goes back. First input: Start.
//     But a host that was stopped while time went on delivers the datagrams that came meanwhile first: else every timer of
//     that time would speak of a silence that there was not.
//  2. Commit. The turn's writes are one atomic batch, applied when Handle returns.
//  3. Gate. If a turn called Store::Sync(), its gated outputs and those of ALL later turns leave, in order, only when the
//     batch survives power loss. Gate::kNone outputs never wait.
//  4. Outputs are performed in the order written: OpenSocket then Send in one turn works. Outbox owns a copy of all bytes.
//  5. Ids are never reused. An output naming a dead id is dropped and counted; an input naming one is ignored by the node.
//  6. Failure is an input, never a return value: SocketOpened, GroupJoined, StreamClosed and JobDone carry the status.
//  7. Credit both ways: a node writes at most what OpCredit and StreamCredit granted; the host delivers at most what AcceptOp
//     and Accept granted. A socket's send queue is bounded: it drops the newest and counts. StreamEnded needs no credit, and comes
//     behind all data.
#pragma once

#include "node/base/input.h"
#include "node/base/outbox.h"
#include "node/base/rng.h"
#include "node/base/store.h"
#include "node/base/time.h"
#include "node/base/trace.h"

namespace orchard {

struct Turn {
  Instant now;          // Constant for the whole turn.
  Duration unix_epoch;  // Wall time = now + unix_epoch, as of this turn (the OS clock; fixed in a scenario).
  Rng& rng;
  Store& store;
  Outbox& out;
  Trace& trace;
};

// What a host runs. After a Deadline turn, next_deadline() is later than its `now`.
class Machine {
 public:
  virtual ~Machine() = default;
  virtual void Handle(Turn& turn, const Input& input) = 0;
  virtual Instant next_deadline() const = 0;
};

}  // namespace orchard
