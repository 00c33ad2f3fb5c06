// The kernel of Extism plug-ins (extism.org, "Plug-in System"; module extism:host/env): input, output and variables lie in a memory
// of the host's, which the guest reads and writes by calls. HTTP is refused, and there is no configuration.
#include <cstring>
#include <string>

#include "node/wasm/host_calls.h"

namespace orchard::wasm {
namespace {

using Reply = Imports::Reply;

constexpr uint64_t kCall = 16;

Reply Worn(HostCalls& host) { return host.Trap("its fuel is used up"); }

template <typename T>
Reply Load(HostCalls& h, uint64_t at) {
  T x{};
  if (at <= h.kernel.size() && sizeof x <= h.kernel.size() - at) std::memcpy(&x, h.kernel.data() + at, sizeof x);
  return {.value = uint64_t(x)};
}
template <typename T>
Reply StoreAt(HostCalls& h, const uint64_t* a, Memory) {
  const T x = T(a[1]);
  if (a[0] <= h.kernel.size() && sizeof x <= h.kernel.size() - a[0]) std::memcpy(h.kernel.data() + a[0], &x, sizeof x);
  return {};
}
template <typename T>
Reply LoadInput(HostCalls& h, const uint64_t* a, Memory) {
  if (a[0] > h.plugin_input_bytes || sizeof(T) > h.plugin_input_bytes - a[0]) return {};
  return Load<T>(h, h.plugin_input + a[0]);
}

Reply Alloc(HostCalls& h, const uint64_t* a, Memory) {
  if (!h.Burn(kCall + a[0] / 16)) return Worn(h);
  return {.value = h.Allocate(a[0])};
}
Reply Length(HostCalls& h, const uint64_t* a, Memory) { return {.value = h.Block(a[0]).size()}; }

Reply OutputSet(HostCalls& h, const uint64_t* a, Memory) {
  if (a[0] > h.kernel.size() || a[1] > h.kernel.size() - a[0]) return h.Trap("output_set: out of bounds");
  if (!h.Burn(kCall + a[1] / 16)) return Worn(h);
  h.output.clear();
  if (!h.Write(std::string_view(h.kernel).substr(a[0], a[1]))) return h.Trap("an answer of more than 16 MiB");
  return {};
}

Reply VarGet(HostCalls& h, const uint64_t* a, Memory) {
  const auto it = h.variables.find(std::string(h.Block(a[0])));
  if (it == h.variables.end()) return {};
  if (!h.Burn(kCall + it->second.size() / 16)) return Worn(h);
  const uint64_t at = h.Allocate(it->second.size());
  if (at != 0) std::memcpy(h.kernel.data() + at, it->second.data(), it->second.size());
  return {.value = at};
}
Reply VarSet(HostCalls& h, const uint64_t* a, Memory) {
  const std::string name(h.Block(a[0]));
  if (const auto it = h.variables.find(name); it != h.variables.end()) {
    h.variables_bytes -= name.size() + it->second.size();
    h.variables.erase(it);
  }
  if (a[1] == 0) return {};  // That deletes it.
  const std::string value(h.Block(a[1]));
  if (!h.Burn(kCall + value.size() / 16)) return Worn(h);
  if (name.size() + value.size() > HostCalls::kVariablesBytesMax - h.variables_bytes) return h.Trap("variables of more than 1 MiB");
  h.variables_bytes += name.size() + value.size();
  h.variables[name] = value;
  return {};
}

Reply LogLine(HostCalls& h, const uint64_t* a, Memory) {
  const std::string_view text = h.Block(a[0]);
  if (!h.Burn(kCall + text.size() / 16)) return Worn(h);
  h.Log(text), h.Log("\n");
  return {};
}
Reply Nothing(HostCalls&, const uint64_t*, Memory) { return {}; }

constexpr std::string_view kModule = "extism:host/env";
constexpr HostFunction kFunctions[] = {
    {kModule, "input_length", ":I", [](HostCalls& h, const uint64_t*, Memory) { return Reply{.value = h.plugin_input_bytes}; }},
    {kModule, "input_offset", ":I", [](HostCalls& h, const uint64_t*, Memory) { return Reply{.value = h.plugin_input}; }},
    {kModule, "input_load_u8", "I:i", LoadInput<uint8_t>},
    {kModule, "input_load_u64", "I:I", LoadInput<uint64_t>},
    {kModule, "load_u8", "I:i", [](HostCalls& h, const uint64_t* a, Memory) { return Load<uint8_t>(h, a[0]); }},
    {kModule, "load_u64", "I:I", [](HostCalls& h, const uint64_t* a, Memory) { return Load<uint64_t>(h, a[0]); }},
    {kModule, "store_u8", "Ii:", StoreAt<uint8_t>},
    {kModule, "store_u64", "II:", StoreAt<uint64_t>},
    {kModule, "alloc", "I:I", Alloc},
    {kModule, "free", "I:", Nothing},  // All of it goes when the run ends.
    {kModule, "length", "I:I", Length},
    {kModule, "length_unsafe", "I:I", Length},
    {kModule, "output_set", "II:", OutputSet},
    {kModule, "error_set", "I:", [](HostCalls& h, const uint64_t* a, Memory) { h.error = h.Block(a[0]).substr(0, 200); return Reply{}; }},
    {kModule, "config_get", "I:I", Nothing},
    {kModule, "var_get", "I:I", VarGet},
    {kModule, "var_set", "II:", VarSet},
    {kModule, "http_request", "II:I", [](HostCalls& h, const uint64_t*, Memory) { return h.Trap("http_request: a cage reaches nobody"); }},
    {kModule, "http_status_code", ":i", Nothing},
    {kModule, "http_headers", ":I", Nothing},
    {kModule, "log_trace", "I:", LogLine},
    {kModule, "log_debug", "I:", LogLine},
    {kModule, "log_info", "I:", LogLine},
    {kModule, "log_warn", "I:", LogLine},
    {kModule, "log_error", "I:", LogLine},
    {kModule, "get_log_level", ":i", Nothing}};

}  // namespace

absl::Span<const HostFunction> ExtismFunctions() { return kFunctions; }

}  // namespace orchard::wasm
