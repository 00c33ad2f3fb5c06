/* An Extism plug-in: answers with the first line of the request and how often it was called. */
#include <stddef.h>
#include <stdint.h>

#define HOST(name) __attribute__((import_module("extism:host/env"), import_name(#name)))
HOST(input_length) uint64_t input_length(void);
HOST(input_load_u8) uint8_t input_load_u8(uint64_t at);
HOST(alloc) uint64_t extism_alloc(uint64_t bytes);
HOST(store_u8) void store_u8(uint64_t at, uint8_t byte);
HOST(load_u8) uint8_t load_u8(uint64_t at);
HOST(output_set) void output_set(uint64_t at, uint64_t bytes);
HOST(error_set) void error_set(uint64_t at);
HOST(var_get) uint64_t var_get(uint64_t name);
HOST(var_set) void var_set(uint64_t name, uint64_t value);
HOST(log_info) void log_info(uint64_t at);

static uint64_t text(const char* s) {
  uint64_t n = 0;
  while (s[n]) n++;
  uint64_t at = extism_alloc(n);
  for (uint64_t i = 0; i < n; i++) store_u8(at + i, (uint8_t)s[i]);
  return at;
}

__attribute__((export_name("handle"))) int32_t handle(void) {
  uint64_t size = input_length(), line = 0;
  while (line < size && input_load_u8(line) != '\r') line++;
  if (line > 8 && input_load_u8(4) == '/' && input_load_u8(5) == 'f' && input_load_u8(6) == 'a') {
    error_set(text("told to fail"));
    return 1;
  }
  uint64_t name = text("calls"), old = var_get(name), calls = (old ? load_u8(old) : '0') + 1;
  uint64_t value = extism_alloc(1);
  store_u8(value, (uint8_t)calls);
  var_set(name, value);
  log_info(text("handled"));
  static const char head[] = "Content-Type: text/plain\n\n";
  uint64_t out = extism_alloc(sizeof head - 1 + line + 3), at = out;
  for (size_t i = 0; i + 1 < sizeof head; i++) store_u8(at++, (uint8_t)head[i]);
  for (uint64_t i = 0; i < line; i++) store_u8(at++, input_load_u8(i));
  store_u8(at++, ' '), store_u8(at++, (uint8_t)calls), store_u8(at++, '\n');
  output_set(out, at - out);
  return 0;
}
