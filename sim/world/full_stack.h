// `full`: a host's UDP sockets on ns-3's Internet stack (Ipv4, UDP) instead of ours, over the same ports. A run with it has the
// fingerprint of one without; tests/sim/stack_test.cc holds both against each other.
#pragma once

#include <vector>

#include "ns3/socket.h"
#include "sim/world/ip_stack.h"
#include "sim/world/wire.h"

namespace orchard::sim {

class Host;

class FullStack {
 public:
  FullStack(Host* host, IpStack* ip) : host_(host), ip_(ip) {}
  ~FullStack();

  void Open(uint32_t socket, Ep4 local);
  void Close(uint32_t socket);
  void Send(uint32_t socket, Ep4 to, uint8_t ttl, Bytes payload);

 private:
  struct Entry {
    uint32_t id;
    ns3::Ptr<ns3::Socket> socket;
  };
  void Readable(uint32_t id, ns3::Ptr<ns3::Socket> socket);

  Host* host_;
  IpStack* ip_;
  std::vector<Entry> sockets_;
};

}  // namespace orchard::sim
