// Ops, continued: servers and connections. An operation that needs a connection takes the open one, else dials; what comes
// in on a connection that no pipe reads is counted (by the trace) and let go.

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "node/sidecar/doctor.h"
#include "node/sidecar/ops.h"

namespace orchard::sidecar {
namespace {

using hyperdht::ConnectCode;
using hyperdht::ConnectionId;
using hyperdht::ConnectionInfo;
using hyperdht::ConnectStep;
using hyperdht::KeyPair;

// `send` fills with bytes that differ by their place, so that a piece out of place would show.
std::string Filler(uint64_t from, size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) out[i] = char((from + i) * 131 >> 3);
  return out;
}

}  // namespace

hyperdht::RelayPolicy PolicyOf(std::string_view word) {
  return word == "never" ? hyperdht::RelayPolicy::kNever : word == "always" ? hyperdht::RelayPolicy::kAlways
         : word == "only" ? hyperdht::RelayPolicy::kOnly : hyperdht::RelayPolicy::kFallback;
}

hyperdht::PunchPolicy PunchesOf(std::string_view word) {
  return word == "never" ? hyperdht::PunchPolicy::kNever : word == "no-random" ? hyperdht::PunchPolicy::kNoRandom : hyperdht::PunchPolicy::kAny;
}

std::optional<Key32> RelayOf(const Config& config) {
  return config.relay.through_hex.empty() ? std::nullopt : ParseKey(config.relay.through_hex);
}

std::vector<Ops::Map::iterator> Ops::LinksOf(ConnectionId connection) {
  std::vector<Map::iterator> out;
  for (auto it = running_.begin(); it != running_.end(); ++it) {
    if (it->second.link.connection == connection) out.push_back(it);
  }
  return out;
}

std::optional<OpError> Ops::BeginPeers(Turn& turn, OpTarget t, Map::iterator it, hyperdht::News& news) {
  Running& r = it->second;
  const std::string_view name = r.operation->name;
  hyperdht::Peers& peers = t.dht.peers();
  KeyPair key = t.key;
  if (std::optional<OpError> wrong = PickKey(r.params, t.key, key)) return wrong;
  Link& link = r.link;
  link.began = turn.now;

  if (name == "listen") {
    link.does = Link::Does::kListen, link.key = key.public_key;
    peers.Listen(turn, {.key = key, .relay_through = RelayOf(t.config), .relay_policy = PolicyOf(t.config.relay.policy),
                        .blind_relay = t.config.relay.serve && key.public_key == t.key.public_key}, news);
    return std::nullopt;
  }
  if (name == "unlisten") {
    if (!peers.Unlisten(turn, key.public_key)) return OpError{.code = "NOT_FOUND", .message = "this node does not listen with that key"};
    Succeed(turn, it, JsonWriter().Key("key").Hex(key.public_key).text());
    return std::nullopt;
  }
  if (name == "disconnect") {
    link.key = *r.params.key("to");
    return BeginTask(turn, t, it, Task::Does::kDisconnect), std::nullopt;
  }
  std::optional<Key32> to = r.params.key("to");
  if (name == "doctor") {
    if (!to.has_value()) return Diagnose(turn, t, it, nullptr), std::nullopt;
    link.does = Link::Does::kExamine;
  } else if (name == "send") {
    std::optional<std::string> text = r.params.text("text");
    std::optional<uint64_t> bytes = r.params.number("bytes");
    if (text.has_value() == bytes.has_value()) {
      return OpError{.code = "ERR_PARAMS", .message = "send takes either text or bytes",
                     .param = ParamError{.param = "bytes", .found = text ? "both" : "neither", .expected = "one of the two"}};
    }
    if (r.params.flag("unordered").value_or(false) && (!text || text->size() > hyperdht::Peers::kUnorderedMax)) {
      return OpError{.code = "ERR_PARAMS", .message = "an unordered message is a text that fits one packet",
                     .param = ParamError{.param = "unordered", .found = text ? std::to_string(text->size()) + " bytes" : "no text",
                                         .expected = "a text of at most " + std::to_string(hyperdht::Peers::kUnorderedMax) + " bytes"}};
    }
    link.does = Link::Does::kSend, link.to_send = text ? text->size() : *bytes;
  } else if (name == "pipe") {
    link.does = Link::Does::kPipe;
    if (!to.has_value()) {  // The next peer that dials us.
      link.key = key.public_key;
      peers.Listen(turn, {.key = key, .relay_through = RelayOf(t.config), .relay_policy = PolicyOf(t.config.relay.policy)}, news);
      return std::nullopt;
    }
  } else {
    CHECK(name == "connect");
    link.does = Link::Does::kConnect;
  }
  link.key = *to;
  // A pipe is a stream of its own, a fresh dial is asked for, and whoever names a key pair wants to be seen as that; others share.
  const bool as_other = r.params.text("seed").has_value();
  const bool shares = !as_other && ((link.does == Link::Does::kConnect && !r.params.flag("fresh").value_or(false)) || link.does == Link::Does::kSend);
  if (std::optional<ConnectionId> found = shares ? peers.Find(link.key) : std::nullopt) {
    link.connection = *found;
    const ConnectionInfo* info = peers.info(*found);
    if (info != nullptr && info->step == ConnectStep::kOpen) OnOpen(turn, t, it);
    return std::nullopt;
  }
  Dial(turn, t, r, key);
  return std::nullopt;
}

