// The events of this layer.
#pragma once

#include <cstdint>
#include <string_view>

#include "node/base/bytes.h"

namespace orchard::hyperdht {

struct RecordStored {
  static constexpr std::string_view kName = "dht.record.stored";
  std::string_view kind;  // "peer", "self", "mutable", "immutable".
  Bytes target;
  template <class V>
  void Fields(V&& v) const { v("kind", kind), v("target", target); }
};

struct Rejected {
  static constexpr std::string_view kName = "dht.rejected";
  std::string_view why;
  uint64_t command;
  template <class V>
  void Fields(V&& v) const { v("why", why), v("command", command); }
};

struct Relayed {
  static constexpr std::string_view kName = "dht.relayed";
  std::string_view what;  // "handshake", "holepunch".
  Bytes target;
  template <class V>
  void Fields(V&& v) const { v("what", what), v("target", target); }
};

}  // namespace orchard::hyperdht
