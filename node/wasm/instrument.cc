#include "node/wasm/instrument.h"

#include <wabt/cast.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "node/wasm/meter.h"

namespace orchard::wasm {
namespace {

using wabt::Const;
using wabt::Expr;
using wabt::ExprList;
using wabt::ExprType;
using wabt::Index;
using wabt::Opcode;
using wabt::Type;

wabt::Var V(Index i) { return wabt::Var(i, {}); }

// Instructions to be put somewhere, in order.
class Code {
 public:
  Code& Get(Index local) { return Add<wabt::LocalGetExpr>(V(local)); }
  Code& Set(Index local) { return Add<wabt::LocalSetExpr>(V(local)); }
  Code& Tee(Index local) { return Add<wabt::LocalTeeExpr>(V(local)); }
  Code& GetGlobal(Index g) { return Add<wabt::GlobalGetExpr>(V(g)); }
  Code& SetGlobal(Index g) { return Add<wabt::GlobalSetExpr>(V(g)); }
  Code& I32(uint32_t x) { return Add<wabt::ConstExpr>(Const::I32(x)); }
  Code& I64(uint64_t x) { return Add<wabt::ConstExpr>(Const::I64(x)); }
  Code& F32(uint32_t bits) { return Add<wabt::ConstExpr>(Const::F32(bits)); }
  Code& F64(uint64_t bits) { return Add<wabt::ConstExpr>(Const::F64(bits)); }
  Code& Binary(Opcode op) { return Add<wabt::BinaryExpr>(op); }
  Code& Compare(Opcode op) { return Add<wabt::CompareExpr>(op); }
  Code& Convert(Opcode op) { return Add<wabt::ConvertExpr>(op); }
  template <typename E, typename... Args>
  Code& Add(Args&&... args) {
    list_.push_back(std::make_unique<E>(std::forward<Args>(args)...));
    return *this;
  }
  Code& If(Code then, Code otherwise = {}, bool result = false) {
    auto e = std::make_unique<wabt::IfExpr>();
    if (result) e->true_.decl.sig.result_types = {Type::I32};
    e->true_.exprs = std::move(then.list_), e->false_ = std::move(otherwise.list_);
    list_.push_back(std::move(e));
    return *this;
  }
  void Before(ExprList& list, ExprList::iterator at) {
    while (!list_.empty()) list.insert(at, list_.extract(list_.begin()));
  }

 private:
  ExprList list_;
};

bool MakesFloats(Opcode op) {
  switch (op) {
    case Opcode::F32Add: case Opcode::F32Sub: case Opcode::F32Mul: case Opcode::F32Div: case Opcode::F32Min: case Opcode::F32Max:
    case Opcode::F32Ceil: case Opcode::F32Floor: case Opcode::F32Trunc: case Opcode::F32Nearest: case Opcode::F32Sqrt:
    case Opcode::F64Add: case Opcode::F64Sub: case Opcode::F64Mul: case Opcode::F64Div: case Opcode::F64Min: case Opcode::F64Max:
    case Opcode::F64Ceil: case Opcode::F64Floor: case Opcode::F64Trunc: case Opcode::F64Nearest: case Opcode::F64Sqrt:
    case Opcode::F32DemoteF64: case Opcode::F64PromoteF32: return true;
    default: return false;
  }
}

// The state of one function's rewriting.
class Rewriter {
 public:
  Rewriter(wabt::Module& m, wabt::Func& f, const Instruments& in) : m_(m), f_(f), in_(in), locals_(f.GetNumParamsAndLocals()) {
    state_ = Local(Type::I64);
  }

  uint32_t Run() {
    Survey(f_.exprs);
    const uint64_t slots = kFrameSlots + f_.GetNumParamsAndLocals() + std::min<uint64_t>(exprs_ / 32, 512);
    const bool deep = calls_ || slots > kLeafSlotsMax;
    Piece whole = Walk(f_.exprs, 0);
    // return and br leave by one door: a block around everything, whose label takes the place of the function's own.
    auto body = std::make_unique<wabt::BlockExpr>();
    body->block.decl.sig.result_types = f_.decl.sig.result_types;
    if (f_.decl.sig.result_types.size() > 1) {
      body->block.decl.has_func_type = true;
      body->block.decl.type_var = V(TypeOf(m_, {}, f_.decl.sig.result_types));
    }
    body->block.exprs = std::move(f_.exprs);
    f_.exprs.clear();
    Code entry;
    entry.GetGlobal(in_.state).I64(uint64_t(0) - (whole.cost << kDepthBits) + (deep ? slots : 0)).Binary(Opcode::I64Add);
    ++charges_;
    if (deep) entry.Tee(state_).I64((uint64_t(1) << 63) | kDepthMark).Binary(Opcode::I64And).I64(0).Compare(Opcode::I64Ne).If(Stop());
    else entry.Set(state_);
    entry.Before(f_.exprs, f_.exprs.end());
    f_.exprs.push_back(std::move(body));
    Code leave;
    leave.Get(state_);
    if (deep) leave.I64(slots).Binary(Opcode::I64Sub);
    leave.SetGlobal(in_.state);
    leave.Before(f_.exprs, f_.exprs.end());
    for (Type t : added_) f_.local_types.AppendDecl(t, 1);
    return charges_;
  }