void Ops::Dial(Turn& turn, OpTarget t, Running& r, const KeyPair& key) {
  hyperdht::ConnectOptions options{.key = key, .relay_through = RelayOf(t.config), };
  if (std::optional<Key32> through = r.params.key("through")) options.relay_through = through;
  const std::string policy = r.params.text("relay").value_or(t.config.relay.policy);
  options.relay_policy = PolicyOf(policy);
  r.link.ours = true;
  r.link.connection = t.dht.peers().Connect(turn, r.link.key, options);
}

void Ops::OnOpen(Turn& turn, OpTarget t, Map::iterator it) {
  Running& r = it->second;
  Link& link = r.link;
  link.open = true;
  if (const ConnectionInfo* info = t.dht.peers().info(*link.connection)) link.path = info->path;
  switch (link.does) {
    case Link::Does::kConnect:
    case Link::Does::kExamine: {
      const bool examines = link.does == Link::Does::kExamine;
      // A dial of its own is over once it is known to work.
      const bool over = link.ours && (examines || r.params.flag("fresh").value_or(false));
      const ConnectionId connection = *link.connection;
      if (examines) Diagnose(turn, t, it, &r);
      else Succeed(turn, it, ConnectResult(t, r));
      if (over) t.dht.peers().End(turn, connection);
      return;
    }
    case Link::Does::kSend: return Push(turn, t, it);
    case Link::Does::kPipe: {
      Event(turn, it->first, r, "{\"tag\":\"opened\",\"data\":{" + ConnectResult(t, r) + "}}");
      link.granted = kPipeWindow;
      turn.out.AcceptOp(it->first, kPipeWindow);
      return;
    }
    default: return;
  }
}

// Sends as much as the connection takes.
void Ops::Push(Turn& turn, OpTarget t, Map::iterator it) {
  Running& r = it->second;
  Link& link = r.link;
  hyperdht::Peers& peers = t.dht.peers();
  const bool unordered = r.params.flag("unordered").value_or(false);
  if (std::optional<std::string> text = r.params.text("text"); text.has_value() && link.sent == 0) {
    if (unordered) peers.SendUnordered(turn, *link.connection, AsBytes(*text));
    else peers.Send(turn, *link.connection, AsBytes(*text));
    link.sent = text->size();
  }
  while (link.sent < link.to_send && peers.room(*link.connection) > 0) {
    std::string piece = Filler(link.sent, size_t(std::min<uint64_t>(kPieceMax, link.to_send - link.sent)));
    peers.Send(turn, *link.connection, AsBytes(piece));
    link.sent += piece.size();
  }
  if (link.sent < link.to_send) return;
  if (!unordered && r.params.flag("wait").value_or(true) && peers.unacknowledged(*link.connection) > 0) return;
  const ConnectionInfo* info = peers.info(*link.connection);
  JsonWriter w;
  w.Key("key").Hex(link.key).Key("connection").Uint(uint32_t(*link.connection));
  w.Key("path").Text(hyperdht::PathName(info == nullptr ? hyperdht::Path::kNone : info->path));
  w.Key("bytes").Uint(link.sent).Key("ms").Raw(Millis(turn.now - link.began));
  Succeed(turn, it, w.text());
}

