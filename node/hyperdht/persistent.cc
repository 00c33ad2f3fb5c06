#include "node/hyperdht/persistent.h"

#include <algorithm>

#include "node/hyperdht/signatures.h"

namespace orchard::hyperdht {
namespace {

using Outcome = Persistent::Outcome;

Outcome Refuse(std::string_view why) { return {.action = Action::Silence(why)}; }

Key32 PublicKeyOf(const std::string& record) {
  Key32 key;
  std::copy_n(AsBytes(record).begin(), key.size(), key.begin());
  return key;
}

}  // namespace

Outcome Persistent::OnRequest(const Context& c, const UserRequest& request) {
  if (request.value.has_value() && request.value->size() > kStoredValueMax) return Refuse("oversize");
  if (!request.target.has_value() && request.command <= kImmutableGet) return Refuse("no-target");
  switch (request.command) {
    case kFindPeer: return OnFindPeer(c, request);
    case kLookup: return OnLookup(c, request);
    case kAnnounce: return OnAnnounce(c, request);
    case kUnannounce: return OnUnannounce(c, request);
    case kMutablePut: return OnMutablePut(c, request);
    case kMutableGet: return OnMutableGet(c, request);
    case kImmutablePut: return OnImmutablePut(c, request);
    case kImmutableGet: return OnImmutableGet(c, request);
    case kPlugin: return Refuse("no-plugin");  // A node without that plugin does not answer; we have none.
    default: return {.action = {.kind = Action::Kind::kUnknownCommand}};
  }
}

Outcome Persistent::OnFindPeer(const Context& c, const UserRequest& request) {
  const Router::Forward* forward = c.router.Get(c.now, *request.target);
  if (forward == nullptr) return {.action = Action::Reply(std::nullopt)};
  return {.action = Action::Reply(forward->record)};
}

Outcome Persistent::OnLookup(const Context& c, const UserRequest& request) {
  std::vector<std::string> blobs = records_.Sample(c.now, *request.target, kLookupPeersMax, c.rng);
  const uint64_t* bump = bumps_.Get(c.now, *request.target);
  const Router::Forward* forward = c.router.Get(c.now, *request.target);
  if (forward != nullptr && blobs.size() < kLookupPeersMax) blobs.push_back(forward->record);
  if (blobs.empty()) return {.action = Action::Reply(std::nullopt)};
  return {.action = Action::Reply(LookupReply::Encode(blobs, bump == nullptr ? 0 : *bump))};
}

Outcome Persistent::OnAnnounce(const Context& c, const UserRequest& request) {
  if (!request.token.has_value()) return Refuse("no-token");
  if (!request.value.has_value()) return Refuse("no-value");
  absl::StatusOr<AnnounceMessage> m = AnnounceMessage::Decode(*request.value);
  if (!m.ok()) return Refuse("malformed");
  if (!m->peer.has_value()) return m->refresh.has_value() ? OnRefresh(c, request, *m->refresh) : Refuse("no-peer");
  if (!m->signature.has_value()) return Refuse("bad-signature");
  Signable signable = AnnounceSignable(kAnnounce, *request.target, *request.token, c.id, *m);
  if (!Verify(*m->signature, signable, m->peer->public_key)) return Refuse("bad-signature");

  if (m->peer->relay_addresses.size() > kRelayAddressesMax) m->peer->relay_addresses.resize(kRelayAddressesMax);
  bool announce_self = Hash(m->peer->public_key) == *request.target;
  std::string record = m->peer->Encode();
  if (!announce_self && m->bump > 0) {
    const uint64_t* current = bumps_.Get(c.now, *request.target);
    int64_t wall_ms = ToMillis(c.now.time_since_epoch() + c.unix_epoch);
    if (m->bump > (current == nullptr ? 0 : *current) && int64_t(m->bump) <= wall_ms + kBumpDriftMs) {
      bumps_.Set(c.now, *request.target, m->bump);
    }
  }
  if (m->refresh.has_value()) {
    refreshes_.Set(c.now, *m->refresh, {.target = *request.target, .record = record, .announce_self = announce_self});
  }
  Keep(c, *request.target, request.from, std::move(record), announce_self);
  return {.action = Action::Done(), .stored = announce_self ? "self" : "peer"};
}

// A chain of hashes: whoever shows the preimage of the stored refresh prolongs the record, without signing anew.
Outcome Persistent::OnRefresh(const Context& c, const UserRequest& request, const Key32& refresh) {
  Key32 stored = Hash(refresh);
  Refresh* found = refreshes_.Get(c.now, stored);
  if (found == nullptr) return Refuse("unknown-refresh");
  Refresh r = std::move(*found);
  refreshes_.Erase(c.now, stored);
  Keep(c, r.target, request.from, r.record, r.announce_self);
  std::string_view kind = r.announce_self ? "self" : "peer";
  refreshes_.Set(c.now, refresh, std::move(r));
  return {.action = Action::Done(), .stored = kind};
}

void Persistent::Keep(const Context& c, const Key32& target, const Endpoint& from, std::string record, bool announce_self) {
  if (!announce_self) return records_.Add(c.now, target, AsBytes(record));
  records_.Remove(c.now, target, PublicKeyOf(record));
  c.router.Set(c.now, target, {.relay = from, .record = std::move(record)});
}

Outcome Persistent::OnUnannounce(const Context& c, const UserRequest& request) {
  if (!request.token.has_value()) return Refuse("no-token");
  if (!request.value.has_value()) return Refuse("no-value");
  absl::StatusOr<AnnounceMessage> m = AnnounceMessage::Decode(*request.value);
  if (!m.ok()) return Refuse("malformed");
  if (!m->peer.has_value()) return Refuse("no-peer");
  if (!m->signature.has_value()) return Refuse("bad-signature");
  Signable signable = AnnounceSignable(kUnannounce, *request.target, *request.token, c.id, *m);
  if (!Verify(*m->signature, signable, m->peer->public_key)) return Refuse("bad-signature");
  Unannounce(c.now, c.router, *request.target, m->peer->public_key);
  return {.action = Action::Done()};
}

void Persistent::Unannounce(Instant now, Router& router, const Key32& target, const Key32& public_key) {
  if (Hash(public_key) == target) router.Erase(now, target);
  records_.Remove(now, target, public_key);
}

Outcome Persistent::OnMutableGet(const Context& c, const UserRequest& request) {
  if (!request.value.has_value()) return Refuse("no-value");
  absl::StatusOr<uint64_t> least = DecodeMinimumSeq(*request.value);
  if (!least.ok()) return Refuse("malformed");
  const std::string* stored = mutables_.Get(c.now, *request.target);
  if (stored == nullptr) return {.action = Action::Reply(std::nullopt)};
  absl::StatusOr<MutableRecord> record = MutableRecord::Decode(AsBytes(*stored));
  CHECK(record.ok());  // We encoded it.
  return {.action = Action::Reply(record->seq < *least ? std::nullopt : std::optional(*stored))};
}

Outcome Persistent::OnMutablePut(const Context& c, const UserRequest& request) {
  if (!request.token.has_value()) return Refuse("no-token");
  if (!request.value.has_value()) return Refuse("no-value");
  absl::StatusOr<MutablePut> put = MutablePut::Decode(*request.value);
  if (!put.ok()) return Refuse("malformed");
  if (Hash(put->public_key) != *request.target) return Refuse("bad-target");
  if (!Verify(put->signature, MutableSignable(put->seq, AsBytes(put->value)), put->public_key)) {
    return Refuse("bad-signature");
  }
  if (const std::string* stored = mutables_.Get(c.now, *request.target); stored != nullptr) {
    absl::StatusOr<MutableRecord> old = MutableRecord::Decode(AsBytes(*stored));
    CHECK(old.ok());
    if (put->seq == old->seq && put->value != old->value) {
      return {.action = Action::Fail(uint8_t(Error::kSeqReused), "seq-reused")};
    }
    if (put->seq < old->seq) return {.action = Action::Fail(uint8_t(Error::kSeqTooLow), "seq-too-low")};
  }
  MutableRecord record{.seq = put->seq, .value = std::move(put->value), .signature = put->signature};
  mutables_.Set(c.now, *request.target, record.Encode());
  return {.action = Action::Reply(std::nullopt), .stored = "mutable"};
}

Outcome Persistent::OnImmutableGet(const Context& c, const UserRequest& request) {
  const std::string* stored = immutables_.Get(c.now, *request.target);
  return {.action = Action::Reply(stored == nullptr ? std::nullopt : std::optional(*stored))};
}

Outcome Persistent::OnImmutablePut(const Context& c, const UserRequest& request) {
  if (!request.token.has_value()) return Refuse("no-token");
  if (!request.value.has_value()) return Refuse("no-value");
  if (Hash(*request.value) != *request.target) return Refuse("bad-target");
  immutables_.Set(c.now, *request.target, std::string(AsText(*request.value)));
  return {.action = Action::Reply(std::nullopt), .stored = "immutable"};
}

}  // namespace orchard::hyperdht
