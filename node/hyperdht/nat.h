// What a puncher knows of the NAT before one socket of its own: each node that saw the socket's packets tells once which
// address they came from. Not the sampler of the DHT's own sockets (dht/nat_sampler.h): this one decides after a few samples
// whether a hole can be punched. Source: npm hyperdht lib/nat.js.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "node/hyperdht/messages.h"
#include "node/wire/address.h"

namespace orchard::hyperdht {

std::string_view FirewallName(Firewall firewall);  // "unknown", "open", "consistent", "random"

class Nat {
 public:
  // Samples that are asked for; with them the analysis ends, whatever it says.
  static constexpr uint32_t kSamples = 4;
  // Samplers that are remembered; further ones are not counted. Pings ask eight at most, the rest are relays.
  static constexpr size_t kSamplersMax = 64;

  // `dht_firewalled`: as dht::Rpc::firewalled() says. If not, the NAT is open and stays so.
  explicit Nat(bool dht_firewalled);

  // `sampler` saw the socket as `seen_as`. Only its first word counts.
  void Add(Ipv4Address seen_as, Ipv4Address sampler);
  // `sampler` is being asked; false if it was asked or has spoken before, or if too many are remembered.
  bool Visit(Ipv4Address sampler);
  // The classification does not change any more, whatever is added.
  void Freeze() { frozen_ = true; }
  // Nobody is left to ask: what is known must do.
  void EndSampling() { analyzed_ = true; }

  bool analyzed() const { return analyzed_; }
  Firewall firewall() const { return firewall_; }
  // What the other side is told: nothing while unknown (or open), the host with port 0 if random, else where to probe.
  const std::optional<std::vector<Endpoint>>& addresses() const { return addresses_; }
  uint32_t sampled() const { return sampled_; }
  size_t samplers() const { return samplers_.size(); }

 private:
  struct Sample {
    Ipv4Address address;
    uint32_t hits;
  };
  struct Sampler {
    Ipv4Address address;
    bool spoke;
  };
  static void Count(std::vector<Sample>& samples, Ipv4Address address);
  Sampler* Find(Ipv4Address sampler);
  void Classify();
  void Advertise();

  std::vector<Sample> full_, hosts_;  // Most hits first, equal ones in the order they came. In hosts_ ports are 0.
  std::vector<Sampler> samplers_;
  std::optional<std::vector<Endpoint>> addresses_;
  uint32_t sampled_ = 0;
  Firewall firewall_;
  bool dht_firewalled_, frozen_ = false, analyzed_ = false;
};

}  // namespace orchard::hyperdht
