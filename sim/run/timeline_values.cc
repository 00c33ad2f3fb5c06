#include "sim/run/timeline_values.h"

#include <algorithm>

#include "node/base/rng.h"
#include "node/sidecar/operations.h"
#include "sim/language/grammar.h"
#include "sim/language/identity.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

void Replace(std::string& text, std::string_view what, const std::string& by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

bool TakesAddress(const Entry& e, std::string_view param) {
  const sidecar::Operation* op = sidecar::FindOperation(e.action);
  if (op == nullptr) return false;
  return std::any_of(op->params.begin(), op->params.end(), [&](const sidecar::Param& p) {
    return p.name == param && p.type == sidecar::ParamType::kAddress;
  });
}

}  // namespace

std::vector<std::string> ValueFiller::Needs(const Json& value) {
  std::vector<std::string> out;
  if (value.is_text() && value.text.starts_with("$")) {
    std::optional<Reference> r = ParseReference(value.text);
    if (r && r->kind == Reference::Kind::kResult) out.push_back(r->name);
  }
  for (const Json& item : value.items) {
    for (std::string& n : Needs(item)) out.push_back(std::move(n));
  }
  return out;
}

std::optional<Json> ValueFiller::Fill(const Entry& entry, HostIndex self, uint64_t n, std::string& error) const {
  if (!entry.with.is_object()) return Json::Object();
  Json out = Json::Object();
  for (size_t i = 0; i < entry.with.keys.size(); ++i) {
    const std::string& key = entry.with.keys[i].text;
    std::optional<Json> v = Value(entry.with.items[i], key, entry, self, n, error);
    if (!v) return std::nullopt;
    out.At(key) = *std::move(v);
  }
  return out;
}

std::vector<uint32_t> ValueFiller::Named(std::string_view host) const {
  std::vector<uint32_t> out;
  for (uint32_t h = 0; h < plan_.world.hosts.size(); ++h) {
    const HostPlan& p = plan_.world.hosts[h];
    if (p.id == host || p.group == host) out.push_back(h);
  }
  auto picked = plan_.picked.find(std::string(host));
  return out.empty() && picked != plan_.picked.end() ? picked->second : out;
}

std::optional<Json> ValueFiller::Referred(const Reference& r, bool as_address, HostIndex self, std::string& error) const {
  if (r.kind == Reference::Kind::kResult) {
    std::optional<uint32_t> whose = self;
    if (!r.host.empty()) {
      std::vector<uint32_t> named = Named(r.host);
      if (named.size() == 1) whose = named[0];
    }
    std::optional<std::string> text = results_.Field(r.name, whose, r.field);
    if (!text) error = Cat("$", r.name, ".", r.field, " has no value: ", r.name, " did not succeed");
    return text ? std::optional(Json::Text(*text)) : std::nullopt;
  }
  std::vector<Json> all;
  for (uint32_t h : Named(r.name)) {
    if (as_address) {
      all.push_back(Json::Text(stage_.public_address(h).with_port(kDhtPort).ToString()));
    } else if (r.kind == Reference::Kind::kHostIp) {
      all.push_back(Json::Text(stage_.public_address(h).host()));
    } else {
      all.push_back(Json::Text(HostKeyHex(seed_, plan_.world.hosts[h])));
    }
  }
  if (all.empty()) {
    error = Cat("no host is called \"", r.name, "\"");
    return std::nullopt;
  }
  if (all.size() == 1) return all[0];
  Json list;
  list.kind = Json::Kind::kArray, list.items = std::move(all);
  return list;
}

std::optional<Json> ValueFiller::Value(const Json& value, std::string_view param, const Entry& e, HostIndex self, uint64_t n,
                                       std::string& error) const {
  if (value.is_object() && value.keys.size() == 1 && value.keys[0].text == "any" && value.items[0].is_text()) {
    std::vector<uint32_t> named = Named(value.items[0].text);
    std::erase(named, self);
    if (named.empty()) {
      error = Cat("nobody but the caller is called \"", value.items[0].text, "\"");
      return std::nullopt;
    }
    Rng rng = Rng::Named(seed_, plan_.world.hosts[self].id, Cat("any ", e.path, " ", n, " ", param));
    const HostPlan& chosen = plan_.world.hosts[named[rng.Below(named.size())]];
    Reference r{.kind = Reference::Kind::kHostKey, .name = chosen.id};
    return Referred(r, TakesAddress(e, param), self, error);
  }
  if (value.is_text()) {
    if (value.text.starts_with("@") || value.text.starts_with("$")) {
      if (std::optional<Reference> r = ParseReference(value.text)) return Referred(*r, TakesAddress(e, param), self, error);
    }
    if (TakesAddress(e, param) && !Named(value.text).empty()) {
      return Referred({.kind = Reference::Kind::kHostKey, .name = value.text}, true, self, error);
    }
    Json out = value;
    Replace(out.text, "{n}", std::to_string(n));
    Replace(out.text, "{now}", TimeText(stage_.now().time_since_epoch()));
    return out;
  }
  Json out = value;
  for (Json& item : out.items) {
    std::optional<Json> v = Value(item, param, e, self, n, error);
    if (!v) return std::nullopt;
    item = *std::move(v);
  }
  return out;
}

}  // namespace orchard::sim
