// A Segment is one network that carries packets by IPv4 address: the wide area, a LAN, a carrier's realm, the wire between a
// host and its own box. A Port is somebody's place on it. Both are ns-3's (Channel, NetDevice), so that its tools and its
// Internet stack fit, and carry real IPv4 and UDP bytes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "ns3/channel.h"
#include "ns3/mac48-address.h"
#include "ns3/net-device.h"
#include "ns3/node.h"
#include "ns3/traced-callback.h"
#include "sim/world/addresses.h"
#include "sim/world/core.h"
#include "sim/world/line.h"

namespace orchard::sim {

class Port;
class Segment;

// A host or a box: gets what arrives at its ports.
class Station {
 public:
  virtual ~Station() = default;
  virtual void OnFrame(Port& port, Frame frame) = 0;
  // ns-3's stack is about to send it from `port`.
  virtual void OnStackSend(Port&, const Frame&) {}
  // As Loop::Item's.
  virtual void Touch(int) const {}
};

class Port final : public ns3::NetDevice {
 public:
  static ns3::TypeId GetTypeId();
  Port(Core* core, Station* station, std::string_view name);

  // Sends: through the link (if it has one), its bottleneck, and the segment.
  void Transmit(Frame frame);
  // What comes from the segment, at the far end of the link.
  void Arrive(Frame frame);
  // As Loop::Item's: itself, then the station.
  void Touch(int step) const {
    if (step == 0) return Fetch(this, sizeof *this);
    station_->Touch(0);
  }
  // The link goes down that way: packets that are on it, or wait for it, die.
  void Flush(Way way);

  Station* station() const { return station_; }
  Segment* segment() const { return segment_; }
  Line* line() { return line_ ? &*line_ : nullptr; }
  std::string_view name() const { return name_; }
  bool up() const { return up_ && (!line_ || line_->up()); }

  void set_line(const LineParams* params, std::string_view name, uint64_t key) { line_.emplace(params, name, key); }
  // For `up`: of a port without a link of its own.
  void set_up(bool up) { up_ = up; }
  void NotifyLinkChange() { link_changed_(); }
  // Hands a packet to ns-3's protocol handlers.
  void HandUp(Bytes bytes);

