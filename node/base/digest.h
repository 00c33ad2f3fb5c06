// A streaming fingerprint: XXH3-128. Bytes are framed by what they are, so that no two histories fold to one stream.
#pragma once

#define XXH_STATIC_LINKING_ONLY  // The state by value.
#include <xxhash.h>

#include <cstdint>
#include <string>

#include "node/base/bytes.h"

namespace orchard {

class Digest {
 public:
  Digest();
  void Add(uint64_t x);
  void Add(Bytes bytes);  // With its length.
  // The digest of all that was added so far; more may follow.
  XXH128_hash_t value() const;
  std::string hex() const;

 private:
  XXH3_state_t state_;
};

}  // namespace orchard
