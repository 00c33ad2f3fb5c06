// V8, by Debian's libnode (10.2). One isolate is one engine; it works on the thread that calls it, and V8 starts no threads.
#include <libplatform/libplatform.h>
#include <v8.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "node/wasm/engine.h"

namespace orchard::wasm {
namespace {

// What all engines of a process share; it stays, since V8 cannot be initialized twice.
class Process {
 public:
  static Process& Get() {
    static Process* p = new Process;
    return *p;
  }
  std::unique_ptr<v8::Platform> platform;
  std::unique_ptr<v8::ArrayBuffer::Allocator> allocator{v8::ArrayBuffer::Allocator::NewDefaultAllocator()};

 private:
  Process() {
    // Baseline code is no help: a long first call would stay in it, ten times slower. Stack: four times what the meter lets a guest
    // have (meter.h), of the 8 MiB of a thread.
    v8::V8::SetFlagsFromString("--no-liftoff --single-threaded --stack-size=4000");
    // Bounds by guard pages instead of comparisons: node's own start-up leaves that out.
    v8::V8::EnableWebAssemblyTrapHandler(true);
    platform = v8::platform::NewSingleThreadedDefaultPlatform();
    v8::V8::InitializePlatform(platform.get());
    v8::V8::Initialize();
  }
};

// The isolate and context are entered for as long as one lives.
class Inside {
 public:
  Inside(v8::Isolate* isolate, const v8::Global<v8::Context>& context)
      : isolate_scope_(isolate), handles_(isolate), context(context.Get(isolate)), context_scope_(this->context) {}

 private:
  v8::Isolate::Scope isolate_scope_;
  v8::HandleScope handles_;

 public:
  v8::Local<v8::Context> context;

 private:
  v8::Context::Scope context_scope_;
};

struct Shared {
  v8::Isolate* isolate = nullptr;
  v8::Global<v8::Context> context;
  v8::Global<v8::Function> instantiate;
};

v8::Local<v8::String> Text(v8::Isolate* isolate, std::string_view s) {
  return v8::String::NewFromUtf8(isolate, s.data(), v8::NewStringType::kNormal, int(s.size())).ToLocalChecked();
}
std::string Message(v8::Isolate* isolate, const v8::TryCatch& caught) {
  const v8::String::Utf8Value text(isolate, caught.Exception());
  return *text == nullptr ? "?" : std::string(*text, size_t(text.length()));
}

v8::Local<v8::Value> ToValue(v8::Isolate* isolate, ValType type, uint64_t bits) {
  switch (type) {
    case ValType::kI32: return v8::Integer::New(isolate, int32_t(uint32_t(bits)));
    case ValType::kI64: return v8::BigInt::NewFromUnsigned(isolate, bits);
    case ValType::kF32: {
      float x;
      const uint32_t low = uint32_t(bits);
      std::memcpy(&x, &low, 4);
      return v8::Number::New(isolate, double(x));
    }
    case ValType::kF64: {
      double x;
      std::memcpy(&x, &bits, 8);
      return v8::Number::New(isolate, x);
    }
    case ValType::kRef: break;
  }
  return v8::Null(isolate);
}
uint64_t FromValue(v8::Local<v8::Context> context, ValType type, v8::Local<v8::Value> value) {
  uint64_t bits = 0;
  switch (type) {
    case ValType::kI32: return uint32_t(value->Int32Value(context).FromMaybe(0));
    case ValType::kI64: return value->IsBigInt() ? value.As<v8::BigInt>()->Uint64Value() : 0;
    case ValType::kF32: {
      const float x = float(value->NumberValue(context).FromMaybe(0));
      std::memcpy(&bits, &x, 4);
      return bits;
    }
    case ValType::kF64: {
      const double x = value->NumberValue(context).FromMaybe(0);
      std::memcpy(&bits, &x, 8);
      return bits;
    }
    case ValType::kRef: break;
  }
  return 0;
}

class V8Instance;

class V8Module final : public Module {
 public:
  V8Module(Shared& shared, const ModuleInfo& info) : shared_(shared), info_(info) {}
  ~V8Module() override { module_.Reset(), imports_.Reset(); }

