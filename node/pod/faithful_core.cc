#include "node/pod/faithful_core.h"

#include <algorithm>

#include "node/crypto/sha256.h"

namespace orchard::pod {

std::optional<FaithfulCore::Accelerate> FaithfulCore::OnIncomingRequest(Rng& rng, std::optional<std::pair<uint64_t, uint64_t>> range) {
  if (!range.has_value() || peers_.empty() || range->second < range->first) return std::nullopt;
  const uint64_t total = range->second - range->first + 1;
  if (total == 0 || total > kBodyMax) return std::nullopt;
  rng.Fill(absl::MakeSpan(transfer_));
  transfer_[6] = uint8_t((transfer_[6] & 0x0f) | 0x40), transfer_[8] = uint8_t((transfer_[8] & 0x3f) | 0x80);
  pieces_.clear();  // Whatever was under way is forgotten.
  const auto count = uint32_t((total + kChunkBytes - 1) / kChunkBytes);
  // The shipped hosts never set a weight.
  const std::vector<uint32_t> plan = Plan(Scheduler::kRoundRobin, count, uint32_t(peers_.size() + 1), {});
  Accelerate out{transfer_, total, {}};
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t start = i * kChunkBytes, end = std::min(total, start + kChunkBytes);
    const bool ours = plan[i] == 0;
    pieces_.push_back({start, end, ours ? own_ : peers_[plan[i] - 1], std::nullopt});
    out.chunks.push_back({start, end, ours ? std::nullopt : std::optional(pieces_.back().owner)});
  }
  return out;
}

FaithfulCore::Received FaithfulCore::OnChunkReceived(const ChunkData& data) {
  Received out;
  if (pieces_.empty() || data.transfer != transfer_) return out;
  const auto it = std::find_if(pieces_.begin(), pieces_.end(), [&](const Piece& p) { return p.start == data.start && p.end == data.end; });
  if (it == pieces_.end()) return out;  // The original keeps it, and it changes nothing.
  if (crypto::Sha256(data.payload) != data.hash) {
    size_t turn = 0;
    out.reassigned = Reassign(size_t(it - pieces_.begin()), turn);
    return out;
  }
  it->data = std::string(AsText(data.payload));
  if (!std::all_of(pieces_.begin(), pieces_.end(), [](const Piece& p) { return p.data.has_value(); })) return out;
  out.body.emplace();
  for (const Piece& p : pieces_) *out.body += *p.data;
  pieces_.clear();
  return out;
}

void FaithfulCore::OnPeerJoined(const DeviceId& peer) {
  if (std::find(peers_.begin(), peers_.end(), peer) == peers_.end() && peers_.size() < kPeersMax) peers_.push_back(peer);
  last_tick_[peer] = tick_;
}

std::vector<FaithfulCore::Outbound> FaithfulCore::OnPeerLeft(const DeviceId& peer) {
  peers_.erase(std::remove(peers_.begin(), peers_.end(), peer), peers_.end());
  last_tick_.erase(peer);
  std::vector<Outbound> out;
  size_t turn = 0;
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (pieces_[i].owner != peer) continue;  // Received ones move too.
    for (Outbound& o : Reassign(i, turn)) out.push_back(std::move(o));
  }
  return out;
}

// Round robin over all but the old owner. Without the url, which a responder needs.
std::vector<FaithfulCore::Outbound> FaithfulCore::Reassign(size_t piece, size_t& turn) {
  Piece& p = pieces_[piece];
  std::vector<DeviceId> others;
  if (p.owner != own_) others.push_back(own_);
  for (const DeviceId& peer : peers_) {
    if (peer != p.owner) others.push_back(peer);
  }
  if (others.empty()) return {};
  p.owner = others[turn++ % others.size()];
  return {{p.owner, ChunkRequest{.transfer = transfer_, .start = p.start, .end = p.end}}};
}

std::vector<FaithfulCore::Outbound> FaithfulCore::OnMessage(const DeviceId& from, const Message& message) {
  if (std::holds_alternative<Heartbeat>(message)) {
    if (const auto it = last_tick_.find(from); it != last_tick_.end()) it->second = tick_;
  } else if (const auto* leave = std::get_if<Leave>(&message)) {
    if (leave->device == from) return OnPeerLeft(from);
  } else if (const auto* nack = std::get_if<Nack>(&message)) {
    for (size_t i = 0; i < pieces_.size(); ++i) {
      size_t turn = 0;
      if (nack->transfer == transfer_ && pieces_[i].start == nack->start && pieces_[i].end == nack->end) return Reassign(i, turn);
    }
  }
  return {};
}

std::vector<FaithfulCore::Outbound> FaithfulCore::Tick() {
  ++tick_;
  std::vector<Outbound> out;
  for (const DeviceId& peer : std::vector<DeviceId>(peers_)) {
    if (tick_ - last_tick_[peer] <= kSilentTicks) continue;
    for (Outbound& o : OnPeerLeft(peer)) out.push_back(std::move(o));
  }
  for (const DeviceId& peer : peers_) out.push_back({peer, Heartbeat{own_}});
  return out;
}

}  // namespace orchard::pod
