// The members of a pod: found by beacons, dialled, one session with each. docs/PEAPOD.md §2.
//
// Both sides of a pair hear of each other, and both may dial. The one with the smaller id does so at once, the other a moment
// later if nothing came; if there are two connections all the same, the one that the smaller id dialled stays, and it is
// that side which closes the other, so that nobody sees the pair without a connection meanwhile. Dials are few whatever beacons
// say: a budget over all, a limit per address, and a back-off for each device.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "node/base/turn.h"
#include "node/http/ids.h"
#include "node/pod/config.h"
#include "node/pod/discovery.h"
#include "node/pod/link.h"

namespace orchard::pod {

// Its session is open, and counts.
struct MemberJoined { DeviceId device; };
// Another session took the place of its old one: what was asked on that is lost.
struct MemberReplaced { DeviceId device; };
struct MemberGone { DeviceId device; std::string_view why; };
// A genuine record of it; its message, if we know it.
struct MemberSaid { DeviceId device; Message message; };
// So many bytes of a record of `length` have come.
struct MemberProgress { DeviceId device; size_t so_far, length; };
// There is less waiting for it than before.
struct MemberWritable { DeviceId device; };

struct MembersNews {
  std::vector<std::variant<MemberJoined, MemberReplaced, MemberGone, MemberSaid, MemberProgress, MemberWritable>> list;
  std::vector<std::unique_ptr<uint8_t[]>> kept;  // What messages borrow from.
};

class Members {
 public:
  static constexpr size_t kLinksMax = 96;                  // Two for each of a full pod, and strangers.
  static constexpr size_t kLinksPerHost = 12;              // At one address: nodes of one machine, twice.
  static constexpr size_t kUnopenedMax = 24;               // Accepted, and not yet known to be genuine.
  static constexpr size_t kUnopenedPerHost = 4;
  static constexpr Duration kConnectPatience = std::chrono::seconds(4);   // A LAN; one SYN and one more may be lost.
  static constexpr Duration kHelloPatience = std::chrono::seconds(10);
  static constexpr Duration kLoserPatience = std::chrono::seconds(5);
  static constexpr Duration kPoliteness = std::chrono::milliseconds(500);  // The larger id lets the smaller dial first.
  static constexpr Duration kBackoffMin = std::chrono::seconds(1), kBackoffMax = std::chrono::seconds(60);
  static constexpr Duration kProven = std::chrono::seconds(10);           // A session that lived so long was no failure.
  static constexpr size_t kDialsPerHost = 2;               // Under way to one address.
  static constexpr Duration kDialEvery = std::chrono::milliseconds(500);  // Over all, beyond a burst: beacons may be spoofed.
  static constexpr int kDialBurst = 16;
  static constexpr Duration kRelistenEvery = std::chrono::seconds(10);
  // A record holds one chunk at most.
  static constexpr size_t kRecordMax = Core::kChunkMax + 4096;

  struct Counters {
    uint64_t dials = 0, dials_failed = 0, accepted = 0, refused = 0, hello_timeouts = 0, doubles = 0, crowded = 0;
  };

  Members(const PodConfig& config, const Identity& own, uint32_t first_socket);

  void Start(Turn& turn, absl::Span<const Interface> interfaces);
  void SetInterfaces(Turn& turn, absl::Span<const Interface> interfaces) { discovery_.SetInterfaces(turn, interfaces); }
  // True if the input is about its sockets and streams.
  bool OnInput(Turn& turn, http::Ids& ids, const Input& input, MembersNews& news);
  void OnTime(Turn& turn, http::Ids& ids, MembersNews& news);
  // Says Leave to all.
  void Stop(Turn& turn);
  Instant next_deadline() const;

  // False if it is no member, or takes nothing: then it is none any more, with news.
  bool Send(Turn& turn, const DeviceId& device, const Message& message, MembersNews& news);
  size_t pending(const DeviceId& device) const;  // Bytes that wait for it.
  // Closes its session.
  void Drop(Turn& turn, const DeviceId& device, std::string_view why, MembersNews& news);

  const Counters& counters() const { return counters_; }
  const Discovery& discovery() const { return discovery_; }
  const Link* link(const DeviceId& device) const;
  size_t links() const { return links_.size(); }
  uint16_t port() const { return port_; }
  absl::StatusCode listen_failure() const { return listen_failure_; }
  const DeviceId& own() const { return own_.device; }

 private:
  struct Peer {                       // Whom we would dial.
    Instant dial_at = kNever;
    Duration backoff{};               // Of the last failure.
    std::optional<StreamId> dialling;
    Dialect dialect = Dialect::kCode;
    bool other_dialect = false;       // Tried already, since the last session.
  };
  using Links = absl::btree_map<StreamId, std::unique_ptr<Link>>;

  void Listen(Turn& turn, uint16_t port);
  bool OnSocketOpened(Turn& turn, const SocketOpened& opened);
  void OnAccepted(Turn& turn, const StreamOpened& opened);
  void OnData(Turn& turn, Link& link, Bytes bytes, MembersNews& news);
  void OnOpened(Turn& turn, Link& link, MembersNews& news);
  void TakeDiscovery(Turn& turn, const Discovery::News& found, MembersNews& news);
  void Dial(Turn& turn, http::Ids& ids, const DeviceId& device, Peer& peer);
  // The stream is gone already, if not `close`.
  void Lose(Turn& turn, StreamId stream, std::string_view why, bool close, MembersNews& news);
  void Retry(Turn& turn, const Link& link);
  Session::Config SessionOf(bool connector) const;

  PodConfig config_;
  Identity own_;
  uint32_t next_socket_;
  Discovery discovery_;
  std::optional<SocketId> listener_;
  uint16_t port_ = 0;
  absl::StatusCode listen_failure_ = absl::StatusCode::kOk;
  bool any_port_ = false;                           // Tried, since ours is taken.
  Instant relisten_at_ = kNever;
  absl::btree_map<DeviceId, Peer> peers_;           // Those that discovery knows.
  Links links_;
  absl::btree_map<DeviceId, StreamId> current_;     // The session that counts.
  Instant dials_paid_ = Instant{};                  // Until when the budget is used up.
  Counters counters_;
};

}  // namespace orchard::pod
