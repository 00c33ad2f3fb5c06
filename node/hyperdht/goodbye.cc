// Dht, continued: what it keeps announced, and how it takes that back.

#include <algorithm>

#include "node/base/check.h"
#include "node/hyperdht/dht.h"

namespace orchard::hyperdht {

// Something changed about our place in the network: the nodes that hold our announcements may have forgotten us, or be others.
void Dht::AnnounceSoon(Turn& turn) {
  for (Announcements::Announcement& a : announcements_.all()) {
    if (a.due == kNever) continue;  // A try is under way.
    a.due = std::min(a.due, turn.now + std::chrono::seconds(1) + Duration(int64_t(turn.rng.Below(4'000'000'000))));
  }
}

void Dht::Withdraw(Turn& turn, const Key32& target, const KeyPair& key, Ipv4Address to) {
  bool self = Hash(key.public_key) == target;
  dht::RequestId r = rpc_.Ask(turn, to, self ? kFindPeer : kLookup, target, std::nullopt, {.retries = 1});
  withdrawals_.emplace(r, Withdrawal{.target = target, .key = key, .to = to});
}

bool Dht::OnWithdrawalReply(Turn& turn, dht::RequestId request, const dht::Response* r) {
  auto it = withdrawals_.find(request);
  if (it == withdrawals_.end()) return false;
  Withdrawal w = it->second;
  withdrawals_.erase(it);
  // A node that has no record any more needs no signature either. Source: npm hyperdht lib/announcer.js, _unannounce.
  if (r == nullptr || w.has_token || !r->token.has_value() || !r->from_id.has_value() || !r->value.has_value()) return true;
  w.has_token = true;
  std::string value = SignedAnnounce(kUnannounce, w.target, w.key, {}, *r->from_id, *r->token);
  dht::RequestId next = rpc_.Ask(turn, w.to, kUnannounce, w.target, AsBytes(value), {.retries = 1, .token = r->token});
  withdrawals_.emplace(next, std::move(w));
  return true;
}

void Dht::OnStop(Turn& turn, News& news) {
  if (stopped_ || goodbye_by_ != kNever) return;
  for (auto& [id, running] : flows_) running.flow->Cancel(turn, rpc_);
  flows_.clear(), queries_.clear(), requests_.clear();
  peers_.OnStop(turn, node());
  TakeWithdrawals(turn);
  for (const Announcements::Announcement& a : announcements_.all()) {
    for (const dht::Contact& c : a.stored_at) {
      if (withdrawals_.size() < kWithdrawalsMax) Withdraw(turn, a.target, a.key, c.address);
    }
  }
  announcements_.all().clear();
  goodbye_by_ = turn.now + kGoodbyeMax;
  if (withdrawals_.empty()) FinishGoodbye(turn, news);
}

void Dht::FinishGoodbye(Turn& turn, News& news) {
  CHECK(!stopped_);
  withdrawals_.clear();
  rpc_.OnStop(turn);
  stopped_ = true;
  goodbye_by_ = kNever;
  news.push_back(GoodbyeSaid{});
}

// ---- The seq of our own mutable records ----

namespace {

std::string SeqKey(const Key32& public_key) { return "hyperdht/seq/" + std::string(AsText(public_key)); }

}  // namespace

uint64_t Dht::RememberedSeq(Turn& turn, const Key32& public_key) const {
  std::optional<Bytes> stored = turn.store.Get(AsBytes(SeqKey(public_key)));
  if (!stored.has_value()) return 0;
  absl::StatusOr<uint64_t> seq = DecodeMinimumSeq(*stored);
  return seq.ok() ? *seq : 0;
}

void Dht::RememberSeq(Turn& turn, const Key32& public_key, uint64_t seq) {
  if (seq <= RememberedSeq(turn, public_key)) return;
  turn.store.Put(AsBytes(SeqKey(public_key)), AsBytes(EncodeMinimumSeq(seq)));
  turn.store.Sync();
}

}  // namespace orchard::hyperdht
