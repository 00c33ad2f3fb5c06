// What nghttp2 allocates for one connection: counted, and bounded.
#pragma once

#include <cstddef>

#include <nghttp2/nghttp2.h>

namespace orchard::http2 {

class SessionMemory {
 public:
  explicit SessionMemory(size_t max);
  SessionMemory(const SessionMemory&) = delete;
  SessionMemory& operator=(const SessionMemory&) = delete;

  // For nghttp2_session_server_new3, which copies it; it names this object.
  nghttp2_mem* allocator() { return &mem_; }
  size_t used() const { return used_; }
  size_t most() const { return most_; }

 private:
  void* Get(size_t size);
  void Free(void* p);
  void* Resize(void* p, size_t size);

  size_t max_, used_ = 0, most_ = 0;
  nghttp2_mem mem_{};
};

}  // namespace orchard::http2
