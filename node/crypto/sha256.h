// SHA-256, for what people compare with the tools at hand. The protocols hash with BLAKE2b.
#pragma once

#include "node/base/bytes.h"

namespace orchard::crypto {

Key32 Sha256(Bytes data);

}  // namespace orchard::crypto
