// Message bytes from one host to another: what is under way, what was lost, and how long the receiver heard nothing although
// there was something to hear.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "sim/run/recorder.h"
#include "sim/world/world.h"

namespace orchard::sim {

class Flows {
 public:
  static constexpr Duration kStall = std::chrono::seconds(1);  // So long a silence is told of: stream.stalled.
  static constexpr size_t kFlowsMax = 200'000;

  explicit Flows(Recorder& recorder) : recorder_(recorder) {}

  // `tag` and `as` are those of the samples, as the host has them that sends or receives.
  void Sent(Instant now, HostIndex from, HostIndex to, uint64_t bytes, Tag tag, uint16_t as);
  void Received(Instant now, HostIndex from, HostIndex to, uint64_t bytes, Tag tag, uint16_t as);
  // An operation `send` is under way: between two of its messages there is still something to hear.
  void Transfer(HostIndex from, HostIndex to, int change);
  // No connection between the two is left: what is under way is lost.
  void Settle(Instant now, HostIndex a, HostIndex b);
  // At the end of a second: receivers to whom the silence has become long.
  struct Stalled {
    HostIndex host;
    Tag tag;
    uint16_t as;
  };
  std::vector<Stalled> Second(Instant now);
  void Finish(Instant now);

 private:
  using Way = std::pair<HostIndex, HostIndex>;  // From, to.
  struct Flow {
    uint64_t sent = 0, received = 0;
    Instant owed_since{}, last{};  // Since when there is something to hear; when something was heard last.
    uint32_t transfers = 0;
    Tag sent_tag = 0, tag = 0;
    uint16_t as = 0;
    bool owed = false, stalled = false;
  };
  void Pay(Way way, Flow& flow);
  void Lose(Instant now, Way way, Flow& flow);

  Recorder& recorder_;
  std::map<Way, Flow> flows_;
  std::set<Way> owed_;
};

}  // namespace orchard::sim
