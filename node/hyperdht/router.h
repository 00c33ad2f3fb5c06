// Relays the handshake and holepunch messages of others, and remembers through whom a peer is reached. Relays hold no state
// per handshake: they send the request on with the same transaction id, and the answer comes back as a request that becomes
// the client's response. Every node does so, ephemeral ones too: whoever announced itself at a node relies on it.
// Source: npm hyperdht lib/router.js.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/btree_map.h"
#include "node/base/endpoint.h"
#include "node/base/time.h"
#include "node/hyperdht/action.h"
#include "node/hyperdht/cache.h"

namespace orchard::hyperdht {

class Router {
 public:
  static constexpr size_t kForwardsMax = 65536;
  static constexpr Duration kAge = std::chrono::minutes(20);

  // A peer that announced itself here: where it did so from, and what it said.
  struct Forward {
    Endpoint relay;
    std::string record;
  };

  void Set(Instant now, const Key32& target, Forward forward) { forwards_.Set(now, target, std::move(forward)); }
  const Forward* Get(Instant now, const Key32& target);
  void Erase(Instant now, const Key32& target) { forwards_.Erase(now, target); }

  // A server of this node: `record` is what FIND_PEER answers. It does not age, and no announcement replaces it.
  void Own(const Key32& target, std::string record) { own_.insert_or_assign(target, Forward{.relay = {}, .record = std::move(record)}); }
  void Disown(const Key32& target) { own_.erase(target); }
  bool owns(const Key32& target) const { return own_.contains(target); }

  // What a relay does; the owner's part is Peers'.
  Action OnPeerHandshake(Instant now, const UserRequest& request);
  Action OnPeerHolepunch(Instant now, const UserRequest& request);

  size_t size() const { return forwards_.size(); }
  bool owns_memory() const { return forwards_.owns_memory(); }

 private:
  Xache<Forward> forwards_{kForwardsMax, kAge};
  absl::btree_map<Key32, Forward> own_;  // At most Peers::kServersMax.
};

}  // namespace orchard::hyperdht
