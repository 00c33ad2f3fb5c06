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

hyperdht::ListenOptions ListenerOf(const OpTarget& t, const KeyPair& key) {
  return {.key = key, .relay_through = RelayOf(t.config), .relay_policy = PolicyOf(t.config.relay.policy),
          .blind_relay = t.config.relay.serve && key.public_key == t.key.public_key};
}

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
    link.told_at = turn.now + kListenWait, wake_at_ = std::min(wake_at_, link.told_at);
    peers.Listen(turn, ListenerOf(t, key), news);
    return std::nullopt;
  }
  if (name == "unlisten") {
    JsonWriter w;
    w.Key("key").Hex(key.public_key).Key("kept_by");
    const bool own = key.public_key == t.key.public_key;
    if (own && t.swarm != nullptr && t.swarm->listens()) {
      t.swarm->ListenAgain(turn, *t.network);
      w.Text("swarm");
    } else if (own && t.config.relay.serve) {
      peers.Listen(turn, ListenerOf(t, key), news);
      w.Text("relay.serve");
    } else {
      if (!peers.Unlisten(turn, key.public_key)) return OpError{.code = "NOT_FOUND", .message = "this node does not listen with that key"};
      w.Null();
    }
    Succeed(turn, it, w.text());
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
    if (text.has_value() && text->empty()) {
      return OpError{.code = "ERR_PARAMS", .message = "an empty text is no message: on the wire it is a sign of life",
                     .param = ParamError{.param = "text", .found = "no bytes", .expected = "one byte or more"}};
    }
    link.does = Link::Does::kSend, link.to_send = text ? text->size() : *bytes;
  } else if (name == "pipe") {
    link.does = Link::Does::kPipe;
    if (to.has_value() && r.params.key("from").has_value()) {
      return OpError{.code = "ERR_PARAMS", .message = "a pipe either dials a peer or waits for one",
                     .param = ParamError{.param = "from", .found = "from, and to", .expected = "one of the two"}};
    }
    if (!to.has_value()) {  // The next peer that dials us.
      for (const char* of_dials : {"relay", "through", "punch"}) {
        if (!r.params.has(of_dials)) continue;
        return OpError{.code = "ERR_PARAMS", .message = std::string(of_dials) + " is about how a peer is dialed, and this pipe waits for one",
                       .param = ParamError{.param = of_dials, .found = "no TO beside it", .expected = "TO; or, for all that dial this node, the configuration's relay.policy, relay.through, dht.punch"}};
      }
      link.key = key.public_key, link.from = r.params.key("from");
      peers.Listen(turn, ListenerOf(t, key), news);
      link.granted = kPipeWindow;
      link.told_at = turn.now + kListenWait, wake_at_ = std::min(wake_at_, link.told_at);
      turn.out.AcceptOp(it->first, kPipeWindow);
      return std::nullopt;
    }
  } else {
    CHECK(name == "connect");
    link.does = Link::Does::kConnect;
  }
  link.key = *to;
  if (r.params.text("relay") == "only" && !r.params.key("through").has_value() && t.config.relay.through_hex.empty()) {
    return OpError{.code = "ERR_PARAMS", .message = "only through a relay, and no relay is named",
                   .param = ParamError{.param = "relay", .found = "only, without a relay", .expected = "through: a relay's public key (or relay.through in the configuration)"}};
  }
  if (link.key == key.public_key) {
    return OpError{.code = "ERR_PARAMS", .message = "that is the key of this node itself",
                   .param = ParamError{.param = "to", .found = "its own key", .expected = "another peer's (orchard info shows a node's key)"}};
  }
  // A pipe is a stream of its own, a fresh dial is asked for, and whoever names a key pair wants to be seen as that; others share.
  const bool as_other = r.params.text("seed").has_value();
  const bool shares = !as_other && link.does != Link::Does::kPipe && !r.params.flag("fresh").value_or(false);
  if (std::optional<ConnectionId> found = shares ? peers.Find(link.key) : std::nullopt) {
    const ConnectionInfo& info = *peers.info(*found);
    const bool open = info.step == ConnectStep::kOpen;
    // Whoever asks for the relay alone does not want to be seen on another path, and whoever examines wants an answer of his own.
    const bool fits = (PolicyFor(t, r) != hyperdht::RelayPolicy::kOnly || (open && info.path == hyperdht::Path::kRelayed)) &&
                      (open || link.does != Link::Does::kExamine);
    if (fits) {
      link.connection = *found;
      if (open) OnOpen(turn, t, it);
      return std::nullopt;
    }
  }
  Dial(turn, t, r, key);
  return std::nullopt;
}

