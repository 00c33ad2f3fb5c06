// ns-3's Internet stack of one computer, over its ports: what its `full` UDP sockets and its TCP connections stand on. Made when
// the first of them is; most hosts never have one (10 KB).
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "ns3/ipv4.h"
#include "ns3/node.h"
#include "sim/world/segment.h"

namespace orchard::sim {

class Host;

class IpStack {
 public:
  // Both must outlive it.
  IpStack(Host* host, absl::Span<Port* const> ports);

  const ns3::Ptr<ns3::Node>& node() const { return node_; }
  // A packet for this host has come to `port`.
  void Receive(Port& port, Bytes packet) { port.HandUp(packet); }
  // After a port was renumbered.
  void UpdateAddresses();

 private:
  std::vector<Port*> ports_;
  std::vector<uint32_t> addresses_;  // As ns-3 has them, beside ports_.
  ns3::Ptr<ns3::Node> node_;
  ns3::Ptr<ns3::Ipv4> ipv4_;
};

}  // namespace orchard::sim
