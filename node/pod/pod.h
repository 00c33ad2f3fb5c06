// The pod of a node: members, what is fetched for them, and downloads over all of them. A child of the node; it owns the machines
// of this folder and gives each what concerns it.
//
// A download is the core's affair; this class does what the core wants: chunks over our own WAN by a RangeFetcher that is held
// to the validator, chunks of members by ChunkRequests. What members ask of us is served apart (serve.h), over connections of its
// own and under its own rules.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "node/base/turn.h"
#include "node/http/ids.h"
#include "node/http/range_fetcher.h"
#include "node/pod/config.h"
#include "node/pod/core.h"
#include "node/pod/download.h"
#include "node/pod/members.h"
#include "node/pod/relay_serve.h"
#include "node/pod/relay_use.h"
#include "node/pod/serve.h"

namespace orchard::pod {

class FaithfulPod;

// A download, with who brought what so far: each member, and ourselves.
struct DownloadState {
  TransferId transfer{};
  std::string url;
  uint64_t bytes = 0;                        // Asked for.
  Instant began{};
  std::string_view state;                    // "running", "done", or how it failed.
  absl::btree_map<DeviceId, uint64_t> by;
};

class Pod final : public Downloads, public Relays {
 public:
  // Of sockets and listeners: those of the DHT lie below, and whoever else listens in this node takes from kPodSocket + 0x20000000 on.
  static constexpr uint32_t kPodSocket = 0x40000000;
  static constexpr std::string_view kSecretKey = "pod/secret";  // In the store: 32 bytes of X25519.

  struct Counters {
    uint64_t downloads = 0, done = 0, failed = 0, own_bytes = 0, peer_bytes = 0, formed = 0, left = 0;
  };
  struct Peer {
    DeviceId device;
    Endpoint at;
    bool dialled = false, id_bound = false;
    Instant since{};
    uint64_t rate = 0, rtt_ns = 0, served = 0, serves_it = 0, under_way = 0;  // Bytes per second; bytes of it for us, of us for it; requests it owes.
    bool isolated = false;
  };

  static constexpr size_t kRecentMax = 8;

  // The identity is read from the store, or drawn and kept there, at Start.
  explicit Pod(const PodConfig& config);
  ~Pod() override;

  void Start(Turn& turn, absl::Span<const Interface> interfaces);
  // True if the input is about its sockets, streams and jobs.
  bool OnInput(Turn& turn, const Input& input, PodNews& news);
  void OnInterfacesChanged(Turn& turn, absl::Span<const Interface> interfaces);
  void OnTime(Turn& turn, PodNews& news);
  // Says Leave to all, and ends.
  void OnStop(Turn& turn);
  Instant next_deadline() const;

  std::optional<TransferId> Start(Turn& turn, const DownloadRequest& request, PodNews& news) override;
  void Read(Turn& turn, const TransferId& transfer, uint64_t bytes_in_all, PodNews& news) override;
  void Abort(Turn& turn, const TransferId& transfer, PodNews& news) override;
  size_t peers() const override { return workers_.size(); }
  Relays* relays() override { return this; }
  std::optional<RelayId> OpenRelay(Turn& turn, const DeviceId& through, const http::Authority& to, PodNews& news) override;
  size_t relay_room(RelayId relay) const override { return relay_use_.room(*members_, relay); }
  void WriteRelay(Turn& turn, RelayId relay, Bytes bytes, PodNews& news) override;
  void TookFromRelay(Turn& turn, RelayId relay, size_t bytes, PodNews& news) override;
  void EndRelay(Turn& turn, RelayId relay, PodNews& news) override;
  void CloseRelay(Turn& turn, RelayId relay, PodNews& news) override;

  // For all in this node who connect or resolve beside the DHT, so that no id is given twice.
  http::Ids& ids() { return ids_; }

  const PodConfig& config() const { return config_; }
  const Identity& identity() const { return own_; }
  const Core& core() const { return core_; }
  const Members& members() const { return *members_; }  // After Start.
  const Serve& serve() const { return serve_; }
  const RelayServe& relay_serve() const { return relay_serve_; }
  const RelayUse& relay_use() const { return relay_use_; }
  // Downloads under way, and the last few that ended.
  std::vector<DownloadState> downloads() const;
  const Counters& counters() const { return counters_; }
  std::vector<Peer> list() const;

 private:
  struct Download { http::Url url; http::Validator validator; DownloadState state; };

  void TakeMembers(Turn& turn, PodNews& news);
  void OnSaid(Turn& turn, const DeviceId& device, WorkerId worker, const Message& message, PodNews& news);
  void OnJoined(Turn& turn, const DeviceId& device, PodNews& news);
  void OnGone(Turn& turn, const DeviceId& device, std::string_view why, PodNews& news);
  void TakeFetched(Turn& turn, PodNews& news);
  void Do(Turn& turn, Action action, PodNews& news);
  void DoFetch(Turn& turn, const Fetch& fetch);
  void Accepted(Turn& turn, const TransferId& transfer, WorkerId worker, uint64_t bytes, const Core::Counters& before);
  // Until nothing is left to be said: what is done may be answered at once.
  void Settle(Turn& turn, PodNews& news);
  void Remember(absl::btree_map<TransferId, Download>::iterator it, Ending how);
  const DeviceId* device(WorkerId worker) const;
  RelayServe::Hands hands() { return {ids_, *members_, serve_, heard_}; }

  PodConfig config_;
  Identity own_;
  http::Ids ids_;
  Core core_;
  std::unique_ptr<FaithfulPod> faithful_;  // Of faithful-bugs: then the core is idle.
  Serve serve_;
  RelayServe relay_serve_;
  RelayUse relay_use_;
  std::optional<Members> members_;
  http::RangeFetcher own_wan_{kOriginPatience};
  absl::btree_map<TransferId, Download> downloads_;
  std::vector<DownloadState> recent_;  // The latest last.
  struct OwnFetch { TransferId transfer; std::string body; };
  absl::btree_map<http::FetchId, OwnFetch> own_fetches_;  // By the core's number.
  absl::btree_map<DeviceId, WorkerId> workers_;
  absl::btree_map<WorkerId, DeviceId> devices_;
  Counters counters_;
  Instant timed_{};  // The last OnTime.
  // Scratch of a turn.
  MembersNews heard_;
  http::FetchNews fetched_;
  Actions actions_;
};

std::string_view NameOf(Ending ending);

}  // namespace orchard::pod
