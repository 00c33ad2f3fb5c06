// Packets that came before others which are missing. Made by a stream when the first such packet comes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "node/udx/seq_ranges.h"

namespace orchard::udx {

class Reassembly {
 public:
  struct Packet {
    std::vector<uint8_t> bytes;
    bool has_data = false;  // Else an END without bytes.
  };

  // `next`: the first seq that is missing. Returns false if `seq`, which lies after it, is here already.
  bool Hold(uint32_t next, uint32_t seq, Bytes bytes, bool has_data);
  // The packet `next`, if it is here.
  std::optional<Packet> Take(uint32_t next);

  bool empty() const { return held_.empty(); }
  size_t bytes() const { return bytes_; }
  // What is held, for a SACK.
  absl::Span<const SeqRange> ranges() const { return held_.ranges(); }

 private:
  SeqRanges held_;
  std::vector<Packet> slots_;  // By seq modulo its size, a power of two.
  size_t bytes_ = 0;
};

}  // namespace orchard::udx
