// Ops, continued: `pipe`. One that dials has a connection of its own. One that waits takes the first that brings a byte; if it has
// something to say itself, also one that was silent for a while. Who only looks (`doctor`, `connect`) does not use it up.

#include <algorithm>
#include <utility>

#include "node/sidecar/doctor.h"
#include "node/sidecar/ops.h"

namespace orchard::sidecar {

using hyperdht::ConnectionId;
using hyperdht::ConnectionInfo;

bool Ops::AwaitsDial(const Key32& server) const {
  return std::any_of(running_.begin(), running_.end(), [&](const auto& r) {
    const Link& l = r.second.link;
    return l.does == Link::Does::kPipe && !l.ours && !l.open && l.key == server;
  });
}

// The one that waits longest and may have that peer.
Ops::Map::iterator Ops::PipeFor(const Key32& server, const Key32& remote) {
  return std::find_if(running_.begin(), running_.end(), [&](const auto& r) {
    const Link& l = r.second.link;
    return l.does == Link::Does::kPipe && !l.ours && !l.open && l.key == server && l.from.value_or(remote) == remote;
  });
}

void Ops::OnDialed(Turn& turn, const hyperdht::ConnectionOpened& opened) {
  if (PipeFor(opened.server, opened.remote_key) == running_.end()) return;
  if (silent_.size() >= kSilentMax) silent_.erase(silent_.begin());  // The oldest.
  silent_.emplace(opened.connection, turn.now + kSilentWait);
  wake_at_ = std::min(wake_at_, turn.now + kSilentWait);
}

// The pipe that gets it now, if one waits and nothing of what came is lost already.
Ops::Map::iterator Ops::GiveToPipe(Turn& turn, OpTarget t, ConnectionId connection) {
  silent_.erase(connection);
  const ConnectionInfo* info = t.dht.peers().info(connection);
  if (info == nullptr || info->initiator || unread_.contains(connection) || !LinksOf(connection).empty()) return running_.end();
  auto it = PipeFor(info->server, info->remote_key);
  if (it == running_.end()) return it;
  it->second.link.connection = connection, it->second.link.key = info->remote_key;
  OnOpen(turn, t, it);
  return it;
}

void Ops::OnMessage(Turn& turn, OpTarget t, const hyperdht::ConnectionMessage& message) {
  const std::vector<Map::iterator> links = LinksOf(message.connection);
  if (message.unordered) {
    for (Map::iterator it : links) OnUnordered(turn, it, message.bytes);
    return;
  }
  auto reader = std::find_if(links.begin(), links.end(), [](Map::iterator it) { return it->second.link.does == Link::Does::kPipe; });
  Map::iterator pipe = reader == links.end() ? GiveToPipe(turn, t, message.connection) : *reader;
  if (pipe != running_.end()) return Pull(turn, t, pipe, message.bytes);
  t.dht.peers().Consumed(turn, message.connection, message.bytes.size());
  if (!message.bytes.empty()) unread_.insert(message.connection);
}

// The other side writes no more. Whoever wrote what nobody read shall not believe that it arrived.
void Ops::OnRemoteEnd(Turn& turn, OpTarget t, ConnectionId connection) {
  bool piped = false;
  for (Map::iterator it : LinksOf(connection)) {
    if (it->second.link.does != Link::Does::kPipe) continue;
    piped = true, it->second.link.remote_ended = true;
    EndLate(turn, t, it);
    PassOn(turn, t, it);
  }
  if (piped) return;
  if (!unread_.contains(connection)) return t.dht.peers().End(turn, connection);
  LinkClosed(turn, t, connection, hyperdht::ConnectCode::kDestroyed);
  unread_.erase(connection);
  t.dht.peers().Destroy(turn, connection);
  destroyed_ = true;
}

// An end that was held back for want of a byte.
void Ops::EndLate(Turn& turn, OpTarget t, Map::iterator it) {
  Link& link = it->second.link;
  if (link.end_at == kNever) return;
  link.end_at = kNever;
  if (link.connection.has_value()) t.dht.peers().End(turn, *link.connection);
}

// Its connection is open.
void Ops::OpenPipe(Turn& turn, OpTarget t, Map::iterator it) {
  Link& link = it->second.link;
  Event(turn, it->first, it->second, "{\"tag\":\"opened\",\"data\":{" + ConnectResult(t, it->second) + "}}");
  if (link.granted == 0) {
    link.granted = kPipeWindow;
    turn.out.AcceptOp(it->first, kPipeWindow);
  }
  const std::string early = std::exchange(link.early, {});
  const bool ended = std::exchange(link.input_ended, false);
  if (ended || !early.empty()) Write(turn, t, it, AsBytes(early), ended);
}

// Once: nobody can find this server yet.
void Ops::TellWaiting(Turn& turn, OpTarget t, Map::iterator it) {
  it->second.link.told_at = kNever;
  const dht::Rpc& rpc = t.dht.rpc();
  const bool alone = !rpc.online() || rpc.nodes() == 0;
  JsonWriter w;
  w.Key("says").Text(alone ? "no node of the DHT answers, so nobody can find this key; it goes on trying (orchard doctor says more)"
                           : "the announcement is not stored yet; it goes on trying");
  Event(turn, it->first, it->second, "{\"tag\":\"waiting\",\"data\":{" + w.text() + "}}");
}

void Ops::Wake(Turn& turn, OpTarget t) {
  if (wake_at_ > turn.now) return;
  std::vector<ConnectionId> ripe;
  for (const auto& [connection, at] : silent_) {
    if (at <= turn.now) ripe.push_back(connection);
  }
  for (ConnectionId c : ripe) {
    const ConnectionInfo* info = t.dht.peers().info(c);
    auto it = info == nullptr ? running_.end() : PipeFor(info->server, info->remote_key);
    // A swarm's connections are silent for good.
    if (info == nullptr || (t.swarm != nullptr && t.swarm->IsOnly(c))) silent_.erase(c);
    else if (it != running_.end() && !it->second.link.early.empty()) GiveToPipe(turn, t, c);
  }
  std::vector<Map::iterator> ends;
  for (auto it = running_.begin(); it != running_.end(); ++it) {
    if (it->second.link.end_at <= turn.now) ends.push_back(it);
    if (it->second.link.told_at <= turn.now) TellWaiting(turn, t, it);
  }
  for (Map::iterator it : ends) EndLate(turn, t, it), MaybeEndPipe(turn, t, it);
  wake_at_ = kNever;
  for (const auto& [connection, at] : silent_) {
    if (at > turn.now) wake_at_ = std::min(wake_at_, at);  // Of the others there will be news first.
  }
  for (const auto& [op, r] : running_) wake_at_ = std::min({wake_at_, r.link.end_at, r.link.told_at});
  if (t.cages != nullptr) OnCages(turn, t);
}

void Ops::OnData(Turn& turn, OpTarget t, const OpData& data) {
  auto it = running_.find(data.op);
  if (it == running_.end() || it->second.link.does != Link::Does::kPipe || it->second.link.input_ended) return;
  if (!it->second.link.open) {  // Nobody has come yet.
    Link& link = it->second.link;
    link.early.append(AsText(data.bytes));
    link.input_ended = data.end;
    wake_at_ = turn.now + Duration(1);  // One that was silent for long may be for it.
    return;
  }
  Write(turn, t, it, data.bytes, data.end);
}

void Ops::Write(Turn& turn, OpTarget t, Map::iterator it, Bytes bytes, bool end) {
  Link& link = it->second.link;
  if (!bytes.empty()) {
    t.dht.peers().Send(turn, *link.connection, bytes);
    link.sent += bytes.size();
    link.granted -= std::min<uint32_t>(link.granted, uint32_t(bytes.size()));
  }
  if (end) {
    link.input_ended = true;
    // An end without a byte before it is what whoever only looks leaves: the pipe at the other side would not take it.
    if (link.ours && link.sent == 0 && link.received == 0 && !link.remote_ended) {
      link.end_at = turn.now + kEmptyEndWait, wake_at_ = std::min(wake_at_, link.end_at);
      return;
    }
    t.dht.peers().End(turn, *link.connection);
    return MaybeEndPipe(turn, t, it);
  }
  if (link.granted < kPipeWindow / 2 && t.dht.peers().room(*link.connection) > 0) {
    turn.out.AcceptOp(it->first, uint32_t(kPipeWindow) - link.granted);
    link.granted = kPipeWindow;
  }
}

void Ops::Pull(Turn& turn, OpTarget t, Map::iterator it, Bytes message) {
  EndLate(turn, t, it);
  it->second.link.received += message.size();
  it->second.link.held.emplace_back(AsText(message));
  PassOn(turn, t, it);
}

void Ops::OnUnordered(Turn& turn, Map::iterator it, Bytes message) {
  if (it->second.link.does != Link::Does::kPipe) return;
  JsonWriter w;
  if (IsPrintableUtf8(message)) w.Key("text").Text(AsText(message)); else w.Key("hex").Hex(message);
  Event(turn, it->first, it->second, "{\"tag\":\"message\",\"data\":{" + w.text() + "}}");
}

// To the caller, as its credit allows; only then does the other side's window open again.
void Ops::PassOn(Turn& turn, OpTarget t, Map::iterator it) {
  Running& r = it->second;
  Link& link = r.link;
  size_t passed = 0;
  while (passed < link.held.size() && r.credit > 0 && r.held.empty()) {
    const std::string& piece = link.held[passed++];
    --r.credit;
    turn.out.OpBytes(it->first, AsBytes(piece));
    if (link.connection.has_value()) t.dht.peers().Consumed(turn, *link.connection, piece.size());
  }
  link.held.erase(link.held.begin(), link.held.begin() + ptrdiff_t(passed));
  if (link.held.empty() && link.remote_ended && !link.told_end) {
    link.told_end = true;
    Event(turn, it->first, r, "{\"tag\":\"end\",\"data\":{}}");
  }
  MaybeEndPipe(turn, t, it);
}

void Ops::MaybeEndPipe(Turn& turn, OpTarget t, Map::iterator it) {
  const Link& link = it->second.link;
  if (!link.input_ended || !link.told_end || link.end_at != kNever) return;
  if (link.connection.has_value() && t.dht.peers().unacknowledged(*link.connection) > 0) return;
  const ConnectionInfo* info = link.connection ? t.dht.peers().info(*link.connection) : nullptr;
  JsonWriter w;
  w.Key("key").Hex(link.key).Key("path").Text(hyperdht::PathName(info == nullptr ? link.path : info->path));
  w.Key("bytes_sent").Uint(link.sent).Key("bytes_received").Uint(link.received);
  Succeed(turn, it, w.text());
}

}  // namespace orchard::sidecar
