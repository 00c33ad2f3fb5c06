// How much each host has of something that is bounded per host. The owner bounds the sum, and so the size of the table.
#pragma once

#include <array>
#include <cstdint>

#include "absl/container/btree_map.h"
#include "node/base/check.h"
#include "node/base/endpoint.h"

namespace orchard::hyperdht {

class HostCounts {
 public:
  uint32_t of(const Endpoint& host) const {
    auto it = counts_.find(host.ip);
    return it == counts_.end() ? 0 : it->second;
  }
  void Add(const Endpoint& host) { ++counts_[host.ip]; }
  void Remove(const Endpoint& host) {
    auto it = counts_.find(host.ip);
    CHECK(it != counts_.end());
    if (--it->second == 0) counts_.erase(it);
  }
  size_t hosts() const { return counts_.size(); }

 private:
  absl::btree_map<std::array<uint8_t, 16>, uint32_t> counts_;
};

}  // namespace orchard::hyperdht