  absl::Status Compile(Bytes metered) {
    Inside in(shared_.isolate, shared_.context);
    v8::TryCatch caught(shared_.isolate);
    v8::Local<v8::WasmModuleObject> module;
    if (!v8::WasmModuleObject::Compile(shared_.isolate, {metered.data(), metered.size()}).ToLocal(&module)) {
      return absl::InvalidArgumentError(Message(shared_.isolate, caught));
    }
    module_.Reset(shared_.isolate, module);
    // One set of functions serves all instances: `current_` says whose call it is.
    v8::Local<v8::Object> imports = v8::Object::New(shared_.isolate);
    slots_.resize(info_.imports.size());
    for (size_t i = 0; i < slots_.size(); ++i) {
      slots_[i] = {this, i};
      const v8::Local<v8::String> space = Text(shared_.isolate, info_.imports[i].module);
      v8::Local<v8::Value> inner = imports->Get(in.context, space).ToLocalChecked();
      if (!inner->IsObject()) {
        inner = v8::Object::New(shared_.isolate);
        imports->Set(in.context, space, inner).Check();
      }
      const v8::Local<v8::Function> function =
          v8::Function::New(in.context, OnCall, v8::External::New(shared_.isolate, &slots_[i]), 0, v8::ConstructorBehavior::kThrow).ToLocalChecked();
      inner.As<v8::Object>()->Set(in.context, Text(shared_.isolate, info_.imports[i].name), function).Check();
    }
    imports_.Reset(shared_.isolate, imports);
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Instance>> Instantiate(Imports& imports) override;

 private:
  friend class V8Instance;
  struct Slot {
    V8Module* module = nullptr;
    size_t import = 0;
  };
  static void OnCall(const v8::FunctionCallbackInfo<v8::Value>& info);

  Shared& shared_;
  const ModuleInfo info_;
  v8::Global<v8::WasmModuleObject> module_;
  v8::Global<v8::Object> imports_;
  std::vector<Slot> slots_;
  V8Instance* current_ = nullptr;
};

class V8Instance final : public Instance {
 public:
  V8Instance(V8Module& module, Imports& imports) : module_(module), imports_(imports) {}

  // `exports`: the object of that name.
  void Open(v8::Local<v8::Context> context, v8::Local<v8::Object> exports) {
    v8::Isolate* const isolate = module_.shared_.isolate;
    exports_.Reset(isolate, exports);
    if (!module_.info_.exports_memory) return;
    const v8::Local<v8::Value> memory = exports->Get(context, Text(isolate, "memory")).ToLocalChecked();
    memory_.Reset(isolate, memory.As<v8::WasmMemoryObject>());
  }

  std::optional<uint32_t> Find(std::string_view name) override {
    const auto known = module_.info_.functions.find(name);
    if (known == module_.info_.functions.end()) return std::nullopt;
    Inside in(module_.shared_.isolate, module_.shared_.context);
    const v8::Local<v8::Value> value = exports_.Get(module_.shared_.isolate)->Get(in.context, Text(module_.shared_.isolate, name)).ToLocalChecked();
    functions_.push_back({v8::Global<v8::Function>(module_.shared_.isolate, value.As<v8::Function>()), &known->second});
    return uint32_t(functions_.size() - 1);
  }

  Outcome Call(uint32_t function, absl::Span<const uint64_t> args) override {
    v8::Isolate* const isolate = module_.shared_.isolate;
    Inside in(isolate, module_.shared_.context);
    v8::TryCatch caught(isolate);
    const FuncType& type = *functions_[function].type;
    v8::Local<v8::Value> values[kArgsMax];
    const size_t n = std::min({args.size(), type.params.size(), kArgsMax});
    for (size_t i = 0; i < n; ++i) values[i] = ToValue(isolate, type.params[i], args[i]);
    module_.current_ = this;
    v8::Local<v8::Value> result;
    const bool returned = functions_[function].value.Get(isolate)->Call(in.context, v8::Undefined(isolate), int(n), values).ToLocal(&result);
    if (returned) return {End::kReturned, type.results.empty() ? 0 : FromValue(in.context, type.results[0], result), ""};
    if (caught.HasTerminated() || isolate->IsExecutionTerminating()) {
      isolate->CancelTerminateExecution();
      return {End::kStopped, 0, ""};
    }
    return {End::kTrapped, 0, TrapWords(Message(isolate, caught))};
  }

  Memory memory() override {
    if (memory_.IsEmpty()) return {};
    Inside in(module_.shared_.isolate, module_.shared_.context);
    return Bytes();
  }

