#include "node/sidecar/doctor.h"

#include <algorithm>

namespace orchard::sidecar {
namespace {

using hyperdht::ConnectCode;
using hyperdht::Firewall;
using hyperdht::RelayFailure;

std::string Count(size_t n, std::string_view one, std::string_view many) { return std::to_string(n) + " " + std::string(n == 1 ? one : many); }

Finding Nat(const Symptoms& s) {
  if (s.seen_as.empty()) return {"nat", false, "too few nodes have told this node its public address yet; wait a few seconds"};
  const bool fixed = !s.seen_as.ends_with(":0");
  if (!fixed) {
    return {"nat", false, "others see this node at " + s.seen_as.substr(0, s.seen_as.rfind(':')) + " with another port each (a symmetric NAT, or a CGN): peers behind "
            "such a NAT are out of reach without a relay (relay.through); all others can be reached"};
  }
  if (!s.firewalled) return {"nat", true, "anyone can reach this node at " + s.seen_as};
  const std::string seen = "behind a NAT or firewall; others see it at " + s.seen_as + ", the same port for all";
  if (s.punches == hyperdht::PunchPolicy::kNever) return {"nat", true, seen + ", but dht.punch is never: only the open, the LAN's and relays are reached"};
  return {"nat", true, seen + ", so hole punching works"};
}

Finding Peer(const Symptoms::Dialed& d) {
  if (d.code == ConnectCode::kOk) return {"peer", true, "reached: " + std::string(hyperdht::PathName(d.path))};
  std::string says = d.relay == RelayFailure::kNone ? Explain(d.code) : Explain(d.relay);
  if (d.direct != ConnectCode::kOk) says += " Before that, no direct way was found: " + Explain(d.direct);
  says += " It waited in step \"" + std::string(hyperdht::StepName(d.step)) + "\"";
  if (d.local_nat != Firewall::kUnknown || d.remote_nat != Firewall::kUnknown) {
    says += "; our NAT: " + std::string(NatName(d.local_nat)) + ", theirs: " + std::string(NatName(d.remote_nat));
  }
  return {"peer", false, says + "."};
}

}  // namespace

// A pod needs no Internet of its own: it is told wherever the chain breaks.
std::vector<Finding> Examine(const Symptoms& s) {
  std::vector<Finding> out;
  for (const std::string& problem : s.pod_problems) out.push_back({"pod", false, problem});
  if (s.pod && s.pod_problems.empty()) out.push_back({"pod", true, "its ports are open"});
  const auto outward = std::count_if(s.interfaces.begin(), s.interfaces.end(), [](const Interface& i) { return !i.loopback && i.address.is_v4(); });
  if (outward == 0 && s.nodes == 0 && s.replies == 0) {
    out.push_back({"interfaces", false, "no network interface with an IPv4 address is up: plug in the cable, or join a Wi-Fi"});
    return out;
  }
  out.push_back({"interfaces", true, outward == 0 ? "only loopback; nodes on this machine can be reached" : Count(size_t(outward), "IPv4 address is up", "IPv4 addresses are up")});
  // A bootstrap that is over without an answer leaves an empty table and no word of where we are seen.
  if (!s.bootstrapped || (s.nodes == 0 && s.seen_as.empty())) {
    const bool early = s.up_for < std::chrono::seconds(10);
    out.push_back({"internet", false, early ? "no bootstrap node has answered yet; the node started only a moment ago"
                                            : "no bootstrap node answers: no Internet, UDP is blocked here, or dht.nodes names nodes that are down (or this is the first node of its DHT)"});
    return out;
  }
  if (!s.online) {
    out.push_back({"internet", false, "it answered once, but nobody answers now: the Internet connection is down, or UDP is blocked"});
    return out;
  }
  if (s.nodes == 0 && s.replies == 0) {
    out.push_back({"internet", false, "nobody answers: this node is alone. The first node of a DHT is, until others name it in dht.nodes"});
    return out;
  }
  if (s.nodes == 0) out.push_back({"internet", true, "others ask this node, and none of them stays: it is the first of its DHT"});
  else out.push_back({"internet", !s.degraded, s.degraded ? "many requests stay without an answer: the connection loses packets, or much of the DHT is gone" : "nodes answer"});
  out.push_back({"dht", true, Count(s.nodes, "node", "nodes") + " in the routing table"});
  out.push_back(Nat(s));
  if (s.dialed.has_value()) out.push_back(Peer(*s.dialed));
  else out.push_back({"peer", true, s.connections == 0 ? "no connections; name a peer to have it dialed: orchard doctor KEY" : Count(s.connections, "connection", "connections")});
  return out;
}

bool IsWell(absl::Span<const Finding> findings) {
  return std::all_of(findings.begin(), findings.end(), [](const Finding& f) { return f.ok || f.check == "nat"; });
}

std::string Verdict(absl::Span<const Finding> findings) {
  // What was asked about comes first; then the first link of the chain that is broken.
  for (const Finding& f : findings) {
    if (!f.ok && f.check != "nat") return f.says;
  }
  for (const Finding& f : findings) {
    if (!f.ok) return f.says;
  }
  return findings.empty() || findings.back().check != "peer" ? "all is well" : "all is well: " + findings.back().says;
}

std::string Explain(ConnectCode code) {
  switch (code) {
    case ConnectCode::kOk: return "it ended in order.";
    case ConnectCode::kPeerNotFound:
      return "No node of the DHT knows this key: the peer does not listen, has not announced itself yet, or has been gone for long.";
    case ConnectCode::kPeerConnectionFailed:
      return "Nodes know the peer, but it did not answer through any of them: it went without a goodbye, its NAT forgot it, or its firewall refuses us.";
    case ConnectCode::kServerIncompatible: return "The peer speaks another version of the handshake.";
    case ConnectCode::kServerError: return "The peer refused the handshake with an error of its own.";
    case ConnectCode::kCannotHolepunch: return "The peer offers no way to punch to it: it knows no relay nodes, or one of the two goes through a blind relay only (relay.policy) and there is none.";
    case ConnectCode::kHolepunchInvalid: return "What answered was not the peer: a message did not decrypt.";
    case ConnectCode::kHolepunchAborted: return "Hole punching was given up: no probe came through in time, or the other side stopped.";
    case ConnectCode::kProbeTimeout: return "The peer's NAT could not be classified in time.";
    case ConnectCode::kDoubleRandomized:
      return "Both NATs choose a new port per peer, so neither can guess the other's: only a relay helps (relay.through).";
    case ConnectCode::kRemoteNotPunching: return "The peer did not begin to punch.";
    case ConnectCode::kRemoteNotPunchable: return "The peer's NAT and ours cannot meet without a relay (relay.through).";
    case ConnectCode::kRemoteAborted: return "The peer gave up: its NAT is unstable, or it is busy punching to somebody else.";
    case ConnectCode::kRelayAborted: return "The blind relay did not answer or went away, or the other side did not come to it.";
    case ConnectCode::kTimedOut: return "Nothing came from the peer any more: it is gone, or the path is dead.";
    case ConnectCode::kReset: return "The peer closed the connection.";
    case ConnectCode::kBadStream: return "What came was not an encrypted stream of that peer.";
    case ConnectCode::kRefused: return "It was refused here: our own firewall rule, or there is such a connection already.";
    case ConnectCode::kOverload: return "Too many connections are under way already.";
    case ConnectCode::kOffline: return "This node knows nobody to ask: it has not joined the DHT.";
    case ConnectCode::kDestroyed: return "It was closed from here.";
  }
  return "";
}

std::string Explain(hyperdht::RelayFailure failure) {
  switch (failure) {
    case RelayFailure::kNone: return "";
    case RelayFailure::kUnreachable: return "The blind relay could not be reached: it is down, or relay.through names another key than it listens with.";
    case RelayFailure::kRefused: return "What listens with the key of relay.through relays nothing: it is no blind relay (relay.serve), or full.";
    case RelayFailure::kNobodyCame: return "The blind relay works, but the peer did not come to it: it may not reach it, or its relay.policy is never.";
    case RelayFailure::kLost: return "The blind relay ended the connection to it.";
  }
  return "";
}

std::string_view NatName(Firewall firewall) {
  switch (firewall) {
    case Firewall::kUnknown: return "unknown";
    case Firewall::kOpen: return "open";
    case Firewall::kConsistent: return "consistent";
    case Firewall::kRandom: return "random";
  }
  return "random";  // Newer values count as such. Source: specs of hyperdht, holepuncher.
}

std::string_view LongestStep(const hyperdht::ConnectionInfo& info) {
  std::string_view longest;
  Duration most{};
  for (size_t i = 0; i + 1 < info.history.size(); ++i) {
    const Duration took = info.history[i + 1].at - info.history[i].at;
    if (info.history[i].step == hyperdht::ConnectStep::kOpen) break;
    if (took > most) most = took, longest = hyperdht::StepName(info.history[i].step);
  }
  return longest;
}

}  // namespace orchard::sidecar
