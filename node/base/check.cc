#include "node/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace orchard::internal {

void CheckFailed(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: this must hold and does not: %s\n", file, line, what.c_str());
  std::abort();
}

}  // namespace orchard::internal
