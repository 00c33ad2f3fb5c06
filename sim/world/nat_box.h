// A NAT box, or a plain router, between the segment inside it and the one outside: moves packets, and changes their addresses
// as its NatTable says.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/world/nat_table.h"
#include "sim/world/segment.h"

namespace orchard::sim {

class NatBox final : public Station {
 public:
  // `spec` null: a router that changes nothing. Must outlive the box.
  NatBox(Core* core, std::string name, const NatSpec* spec) : core_(core), name_(std::move(name)), spec_(spec) {}

  void OnFrame(Port& port, Frame frame) override;

  // Wiring, by sim/world/network.cc.
  ns3::Ptr<Port> inner, outer;
  ns3::Ptr<Segment> inside;
  std::unique_ptr<NatTable> table;  // Null: a router.
  uint32_t generation = 0;          // Of its outer addresses.
  int64_t down_until = 0;           // Reboots.

  // That of TCP, beside `table`; made when the first segment comes.
  NatTable* tcp_table() { return tcp_ ? &tcp_->table : nullptr; }
  const NatTable* tcp_table() const { return tcp_ ? &tcp_->table : nullptr; }

  const std::string& name() const { return name_; }
  const NatSpec* spec() const { return spec_; }

 private:
  void Outwards(Frame frame);
  void Inwards(Frame frame);
  void Drop(const Frame& frame, NatVerdict verdict);
  // The table for the packet, with what it says about its flow; null: this box lets none such through.
  NatTable* TableOf(Bytes packet, FlowMark* mark);
  struct Tcp {
    Tcp(const NatSpec& s, std::vector<uint32_t> addresses, uint64_t key) : spec(NatTable::TcpSpec(s)), table(&spec, std::move(addresses), key) {}
    NatSpec spec;
    NatTable table;
  };

  Core* core_;
  std::string name_;
  const NatSpec* spec_;
  std::unique_ptr<Tcp> tcp_;
};

}  // namespace orchard::sim
