// What is wrong with this node's network, said so that a person can act: pure functions of what the node knows.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "node/base/input.h"
#include "node/base/time.h"
#include "node/hyperdht/connection.h"

namespace orchard::sidecar {

struct Symptoms {
  struct Dialed {
    hyperdht::ConnectCode code;
    hyperdht::ConnectStep step;
    hyperdht::Path path;
    hyperdht::Firewall local_nat, remote_nat;
    hyperdht::ConnectCode direct = hyperdht::ConnectCode::kOk;   // Why no direct way was found, if the relay came then.
    hyperdht::RelayFailure relay = hyperdht::RelayFailure::kNone;
  };
  absl::Span<const Interface> interfaces;
  bool bootstrapped = false, online = false, degraded = false, firewalled = true, ephemeral = true;
  hyperdht::PunchPolicy punches = hyperdht::PunchPolicy::kAny;  // dht.punch.
  size_t nodes = 0, connections = 0;
  uint64_t replies = 0;            // To requests of others.
  Duration up_for{};
  std::string seen_as;             // Our public address; port 0: it differs per peer. Empty: not known yet.
  std::vector<std::string> pod_problems;  // PodProblems().
  bool pod = false;                // There is one.
  std::optional<Dialed> dialed;    // The peer that was asked about.
};

struct Finding {
  std::string_view check;          // "interfaces", "internet", "dht", "nat", "pod", "peer".
  bool ok;
  std::string says;
};

// The pod, if there is one; then in the order of a cable: interface, Internet, DHT, NAT, peer. Stops behind the first that must fail all later ones.
std::vector<Finding> Examine(const Symptoms& symptoms);
// None says otherwise; a NAT is no illness.
bool IsWell(absl::Span<const Finding> findings);
// The first finding that is not well, or that all is.
std::string Verdict(absl::Span<const Finding> findings);

// One sentence: what happened, and what helps.
std::string Explain(hyperdht::ConnectCode code);
// What became of the relay, and what helps; empty if there is nothing to say.
std::string Explain(hyperdht::RelayFailure failure);
// "unknown", "open", "consistent", "random".
std::string_view NatName(hyperdht::Firewall firewall);
// The step that took longest until the connection opened, or until now; empty if none is known.
std::string_view LongestStep(const hyperdht::ConnectionInfo& info);

}  // namespace orchard::sidecar
