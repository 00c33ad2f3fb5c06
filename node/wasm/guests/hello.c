/* A small site: says hello, counts its visits, and hashes what it is asked for. */
#include "reactor.h"

static uint32_t visits;

EXPORT(handle_request) uint64_t handle_request(uint32_t at, uint32_t size) {
  uint32_t n;
  const uint8_t* path = target((const uint8_t*)(uintptr_t)at, size, &n);
  out_size_ = 0;
  visits++;
  if (n == 1) {
    put("Content-Type: text/html; charset=utf-8\n\n<!doctype html><title>Orchard</title><h1>Hello from a cage</h1>\n");
  } else if (is(path, n, "/health")) {
    put("Content-Type: text/plain\n\nok\n");
  } else if (n > 5 && is(path, 5, "/api/")) {
    uint32_t h = 2166136261u; /* FNV-1a */
    for (uint32_t i = 0; i < n; i++) h = (h ^ path[i]) * 16777619u;
    put("Content-Type: application/json\n\n{\"hash\":");
    put_number(h);
    put(",\"visits\":");
    put_number(visits);
    put("}\n");
  } else {
    put("Status: 404 Not Found\nContent-Type: text/plain\n\nnothing here: ");
    put_bytes(path, n);
    put("\n");
  }
  return answer();
}