hyperdht::RelayPolicy Ops::PolicyFor(const OpTarget& t, const Running& r) {
  return PolicyOf(r.params.text("relay").value_or(t.config.relay.policy));
}

void Ops::Dial(Turn& turn, OpTarget t, Running& r, const KeyPair& key) {
  hyperdht::ConnectOptions options{.key = key, .relay_through = RelayOf(t.config), };
  if (std::optional<Key32> through = r.params.key("through")) options.relay_through = through;
  options.relay_policy = PolicyFor(t, r);
  options.punches = PunchesOf(r.params.text("punch").value_or("any"));  // dht.punch counts besides.
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
    case Link::Does::kPipe: return OpenPipe(turn, t, it);
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
      link.remote_ended = true, link.input_ended = true, link.end_at = kNever, link.connection.reset();
      PassOn(turn, t, it);
    } else if (link.does == Link::Does::kSend && in_order && link.sent == link.to_send) {
      JsonWriter w;
      w.Key("key").Hex(link.key).Key("connection").Uint(uint32_t(connection)).Key("path").Text("none");
      Succeed(turn, it, w.Key("bytes").Uint(link.sent).Key("ms").Raw(Millis(turn.now - link.began)).text());
    } else {
      const ConnectCode why = in_order ? ConnectCode::kReset : code;
      const bool unread = why == ConnectCode::kReset && link.does == Link::Does::kPipe && link.ours && link.received == 0;
      Fail(turn, it, {.code = hyperdht::CodeName(why), .message = "the connection is gone: " + Explain(why) +
                      (unread ? " Nobody there may read it: on the other side, run orchard pipe first." : "")});
    }
  }
}

void Ops::OnPeerNews(Turn& turn, OpTarget t, hyperdht::News& news) {
  for (auto& n : news) {
    if (auto* listening = std::get_if<hyperdht::ServerListening>(&n)) {
      for (auto it = running_.begin(); it != running_.end();) {
        auto at = it++;
        const Link& l = at->second.link;
        if (l.key != listening->public_key) continue;
        at->second.link.told_at = kNever;
        if (l.does == Link::Does::kPipe && !l.connection.has_value()) {
          Event(turn, at->first, at->second, "{\"tag\":\"listening\",\"data\":{" + JsonWriter().Key("key").Hex(l.key).text() + "}}");
        }
        if (l.does == Link::Does::kListen) Succeed(turn, at, JsonWriter().Key("key").Hex(listening->public_key).text());
      }
    } else if (auto* opened = std::get_if<hyperdht::ConnectionOpened>(&n)) {
      if (!opened->initiator) OnDialed(turn, *opened);
      for (Map::iterator it : LinksOf(opened->connection)) OnOpen(turn, t, it);
    } else if (auto* failed = std::get_if<hyperdht::ConnectFailed>(&n)) {
      if (failed->initiator) {
        if (failures_.size() == kFailuresMax) failures_.erase(failures_.begin());
        failures_.push_back({turn.now, *failed});
      }
      for (Map::iterator it : LinksOf(failed->connection)) LinkFailed(turn, t, it, failed->code, failed->step);
    } else if (auto* message = std::get_if<hyperdht::ConnectionMessage>(&n)) {
      OnMessage(turn, t, *message);
    } else if (auto* ended = std::get_if<hyperdht::ConnectionEnded>(&n)) {
      OnRemoteEnd(turn, t, ended->connection);
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
      silent_.erase(closed->connection), unread_.erase(closed->connection);
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
             .firewalled = rpc.firewalled(), .ephemeral = rpc.ephemeral(), .punches = PunchesOf(t.config.dht.punch), .nodes = rpc.nodes(), .connections = t.dht.peers().size(), .replies = rpc.stats().replies_sent,
             .up_for = turn.now - t.started};
  s.pod = t.pod != nullptr, s.pod_problems = PodProblems(t);
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
  w.Key("well").Bool(IsWell(findings)).Key("verdict").Text(Verdict(findings)).Key("checks").Open('[');
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
