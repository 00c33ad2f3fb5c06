#include "node/node.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "node/cage/server.h"
#include "node/crypto/sign.h"
#include "node/hyperdht/dht.h"
#include "node/pod/pod.h"
#include "node/pod/proxy.h"
#include "node/sidecar/ops.h"
#include "node/swarm/dht_network.h"

namespace orchard {
namespace {

constexpr std::string_view kSeedKey = "identity/seed";

// The public network. Source: npm hyperdht lib/constants.js: the address first, the name if it is silent.
std::vector<dht::Root> PublicRoots() {
  auto root = [](std::string_view address, const char* name) {
    Endpoint e = *Endpoint::Parse(address);
    return dht::Root{.address = Ipv4Address::Of(e), .name = name, .port = e.port};
  };
  return {root("88.99.3.86:49737", "node1.hyperdht.org"), root("142.93.90.113:49737", "node2.hyperdht.org"),
          root("138.68.147.8:49737", "node3.hyperdht.org")};
}

bool JsCompat(const sidecar::Config& c) {
  return c.profile == sidecar::Profile::kJsCompat || c.profile == sidecar::Profile::kFaithfulBugs;
}

dht::RpcConfig Translate(const sidecar::Config& c) {
  dht::RpcConfig r;
  r.bootstrap = c.dht.bootstrap;
  // A relay must know that it can be reached: it is probed at once, not after twenty minutes.
  r.persistent = c.dht.persistent || c.dht.bootstrap || (c.relay.serve && !c.dht.ephemeral);
  r.ephemeral = c.dht.ephemeral;
  r.firewalled = c.dht.firewalled;
  if (c.dht.nodes.has_value()) {
    for (const sidecar::BootstrapNode& n : *c.dht.nodes) {
      dht::Root root{.name = n.name, .port = n.port};
      if (n.address.has_value() && n.address->is_v4()) root.address = Ipv4Address::Of(*n.address);
      if (root.address.port != 0 || !root.name.empty()) r.roots.push_back(std::move(root));
    }
  } else if (!c.dht.bootstrap) {
    r.roots = PublicRoots();
  }
  if (auto host = Endpoint::Parse(c.dht.host + ":0"); host.has_value()) r.host = *host;
  r.port = c.dht.port;
  r.any_port = c.dht.any_port;
  r.concurrency = c.dht.concurrency;
  r.cache = c.dht.cache;
  r.heal_partitions = !JsCompat(c);
  r.calm_swaps = r.quick_walks = r.heal_partitions;
  r.vetoed = hyperdht::VetoedNodes();
  return r;
}

hyperdht::PeersConfig PeersOf(const sidecar::Config& c) {
  return {.js_compat = JsCompat(c), .birthday = c.dht.birthday, .punches = sidecar::PunchesOf(c.dht.punch)};
}

swarm::Config SwarmOf(const sidecar::Config& c, const crypto::KeyPair& key) {
  return {.key = key, .max_peers = c.swarm.max_peers, .refresh = std::chrono::milliseconds(c.swarm.refresh_ms),
          .relay_through = sidecar::RelayOf(c), .relay_policy = sidecar::PolicyOf(c.relay.policy),
          .js_compat = JsCompat(c)};
}

pod::PodConfig PodOf(const sidecar::Config::Pod& c) {
  pod::PodConfig p{.profile = c.profile, .secret = std::nullopt, .core = {}, .discovery_port = c.discovery_port, .transport_port = c.transport_port,
                   .allow_private = c.allow_private, .loopback = c.loopback, .serve_rate = c.serve_rate};
  p.core.scheduler = c.scheduler, p.core.chunk_bytes = c.chunk_bytes, p.core.check_permille = c.check_permille;
  if (auto secret = FromHex(c.secret_hex); secret.has_value() && secret->size() == 32) {
    std::copy_n(AsBytes(*secret).begin(), 32, p.secret.emplace().begin());
  }
  return p;
}

std::unique_ptr<pod::Proxy> ProxyOf(const sidecar::Config::Pod& c) {
  // Beyond the pod's own sockets (pod.h).
  return std::make_unique<pod::Proxy>(SocketId{pod::Pod::kPodSocket + 0x20000000},
                                      pod::ProxyConfig{.local = Endpoint::V4(0x7f000001, c.proxy_port), .chunk_bytes = c.chunk_bytes});
}

cage::ServerConfig CagesOf(const sidecar::Config::Cage& c) {
  Endpoint local = Endpoint::V4(0, c.http_port);
  if (auto host = Endpoint::Parse(c.host + ":1"); host.has_value()) local = host->with_port(c.http_port);
  Endpoint admin = Endpoint::V4(0x7f000001, c.admin_port);
  if (auto host = Endpoint::Parse(c.admin_host + ":1"); host.has_value()) admin = host->with_port(c.admin_port);
  return {.front = {.local = local, .secure = local.with_port(c.https_port), .fallback = c.fallback, .http3 = c.http3},
          .admin = {.local = admin, .token = c.admin_token}, .sites = c.sites, .sites_dir = c.sites_dir, .guard = c.guard};
}

}  // namespace

class Node::Impl {
 public:
  explicit Impl(sidecar::Config config) : config_(std::move(config)) {}

