// What a guest may ask of the world: WASI preview 1, the kernel of Extism, and AssemblyScript's abort. Nothing of it reaches the
// machine: time and chance come with the request, files are a site's own and in memory, sockets are refused, output is kept and bounded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "node/base/rng.h"
#include "node/wasm/engine.h"

namespace orchard::wasm {

class FileTree;
class HostCalls;

struct HostFunction {
  std::string_view module, name, type;  // As Describe says it.
  Imports::Reply (*call)(HostCalls& host, const uint64_t* args, Memory memory);
};
absl::Span<const HostFunction> WasiFunctions();
absl::Span<const HostFunction> ExtismFunctions();

using Links = std::vector<const HostFunction*>;
// What each import is linked to. kInvalidArgument names the first that nobody has, or that has another type here.
absl::StatusOr<Links> Link(const ModuleInfo& info);

class HostCalls final : public Imports {
 public:
  // Of one run. Beyond them the guest is ended.
  static constexpr size_t kExtismBytesMax = 64 << 20, kVariablesBytesMax = 1 << 20;

  // Open at once, besides the standard streams.
  static constexpr size_t kDescriptorsMax = 256;

  // `links` and `files` must outlive it. Null: there are no files.
  explicit HostCalls(const Links& links, const FileTree* files = nullptr) : files(files), links_(links) {}

  // For another instance: of descriptors only that of "/" is open.
  void CloseAll();

  // Before each run.
  void Begin(uint64_t unix_us, const Key32& seed, uint64_t fuel_max);
  Reply Call(size_t import, const uint64_t* args, Memory memory) override { return links_[import]->call(*this, args, memory); }

  // ---- For the functions ----
  // Takes fuel for `units` of work done for the guest; false: it is used up, and the guest must be ended.
  bool Burn(uint64_t units) { return (fuel += units) <= fuel_max_; }
  Reply Trap(std::string why) {
    if (trap.empty()) trap = std::move(why);
    return {.trap = true};
  }
  uint64_t Clock();  // Nanoseconds of Unix time.
  void Random(absl::Span<uint8_t> out) { rng_.Fill(out); }
  // False: the answer is too long.
  bool Write(std::string_view bytes);
  void Log(std::string_view bytes);

  // ---- Of a command ----
  std::vector<std::string> args, environment;
  std::string_view input;  // What is left of it.
  bool exited = false;
  uint32_t exit_code = 0;

  // ---- Files ----
  const FileTree* const files;
  struct Descriptor {
    uint32_t node;
    uint64_t at;  // Where it is read next.
    bool operator==(const Descriptor&) const = default;
  };
  std::vector<std::optional<Descriptor>> descriptors;  // From 3 on; like all of an instance, they stay from run to run.

  // ---- Of a plug-in: addresses of its kernel's memory are no addresses of the guest ----
  std::string kernel;
  absl::btree_map<uint64_t, uint64_t> blocks;  // Address → bytes.
  uint64_t plugin_input = 0, plugin_input_bytes = 0;
  std::string error;
  absl::btree_map<std::string, std::string> variables;  // They stay.
  uint64_t variables_bytes = 0;
  uint64_t Allocate(uint64_t bytes);                      // 0: there is no room.
  std::string_view Block(uint64_t address) const;         // Empty if there is none.

  // ---- What came of it ----
  std::string output, log, trap;
  uint64_t fuel = 0;

 private:
  const Links& links_;
  Rng rng_{Key32{}};
  uint64_t unix_us_ = 0, ticks_ = 0, fuel_max_ = 0;
};

// Bounds are checked by all of these.
inline bool Fits(Memory m, uint64_t at, uint64_t bytes) { return at <= m.size() && bytes <= m.size() - at; }
bool Store32(Memory m, uint64_t at, uint32_t value);
bool Store64(Memory m, uint64_t at, uint64_t value);
bool Load32(Memory m, uint64_t at, uint32_t& value);

}  // namespace orchard::wasm
