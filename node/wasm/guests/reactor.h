/* The reactor ABI of cages, for guests in C without a library. The host calls alloc() for a place to put requests at, and again only
   when one is longer; handle_request() gets a request as the text of HTTP/1.1 there and gives address << 32 | size of a document of
   header lines, an empty line and a body (RFC 3875 section 6). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name)))

extern unsigned char __heap_base;
static uint8_t out_[65536];
static uint32_t out_size_;

static inline void put(const char* s) {
  while (*s && out_size_ < sizeof out_) out_[out_size_++] = (uint8_t)*s++;
}
static inline void put_bytes(const uint8_t* s, uint32_t n) {
  while (n-- && out_size_ < sizeof out_) out_[out_size_++] = *s++;
}
static inline void put_number(uint32_t n) {
  char digits[10];
  int i = 10;
  do digits[--i] = (char)('0' + n % 10);
  while (n /= 10);
  put_bytes((const uint8_t*)digits + i, (uint32_t)(10 - i));
}
static inline uint64_t answer(void) { return (uint64_t)(uintptr_t)out_ << 32 | out_size_; }

/* The target of a request's first line. */
static inline const uint8_t* target(const uint8_t* p, uint32_t size, uint32_t* length) {
  uint32_t i = 0;
  while (i < size && p[i] != ' ') i++;
  uint32_t begin = ++i;
  while (i < size && p[i] != ' ') i++;
  *length = i > begin ? i - begin : 0;
  return p + begin;
}
static inline int is(const uint8_t* s, uint32_t n, const char* word) {
  for (uint32_t i = 0; i < n; i++)
    if (word[i] == 0 || (uint8_t)word[i] != s[i]) return 0;
  return word[n] == 0;
}

/* A place for requests, grown when a longer one comes; what was there before is not needed any more. */
static uint32_t pages_of(uint32_t bytes) { return (bytes + 65535) / 65536; }
EXPORT(alloc) uint32_t alloc(uint32_t bytes) {
  uint32_t at = ((uint32_t)(uintptr_t)&__heap_base + 15) & ~15u;
  uint32_t need = pages_of(at) + pages_of(bytes) + 1, have = (uint32_t)__builtin_wasm_memory_size(0);
  if (need > have && __builtin_wasm_memory_grow(0, need - have) == (size_t)-1) return 0;
  return at;
}
