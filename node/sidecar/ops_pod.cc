// Ops, continued: the pod, as it stands.

#include "node/base/check.h"
#include "node/sidecar/ops.h"

namespace orchard::sidecar {
namespace {

std::string_view ProfileName(pod::Profile profile) {
  switch (profile) {
    case pod::Profile::kCompatCode: return "compat-code";
    case pod::Profile::kCompatDoc: return "compat-doc";
    case pod::Profile::kHardened: return "hardened";
    case pod::Profile::kFaithfulBugs: return "faithful-bugs";
  }
  return "";
}

std::string ProxyAddress(const pod::Proxy& proxy) { return proxy.listening().value_or(proxy.local()).ToString(); }

std::string HostOf(const Endpoint& e) {
  const std::string text = e.ToString();
  return text.substr(0, text.rfind(':'));
}

// Empty if it listens.
std::string ProxyProblem(const pod::Proxy& proxy) {
  const std::string at = ProxyAddress(proxy), port = std::to_string(proxy.local().port);
  switch (proxy.bind_failure()) {
    case absl::StatusCode::kOk: return proxy.listening().has_value() ? "" : "the proxy is not open yet";
    case absl::StatusCode::kAlreadyExists:
      return "TCP port " + port + " is in use, so there is no proxy at " + at + "; choose another with pod.proxy_port (PEAPOD_PROXY_PORT), or end the program that has it: ss -ltnp 'sport = :" + port + "'";
    default:
      return "the proxy cannot listen at " + at + " (" + std::string(absl::StatusCodeToString(proxy.bind_failure())) + "); choose another port with pod.proxy_port";
  }
}

std::string ProxyFields(const pod::Proxy& proxy) {
  const std::string problem = ProxyProblem(proxy), at = ProxyAddress(proxy);
  JsonWriter w;
  w.Key("address").Text(at).Key("bound").Bool(problem.empty()).Key("why");
  if (problem.empty()) w.Null(); else w.Text(problem);
  return w.Key("export").Text("export http_proxy=http://" + at + " https_proxy=http://" + at).text();
}

std::string TransfersFields(const Turn& turn, const pod::Pod& p) {
  JsonWriter w;
  w.Key("transfers").Open('[');
  const auto list = p.downloads();  // At most Core's and kRecentMax.
  for (const pod::DownloadState& d : list) {
    w.Open('{').Key("transfer").Hex(d.transfer).Key("url").Text(d.url).Key("bytes").Uint(d.bytes).Key("state").Text(d.state);
    w.Key("since_ms").Uint(uint64_t(ToMillis(turn.now - d.began))).Key("by").Open('{');
    for (const auto& [device, bytes] : d.by) w.Key(device == p.identity().device ? "own" : ToHex(device)).Uint(bytes);
    w.Close('}').Close('}');
  }
  return w.Close(']').Key("count").Uint(list.size()).text();
}

std::string StatusFields(const OpTarget& t) {
  const pod::Pod& p = *t.pod;
  JsonWriter w;
  w.Key("device").Hex(p.identity().device).Key("profile").Text(ProfileName(p.config().profile));
  w.Key("port").Uint(p.members().port()).Key("discovery_port").Uint(p.config().discovery_port);
  w.Key("peers").Uint(p.peers()).Key("known").Uint(p.members().discovery().known()).Key("proxy");
  if (t.proxy == nullptr || t.proxy->bind_failure() != absl::StatusCode::kOk) w.Null(); else w.Text(ProxyAddress(*t.proxy));
  w.Key("problems").Open('[');
  for (const std::string& problem : PodProblems(t)) w.Text(problem);
  w.Close(']').Key("warning");
  if (p.config().profile == pod::Profile::kHardened) w.Null(); else w.Text(pod::kCompatWarning);
  return w.text();
}

std::string PeersFields(const Turn& turn, const pod::Pod& p) {
  JsonWriter w;
  w.Key("peers").Open('[');
  for (const pod::Pod::Peer& peer : p.list()) {  // At most Core::kPeersMax.
    w.Open('{').Key("device").Hex(peer.device).Key("address").Text(peer.at.ToString()).Key("dialled").Bool(peer.dialled);
    w.Key("id_bound").Bool(peer.id_bound).Key("since_ms").Uint(uint64_t(ToMillis(turn.now - peer.since)));
    w.Key("rate").Uint(peer.rate).Key("rtt_ms").Uint(peer.rtt_ns / 1'000'000).Key("fetched_bytes").Uint(peer.served);
    w.Key("served_bytes").Uint(peer.serves_it).Key("under_way").Uint(peer.under_way).Key("isolated").Bool(peer.isolated).Close('}');
  }
  return w.Close(']').Key("count").Uint(p.peers()).text();
}

std::string StatsFields(const OpTarget& t) {
  const pod::Pod& p = *t.pod;
  const auto& pod = p.counters();
  const auto& core = p.core().counters();
  const auto& serve = p.serve().counters();
  const auto& found = p.members().discovery().counters();
  const auto& links = p.members().counters();
  JsonWriter w;
  w.Key("downloads").Open('{').Key("begun").Uint(pod.downloads).Key("done").Uint(pod.done).Key("failed").Uint(pod.failed);
  w.Key("own_bytes").Uint(pod.own_bytes).Key("peer_bytes").Uint(pod.peer_bytes).Close('}');
  w.Key("chunks").Open('{').Key("accepted").Uint(core.chunks).Key("raced").Uint(core.raced).Key("probes").Uint(core.probes);
  w.Key("wasted_bytes").Uint(core.wasted_bytes).Key("checked").Uint(core.checked).Key("failures").Uint(core.failures);
  w.Key("timeouts").Uint(core.timeouts).Key("unasked").Uint(core.unasked).Key("liars").Uint(core.liars).Close('}');
  w.Key("served").Open('{').Key("requests").Uint(serve.requests).Key("chunks").Uint(serve.served).Key("bytes").Uint(serve.bytes);
  w.Key("cancelled").Uint(serve.cancelled).Key("refused").Open('{');
  for (size_t i = 0; i < pod::kDenials; ++i) w.Key(pod::NameOf(pod::Denial(i))).Uint(p.serve().denied(pod::Denial(i)));
  w.Close('}').Close('}');
  const auto& carried = p.relay_serve().counters();
  const auto& used = p.relay_use().counters();
  w.Key("relays").Open('{').Key("carried").Uint(carried.opened).Key("refused").Uint(carried.refused);
  w.Key("carried_bytes").Uint(carried.up_bytes + carried.down_bytes).Key("used").Uint(used.opened).Key("failed").Uint(used.failed);
  w.Key("used_bytes").Uint(used.sent_bytes + used.received_bytes).Close('}');
  w.Key("proxy");
  if (t.proxy == nullptr) {
    w.Null();
  } else {
    const pod::ProxyStats& through = t.proxy->stats();
    w.Open('{').Key("clients").Uint(through.clients).Key("requests").Uint(through.requests).Key("tunnels").Uint(through.tunnels).Key("split").Uint(through.split);
    w.Key("refused").Uint(through.refused + through.crowded).Key("failed").Uint(through.failed).Key("cut").Uint(through.cut);
    w.Key("bytes").Uint(through.body_bytes).Key("pod_bytes").Uint(through.pod_bytes).Close('}');
  }
  w.Key("discovery").Open('{').Key("beacons").Uint(found.beacons).Key("answers").Uint(found.answers).Key("unreadable").Uint(found.unreadable);
  w.Key("off_link").Uint(found.off_link).Key("crowded").Uint(found.crowded).Key("hasty").Uint(found.hasty).Close('}');
  w.Key("connections").Open('{').Key("dials").Uint(links.dials).Key("dials_failed").Uint(links.dials_failed).Key("accepted").Uint(links.accepted);
  w.Key("refused").Uint(links.refused).Key("doubles").Uint(links.doubles).Close('}');
  return w.text();
}

}  // namespace

std::vector<std::string> PodProblems(const OpTarget& t) {
  std::vector<std::string> out;
  if (t.pod == nullptr) return out;
  if (t.proxy != nullptr && t.proxy->bind_failure() != absl::StatusCode::kOk) out.push_back(ProxyProblem(*t.proxy));
  if (t.pod->members().listen_failure() != absl::StatusCode::kOk) {
    out.push_back("members cannot connect to this node: no TCP port could be opened (" +
                  std::string(absl::StatusCodeToString(t.pod->members().listen_failure())) + "); choose another with pod.transport_port");
  }
  using Stranger = pod::Discovery::Stranger;
  const bool hardened = t.pod->config().profile == pod::Profile::kHardened;
  // Whoever has members is in the right pod: the one that stands aside is told, and not all of its neighbours.
  if (t.pod->peers() > 0) return out;
  if (const auto& at = t.pod->members().discovery().stranger(Stranger::kProfile); at.has_value()) {
    out.push_back("the device at " + HostOf(*at) + " cannot be in this pod: it speaks pod.profile " + (hardened ? "compat-code or compat-doc" : "hardened") + ", this node " +
                  std::string(ProfileName(t.pod->config().profile)) + "; set the same on all of them");
  }
  if (const auto& at = t.pod->members().discovery().stranger(Stranger::kSecret); at.has_value()) {
    out.push_back("the device at " + HostOf(*at) + " cannot be in this pod: it has another pod.secret than this node, or one of the two has none; set the same on all of them");
  }
  return out;
}

std::optional<OpError> Ops::BeginPod(Turn& turn, OpTarget t, Map::iterator it) {
  if (t.pod == nullptr) return OpError{.code = "NOT_FOUND", .message = "this node is in no pod: start it with `orchard node --set pod.enabled=true`, or write {\"pod\": {\"enabled\": true}} into config.json in its data directory and start it again"};
  const std::string_view name = it->second.operation->name;
  if (name == "pod.status") return Succeed(turn, it, StatusFields(t)), std::nullopt;
  if (name == "pod.peers") return Succeed(turn, it, PeersFields(turn, *t.pod)), std::nullopt;
  if (name == "pod.transfers") return Succeed(turn, it, TransfersFields(turn, *t.pod)), std::nullopt;
  if (name == "pod.proxy") {
    if (t.proxy == nullptr) return OpError{.code = "NOT_FOUND", .message = "this node has no proxy: set pod.proxy_port in its configuration to a port other than 0"};
    if (std::string problem = ProxyProblem(*t.proxy); !problem.empty()) return OpError{.code = "NOT_FOUND", .message = std::move(problem)};
    return Succeed(turn, it, ProxyFields(*t.proxy)), std::nullopt;
  }
  CHECK(name == "pod.stats");
  Succeed(turn, it, StatsFields(t));
  return std::nullopt;
}

}  // namespace orchard::sidecar
