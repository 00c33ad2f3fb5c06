#include "sim/world/ip_stack.h"

#include <utility>

#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-interface-address.h"
#include "ns3/ipv4-route.h"
#include "ns3/ipv4-routing-protocol.h"
#include "ns3/socket.h"
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
    const uint32_t from = header.GetSource().IsInitialized() ? header.GetSource().Get() : 0, to = header.GetDestination().Get();
    auto route = ns3::Create<ns3::Ipv4Route>();
    if (host_->IsMine(to)) {
      route->SetSource(ns3::Ipv4Address(from != 0 ? from : to));
      route->SetOutputDevice(ipv4_->GetNetDevice(0));  // The loopback, which every stack begins with.
    } else if (Port* port = host_->Route(to, from); port != nullptr) {
      route->SetSource(ns3::Ipv4Address(port->address));
      route->SetOutputDevice(ns3::Ptr<ns3::NetDevice>(port));
    } else {
      error = ns3::Socket::ERROR_NOROUTETOHOST;
      return nullptr;
    }
    route->SetDestination(header.GetDestination());
    route->SetGateway(header.GetDestination());
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

IpStack::IpStack(Host* host, absl::Span<Port* const> ports) : ports_(ports.begin(), ports.end()) {
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

void IpStack::UpdateAddresses() {
  for (size_t i = 0; i < ports_.size(); ++i) {
    if (ports_[i]->address == addresses_[i]) continue;
    const auto n = uint32_t(ipv4_->GetInterfaceForDevice(ns3::Ptr<ns3::NetDevice>(ports_[i])));
    ipv4_->RemoveAddress(n, ns3::Ipv4Address(addresses_[i]));
    ipv4_->AddAddress(n, InterfaceAddress(ports_[i]->address));
    addresses_[i] = ports_[i]->address;
  }
}

}  // namespace orchard::sim
