#include "sim/world/full_stack.h"

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "ns3/inet-socket-address.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-interface-address.h"
#include "ns3/ipv4-route.h"
#include "ns3/ipv4-routing-protocol.h"
#include "ns3/udp-socket-factory.h"
#include "sim/world/host.h"

namespace orchard::sim {
namespace {

// Asks the host, so that both stacks choose the same way out.
class HostRouting final : public ns3::Ipv4RoutingProtocol {
 public:
  explicit HostRouting(Host* host) : host_(host) {}
  ns3::Ptr<ns3::Ipv4Route> RouteOutput(ns3::Ptr<ns3::Packet>, const ns3::Ipv4Header& header, ns3::Ptr<ns3::NetDevice>,
                                       ns3::Socket::SocketErrno& error) override {
    // A socket bound to no address asks with a source that was never set, which is not zero.
    const ns3::Ipv4Address from = header.GetSource();
    Port* port = host_->Route(header.GetDestination().Get(), from.IsInitialized() ? from.Get() : 0);
    if (port == nullptr) {
      error = ns3::Socket::ERROR_NOROUTETOHOST;
      return nullptr;
    }
    auto route = ns3::Create<ns3::Ipv4Route>();
    route->SetDestination(header.GetDestination());
    route->SetSource(ns3::Ipv4Address(port->address));
    route->SetGateway(header.GetDestination());
    route->SetOutputDevice(ns3::Ptr<ns3::NetDevice>(port));
    error = ns3::Socket::ERROR_NOTERROR;
    return route;
  }
  bool RouteInput(ns3::Ptr<const ns3::Packet> packet, const ns3::Ipv4Header& header, ns3::Ptr<const ns3::NetDevice> device,
                  UnicastForwardCallback, MulticastForwardCallback, LocalDeliverCallback deliver, ErrorCallback) override {
    // The host lets nothing up that is not for it.
    deliver(packet, header, uint32_t(ipv4_->GetInterfaceForDevice(device)));
    return true;
  }
  void NotifyInterfaceUp(uint32_t) override {}
  void NotifyInterfaceDown(uint32_t) override {}
  void NotifyAddAddress(uint32_t, ns3::Ipv4InterfaceAddress) override {}
  void NotifyRemoveAddress(uint32_t, ns3::Ipv4InterfaceAddress) override {}
  void SetIpv4(ns3::Ptr<ns3::Ipv4> ipv4) override { ipv4_ = ipv4; }
  void PrintRoutingTable(ns3::Ptr<ns3::OutputStreamWrapper>, ns3::Time::Unit) const override {}

 private:
  void DoDispose() override {
    ipv4_ = nullptr;
    ns3::Ipv4RoutingProtocol::DoDispose();
  }
  Host* host_;
  ns3::Ptr<ns3::Ipv4> ipv4_;
};

ns3::Ipv4InterfaceAddress InterfaceAddress(uint32_t address) {
  return {ns3::Ipv4Address(address), ns3::Ipv4Mask::GetOnes()};
}

}  // namespace

FullStack::FullStack(Host* host, absl::Span<Port* const> ports) : host_(host), ports_(ports.begin(), ports.end()) {
  node_ = ns3::CreateObject<ns3::Node>();
  ns3::InternetStackHelper helper;
  helper.SetIpv6StackInstall(false);
  helper.Install(node_);
  ipv4_ = node_->GetObject<ns3::Ipv4>();
  ipv4_->SetRoutingProtocol(ns3::CreateObject<HostRouting>(host));
  for (Port* port : ports_) {
    node_->AddDevice(ns3::Ptr<ns3::NetDevice>(port));
    const uint32_t i = ipv4_->AddInterface(ns3::Ptr<ns3::NetDevice>(port));
    ipv4_->AddAddress(i, InterfaceAddress(port->address));
    ipv4_->SetUp(i);
    addresses_.push_back(port->address);
  }
}

FullStack::~FullStack() {
  while (!sockets_.empty()) Close(sockets_.back().id);
}

void FullStack::UpdateAddresses() {
  for (size_t i = 0; i < ports_.size(); ++i) {
    if (ports_[i]->address == addresses_[i]) continue;
    const auto n = uint32_t(ipv4_->GetInterfaceForDevice(ns3::Ptr<ns3::NetDevice>(ports_[i])));
    ipv4_->RemoveAddress(n, ns3::Ipv4Address(addresses_[i]));
    ipv4_->AddAddress(n, InterfaceAddress(ports_[i]->address));
    addresses_[i] = ports_[i]->address;
  }
}

void FullStack::Open(uint32_t id, Ep4 local) {
  auto socket = ns3::Socket::CreateSocket(node_, ns3::UdpSocketFactory::GetTypeId());
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

void FullStack::Receive(Port& port, Bytes packet) { port.HandUp(packet); }

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
