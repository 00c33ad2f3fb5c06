// One cage: a module, its limits, and how it is spoken to. It outlives nothing that goes wrong: after any cause of death it must be
// dropped.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "node/cage/job.h"
#include "node/wasm/engine.h"
#include "node/wasm/host_calls.h"

namespace orchard::wasm {

// How the module is spoken to, by its exports; and whether all that it imports is there. kInvalidArgument says what is missing.
absl::StatusOr<cage::Abi> AbiOf(const ModuleInfo& info);

// A module that was loaded; several cages share it.
struct Loaded {
  ModuleInfo info;
  cage::Abi abi = cage::Abi::kReactor;
  Links links;
  std::unique_ptr<Module> module;
};
absl::StatusOr<std::unique_ptr<Loaded>> LoadMetered(Engine& engine, Bytes metered, ModuleInfo info);

class Cage {
 public:
  // Makes the instance and runs what a module does at its start, with the fuel of one run, if it is one that is kept warm. `loaded` and
  // `files` must outlive the cage. The status says why there is none.
  static absl::StatusOr<std::unique_ptr<Cage>> Make(Loaded& loaded, const cage::Limits& limits, const FileTree* files = nullptr);

  cage::RunResult Run(const cage::RunArgs& args);
  uint64_t memory_bytes() const { return memory_bytes_; }
  const FileTree* files() const { return host_.files; }

 private:
  Cage(Loaded& loaded, const cage::Limits& limits, const FileTree* files);
  // Why not, if not.
  std::optional<cage::RunResult> Instantiate();
  // Burnt since SetFuel by the guest itself.
  uint64_t Burnt();
  void SetFuel();
  // What to say of a call that did not return, or gave no answer.
  cage::RunResult Dead(const Outcome& outcome);
  cage::RunResult Alive();
  cage::RunResult RunReactor(const cage::RunArgs& args);
  cage::RunResult RunCommand(const cage::RunArgs& args);
  cage::RunResult RunPlugin(const cage::RunArgs& args);

  Loaded& loaded_;
  const uint64_t fuel_max_, pages_max_;
  HostCalls host_;
  std::unique_ptr<Instance> instance_;
  uint32_t set_ = 0, state_ = 0, refused_ = 0;
  std::optional<uint32_t> alloc_, handle_, reset_;
  uint64_t buffer_ = 0, buffer_bytes_ = 0;  // In a reactor's memory, for requests.
  uint64_t memory_bytes_ = 0;
};

}  // namespace orchard::wasm