  void Handle(Turn& turn, const Input& input) {
    if (const auto* start = std::get_if<Start>(&input)) OnStart(turn, *start);
    if (!life_.has_value()) return;  // Start is the first input; before it there is nobody.
    hyperdht::News news;
    swarm::News swarm_news;
    pod::PodNews pod_news;
    if (OnPodInput(turn, input, pod_news)) return life_->dht.Flush(turn);
    if (life_->cages != nullptr && OnCageInput(turn, input)) return;
    swarm::DhtNetwork network(life_->dht, life_->key, config_.relay.serve, life_->ops.AwaitsDial(life_->key.public_key));
    if (std::holds_alternative<Start>(input)) {
      life_->dht.OnStart(turn, news);
      if (life_->pod != nullptr) life_->pod->Start(turn, life_->interfaces);
      if (life_->proxy != nullptr) life_->proxy->Open(turn);
      if (life_->cages != nullptr) life_->cages->Start(turn);
      if (config_.relay.serve) life_->dht.peers().Listen(turn, {.key = life_->key, .blind_relay = true}, news);
    } else if (const auto* datagram = std::get_if<Datagram>(&input)) {
      life_->dht.OnDatagram(turn, *datagram, news);
    } else if (std::holds_alternative<Deadline>(input)) {
      life_->dht.OnTime(turn, news);
      if (life_->swarm != nullptr) life_->swarm->OnTime(turn, network, swarm_news);
      if (life_->pod != nullptr) life_->pod->OnTime(turn, pod_news);
      if (life_->proxy != nullptr) {
        life_->proxy->OnTime(turn, life_->pod->ids(), *life_->pod, pod_news);
        life_->proxy->OnNews(turn, life_->pod->ids(), *life_->pod, pod_news);
      }
    } else if (const auto* opened = std::get_if<SocketOpened>(&input)) {
      life_->dht.OnSocketOpened(turn, *opened, news);
    } else if (const auto* done = std::get_if<JobDone>(&input)) {
      life_->dht.OnJobDone(turn, *done, news);
    } else if (const auto* call = std::get_if<OpCall>(&input)) {
      if (call->name == "cage.deploy" && life_->cages == nullptr) {
        life_->cages = std::make_unique<cage::Server>(CagesOf(config_.cage));
        life_->cages->Start(turn);
      }
      if (call->name.starts_with("swarm.") && life_->swarm == nullptr) {
        life_->swarm = std::make_unique<swarm::Swarm>(SwarmOf(config_, life_->key));
      }
      life_->ops.OnCall(turn, target(network), *call);
    } else if (const auto* credit = std::get_if<OpCredit>(&input)) {
      life_->ops.OnCredit(turn, target(network), *credit);
    } else if (const auto* cancelled = std::get_if<OpCancelled>(&input)) {
      life_->ops.OnCancelled(turn, target(network), *cancelled);
    } else if (const auto* data = std::get_if<OpData>(&input)) {
      life_->ops.OnData(turn, target(network), *data);
    } else if (const auto* changed = std::get_if<InterfacesChanged>(&input)) {
      life_->interfaces.assign(changed->interfaces.begin(), changed->interfaces.end());
      life_->dht.OnInterfacesChanged(turn, changed->interfaces);
      if (life_->swarm != nullptr) life_->swarm->OnNetworkChanged(turn, network);
      if (life_->pod != nullptr) life_->pod->OnInterfacesChanged(turn, changed->interfaces);
    } else if (std::holds_alternative<Stop>(input)) {
      life_->ops.OnStop(turn);
      if (life_->proxy != nullptr) life_->proxy->Close(turn, *life_->pod, pod_news);
      if (life_->pod != nullptr) life_->pod->OnStop(turn);
      life_->swarm.reset();  // The DHT takes the announcements back.
      life_->dht.OnStop(turn, news);
    }
    const bool operated = std::holds_alternative<OpCall>(input) || std::holds_alternative<OpCancelled>(input) ||
                          (std::holds_alternative<Deadline>(input) && life_->ops.OnTime(turn, target(network)));
    if (operated && life_->swarm != nullptr) life_->swarm->OnDestroyed(turn, network, swarm_news);
    Take(turn, network, news, swarm_news);
    life_->dht.Flush(turn);
  }

