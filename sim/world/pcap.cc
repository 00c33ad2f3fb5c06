#include "sim/world/pcap.h"

#include <fstream>
#include <utility>

namespace orchard::sim {

Pcap::Pcap(std::string path, int64_t epoch_s) : path_(std::move(path)), epoch_s_(epoch_s) {
  Put32(0xa1b23c4d);               // Nanoseconds.
  Put32(4u << 16 | 2u);            // Version 2.4.
  Put32(0), Put32(0);              // Reserved.
  Put32(0xffff);                   // Packets are whole.
  Put32(kLinkTypeRaw);
}
Pcap::~Pcap() { Flush(); }

// The magic number says in which order the writer's bytes are.
void Pcap::Put32(uint32_t x) {
  for (int i = 0; i < 4; ++i) buffer_.push_back(char(x >> 8 * i));
}

void Pcap::Write(int64_t now_ns, Bytes packet) {
  Put32(uint32_t(epoch_s_ + now_ns / 1'000'000'000));
  Put32(uint32_t(now_ns % 1'000'000'000));
  Put32(uint32_t(packet.size())), Put32(uint32_t(packet.size()));
  buffer_.append(AsText(packet));
  if (buffer_.size() >= kBufferMax) Flush();
}

void Pcap::Flush() {
  std::ofstream out(path_, std::ios::binary | (fresh_ ? std::ios::trunc : std::ios::app));
  out << buffer_;
  buffer_.clear();
  fresh_ = false;
}

}  // namespace orchard::sim