void Ops::OnData(Turn& turn, OpTarget t, const OpData& data) {
  auto it = running_.find(data.op);
  if (it == running_.end() || it->second.link.does != Link::Does::kPipe || !it->second.link.open || it->second.link.input_ended) return;
  Link& link = it->second.link;
  if (!data.bytes.empty()) {
    t.dht.peers().Send(turn, *link.connection, data.bytes);
    link.sent += data.bytes.size();
    link.granted -= std::min<uint32_t>(link.granted, uint32_t(data.bytes.size()));
  }
  if (data.end) {
    link.input_ended = true;
    t.dht.peers().End(turn, *link.connection);
    return MaybeEndPipe(turn, t, it);
  }
  if (link.granted < kPipeWindow / 2 && t.dht.peers().room(*link.connection) > 0) {
    turn.out.AcceptOp(it->first, uint32_t(kPipeWindow) - link.granted);
    link.granted = kPipeWindow;
  }
}

void Ops::Pull(Turn& turn, OpTarget t, Map::iterator it, Bytes message) {
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
  if (!link.input_ended || !link.told_end) return;
  if (link.connection.has_value() && t.dht.peers().unacknowledged(*link.connection) > 0) return;
  const ConnectionInfo* info = link.connection ? t.dht.peers().info(*link.connection) : nullptr;
  JsonWriter w;
  w.Key("key").Hex(link.key).Key("path").Text(hyperdht::PathName(info == nullptr ? link.path : info->path));
  w.Key("bytes_sent").Uint(link.sent).Key("bytes_received").Uint(link.received);
  Succeed(turn, it, w.text());
}

void Ops::LinkFailed(Turn& turn, OpTarget t, Map::iterator it, ConnectCode code, ConnectStep step) {
  if (it->second.link.does == Link::Does::kExamine) return Diagnose(turn, t, it, &it->second);
  std::string step_name(hyperdht::StepName(step));
  Fail(turn, it, {.code = hyperdht::CodeName(code), .message = Explain(code) + " (it waited in step \"" + step_name + "\")",
                  .step = hyperdht::StepName(step)});
}

void Ops::LinkClosed(Turn& turn, OpTarget t, ConnectionId connection, ConnectCode code) {
  for (Map::iterator it : LinksOf(connection)) {
    Link& link = it->second.link;
    const bool in_order = code == ConnectCode::kOk;
    if (link.does == Link::Does::kPipe && in_order) {  // Both halves have ended.
      link.remote_ended = true, link.input_ended = true, link.connection.reset();
      PassOn(turn, t, it);
    } else if (link.does == Link::Does::kSend && in_order && link.sent == link.to_send) {
      JsonWriter w;
      w.Key("key").Hex(link.key).Key("connection").Uint(uint32_t(connection)).Key("path").Text("none");
      Succeed(turn, it, w.Key("bytes").Uint(link.sent).Key("ms").Raw(Millis(turn.now - link.began)).text());
    } else {
      Fail(turn, it, {.code = hyperdht::CodeName(in_order ? ConnectCode::kReset : code), .message = "the connection is gone: " + Explain(code)});
    }
  }
}

