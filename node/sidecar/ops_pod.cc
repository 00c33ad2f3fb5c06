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

std::string StatusFields(const pod::Pod& p) {
  JsonWriter w;
  w.Key("device").Hex(p.identity().device).Key("profile").Text(ProfileName(p.config().profile));
  w.Key("port").Uint(p.members().port()).Key("discovery_port").Uint(p.config().discovery_port);
  w.Key("peers").Uint(p.peers()).Key("known").Uint(p.members().discovery().known()).Key("warning");
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

std::string StatsFields(const pod::Pod& p) {
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
  w.Key("discovery").Open('{').Key("beacons").Uint(found.beacons).Key("answers").Uint(found.answers).Key("unreadable").Uint(found.unreadable);
  w.Key("off_link").Uint(found.off_link).Key("crowded").Uint(found.crowded).Key("hasty").Uint(found.hasty).Close('}');
  w.Key("connections").Open('{').Key("dials").Uint(links.dials).Key("dials_failed").Uint(links.dials_failed).Key("accepted").Uint(links.accepted);
  w.Key("refused").Uint(links.refused).Key("doubles").Uint(links.doubles).Close('}');
  return w.text();
}

}  // namespace

std::optional<OpError> Ops::BeginPod(Turn& turn, OpTarget t, Map::iterator it) {
  if (t.pod == nullptr) return OpError{.code = "NOT_FOUND", .message = "this node is in no pod: set pod.enabled in its configuration"};
  const std::string_view name = it->second.operation->name;
  if (name == "pod.status") return Succeed(turn, it, StatusFields(*t.pod)), std::nullopt;
  if (name == "pod.peers") return Succeed(turn, it, PeersFields(turn, *t.pod)), std::nullopt;
  CHECK(name == "pod.stats");
  Succeed(turn, it, StatsFields(*t.pod));
  return std::nullopt;
}

}  // namespace orchard::sidecar
