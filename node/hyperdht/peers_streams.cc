// Peers, continued: bytes. UDX below, messages above, the secret stream between them.

#include <algorithm>
#include <utility>

#include "node/hyperdht/connect_trace.h"
#include "node/hyperdht/peers_state.h"

namespace orchard::hyperdht {

void Peers::SendUnordered(Turn& turn, ConnectionId id, Bytes message) {
  if (idle()) return;
  State& s = state();
  Connection* c = s.Find(id);
  if (c == nullptr || !c->secret.has_value() || c->info.path == Path::kNone) return;
  if (message.size() + secret_stream::SecretStream::kUnorderedOverhead > s.streams.max_message(*c->stream)) return;
  std::string packet;
  c->secret->Seal(message, packet);
  s.streams.SendMessage(turn, *c->stream, AsBytes(packet));
  s.streams_touched = true;
}

void Peers::State::WriteMessage(Turn& turn, Connection& c, Bytes message) {
  if (c.wants_end) return;
  std::string frame;
  c.secret->Push(turn, message, frame);
  streams.Write(turn, *c.stream, std::move(frame));
  streams_touched = true;
  c.info.bytes_sent += message.size();
  if (c.sent_now + c.received_now == 0) touched.push_back(c.info.id);
  c.sent_now += message.size();
}

void Peers::State::SendPending(Turn& turn, Connection& c) {
  const bool ends = std::exchange(c.wants_end, false);
  for (const std::string& m : std::exchange(c.pending, {})) WriteMessage(turn, c, AsBytes(m));
  c.pending_bytes = 0;
  c.wants_end = ends;
  if (ends) EndStream(turn, c);
}

// After its last word it cannot send a keep-alive, and the other side, while it is busy, sends none: so it asks below.
void Peers::State::EndStream(Turn& turn, Connection& c) {
  streams.End(turn, *c.stream), streams_touched = true;
  if (!config.js_compat) streams.SetKeepAlive(turn, *c.stream, config.keep_alive);
}

// Whether silence says that the other side is gone: what we send so often, a keep-alive or a HEARTBEAT, is acknowledged by every
// implementation of UDX.
bool Peers::State::HasToSpeak(const Connection& c) const {
  const bool asks = !config.js_compat && config.keep_alive > Duration{};
  return c.open() && config.silence_max > Duration{} && (asks || c.remote_keeps_alive);
}

void Peers::State::TakeStreams(Turn& turn, Node& node, udx::News& happened, News& news) {
  for (auto& bytes : happened.kept) kept.push_back(std::move(bytes));
  auto owner = [&](udx::StreamId stream) -> Connection* {
    auto it = by_stream.find(stream);
    return it == by_stream.end() ? nullptr : Find(it->second);
  };
  // One call of Streams is about one packet: where it came from holds for what it brought.
  bool elsewhere = false;
  auto confirm = [&](Connection& c) {
    if (c.upgrade == Upgrade::kConfirming && !elsewhere) OnPathConfirmed(turn, c);
  };
  for (size_t i = 0; i < happened.list.size(); ++i) {
    const auto& n = happened.list[i];
    if (!relay_halves.empty() && std::visit([&](const auto& x) { return OnRelayStream(turn, happened, x.stream, i); }, n)) continue;
    if (auto* seen = std::get_if<udx::RemoteSeen>(&n)) {
      if (Connection* c = owner(seen->stream)) elsewhere = !OnSeen(turn, node, *c, *seen, news);
    } else if (auto* data = std::get_if<udx::StreamData>(&n)) {
      if (Connection* c = owner(data->stream)) confirm(*c), OnBytes(turn, node, *c, data->bytes, news);
    } else if (auto* message = std::get_if<udx::StreamMessage>(&n)) {
      if (Connection* c = owner(message->stream)) confirm(*c), OnUnordered(turn, *c, message->bytes, news);
    } else if (auto* changed = std::get_if<udx::RemoteChanged>(&n)) {
      Connection* c = owner(changed->stream);
      if (c == nullptr || c->upgrade != Upgrade::kChanging) continue;
      c->upgrade = Upgrade::kConfirming;
      streams.SendMessage(turn, changed->stream, {});  // The other side waits for a packet on the new path, as we do.
      streams_touched = true;
    } else if (auto* ended = std::get_if<udx::StreamEnded>(&n)) {
      Connection* c = owner(ended->stream);
      if (c == nullptr || !c->open()) continue;
      if (c->use == Connection::Use::kOurs) news.push_back(ConnectionEnded{c->info.id});
      else streams.End(turn, ended->stream), streams_touched = true;
    } else if (auto* drained = std::get_if<udx::StreamDrained>(&n)) {
      Connection* c = owner(drained->stream);
      if (c != nullptr && c->use == Connection::Use::kOurs) news.push_back(ConnectionWritable{c->info.id});
    } else if (auto* flushed = std::get_if<udx::StreamFlushed>(&n)) {
      Connection* c = owner(flushed->stream);
      if (c != nullptr && c->open() && c->use == Connection::Use::kOurs) news.push_back(ConnectionFlushed{c->info.id});
    } else if (auto* closed = std::get_if<udx::StreamClosed>(&n)) {
      if (Connection* c = owner(closed->stream)) OnStreamClosed(turn, node, *c, closed->why, news);
    }
  }
}

bool Peers::State::OnSeen(Turn& turn, Node& node, Connection& c, const udx::RemoteSeen& seen, News& news) {
  if (c.relay_only) return false;  // It may dial; we do not.
  if (c.info.path == Path::kRelayed || c.migrating) {
    UsePath(turn, node, c, seen.socket, seen.from, KindOf(c, seen.from), news);
    return true;
  }
  if (c.info.path != Path::kNone) return false;  // By way of the relay still, most likely.
  // The other side knows our stream from the handshake alone: whoever names it is there.
  if (c.flow != nullptr && !c.flow->accepted().has_value()) {
    c.flow->OnEarlyPacket(seen.socket, seen.from, KindOf(c, seen.from));
  } else if (c.secret.has_value()) {
    UsePath(turn, node, c, seen.socket, seen.from, KindOf(c, seen.from), news);
  }
  return true;
}

void Peers::State::OnBytes(Turn& turn, Node& node, Connection& c, Bytes bytes, News& news) {
  c.heard_at = turn.now;
  if (!c.secret.has_value()) {
    // Of an eager peer: its packets overtook its answer. Without an answer nothing can be made of them.
    if (c.early.size() + bytes.size() > kPendingMax) return Fail(turn, node, c, ConnectCode::kBadStream, news);
    c.early.insert(c.early.end(), bytes.begin(), bytes.end());
    return;
  }
  c.held += bytes.size();
  secret_stream::News opened;
  const bool was_open = c.secret->opened();
  const absl::Status status = c.secret->OnBytes(turn, bytes, opened);
  if (!was_open && c.secret->opened() && !c.open()) {
    c.first_bytes_until = kNever;
    Enter(turn, c, ConnectStep::kOpen);
    c.info.opened = turn.now;
    if (!config.js_compat && config.silence_max > Duration{}) streams.SetPatient(*c.stream);
    TraceOpened(turn, c);
    if (c.slot.has_value()) {
      Server* s = ServerOf(c);
      if (s != nullptr) {
        s->Spend(turn.now, s->noise_hash(*c.slot));
        s->slot(*c.slot)->OnOpened(turn.now);
        s->Rearm(*c.slot);
      }
    }
    if (c.use != Connection::Use::kOurs) {
      OnControlOpened(turn, node, c, news);
    } else {
      news.push_back(ConnectionOpened{.connection = c.info.id, .initiator = c.info.initiator, .server = c.info.server,
                                      .remote_key = c.info.remote_key, .path = c.info.path});
    }
  }
  // An empty message is not told; that it came says that the other side sends them.
  if (was_open && opened.messages.empty() && c.secret->buffered() == 0 && bytes.size() >= secret_stream::SecretStream::kOverhead) {
    c.remote_keeps_alive = true;
  }
  if (c.use != Connection::Use::kOurs) {
    const ConnectionId id = c.info.id;
    OnControlMessages(turn, node, c, opened.messages, news);
    if (Find(id) == nullptr) return;
    opened.messages.clear();
  }
  for (Bytes message : opened.messages) {
    c.unread += message.size();
    c.info.bytes_received += message.size();
    if (c.sent_now + c.received_now == 0) touched.push_back(c.info.id);
    c.received_now += message.size();
    news.push_back(ConnectionMessage{.connection = c.info.id, .bytes = message, .unordered = false});
  }
  for (auto& k : opened.kept) kept_bytes.push_back(std::move(k));
  if (!opened.write.empty()) streams.Write(turn, *c.stream, std::move(opened.write));
  if (!status.ok()) {
    turn.trace.Add(ConnectRefused{.why = "forged"});
    return Fail(turn, node, c, ConnectCode::kBadStream, news);
  }
  GiveBack(turn, c);
  Rearm(c);
}

void Peers::State::OnUnordered(Turn& turn, Connection& c, Bytes bytes, News& news) {
  c.heard_at = turn.now;
  if (!c.secret.has_value() || !c.open()) return;
  secret_stream::News opened;
  std::optional<Bytes> message = c.secret->Open(bytes, opened);
  if (!message.has_value()) return;
  for (auto& k : opened.kept) kept_bytes.push_back(std::move(k));
  c.info.bytes_received += message->size();
  news.push_back(ConnectionMessage{.connection = c.info.id, .bytes = *message, .unordered = true});
}

// The window stays closed by as much as the parent holds of whole messages; a message that is still coming must not close
// it, or one larger than the window would never be whole.
void Peers::State::GiveBack(Turn& turn, Connection& c) {
  const size_t keep = std::min(c.held, c.unread);
  if (c.held == keep || !c.stream.has_value()) return;
  streams.Consumed(turn, *c.stream, c.held - keep);
  streams_touched = true;
  c.held = keep;
}

void Peers::State::OnStreamClosed(Turn& turn, Node& node, Connection& c, udx::CloseReason why, News& news) {
  by_stream.erase(*c.stream);
  ConnectCode code = ConnectCode::kOk;
  switch (why) {
    case udx::CloseReason::kEnded: code = ConnectCode::kOk; break;
    case udx::CloseReason::kReset: code = ConnectCode::kReset; break;
    case udx::CloseReason::kTimedOut: code = ConnectCode::kTimedOut; break;
    case udx::CloseReason::kDestroyed: code = ConnectCode::kDestroyed; break;
  }
  if (c.open()) return Close(turn, node, c, code, news);
  Fail(turn, node, c, code == ConnectCode::kOk ? ConnectCode::kReset : code, news);
}

void Peers::State::KeepAlive(Turn& turn, Connection& c) {
  if (!c.secret.has_value() || c.secret->next_deadline() > turn.now) return;
  if (c.wants_end) return c.secret->SetKeepAlive(turn.now, Duration{});
  secret_stream::News news;
  if (!c.secret->OnTime(turn, news).ok() || news.write.empty()) return;
  streams.Write(turn, *c.stream, std::move(news.write));
  streams_touched = true;
}

}  // namespace orchard::hyperdht
