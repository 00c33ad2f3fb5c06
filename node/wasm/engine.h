// What runs metered modules: V8 where it is installed, libwabt's interpreter everywhere. Both give the same answers and burn the same
// fuel. An engine and all that comes from it belongs to one thread. It knows no clock: who wants a run to end by time calls Stop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "node/base/bytes.h"
#include "node/wasm/module_info.h"

namespace orchard::wasm {

using Memory = absl::Span<uint8_t>;

// What a guest's imports call.
class Imports {
 public:
  struct Reply {
    uint64_t value = 0;   // Bits of the result, if the import has one.
    bool trap = false;    // End the call; the guest gets no chance to go on.
  };
  virtual ~Imports() = default;
  // `import`: its index in ModuleInfo::imports. `args`: the arguments' bits, an i32 without sign. `memory` may be written to until the
  // call ends.
  virtual Reply Call(size_t import, const uint64_t* args, Memory memory) = 0;
};

enum class End : uint8_t {
  kReturned,
  kTrapped,  // `detail` says why, in the same words for every engine.
  kStopped,  // By Stop.
};
struct Outcome {
  End end = End::kReturned;
  uint64_t value = 0;  // Bits of the result.
  std::string detail;
};

class Instance {
 public:
  virtual ~Instance() = default;
  // Of an exported function; nothing if there is none.
  virtual std::optional<uint32_t> Find(std::string_view name) = 0;
  // `args`: as many as its type has. After a trap only kState and kRefused may be called: the guest's own stack is left as it was.
  virtual Outcome Call(uint32_t function, absl::Span<const uint64_t> args) = 0;
  // Of "memory"; until the next call. Empty if it exports none.
  virtual Memory memory() = 0;
};

class Module {
 public:
  virtual ~Module() = default;
  // `imports` must outlive the instance. The start function is not run: kStart is. kInvalidArgument: its segments do not fit.
  virtual absl::StatusOr<std::unique_ptr<Instance>> Instantiate(Imports& imports) = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view name() const = 0;
  // Of bytes that came from the meter. The module lives no longer than the engine, its instances no longer than the module.
  virtual absl::StatusOr<std::unique_ptr<Module>> Compile(Bytes metered, const ModuleInfo& info) = 0;
  // Ends the call that is under way, if one is; from any thread. Resume must follow before the next.
  virtual void Stop() = 0;
  virtual void Resume() = 0;
};

std::unique_ptr<Engine> MakeInterpreter();
// Null if this program was built without V8. One process at most may have had one in each of its threads.
std::unique_ptr<Engine> MakeV8();
// V8 if there is one.
std::unique_ptr<Engine> MakeEngine();

// The words for an engine's own message about a trap.
std::string TrapWords(std::string_view message);

}  // namespace orchard::wasm
