#include "sim/language/client_operations.h"

namespace orchard::sim {
namespace {

using sidecar::Param;
using sidecar::ParamType;

constexpr Param kHttpDrip[] = {
    {.name = "url", .type = ParamType::kText, .required = true, .positional = true, .says = "http://HOST/PATH; the ids of hosts are names"},
    {.name = "host", .type = ParamType::kText, .says = "what the header Host says; default the URL's"},
    {.name = "every", .type = ParamType::kText, .says = "between the bytes of the request's head, such as 500ms; default 1s"},
    {.name = "most", .type = ParamType::kText, .says = "how long it holds on if the server lets it; default 60s"}};

constexpr Param kHttpGet[] = {
    {.name = "url", .type = ParamType::kText, .required = true, .positional = true, .says = "http://HOST/PATH; the ids of hosts are names"},
    {.name = "or", .type = ParamType::kText, .says = "another URL, asked once if no answer began at the first"},
    {.name = "patience", .type = ParamType::kText, .says = "how long it waits for a connection, then for an answer to begin, and between its bytes, such as 500ms; default 10s, 30s and 30s"},
    {.name = "host", .type = ParamType::kText, .says = "what the header Host says; default the URL's"},
    {.name = "range", .type = ParamType::kText, .says = "of bytes: 0-99, 100-, -50; without it the whole"},
    {.name = "proxy", .type = ParamType::kText, .says = "pod for that of this host's node (127.0.0.1:3128), or IP:PORT; without it none"}};

constexpr sidecar::Operation kOperations[] = {
    {.name = "http.drip", .says = "Ask a web server a byte at a time, without end, until it closes the connection; any host can.", .params = kHttpDrip, .result = "url status bytes ms", .example = {}},
    {.name = "http.get", .says = "Fetch a URL, as curl does, and forget it; any host can.", .params = kHttpGet,
     .result = "url status bytes sha256 ms first_byte_ms gap_ms mbps", .example = {}},
};

}  // namespace

absl::Span<const sidecar::Operation> ClientOperations() { return kOperations; }

const sidecar::Operation* FindClientOperation(std::string_view name) {
  for (const sidecar::Operation& o : kOperations) {
    if (o.name == name) return &o;
  }
  return nullptr;
}

std::vector<const sidecar::Operation*> Actions() {
  std::vector<const sidecar::Operation*> out;
  for (const sidecar::Operation& o : sidecar::Operations()) out.push_back(&o);
  for (const sidecar::Operation& o : kOperations) out.push_back(&o);
  return out;
}

const sidecar::Operation* FindAction(std::string_view name) {
  const sidecar::Operation* node = sidecar::FindOperation(name);
  return node != nullptr ? node : FindClientOperation(name);
}

}  // namespace orchard::sim
