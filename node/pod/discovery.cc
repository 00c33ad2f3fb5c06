#include "node/pod/discovery.h"

#include <algorithm>
#include <string>
#include <utility>

#include "node/http/public_address.h"
#include "node/pod/trace.h"

namespace orchard::pod {
namespace {

const Endpoint kGroup = Endpoint::V4(0xefff3c3c, 0);  // 239.255.60.60

bool SameSubnet(const Endpoint& a, const Endpoint& b, int bits) {
  return a.is_v4() && b.is_v4() && bits > 0 && bits <= 32 && (a.v4() ^ b.v4()) >> (32 - bits) == 0;
}

}  // namespace

Discovery::Discovery(const PodConfig& config, const Announcement& own, uint32_t next_socket)
    : config_(config), own_(own), next_socket_(next_socket) {}

void Discovery::SetInterfaces(Turn& turn, absl::Span<const Interface> interfaces) {
  interfaces_.clear();
  for (const Interface& i : interfaces) {
    const bool counts = i.loopback ? config_.loopback : http::IsPrivateV4(i.address);
    if (counts && i.address.is_v4() && interfaces_.size() < kInterfacesMax) interfaces_.push_back(i);
  }
  // A machine that is on no LAN may still have others in it.
  if (interfaces_.empty()) {
    for (const Interface& i : interfaces) {
      if (i.loopback && i.address.is_v4() && interfaces_.empty()) interfaces_.push_back(i);
    }
  }
  if (own_.listen_port != 0) Open(turn);
}

void Discovery::SetListenPort(Turn& turn, uint16_t port) {
  own_.listen_port = port;
  Open(turn);
}

// A new socket each time: memberships of interfaces that are gone go with the old one.
void Discovery::Open(Turn& turn) {
  if (socket_.has_value()) turn.out.CloseSocket(*socket_);
  socket_.reset(), reopen_at_ = next_beacon_ = kNever;
  if (interfaces_.empty()) return;
  socket_ = SocketId{next_socket_++};
  turn.out.OpenSharedSocket(*socket_, Endpoint::V4(0, config_.discovery_port));
  for (const Interface& i : interfaces_) turn.out.JoinGroup(*socket_, kGroup, i.address);
  Say(turn);
}

bool Discovery::OnSocketOpened(Turn& turn, const SocketOpened& opened) {
  if (socket_ != opened.socket) return false;
  if (opened.status == absl::StatusCode::kOk) return true;
  // Somebody has the port for himself; perhaps not for ever.
  socket_.reset(), next_beacon_ = kNever, reopen_at_ = turn.now + kBeaconEvery;
  return true;
}

void Discovery::Say(Turn& turn) {
  const std::string beacon = BeaconDatagram(Beacon{own_}, secret());
  turn.out.Send(*socket_, kGroup.with_port(config_.discovery_port), AsBytes(beacon), Gate::kDurable, 1);
  next_beacon_ = turn.now + kBeaconEvery;
}

void Discovery::Answer(Turn& turn, const Endpoint& to) {
  const Endpoint source = to.with_port(0);
  auto it = sources_.find(source);
  if (it == sources_.end()) {
    if (sources_.size() >= kSourcesMax) {
      absl::erase_if(sources_, [&](const auto& s) { return s.second.since + kAnswerEvery <= turn.now; });
      if (sources_.size() >= kSourcesMax) return void(++counters_.hasty);
    }
    it = sources_.emplace(source, Source{turn.now, 0}).first;
  }
  Source& s = it->second;
  if (s.since + kAnswerEvery <= turn.now) s = {turn.now, 0};
  if (++s.answered > kAnswerBurst) return void(++counters_.hasty);
  ++counters_.answers;
  const std::string answer = BeaconDatagram(DiscoveryResponse{own_}, secret());
  turn.out.Send(*socket_, to, AsBytes(answer));
}

bool Discovery::OnDatagram(Turn& turn, const Datagram& datagram, News& news) {
  if (socket_ != datagram.socket) return false;
  const absl::StatusOr<ReadBeacon> beacon = ReadBeaconDatagram(datagram.payload, own_.version, secret());
  // Whoever has a secret does not open to us, if we have none.
  const bool locked = beacon.ok() && beacon->proved && secret() == nullptr;
  if (!beacon.ok() || locked || beacon->announcement.listen_port == 0) {
    ++counters_.unreadable;
    if (beacon.status().code() == absl::StatusCode::kFailedPrecondition) See(turn, Stranger::kProfile, datagram.from);
    if (locked || beacon.status().code() == absl::StatusCode::kUnauthenticated) See(turn, Stranger::kSecret, datagram.from);
  } else if (beacon->announcement.device == own_.device || beacon->announcement.public_key == own_.public_key) {
    ++counters_.own;  // Ours, come back.
  } else if (!on_link(datagram.from)) {
    ++counters_.off_link;
  } else {
    ++counters_.beacons;
    if (Learn(turn, *beacon, datagram.from, news) && !beacon->response) Answer(turn, datagram.from);
  }
  return true;
}

// Told once; that he is there is known until he is quiet.
void Discovery::See(Turn& turn, Stranger kind, const Endpoint& from) {
  if (!on_link(from)) return;
  Seen& seen = strangers_[size_t(kind)];
  seen.from = from, seen.until = turn.now + kLostAfter;
  if (std::exchange(seen.told, true)) return;
  const std::string at = from.ToString();
  turn.trace.Add(TracePodStranger{at, kind == Stranger::kProfile ? "profile" : "secret"});
}

bool Discovery::Learn(Turn& turn, const ReadBeacon& beacon, const Endpoint& from, News& news) {
  const DeviceId& device = beacon.announcement.device;
  const Endpoint at = from.with_port(beacon.announcement.listen_port);
  auto it = known_.find(device);
  if (it == known_.end()) {
    const auto here = std::count_if(known_.begin(), known_.end(), [&](const auto& k) { return k.second.at.ip == at.ip; });
    auto oldest = known_.end();
    if (known_.size() >= kKnownMax) {
      for (auto k = known_.begin(); k != known_.end(); ++k) {
        if (!k->second.member && (oldest == known_.end() || k->second.heard < oldest->second.heard)) oldest = k;
      }
    }
    const bool full = known_.size() >= kKnownMax && oldest == known_.end();
    if (full || size_t(here) >= kKnownPerHost) return ++counters_.crowded, false;
    if (oldest != known_.end()) {
      ++counters_.crowded;
      news.lost.push_back({oldest->first});
      known_.erase(oldest);
    }
    known_.emplace(device, Known{at, turn.now});
    news.found.push_back({device, at, true});
    return true;
  }
  // Whoever spoofs a member's id does not move it elsewhere; when it is one no more, the newest word counts.
  it->second.heard = turn.now;
  if (!it->second.member) it->second.at = at;
  news.found.push_back({device, it->second.at, false});
  return true;
}

void Discovery::OnTime(Turn& turn, News& news) {
  if (reopen_at_ <= turn.now) Open(turn);
  if (next_beacon_ <= turn.now && socket_.has_value()) Say(turn);
  for (Seen& seen : strangers_) {
    if (seen.until <= turn.now) seen.from.reset(), seen.until = kNever;
  }
  for (auto it = known_.begin(); it != known_.end();) {
    if (it->second.member || it->second.heard + kLostAfter > turn.now) {
      ++it;
    } else {
      news.lost.push_back({it->first});
      it = known_.erase(it);
    }
  }
}

Instant Discovery::next_deadline() const {
  Instant next = std::min(next_beacon_, reopen_at_);
  for (const Seen& seen : strangers_) next = std::min(next, seen.until);
  for (const auto& [device, k] : known_) {
    if (!k.member) next = std::min(next, k.heard + kLostAfter);
  }
  return next;
}

void Discovery::Stop(Turn& turn) {
  if (socket_.has_value()) turn.out.CloseSocket(*socket_);
  socket_.reset(), next_beacon_ = reopen_at_ = kNever;
  known_.clear();
  for (Seen& seen : strangers_) seen = {};
}

void Discovery::SetMember(Turn& turn, const DeviceId& device, bool member) {
  const auto it = known_.find(device);
  if (it == known_.end()) return;
  it->second.member = member;
  it->second.heard = std::max(it->second.heard, turn.now);
}

std::optional<Endpoint> Discovery::where(const DeviceId& device) const {
  const auto it = known_.find(device);
  return it == known_.end() ? std::nullopt : std::optional(it->second.at);
}

bool Discovery::on_link(const Endpoint& address) const {
  return std::any_of(interfaces_.begin(), interfaces_.end(), [&](const Interface& i) { return SameSubnet(address, i.address, i.prefix_bits); });
}

}  // namespace orchard::pod
