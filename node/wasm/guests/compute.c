/* Work to be measured: SHA-256, a recursion, and floating point, by path. */
#include "reactor.h"

#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))
static const uint32_t k_[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint8_t data_[65536];
static uint32_t s_[8];

static void block(const uint8_t* d) {
  uint32_t w[64], v[8];
  for (int i = 0; i < 16; i++) w[i] = (uint32_t)d[4 * i] << 24 | d[4 * i + 1] << 16 | d[4 * i + 2] << 8 | d[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + (ROTATE(a, 7) ^ ROTATE(a, 18) ^ a >> 3) + w[i - 7] + (ROTATE(b, 17) ^ ROTATE(b, 19) ^ b >> 10);
  }
  for (int i = 0; i < 8; i++) v[i] = s_[i];
  for (int i = 0; i < 64; i++) {
    uint32_t e = v[4], a = v[0];
    uint32_t t = v[7] + (ROTATE(e, 6) ^ ROTATE(e, 11) ^ ROTATE(e, 25)) + ((e & v[5]) ^ (~e & v[6])) + k_[i] + w[i];
    uint32_t u = (ROTATE(a, 2) ^ ROTATE(a, 13) ^ ROTATE(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
    v[7] = v[6], v[6] = v[5], v[5] = e, v[4] = v[3] + t, v[3] = v[2], v[2] = v[1], v[1] = a, v[0] = t + u;
  }
  for (int i = 0; i < 8; i++) s_[i] += v[i];
}
EXPORT(sha256) uint32_t sha256(uint32_t rounds) {
  static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  for (int i = 0; i < 8; i++) s_[i] = start[i];
  for (uint32_t i = 0; i < sizeof data_; i++) data_[i] = (uint8_t)(i * 31u);
  for (uint32_t r = 0; r < rounds; r++)
    for (uint32_t i = 0; i < sizeof data_; i += 64) block(data_ + i);
  return s_[0];
}
EXPORT(fib) uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
EXPORT(series) uint32_t series(uint32_t n) { /* What is no number shows its bits at the end. */
  double sum = 0, odd = 0;
  for (uint32_t i = 1; i <= n; i++) sum += (i & 1 ? 1.0 : -1.0) / (2 * i - 1), odd = odd * 1e200 - odd + (double)i;
  union { double d; uint64_t u; } bits = {.d = sum * (odd - odd)}, pi = {.d = sum * 4};
  return (uint32_t)(bits.u >> 32) ^ (uint32_t)pi.u;
}
EXPORT(nop) uint32_t nop(uint32_t a, uint32_t b) { return a + b; }

EXPORT(handle_request) uint64_t handle_request(uint32_t at, uint32_t size) {
  uint32_t n, result = 0;
  const uint8_t* path = target((const uint8_t*)(uintptr_t)at, size, &n);
  out_size_ = 0;
  if (is(path, n, "/sha")) result = sha256(1);
  if (is(path, n, "/fib")) result = fib(20);
  if (is(path, n, "/series")) result = series(1000);
  put("Content-Type: text/plain\n\n");
  put_number(result);
  put("\n");
  return answer();
}
