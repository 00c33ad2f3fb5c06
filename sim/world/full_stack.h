// `full`: a host's sockets on ns-3's Internet stack (Ipv4, UDP) instead of ours, over the same ports. A run with it has the
// fingerprint of one without; tests/sim/stack_test.cc holds both against each other.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "ns3/ipv4.h"
#include "ns3/node.h"
#include "ns3/socket.h"
#include "sim/world/segment.h"
#include "sim/world/wire.h"

namespace orchard::sim {

class Host;

class FullStack {
 public:
  FullStack(Host* host, absl::Span<Port* const> ports);
  ~FullStack();

  void Open(uint32_t socket, Ep4 local);
  void Close(uint32_t socket);
  void Send(uint32_t socket, Ep4 to, uint8_t ttl, Bytes payload);
  void Receive(Port& port, Bytes packet);
  void UpdateAddresses();

 private:
  struct Entry {
    uint32_t id;
    ns3::Ptr<ns3::Socket> socket;
  };
  void Readable(uint32_t id, ns3::Ptr<ns3::Socket> socket);

  Host* host_;
  std::vector<Port*> ports_;
  std::vector<uint32_t> addresses_;  // As ns-3 has them, beside ports_.
  ns3::Ptr<ns3::Node> node_;
  ns3::Ptr<ns3::Ipv4> ipv4_;
  std::vector<Entry> sockets_;
};

}  // namespace orchard::sim
