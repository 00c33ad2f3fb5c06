#include "node/cage/job.h"

#include "node/wire/reader.h"
#include "node/wire/writer.h"

namespace orchard::cage {
namespace {

// One description of each shape serves both ways: Out writes the fields, In reads them.
class Out {
 public:
  void Number(uint64_t x) { w_.Uint(x); }
  void Number(uint32_t x) { w_.Uint(x); }
  void Text(const std::string& s) { w_.String(s); }
  void Key(const Key32& k) { w_.Key(k); }
  template <typename E>
  void Word(E e, E) { w_.U8(uint8_t(e)); }
  void Pairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
    w_.Uint(pairs.size());
    for (const auto& [name, value] : pairs) w_.String(name), w_.String(value);
  }
  std::string Take() { return w_.str(); }

 private:
  wire::Writer w_;
};

class In {
 public:
  explicit In(Bytes bytes) : r_(bytes) {}
  void Number(uint64_t& x) { x = r_.Uint(); }
  void Number(uint32_t& x) {
    const uint64_t n = r_.Uint();
    if (n > UINT32_MAX) r_.Fail("a number of more than 32 bits");
    x = uint32_t(n);
  }
  void Text(std::string& s) { s = AsText(r_.Buffer()); }
  void Key(Key32& k) { k = r_.Key(); }
  template <typename E>
  void Word(E& e, E last) {
    const uint8_t n = r_.U8();
    if (n > uint8_t(last)) r_.Fail("an unknown word");
    e = E(n);
  }
  void Pairs(std::vector<std::pair<std::string, std::string>>& pairs) {
    const uint64_t n = r_.ArraySize();
    if (n > r_.remaining() / 2) r_.Fail("more pairs than bytes");
    for (uint64_t i = 0; i < n && r_.ok(); ++i) {
      std::string name(AsText(r_.Buffer()));
      pairs.emplace_back(std::move(name), AsText(r_.Buffer()));
    }
  }
  absl::Status End() {
    if (r_.ok() && r_.remaining() > 0) r_.Fail("bytes after the end");
    return r_.status();
  }

 private:
  wire::Reader r_;
};

template <typename C, typename X>
void Fields(C& c, X& limits, const Limits*) { c.Number(limits.memory_bytes), c.Number(limits.timeout_ms); }
template <typename C, typename X>
void Fields(C& c, X& x, const LoadArgs*) { c.Text(x.name), c.Text(x.bytes), Fields(c, x.limits, static_cast<const Limits*>(nullptr)), c.Text(x.directory), c.Text(x.files); }
template <typename C, typename X>
void Fields(C& c, X& x, const LoadResult*) { c.Key(x.module), c.Word(x.abi, Abi::kExtism), c.Number(x.bytes), c.Number(x.metered_bytes), c.Key(x.files); }
template <typename C, typename X>
void Fields(C& c, X& x, const SpawnArgs*) { c.Number(x.cage), c.Key(x.module), Fields(c, x.limits, static_cast<const Limits*>(nullptr)), c.Key(x.files); }
template <typename C, typename X>
void Fields(C& c, X& x, const WatchArgs*) { c.Number(x.cage); }
template <typename C, typename X>
void Fields(C& c, X& x, const Death*) { c.Word(x.cause, Cause::kEngine), c.Text(x.detail); }
template <typename C, typename X>
void Fields(C& c, X& x, const RunArgs*) {
  c.Number(x.cage), c.Number(x.unix_us), c.Key(x.seed);
  c.Text(x.request.method), c.Text(x.request.target), c.Text(x.request.authority), c.Text(x.request.scheme), c.Text(x.request.remote);
  c.Pairs(x.request.headers), c.Text(x.request.body);
}
template <typename C, typename X>
void Fields(C& c, X& x, const RunResult*) {
  c.Word(x.cause, Cause::kEngine), c.Text(x.detail), c.Number(x.fuel), c.Number(x.memory_bytes), c.Text(x.answer), c.Text(x.log);
}
template <typename C, typename X>
void Fields(C& c, X& x, const StopArgs*) { c.Number(x.cage); }

template <typename T>
std::string EncodeAny(const T& x) {
  Out out;
  Fields(out, x, static_cast<const T*>(nullptr));
  return out.Take();
}
template <typename T>
absl::StatusOr<T> DecodeAny(Bytes bytes) {
  T x;
  In in(bytes);
  Fields(in, x, static_cast<const T*>(nullptr));
  if (absl::Status s = in.End(); !s.ok()) return s;
  return x;
}

}  // namespace

std::string_view CauseName(Cause cause) {
  static constexpr std::string_view kNames[] = {"none", "panic", "timeout", "memory", "engine"};
  return kNames[size_t(cause)];
}

std::string Encode(const LoadArgs& x) { return EncodeAny(x); }
std::string Encode(const LoadResult& x) { return EncodeAny(x); }
std::string Encode(const SpawnArgs& x) { return EncodeAny(x); }
std::string Encode(const WatchArgs& x) { return EncodeAny(x); }
std::string Encode(const Death& x) { return EncodeAny(x); }
std::string Encode(const RunArgs& x) { return EncodeAny(x); }
std::string EncodeRun(uint32_t cage, uint64_t unix_us, const Key32& seed, const Request& request) {
  const struct {
    uint32_t cage;
    uint64_t unix_us;
    const Key32& seed;
    const Request& request;
  } x{cage, unix_us, seed, request};
  Out out;
  Fields(out, x, static_cast<const RunArgs*>(nullptr));
  return out.Take();
}
std::string Encode(const RunResult& x) { return EncodeAny(x); }
std::string Encode(const StopArgs& x) { return EncodeAny(x); }

template <> absl::StatusOr<LoadArgs> Decode(Bytes bytes) { return DecodeAny<LoadArgs>(bytes); }
template <> absl::StatusOr<LoadResult> Decode(Bytes bytes) { return DecodeAny<LoadResult>(bytes); }
template <> absl::StatusOr<SpawnArgs> Decode(Bytes bytes) { return DecodeAny<SpawnArgs>(bytes); }
template <> absl::StatusOr<WatchArgs> Decode(Bytes bytes) { return DecodeAny<WatchArgs>(bytes); }
template <> absl::StatusOr<Death> Decode(Bytes bytes) { return DecodeAny<Death>(bytes); }
template <> absl::StatusOr<RunArgs> Decode(Bytes bytes) { return DecodeAny<RunArgs>(bytes); }
template <> absl::StatusOr<RunResult> Decode(Bytes bytes) { return DecodeAny<RunResult>(bytes); }
template <> absl::StatusOr<StopArgs> Decode(Bytes bytes) { return DecodeAny<StopArgs>(bytes); }

absl::StatusOr<uint32_t> CageOfRun(Bytes bytes) {
  wire::Reader r(bytes);
  const uint64_t cage = r.Uint();
  if (!r.ok()) return r.status();
  if (cage > UINT32_MAX) return absl::InvalidArgumentError("a number of more than 32 bits");
  return uint32_t(cage);
}

}  // namespace orchard::cage
