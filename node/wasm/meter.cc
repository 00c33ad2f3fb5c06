#include "node/wasm/meter.h"

#include <wabt/binary-reader-ir.h>
#include <wabt/binary-reader.h>
#include <wabt/binary-writer.h>
#include <wabt/cast.h>
#include <wabt/ir.h>
#include <wabt/stream.h>
#include <wabt/validator.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/status_macros.h"
#include "node/wasm/instrument.h"
#include "node/wasm/scan.h"

namespace orchard::wasm {
namespace {

using wabt::Index;
using wabt::Module;
using wabt::Type;

wabt::Features Allowed() {
  wabt::Features f;  // Its defaults, less SIMD: scan.cc has refused the rest by name.
  f.disable_simd();
  return f;
}

std::string Explain(const wabt::Errors& errors) {
  if (errors.empty()) return "not a valid module";
  return absl::StrCat("at 0x", absl::Hex(errors.front().loc.offset), ": ", errors.front().message);
}

void Export(Module& m, wabt::ExternalKind kind, Index index, std::string_view name) {
  auto field = std::make_unique<wabt::ExportModuleField>();
  field->export_.name = std::string(name), field->export_.kind = kind, field->export_.var = wabt::Var(index, {});
  m.AppendField(std::move(field));
}

Index AddGlobal(Module& m, Type type, wabt::Const value) {
  auto field = std::make_unique<wabt::GlobalModuleField>();
  field->global.type = type, field->global.mutable_ = true;
  field->global.init_expr.push_back(std::make_unique<wabt::ConstExpr>(value));
  m.AppendField(std::move(field));
  return Index(m.globals.size() - 1);
}

// Appends a function and exports it.
void AddFunction(Module& m, std::string_view name, wabt::TypeVector params, wabt::TypeVector results, wabt::ExprList body) {
  auto field = std::make_unique<wabt::FuncModuleField>();
  wabt::Func& f = field->func;
  f.decl.has_func_type = true;
  f.decl.type_var = wabt::Var(TypeOf(m, params, results), {});
  f.decl.sig.param_types = std::move(params), f.decl.sig.result_types = std::move(results);
  f.exprs = std::move(body);
  m.AppendField(std::move(field));
  Export(m, wabt::ExternalKind::Func, Index(m.funcs.size() - 1), name);
}

// The reader has checked most of it; what of it a known fault of an interpreter may rest on is checked again here.
absl::Status CheckSegments(const Module& m) {
  for (const wabt::Var* v : m.starts) {
    if (v->index() >= m.funcs.size()) return absl::InvalidArgumentError("the start function is not there");
  }
  for (const wabt::Export* e : m.exports) {
    if (std::string_view(e->name).substr(0, kReserved.size()) == kReserved) {
      return absl::InvalidArgumentError(absl::StrCat("exports \"", e->name, "\"; names that begin with \"orchard.\" are the host's"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Metered> Meter(Bytes bytes) {
  ASSIGN_OR_RETURN(ModuleInfo info, Scan(bytes));
  Module m;
  wabt::Errors errors;
  const wabt::ReadBinaryOptions read(Allowed(), nullptr, false, true, false);
  if (wabt::Failed(wabt::ReadBinaryIr("module", bytes.data(), bytes.size(), read, &errors, &m)) ||
      wabt::Failed(wabt::ValidateModule(&m, &errors, wabt::ValidateOptions(Allowed())))) {
    return absl::InvalidArgumentError(Explain(errors));
  }
  RETURN_IF_ERROR(CheckSegments(m));
  for (wabt::Memory* memory : m.memories) {
    wabt::Limits& l = memory->page_limits;
    if (l.initial > kMemoryPagesMax) {
      return absl::InvalidArgumentError(absl::StrCat("declares a memory of ", l.initial * kPageBytes >> 20, " MiB; no cage has more than ", kMemoryPagesMax * kPageBytes >> 20));
    }
    if (!l.has_max || l.max > kMemoryPagesMax) l.has_max = true, l.max = kMemoryPagesMax;
  }
  for (wabt::Table* table : m.tables) {
    wabt::Limits& l = table->elem_limits;
    if (!l.has_max || l.max > kTableElementsMax) l.has_max = true, l.max = kTableElementsMax;
  }

  Instruments in;
  in.state = AddGlobal(m, Type::I64, wabt::Const::I64(0));
  in.pages_max = AddGlobal(m, Type::I64, wabt::Const::I64(0));
  in.refused = AddGlobal(m, Type::I32, wabt::Const::I32(0));
  Metered out;
  const size_t functions = m.funcs.size();
  for (size_t i = m.num_func_imports; i < functions; ++i) out.charges += Instrument(m, *m.funcs[i], in);

  const auto var = [](Index i) { return wabt::Var(i, {}); };
  wabt::ExprList set, state, refused;
  set.push_back(std::make_unique<wabt::LocalGetExpr>(var(0)));
  set.push_back(std::make_unique<wabt::GlobalSetExpr>(var(in.state)));
  set.push_back(std::make_unique<wabt::LocalGetExpr>(var(1)));
  set.push_back(std::make_unique<wabt::GlobalSetExpr>(var(in.pages_max)));
  set.push_back(std::make_unique<wabt::ConstExpr>(wabt::Const::I32(0)));
  set.push_back(std::make_unique<wabt::GlobalSetExpr>(var(in.refused)));
  state.push_back(std::make_unique<wabt::GlobalGetExpr>(var(in.state)));
  refused.push_back(std::make_unique<wabt::GlobalGetExpr>(var(in.refused)));
  AddFunction(m, kSet, {Type::I64, Type::I64}, {}, std::move(set));
  AddFunction(m, kState, {}, {Type::I64}, std::move(state));
  AddFunction(m, kRefused, {}, {Type::I32}, std::move(refused));
  if (!m.starts.empty()) {
    const Index start = m.starts.front()->index();
    m.starts.clear();
    for (auto it = m.fields.begin(); it != m.fields.end();) {
      it = it->type() == wabt::ModuleFieldType::Start ? m.fields.erase(it) : std::next(it);
    }
    Export(m, wabt::ExternalKind::Func, start, kStart);
  }

  errors.clear();
  if (wabt::Failed(wabt::ValidateModule(&m, &errors, wabt::ValidateOptions(Allowed())))) {
    return absl::InternalError(absl::StrCat("the metered module is not valid: ", Explain(errors)));
  }
  wabt::MemoryStream stream;
  if (wabt::Failed(wabt::WriteBinaryModule(&stream, &m, wabt::WriteBinaryOptions(Allowed(), true, false, false)))) {
    return absl::InternalError("the metered module cannot be written");
  }
  const std::vector<uint8_t>& data = stream.output_buffer().data;
  out.bytes.assign(data.begin(), data.end());
  ASSIGN_OR_RETURN(out.info, Scan(AsBytes(out.bytes)));
  return out;
}

}  // namespace orchard::wasm
