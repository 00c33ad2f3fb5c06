// Standing announcements: each is repeated about every five minutes while this process lives, and taken back when it says
// goodbye. Remembers where each one lies, since only those nodes need to hear of the end. Source: npm hyperdht
// lib/announcer.js (~5 min), and records age after 13 to 27 minutes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "node/base/rng.h"
#include "node/base/time.h"
#include "node/dht/news.h"
#include "node/hyperdht/signatures.h"

namespace orchard::hyperdht {

class Announcements {
 public:
  static constexpr size_t kMax = 256;
  static constexpr Duration kRefresh = std::chrono::minutes(5);
  // A failed repetition is tried again sooner.
  static constexpr Duration kRetry = std::chrono::seconds(30);

  struct Announcement {
    Key32 target;
    KeyPair key;
    std::vector<Endpoint> relays;
    std::vector<dht::Contact> stored_at;
    Instant due = kNever;    // kNever while a flow is at it.
  };

  // The announcement of `key` for `target`, made if absent; null if there are kMax already.
  Announcement* Keep(const Key32& target, const KeyPair& key, std::vector<Endpoint> relays);
  Announcement* Find(const Key32& target, const Key32& public_key);
  bool Forget(const Key32& target, const Key32& public_key);
  // A try is over. The nodes are those that stored it; kept from before if there are none. The next is due in kRefresh, or
  // kRetry if it failed, up to a tenth earlier, so that a storm of starts does not stay one.
  void Tried(Instant now, Rng& rng, Announcement& a, std::vector<dht::Contact> stored_at, bool ok);

  Instant next() const;
  Announcement* due(Instant now);
  std::vector<Announcement>& all() { return list_; }
  const std::vector<Announcement>& all() const { return list_; }

 private:
  std::vector<Announcement> list_;  // In the order they were made.
};

}  // namespace orchard::hyperdht