  // ---- ns3::NetDevice ----
  void SetIfIndex(const uint32_t index) override { index_ = index; }
  uint32_t GetIfIndex() const override { return index_; }
  ns3::Ptr<ns3::Channel> GetChannel() const override;
  void SetAddress(ns3::Address) override {}
  ns3::Address GetAddress() const override;
  bool SetMtu(const uint16_t) override { return true; }
  // The link drops what is too long (it never fragments); the stack above must not fragment either.
  uint16_t GetMtu() const override { return 65'535; }
  bool IsLinkUp() const override { return up(); }
  void AddLinkChangeCallback(ns3::Callback<void> callback) override { link_changed_.ConnectWithoutContext(callback); }
  bool IsBroadcast() const override { return true; }
  ns3::Address GetBroadcast() const override { return ns3::Mac48Address::GetBroadcast(); }
  bool IsMulticast() const override { return true; }
  ns3::Address GetMulticast(ns3::Ipv4Address a) const override { return ns3::Mac48Address::GetMulticast(a); }
  ns3::Address GetMulticast(ns3::Ipv6Address a) const override { return ns3::Mac48Address::GetMulticast(a); }
  bool IsBridge() const override { return false; }
  bool IsPointToPoint() const override { return false; }
  bool Send(ns3::Ptr<ns3::Packet> packet, const ns3::Address& to, uint16_t protocol) override;
  bool SendFrom(ns3::Ptr<ns3::Packet> packet, const ns3::Address&, const ns3::Address& to, uint16_t protocol) override {
    return Send(packet, to, protocol);
  }
  ns3::Ptr<ns3::Node> GetNode() const override { return node_; }
  void SetNode(ns3::Ptr<ns3::Node> node) override { node_ = node; }
  bool NeedsArp() const override { return false; }
  void SetReceiveCallback(ReceiveCallback callback) override { receive_ = callback; }
  void SetPromiscReceiveCallback(PromiscReceiveCallback) override {}
  bool SupportsSendFrom() const override { return false; }

  uint32_t address = 0;
  HostIndex host = kNoHost;   // Whose it is, if all that arrives is for one host.
  uint32_t generation = 0;    // How often it was renumbered.
  uint16_t region = 0;
  uint8_t boxes_behind = 0;   // NAT boxes from here inwards, at most.

 private:
  friend class Segment;
  bool up_ = true;

 public:
  Line* bottleneck = nullptr;

 private:
  void DoDispose() override;
  void EnterLine(Frame frame);
  void Corrupt(Frame& frame, uint64_t bit);
  template <class F>
  void Later(int64_t when, Frame frame, F f);
  // The events of a packet: at the far end of the segment, and through the link.
  struct Arrival {
    Port* to;
    uint32_t from;        // As Core::ports has it.
    uint32_t left_us : 24;  // How long before its arrival the packet was through the sender's link.
    uint32_t epoch : 8;     // Of the sender's outbound way, when it was sent.
    void operator()(Frame f) const;
    void Touch(int step) const { to->Touch(step); }
  };
  // Whether the link went down after the packet was sent and before it was through.
  bool Lost(uint8_t epoch, int64_t left) const;
  struct Delivery {
    Port* port;
    uint32_t epoch;
    void operator()(Frame f) const;
    void Touch(int step) const { port->station_->Touch(step); }
  };

  Core* core_;
  Station* station_;
  Segment* segment_ = nullptr;
  std::optional<Line> line_;
  std::string_view name_;
  Luck path_luck_;
  uint32_t epoch_ = 0, index_ = 0;  // Of its inbound way: counts Flush.
  const uint32_t number_;           // In Core::ports.
  std::vector<int64_t> cuts_;       // When the outbound way went down.
  ns3::Ptr<ns3::Node> node_;
  ReceiveCallback receive_;
  ns3::TracedCallback<> link_changed_;
};

class Segment final : public ns3::Channel {
 public:
  // What the wide area adds to a plain segment.
  struct Wide {
    uint8_t hops = 0;
    uint32_t loss_ppm = 0, jitter_ppm = 0;
    int64_t jitter_ns = 0;
    size_t regions = 1;
    std::vector<int64_t> latency_ns;  // [from * regions + to]
  };
  static ns3::TypeId GetTypeId();
  Segment(Core* core, std::string name, std::unique_ptr<Wide> wide = nullptr);

  void Attach(ns3::Ptr<Port> port, uint32_t address);
  // A further address of `port` (a NAT's pool), and what it no longer has.
  void AddAddress(Port* port, uint32_t address) { by_address_[address] = port; }
  void RemoveAddress(uint32_t address) { by_address_.erase(address); }
  // Gets what is for nobody here.
  void set_gateway(Port* port) { gateway_ = port; }
  Port* gateway() const { return gateway_; }
  bool wide() const { return wide_ != nullptr; }
  const std::string& name() const { return name_; }

  AddressSpace space;           // Who has which address here.
  Segment* borrows = nullptr;   // A LAN behind a router without NAT: its addresses are of this segment.

  // `leaves` is when the packet is on the segment, not before now; `left` when it is through the link of `from`, and `epoch` as
  // Port::Arrival's.
  void Carry(Port* from, Frame frame, int64_t leaves, int64_t left, uint8_t epoch);

  std::size_t GetNDevices() const override { return ports_.size(); }
  ns3::Ptr<ns3::NetDevice> GetDevice(std::size_t i) const override { return ports_[i]; }

 private:
  void DoDispose() override;
  Core* core_;
  std::string name_;
  std::unique_ptr<Wide> wide_;
  std::vector<ns3::Ptr<Port>> ports_;
  absl::flat_hash_map<uint32_t, Port*> by_address_;
  Port* gateway_ = nullptr;
};

}  // namespace orchard::sim
