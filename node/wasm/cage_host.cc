#include "node/wasm/cage_host.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/status_macros.h"
#include "node/crypto/hash.h"
#include "node/wasm/meter.h"
#include "node/wasm/scan.h"

namespace orchard::wasm {
namespace {

constexpr std::string_view kExample = "example:";

}  // namespace

absl::StatusOr<cage::LoadResult> CageHost::Load(const cage::LoadArgs& args) {
  if (!args.directory.empty()) return absl::InvalidArgumentError(absl::StrCat("files: ", args.directory, " is a directory, which only a daemon reads; here they are texts by name"));
  std::string_view bytes = args.bytes;
  if (bytes.empty()) {
    if (std::string_view(args.name).substr(0, kExample.size()) == kExample) {
      const auto example = ExampleModule(std::string_view(args.name).substr(kExample.size()));
      if (!example.has_value()) return absl::NotFoundError(absl::StrCat("there is no ", args.name));
      bytes = *example;
    } else {
      const auto hash = FromHex(args.name);
      Key32 key{};
      if (!hash.has_value() || hash->size() != key.size()) return absl::NotFoundError("a module without bytes");
      std::copy(hash->begin(), hash->end(), key.begin());
      if (!modules_.contains(key)) return absl::NotFoundError(absl::StrCat("no module ", args.name, " was kept"));
      return WithFiles(key, args, 0);
    }
  }
  if (bytes.size() > cage::kModuleBytesMax) return absl::InvalidArgumentError(absl::StrCat(bytes.size(), " bytes; a module has at most ", cage::kModuleBytesMax));
  const Key32 module = crypto::Blake2b256(AsBytes(bytes));
  if (!modules_.contains(module)) {
    ASSIGN_OR_RETURN(Metered metered, Meter(AsBytes(bytes)));
    RETURN_IF_ERROR(Add(module, std::move(metered.bytes), std::move(metered.info)));
  }
  return WithFiles(module, args, bytes.size());
}

absl::StatusOr<cage::LoadResult> CageHost::WithFiles(const Key32& module, const cage::LoadArgs& args, size_t bytes) {
  ASSIGN_OR_RETURN(cage::LoadResult result, Describe(module, args.limits));
  result.bytes = bytes;
  if (args.files.empty()) return result;
  result.files = crypto::Blake2b256(AsBytes(args.files));
  RETURN_IF_ERROR(KeepFiles(result.files, args.files));
  return result;
}

absl::Status CageHost::KeepFiles(const Key32& hash, std::string_view encoded) {
  if (files_.contains(hash)) return absl::OkStatus();
  if (files_.size() >= kFilesMax) return absl::ResourceExhaustedError(absl::StrCat("there are the files of ", kFilesMax, " sites already"));
  ASSIGN_OR_RETURN(cage::FileMap files, cage::DecodeFiles(AsBytes(encoded)));
  files_.emplace(hash, std::make_unique<FileTree>(std::move(files)));
  return absl::OkStatus();
}

bool CageHost::ForgetFiles(const Key32& hash) {
  const auto it = files_.find(hash);
  if (it == files_.end()) return false;
  for (const auto& [id, cage] : cages_) {
    if (cage->files() == it->second.get()) return false;
  }
  files_.erase(it);
  return true;
}

absl::Status CageHost::Add(const Key32& module, std::string metered, ModuleInfo info) {
  if (modules_.size() >= kModulesMax) return absl::ResourceExhaustedError(absl::StrCat("there are ", kModulesMax, " modules already"));
  Kept kept;
  ASSIGN_OR_RETURN(kept.loaded, LoadMetered(*engine_, AsBytes(metered), std::move(info)));
  kept.metered = std::move(metered);
  modules_.emplace(module, std::move(kept));
  return absl::OkStatus();
}

absl::StatusOr<cage::LoadResult> CageHost::Describe(const Key32& module, const cage::Limits& limits) const {
  const Kept& kept = modules_.at(module);
  const uint64_t declared = kept.loaded->info.memory_pages * kPageBytes;
  if (declared > limits.memory_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("declares a memory of ", declared, " bytes; its cages have ", limits.memory_bytes));
  }
  return cage::LoadResult{.module = module, .abi = kept.loaded->abi, .bytes = 0, .metered_bytes = kept.metered.size()};
}

const std::string* CageHost::metered(const Key32& module) const {
  const auto it = modules_.find(module);
  return it == modules_.end() ? nullptr : &it->second.metered;
}

absl::StatusOr<cage::LoadResult> CageHost::Keep(const Key32& module, std::string metered, const cage::Limits& limits) {
  if (!modules_.contains(module)) {
    ASSIGN_OR_RETURN(ModuleInfo info, Scan(AsBytes(metered)));
    for (std::string_view name : {kSet, kState, kRefused}) {
      if (!info.functions.contains(name)) return absl::InvalidArgumentError("it was not metered");
    }
    RETURN_IF_ERROR(Add(module, std::move(metered), std::move(info)));
  }
  return Describe(module, limits);
}

absl::Status CageHost::Spawn(const cage::SpawnArgs& args) {
  const auto it = modules_.find(args.module);
  if (it == modules_.end()) return absl::NotFoundError("its module was not loaded");
  if (cages_.contains(args.cage)) return absl::AlreadyExistsError(absl::StrCat("there is a cage ", args.cage, " already"));
  if (cages_.size() >= kCagesMax) return absl::ResourceExhaustedError(absl::StrCat("there are ", kCagesMax, " cages already"));
  const FileTree* files = nullptr;
  if (args.files != Key32{}) {
    const auto kept = files_.find(args.files);
    if (kept == files_.end()) return absl::NotFoundError("its files were not loaded");
    files = kept->second.get();
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Cage> cage, Cage::Make(*it->second.loaded, args.limits, files));
  cages_.emplace(args.cage, std::move(cage));
  return absl::OkStatus();
}

cage::RunResult CageHost::Run(const cage::RunArgs& args) {
  const auto it = cages_.find(args.cage);
  if (it == cages_.end()) return {.cause = cage::Cause::kEngine, .detail = absl::StrCat("there is no cage ", args.cage)};
  cage::RunResult result = it->second->Run(args);
  if (result.cause != cage::Cause::kNone) cages_.erase(it);
  return result;
}

}  // namespace orchard::wasm
