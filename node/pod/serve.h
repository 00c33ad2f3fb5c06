// What we fetch for other members, over our own WAN. Not an open proxy: http alone, public addresses alone (unless the owner allows
// more), a chunk at a time, so many at once and so many bytes a second for each member. What is wrong with a request is named,
// counted, and answered with a Nack.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "node/base/turn.h"
#include "node/http/range_fetcher.h"
#include "node/pod/config.h"
#include "node/pod/members.h"
#include "node/pod/pace.h"

namespace orchard::pod {

enum class Denial : uint8_t {
  kNoUrl,         // The original forgets it when it reassigns.
  kBadUrl,        // No http url; https is not ours to read.
  kEmpty, kTooLong,
  kTooMany,       // Waiting, of that member.
  kPrivate,       // No public address (or one of our own).
  kFetchFailed,   // The origin did not give that range.
};
inline constexpr size_t kDenials = 7;
std::string_view NameOf(Denial why);

class Serve {
 public:
  static constexpr size_t kUnderWayMax = 32;          // At 1 MiB each.
  static constexpr size_t kWaitingPerPeer = Worker::kPipeMax;
  static constexpr size_t kUnsentMax = 1 << 20;       // Bytes that wait for a member; above, nothing more is fetched for it.
  static constexpr Duration kRateBurst = std::chrono::seconds(1);  // Of serve_rate, after a silence.

  struct Counters { uint64_t requests = 0, served = 0, bytes = 0, denied = 0, cancelled = 0; };

  explicit Serve(const PodConfig& config) : config_(config), fetcher_(kOriginPatience) {}

  void SetInterfaces(absl::Span<const Interface> interfaces);
  void OnRequest(Turn& turn, http::Ids& ids, Members& members, const DeviceId& peer, const ChunkRequest& request, MembersNews& news);
  void OnWritable(Turn& turn, http::Ids& ids, Members& members, MembersNews& news) { Pump(turn, ids, members, news); }
  void OnGone(Turn& turn, http::Ids& ids, const DeviceId& peer);
  bool OnInput(Turn& turn, http::Ids& ids, const Input& input, Members& members, MembersNews& news);
  void OnTime(Turn& turn, http::Ids& ids, Members& members, MembersNews& news);
  void Stop(Turn& turn);
  Instant next_deadline() const { return std::min(fetcher_.next_deadline(), pump_at_); }

  const Counters& counters() const { return counters_; }
  uint64_t denied(Denial why) const { return denied_[size_t(why)]; }
  uint64_t bytes_for(const DeviceId& peer) const;
  // The budget of a member (serve_rate), which relays use too: when it may have more, and that it got so much.
  Instant may_at(const DeviceId& peer) const;
  void Spend(Turn& turn, const DeviceId& peer, uint64_t bytes);
  size_t under_way() const { return jobs_.size(); }

 private:
  struct Wanted { TransferId transfer; uint64_t start, end; http::Url url; http::Validator validator; };
  struct Job { DeviceId peer; Wanted wanted; Instant begun; std::string body; };
  struct Client {
    std::vector<Wanted> waiting;
    size_t under_way = 0;
    uint64_t left = 0;   // Bytes still to come of those.
    Pace pace;
    uint64_t bytes = 0;
    Instant paid{};    // Until when its rate is used up.
  };

  void Pump(Turn& turn, http::Ids& ids, Members& members, MembersNews& news);
  void Take(Turn& turn, http::Ids& ids, Members& members, MembersNews& news);
  void Deny(Turn& turn, Members& members, const DeviceId& peer, const Nack& nack, Denial why, MembersNews& news);

  PodConfig config_;
  http::RangeFetcher fetcher_;
  http::FetchNews fetched_;
  absl::btree_map<DeviceId, Client> clients_;
  absl::btree_map<http::FetchId, Job> jobs_;
  uint32_t next_fetch_ = 1;
  Instant pump_at_ = kNever;
  Counters counters_;
  uint64_t denied_[kDenials] = {};
};

}  // namespace orchard::pod
