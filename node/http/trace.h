// The events of this layer.
#pragma once

#include <cstdint>
#include <string_view>

#include "node/base/bytes.h"

namespace orchard::http {

// A client's exchange that brought nothing, or not what was asked for.
struct HttpFailed {
  static constexpr std::string_view kName = "http.failed";
  std::string_view host, why;
  uint64_t status;
  template <class V>
  void Fields(V&& v) const { v("host", host), v("why", why), v("status", status); }
};
// A stranger's message that a server did not take.
struct HttpRefused {
  static constexpr std::string_view kName = "http.refused";
  std::string_view why;
  uint64_t status;
  template <class V>
  void Fields(V&& v) const { v("why", why), v("status", status); }
};
// An origin's answer. `bytes` of body.
struct HttpAnswered {
  static constexpr std::string_view kName = "http.answered";
  std::string_view path;
  uint64_t status, bytes;
  template <class V>
  void Fields(V&& v) const { v("path", path), v("status", status), v("bytes", bytes); }
};
// The next piece of what a get brings.
struct HttpReceived {
  static constexpr std::string_view kName = "http.received";
  uint64_t get, bytes;
  template <class V>
  void Fields(V&& v) const { v("get", get), v("bytes", bytes); }
};
// A get is over. Times in nanoseconds, from its start.
struct HttpGot {
  static constexpr std::string_view kName = "http.got";
  uint64_t get, status, bytes, took_ns, first_byte_ns, gap_ns;
  std::string_view why;
  template <class V>
  void Fields(V&& v) const {
    v("get", get), v("status", status), v("bytes", bytes), v("took_ns", took_ns), v("first_byte_ns", first_byte_ns), v("gap_ns", gap_ns), v("why", why);
  }
};

}  // namespace orchard::http
