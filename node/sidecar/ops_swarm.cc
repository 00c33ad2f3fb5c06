// Ops, continued: topics. A node is in each topic once, however often it is asked to join: the last call says as what.

#include <utility>

#include "node/base/check.h"
#include "node/sidecar/ops.h"

namespace orchard::sidecar {

std::optional<OpError> Ops::BeginSwarm(Turn& turn, OpTarget t, Map::iterator it) {
  CHECK(t.swarm != nullptr && t.network != nullptr);
  Running& r = it->second;
  const std::string_view name = r.operation->name;
  if (name == "swarm.peers") return Succeed(turn, it, SwarmFields(t)), std::nullopt;
  const Key32 topic = *r.params.key("topic");
  swarm::News news;
  if (name == "swarm.leave") {
    if (!t.swarm->Leave(turn, *t.network, topic, news)) return OpError{.code = "NOT_FOUND", .message = "this node is not in that topic"};
    sessions_.erase(topic);
  } else {
    CHECK(name == "swarm.join");
    swarm::JoinOptions options{.server = r.params.flag("server").value_or(true), .client = r.params.flag("client").value_or(true)};
    if (!options.server && !options.client) {
      return OpError{.code = "ERR_PARAMS", .message = "a topic is joined as server, as client, or as both",
                     .param = ParamError{.param = "client", .found = "false, and server false", .expected = "one of the two"}};
    }
    if (std::optional<uint64_t> limit = r.params.number("limit")) options.limit = uint32_t(std::min<uint64_t>(*limit, UINT32_MAX));
    auto session = sessions_.find(topic);
    if (session == sessions_.end()) {
      absl::StatusOr<swarm::SessionId> joined = t.swarm->Join(turn, *t.network, topic, options);
      if (!joined.ok()) return OpError{.code = "OVERLOAD", .message = std::string(joined.status().message())};
      sessions_.emplace(topic, *joined);
    } else {
      CHECK(t.swarm->Change(turn, *t.network, session->second, options));
    }
  }
  r.topic = topic;
  OnSwarmNews(turn, t, news);
  return std::nullopt;
}

void Ops::OnSwarmNews(Turn& turn, OpTarget, const swarm::News& news) {
  // For each that waits for `name` of `topic`; it may be gone afterwards.
  auto each = [&](std::string_view name, const Key32& topic, auto f) {
    for (auto it = running_.begin(); it != running_.end();) {
      auto at = it++;
      if (at->second.topic == topic && at->second.operation->name == name) f(at);
    }
  };
  for (const auto& n : news) {
    if (const auto* refreshed = std::get_if<swarm::TopicRefreshed>(&n)) {
      each("swarm.join", refreshed->topic, [&](Map::iterator it) {
        if (refreshed->outcome == hyperdht::Outcome::kOk) {
          JsonWriter w;
          w.Key("topic").Hex(refreshed->topic).Key("server").Bool(refreshed->server).Key("client").Bool(refreshed->client);
          return Succeed(turn, it, w.Key("found").Uint(refreshed->found).Key("nodes").Uint(refreshed->nodes).text());
        }
        OpError error = ErrorOf({.kind = hyperdht::FlowKind::kAnnounce, .outcome = refreshed->outcome});
        error.message += "; the swarm goes on trying";
        Fail(turn, it, error);
      });
    } else if (const auto* left = std::get_if<swarm::TopicLeft>(&n)) {
      each("swarm.leave", left->topic, [&](Map::iterator it) {
        Succeed(turn, it, JsonWriter().Key("topic").Hex(left->topic).Key("nodes").Uint(left->nodes).text());
      });
    }
  }
}

std::string SwarmFields(OpTarget t) {
  const swarm::Swarm& s = *t.swarm;
  JsonWriter w;
  w.Key("topics").Open('[');
  for (const auto& [topic, d] : s.topics()) {
    w.Open('{').Key("topic").Hex(topic).Key("server").Bool(d.wants_server()).Key("client").Bool(d.wants_client());
    w.Key("searching").Bool(d.searching()).Close('}');
  }
  w.Close(']').Key("peers").Open('[');
  size_t listed = 0;
  for (const auto& [key, p] : s.peers()) {
    if (!p.connection.has_value() && ++listed > Ops::kListMax) continue;  // Connections are few, and always told.
    const swarm::Swarm::Link* link = p.connection.has_value() ? &s.links().at(*p.connection) : nullptr;
    const hyperdht::ConnectionInfo* info = link == nullptr ? nullptr : t.dht.peers().info(*p.connection);
    w.Open('{').Key("key").Hex(key).Key("connection");
    if (link != nullptr) w.Uint(uint32_t(*p.connection)); else w.Null();
    w.Key("open").Bool(link != nullptr && link->open).Key("path");
    w.Text(hyperdht::PathName(info == nullptr ? hyperdht::Path::kNone : info->path));
    if (link == nullptr) w.Key("elsewhere").Bool(t.network->Connected(key));  // A connection of another operation, say.
    w.Key("attempts").Uint(p.attempts).Key("waits").Bool(p.queued || p.waiting).Key("banned").Bool(p.banned).Key("topics").Open('[');
    for (const Key32& topic : p.topics) w.Hex(topic);
    w.Close(']').Close('}');
  }
  return w.Close(']').Key("count").Uint(s.open()).text();
}

}  // namespace orchard::sidecar
