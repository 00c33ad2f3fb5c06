// libwabt's interpreter. This file alone is C++17: wabt/interp/interp-inl.h has destructors with template arguments, which g++ 12
// refuses in C++20.
#include <wabt/binary-reader.h>
#include <wabt/interp/binary-reader-interp.h>
#include <wabt/interp/interp.h>

#include <map>
#include <utility>
#include <vector>

#include "node/base/check.h"
#include "node/wasm/engine.h"

namespace orchard::wasm {
namespace {

namespace wi = wabt::interp;

// A thread of the interpreter has room for 1,365 calls, which cannot be asked to be more; the meter's bound is 16,384 (meter.h). A
// template's explicit instantiation may name what is private: [temp.explicit]/12.
using Frames = std::vector<wi::Frame> wi::Thread::*;
using Slots = std::vector<wi::Value> wi::Thread::*;
template <Frames kFrames, Slots kSlots>
struct Opener {
  friend std::vector<wi::Frame>& FramesOf(wi::Thread& t) { return t.*kFrames; }
  friend std::vector<wi::Value>& SlotsOf(wi::Thread& t) { return t.*kSlots; }
};
std::vector<wi::Frame>& FramesOf(wi::Thread& t);
std::vector<wi::Value>& SlotsOf(wi::Thread& t);
template struct Opener<&wi::Thread::frames_, &wi::Thread::values_>;
constexpr size_t kFramesMax = 20'000, kSlotsMin = 1 << 16;

wi::Value ToValue(ValType type, uint64_t bits) {
  if (type == ValType::kI32 || type == ValType::kF32) return wi::Value::Make(wi::u32(bits));
  return wi::Value::Make(wi::u64(bits));
}
uint64_t FromValue(ValType type, wi::Value v) {
  return type == ValType::kI32 || type == ValType::kF32 ? v.Get<wi::u32>() : v.Get<wi::u64>();
}

class InterpInstance final : public Instance {
 public:
  InterpInstance(wi::Store& store, wi::Instance::Ptr instance, std::map<std::string, uint32_t> names, std::vector<FuncType> types,
                 std::vector<wi::Func::Ptr> functions, wi::Memory::Ptr memory)
      : store_(store), instance_(std::move(instance)), names_(std::move(names)), types_(std::move(types)),
        functions_(std::move(functions)), memory_(std::move(memory)) {}
  ~InterpInstance() override {
    functions_.clear(), memory_.reset(), instance_.reset();
    store_.Collect();
  }

  std::optional<uint32_t> Find(std::string_view name) override {
    const auto it = names_.find(std::string(name));
    if (it == names_.end()) return std::nullopt;
    return it->second;
  }
  Outcome Call(uint32_t function, absl::Span<const uint64_t> args) override {
    const FuncType& type = types_[function];
    CHECK_EQ(args.size(), type.params.size());
    wi::Values in, out;
    for (size_t i = 0; i < args.size(); ++i) in.push_back(ToValue(type.params[i], args[i]));
    wi::Thread thread(store_);
    FramesOf(thread).reserve(kFramesMax), SlotsOf(thread).reserve(kSlotsMin);
    wi::Trap::Ptr trap;
    if (wabt::Failed(functions_[function]->Call(thread, in, out, &trap))) {
      return {End::kTrapped, 0, trap.empty() ? "trap" : TrapWords(trap->message())};
    }
    return {End::kReturned, out.empty() ? 0 : FromValue(type.results[0], out[0]), ""};
  }
  Memory memory() override { return memory_.empty() ? Memory() : Memory(memory_->UnsafeData(), size_t(memory_->ByteSize())); }

 private:
  wi::Store& store_;
  wi::Instance::Ptr instance_;
  std::map<std::string, uint32_t> names_;
  std::vector<FuncType> types_;
  std::vector<wi::Func::Ptr> functions_;
  wi::Memory::Ptr memory_;
};

class InterpModule final : public Module {
 public:
  InterpModule(std::unique_ptr<wi::Store> store, wi::Module::Ptr module, const ModuleInfo& info)
      : store_(std::move(store)), module_(std::move(module)), info_(info) {}
  ~InterpModule() override { module_.reset(); }

