// The storing half of a persistent node: announcements by topic, self announcements, mutable and immutable values. What
// lacks a required part, is forged or is malformed meets silence, and is counted. Source: npm hyperdht lib/persistent.js.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "node/base/rng.h"
#include "node/base/time.h"
#include "node/hyperdht/action.h"
#include "node/hyperdht/cache.h"
#include "node/hyperdht/messages.h"
#include "node/hyperdht/router.h"

namespace orchard::hyperdht {

class Persistent {
 public:
  static constexpr size_t kRecordsMax = 65536, kValuesMax = 32768;
  static constexpr Duration kRecordAge = std::chrono::minutes(20), kValueAge = std::chrono::hours(48);
  // A bump (the announcer's wall clock) may run ahead of ours so far.
  static constexpr int64_t kBumpDriftMs = 60'000;

  // What a handler needs besides the request.
  struct Context {
    Instant now;
    Duration unix_epoch;
    Rng& rng;
    Router& router;
    const Key32& id;  // This node's.
  };
  // `stored` names what a request added, for the trace: "", "peer", "self", "mutable" or "immutable".
  struct Outcome {
    Action action;
    std::string_view stored;
  };

  // Any user command but the two that the Router serves.
  Outcome OnRequest(const Context& c, const UserRequest& request);
  // Forgets what `public_key` announced for `target` here, without a signature: only for this node's own wishes.
  void Unannounce(Instant now, Router& router, const Key32& target, const Key32& public_key);

  size_t records() const { return records_.size(); }
  size_t mutables() const { return mutables_.size(); }
  size_t immutables() const { return immutables_.size(); }
  bool owns_memory() const {
    return records_.owns_memory() || refreshes_.owns_memory() || bumps_.owns_memory() || mutables_.owns_memory() ||
           immutables_.owns_memory();
  }

 private:
  struct Refresh {
    Key32 target;
    std::string record;
    bool announce_self;
  };
  Outcome OnFindPeer(const Context& c, const UserRequest& request);
  Outcome OnLookup(const Context& c, const UserRequest& request);
  Outcome OnAnnounce(const Context& c, const UserRequest& request);
  Outcome OnRefresh(const Context& c, const UserRequest& request, const Key32& refresh);
  Outcome OnUnannounce(const Context& c, const UserRequest& request);
  Outcome OnMutableGet(const Context& c, const UserRequest& request);
  Outcome OnMutablePut(const Context& c, const UserRequest& request);
  Outcome OnImmutableGet(const Context& c, const UserRequest& request);
  Outcome OnImmutablePut(const Context& c, const UserRequest& request);
  void Keep(const Context& c, const Key32& target, const Endpoint& from, std::string record, bool announce_self);

  RecordCache records_{kRecordsMax, kRecordAge};
  Xache<Refresh> refreshes_{kRecordsMax, kRecordAge};
  Xache<uint64_t> bumps_{kRecordsMax, kRecordAge};
  Xache<std::string> mutables_{kValuesMax, kValueAge};
  Xache<std::string> immutables_{kValuesMax, kValueAge};
};

}  // namespace orchard::hyperdht
