// Peers, continued: the verbs. Each input goes to the machine that asked for it.

#include <algorithm>
#include <utility>

#include "node/hyperdht/peers_state.h"

namespace orchard::hyperdht {

void Peers::SetInterfaces(absl::Span<const Interface> interfaces) {
  interfaces_.assign(interfaces.begin(), interfaces.end());
  if (!idle()) state_->locals_of.reset();
}

void Peers::OnNetworkChanged(Turn& turn, bool moved) {
  if (idle()) return;
  for (auto& [key, server] : state_->servers) server->announcer().Refresh(turn);
  if (moved) state_->OnMoved(turn);
}

bool Peers::OnSocketOpened(Turn& turn, Node node, const SocketOpened& opened, udx::SocketMark mark, News& news) {
  if (idle()) return false;
  State& s = state();
  s.UpdateLocals(interfaces_, node.rpc);
  World w = s.world(turn, node);
  return s.Offer(turn, node, ConnectionId{uint32_t(mark)}, news, [&](ConnectFlow& f, ConnectFlow::News& n) { return f.OnSocketOpened(w, opened, n); },
                 [&](Knock& k, Knock::News& n) { return k.OnSocketOpened(w, opened, n); });
}

bool Peers::OnDatagram(Turn& turn, Node node, const Datagram& d, News& news) {
  if (idle()) return false;
  State& s = state();
  if (udx::Classify(d.payload) == udx::DatagramKind::kUdx) {
    udx::News happened;
    if (!s.streams.OnDatagram(turn, d, happened)) return false;
    s.streams_touched = true;
    s.TakeStreams(turn, node, happened, news);
    return true;
  }
  const std::optional<udx::SocketMark> mark = node.rpc.sockets().mark(d.socket);  // Punchers have sockets of their own.
  if (!mark.has_value()) return false;
  World w = s.world(turn, node);
  return s.Offer(turn, node, ConnectionId{uint32_t(*mark)}, news, [&](ConnectFlow& f, ConnectFlow::News& n) { return f.OnProbe(w, d.socket, d.from, n); },
                 [&](Knock& k, Knock::News& n) { return k.OnProbe(w, d.socket, d.from, n); });
}

bool Peers::OnRequest(Turn& turn, Node node, const dht::Request& request, News& news) {
  if (idle() || !request.target.has_value()) return false;
  State& s = state();
  Server* server = s.ServerOfTarget(*request.target);
  if (server == nullptr) return false;
  s.UpdateLocals(interfaces_, node.rpc);
  if (request.command == kPeerHandshake) return s.OnHandshake(turn, node, *server, request, news);
  return s.OnHolepunch(turn, node, *server, request, news);
}

bool Peers::OnReply(Turn& turn, Node node, const dht::ReplyReceived& reply, News& news) {
  if (idle()) return false;
  State& s = state();
  for (auto& [key, server] : s.servers) {
    if (reply.asker != dht::Asker{}) break;  // Announcers leave no mark.
    Announcer::News happened;
    if (!server->announcer().OnReply(turn, node.rpc, reply, happened)) continue;
    s.OnAnnouncer(turn, *server, happened, news);
    return true;
  }
  World w = s.world(turn, node);
  return s.Offer(turn, node, ConnectionId{uint32_t(reply.asker)}, news, [&](ConnectFlow& f, ConnectFlow::News& n) { return f.OnReply(w, reply, n); },
                 [&](Knock& k, Knock::News& n) { return k.OnReply(w, reply, n); });
}

bool Peers::OnFailure(Turn& turn, Node node, const dht::RequestFailed& failed, News& news) {
  if (idle()) return false;
  State& s = state();
  for (auto& [key, server] : s.servers) {
    if (failed.asker != dht::Asker{}) break;  // Announcers leave no mark.
    Announcer::News happened;
    if (!server->announcer().OnFailure(turn, node.rpc, failed, happened)) continue;
    s.OnAnnouncer(turn, *server, happened, news);
    return true;
  }
  World w = s.world(turn, node);
  return s.Offer(turn, node, ConnectionId{uint32_t(failed.asker)}, news, [&](ConnectFlow& f, ConnectFlow::News& n) { return f.OnFailure(w, failed, n); },
                 [&](Knock& k, Knock::News& n) { return k.OnFailure(w, failed, n); });
}

bool Peers::OnQueryReply(Turn& turn, Node node, const dht::QueryReply& reply, News& news) {
  if (idle()) return false;
  State& s = state();
  World w = s.world(turn, node);
  return s.Offer(turn, node, ConnectionId{uint32_t(reply.asker)}, news,
                 [&](ConnectFlow& f, ConnectFlow::News& n) { return f.OnQueryReply(w, reply, n); },
                 [](Knock&, Knock::News&) { return false; });
}

bool Peers::OnCommitDue(Turn& turn, Node node, const dht::CommitDue& due, News&) {
  if (idle()) return false;
  for (auto& [key, server] : state_->servers) {
    if (server->announcer().OnCommitDue(turn, node.rpc, due)) return true;
  }
  return false;
}

bool Peers::OnCommitReply(Turn& turn, Node, const dht::CommitReply& reply, News& news) {
  if (idle()) return false;
  for (auto& [key, server] : state_->servers) {
    Announcer::News happened;
    if (!server->announcer().OnCommitReply(reply, happened)) continue;
    state_->OnAnnouncer(turn, *server, happened, news);
    return true;
  }
  return false;
}

bool Peers::OnQueryFinished(Turn& turn, Node node, const dht::QueryFinished& finished, News& news) {
  if (idle()) return false;
  State& s = state();
  for (auto& [key, server] : s.servers) {
    Announcer::News happened;
    if (!server->announcer().OnQueryFinished(turn, node.rpc, finished, happened)) continue;
    s.OnAnnouncer(turn, *server, happened, news);
    return true;
  }
  World w = s.world(turn, node);
  return s.Offer(turn, node, ConnectionId{uint32_t(finished.asker)}, news,
                 [&](ConnectFlow& f, ConnectFlow::News& n) { return f.OnQueryFinished(w, finished, n); },
                 [](Knock&, Knock::News&) { return false; });
}

void Peers::OnTime(Turn& turn, Node node, News& news) {
  if (idle()) return;
  State& s = state();
  s.UpdateLocals(interfaces_, node.rpc);
  if (s.wake_at <= turn.now) {
    s.wake_at = kNever;
    for (auto& n : std::exchange(s.late, {})) news.push_back(std::move(n));
    s.RunCalls(turn, node, news);
  }
  if (s.streams.next_deadline() <= turn.now) {
    udx::News happened;
    s.streams.OnTime(turn, happened);
    s.streams_touched = true;
    s.TakeStreams(turn, node, happened, news);
  }
  s.OnRelayServerTime(turn);
  for (auto& [key, server] : s.servers) {
    while (std::optional<uint32_t> slot = server->due(turn.now)) s.OnSlotTime(turn, node, *server, *slot, news);
    Announcer::News happened;
    server->announcer().OnTime(turn, node.rpc, happened);
    s.OnAnnouncer(turn, *server, happened, news);
  }
  // Last: what a slot or a stream did may have made a connection due.
  while (std::optional<ConnectionId> id = s.deadlines.due(turn.now)) s.OnTime(turn, node, *s.Find(*id), news);
}

Instant Peers::next_deadline() const {
  if (idle()) return kNever;
  Instant next = std::min({state_->wake_at, state_->streams.next_deadline(), state_->deadlines.next(), state_->relay_sweep_at,
                           state_->relay_server.next_deadline()});
  for (const auto& [key, server] : state_->servers) next = std::min(next, server->next_deadline());
  return next;
}

void Peers::Flush(Turn& turn, Node node) {
  if (idle()) return;
  State& s = state();
  if (s.wake_at <= turn.now + Duration(1)) {
    s.wake_at = kNever;
    s.UpdateLocals(interfaces_, node.rpc);
    s.RunCalls(turn, node, s.late);
    if (!s.late.empty()) s.Wake(turn);
  }
  s.kept_bytes.clear(), s.kept.clear();
  for (ConnectionId id : std::exchange(s.touched, {})) {
    if (Connection* c = s.Find(id)) s.TraceBytes(turn, *c);
  }
  if (std::exchange(s.streams_touched, false)) s.streams.Flush(turn);
  // After the last packets through them.
  std::erase_if(s.to_close, [&](SocketId socket) {
    if (s.streams.uses(socket)) return false;
    node.rpc.sockets().CloseExtra(turn, socket);
    return true;
  });
}

std::vector<Peers::Withdrawal> Peers::TakeWithdrawals() {
  if (idle()) return {};
  return std::exchange(state_->withdrawals, {});
}

void Peers::OnStop(Turn& turn, Node node) {
  if (idle()) return;
  State& s = state();
  for (ConnectionId id : connections()) Destroy(turn, id);
  while (!s.connections.empty()) Destroy(turn, s.connections.begin()->first);
  while (!s.servers.empty()) Unlisten(turn, Key32(s.servers.begin()->first));
  s.to_begin.clear(), s.to_answer.clear(), s.to_listen.clear();
  Flush(turn, node);
}

}  // namespace orchard::hyperdht
