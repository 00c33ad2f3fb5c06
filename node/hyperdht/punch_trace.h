// The events of hole punching. `socket` is the number of the puncher's first socket.
#pragma once

#include <cstdint>
#include <string_view>

namespace orchard::hyperdht {

// The NAT before the puncher's socket is known, as well as it will be. `reopens`: sockets tried before this one.
struct PunchAnalyzed {
  static constexpr std::string_view kName = "punch.analyzed";
  uint32_t socket;
  std::string_view nat;  // "unknown", "open", "consistent", "random".
  uint64_t samples, reopens;
  template <class V>
  void Fields(V&& v) const { v("socket", socket), v("nat", nat), v("samples", samples), v("reopens", reopens); }
};
struct PunchBegan {
  static constexpr std::string_view kName = "punch.began";
  uint32_t socket;
  std::string_view strategy;  // "consistent", "random-ports", "birthday".
  uint64_t initiator;
  std::string_view local_nat, remote_nat;
  template <class V>
  void Fields(V&& v) const {
    v("socket", socket), v("strategy", strategy), v("initiator", initiator), v("local_nat", local_nat), v("remote_nat", remote_nat);
  }
};
// Of one that began.
struct PunchEnded {
  static constexpr std::string_view kName = "punch.ended";
  uint32_t socket;
  std::string_view how;       // "connected": a probe came. "settled": a path was chosen. "aborted", "destroyed".
  uint64_t took_ns, probes;   // Since it began; all datagrams of one byte that were sent.
  template <class V>
  void Fields(V&& v) const { v("socket", socket), v("how", how), v("took_ns", took_ns), v("probes", probes); }
};

}  // namespace orchard::hyperdht
