#include "node/wasm/host_calls.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "node/cage/job.h"
#include "node/wasm/file_tree.h"

namespace orchard::wasm {
namespace {

// A string of AssemblyScript: UTF-16, its length in bytes before it (github.com/AssemblyScript, "Memory layout").
std::string Utf16At(Memory m, uint64_t at) {
  uint32_t bytes = 0;
  if (at < 4 || !Load32(m, at - 4, bytes) || !Fits(m, at, bytes)) return "?";
  std::string out;
  for (uint32_t i = 0; i + 1 < std::min<uint32_t>(bytes, 400); i += 2) {
    out += m[at + i + 1] == 0 && m[at + i] >= 0x20 && m[at + i] < 0x7f ? char(m[at + i]) : '?';
  }
  return out;
}

Imports::Reply Abort(HostCalls& host, const uint64_t* a, Memory m) {
  return host.Trap(absl::StrCat("abort: ", Utf16At(m, a[0]), " in ", Utf16At(m, a[1]), ":", a[2], ":", a[3]));
}
// Math.random() of AssemblyScript asks once for bits of a float.
Imports::Reply Seed(HostCalls& host, const uint64_t*, Memory) {
  uint64_t bits = 0;
  host.Random({reinterpret_cast<uint8_t*>(&bits), 8});
  return {.value = bits >> 2};  // No NaN, whose bits an engine may change.
}

constexpr HostFunction kAssemblyScript[] = {{"env", "abort", "iiii:", Abort}, {"env", "seed", ":F", Seed}};

}  // namespace

absl::StatusOr<Links> Link(const ModuleInfo& info) {
  Links links;
  for (const Import& i : info.imports) {
    const HostFunction* found = nullptr;
    for (absl::Span<const HostFunction> set : {WasiFunctions(), ExtismFunctions(), absl::Span<const HostFunction>(kAssemblyScript)}) {
      for (const HostFunction& f : set) {
        if (f.module == i.module && f.name == i.name) found = &f;
      }
    }
    if (found == nullptr) return absl::InvalidArgumentError(absl::StrCat("imports ", i.module, ".", i.name, ", which a cage has not"));
    if (found->type != Describe(i.type)) {
      return absl::InvalidArgumentError(absl::StrCat("imports ", i.module, ".", i.name, " as ", Describe(i.type), "; here it is ", std::string(found->type)));
    }
    links.push_back(found);
  }
  return links;
}

void HostCalls::Begin(uint64_t unix_us, const Key32& seed, uint64_t fuel_max) {
  unix_us_ = unix_us, ticks_ = 0, fuel_max_ = fuel_max, fuel = 0, rng_ = Rng(seed);
  input = {}, exited = false, exit_code = 0;
  output.clear(), log.clear(), trap.clear(), error.clear(), kernel.clear(), blocks.clear();
  plugin_input = plugin_input_bytes = 0;
}

void HostCalls::CloseAll() {
  descriptors.clear();
  if (files != nullptr) descriptors.push_back(Descriptor{FileTree::kRoot, 0});
}

// It moves on by a microsecond with each look, so that who waits for it to pass does not wait forever.
uint64_t HostCalls::Clock() { return unix_us_ * 1000 + 1000 * ticks_++; }

bool HostCalls::Write(std::string_view bytes) {
  if (bytes.size() > cage::kResponseBytesMax - output.size()) return false;
  output.append(bytes);
  return true;
}

void HostCalls::Log(std::string_view bytes) { log.append(bytes.substr(0, cage::kLogBytesMax - log.size())); }

uint64_t HostCalls::Allocate(uint64_t bytes) {
  if (kernel.empty()) kernel.resize(8);  // Address 0 means none.
  if (bytes > kExtismBytesMax - kernel.size()) return 0;
  const uint64_t at = kernel.size();
  kernel.resize(at + bytes);
  blocks[at] = bytes;
  return at;
}

std::string_view HostCalls::Block(uint64_t address) const {
  const auto it = blocks.find(address);
  if (it == blocks.end()) return {};
  return std::string_view(kernel).substr(it->first, it->second);
}

bool Store32(Memory m, uint64_t at, uint32_t value) {
  if (!Fits(m, at, 4)) return false;
  std::memcpy(m.data() + at, &value, 4);
  return true;
}
bool Store64(Memory m, uint64_t at, uint64_t value) {
  if (!Fits(m, at, 8)) return false;
  std::memcpy(m.data() + at, &value, 8);
  return true;
}
bool Load32(Memory m, uint64_t at, uint32_t& value) {
  if (!Fits(m, at, 4)) return false;
  std::memcpy(&value, m.data() + at, 4);
  return true;
}

}  // namespace orchard::wasm
