#include "node/wasm/scan.h"

#include <wabt/binary-reader-nop.h>
#include <wabt/binary-reader.h>
#include <wabt/feature.h>

#include "absl/strings/str_cat.h"

namespace orchard::wasm {
namespace {

using wabt::Address;
using wabt::Index;
using wabt::Limits;
using wabt::Offset;
using wabt::Opcode;
using wabt::Result;
using wabt::Type;

ValType FromWabt(Type t) {
  if (t == Type::I32) return ValType::kI32;
  if (t == Type::I64) return ValType::kI64;
  if (t == Type::F32) return ValType::kF32;
  if (t == Type::F64) return ValType::kF64;
  return ValType::kRef;
}

class Scanner : public wabt::BinaryReaderNop {
 public:
  ModuleInfo info;
  std::string wrong;

  bool OnError(const wabt::Error& e) override {
    if (wrong.empty()) wrong = absl::StrCat("at 0x", absl::Hex(e.loc.offset), ": ", e.message);
    return true;
  }

  // ---- Counts ----
  Result OnTypeCount(Index n) override { return AtMost(n, kTypesMax, "types"); }
  Result OnImportCount(Index n) override { return AtMost(n, kImportsMax, "imports"); }
  Result OnFunctionCount(Index n) override { return AtMost(n, kFunctionsMax, "functions"); }
  Result OnTableCount(Index n) override { return AtMost(n, kTablesMax, "tables"); }
  Result OnGlobalCount(Index n) override { return AtMost(n, kGlobalsMax, "globals"); }
  Result OnExportCount(Index n) override { return AtMost(n, kExportsMax, "exports"); }
  Result OnElemSegmentCount(Index n) override { return AtMost(n, kSegmentsMax, "element segments"); }
  Result OnDataSegmentCount(Index n) override { return AtMost(n, kSegmentsMax, "data segments"); }
  Result OnElemSegmentElemExprCount(Index, Index n) override { return AtMost(elements_ += n, kTableElementsMax, "elements of segments"); }

  // ---- What it is made of ----
  Result OnFuncType(Index, Index params, Type* param_types, Index results, Type* result_types) override {
    if (AtMost(params, kParamsMax, "parameters") == Result::Error || AtMost(results, kResultsMax, "results") == Result::Error) return Result::Error;
    FuncType type;
    for (Index i = 0; i < params; ++i) {
      if (param_types[i] == Type::V128) return Refuse("SIMD");
      type.params.push_back(FromWabt(param_types[i]));
    }
    for (Index i = 0; i < results; ++i) {
      if (result_types[i] == Type::V128) return Refuse("SIMD");
      type.results.push_back(FromWabt(result_types[i]));
    }
    types_.push_back(std::move(type));
    return Result::Ok;
  }
  Result OnStructType(Index, Index, wabt::TypeMut*) override { return Refuse("garbage-collected types"); }
  Result OnArrayType(Index, wabt::TypeMut) override { return Refuse("garbage-collected types"); }
  Result OnImportFunc(Index, std::string_view module, std::string_view name, Index, Index type) override {
    if (type >= types_.size()) return Wrong("an import of no type");
    info.imports.push_back({std::string(module), std::string(name), types_[type]});
    functions_.push_back(type);
    return Result::Ok;
  }
  Result OnImportTable(Index, std::string_view module, std::string_view name, Index, Type, const Limits*) override { return Foreign("table", module, name); }
  Result OnImportMemory(Index, std::string_view module, std::string_view name, Index, const Limits*) override { return Foreign("memory", module, name); }
  Result OnImportGlobal(Index, std::string_view module, std::string_view name, Index, Type, bool) override { return Foreign("global", module, name); }
  Result OnImportTag(Index, std::string_view, std::string_view, Index, Index) override { return Refuse("exceptions"); }
  Result OnTagCount(Index) override { return Refuse("exceptions"); }
  Result OnFunction(Index, Index type) override {
    if (type >= types_.size()) return Wrong("a function of no type");
    functions_.push_back(type);
    return Result::Ok;
  }
  Result OnTable(Index, Type, const Limits* limits) override { return AtMost(limits->initial, kTableElementsMax, "elements of a table"); }
  Result OnMemory(Index index, const Limits* limits) override {
    if (index > 0) return Refuse("more than one memory");
    if (limits->is_64) return Refuse("memory64");
    if (limits->is_shared) return Refuse("threads");
    info.memory_pages = limits->initial;
    return Result::Ok;
  }
  Result BeginGlobal(Index, Type type, bool) override { return type == Type::V128 ? Refuse("SIMD") : Result(Result::Ok); }
  Result OnExport(Index, wabt::ExternalKind kind, Index item, std::string_view name) override {
    if (kind == wabt::ExternalKind::Memory && name == "memory") info.exports_memory = true;
    if (kind != wabt::ExternalKind::Func) return Result::Ok;
    if (item >= functions_.size()) return Wrong("an export of a function that is not there");
    info.functions.emplace(name, types_[functions_[item]]);
    return Result::Ok;
  }

