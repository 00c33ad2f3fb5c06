// Kernels of the streams (bench/kernels.h).
#pragma once

#include <cstddef>

namespace orchard::bench {

// One full packet of a bulk stream: written, sent, received, told, consumed, acknowledged.
void UdxBulk(size_t rounds);
// One small message each way, each acknowledged: four packets.
void UdxEcho(size_t rounds);

}  // namespace orchard::bench
