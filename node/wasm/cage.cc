#include "node/wasm/cage.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/base/status_macros.h"
#include "node/wasm/cgi.h"
#include "node/wasm/meter.h"

namespace orchard::wasm {
namespace {

using cage::Abi;
using cage::Cause;
using cage::RunResult;

// A reactor's buffer is asked for in powers of two, so that a cage that is kept warm asks seldom.
constexpr uint64_t kBufferBytesMin = 4096;

struct Wanted {
  std::string_view name, type;
};
absl::Status Want(const ModuleInfo& info, const Wanted& w) {
  const auto it = info.functions.find(w.name);
  if (it == info.functions.end()) return absl::InvalidArgumentError(absl::StrCat("exports no ", std::string(w.name)));
  if (Describe(it->second) == w.type) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("exports ", std::string(w.name), " as ", Describe(it->second), "; it must be ", std::string(w.type)));
}

}  // namespace

absl::StatusOr<Abi> AbiOf(const ModuleInfo& info) {
  const auto has = [&](std::string_view name) { return info.functions.contains(name); };
  Abi abi;
  if (has("handle_request") || has("alloc")) {
    abi = Abi::kReactor;
    RETURN_IF_ERROR(Want(info, {"alloc", "i:i"}));
    RETURN_IF_ERROR(Want(info, {"handle_request", "ii:I"}));
  } else if (has("_start")) {
    abi = Abi::kWagi;
    RETURN_IF_ERROR(Want(info, {"_start", ":"}));
  } else if (has("handle")) {
    abi = Abi::kExtism;
    RETURN_IF_ERROR(Want(info, {"handle", ":i"}));
  } else {
    return absl::InvalidArgumentError("exports none of what a cage calls: alloc and handle_request, _start (WASI), or handle (Extism)");
  }
  for (std::string_view start : {"_initialize", "reset"}) {
    if (has(start)) RETURN_IF_ERROR(Want(info, {start, ":"}));
  }
  if (!info.exports_memory && abi != Abi::kExtism) return absl::InvalidArgumentError("exports no memory");
  return abi;
}

absl::StatusOr<std::unique_ptr<Loaded>> LoadMetered(Engine& engine, Bytes metered, ModuleInfo info) {
  auto loaded = std::make_unique<Loaded>();
  ASSIGN_OR_RETURN(loaded->abi, AbiOf(info));
  ASSIGN_OR_RETURN(loaded->links, Link(info));
  loaded->info = std::move(info);
  ASSIGN_OR_RETURN(loaded->module, engine.Compile(metered, loaded->info));
  return loaded;
}

Cage::Cage(Loaded& loaded, const cage::Limits& limits, const FileTree* files)
    : loaded_(loaded), fuel_max_(std::min(limits.timeout_ms, kFuelMax / cage::kFuelPerMs) * cage::kFuelPerMs),
      pages_max_(std::min(limits.memory_bytes / kPageBytes, kMemoryPagesMax)), host_(loaded.links, files) {}

absl::StatusOr<std::unique_ptr<Cage>> Cage::Make(Loaded& loaded, const cage::Limits& limits, const FileTree* files) {
  std::unique_ptr<Cage> cage(new Cage(loaded, limits, files));
  if (loaded.info.memory_pages > cage->pages_max_) {
    return absl::ResourceExhaustedError(absl::StrCat("declares a memory of ", loaded.info.memory_pages * kPageBytes, " bytes; this cage has ", cage->pages_max_ * kPageBytes));
  }
  if (loaded.abi == Abi::kWagi) return cage;
  cage->host_.Begin(0, Key32{}, cage->fuel_max_);
  if (const auto dead = cage->Instantiate(); dead.has_value()) return absl::AbortedError(absl::StrCat("at its start: ", dead->detail));
  return cage;
}

std::optional<RunResult> Cage::Instantiate() {
  buffer_ = buffer_bytes_ = 0;
  host_.CloseAll();
  auto made = loaded_.module->Instantiate(host_);
  if (!made.ok()) return RunResult{.cause = Cause::kPanic, .detail = std::string(made.status().message())};
  instance_ = *std::move(made);
  const auto find = [&](std::string_view name) { return *instance_->Find(name); };  // The meter made them.
  set_ = find(kSet), state_ = find(kState), refused_ = find(kRefused);
  alloc_ = instance_->Find("alloc"), reset_ = instance_->Find("reset");
  handle_ = instance_->Find(loaded_.abi == Abi::kReactor ? "handle_request" : loaded_.abi == Abi::kExtism ? "handle" : "_start");
  SetFuel();
  for (std::string_view start : {kStart, std::string_view("_initialize")}) {
    const auto function = instance_->Find(start);
    if (!function.has_value()) continue;
    if (const Outcome outcome = instance_->Call(*function, {}); outcome.end != End::kReturned) return Dead(outcome);
  }
  return std::nullopt;
}

void Cage::SetFuel() {
  const uint64_t args[] = {fuel_max_ << kDepthBits, pages_max_};
  const Outcome outcome = instance_->Call(set_, args);
  CHECK(outcome.end != End::kTrapped);
}

