#include "sim/world/full_stack.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "ns3/inet-socket-address.h"
#include "ns3/udp-socket-factory.h"
#include "sim/world/host.h"

namespace orchard::sim {

FullStack::~FullStack() {
  while (!sockets_.empty()) Close(sockets_.back().id);
}

void FullStack::Open(uint32_t id, Ep4 local) {
  auto socket = ns3::Socket::CreateSocket(ip_->node(), ns3::UdpSocketFactory::GetTypeId());
  const ns3::Ipv4Address ip = local.ip == 0 ? ns3::Ipv4Address::GetAny() : ns3::Ipv4Address(local.ip);
  CHECK_EQ(socket->Bind(ns3::InetSocketAddress(ip, local.port)), 0);  // The host has looked whether it is free.
  socket->SetRecvCallback(ns3::Callback<void, ns3::Ptr<ns3::Socket>>([this, id](ns3::Ptr<ns3::Socket> s) { Readable(id, s); }));
  sockets_.push_back({id, socket});
}

void FullStack::Close(uint32_t id) {
  auto it = std::find_if(sockets_.begin(), sockets_.end(), [&](const Entry& e) { return e.id == id; });
  if (it == sockets_.end()) return;
  it->socket->SetRecvCallback(ns3::MakeNullCallback<void, ns3::Ptr<ns3::Socket>>());
  it->socket->Close();
  sockets_.erase(it);
}

void FullStack::Send(uint32_t id, Ep4 to, uint8_t ttl, Bytes payload) {
  auto it = std::find_if(sockets_.begin(), sockets_.end(), [&](const Entry& e) { return e.id == id; });
  CHECK(it != sockets_.end());
  it->socket->SetIpTtl(ttl);
  // The host has found a way out before, so that ns-3 has no reason to refuse.
  const int sent = it->socket->SendTo(ns3::Create<ns3::Packet>(payload.data(), uint32_t(payload.size())), 0,
                                      ns3::InetSocketAddress(ns3::Ipv4Address(to.ip), to.port));
  CHECK_EQ(sent, int(payload.size()));
}

void FullStack::Readable(uint32_t id, ns3::Ptr<ns3::Socket> socket) {
  ns3::Address from;
  while (auto packet = socket->RecvFrom(from)) {
    uint8_t payload[kPacketMax];
    const uint32_t size = packet->CopyData(payload, kPacketMax);
    const auto address = ns3::InetSocketAddress::ConvertFrom(from);
    host_->OnDatagram(id, {address.GetIpv4().Get(), address.GetPort()}, {payload, size});
  }
}

}  // namespace orchard::sim
