// The keys of a session, and the records they seal. Byte for byte: docs/PEAPOD.md §3 and §4.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "node/crypto/secret.h"
#include "node/pod/identity.h"

namespace orchard::pod {

// The two session keys that nodes of version 1 may have derived from one secret.
enum class Dialect : uint8_t { kCode, kDoc };

// Of version 1: the same for both directions, which is the protocol's flaw.
crypto::Secret<32> CompatKey(Dialect dialect, const crypto::Secret<32>& shared);

// Of version 2: the connector's sending key first.
struct HardenedKeys { crypto::Secret<32> forth, back; };
struct HardenedInput {
  bool connector;  // We are.
  crypto::Secret<32> own_static, own_ephemeral;
  Key32 remote_static, remote_ephemeral;
  Bytes connector_hello, acceptor_hello;  // As they travelled.
  std::optional<Key32> pod_secret;
};
// Nothing if one of the other side's keys is of small order.
std::optional<HardenedKeys> DeriveHardened(const HardenedInput& in);

// One direction of a session: a key and how many records it has sealed or opened.
class Direction {
 public:
  static constexpr uint64_t kRekeyRecords = 1 << 16;  // Of version 2: what leaks later opens no older record.

  Direction() = default;
  Direction(const crypto::Secret<32>& key, bool rekeys) : key_(key), rekeys_(rekeys) {}

  // Appends the record of `plain`: four bytes of length, the ciphertext, the tag.
  void Seal(Bytes plain, std::string& out);
  // Opens the next record, without its length, into `plain` (which may be where it lies). False, and nothing has moved, if
  // it is not the next.
  bool Open(Bytes sealed, uint8_t* plain);
  uint64_t records() const { return counter_; }
  std::array<uint8_t, 8> key_id() const;
  void SetKey(const crypto::Secret<32>& key) { key_ = key; }

 private:
  void Advance();
  crypto::Secret<32> key_;
  uint64_t counter_ = 0;
  bool rekeys_ = false;
};

}  // namespace orchard::pod
