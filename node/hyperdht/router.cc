#include "node/hyperdht/router.h"

#include <utility>

#include "node/hyperdht/messages.h"

namespace orchard::hyperdht {
namespace {

Action Relay(std::string value, const Endpoint& to) {
  return {.kind = Action::Kind::kRelay, .value = std::move(value), .to = to};
}

// The answer of the peer, turned into a response to whoever asked; the transaction id is still the asker's.
Action ReplyTo(std::string value, const Endpoint& to) {
  return {.kind = Action::Kind::kReply, .token = false, .closer_nodes = false, .value = std::move(value), .to = to};
}

}  // namespace

const Router::Forward* Router::Get(Instant now, const Key32& target) {
  if (auto own = own_.find(target); own != own_.end()) return &own->second;
  return forwards_.Get(now, target);
}

Action Router::OnPeerHandshake(Instant now, const UserRequest& request) {
  if (!request.value.has_value()) return Action::Silence("no-value");
  absl::StatusOr<HandshakeEnvelope> hs = HandshakeEnvelope::Decode(*request.value);
  if (!hs.ok()) return Action::Silence("malformed");
  if (hs->noise.empty()) return Action::Silence("no-noise");
  const Forward* forward = request.target.has_value() ? Get(now, *request.target) : nullptr;

  switch (hs->mode) {
    case uint64_t(Mode::kFromClient): {
      if (forward == nullptr && !hs->relay_address.has_value()) {
        // Closer nodes help the client along; it takes the missing value for a bad handshake at this node.
        return {.kind = Action::Kind::kReply, .token = false, .closer_nodes = true};
      }
      HandshakeEnvelope on{.mode = uint64_t(Mode::kFromRelay), .noise = std::move(hs->noise), .peer_address = request.from};
      return Relay(on.Encode(), hs->relay_address.has_value() ? *hs->relay_address : forward->relay);
    }
    case uint64_t(Mode::kFromRelay): {
      if (forward == nullptr) return Action::Silence("no-route");
      HandshakeEnvelope on{.mode = uint64_t(Mode::kFromSecondRelay), .noise = std::move(hs->noise),
                           .peer_address = hs->peer_address, .relay_address = request.from};
      return Relay(on.Encode(), forward->relay);
    }
    case uint64_t(Mode::kFromServer): {
      if (!hs->peer_address.has_value()) return Action::Silence("no-peer");
      HandshakeEnvelope back{.mode = uint64_t(Mode::kReply), .noise = std::move(hs->noise), .peer_address = request.from};
      return ReplyTo(back.Encode(), *hs->peer_address);
    }
    default:
      return Action::Silence("bad-mode");  // FROM_SECOND_RELAY concerns the owner, REPLY is no request.
  }
}

Action Router::OnPeerHolepunch(Instant now, const UserRequest& request) {
  if (!request.value.has_value()) return Action::Silence("no-value");
  absl::StatusOr<HolepunchEnvelope> hp = HolepunchEnvelope::Decode(*request.value);
  if (!hp.ok()) return Action::Silence("malformed");
  const Forward* forward = request.target.has_value() ? Get(now, *request.target) : nullptr;

  switch (hp->mode) {
    case uint64_t(Mode::kFromClient): {
      if (forward == nullptr && !hp->peer_address.has_value()) return Action::Silence("no-route");
      HolepunchEnvelope on{.mode = uint64_t(Mode::kFromRelay), .id = hp->id, .payload = std::move(hp->payload),
                           .peer_address = request.from};
      return Relay(on.Encode(), hp->peer_address.has_value() ? *hp->peer_address : forward->relay);
    }
    case uint64_t(Mode::kFromServer): {
      if (!hp->peer_address.has_value()) return Action::Silence("no-peer");
      HolepunchEnvelope back{.mode = uint64_t(Mode::kReply), .id = hp->id, .payload = std::move(hp->payload),
                             .peer_address = request.from};
      return ReplyTo(back.Encode(), *hp->peer_address);
    }
    default:
      return Action::Silence("bad-mode");
  }
}

}  // namespace orchard::hyperdht
