// What a plan asks of the kernel: which namespaces there are, which cables join them, who has which address. Pure; the names,
// boxes and addresses are those of ns-3's world (sim/world/network.h), so that a host has the same DHT id in both.
//
// The Internet is a ring of routers that every packet goes round once:
//
//   station ── hub-b ── core-(1+b) … core-m ─ relay ─ core-(m+2) … core-(K-b) ── hub-b ── station
//
// A station behind whom b boxes stand is joined to hub-b, so a path from host to host has exactly `hops` routers, boxes
// included, as in ns-3: opening probes of a low TTL die where they should. K = hops - 2.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/language/spec.h"
#include "sim/world/world.h"

namespace orchard::sim {

inline constexpr size_t kNoPlace = ~size_t{0};

struct Site {  // A namespace.
  enum class What : uint8_t { kHost, kBox, kLan, kHub, kCore };
  What what;
  std::string name;          // "peer-1", "box peer-1", "lan flat", "hub 1", "core 3"
  size_t of = kNoPlace;      // kHost: HostIndex; kBox: in `boxes`; kHub, kCore: its number.
};

struct Cable {
  size_t a, b;               // Sites. Of a port's cable, `a` is the port's end.
  std::string a_face, b_face;
  bool b_bridged = false;    // The end at `b` belongs to its bridge "in".
};

struct WireLink {            // What a fault calls a link.
  std::string name;
  LinkSpec spec;
  HostIndex host = kNoHost;
  bool up = true;
  size_t port = kNoPlace;    // Whose access it is.
};

struct BoxWire {
  std::string name;          // As World::BoxInfo.
  NatSpec spec;
  size_t site = 0;
  size_t outer = kNoPlace;   // Its port in `ports`.
  uint32_t gateway = 0;      // Its inside address.
  uint8_t bits = 0;
  std::vector<size_t> members;  // Ports inside.
  HostIndex host = kNoHost;  // Whose it is, if of one host.
};

// A station's place in a segment: a host, or the outside of a box.
struct PortWire {
  std::string name;          // Keys its address.
  size_t site = 0;
  std::string face;          // "eth0" of a host, "wan" of a box.
  uint32_t address = 0, generation = 0;
  size_t inside = kNoPlace;  // The box in whose inside it is; kNoPlace: the Internet, or `lan`.
  size_t lan = kNoPlace;     // Of a LAN without a router: its site.
  size_t cable = 0;
  uint16_t depth = 0;        // Boxes behind it, itself included; of a port on the Internet: which hub.
  std::string region;
  bool on_internet() const { return inside == kNoPlace && lan == kNoPlace; }
};

struct Wiring {
  std::vector<Site> sites;
  std::vector<Cable> cables;
  std::vector<WireLink> links;
  std::vector<BoxWire> boxes;
  std::vector<PortWire> ports;
  std::vector<size_t> host_port;            // By host.
  std::vector<size_t> host_site;
  std::vector<size_t> hubs;                 // Sites, by depth.
  std::vector<size_t> core;                 // Sites, in order of the ring.
  size_t relay = 0;                         // The place of the relay in `core`: it counts for two routers.
  std::map<std::string, size_t, std::less<>> link_names, box_names;

  // The place of the k-th router of the ring, from 1, in `core`.
  size_t CoreAt(size_t k) const { return k - 1 - (relays && k - 1 > relay ? 1 : 0); }
  bool relays = false;
  size_t ring = 0;                          // Routers of the ring: hops - 2.
};

// What the kernel host cannot do of this plan, with the name of who asks for it; empty: all of it.
std::vector<std::string> WiringRefusals(const WorldPlan& plan);
// `plan` has no refusals. `relay`: the ring has one.
Wiring MakeWiring(const WorldPlan& plan, bool relay);
// Another address for the port, that it never had.
uint32_t NextAddress(const WorldPlan& plan, Wiring& wiring, size_t port);

}  // namespace orchard::sim
