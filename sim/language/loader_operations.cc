// Operations of the timeline: their parameters against the one table, and the references inside them.

#include <algorithm>

#include "node/base/bytes.h"
#include "node/base/endpoint.h"
#include "node/sidecar/operations.h"
#include "node/sidecar/params.h"
#include "sim/language/client_operations.h"
#include "sim/language/loader_context.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

// Where a person reads more of it.
std::string HelpOf(const sidecar::Operation& o) {
  if (FindClientOperation(o.name) != nullptr) return "docs/SCENARIOS.md";
  std::string out(o.name);
  std::replace(out.begin(), out.end(), '.', ' ');
  return Cat("orchard ", out, " --help");
}

// {"any": "peer"}
bool CheckAny(Context& c, const Json& at, const std::string& path) {
  const Json* any = at.keys.size() == 1 ? at.Find("any") : nullptr;
  if (any == nullptr) return c.WrongKind(at, path, "a value, or {\"any\": \"GROUP\"}"), false;
  return c.Term(*any, Cat(path, ".any"), Context::Targets::kHosts).has_value();
}

bool HasVariable(std::string_view text) { return text.find("{n}") != text.npos || text.find("{now}") != text.npos; }

void CheckParam(Context& c, const Json& at, const std::string& path, const sidecar::Param& p) {
  using sidecar::ParamType;
  if (at.is_object()) {
    if (p.type == ParamType::kKey || p.type == ParamType::kAddress || p.type == ParamType::kTopic || p.type == ParamType::kText) {
      CheckAny(c, at, path);
    } else {
      c.WrongKind(at, path, p.says);
    }
    return;
  }
  if (at.is_text() && ParseReference(at.text)) {
    CheckReference(c, at, path);
    return;
  }
  switch (p.type) {
    case ParamType::kBool: c.Bool(at, path); return;
    case ParamType::kUint:
      if (at.is_text() && HasVariable(at.text)) return;
      c.Count(at, path, 0, uint64_t{1} << 53);  // What every JSON reader keeps exactly.
      return;
    case ParamType::kBytes:
      if (!at.is_text()) c.Count(at, path, 0, uint64_t{1} << 53);
      else if (!sidecar::ParseBytes(at.text)) c.WrongKind(at, path, "a count of bytes such as 65536 or \"64KiB\"");
      return;
    case ParamType::kChoice: c.Choice(at, path, p.choices); return;
    case ParamType::kText:
    case ParamType::kTopic: c.Text(at, path); return;
    case ParamType::kKey: {
      std::optional<std::string> t = c.Text(at, path);
      const bool hex = t && t->size() == 64 && FromHex(*t);
      if (t && !hex && t->size() != 52 && !HasVariable(*t)) {
        c.Fail(at, path, Cat("found ", Quoted(*t)), "a key is 64 hex digits, 52 of z-base-32, or a reference such as \"@bob\" or \"$note.key\"");
      }
      return;
    }
    case ParamType::kAddress: {
      std::optional<std::string> t = c.Text(at, path);
      if (!t || Endpoint::Parse(*t)) return;
      // A host's id, with or without a port.
      Json id = at;
      id.text = t->substr(0, t->find(':'));
      c.Term(id, path, Context::Targets::kHosts);
      return;
    }
  }
}

}  // namespace

bool CheckReference(Context& c, const Json& at, const std::string& path) {
  std::optional<Reference> r = ParseReference(at.text);
  if (!r) {
    c.Fail(at, path, Cat("found ", Quoted(at.text)), "a reference is \"@host\", \"@host.ip\", \"$entry.field\" or \"$entry[host].field\"");
    return false;
  }
  if (r->kind != Reference::Kind::kResult) {
    Json id = at;
    id.text = r->name;
    const size_t before = c.errors.size();
    c.Term(id, path, Context::Targets::kHosts);
    return c.errors.size() == before;
  }
  auto it = c.names.entries.find(r->name);
  if (it == c.names.entries.end()) {
    c.Fail(at, path, Cat("no entry is called ", Quoted(r->name), " (\"as\")"),
           c.Suggest(r->name, c.names.EntryWords(), "a result is named by the \"as\" of its operation"));
    return false;
  }
  const sidecar::Operation* operation = FindAction(it->second.operation);
  if (operation == nullptr) {
    c.Fail(at, path, Cat(Quoted(r->name), " has no result"), "only operations have one");
    return false;
  }
  const std::vector<std::string> fields = Choices(operation->result);
  if (std::find(fields.begin(), fields.end(), r->field) == fields.end()) {
    std::string near = Nearest(r->field, fields);
    c.Fail(at, path, Cat("the result of ", operation->name, " has no ", Quoted(r->field)), Cat("it has ", ListText(fields, 12)),
           near.empty() ? "" : Cat("did you mean ", Quoted(near), "?"));
    return false;
  }
  if (r->host.empty()) return true;
  if (c.names.hosts.contains(r->host) || c.names.IsMember(r->host, nullptr)) return true;
  c.Fail(at, path, Cat("no host is called ", Quoted(r->host)), c.Suggest(r->host, c.names.HostWords(), "hosts are named by id"));
  return false;
}

void ReadOperation(Context& c, Entry& entry, const Json* with, Place place, const std::string& path) {
  const sidecar::Operation* operation = FindAction(entry.action);
  if (operation == nullptr) return;
  entry.standing = operation->standing;
  std::vector<std::string> words;
  for (const sidecar::Param& p : operation->params) words.emplace_back(p.name);
  if (with != nullptr) {
    if (!with->is_object()) return c.WrongKind(*with, Cat(path, ".with"), "an object of parameters");
    for (size_t i = 0; i < with->keys.size(); ++i) {
      const Key& key = with->keys[i];
      const std::string inner = Cat(path, ".with.", key.text);
      auto p = std::find_if(operation->params.begin(), operation->params.end(), [&](const sidecar::Param& q) { return q.name == key.text; });
      if (p != operation->params.end()) {
        CheckParam(c, with->items[i], inner, *p);
        continue;
      }
      std::string near = Nearest(key.text, words);
      c.Fail(key.place, uint32_t(Width(key.text)) + 2, inner,
             Cat("\"", operation->name, "\" takes ", words.empty() ? "nothing" : ListText(words, 12)),
             Cat("found ", Quoted(key.text), near.empty() ? "" : Cat(". Did you mean ", Quoted(near), "?"), "  (", HelpOf(*operation), ")"));
    }
  }
  if (FindClientOperation(operation->name) != nullptr && with != nullptr) CheckClientWords(c, *with, Cat(path, ".with"));
  for (const sidecar::Param& p : operation->params) {
    if (p.required && (with == nullptr || with->Find(p.name) == nullptr)) {
      c.Fail(with != nullptr ? with->place : place, 1, Cat(path, ".with"), Cat("\"", operation->name, "\" needs ", p.name), std::string(p.says));
    }
  }
}

}  // namespace orchard::sim