 private:
  friend class V8Module;
  static constexpr size_t kArgsMax = 4;  // Of the functions that a host calls.
  struct Function {
    v8::Global<v8::Function> value;
    const FuncType* type;
  };
  // In the context. A memory that grew lies where it lay, but its buffer is another one.
  Memory Bytes() {
    const v8::Local<v8::ArrayBuffer> buffer = memory_.Get(module_.shared_.isolate)->Buffer();
    if (const size_t size = buffer->ByteLength(); size != seen_.size()) {
      seen_ = Memory(static_cast<uint8_t*>(buffer->GetBackingStore()->Data()), size);
    }
    return seen_;
  }

  V8Module& module_;
  Imports& imports_;
  v8::Global<v8::Object> exports_;
  v8::Global<v8::WasmMemoryObject> memory_;
  std::vector<Function> functions_;
  Memory seen_;
};

void V8Module::OnCall(const v8::FunctionCallbackInfo<v8::Value>& info) {
  const Slot& slot = *static_cast<Slot*>(info.Data().As<v8::External>()->Value());
  v8::Isolate* const isolate = info.GetIsolate();
  const FuncType& type = slot.module->info_.imports[slot.import].type;
  const v8::Local<v8::Context> context = isolate->GetCurrentContext();
  uint64_t args[16] = {};
  for (size_t i = 0; i < std::min<size_t>(type.params.size(), std::size(args)); ++i) args[i] = FromValue(context, type.params[i], info[int(i)]);
  V8Instance& instance = *slot.module->current_;
  const Imports::Reply reply = instance.imports_.Call(slot.import, args, instance.memory_.IsEmpty() ? Memory() : instance.Bytes());
  if (reply.trap) {
    isolate->ThrowException(Text(isolate, "host"));  // The guest has no way to catch it.
    return;
  }
  if (!type.results.empty()) info.GetReturnValue().Set(ToValue(isolate, type.results[0], reply.value));
}

absl::StatusOr<std::unique_ptr<Instance>> V8Module::Instantiate(Imports& imports) {
  v8::Isolate* const isolate = shared_.isolate;
  Inside in(isolate, shared_.context);
  v8::TryCatch caught(isolate);
  v8::Local<v8::Value> args[] = {module_.Get(isolate), imports_.Get(isolate)};
  v8::Local<v8::Value> exports;
  if (!shared_.instantiate.Get(isolate)->Call(in.context, v8::Undefined(isolate), 2, args).ToLocal(&exports)) {
    return absl::InvalidArgumentError(TrapWords(Message(isolate, caught)));
  }
  auto instance = std::make_unique<V8Instance>(*this, imports);
  instance->Open(in.context, exports.As<v8::Object>());
  while (v8::platform::PumpMessageLoop(Process::Get().platform.get(), isolate)) {
  }
  return instance;
}

class V8Engine final : public Engine {
 public:
  V8Engine() {
    v8::Isolate::CreateParams params;
    params.array_buffer_allocator = Process::Get().allocator.get();
    shared_.isolate = v8::Isolate::New(params);
    v8::Isolate::Scope isolate_scope(shared_.isolate);
    v8::HandleScope handles(shared_.isolate);
    const v8::Local<v8::Context> context = v8::Context::New(shared_.isolate);
    v8::Context::Scope context_scope(context);
    shared_.context.Reset(shared_.isolate, context);
    const v8::Local<v8::String> source = Text(shared_.isolate, "(function(m, i) { return new WebAssembly.Instance(m, i).exports })");
    const v8::Local<v8::Value> made = v8::Script::Compile(context, source).ToLocalChecked()->Run(context).ToLocalChecked();
    shared_.instantiate.Reset(shared_.isolate, made.As<v8::Function>());
  }
  ~V8Engine() override {
    shared_.instantiate.Reset(), shared_.context.Reset();
    v8::platform::NotifyIsolateShutdown(Process::Get().platform.get(), shared_.isolate);
    shared_.isolate->Dispose();
  }
  std::string_view name() const override { return "V8"; }
  absl::StatusOr<std::unique_ptr<Module>> Compile(Bytes metered, const ModuleInfo& info) override {
    auto module = std::make_unique<V8Module>(shared_, info);
    if (absl::Status s = module->Compile(metered); !s.ok()) return s;
    return module;
  }
  void Stop() override { shared_.isolate->TerminateExecution(); }
  void Resume() override { shared_.isolate->CancelTerminateExecution(); }

 private:
  Shared shared_;
};

}  // namespace
}  // namespace orchard::wasm

extern "C" __attribute__((visibility("default"))) orchard::wasm::Engine* orchard_make_v8() { return new orchard::wasm::V8Engine; }
