// Compact-encoding: whatever the bytes, a reader never leaves its window; a varint that reads back writes back.
#include "node/base/check.h"
#include "node/wire/reader.h"
#include "node/wire/writer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard;
  if (size == 0) return 0;
  wire::Reader r(Bytes(data + 1, size - 1));
  // The first byte picks what is read, again and again until the window is empty or wrong.
  for (int i = 0; i < 64 && r.ok() && r.remaining() > 0; ++i) {
    switch ((data[0] + i) % 12) {
      case 0: {
        uint64_t x = r.Uint();
        if (!r.ok()) break;
        wire::Writer w;
        w.Uint(x);
        CHECK_EQ(wire::Reader(w.bytes()).Uint(), x);
        break;
      }
      case 1: r.Int(); break;
      case 2: r.Fixed(1 + data[0] % 8); break;
      case 3: r.Buffer(); break;
      case 4: r.OptionalBuffer(); break;
      case 5: r.Key(); break;
      case 6: r.Ipv4(); break;
      case 7: r.Ipv6(); break;
      case 8: r.ArraySize(); break;
      case 9: r.Frame().Raw(); break;
      case 10: r.Lexint(); break;
      case 11: r.Bitfield(); break;
    }
  }
  return 0;
}
