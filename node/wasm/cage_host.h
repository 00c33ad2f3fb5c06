// Cages in this process, by the shapes of node/cage/job.h: synchronous, without threads, clocks or files. The simulator has one for
// each host of a scenario, and a worker process of the daemon has one for itself.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "node/cage/runner.h"
#include "node/wasm/cage.h"
#include "node/wasm/engine.h"
#include "node/wasm/file_tree.h"

namespace orchard::wasm {

// The bytes of a guest that this program carries, by its name without "example:". Nothing if there is no such.
std::optional<std::string_view> ExampleModule(std::string_view name);
std::vector<std::string_view> ExampleNames();

class CageHost final : public cage::Runner {
 public:
  static constexpr size_t kModulesMax = 256, kCagesMax = 4096, kFilesMax = 256;

  explicit CageHost(std::unique_ptr<Engine> engine = MakeEngine()) : engine_(std::move(engine)) {}

  // kInvalidArgument, kNotFound, kResourceExhausted: the message is what the job's result says.
  absl::StatusOr<cage::LoadResult> Load(const cage::LoadArgs& args) override;
  // The bytes that Load or Keep took, as metered; to be kept somewhere. Null if there are none.
  const std::string* metered(const Key32& module) const;
  // A module that was metered before, by this version of the meter; LoadResult::bytes is not known.
  absl::StatusOr<cage::LoadResult> Keep(const Key32& module, std::string metered, const cage::Limits& limits);

  // Files as EncodeFiles writes them, under their hash. kInvalidArgument, kResourceExhausted.
  absl::Status KeepFiles(const Key32& hash, std::string_view encoded);
  // No cage will be made with them. False: there are none such, or a cage has them.
  bool ForgetFiles(const Key32& hash);

  absl::Status Spawn(const cage::SpawnArgs& args) override;
  cage::RunResult Run(const cage::RunArgs& args) override;
  void Stop(uint32_t cage) override { cages_.erase(cage); }
  bool alive(uint32_t cage) const { return cages_.contains(cage); }
  size_t cages() const { return cages_.size(); }
  Engine& engine() { return *engine_; }

 private:
  struct Kept {
    std::string metered;
    std::unique_ptr<Loaded> loaded;
  };
  // What Load says, once the module is there.
  absl::StatusOr<cage::LoadResult> WithFiles(const Key32& module, const cage::LoadArgs& args, size_t bytes);
  absl::Status Add(const Key32& module, std::string metered, ModuleInfo info);
  // Of one that is there.
  absl::StatusOr<cage::LoadResult> Describe(const Key32& module, const cage::Limits& limits) const;

  std::unique_ptr<Engine> engine_;
  absl::btree_map<Key32, Kept> modules_;
  absl::btree_map<Key32, std::unique_ptr<FileTree>> files_;
  absl::btree_map<uint32_t, std::unique_ptr<Cage>> cages_;
};

}  // namespace orchard::wasm