  absl::StatusOr<std::unique_ptr<Instance>> Instantiate(Imports& imports) override {
    wi::RefVec refs;
    std::vector<wi::HostFunc::Ptr> keep;  // Until the instance holds them.
    // Memory is not there before there is an instance; nothing runs before that.
    auto memory = std::make_shared<wi::Memory*>(nullptr);
    for (size_t i = 0; i < info_.imports.size(); ++i) {
      const auto* type = wabt::cast<wi::FuncType>(module_->import_types()[i].type.get());
      keep.push_back(wi::HostFunc::New(*store_, *type, [&imports, i, memory, &own = info_.imports[i].type](wi::Thread& thread, const wi::Values& in, wi::Values& out, wi::Trap::Ptr* trap) {
        std::vector<uint64_t> args;
        for (size_t k = 0; k < in.size(); ++k) args.push_back(FromValue(own.params[k], in[k]));
        const Memory bytes = *memory == nullptr ? Memory() : Memory((*memory)->UnsafeData(), size_t((*memory)->ByteSize()));
        const Imports::Reply reply = imports.Call(i, args.data(), bytes);
        if (reply.trap) {
          *trap = wi::Trap::New(thread.store(), "host");
          return wabt::Result::Error;
        }
        if (!own.results.empty()) out[0] = ToValue(own.results[0], reply.value);
        return wabt::Result::Ok;
      }));
      refs.push_back(keep.back()->self());
    }
    wi::Trap::Ptr trap;
    wi::Instance::Ptr instance = wi::Instance::Instantiate(*store_, module_.ref(), refs, &trap);
    if (!instance) return absl::InvalidArgumentError(trap.empty() ? "it cannot be instantiated" : TrapWords(trap->message()));
    std::map<std::string, uint32_t> names;
    std::vector<FuncType> types;
    std::vector<wi::Func::Ptr> functions;
    wi::Memory::Ptr bytes;
    const auto& exports = module_->export_types();
    for (size_t i = 0; i < exports.size(); ++i) {
      const wi::Ref ref = instance->exports()[i];
      if (exports[i].type->kind == wi::ExternKind::Memory && exports[i].name == "memory") bytes = store_->UnsafeGet<wi::Memory>(ref);
      const auto known = info_.functions.find(exports[i].name);
      if (known == info_.functions.end()) continue;
      names[exports[i].name] = uint32_t(functions.size());
      types.push_back(known->second);
      functions.push_back(store_->UnsafeGet<wi::Func>(ref));
    }
    *memory = bytes.get();
    return std::make_unique<InterpInstance>(*store_, std::move(instance), std::move(names), std::move(types), std::move(functions), std::move(bytes));
  }

 private:
  std::unique_ptr<wi::Store> store_;
  wi::Module::Ptr module_;
  ModuleInfo info_;
};

class InterpEngine final : public Engine {
 public:
  std::string_view name() const override { return "interpreter"; }
  absl::StatusOr<std::unique_ptr<Module>> Compile(Bytes metered, const ModuleInfo& info) override {
    wabt::Features features;
    features.disable_simd();
    wi::ModuleDesc desc;
    wabt::Errors errors;
    const wabt::ReadBinaryOptions options(features, nullptr, false, true, false);
    if (wabt::Failed(wi::ReadBinaryInterp("module", metered.data(), metered.size(), options, &errors, &desc))) {
      return absl::InvalidArgumentError(errors.empty() ? "not a valid module" : errors.front().message);
    }
    auto store = std::make_unique<wi::Store>(features);
    wi::Module::Ptr module = wi::Module::New(*store, std::move(desc));
    return std::make_unique<InterpModule>(std::move(store), std::move(module), info);
  }
  // Its runs end by fuel; one that must end before is its process's affair.
  void Stop() override {}
  void Resume() override {}
};

}  // namespace

std::unique_ptr<Engine> MakeInterpreter() { return std::make_unique<InterpEngine>(); }

}  // namespace orchard::wasm
