// Requests and responses as bytes. One datagram is one message.
// Source: dht-rpc 6.27 lib/io.js.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "node/dht/news.h"
#include "node/wire/writer.h"

namespace orchard::dht {

inline constexpr uint8_t kRequestByte = 0x03, kResponseByte = 0x13;  // Version 3 in the low nibble.

enum class Internal : uint8_t { kPing = 0, kPingNat = 1, kFindNode = 2, kDownHint = 3, kDelayedPing = 4 };

// What leaves. Absent parts are null or nothing.
struct RequestOut {
  uint16_t tid = 0;
  Ipv4Address to;
  const Key32* id = nullptr;
  const Key32* token = nullptr;
  bool internal = false;
  uint64_t command = 0;
  const Key32* target = nullptr;
  std::optional<Bytes> value;
};
struct ResponseOut {
  uint16_t tid = 0;
  Ipv4Address to;
  const Key32* id = nullptr;
  const Key32* token = nullptr;
  absl::Span<const Ipv4Address> closer = {};
  uint64_t error = 0;
  std::optional<Bytes> value;
};
void Encode(const RequestOut& request, wire::Writer& out);
void Encode(const ResponseOut& response, wire::Writer& out);

// `from_id` is as claimed; the caller compares it with IdOf(from). Spans point into `payload`. The first byte was looked at.
absl::StatusOr<Request> DecodeRequest(Bytes payload, Ipv4Address from);
absl::StatusOr<Response> DecodeResponse(Bytes payload, Ipv4Address from);

}  // namespace orchard::dht
