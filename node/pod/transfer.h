// One download, as far as it is not delivered: a window of chunks ahead of the reader, and who supplied what.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/inlined_vector.h"
#include "node/crypto/sha256.h"
#include "node/pod/actions.h"
#include "node/pod/worker.h"

namespace orchard::pod {

struct Chunk {
  absl::InlinedVector<FetchId, 2> holders;  // Fetches of it under way, probes too.
  bool have = false, checking = false;      // Its bytes are here; a second copy is awaited over our own WAN.
  WorkerId from{};
  Key32 digest{};
  std::string data;
  uint32_t failures = 0;
};

struct Transfer {
  static constexpr uint64_t kVouchBytes = 1024;
  static constexpr size_t kLedgerMax = 16384;  // Chunks: 4 GiB of 256 KiB, at 36 bytes each. Beyond, nobody can be convicted.

  TransferId id{};
  std::string url;
  uint64_t start = 0, end = 0, chunk_bytes = 0;
  std::optional<Key32> expected;        // SHA-256 of the range.
  bool stated = false;                  // Our own fetches are held to one state of it.
  bool holds = false;                   // Nothing is delivered before all is verified: it fits into the window.
  uint64_t window = 0;                  // Bytes ahead of the reader.

  uint64_t read = 0;                    // Bytes from `start` that the reader took.
  uint64_t delivered = 0;               // Chunks handed out (when it holds: hashed), in order.
  uint64_t from_peers = 0;              // Bytes.
  absl::btree_map<uint64_t, Chunk> chunks;  // From the first that is not delivered on; made when first needed.
  crypto::Sha256Stream hash;

  // Who supplied the chunks handed out, and what their digests were; empty from the first one beyond kLedgerMax on.
  struct Entry { Key32 digest; WorkerId from; };
  std::vector<Entry> ledger;
  // Chunks handed out whose truth is asked of our own WAN (true: under way). While any, nothing is delivered.
  absl::btree_map<uint64_t, bool> audits;
  uint32_t audit_failures = 0;
  bool audited = false;                 // All that peers supplied has been asked for.

  // Chunks accepted of peers; how many of them came before a fetch of ours was sent that then showed the state that is wanted.
  uint64_t peer_chunks = 0, vouched = 0;
  // Of the last of them: which, and its first kVouchBytes.
  uint64_t vouch_index = 0;
  std::string vouch_head;
  bool wants_vouch = false, vouching = false;  // All is here but that; it is under way.
  uint32_t vouch_failures = 0;

  std::vector<WorkerId> plan_workers;   // Planned schedulers: who was there when it began, and their weights.
  std::vector<uint64_t> plan_weights;
  std::optional<Ending> ending;         // It is over; removed before the call returns.

  uint64_t count() const { return (end - start + chunk_bytes - 1) / chunk_bytes; }
  uint64_t chunk_start(uint64_t i) const { return start + i * chunk_bytes; }
  uint64_t chunk_end(uint64_t i) const { return std::min(end, chunk_start(i) + chunk_bytes); }
  // One past the last chunk that may be under way or held. The window has two chunks at least, so there is room for the next
  // one when all is read.
  uint64_t window_end() const {
    return holds ? count() : std::min(count(), (read + window) / chunk_bytes);
  }
  bool all_delivered() const { return delivered == count(); }
};

}  // namespace orchard::pod
