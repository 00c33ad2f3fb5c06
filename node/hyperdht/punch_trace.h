// The events of hole punching. `socket` is the number of the puncher's first socket.
#pragma once

#include <cstdint>
#include <string_view>

namespace orchard::hyperdht {

// One more node saw the socket's packets. `reopens`: sockets that were given up before this one.
struct PunchSampled {
  static constexpr std::string_view kName = "punch.sampled";
  uint32_t socket;
  uint64_t reopens, samples;
  std::string_view nat;       // As classified now: "unknown", "open", "consistent", "random".
  template <class V>
  void Fields(V&& v) const { v("socket", socket), v("reopens", reopens), v("samples", samples), v("nat", nat); }
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
