// The proxy's events.
#pragma once

#include <cstdint>
#include <string_view>

namespace orchard::pod {

// A client's request that was not answered by its origin. Status 0: the answer was broken off.
struct ProxyFailed {
  static constexpr std::string_view kName = "pod.proxy.failed";
  std::string_view host, why;
  uint64_t status;
  template <class V>
  void Fields(V&& v) const { v("host", host), v("why", why), v("status", status); }
};
// There is no proxy: its port could not be bound. `why` is the name of an absl::StatusCode; `orchard pod proxy` has the way out.
struct ProxyUnbound {
  static constexpr std::string_view kName = "pod.proxy.unbound";
  uint64_t port;
  std::string_view why;
  template <class V>
  void Fields(V&& v) const { v("port", port), v("why", why); }
};
// An answer is put together from parts. `peers` 0: by ourselves.
struct ProxySplit {
  static constexpr std::string_view kName = "pod.proxy.split";
  std::string_view host;
  uint64_t first, last, size, peers;
  template <class V>
  void Fields(V&& v) const { v("host", host), v("first", first), v("last", last), v("size", size), v("peers", peers); }
};

}  // namespace orchard::pod