  // ---- Bodies ----
  Result BeginFunctionBody(Index index, Offset size) override {
    function_ = index, in_function_ = true, nesting_ = 0, locals_ = 0;
    return AtMost(size, kBodyBytesMax, "bytes of one function");
  }
  Result EndFunctionBody(Index) override {
    in_function_ = false;
    return Result::Ok;
  }
  Result OnLocalDecl(Index, Index n, Type type) override {
    return type == Type::V128 ? Refuse("SIMD") : AtMost(locals_ += n, kLocalsMax, "local variables");
  }
  Result OnBlockExpr(Type) override { return Deeper(); }
  Result OnLoopExpr(Type) override { return Deeper(); }
  Result OnIfExpr(Type) override { return Deeper(); }
  Result OnEndExpr() override {
    if (nesting_ > 0) --nesting_;
    return Result::Ok;
  }
  Result OnBrTableExpr(Index n, Index*, Index) override { return AtMost(n, kTargetsMax, "targets of br_table"); }

  // ---- What a cage has not ----
  Result OnOpcode(Opcode op) override {
    switch (op.GetPrefix()) {
      case 0xfd: return Refuse("SIMD");
      case 0xfe: return Refuse("threads");
      default: return Result::Ok;
    }
  }
  Result OnTryExpr(Type) override { return Refuse("exceptions"); }
  Result OnThrowExpr(Index) override { return Refuse("exceptions"); }
  Result OnRethrowExpr(Index) override { return Refuse("exceptions"); }
  Result OnCatchExpr(Index) override { return Refuse("exceptions"); }
  Result OnCatchAllExpr() override { return Refuse("exceptions"); }
  Result OnDelegateExpr(Index) override { return Refuse("exceptions"); }
  Result OnReturnCallExpr(Index) override { return Refuse("tail calls"); }
  Result OnReturnCallIndirectExpr(Index, Index) override { return Refuse("tail calls"); }
  Result OnCallRefExpr() override { return Refuse("typed function references"); }

 private:
  std::string Where() const {
    return absl::StrCat(in_function_ ? absl::StrCat("function ", function_, " ") : "", "at 0x", absl::Hex(state == nullptr ? 0 : state->offset), ": ");
  }
  Result Wrong(absl::string_view what) {
    if (wrong.empty()) wrong = absl::StrCat(Where(), what);
    return Result::Error;
  }
  Result Refuse(absl::string_view what) { return Wrong(absl::StrCat("uses ", what, ", which a cage has not")); }
  Result AtMost(uint64_t n, uint64_t max, absl::string_view what) {
    return n <= max ? Result(Result::Ok) : Wrong(absl::StrCat(n, " ", what, "; a cage allows ", max));
  }
  Result Foreign(absl::string_view kind, std::string_view module, std::string_view name) {
    return Wrong(absl::StrCat("imports the ", kind, " ", std::string(module), ".", std::string(name), "; a cage gives functions only"));
  }
  Result Deeper() { return AtMost(++nesting_, kNestingMax, "blocks in each other"); }

  std::vector<FuncType> types_;
  std::vector<Index> functions_;
  uint64_t function_ = 0, nesting_ = 0, locals_ = 0, elements_ = 0;
  bool in_function_ = false;
};

}  // namespace

std::string Describe(const FuncType& type) {
  std::string out;
  for (ValType t : type.params) out += "iIfFr"[size_t(t)];
  out += ':';
  for (ValType t : type.results) out += "iIfFr"[size_t(t)];
  return out;
}

absl::StatusOr<ModuleInfo> Scan(Bytes module) {
  wabt::Features all;
  all.EnableAll();
  Scanner scanner;
  const wabt::ReadBinaryOptions options(all, nullptr, false, true, false);
  if (wabt::Failed(wabt::ReadBinary(module.data(), module.size(), &scanner, options))) {
    return absl::InvalidArgumentError(scanner.wrong.empty() ? "not a WebAssembly module" : scanner.wrong);
  }
  return std::move(scanner.info);
}

}  // namespace orchard::wasm