void Ops::OnPeerNews(Turn& turn, OpTarget t, hyperdht::News& news) {
  hyperdht::Peers& peers = t.dht.peers();
  for (auto& n : news) {
    if (auto* listening = std::get_if<hyperdht::ServerListening>(&n)) {
      for (auto it = running_.begin(); it != running_.end();) {
        auto at = it++;
        const Link& l = at->second.link;
        if (l.key != listening->public_key) continue;
        if (l.does == Link::Does::kPipe && !l.connection.has_value()) {
          Event(turn, at->first, at->second, "{\"tag\":\"listening\",\"data\":{" + JsonWriter().Key("key").Hex(l.key).text() + "}}");
        }
        if (l.does == Link::Does::kListen) Succeed(turn, at, JsonWriter().Key("key").Hex(listening->public_key).text());
      }
    } else if (auto* opened = std::get_if<hyperdht::ConnectionOpened>(&n)) {
      if (!opened->initiator) {  // A pipe may wait for it: the one that waits longest.
        auto waits = std::find_if(running_.begin(), running_.end(), [&](const auto& r) {
          const Link& l = r.second.link;
          return l.does == Link::Does::kPipe && !l.connection.has_value() && !l.open && l.key == opened->server;
        });
        if (waits != running_.end()) waits->second.link.connection = opened->connection, waits->second.link.key = opened->remote_key;
      }
      for (Map::iterator it : LinksOf(opened->connection)) OnOpen(turn, t, it);
    } else if (auto* failed = std::get_if<hyperdht::ConnectFailed>(&n)) {
      if (failed->initiator) {
        if (failures_.size() == kFailuresMax) failures_.erase(failures_.begin());
        failures_.push_back({turn.now, *failed});
      }
      for (Map::iterator it : LinksOf(failed->connection)) LinkFailed(turn, t, it, failed->code, failed->step);
    } else if (auto* message = std::get_if<hyperdht::ConnectionMessage>(&n)) {
      if (message->unordered) {
        for (Map::iterator it : LinksOf(message->connection)) OnUnordered(turn, it, message->bytes);
        continue;
      }
      bool read = false;
      for (Map::iterator it : LinksOf(message->connection)) {
        if (it->second.link.does == Link::Does::kPipe && !read) read = true, Pull(turn, t, it, message->bytes);
      }
      if (!read) peers.Consumed(turn, message->connection, message->bytes.size());
    } else if (auto* ended = std::get_if<hyperdht::ConnectionEnded>(&n)) {
      bool piped = false;
      for (Map::iterator it : LinksOf(ended->connection)) {
        if (it->second.link.does != Link::Does::kPipe) continue;
        piped = true, it->second.link.remote_ended = true;
        PassOn(turn, t, it);
      }
      if (!piped) peers.End(turn, ended->connection);
    } else if (auto* writable = std::get_if<hyperdht::ConnectionWritable>(&n)) {
      for (Map::iterator it : LinksOf(writable->connection)) {
        Link& link = it->second.link;
        if (link.does == Link::Does::kSend && link.open) Push(turn, t, it);
        if (link.does != Link::Does::kPipe || !link.open || link.input_ended || link.granted >= kPipeWindow) continue;
        turn.out.AcceptOp(it->first, uint32_t(kPipeWindow) - link.granted);
        link.granted = kPipeWindow;
      }
    } else if (auto* flushed = std::get_if<hyperdht::ConnectionFlushed>(&n)) {
      for (Map::iterator it : LinksOf(flushed->connection)) {
        const Link& link = it->second.link;
        if (link.does == Link::Does::kSend && link.open) Push(turn, t, it);
        else if (link.does == Link::Does::kPipe) MaybeEndPipe(turn, t, it);
      }
    } else if (auto* changed = std::get_if<hyperdht::PathChanged>(&n)) {
      for (Map::iterator it : LinksOf(changed->connection)) {
        if (it->second.link.does != Link::Does::kPipe) continue;
        JsonWriter w;
        w.Key("from").Text(hyperdht::PathName(changed->from)).Key("to").Text(hyperdht::PathName(changed->to));
        Event(turn, it->first, it->second, "{\"tag\":\"path\",\"data\":{" + w.text() + "}}");
      }
    } else if (auto* closed = std::get_if<hyperdht::ConnectionClosed>(&n)) {
      LinkClosed(turn, t, closed->connection, closed->code);
    }
  }
}

