#include "node/http2/session_memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "node/base/check.h"

namespace orchard::http2 {
namespace {

// Before each block, its size; as long as the strictest alignment.
constexpr size_t kFront = alignof(std::max_align_t);
static_assert(kFront >= sizeof(size_t));

size_t SizeOf(void* block) {
  size_t size;
  std::memcpy(&size, static_cast<char*>(block) - kFront, sizeof size);
  return size;
}

SessionMemory& Self(void* user) { return *static_cast<SessionMemory*>(user); }

}  // namespace

SessionMemory::SessionMemory(size_t max) : max_(max) {
  mem_ = {.mem_user_data = this,
          .malloc = [](size_t size, void* user) { return Self(user).Get(size); },
          .free = [](void* p, void* user) { Self(user).Free(p); },
          .calloc = [](size_t n, size_t size, void* user) -> void* {
            if (size != 0 && n > SIZE_MAX / size) return nullptr;
            void* p = Self(user).Get(n * size);
            return p == nullptr ? nullptr : std::memset(p, 0, n * size);
          },
          .realloc = [](void* p, size_t size, void* user) { return Self(user).Resize(p, size); }};
}

void* SessionMemory::Get(size_t size) {
  if (size > max_ - std::min(used_, max_)) return nullptr;
  char* at = static_cast<char*>(std::malloc(size + kFront));
  CHECK(at != nullptr);  // The machine's memory is not the client's affair.
  std::memcpy(at, &size, sizeof size);
  used_ += size, most_ = std::max(most_, used_);
  return at + kFront;
}

void SessionMemory::Free(void* p) {
  if (p == nullptr) return;
  used_ -= SizeOf(p);
  std::free(static_cast<char*>(p) - kFront);
}

void* SessionMemory::Resize(void* p, size_t size) {
  if (p == nullptr) return Get(size);
  void* fresh = Get(size);
  if (fresh == nullptr) return nullptr;  // The old block stays.
  std::memcpy(fresh, p, std::min(size, SizeOf(p)));
  Free(p);
  return fresh;
}

}  // namespace orchard::http2
