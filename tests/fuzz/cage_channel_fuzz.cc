// Frames between a daemon and its worker processes, cut anywhere.
#include <algorithm>

#include "node/base/check.h"
#include "node/cage_worker/channel.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard::cage_worker;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.empty()) return 0;
  const size_t piece = size_t(data[0]) + 1;
  bytes.remove_prefix(1);
  FrameReader reader;
  while (!bytes.empty()) {
    const size_t n = std::min(piece, bytes.size());
    reader.Feed(bytes.substr(0, n));
    bytes.remove_prefix(n);
    for (;;) {
      auto frame = reader.Next();
      if (!frame.ok()) return 0;
      if (!frame->has_value()) break;
      std::string again;
      Append(again, **frame);
      CHECK_EQ(again.size(), (*frame)->payload.size() + 11);
    }
  }
  return 0;
}