std::string Ops::ConnectResult(const OpTarget& t, const Running& r) const {
  JsonWriter w;
  const ConnectionInfo* info = t.dht.peers().info(*r.link.connection);
  w.Key("key").Hex(r.link.key).Key("connection").Uint(uint32_t(*r.link.connection));
  if (info == nullptr) return w.text();
  w.Key("path").Text(hyperdht::PathName(info->path)).Key("remote").Text(info->remote.ToString());
  w.Key("attempts").Uint(info->attempts).Key("probes").Uint(info->probes);
  w.Key("nat").Text(NatName(info->local_nat)).Key("remote_nat").Text(NatName(info->remote_nat));
  w.Key("ms").Raw(Millis(info->opened == kNever ? Duration{} : info->opened - info->began));
  return w.text();
}

void Ops::Diagnose(Turn& turn, OpTarget t, Map::iterator it, const Running* dialed) {
  it->second.task.fields = DoctorFields(turn, t, dialed);
  it->second.link = {};
  BeginTask(turn, t, it, Task::Does::kList);
}

// All but the connections.
std::string Ops::DoctorFields(Turn& turn, OpTarget t, const Running* dialed) const {
  const dht::Rpc& rpc = t.dht.rpc();
  Symptoms s{.interfaces = t.interfaces, .bootstrapped = rpc.bootstrapped(), .online = rpc.online(), .degraded = rpc.degraded(),
             .firewalled = rpc.firewalled(), .ephemeral = rpc.ephemeral(), .nodes = rpc.nodes(), .connections = t.dht.peers().size(),
             .up_for = turn.now - t.started};
  if (rpc.public_host().has_value()) s.seen_as = Ipv4Address{*rpc.public_host(), rpc.public_port()}.ToString();
  if (dialed != nullptr) {
    const Link& link = dialed->link;
    const ConnectionInfo* info = link.connection ? t.dht.peers().info(*link.connection) : nullptr;
    if (link.open && info != nullptr) {
      s.dialed = Symptoms::Dialed{.code = ConnectCode::kOk, .step = ConnectStep::kOpen, .path = info->path,
                                  .local_nat = info->local_nat, .remote_nat = info->remote_nat};
    } else {
      auto f = std::find_if(failures_.rbegin(), failures_.rend(), [&](const Failure& x) { return x.what.connection == link.connection; });
      if (f != failures_.rend()) {
        s.dialed = Symptoms::Dialed{.code = f->what.code, .step = f->what.step, .path = hyperdht::Path::kNone, .local_nat = f->what.local_nat,
                                    .remote_nat = f->what.remote_nat, .direct = f->what.direct, .relay = f->what.relay};
      }
    }
  }
  const std::vector<Finding> findings = Examine(s);
  JsonWriter w;
  w.Key("verdict").Text(Verdict(findings)).Key("checks").Open('[');
  for (const Finding& f : findings) {
    w.Open('{').Key("check").Text(f.check).Key("ok").Bool(f.ok).Key("says").Text(f.says).Close('}');
  }
  w.Close(']').Key("failures").Open('[');
  for (auto f = failures_.rbegin(); f != failures_.rend(); ++f) {
    w.Open('{').Key("ms_ago").Raw(Millis(turn.now - f->at)).Key("peer").Hex(f->what.remote_key).Key("code").Text(hyperdht::CodeName(f->what.code));
    w.Key("step").Text(hyperdht::StepName(f->what.step)).Key("nat").Text(NatName(f->what.local_nat)).Key("remote_nat").Text(NatName(f->what.remote_nat));
    w.Key("relay").Text(hyperdht::RelayFailureName(f->what.relay)).Key("says").Text(f->what.relay == hyperdht::RelayFailure::kNone ? Explain(f->what.code) : Explain(f->what.relay)).Close('}');
  }
  return w.Close(']').text();
}

}  // namespace orchard::sidecar
