#include "sim/run/liar.h"

#include <string>

#include "node/pod/messages.h"

namespace orchard::sim {
namespace {

// Where beacons go; docs/PEAPOD.md §1.
const Endpoint kGroup = Endpoint::V4(0xefff3c3c, 0);  // 239.255.60.60

}  // namespace

void Liar::Handle(Turn& turn, const Input& input) {
  if (const auto* opened = std::get_if<SocketOpened>(&input); opened != nullptr && opened->local.port == discovery_port_) {
    beacons_ = opened->socket;
    spoof_at_ = turn.now + kSpoofEvery;  // Looks from time to time whether it shall.
  }
  if (const auto* opened = std::get_if<StreamOpened>(&input); opened != nullptr && !opened->listener && opened->peer.port == kWebPort) {
    web_.insert(opened->stream);
  }
  if (const auto* closed = std::get_if<StreamClosed>(&input)) web_.erase(closed->stream);
  if (const auto* data = std::get_if<StreamData>(&input); data != nullptr && lies_->how == Misdeed::kFlipBytes && web_.contains(data->stream)) {
    return Flip(turn, *data);
  }
  if (std::holds_alternative<Deadline>(input) && spoof_at_ <= turn.now) {
    spoof_at_ = turn.now + kSpoofEvery;
    if (lies_->how == Misdeed::kSpoofBeacon && rng_.Chance(lies_->rate_ppm, 1'000'000)) Spoof(turn);
    if (honest_->next_deadline() > turn.now) return;
  }
  honest_->Handle(turn, input);
}

void Liar::Flip(Turn& turn, const StreamData& data) {
  std::string bytes(AsText(data.bytes));
  if (bytes.size() > kHeadMax && rng_.Chance(lies_->rate_ppm, 1'000'000)) {
    char& victim = bytes[kHeadMax + size_t(rng_.Below(bytes.size() - kHeadMax))];
    victim = char(victim ^ 1);
  }
  honest_->Handle(turn, StreamData{data.stream, AsBytes(bytes)});
}

// A member of whom nobody has heard, who listens where nobody does.
void Liar::Spoof(Turn& turn) {
  pod::Announcement lie{.listen_port = uint16_t(1024 + rng_.Below(60'000))};
  rng_.Fill(absl::MakeSpan(lie.device));
  rng_.Fill(absl::MakeSpan(lie.public_key));
  const std::string beacon = pod::BeaconDatagram(pod::Beacon{lie}, nullptr);
  turn.out.Send(*beacons_, kGroup.with_port(discovery_port_), AsBytes(beacon), Gate::kDurable, 1);
}

}  // namespace orchard::sim
