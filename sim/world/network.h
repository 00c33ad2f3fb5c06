// The world's wiring: which segments, ports, boxes and links a plan asks for, what they are called, and what can be done to
// them while it runs.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "node/base/rng.h"
#include "sim/world/addresses.h"
#include "sim/world/nat_box.h"
#include "sim/world/segment.h"

namespace orchard::sim {

class Network {
 public:
  // `plan` must outlive it. `station` gives each host's.
  Network(Core* core, const WorldPlan* plan, const std::function<Station*(HostIndex)>& station);
  ~Network();

  // A host's ports: its uplinks in order, then its place on a LAN.
  absl::Span<Port* const> ports(HostIndex h) const { return host_ports_[h]; }
  // What the world sees of a packet from `port`.
  std::optional<uint32_t> PublicAddress(const Port& port) const;

  // Called with a host whose interfaces have changed.
  void set_on_change(std::function<void(HostIndex)> f) { on_change_ = std::move(f); }

  bool ChangeLink(std::string_view link, const World::LinkChange& change);
  uint64_t PushLinkChange(std::string_view link, const World::LinkChange& change);
  void PopLinkChange(uint64_t ticket);
  bool Renumber(std::string_view link);
  bool NatRemap(std::string_view box, uint32_t share_ppm, bool new_address);
  bool NatReboot(std::string_view box, int64_t down_ns, bool new_address);

  std::vector<World::BoxInfo> boxes() const;
  std::vector<World::LinkInfo> links() const;

 private:
  struct Link {
    std::string name, preset;
    HostIndex host = kNoHost;
    LineParams base;
    Port* lined = nullptr;         // Whose line it is.
    Line* line = nullptr;          // A bottleneck's.
    Port* face = nullptr;          // The host's own port, which is up while it is.
    Link* lan = nullptr;           // Of a place on a LAN: the LAN's changes come first.
    std::vector<Link*> places;     // Of a LAN.
    std::vector<std::pair<uint64_t, World::LinkChange>> changes;  // Oldest first; ticket 0: for good.
  };
  struct Lan {
    ns3::Ptr<Segment> segment;
    Link* link = nullptr;
  };

  void BuildWide();
  void BuildLan(const LanPlan& plan, size_t members);
  void BuildHost(HostIndex h, Station* station);
  Port* AddPort(Segment& segment, Station* station, std::string_view name, HostIndex host, uint16_t region);
  // The boxes of a chain, from the wide area inwards. `inside`, if given, is the inside of the nearest, if that is its own.
  struct Chain {
    Segment* segment;        // The inside of the nearest.
    Port* access = nullptr;  // Where the access link ends; null: at the subscriber's own port.
  };
  Chain BuildChain(const std::vector<NatRef>& nat, const std::string& name, HostIndex host, uint16_t region,
                   ns3::Ptr<Segment> inside);
  NatBox* MakeBox(std::string name, const NatSpec* spec, Segment& outside, ns3::Ptr<Segment> inside, HostIndex host,
                  uint16_t region);
  Link* MakeLink(std::string name, const LinkSpec& spec, HostIndex host, bool up);
  void GiveLine(Port* port, Link* link, const LinkSpec& spec);
  Link* FindLink(std::string_view name) const;
  NatBox* FindBox(std::string_view name) const;
  static NatBox* BoxBehind(const Segment& segment);  // Whose inside it is; null: nobody's.
  const LineParams* Intern(const LineParams& p) { return &*params_.insert(p).first; }
  void Apply(Link& link);
  void MoveTo(Port& port, std::string_view name);
  void NewAddresses(NatBox& box);
  static void Remap(NatBox& box, uint32_t share_ppm);
  void ScheduleRemap(NatBox* box);
  uint16_t RegionOf(const std::string& name) const;

  Core* core_;
  const WorldPlan* plan_;
  ns3::Ptr<Segment> wide_;
  std::vector<std::string> regions_;
  std::deque<Link> links_;
  absl::flat_hash_map<std::string, Link*> link_names_;
  std::deque<NatBox> boxes_;
  absl::flat_hash_map<std::string, NatBox*> box_names_;
  std::map<std::string, NatBox*, std::less<>> shared_;        // By what stands behind the @.
  std::map<std::string, Lan, std::less<>> lans_;
  std::deque<Line> bottlenecks_;
  std::map<std::string, Line*, std::less<>> bottleneck_names_;
  std::deque<Rng> remap_luck_;
  std::set<LineParams> params_;
  std::vector<std::vector<Port*>> host_ports_;
  std::map<uint64_t, Link*> tickets_;
  uint64_t next_ticket_ = 1;
  std::function<void(HostIndex)> on_change_;
};

}  // namespace orchard::sim
