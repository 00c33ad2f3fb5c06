#include "sim/run/swarm_reach.h"

#include <algorithm>
#include <numeric>

namespace orchard::sim {

void SwarmReach::Join(const std::string& topic, HostIndex host) {
  if (members_.size() >= kTopicsMax && !members_.contains(topic)) return;
  const UplinkPlan* way = WayOut(plan_.world, plan_.world.hosts[host]);
  mute_[host] = way == nullptr || std::any_of(way->nat.begin(), way->nat.end(), [](const NatRef& n) { return n.spec.udp_blocked; });
  topics_of_[host] += members_[topic].insert(host).second;
}

void SwarmReach::Leave(const std::string& topic, HostIndex host) {
  auto it = members_.find(topic);
  if (it == members_.end()) return;
  topics_of_[host] -= uint32_t(it->second.erase(host));
  if (it->second.empty()) members_.erase(it);
}

void SwarmReach::Down(HostIndex host) {
  if (topics_of_[host] == 0) return;
  for (auto it = members_.begin(); it != members_.end();) {
    it->second.erase(host);
    it = it->second.empty() ? members_.erase(it) : std::next(it);
  }
  topics_of_[host] = 0;
}

std::vector<SwarmReach::Share> SwarmReach::Shares(const std::vector<std::pair<HostIndex, HostIndex>>& open) const {
  std::vector<Share> out;
  for (const auto& [topic, members] : members_) {
    // Components by union and find over the topic's hosts.
    const std::vector<HostIndex> hosts(members.begin(), members.end());
    std::vector<size_t> root(hosts.size());
    std::iota(root.begin(), root.end(), 0);
    auto index = [&](HostIndex h) { return size_t(std::lower_bound(hosts.begin(), hosts.end(), h) - hosts.begin()); };
    auto find = [&](size_t i) {
      while (root[i] != i) i = root[i] = root[root[i]];
      return i;
    };
    for (const auto& [a, b] : open) {
      if (members.contains(a) && members.contains(b)) root[find(index(a))] = find(index(b));
    }
    std::vector<int64_t> size(hosts.size());
    int64_t all = 0;
    for (size_t i = 0; i < hosts.size(); ++i) {
      if (!mute_[hosts[i]]) ++size[find(i)], ++all;
    }
    for (size_t i = 0; i < hosts.size(); ++i) {
      const int64_t own = mute_[hosts[i]] ? 0 : 1, others = all - own;
      if (others > 0) out.push_back({hosts[i], (size[find(i)] - own) * 1'000'000 / others});
    }
  }
  return out;
}

}  // namespace orchard::sim
