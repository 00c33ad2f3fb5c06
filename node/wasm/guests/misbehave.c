/* A site that goes wrong in the way that its path names. */
#include "reactor.h"

static volatile uint32_t sink;

__attribute__((noinline)) static uint32_t recurse(uint32_t n) {
  volatile uint32_t frame[4];
  frame[0] = n;
  return n ? recurse(n + 1) + frame[0] : 0;
}
/* Without a frame in memory: only the engine's own stack grows. */
__attribute__((noinline)) static uint32_t ladder(uint32_t n) {
  if (sink == 77) return n;
  uint32_t below = ladder(n * 3 + 1);
  sink = below; /* Or the compiler makes a loop of it. */
  return below + n;
}

EXPORT(handle_request) uint64_t handle_request(uint32_t at, uint32_t size) {
  uint32_t n;
  const uint8_t* path = target((const uint8_t*)(uintptr_t)at, size, &n);
  out_size_ = 0;
  if (is(path, n, "/loop")) for (;;) sink++;
  if (is(path, n, "/recurse")) sink = recurse(1);
  if (is(path, n, "/ladder")) sink = ladder(1);
  if (is(path, n, "/trap")) __builtin_trap();
  if (is(path, n, "/stray")) sink = *(volatile uint32_t*)0xfffffff0u;
  if (is(path, n, "/divide")) sink = 1000 / sink;
  if (is(path, n, "/silent")) return 0;
  if (is(path, n, "/outside")) return 0xfffffff000000100ull;
  if (is(path, n, "/huge")) return 0x00000000ffffffffull;
  if (is(path, n, "/hog")) {
    while (__builtin_wasm_memory_grow(0, 16) != (size_t)-1) {
    }
    __builtin_trap();
  }
  if (is(path, n, "/greedy")) { /* Asks for more than there is, bears the no, and answers. */
    put(__builtin_wasm_memory_grow(0, 65535) == (size_t)-1 ? "Content-Type: text/plain\n\nrefused\n" : "Content-Type: text/plain\n\ngiven\n");
    return answer();
  }
  if (is(path, n, "/bad-headers")) {
    put("this is no header\n\nbody\n");
    return answer();
  }
  put("Content-Type: text/plain\n\nfine\n");
  return answer();
}
