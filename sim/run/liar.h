// A host that lies to others while its own node is honest: what stands between that node and its network (`misbehave`).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/btree_set.h"
#include "node/base/rng.h"
#include "node/base/turn.h"
#include "sim/language/spec.h"

namespace orchard::sim {

// What a host does now.
struct Lies {
  Misdeed how = Misdeed::kNone;
  uint32_t rate_ppm = 0;
};

class Liar final : public Machine {
 public:
  static constexpr uint16_t kWebPort = 80;      // Streams to it bring what the web sends.
  static constexpr size_t kHeadMax = 1024;      // Of a piece: an answer's head may stand there, which stays as it is.
  static constexpr Duration kSpoofEvery = std::chrono::milliseconds(100);

  // `lies` is read in every turn, and outlives this.
  Liar(std::unique_ptr<Machine> honest, const Lies* lies, uint16_t discovery_port, Rng rng)
      : honest_(std::move(honest)), lies_(lies), discovery_port_(discovery_port), rng_(std::move(rng)) {}
  void Handle(Turn& turn, const Input& input) override;
  Instant next_deadline() const override { return std::min(honest_->next_deadline(), spoof_at_); }

 private:
  void Flip(Turn& turn, const StreamData& data);
  void Spoof(Turn& turn);

  std::unique_ptr<Machine> honest_;
  const Lies* lies_;
  uint16_t discovery_port_;
  Rng rng_;
  absl::btree_set<StreamId> web_;
  std::optional<SocketId> beacons_;  // The node's own: what it sends to the group leaves by its LAN.
  Instant spoof_at_ = kNever;
};

}  // namespace orchard::sim