 private:
  // A function that calls none and has no more variables than that adds so little to the stack that it is not counted.
  static constexpr uint64_t kLeafSlotsMax = 64;
  static constexpr int64_t kNothing = -1, kOut = INT32_MAX;

  struct Piece {
    uint64_t cost = 0;         // Of its first straight piece; whoever enters it pays.
    int64_t escape = kNothing;  // The outermost label that is branched to: 0 is the list's own.
  };

  Index Local(Type t) {
    added_.push_back(t);
    return locals_++;
  }
  Index Scratch(Type t) {
    std::optional<Index>& s = t == Type::I32 ? i32_ : t == Type::F32 ? f32_ : f64_;
    if (!s.has_value()) s = Local(t);
    return *s;
  }

  void Survey(const ExprList& list) {
    for (const Expr& e : list) {
      ++exprs_;
      switch (e.type()) {
        case ExprType::Call: case ExprType::CallIndirect: calls_ = true; break;
        case ExprType::Block: Survey(wabt::cast<wabt::BlockExpr>(&e)->block.exprs); break;
        case ExprType::Loop: Survey(wabt::cast<wabt::LoopExpr>(&e)->block.exprs); break;
        case ExprType::If:
          Survey(wabt::cast<wabt::IfExpr>(&e)->true_.exprs), Survey(wabt::cast<wabt::IfExpr>(&e)->false_);
          break;
        default: break;
      }
    }
  }

  Code Stop() {
    Code c;
    c.Get(state_).SetGlobal(in_.state).Add<wabt::UnreachableExpr>();
    return c;
  }
  void Charge(ExprList& list, ExprList::iterator at, uint64_t cost) {
    if (cost == 0) return;
    ++charges_;
    Code c;
    c.Get(state_).I64(cost << kDepthBits).Binary(Opcode::I64Sub).Set(state_);
    c.Before(list, at);
  }
  Code& Check(Code& c) { return c.Get(state_).I64(0).Compare(Opcode::I64LtS).If(Stop()); }

  // Takes one unit for 2^shift of the i32 in scratch (or 2^-shift units for each).
  void ChargeFor(Code& c, Index n, int shift) {
    ++charges_;
    c.Get(state_).Get(n).Convert(Opcode::I64ExtendI32U);
    if (shift > 0) c.I64(uint64_t(shift)).Binary(Opcode::I64ShrU);
    c.I64(uint64_t(kDepthBits + (shift < 0 ? -shift : 0))).Binary(Opcode::I64Shl).Binary(Opcode::I64Sub).Set(state_);
    Check(c);
  }

  // `depth`: labels around `list` in the function. What the first piece costs is not charged in it.
  Piece Walk(ExprList& list, uint32_t depth) {
    Piece out;
    std::optional<ExprList::iterator> begin;  // A mark before the piece at hand; none before the first.
    uint64_t cost = 0;
    const auto close = [&](ExprList::iterator next) {
      if (begin.has_value()) Charge(list, *begin, cost), list.erase(*begin);
      else out.cost = cost;
      begin = list.insert(next, std::make_unique<wabt::NopExpr>()), cost = 0;
    };
    for (auto it = list.begin(); it != list.end();) {
      const auto next = std::next(it);
      Expr* e = &*it;
      ++cost;
      int64_t escape = kNothing;
      switch (e->type()) {
        case ExprType::Block: {
          const Piece inner = Walk(wabt::cast<wabt::BlockExpr>(e)->block.exprs, depth + 1);
          cost += inner.cost, escape = inner.escape - 1;
          break;
        }
        case ExprType::Loop: {
          ExprList& body = wabt::cast<wabt::LoopExpr>(e)->block.exprs;
          const Piece inner = Walk(body, depth + 1);
          Code head;
          head.Get(state_).I64(std::max<uint64_t>(inner.cost, 1) << kDepthBits).Binary(Opcode::I64Sub).Tee(state_);
          head.I64(0).Compare(Opcode::I64LtS).If(Stop());
          ++charges_;
          head.Before(body, body.begin());
          escape = inner.escape - 1;
          break;
        }
        case ExprType::If: {
          auto* i = wabt::cast<wabt::IfExpr>(e);
          const Piece a = Walk(i->true_.exprs, depth + 1), b = Walk(i->false_, depth + 1);
          const uint64_t both = std::min(a.cost, b.cost);
          cost += both;
          Charge(i->true_.exprs, i->true_.exprs.begin(), a.cost - both);
          Charge(i->false_, i->false_.begin(), b.cost - both);
          escape = std::max(a.escape, b.escape) - 1;
          break;
        }
        case ExprType::Br: escape = int64_t(wabt::cast<wabt::BrExpr>(e)->var.index()); break;
        case ExprType::BrIf: escape = int64_t(wabt::cast<wabt::BrIfExpr>(e)->var.index()); break;
        case ExprType::BrTable: {
          auto* b = wabt::cast<wabt::BrTableExpr>(e);
          escape = int64_t(b->default_target.index());
          for (const wabt::Var& v : b->targets) escape = std::max(escape, int64_t(v.index()));
          break;
        }
        case ExprType::Return: {
          escape = kOut;
          list.insert(it, std::make_unique<wabt::BrExpr>(V(depth)));
          list.erase(it);
          break;
        }
        case ExprType::Unreachable: {
          Code c;
          c.Get(state_).SetGlobal(in_.state);
          c.Before(list, it);
          break;
        }
        case ExprType::Call: case ExprType::CallIndirect: {
          Code before, after;
          before.Get(state_).SetGlobal(in_.state);
          before.Before(list, it);
          after.GetGlobal(in_.state).Set(state_);
          after.Before(list, next);
          break;
        }
        default: Replace(list, it, next); break;
      }
      escape = std::max(escape, kNothing);
      out.escape = std::max(out.escape, escape);
      // A branch of this list, or out of a construct in it, ends what is always run; a construct that is left by its end alone does not.
      if (escape >= 0) close(next);
      it = next;
    }
    close(list.end());
    list.erase(*begin);
    return out;
  }

