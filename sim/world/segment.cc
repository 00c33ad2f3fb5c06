#include "sim/world/segment.h"

#include <algorithm>
#include <utility>

#include "ns3/ipv4-l3-protocol.h"
#include "sim/world/wire.h"

namespace orchard::sim {

namespace {

// The line lets everything through but this.
bool Cut(Line& line, Way way, const Frame& frame) {
  if (line.cuts(way) == 0) return false;
  uint8_t header[kIpHeader];
  if (frame.packet->CopyData(header, kIpHeader) < kIpHeader || header[9] != line.cuts(way)) return false;
  line.CountDrop(way);
  return true;
}

}  // namespace

NS_OBJECT_ENSURE_REGISTERED(Port);
NS_OBJECT_ENSURE_REGISTERED(Segment);

ns3::TypeId Port::GetTypeId() {
  static ns3::TypeId id = ns3::TypeId("orchard::Port").SetParent<ns3::NetDevice>().SetGroupName("Orchard");
  return id;
}

Port::Port(Core* core, Station* station, std::string_view name)
    : core_(core), station_(station), name_(name), path_luck_(KeyOf(core->seed, name, "path")), number_(uint32_t(core->ports.size())) {
  core->ports.push_back(this);
}

void Port::DoDispose() {
  node_ = nullptr;
  receive_ = ReceiveCallback();
  ns3::NetDevice::DoDispose();
}

ns3::Ptr<ns3::Channel> Port::GetChannel() const { return ns3::Ptr<ns3::Channel>(segment_); }

ns3::Address Port::GetAddress() const {
  // Locally administered (IEEE 802), made of the IPv4 address.
  uint8_t mac[6] = {0x02, 0x00};
  Write32(mac + 2, address);
  ns3::Mac48Address out;
  out.CopyFrom(mac);
  return out;
}

// Runs `f` at `when`; at once if that is now.
template <class F>
void Port::Later(int64_t when, Frame frame, F f) {
  if (when <= core_->now()) return f(std::move(frame));
  struct Event {
    Frame frame;
    F f;
    void operator()() { f(std::move(frame)); }
    void Touch(int step) const {
      if (step == 0) Fetch(ns3::PeekPointer(frame.packet), 64);
      if constexpr (requires { f.Touch(step); }) f.Touch(step);
    }
  };
  core_->After(when - core_->now(), Event{std::move(frame), std::move(f)});
}

void Port::Flush(Way way) {
  if (line_) line_->Clear(way);
  if (way == Way::kIn) ++epoch_;
  else cuts_.push_back(core_->now()), core_->any_link_cut = true;
}

bool Port::Lost(uint8_t epoch, int64_t left) const {
  // No packet lives through 256 of them.
  const size_t since = uint8_t(cuts_.size() - epoch);
  return since > 0 && cuts_[cuts_.size() - since] < left;
}

void Port::Arrival::operator()(Frame f) const {
  Core* core = to->core_;
  if (core->any_link_cut) {
    Port* sender = core->ports[from];
    if (sender->Lost(uint8_t(epoch), core->now() - int64_t{left_us} * 1000)) {
      sender->line_->CountDrop(Way::kOut);
      return core->Dropped(f, "down", sender->name_);
    }
  }
  to->Arrive(std::move(f));
}

void Port::Delivery::operator()(Frame f) const {
  if (epoch != port->epoch_) return port->core_->Dropped(f, "down", port->name_);
  port->station_->OnFrame(*port, std::move(f));
}

bool Port::Send(ns3::Ptr<ns3::Packet> packet, const ns3::Address&, uint16_t protocol) {
  uint8_t header[kIpHeader];
  if (protocol != ns3::Ipv4L3Protocol::PROT_NUMBER || packet->CopyData(header, kIpHeader) < kIpHeader) return false;
  Frame frame{std::move(packet), Read32(header + 16), host, Ttl(header), 0};
  core_->Refresh();
  station_->OnStackSend(*this, frame);
  // Where nothing takes time, the packet would be at the other end at once, and its answer here while the socket still sends.
  const bool was = std::exchange(core_->in_stack, true);
  Transmit(std::move(frame));
  core_->in_stack = was;
  return true;
}

void Port::Transmit(Frame frame) {
  if (!up_) return core_->Dropped(frame, "down", name_);
  const auto epoch = uint8_t(cuts_.size());
  if (!line_) return segment_->Carry(this, std::move(frame), core_->now(), core_->now(), epoch);
  if (Cut(*line_, Way::kOut, frame)) return core_->Dropped(frame, "cut", name_);
  Passage p = line_->Pass(Way::kOut, core_->now(), frame.packet->GetSize());
  if (!p.drop.empty()) return core_->Dropped(frame, p.drop, name_);
  if (p.corrupt) Corrupt(frame, p.corrupt_bit);
  auto on = [this, epoch](int64_t arrives, Frame f) {
    if (bottleneck == nullptr) return segment_->Carry(this, std::move(f), arrives, arrives, epoch);
    Later(arrives, std::move(f), [this, epoch](Frame g) {
      if (Lost(epoch, core_->now())) return core_->Dropped(g, "down", name_);
      if (Cut(*bottleneck, Way::kOut, g)) return core_->Dropped(g, "cut", bottleneck->name());
      Passage q = bottleneck->Pass(Way::kOut, core_->now(), g.packet->GetSize());
      if (!q.drop.empty()) return core_->Dropped(g, q.drop, bottleneck->name());
      segment_->Carry(this, std::move(g), q.arrives, core_->now(), uint8_t(cuts_.size()));
    });
  };
  if (p.arrives_again >= 0) on(p.arrives_again, frame);
  on(p.arrives, std::move(frame));
}

void Port::Arrive(Frame frame) {
  if (!up_) return core_->Dropped(frame, "down", name_);
  if (bottleneck == nullptr) return EnterLine(std::move(frame));
  if (Cut(*bottleneck, Way::kIn, frame)) return core_->Dropped(frame, "cut", bottleneck->name());
  Passage q = bottleneck->Pass(Way::kIn, core_->now(), frame.packet->GetSize());
  if (!q.drop.empty()) return core_->Dropped(frame, q.drop, bottleneck->name());
  Later(q.arrives, std::move(frame), [this](Frame f) { EnterLine(std::move(f)); });
}

void Port::EnterLine(Frame frame) {
  if (!line_) return station_->OnFrame(*this, std::move(frame));
  if (Cut(*line_, Way::kIn, frame)) return core_->Dropped(frame, "cut", name_);
  Passage p = line_->Pass(Way::kIn, core_->now(), frame.packet->GetSize());
  if (!p.drop.empty()) return core_->Dropped(frame, p.drop, name_);
  if (p.corrupt) Corrupt(frame, p.corrupt_bit);
  const Delivery deliver{this, epoch_};
  station_->Touch(1);
  if (p.arrives_again >= 0) Later(p.arrives_again, frame, deliver);
  Later(p.arrives, std::move(frame), deliver);
}

// Flips one bit behind the IP header, so that the packet still finds its way and the UDP checksum must catch it.
void Port::Corrupt(Frame& frame, uint64_t bit) {
  uint8_t buffer[kPacketMax];
  Bytes bytes = CopyBytes(frame, buffer);
  if (bytes.size() <= kHeaders) return;
  const size_t place = kHeaders + size_t(bit / 8 % (bytes.size() - kHeaders));
  buffer[place] ^= uint8_t(1u << (bit % 8));
  frame.packet = ns3::Create<ns3::Packet>(buffer, uint32_t(bytes.size()));
}

void Port::HandUp(Bytes bytes) {
  receive_(this, ns3::Create<ns3::Packet>(bytes.data(), uint32_t(bytes.size())), ns3::Ipv4L3Protocol::PROT_NUMBER,
           GetAddress());
}

ns3::TypeId Segment::GetTypeId() {
  static ns3::TypeId id = ns3::TypeId("orchard::Segment").SetParent<ns3::Channel>().SetGroupName("Orchard");
  return id;
}

Segment::Segment(Core* core, std::string name, std::unique_ptr<Wide> wide)
    : core_(core), name_(std::move(name)), wide_(std::move(wide)) {}

void Segment::DoDispose() {
  for (const auto& port : ports_) port->Dispose();
  ports_.clear();
  by_address_.clear();
  ns3::Channel::DoDispose();
}

void Segment::Attach(ns3::Ptr<Port> port, uint32_t address) {
  port->segment_ = this;
  port->address = address;
  by_address_[address] = ns3::PeekPointer(port);
  ports_.push_back(std::move(port));
}

void Segment::Carry(Port* from, Frame frame, int64_t leaves, int64_t left, uint8_t epoch) {
  constexpr int64_t kLeftMax = (1 << 24) - 1;  // 16 s: no path is so long.
  auto arrival = [&](Port* to) {
    return Port::Arrival{to, from->number_, uint32_t(std::min((leaves - left) / 1000, kLeftMax)), epoch};
  };
  const bool everyone = frame.to >> 28 == 0xe || frame.to == 0xffffffff;
  if (everyone && wide_ == nullptr) {
    for (const auto& port : ports_) {
      Port* to = ns3::PeekPointer(port);
      if (to != from) from->Later(leaves, frame, arrival(to));
    }
    return;
  }
  auto found = by_address_.find(frame.to);
  Port* to = found != by_address_.end() ? found->second : gateway_;
  if (to == nullptr || to == from || everyone) return core_->Dropped(frame, "no-route", name_);
  if (to->host != kNoHost && core_->cuts.Apart(frame.from, to->host)) return core_->Dropped(frame, "partition", name_);
  if (wide_ != nullptr) {
    // A path has `hops` routers; the boxes at both ends are of them, and take theirs themselves.
    const int boxes = frame.boxes + to->boxes_behind, routers = std::max(0, wide_->hops - boxes);
    if (frame.ttl <= routers) return core_->Dropped(frame, "ttl", name_);
    frame.ttl = uint8_t(frame.ttl - routers);
    if (wide_->loss_ppm != 0 && from->path_luck_.Chance(wide_->loss_ppm)) return core_->Dropped(frame, "loss", name_);
    const int64_t latency = wide_->latency_ns[from->region * wide_->regions + to->region];
    const int64_t sigma = wide_->jitter_ns + latency * wide_->jitter_ppm / 1'000'000;
    const int64_t jitter = sigma == 0 ? 0 : Jitter(Mix(uint64_t(from->address) << 32 | to->address), leaves, sigma);
    leaves = std::max(leaves, leaves + latency + jitter);
  }
  from->Later(leaves, std::move(frame), arrival(to));
}

}  // namespace orchard::sim
