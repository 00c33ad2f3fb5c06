// Who is on a topic, and which of them hang together.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/language/plan.h"
#include "sim/world/world.h"

namespace orchard::sim {

class SwarmReach {
 public:
  static constexpr size_t kTopicsMax = 10'000;

  explicit SwarmReach(const Plan& plan) : plan_(plan), topics_of_(plan.world.hosts.size()), mute_(plan.world.hosts.size()) {}

  void Join(const std::string& topic, HostIndex host);
  void Leave(const std::string& topic, HostIndex host);
  void Down(HostIndex host);
  bool joined(HostIndex host) const { return topics_of_[host] > 0; }
  bool empty() const { return members_.empty(); }

  // `open` are pairs of hosts with a connection open at both ends.
  struct Share {
    HostIndex host;
    int64_t ppm;  // Of the topic's others.
  };
  // For each topic and host on it: the share of the topic's other hosts that it reaches over connections of hosts on the topic.
  // Nothing for a host that is alone on it. Not counted: hosts whose way to the world takes no UDP, whom nobody can reach.
  std::vector<Share> Shares(const std::vector<std::pair<HostIndex, HostIndex>>& open) const;

 private:
  const Plan& plan_;
  std::map<std::string, std::set<HostIndex>> members_;
  std::vector<uint32_t> topics_of_;
  std::vector<bool> mute_;  // By host that has joined: no UDP.
};

}  // namespace orchard::sim
