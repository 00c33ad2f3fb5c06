// The composition root: one node, a machine on the seam. Subsystems are made when first used.
#pragma once

#include <memory>

#include "node/base/turn.h"
#include "node/sidecar/config.h"

namespace orchard {

class Node final : public Machine {
 public:
  explicit Node(sidecar::Config config);
  ~Node() override;
  void Handle(Turn& turn, const Input& input) override;
  Instant next_deadline() const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace orchard
