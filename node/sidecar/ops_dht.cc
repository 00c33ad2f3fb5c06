// Ops, continued: what each operation asks of the DHT, and how the answer reads.

#include <algorithm>
#include <utility>

#include "node/base/check.h"
#include "node/crypto/sha256.h"
#include "node/sidecar/ops.h"
#include "node/sidecar/version.h"

namespace orchard::sidecar {
namespace {

using hyperdht::FlowEnded;
using hyperdht::FlowKind;
using hyperdht::KeyPair;
using hyperdht::Outcome;

std::string_view ProfileName(Profile p) {
  switch (p) {
    case Profile::kDefault: return "default";
    case Profile::kJsCompat: return "js-compat";
    case Profile::kHardened: return "hardened";
    case Profile::kFaithfulBugs: return "faithful-bugs";
  }
  return "";
}

OpError WrongParam(std::string_view code, std::string_view name, std::string found, std::string expected) {
  std::string message = "parameter \"" + std::string(name) + "\" is wrong: expected " + expected;
  return {.code = code, .message = std::move(message),
          .param = ParamError{.param = std::string(name), .found = std::move(found), .expected = std::move(expected)}};
}

void WriteContact(JsonWriter& w, Ipv4Address address, const Key32& id) {
  w.Open('{').Key("address").Text(address.ToString()).Key("id").Hex(id).Close('}');
}

}  // namespace

std::optional<OpError> PickKey(const Params& params, const KeyPair& own, KeyPair& out) {
  out = own;
  std::optional<std::string> seed = params.text("seed");
  if (!seed.has_value()) return std::nullopt;
  std::optional<Key32> key = seed->size() == 64 ? ParseKey(*seed) : std::nullopt;
  if (!key.has_value()) return WrongParam("ERR_PARAMS", "seed", "(not shown)", "64 hex digits");
  out = crypto::KeyPairFromSeed(*key);
  return std::nullopt;
}

std::string Millis(Duration d) {
  int64_t us = d.count() / 1000;
  std::string fraction = std::to_string(us % 1000);
  return std::to_string(us / 1000) + "." + std::string(3 - fraction.size(), '0') + fraction;
}

std::optional<OpError> Ops::Begin(Turn& turn, OpTarget t, OpId, Running& r, hyperdht::News& news) {
  std::string_view name = r.operation->name;
  const Params& p = r.params;
  if (name == "dht.put") return BeginPut(turn, t, r, news);
  if (name == "dht.get") return BeginGet(turn, t, r, news);
  if (name == "dht.lookup") {
    r.flows = {t.dht.Lookup(turn, *p.key("topic"), news)};
    r.peers.Open('[');
  } else if (name == "dht.find-peer") {
    r.flows = {t.dht.FindPeer(turn, *p.key("key"), news)};
  } else if (name == "dht.find-node") {
    r.flows = {t.dht.FindNode(turn, *p.key("target"), news)};
  } else if (name == "dht.ping") {
    if (!p.address("address")->is_v4()) {
      return WrongParam("ERR_PARAMS", "address", p.address("address")->ToString(), "an IPv4 address; the DHT has no other");
    }
    r.flows = {t.dht.Ping(turn, *p.address("address"), news)};
  } else {
    KeyPair key;
    if (std::optional<OpError> wrong = PickKey(p, t.key, key)) return wrong;
    CHECK(name == "dht.announce" || name == "dht.unannounce");
    if (name == "dht.announce") {
      r.flows = {t.dht.Announce(turn, *p.key("topic"), key, {}, news)};
    } else {
      r.flows = {t.dht.Unannounce(turn, *p.key("topic"), key, news)};
    }
  }
  return std::nullopt;
}

std::optional<OpError> Ops::BeginPut(Turn& turn, OpTarget t, Running& r, hyperdht::News& news) {
  const Params& p = r.params;
  std::string value = *p.text("value");
  if (p.text("encoding").value_or("utf8") == "hex") {
    std::optional<std::string> raw = FromHex(value);
    if (!raw.has_value()) return WrongParam("ERR_PARAMS", "value", value.substr(0, 80), "an even number of hex digits");
    value = *std::move(raw);
  }
  if (value.size() > hyperdht::kPutValueMax) {
    return WrongParam("OVERSIZE", "value", std::to_string(value.size()) + " bytes",
                      "at most " + std::to_string(hyperdht::kPutValueMax) + " bytes");
  }
  if (!p.flag("mutable").value_or(false)) {
    if (p.number("seq").has_value()) return WrongParam("ERR_PARAMS", "seq", "an immutable value", "\"mutable\": true beside it");
    if (value.empty()) return WrongParam("ERR_PARAMS", "value", "nothing", "at least one byte");
    r.flows = {t.dht.PutImmutable(turn, std::move(value), news)};
    return std::nullopt;
  }
  KeyPair key;
  if (std::optional<OpError> wrong = PickKey(p, t.key, key)) return wrong;
  r.flows = {t.dht.PutMutable(turn, key, std::move(value), p.number("seq"), news)};
  return std::nullopt;
}

std::optional<OpError> Ops::BeginGet(Turn& turn, OpTarget t, Running& r, hyperdht::News& news) {
  const Params& p = r.params;
  std::optional<bool> is_mutable = p.flag("mutable");
  if (!is_mutable.has_value() && (p.number("seq").has_value() || p.flag("latest").has_value())) is_mutable = true;
  Key32 key = *p.key("key");
  if (!is_mutable.value_or(false)) r.flows.push_back(t.dht.GetImmutable(turn, key, news));
  if (is_mutable.value_or(true)) {
    r.flows.push_back(t.dht.GetMutable(turn, key, p.number("seq").value_or(0), p.flag("latest").value_or(true), news));
  }
  return std::nullopt;
}

void Ops::OnEnded(Turn& turn, OpTarget t, Map::iterator it, FlowEnded& end) {
  Running& r = it->second;
  r.flows.erase(std::find(r.flows.begin(), r.flows.end(), end.flow));
  if (end.outcome == Outcome::kOk) {
    for (hyperdht::FlowId other : r.flows) t.dht.Cancel(turn, other);
    return Succeed(turn, it, Result(r, end));
  }
  // That nodes answered and had nothing says more than that others were silent.
  if (!r.failed.has_value() || end.outcome == Outcome::kNotFound) r.failed = std::move(end);
  if (!r.flows.empty()) return;
  OpError error = ErrorOf(*r.failed);
  Fail(turn, it, error);
}

std::string Ops::Result(const Running& r, const FlowEnded& end) const {
  JsonWriter w;
  switch (end.kind) {
    case FlowKind::kLookup:
      w.Key("topic").Hex(end.target).Key("peers").Raw(r.peers.text() + "]").Key("nodes").Uint(end.replies);
      w.Key("hops").Uint(end.hops).Key("requests").Uint(end.requests);
      break;
    case FlowKind::kFindPeer:
      w.Key("key").Hex(*r.params.key("key")).Key("found").Bool(true).Key("nodes").Open('[');
      for (size_t i = 0; i < std::min(end.holders.size(), kListMax); ++i) w.Text(end.holders[i].ToString());
      w.Close(']').Key("hops").Uint(end.hops).Key("requests").Uint(end.requests);
      break;
    case FlowKind::kFindNode:
      w.Key("target").Hex(end.target).Key("nodes").Open('[');
      for (const dht::ClosestReply& c : end.closest) WriteContact(w, c.from, c.id);
      w.Close(']').Key("hops").Uint(end.hops).Key("requests").Uint(end.requests);
      break;
    case FlowKind::kAnnounce:
    case FlowKind::kUnannounce:
      w.Key("topic").Hex(end.target).Key("key").Hex(end.key).Key("nodes").Uint(end.done);
      break;
    case FlowKind::kPutImmutable:
    case FlowKind::kPutMutable:
      w.Key("key").Hex(end.key).Key("sha256").Hex(crypto::Sha256(AsBytes(end.value))).Key("seq");
      if (end.kind == FlowKind::kPutMutable) w.Uint(end.seq); else w.Null();
      w.Key("nodes").Uint(end.done).Key("bytes").Uint(end.value.size());
      break;
    case FlowKind::kGetImmutable:
    case FlowKind::kGetMutable: {
      bool text = IsPrintableUtf8(AsBytes(end.value));
      w.Key("key").Hex(*r.params.key("key")).Key("value").Text(text ? end.value : ToHex(AsBytes(end.value)));
      w.Key("encoding").Text(text ? "utf8" : "hex").Key("sha256").Hex(crypto::Sha256(AsBytes(end.value))).Key("seq");
      if (end.kind == FlowKind::kGetMutable) w.Uint(end.seq); else w.Null();
      w.Key("bytes").Uint(end.value.size()).Key("from").Text(end.from.ToString());
      break;
    }
    case FlowKind::kPing:
      w.Key("address").Text(end.from.ToString()).Key("id");
      if (end.node_id.has_value()) w.Hex(*end.node_id); else w.Null();  // An ephemeral node has none.
      w.Key("rtt_ms").Raw(Millis(end.rtt)).Key("to").Text(end.seen_as.ToString());
      break;
  }
  return w.text();
}

namespace {

// What a search cost that did not find or do what was asked; `nodes` has the type that it has in a success.
std::string Figures(const FlowEnded& end) {
  if (end.kind == FlowKind::kPing || end.requests == 0) return "";
  const bool lists = end.kind == FlowKind::kFindPeer || end.kind == FlowKind::kFindNode;
  const bool writes = end.kind == FlowKind::kAnnounce || end.kind == FlowKind::kUnannounce ||
                      end.kind == FlowKind::kPutImmutable || end.kind == FlowKind::kPutMutable;
  JsonWriter w;
  w.Key("nodes").Raw(lists ? "[]" : std::to_string(writes ? end.done : end.replies));
  return w.Key("hops").Uint(end.hops).Key("requests").Uint(end.requests).text();
}

OpError Why(const FlowEnded& end) {
  std::string answered = std::to_string(end.replies) + (end.replies == 1 ? " node answered" : " nodes answered");
  switch (end.outcome) {
    case Outcome::kOk: break;
    case Outcome::kNotFound: return {.code = "NOT_FOUND", .message = "not found: " + answered};
    case Outcome::kTimeout: {
      std::string_view step = hyperdht::StepName(end.waited_in);
      return {.code = "TIMEOUT", .message = "nobody answered in step \"" + std::string(step) + "\"", .step = step};
    }
    case Outcome::kTooFew: return {.code = "TOO_FEW_NODES", .message = "no node to write to: " + answered + ", none of them persistent"};
    case Outcome::kOffline: return {.code = "OFFLINE", .message = "this node knows nobody to ask"};
    case Outcome::kSeqReused:
      return {.code = "SEQ_REUSED", .message = "a record of seq " + std::to_string(end.seq) + " with another value exists"};
    case Outcome::kSeqTooLow:
      return {.code = "SEQ_TOO_LOW", .message = "a record newer than seq " + std::to_string(end.seq) + " exists"};
    case Outcome::kOverload: return {.code = "OVERLOAD", .message = "too much is running already"};
  }
  CHECK(false);
  return {};
}

}  // namespace

OpError ErrorOf(const FlowEnded& end) {
  OpError error = Why(end);
  error.figures = Figures(end);
  return error;
}

std::string InfoFields(const Turn& turn, OpTarget t) {
  const dht::Rpc& rpc = t.dht.rpc();
  JsonWriter w;
  w.Key("version").Text(kVersion).Key("key").Hex(t.key.public_key).Key("id");
  if (std::optional<Key32> id = rpc.id()) w.Hex(*id); else w.Null();
  w.Key("address");
  if (std::optional<uint32_t> host = rpc.public_host()) w.Text(Ipv4Address{*host, rpc.public_port()}.ToString()); else w.Null();
  w.Key("firewalled").Bool(rpc.firewalled()).Key("ephemeral").Bool(rpc.ephemeral()).Key("nodes").Uint(rpc.nodes());
  w.Key("uptime_ms").Uint(uint64_t(ToMillis(turn.now - t.started))).Key("profile").Text(ProfileName(t.config.profile));
  return w.text();
}

std::string NodesFields(OpTarget t) {
  JsonWriter w;
  w.Key("nodes").Open('[');
  for (const dht::Contact& c : t.dht.rpc().Nodes(Ops::kListMax)) WriteContact(w, c.address, c.id);
  w.Close(']').Key("count").Uint(t.dht.rpc().nodes());
  return w.text();
}

}  // namespace orchard::sidecar
