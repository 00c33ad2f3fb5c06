#include "node/node.h"
namespace orchard {
class Node::Impl {};
Node::Node(sidecar::Config) {}
Node::~Node() = default;
void Node::Handle(Turn&, const Input&) {}
Instant Node::next_deadline() const { return kNever; }
}  // namespace orchard
