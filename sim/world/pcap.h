// What a host sends and receives, as a file that Wireshark opens: pcap with nanoseconds, link type raw IP
// (draft-ietf-opsawg-pcap). Buffered, and open only while it writes: ten thousand hosts have one each.
#pragma once

#include <cstdint>
#include <string>

#include "node/base/bytes.h"

namespace orchard::sim {

class Pcap {
 public:
  static constexpr size_t kBufferMax = 64 << 10;
  static constexpr uint32_t kLinkTypeRaw = 101;

  // `epoch_s` is the wall time of the world's beginning.
  Pcap(std::string path, int64_t epoch_s);
  ~Pcap();
  void Write(int64_t now_ns, Bytes packet);

 private:
  void Put32(uint32_t x);
  void Flush();
  std::string path_, buffer_;
  int64_t epoch_s_;
  bool fresh_ = true;
};

}  // namespace orchard::sim
