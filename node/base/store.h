// The node's view of its storage: ordered bytes. A turn reads its own writes; they commit as one batch when it returns.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/functional/function_ref.h"
#include "node/base/bytes.h"

namespace orchard {

class Store {
 public:
  virtual ~Store() = default;
  // Valid until this turn ends or writes. Reads are synchronous; cold bulk reads belong in a job.
  virtual std::optional<Bytes> Get(Bytes key) = 0;
  virtual void Put(Bytes key, Bytes value) = 0;
  virtual void Erase(Bytes key) = 0;
  // Visits [from, to) in key order until `visit` returns false; `visit` must not write. No iterator outlives the call.
  virtual void Scan(Bytes from, Bytes to, absl::FunctionRef<bool(Bytes key, Bytes value)> visit) = 0;
  // This turn must survive power loss before its gated outputs leave: a new signature, a key pair, an acknowledged put.
  // Without it a turn survives the death of the process (kill -9), and nothing waits.
  virtual void Sync() = 0;
  // Bytes that may still be written before the reserve is touched. A commit never fails; new data is refused in time.
  virtual uint64_t room_bytes() const = 0;
};

}  // namespace orchard
