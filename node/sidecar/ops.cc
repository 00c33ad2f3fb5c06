#include "node/sidecar/ops.h"

#include <algorithm>
#include <utility>

namespace orchard::sidecar {
namespace {

std::string ErrorEvent(const OpError& e) {
  JsonWriter w;
  w.Open('{').Key("tag").Text("error").Key("data").Open('{').Key("code").Text(e.code).Key("message").Text(e.message);
  if (!e.step.empty()) w.Key("step").Text(e.step);
  if (e.param.has_value()) {
    w.Key("param").Text(e.param->param).Key("found").Text(e.param->found).Key("expected").Text(e.param->expected);
  }
  return w.Close('}').Close('}').text();
}

std::string ErrorFinal(const OpError& e) {
  JsonWriter w;
  w.Open('{').Key("tag").Text("final").Key("data").Open('{').Key("ok").Bool(false).Key("code").Text(e.code);
  w.Key("message").Text(e.message);
  if (!e.step.empty()) w.Key("step").Text(e.step);
  if (!e.figures.empty()) w.Raw(e.figures);
  return w.Close('}').Close('}').text();
}

const OpError& Stopping() {
  static const OpError kError{.code = "OFFLINE", .message = "the node stops"};
  return kError;
}

}  // namespace

size_t Ops::held_bytes() const {
  size_t n = 0;
  for (const auto& [id, r] : running_) n += r.held_bytes + r.peers.size() + r.final.size();
  return n;
}

void Ops::OnCall(Turn& turn, OpTarget target, const OpCall& call) {
  if (stopping_) return Refuse(turn, call.op, Stopping());
  const Operation* operation = FindOperation(call.name);
  if (operation == nullptr) {
    return Refuse(turn, call.op,
                {.code = "ERR_UNKNOWN_OPERATION", .message = "no operation is called \"" + std::string(call.name.substr(0, 80)) + "\""});
  }
  auto params = Params::Parse(*operation, call.params);
  if (auto* wrong = std::get_if<ParamError>(&params)) {
    std::string message = wrong->message;
    return Refuse(turn, call.op, {.code = "ERR_PARAMS", .message = std::move(message), .param = std::move(*wrong)});
  }
  if (running_.size() >= kOpsMax || running_.contains(call.op)) {
    return Refuse(turn, call.op, {.code = "OVERLOAD", .message = std::to_string(kOpsMax) + " operations are running"});
  }
  if (operation->raw && size_t(std::count_if(running_.begin(), running_.end(), [](const auto& r) { return r.second.operation->raw; })) >= kPipesMax) {
    return Refuse(turn, call.op, {.code = "OVERLOAD", .message = std::to_string(kPipesMax) + " pipes are open"});
  }
  auto it = running_.emplace(call.op, Running{.operation = operation, .params = std::move(std::get<Params>(params))}).first;
  if (operation->name == "info") return Succeed(turn, it, InfoFields(turn, target));
  if (operation->name == "dht.nodes") return Succeed(turn, it, NodesFields(target));
  if (operation->name == "connections") return BeginTask(turn, target, it, Task::Does::kList);
  if (operation->name.starts_with("swarm.")) {
    if (std::optional<OpError> error = BeginSwarm(turn, target, it)) Fail(turn, it, *error);
    return;
  }
  if (operation->local) return Fail(turn, it, {.code = "ERR_UNKNOWN_OPERATION", .message = "the command line does this itself: orchard pod get"});
  if (operation->name.starts_with("cage.") || operation->name == "site.reload") {
    if (std::optional<OpError> error = BeginCage(turn, target, it)) Fail(turn, it, *error);
    return;
  }
  if (operation->name.starts_with("pod.")) {
    if (std::optional<OpError> error = BeginPod(turn, target, it)) Fail(turn, it, *error);
    return;
  }
  hyperdht::News news;
  const bool of_dht = operation->name.starts_with("dht.");
  if (std::optional<OpError> error = of_dht ? Begin(turn, target, call.op, it->second, news) : BeginPeers(turn, target, it, news)) {
    return Fail(turn, it, *error);
  }
  OnNews(turn, target, news);  // Only if the DHT refused at once.
}

void Ops::OnCredit(Turn& turn, OpTarget target, const OpCredit& credit) {
  auto it = running_.find(credit.op);
  if (it == running_.end()) return;
  Running& r = it->second;
  r.credit += std::min(credit.events, UINT32_MAX - r.credit);
  size_t n = std::min<size_t>(r.credit, r.held.size());
  for (size_t i = 0; i < n; ++i) {
    turn.out.Event(credit.op, AsBytes(r.held[i]));
    r.held_bytes -= r.held[i].size();
  }
  r.held.erase(r.held.begin(), r.held.begin() + ptrdiff_t(n));
  r.credit -= uint32_t(n);
  if (r.held.empty() && !r.final.empty()) return End(turn, it, std::move(r.final));
  if (r.link.does == Link::Does::kPipe) PassOn(turn, target, it);
}

void Ops::OnCancelled(Turn& turn, OpTarget target, const OpCancelled& cancelled) {
  auto it = running_.find(cancelled.op);
  if (it == running_.end()) return;
  for (hyperdht::FlowId f : it->second.flows) target.dht.Cancel(turn, f);
  const Link& link = it->second.link;
  const bool piped = link.does == Link::Does::kPipe;  // Half of its data is lost: nobody else can use the rest.
  if (link.connection.has_value() && (piped || (link.ours && !link.open))) {
    unread_.erase(*link.connection);
    target.dht.peers().Destroy(turn, *link.connection);
  }
  running_.erase(it);
}

void Ops::OnStop(Turn& turn) {
  stopping_ = true;
  for (auto& [op, r] : running_) {
    if (r.final.empty()) r.final = ErrorFinal(Stopping());
    turn.out.Final(op, AsBytes(r.final));
  }
  running_.clear();
  continue_at_ = kNever;
}

Ops::Map::iterator Ops::OwnerOf(hyperdht::FlowId flow) {
  return std::find_if(running_.begin(), running_.end(), [&](const auto& r) {
    const auto& flows = r.second.flows;
    return std::find(flows.begin(), flows.end(), flow) != flows.end();
  });
}

void Ops::OnNews(Turn& turn, OpTarget target, hyperdht::News& news) {
  for (auto& n : news) {
    if (auto* found = std::get_if<hyperdht::PeersFound>(&n)) {
      if (auto it = OwnerOf(found->flow); it != running_.end()) OnPeers(turn, it, *found);
    } else if (auto* end = std::get_if<hyperdht::FlowEnded>(&n)) {
      if (auto it = OwnerOf(end->flow); it != running_.end()) OnEnded(turn, target, it, *end);
    }
  }
  OnPeerNews(turn, target, news);
}

void Ops::OnPeers(Turn& turn, Map::iterator it, const hyperdht::PeersFound& found) {
  Running& r = it->second;
  if (r.operation->name != "dht.lookup") return;  // An announce meets peers too; nobody asked for them.
  for (const hyperdht::Peer& p : found.peers) {
    JsonWriter peer;
    peer.Open('{').Key("key").Hex(p.public_key).Key("relays").Open('[');
    for (const Endpoint& e : p.relay_addresses) peer.Text(e.ToString());
    peer.Close(']').Key("from").Text(found.from.ToString()).Close('}');
    if (r.listed < kListMax) r.peers.Raw(peer.text()), ++r.listed;
    Event(turn, it->first, r, "{\"tag\":\"peer\",\"data\":" + peer.text() + "}");
  }
}

void Ops::Event(Turn& turn, OpId op, Running& r, std::string json) {
  if (r.credit > 0) {
    --r.credit;
    turn.out.Event(op, AsBytes(json));
  } else if (r.held_bytes + json.size() <= kHeldBytesMax) {
    r.held_bytes += json.size();
    r.held.push_back(std::move(json));
  }
}

void Ops::End(Turn& turn, Map::iterator it, std::string final) {
  Running& r = it->second;
  if (r.held.empty()) {
    turn.out.Final(it->first, AsBytes(final));
    running_.erase(it);
    return;
  }
  r.flows.clear();
  r.peers = {};
  r.link = {};
  r.topic.reset();
  r.task = {};
  r.final = std::move(final);
}

void Ops::Succeed(Turn& turn, Map::iterator it, const std::string& fields) {
  End(turn, it, "{\"tag\":\"final\",\"data\":{\"ok\":true" + (fields.empty() ? "" : "," + fields) + "}}");
}

void Ops::Fail(Turn& turn, Map::iterator it, const OpError& e) {
  Event(turn, it->first, it->second, ErrorEvent(e));
  End(turn, it, ErrorFinal(e));
}

void Ops::Refuse(Turn& turn, OpId op, const OpError& e) {
  turn.out.Event(op, AsBytes(ErrorEvent(e)));  // The first event is always granted.
  turn.out.Final(op, AsBytes(ErrorFinal(e)));
}

}  // namespace orchard::sidecar
