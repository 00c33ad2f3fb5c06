// What the original's host does with its core (faithful_core.h), for `faithful-bugs`: one task per request, its own chunks fetched one
// after the other while those of members behind them wait to be asked for, 30 s for all, the body in one piece at the end or
// nothing. Source: pea-linux c85a76f src/proxy.rs, by behaviour.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "node/base/turn.h"
#include "node/http/ids.h"
#include "node/http/range_fetcher.h"
#include "node/pod/download.h"
#include "node/pod/faithful_core.h"
#include "node/pod/members.h"

namespace orchard::pod {

class FaithfulPod {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(30), kTick = std::chrono::seconds(1);
  static constexpr size_t kTasksMax = 64;  // Ours.

  // What a call may need of its parent.
  struct Hands {
    Members& members;
    http::Ids& ids;
    http::RangeFetcher& own_wan;
    MembersNews& heard;
    http::FetchNews& fetched;
  };

  explicit FaithfulPod(const DeviceId& own) : core_(own) {}

  std::optional<TransferId> Start(Turn& turn, const DownloadRequest& request, Hands hands);
  void Abort(Turn& turn, const TransferId& transfer, Hands hands);
  void OnJoined(Turn& turn, const DeviceId& device);
  void OnLeft(Turn& turn, const DeviceId& device, Hands hands);
  void OnSaid(Turn& turn, const DeviceId& device, const Message& message, Hands hands, PodNews& news);
  void OnFetched(Turn& turn, const http::FetchNews& list, Hands hands, PodNews& news);
  void OnTime(Turn& turn, Hands hands, PodNews& news);
  Instant next_deadline() const;
  size_t peers() const { return core_.peers().size(); }

 private:
  struct Task {
    http::Url url;
    uint64_t first = 0;
    std::vector<FaithfulCore::Assignment> plan;
    size_t next = 0;                      // Of the plan.
    std::optional<http::FetchId> fetch;   // Of plan[next], over our own WAN.
    std::string got;
    Instant deadline = kNever;
  };
  void Advance(Turn& turn, const TransferId& id, Task& task, Hands hands);
  void Received(Turn& turn, const ChunkData& data, PodNews& news);
  void Send(Turn& turn, const std::vector<FaithfulCore::Outbound>& list, Hands hands);

  FaithfulCore core_;
  absl::btree_map<TransferId, Task> tasks_;
  uint32_t next_fetch_ = 1;
  Instant tick_at_ = kNever;
};

}  // namespace orchard::pod