  Instant next_deadline() const {
    if (!life_.has_value()) return kNever;
    return std::min({life_->dht.next_deadline(), life_->ops.next_deadline(), life_->swarm == nullptr ? kNever : life_->swarm->next_deadline(),
                     life_->pod == nullptr ? kNever : life_->pod->next_deadline(),
                     life_->cages == nullptr ? kNever : life_->cages->next_deadline(),
                     life_->proxy == nullptr ? kNever : life_->proxy->next_deadline()});
  }
  const swarm::Swarm* swarm() const { return life_.has_value() ? life_->swarm.get() : nullptr; }
  const pod::Pod* pod() const { return life_.has_value() ? life_->pod.get() : nullptr; }
  const cage::Server* cages() const { return life_.has_value() ? life_->cages.get() : nullptr; }
  const hyperdht::Dht* dht() const { return life_.has_value() ? &life_->dht : nullptr; }
  absl::StatusCode bind_failure() const { return bind_failure_; }
  Key32 public_key() const { return life_.has_value() ? life_->key.public_key : Key32{}; }

 private:
  struct Life {
    crypto::KeyPair key;
    Instant started;
    hyperdht::Dht dht;
    sidecar::Ops ops;
    std::vector<Interface> interfaces;
    std::unique_ptr<swarm::Swarm> swarm;  // Made when first asked for: most nodes of a large world have none.
    std::unique_ptr<pod::Pod> pod;        // Null unless pod.enabled.
    std::unique_ptr<pod::Proxy> proxy;    // With the pod, unless its port is 0.
    std::unique_ptr<cage::Server> cages;  // Null without sites.
    bool said_goodbye = false;            // To the DHT.
  };

  // True if it was the cages' alone.
  bool OnCageInput(Turn& turn, const Input& input) {
    if (std::holds_alternative<Stop>(input)) life_->cages->Finish(turn);
    const bool ours = life_->cages->OnInput(turn, input);
    if (ours || std::holds_alternative<Deadline>(input)) {
      swarm::DhtNetwork network(life_->dht, life_->key, config_.relay.serve, false);
      life_->ops.OnCages(turn, target(network));
    }
    MaybeStopped(turn);
    return ours;
  }

  // Once goodbyes are said, and the answers of cages that were under way.
  void MaybeStopped(Turn& turn) {
    if (!life_->said_goodbye || (life_->cages != nullptr && !life_->cages->idle())) return;
    life_->said_goodbye = false;
    if (life_->cages != nullptr) life_->cages->Close(turn);
    turn.out.Stopped();
  }

  // True if it was the pod's or its proxy's.
  bool OnPodInput(Turn& turn, const Input& input, pod::PodNews& news) {
    if (life_->pod == nullptr) return false;
    if (life_->proxy == nullptr) return life_->pod->OnInput(turn, input, news);
    http::Ids& ids = life_->pod->ids();
    if (!life_->proxy->OnInput(turn, ids, *life_->pod, input, news) && !life_->pod->OnInput(turn, input, news)) return false;
    life_->proxy->OnNews(turn, ids, *life_->pod, news);
    return true;
  }

