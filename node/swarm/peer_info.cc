#include "node/swarm/peer_info.h"

namespace orchard::swarm {

Priority PeerInfo::ComputePriority() const {
  const bool stale = tried && !proven;
  if (stale || attempts > kAttemptsMax) return Priority::kVeryLow;
  switch (attempts) {
    case 0: return Priority::kNormal;
    case 1: return Priority::kVeryHigh;
    case 2: return Priority::kHigh;
    default: return Priority::kLow;
  }
}

bool PeerInfo::UpdatePriority() {
  if (is_explicit && attempts > kAttemptsMax) attempts = kAttemptsMax;
  if (banned || queued || attempts > kAttemptsMax) return false;
  priority = ComputePriority();
  return true;
}

void PeerInfo::Connected(Instant now) {
  proven = true;
  connected = now;
}

void PeerInfo::Disconnected(Instant now) {
  disconnected = now;
  if (connected != kNever && now - connected >= kGoodConnection) attempts = 0;
  connected = kNever;
  ++attempts;
}

void PeerInfo::Reset() {
  client = proven = tried = false;
  attempts = 0;
}

std::optional<Backoff> PeerInfo::backoff() const {
  if (banned || !reconnecting) return std::nullopt;
  switch (attempts) {
    case 0: return Backoff::kShort;
    case 1: return proven ? Backoff::kShort : Backoff::kMedium;
    case 2: return proven ? Backoff::kMedium : Backoff::kLong;
    case 3: return Backoff::kLong;
    default: return is_explicit ? std::optional(Backoff::kVeryLong) : std::nullopt;
  }
}

}  // namespace orchard::swarm
