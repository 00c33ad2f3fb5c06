#include "node/wasm/engine.h"

#include <dlfcn.h>

#include <utility>

namespace orchard::wasm {

// V8 is 46 MB, which no `orchard info` shall load: it comes with a library of its own when a cage is first wanted.
std::unique_ptr<Engine> MakeV8() {
#ifdef ORCHARD_V8_LIBRARY
  static Engine* (*const make)() = []() -> Engine* (*)() {
    for (const char* path : {ORCHARD_V8_LIBRARY, "$ORIGIN/orchard_v8.so", "$ORIGIN/../lib/orchard/orchard_v8.so"}) {
      if (void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL); library != nullptr) {
        return reinterpret_cast<Engine* (*)()>(dlsym(library, "orchard_make_v8"));
      }
    }
    return nullptr;
  }();
  if (make != nullptr) return std::unique_ptr<Engine>(make());
#endif
  return nullptr;
}

std::unique_ptr<Engine> MakeEngine() {
  std::unique_ptr<Engine> v8 = MakeV8();
  return v8 != nullptr ? std::move(v8) : MakeInterpreter();
}

}  // namespace orchard::wasm