  void OnStart(Turn& turn, const Start& start) {
    if (life_.has_value()) return;
    life_.emplace(Life{.key = crypto::KeyPairFromSeed(IdentitySeed(turn)), .started = turn.now,
                       .dht = hyperdht::Dht(Translate(config_), PeersOf(config_)), .ops = {},
                       .interfaces = {start.interfaces.begin(), start.interfaces.end()}, .swarm = nullptr,
                       .pod = config_.pod.enabled ? std::make_unique<pod::Pod>(PodOf(config_.pod)) : nullptr,
                       .proxy = config_.pod.enabled && config_.pod.proxy_port != 0 ? ProxyOf(config_.pod) : nullptr,
                       .cages = config_.cage.serves() ? std::make_unique<cage::Server>(CagesOf(config_.cage)) : nullptr,
                       .said_goodbye = false});
    life_->dht.SetInterfaces(start.interfaces);
  }

  Key32 IdentitySeed(Turn& turn) {
    Key32 seed;
    auto take = [&](Bytes from) { std::copy_n(from.begin(), seed.size(), seed.begin()); };
    if (auto given = FromHex(config_.seed_hex); given.has_value() && given->size() == seed.size()) {
      take(AsBytes(*given));
    } else if (auto kept = turn.store.Get(AsBytes(kSeedKey)); kept.has_value() && kept->size() == seed.size()) {
      take(*kept);
    } else {
      turn.rng.Fill(absl::MakeSpan(seed));
      turn.store.Put(AsBytes(kSeedKey), seed);
      turn.store.Sync();  // Nobody may hear of a key that a power loss would take.
    }
    return seed;
  }

  void Take(Turn& turn, swarm::DhtNetwork& network, hyperdht::News& news, swarm::News& swarm_news) {
    if (life_->swarm != nullptr) {
      // What the swarm does may be answered at once: that is news too.
      for (size_t i = 0;; ++i) {
        for (auto& n : network.TakeNews()) news.push_back(std::move(n));
        if (i == news.size()) break;
        life_->swarm->OnNews(turn, network, news[i], swarm_news);
      }
    }
    for (const auto& n : news) {
      if (const auto* failed = std::get_if<dht::BindFailed>(&n)) bind_failure_ = failed->why;
      life_->said_goodbye |= std::holds_alternative<hyperdht::GoodbyeSaid>(n);
    }
    MaybeStopped(turn);
    if (!swarm_news.empty()) life_->ops.OnSwarmNews(turn, target(network), swarm_news);
    if (!news.empty()) life_->ops.OnNews(turn, target(network), news);
    if (life_->ops.TakeDestroyed() && life_->swarm != nullptr) life_->swarm->OnDestroyed(turn, network, swarm_news);
  }

  sidecar::OpTarget target(swarm::DhtNetwork& network) {
    return {.dht = life_->dht, .key = life_->key, .config = config_, .started = life_->started,
            .interfaces = life_->interfaces, .swarm = life_->swarm.get(), .network = &network, .pod = life_->pod.get(), .proxy = life_->proxy.get(), .cages = life_->cages.get()};
  }

  sidecar::Config config_;
  std::optional<Life> life_;
  absl::StatusCode bind_failure_ = absl::StatusCode::kOk;
};

Node::Node(sidecar::Config config) : impl_(std::make_unique<Impl>(std::move(config))) {}
Node::~Node() = default;
void Node::Handle(Turn& turn, const Input& input) { impl_->Handle(turn, input); }
Instant Node::next_deadline() const { return impl_->next_deadline(); }
const hyperdht::Dht* Node::dht() const { return impl_->dht(); }
const swarm::Swarm* Node::swarm() const { return impl_->swarm(); }
const pod::Pod* Node::pod() const { return impl_->pod(); }
const cage::Server* Node::cages() const { return impl_->cages(); }
absl::StatusCode Node::bind_failure() const { return impl_->bind_failure(); }
Key32 Node::public_key() const { return impl_->public_key(); }

}  // namespace orchard
