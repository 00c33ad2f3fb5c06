#include "node/base/turn_runner.h"

#include <utility>
#include <variant>

#include "node/base/check.h"

namespace orchard {

TurnRunner::TurnRunner(std::unique_ptr<Machine> machine, Rng rng, HostStore* store, Digest* digest, Trace::Sink* sink)
    : machine_(std::move(machine)), rng_(std::move(rng)), store_(store), digest_(digest), sink_(sink) {}

void TurnRunner::Feed(Instant now, Duration unix_epoch, const Input& input, Host& host, Outbox& outbox) {
  if (!std::holds_alternative<Deadline>(input)) FeedDeadline(now, unix_epoch, host, outbox);  // Rule 1.
  RunTurn(now, unix_epoch, input, host, outbox);
}

void TurnRunner::FeedMissed(Instant now, Duration unix_epoch, const Datagram& datagram, Host& host, Outbox& outbox) {
  RunTurn(now, unix_epoch, datagram, host, outbox);
}

void TurnRunner::FeedDeadline(Instant now, Duration unix_epoch, Host& host, Outbox& outbox) {
  if (machine_->next_deadline() > now) return;
  RunTurn(now, unix_epoch, Deadline{}, host, outbox);
  CHECK_GT(ToNanos(machine_->next_deadline()), ToNanos(now));
}

void TurnRunner::RunTurn(Instant now, Duration unix_epoch, const Input& input, Host& host, Outbox& outbox) {
  CHECK_GE(ToNanos(now), ToNanos(last_));
  CHECK(outbox.empty());  // A turn never starts inside another.
  last_ = now, ++turns_;
  Trace trace(digest_, sink_);
  Turn turn{now, unix_epoch, rng_, *store_, outbox, trace};
  machine_->Handle(turn, input);
  if (store_->Commit(digest_).sync) ++syncs_started_, host.StartSync();

  // Perform may feed another machine, or this one's next turn, only after the loop: hosts queue what they cause.
  for (const Output& o : outbox.outputs()) {
    Bytes bytes = outbox.bytes(o);
    if (digest_ != nullptr) {
      digest_->Add(uint64_t(o.what) << 56 | uint64_t(o.ttl) << 48 | o.id);
      digest_->Add(uint64_t(ToNanos(now)));
      if (o.what == Do::kSend || o.what == Do::kConnect) digest_->Add(Bytes(o.peer.ip)), digest_->Add(o.peer.port);
      if (o.what == Do::kAccept) digest_->Add(o.credit);
      digest_->Add(bytes);
    }
    if (o.gate == Gate::kDurable && syncs_started_ > syncs_done_) {
      if (held_ == nullptr) held_ = std::make_unique<std::deque<Held>>();
      held_->push_back({o, std::string(AsText(bytes)), syncs_started_});
    } else {
      host.Perform(o, bytes);
    }
  }
  outbox.Clear();
}

void TurnRunner::Synced(Host& host) {
  CHECK_LT(syncs_done_, syncs_started_);
  ++syncs_done_;
  while (held_ != nullptr && !held_->empty() && held_->front().opens_after <= syncs_done_) {
    Held h = std::move(held_->front());
    held_->pop_front();
    host.Perform(h.output, AsBytes(h.bytes));
  }
  if (held_ != nullptr && held_->empty()) held_.reset();
}

}  // namespace orchard
