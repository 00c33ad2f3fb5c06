// The composition root: one node, a machine on the seam. It owns the DHT and the operations, and hands each input to
// whoever it concerns. Its identity is a key pair: of the configured seed, or drawn at the first start and kept.
#pragma once

#include <memory>

#include "node/base/turn.h"
#include "node/sidecar/config.h"

namespace orchard {

namespace hyperdht {
class Dht;
}
namespace swarm {
class Swarm;
}
namespace pod {
class Pod;
}
namespace cage {
class Server;
}

class Node final : public Machine {
 public:
  // `config` has no errors (sidecar::MergeConfig). A seed that is not 64 hex digits counts as none.
  explicit Node(sidecar::Config config);
  ~Node() override;
  void Handle(Turn& turn, const Input& input) override;
  Instant next_deadline() const override;

  // For whoever watches: figures, drawings, tests. Null before Start.
  const hyperdht::Dht* dht() const;
  // Null before the first operation on it.
  const swarm::Swarm* swarm() const;
  // Null unless pod.enabled.
  const pod::Pod* pod() const;
  // Null without sites.
  const cage::Server* cages() const;
  // Once the sockets could not be bound: why. Ok until then.
  absl::StatusCode bind_failure() const;
  // The identity; all zero before Start.
  Key32 public_key() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace orchard
