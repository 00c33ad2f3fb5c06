// What happened, for whoever watches: one struct per event, a stable dotted name, fields of integers, ids and short bytes;
// never prose, never floating point. Written, never read back. Logs, metrics, pcap and drawings are renderings made outside.
//
//   struct PunchRound {
//     static constexpr std::string_view kName = "punch.round";
//     uint32_t round, probes;
//     template <class V> void Fields(V&& v) const { v("round", round); v("probes", probes); }
//   };
//   turn.trace.Add(PunchRound{.round = 3, .probes = 2});
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "absl/types/span.h"
#include "node/base/bytes.h"
#include "node/base/check.h"
#include "node/base/digest.h"
#include "node/base/time.h"

namespace orchard {

// `bytes` is set for ids and short texts, else `number` is the value.
struct TraceField {
  const char* name;
  uint64_t number = 0;
  Bytes bytes{};
};

class Trace {
 public:
  struct Sink {
    virtual ~Sink() = default;
    virtual void Record(std::string_view event, absl::Span<const TraceField> fields) = 0;
  };
  static constexpr size_t kFieldsMax = 12;

  // Both null in a daemon that nobody watches.
  Trace(Digest* digest, Sink* sink) : digest_(digest), sink_(sink) {}

  template <class Event>
  void Add(const Event& e) {
    if (digest_ == nullptr && sink_ == nullptr) return;
    Collector c;
    e.Fields(c);
    if (digest_ != nullptr) Fold(Event::kName, c.fields());
    if (sink_ != nullptr) sink_->Record(Event::kName, c.fields());
  }

 private:
  class Collector {
   public:
    void operator()(const char* name, uint64_t number) { Push({.name = name, .number = number}); }
    void operator()(const char* name, Bytes bytes) { Push({.name = name, .bytes = bytes}); }
    void operator()(const char* name, std::string_view text) { Push({.name = name, .bytes = AsBytes(text)}); }
    absl::Span<const TraceField> fields() const { return {fields_.data(), size_}; }

   private:
    void Push(TraceField f) {
      CHECK_LT(size_, kFieldsMax);
      fields_[size_++] = f;
    }
    std::array<TraceField, kFieldsMax> fields_;
    size_t size_ = 0;
  };
  void Fold(std::string_view name, absl::Span<const TraceField> fields);

  Digest* digest_;
  Sink* sink_;
};

}  // namespace orchard