  // What fills, copies and grows pays by size; what calculates with floats is made to give the canonical NaN.
  void Replace(ExprList& list, ExprList::iterator it, ExprList::iterator next) {
    Code before, after;
    switch (it->type()) {
      case ExprType::MemoryFill: case ExprType::MemoryCopy: case ExprType::MemoryInit: return Sized(list, it, 4);
      case ExprType::TableFill: case ExprType::TableCopy: case ExprType::TableInit: case ExprType::TableGrow: return Sized(list, it, 0);
      case ExprType::MemoryGrow: return Grow(list, it);
      case ExprType::Binary:
        if (const Opcode op = wabt::cast<wabt::BinaryExpr>(&*it)->opcode; MakesFloats(op)) Canonical(list, next, op.GetResultType());
        return;
      case ExprType::Unary:
        if (const Opcode op = wabt::cast<wabt::UnaryExpr>(&*it)->opcode; MakesFloats(op)) Canonical(list, next, op.GetResultType());
        return;
      case ExprType::Convert:
        if (const Opcode op = wabt::cast<wabt::ConvertExpr>(&*it)->opcode; MakesFloats(op)) Canonical(list, next, op.GetResultType());
        return;
      default: return;
    }
  }
  void Sized(ExprList& list, ExprList::iterator it, int shift) {
    const Index n = Scratch(Type::I32);
    Code c;
    c.Set(n);
    ChargeFor(c, n, shift);
    c.Get(n);
    c.Before(list, it);
  }
  void Grow(ExprList& list, ExprList::iterator it) {
    const Index n = Scratch(Type::I32);
    Code c, refuse, grow, note;
    refuse.I32(uint32_t(-1));
    ChargeFor(grow, n, -12);  // A page is 4096 times 16 bytes.
    grow.Get(n).Add<wabt::MemoryGrowExpr>(V(0));
    note.I32(1).SetGlobal(in_.refused);
    c.Set(n).Add<wabt::MemorySizeExpr>(V(0)).Convert(Opcode::I64ExtendI32U).Get(n).Convert(Opcode::I64ExtendI32U).Binary(Opcode::I64Add);
    c.GetGlobal(in_.pages_max).Compare(Opcode::I64GtU).If(std::move(refuse), std::move(grow), true);
    c.Tee(n).I32(uint32_t(-1)).Compare(Opcode::I32Eq).If(std::move(note)).Get(n);
    c.Before(list, it);
    list.erase(it);
  }
  void Canonical(ExprList& list, ExprList::iterator next, Type type) {
    const bool single = type == Type::F32;
    const Index x = Scratch(type);
    Code c;
    c.Tee(x);
    single ? c.F32(0x7fc00000) : c.F64(0x7ff8000000000000);
    c.Get(x).Get(x).Compare(single ? Opcode::F32Eq : Opcode::F64Eq).Add<wabt::SelectExpr>(wabt::TypeVector{});
    c.Before(list, next);
  }

  wabt::Module& m_;
  wabt::Func& f_;
  const Instruments in_;
  Index locals_, state_ = 0;
  std::optional<Index> i32_, f32_, f64_;
  wabt::TypeVector added_;
  uint64_t exprs_ = 0;
  bool calls_ = false;
  uint32_t charges_ = 0;
};

}  // namespace

uint32_t Instrument(wabt::Module& m, wabt::Func& f, const Instruments& in) { return Rewriter(m, f, in).Run(); }

wabt::Index TypeOf(wabt::Module& m, const wabt::TypeVector& params, const wabt::TypeVector& results) {
  wabt::FuncSignature sig;
  sig.param_types = params, sig.result_types = results;
  if (const Index at = m.GetFuncTypeIndex(sig); at < m.types.size()) return at;
  auto field = std::make_unique<wabt::TypeModuleField>();
  auto type = std::make_unique<wabt::FuncType>();
  type->sig = sig;
  field->type = std::move(type);
  m.AppendField(std::move(field));
  return Index(m.types.size() - 1);
}

}  // namespace orchard::wasm
