#include "node/pod/members.h"

#include <algorithm>

#include "node/pod/trace.h"

namespace orchard::pod {
namespace {

// Half of our ids for discovery's sockets, which come anew with each change of interfaces.
constexpr uint32_t kDiscoverySockets = 0x10000000;

std::string_view WhyOf(absl::StatusCode status) {
  if (status == absl::StatusCode::kOk) return "closed";
  return status == absl::StatusCode::kAborted ? "reset" : "lost";
}

}  // namespace

Members::Members(const PodConfig& config, const Identity& own, uint32_t first_socket)
    : config_(config), own_(own), next_socket_(first_socket),
      discovery_(config,
                 Announcement{.version = config.profile == Profile::kHardened ? kHardenedVersion : kVersion, .device = own.device,
                              .public_key = own.public_key},
                 first_socket + kDiscoverySockets) {
  if (config_.profile != Profile::kHardened) config_.secret.reset();
}

void Members::Start(Turn& turn, absl::Span<const Interface> interfaces) {
  discovery_.SetInterfaces(turn, interfaces);
  Listen(turn, config_.transport_port);
}

void Members::Listen(Turn& turn, uint16_t port) {
  relisten_at_ = kNever;
  listener_ = SocketId{next_socket_++};
  turn.out.Listen(*listener_, Endpoint::V4(0, port));
}

// ---- Inputs ----

bool Members::OnInput(Turn& turn, http::Ids& ids, const Input& input, MembersNews& news) {
  if (const auto* opened = std::get_if<SocketOpened>(&input)) return OnSocketOpened(turn, *opened);
  if (const auto* datagram = std::get_if<Datagram>(&input)) {
    Discovery::News found;
    if (!discovery_.OnDatagram(turn, *datagram, found)) return false;
    TakeDiscovery(turn, found, news);
    OnTime(turn, ids, news);  // Who was found is dialled now.
    return true;
  }
  if (const auto* opened = std::get_if<StreamOpened>(&input); opened != nullptr && opened->listener.has_value()) {
    if (opened->listener != listener_) return false;
    OnAccepted(turn, *opened);
    return true;
  }
  auto find = [&](StreamId stream) {
    const auto it = links_.find(stream);
    return it == links_.end() ? nullptr : it->second.get();
  };
  if (const auto* opened = std::get_if<StreamOpened>(&input)) {
    Link* link = find(opened->stream);
    if (link == nullptr) return false;
    link->open = true, link->deadline = turn.now + kHelloPatience;
    link->in.OnOpened(turn, link->stream);
    link->OnCredit(turn, kStreamWindow);
    return true;
  }
  if (const auto* data = std::get_if<StreamData>(&input)) {
    Link* link = find(data->stream);
    if (link != nullptr) OnData(turn, *link, data->bytes, news);
    return link != nullptr;
  }
  if (const auto* credit = std::get_if<StreamCredit>(&input)) {
    Link* link = find(credit->stream);
    if (link == nullptr) return false;
    link->OnCredit(turn, credit->bytes);
    if (link->opened_at != kNever && !link->loser) news.list.push_back(MemberWritable{link->session.remote()});
    return true;
  }
  if (const auto* ended = std::get_if<StreamEnded>(&input)) {
    Link* link = find(ended->stream);
    if (link == nullptr) return false;
    const bool whole = link->session.OnEnd().ok();
    Lose(turn, ended->stream, whole ? "closed" : RefusalName(link->session.refusal()), true, news);
    return true;
  }
  if (const auto* closed = std::get_if<StreamClosed>(&input)) {
    if (find(closed->stream) == nullptr) return false;
    Lose(turn, closed->stream, WhyOf(closed->status), false, news);
    return true;
  }
  return false;
}

bool Members::OnSocketOpened(Turn& turn, const SocketOpened& opened) {
  if (listener_ != opened.socket) return discovery_.OnSocketOpened(turn, opened);
  listen_failure_ = opened.status;
  if (opened.status == absl::StatusCode::kOk) {
    port_ = opened.local.port;
    discovery_.SetListenPort(turn, port_);
    return true;
  }
  // Beacons say where we listen: any port will do. The original fails here, silently.
  listener_.reset();
  if (!std::exchange(any_port_, true) && config_.transport_port != 0) return Listen(turn, 0), true;
  relisten_at_ = turn.now + kRelistenEvery;
  return true;
}

Session::Config Members::SessionOf(bool connector) const {
  return {.profile = config_.profile, .connector = connector, .own = own_, .pod_secret = config_.secret, .expected = std::nullopt,
          .dialect = std::nullopt, .record_max = kRecordMax};
}

void Members::OnAccepted(Turn& turn, const StreamOpened& opened) {
  size_t here = 0, unopened = 0, unopened_here = 0;
  for (const auto& [id, l] : links_) {
    const bool same = l->at.ip == opened.peer.ip, fresh = !l->dialled && l->opened_at == kNever;
    here += same, unopened += fresh, unopened_here += same && fresh;
  }
  const bool crowded = links_.size() >= kLinksMax || here >= kLinksPerHost || unopened >= kUnopenedMax || unopened_here >= kUnopenedPerHost;
  if (crowded || !discovery_.on_link(opened.peer)) {
    ++counters_.refused, counters_.crowded += crowded;
    turn.trace.Add(TracePodRefused{crowded ? "too-many" : "off-link"});
    turn.out.Close(opened.stream);
    return;
  }
  ++counters_.accepted;
  auto link = std::make_unique<Link>(opened.stream, SessionOf(false), opened.peer);
  link->open = true, link->deadline = turn.now + kHelloPatience;
  link->session.Start(turn.rng);
  link->in.OnOpened(turn, link->stream);
  link->OnCredit(turn, kStreamWindow);
  links_.emplace(opened.stream, std::move(link));
}

void Members::OnData(Turn& turn, Link& link, Bytes bytes, MembersNews& news) {
  link.in.OnData(bytes.size());
  Session::News said;
  const absl::Status status = link.session.OnBytes(bytes, said);
  if (said.met && status.ok()) turn.trace.Add(TracePodKeyed{link.session.send_key_id()});
  // The original's session has no first word; a session counts here once the other side has said one.
  if (said.met && config_.profile == Profile::kFaithfulBugs && status.ok()) link.session.Send(Heartbeat{own_.device}, said.write);
  link.Write(turn, AsBytes(said.write));
  for (auto& kept : said.kept) news.kept.push_back(std::move(kept));
  const StreamId stream = link.stream;
  if (said.opened) {
    OnOpened(turn, link, news);
    if (!links_.contains(stream)) return;
  }
  const bool counts = link.opened_at != kNever && !link.loser;
  if (counts) {
    const DeviceId device = link.session.remote();
    for (Message& m : said.messages) news.list.push_back(MemberSaid{device, std::move(m)});
    if (link.session.record_length() > 0) news.list.push_back(MemberProgress{device, link.session.record_so_far(), link.session.record_length()});
  }
  if (!status.ok()) return Lose(turn, stream, RefusalName(link.session.refusal()), true, news);
  link.in.Took(turn, stream, bytes.size());
}

// Two sessions with one device: which one counts?
void Members::OnOpened(Turn& turn, Link& link, MembersNews& news) {
  const DeviceId device = link.session.remote();
  link.opened_at = turn.now, link.deadline = kNever;
  const auto found = current_.find(device);
  if (found == current_.end()) {
    current_.emplace(device, link.stream);
    discovery_.SetMember(turn, device, true);
    if (const auto peer = peers_.find(device); peer != peers_.end()) peer->second.dial_at = kNever, peer->second.other_dialect = false;
    news.list.push_back(MemberJoined{device});
    return;
  }
  Link& old = *links_.at(found->second);
  ++counters_.doubles;
  // In version 1 anybody may claim an id; not while who had it first is there.
  if (old.session.remote_key() != link.session.remote_key()) return Lose(turn, link.stream, "other-key", true, news);
  auto preferred = [&](const Link& l) { return l.dialled == (own_.device < device); };
  const bool replaces = preferred(link) || !preferred(old);
  Link& loser = replaces ? old : link;
  if (replaces) {
    found->second = link.stream;
    news.list.push_back(MemberReplaced{device});
  }
  loser.loser = true, loser.deadline = own_.device < device ? turn.now : turn.now + kLoserPatience;
}

// ---- Endings ----

void Members::Lose(Turn& turn, StreamId stream, std::string_view why, bool close, MembersNews& news) {
  const auto it = links_.find(stream);
  const std::unique_ptr<Link> link = std::move(it->second);
  links_.erase(it);
  if (close) turn.out.Close(stream);
  const bool opened = link->opened_at != kNever;
  if (!link->loser && (link->session.refusal() != Refusal::kNone || (!opened && link->open) || why == "other-key")) {
    ++counters_.refused;
    turn.trace.Add(TracePodRefused{why});
  }
  if (link->dialled && !opened) ++counters_.dials_failed;
  Retry(turn, *link);
  if (!opened) return;
  const DeviceId device = link->session.remote();
  const auto current = current_.find(device);
  if (current == current_.end() || current->second != stream) return;
  current_.erase(current);
  discovery_.SetMember(turn, device, false);
  news.list.push_back(MemberGone{device, why});
}

// When its device is to be dialled again.
void Members::Retry(Turn& turn, const Link& link) {
  const bool opened = link.opened_at != kNever;
  if (!opened && !link.expected.has_value()) return;
  const DeviceId device = opened ? link.session.remote() : *link.expected;
  const auto it = peers_.find(device);
  if (it == peers_.end()) return;
  Peer& peer = it->second;
  if (peer.dialling == link.stream) peer.dialling.reset();
  if (link.loser) return;
  if (opened && link.opened_at + kProven <= turn.now) peer.backoff = Duration{};
  // A peer of version 1 that heard our hello, answered it and closed: our first record did not open under its key.
  const bool deaf = link.dialled && !opened && link.session.ready() && IsCompat(config_.profile);
  if (deaf) peer.dialect = link.session.dialect() == Dialect::kCode ? Dialect::kDoc : Dialect::kCode;
  if (deaf && !peer.other_dialect) {
    peer.other_dialect = true, peer.dial_at = turn.now;
    return;
  }
  peer.backoff = std::clamp(peer.backoff * 2, kBackoffMin, kBackoffMax);
  peer.dial_at = turn.now + peer.backoff;
}

void Members::Drop(Turn& turn, const DeviceId& device, std::string_view why, MembersNews& news) {
  const auto it = current_.find(device);
  if (it == current_.end()) return;
  const StreamId stream = it->second;
  if (why == "left") peers_.erase(device), discovery_.Forget(device);  // Until it says that it is there again.
  Lose(turn, stream, why, true, news);
}

// ---- Finding and dialling ----

void Members::TakeDiscovery(Turn& turn, const Discovery::News& found, MembersNews&) {
  for (const Discovery::Lost& lost : found.lost) {
    if (const auto it = peers_.find(lost.device); it != peers_.end() && !it->second.dialling.has_value()) peers_.erase(it);
    else if (it != peers_.end()) it->second.dial_at = kNever;
  }
  for (const Discovery::Found& f : found.found) {
    auto [it, fresh] = peers_.try_emplace(f.device);
    Peer& peer = it->second;
    if (fresh) peer.dialect = config_.profile == Profile::kCompatDoc ? Dialect::kDoc : Dialect::kCode;
    if (current_.contains(f.device) || peer.dialling.has_value() || peer.dial_at != kNever) continue;
    peer.dial_at = own_.device < f.device ? turn.now : turn.now + kPoliteness;
  }
}

void Members::OnTime(Turn& turn, http::Ids& ids, MembersNews& news) {
  Discovery::News found;
  discovery_.OnTime(turn, found);
  TakeDiscovery(turn, found, news);
  if (relisten_at_ <= turn.now) Listen(turn, config_.transport_port);
  std::vector<StreamId> due;
  for (const auto& [stream, link] : links_) {
    if (link->deadline <= turn.now) due.push_back(stream);
  }
  for (StreamId stream : due) {
    const Link& link = *links_.at(stream);
    counters_.hello_timeouts += !link.loser && link.open;
    Lose(turn, stream, link.loser ? "twofold" : link.open ? "hello-timeout" : "unreachable", true, news);
  }
  absl::erase_if(peers_, [&](const auto& p) {
    return !discovery_.where(p.first).has_value() && !p.second.dialling.has_value() && !current_.contains(p.first);
  });
  for (auto& [device, peer] : peers_) {
    if (peer.dial_at > turn.now) continue;
    if (current_.contains(device) || peer.dialling.has_value()) peer.dial_at = kNever;
    else Dial(turn, ids, device, peer);
  }
}

void Members::Dial(Turn& turn, http::Ids& ids, const DeviceId& device, Peer& peer) {
  const std::optional<Endpoint> at = discovery_.where(device);
  if (!at.has_value()) {
    peer.dial_at = kNever;
    return;
  }
  const auto here = std::count_if(links_.begin(), links_.end(), [&](const auto& l) { return l.second->dialled && l.second->opened_at == kNever && l.second->at.ip == at->ip; });
  const Instant budget = dials_paid_ - kDialBurst * kDialEvery;
  if (size_t(here) >= kDialsPerHost || links_.size() >= kLinksMax || budget > turn.now) {
    peer.dial_at = std::max(budget, turn.now + kBackoffMin);
    return;
  }
  dials_paid_ = std::max(dials_paid_, turn.now) + kDialEvery;
  ++counters_.dials;
  Session::Config config = SessionOf(true);
  config.expected = device;
  if (IsCompat(config_.profile)) config.dialect = peer.dialect;
  const StreamId stream = ids.NextStream();
  auto link = std::make_unique<Link>(stream, std::move(config), *at);
  link->dialled = true, link->expected = device, link->deadline = turn.now + kConnectPatience;
  peer.dialling = stream, peer.dial_at = kNever;
  turn.out.Connect(stream, *at);
  link->out = link->session.Start(turn.rng);
  links_.emplace(stream, std::move(link));
}

// ---- What the pod says ----

bool Members::Send(Turn& turn, const DeviceId& device, const Message& message, MembersNews& news) {
  const auto it = current_.find(device);
  if (it == current_.end()) return false;
  Link& link = *links_.at(it->second);
  std::string record;
  link.session.Send(message, record);
  if (link.pending() + record.size() > Link::kOutMax) return Drop(turn, device, "slow", news), false;
  link.Write(turn, AsBytes(record));
  return true;
}

size_t Members::pending(const DeviceId& device) const {
  const Link* l = link(device);
  return l == nullptr ? 0 : l->pending();
}

const Link* Members::link(const DeviceId& device) const {
  const auto it = current_.find(device);
  return it == current_.end() ? nullptr : links_.at(it->second).get();
}

void Members::Stop(Turn& turn) {
  for (const auto& [device, stream] : current_) {
    Link& link = *links_.at(stream);
    std::string record;
    link.session.Send(Leave{own_.device}, record);
    link.Write(turn, AsBytes(record));
    if (link.pending() == 0) turn.out.End(stream);
    else turn.out.Close(stream);
  }
  for (const auto& [stream, link] : links_) {
    const bool member = link->opened_at != kNever && !link->loser;
    if (!member) turn.out.Close(stream);
  }
  if (listener_.has_value()) turn.out.CloseSocket(*listener_);
  listener_.reset(), relisten_at_ = kNever;
  links_.clear(), current_.clear(), peers_.clear();
  discovery_.Stop(turn);
}

Instant Members::next_deadline() const {
  Instant next = std::min(discovery_.next_deadline(), relisten_at_);
  for (const auto& [stream, link] : links_) next = std::min(next, link->deadline);
  for (const auto& [device, peer] : peers_) next = std::min(next, peer.dial_at);
  return next;
}

}  // namespace orchard::pod