uint64_t Cage::Burnt() {
  const auto left = int64_t(instance_->Call(state_, {}).value) >> kDepthBits;
  return uint64_t(int64_t(fuel_max_) - left) + host_.fuel;
}

RunResult Cage::Alive() {
  memory_bytes_ = instance_->memory().size();
  RunResult r{.cause = Cause::kNone, .detail = "", .fuel = Burnt(), .memory_bytes = memory_bytes_, .answer = "", .log = std::move(host_.log)};
  // What the host did for it counts too, though the guest could not see it.
  if (r.fuel > fuel_max_) r.cause = Cause::kTimeout, r.detail = "its fuel is used up";
  return r;
}

RunResult Cage::Dead(const Outcome& outcome) {
  RunResult r = Alive();
  r.cause = Cause::kPanic;
  const auto state = int64_t(instance_->Call(state_, {}).value);
  if (outcome.end == End::kStopped) r.cause = Cause::kTimeout, r.detail = "its time is over";
  else if (r.fuel > fuel_max_) r.cause = Cause::kTimeout, r.detail = "its fuel is used up";
  else if (!host_.trap.empty()) r.detail = host_.trap;
  else if (outcome.end == End::kTrapped && (uint64_t(state) & kDepthMark) != 0) r.detail = "calls too deep";
  else if (outcome.end == End::kTrapped) r.detail = outcome.detail;
  else r.detail = "no answer";
  if (r.cause == Cause::kPanic && instance_->Call(refused_, {}).value != 0) {
    r.cause = Cause::kMemory;
    r.detail += ", after it was refused memory";
  }
  return r;
}

RunResult Cage::Run(const cage::RunArgs& args) {
  host_.Begin(args.unix_us, args.seed, fuel_max_);
  switch (loaded_.abi) {
    case Abi::kReactor: return RunReactor(args);
    case Abi::kWagi: return RunCommand(args);
    case Abi::kExtism: return RunPlugin(args);
  }
  return {};
}

RunResult Cage::RunReactor(const cage::RunArgs& args) {
  const std::string text = HttpText(args.request);
  SetFuel();
  if (reset_.has_value()) {
    if (const Outcome o = instance_->Call(*reset_, {}); o.end != End::kReturned) return Dead(o);
    buffer_bytes_ = 0;
  }
  if (text.size() > buffer_bytes_) {
    uint64_t bytes = kBufferBytesMin;
    while (bytes < text.size()) bytes *= 2;
    const Outcome o = instance_->Call(*alloc_, {bytes});
    if (o.end != End::kReturned) return Dead(o);
    buffer_ = o.value, buffer_bytes_ = bytes;
    if (buffer_ == 0 || !Fits(instance_->memory(), buffer_, buffer_bytes_)) {
      return host_.Trap("alloc gave no memory"), Dead({});
    }
  }
  std::memcpy(instance_->memory().data() + buffer_, text.data(), text.size());
  const Outcome o = instance_->Call(*handle_, {buffer_, text.size()});
  if (o.end != End::kReturned) return Dead(o);
  const Memory memory = instance_->memory();
  const uint64_t at = o.value >> 32, bytes = uint32_t(o.value);
  if (bytes > cage::kResponseBytesMax) return host_.Trap("an answer of more than 16 MiB"), Dead({});
  if (!Fits(memory, at, bytes)) return host_.Trap("an answer outside its memory"), Dead({});
  if (bytes == 0) return Dead({});
  RunResult r = Alive();
  if (r.cause == Cause::kNone) r.answer.assign(reinterpret_cast<const char*>(memory.data()) + at, bytes);
  return r;
}

RunResult Cage::RunCommand(const cage::RunArgs& args) {
  host_.args = {"cage"};
  host_.environment = Environment(args.request);
  host_.input = args.request.body;
  if (auto dead = Instantiate(); dead.has_value()) return *std::move(dead);
  const Outcome o = instance_->Call(*handle_, {});
  if (o.end != End::kReturned && !(host_.exited && o.end == End::kTrapped)) return Dead(o);
  if (host_.output.empty()) {
    host_.trap = host_.exited ? absl::StrCat("exit ", host_.exit_code, " without an answer") : "no answer";
    return Dead({});
  }
  RunResult r = Alive();
  if (r.cause == Cause::kNone) r.answer = std::move(host_.output);
  return r;
}

RunResult Cage::RunPlugin(const cage::RunArgs& args) {
  const std::string text = HttpText(args.request);
  SetFuel();
  host_.plugin_input = host_.Allocate(text.size());
  if (host_.plugin_input == 0) return host_.Trap("a request that is too long"), Dead({});
  std::memcpy(host_.kernel.data() + host_.plugin_input, text.data(), text.size());
  host_.plugin_input_bytes = text.size();
  const Outcome o = instance_->Call(*handle_, {});
  if (o.end != End::kReturned) return Dead(o);
  if (o.value != 0) return host_.Trap(host_.error.empty() ? absl::StrCat("handle gave ", o.value) : host_.error), Dead({});
  if (host_.output.empty()) return Dead({});
  RunResult r = Alive();
  if (r.cause == Cause::kNone) r.answer = std::move(host_.output);
  return r;
}

}  // namespace orchard::wasm
