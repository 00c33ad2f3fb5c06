#include "node/dht/message.h"

#include "node/wire/reader.h"

namespace orchard::dht {
namespace {

// Bits 4 and 8 differ between the two directions.
constexpr uint64_t kId = 1, kToken = 2, kInternal = 4, kTarget = 8, kCloser = 4, kError = 8, kValue = 16;

}  // namespace

void Encode(const RequestOut& r, wire::Writer& out) {
  out.U8(kRequestByte);
  out.Uint((r.id ? kId : 0) | (r.token ? kToken : 0) | (r.internal ? kInternal : 0) | (r.target ? kTarget : 0) |
           (r.value ? kValue : 0));
  out.U16(r.tid), out.Ipv4(r.to);
  if (r.id) out.Key(*r.id);
  if (r.token) out.Key(*r.token);
  out.Uint(r.command);
  if (r.target) out.Key(*r.target);
  if (r.value) out.Buffer(*r.value);
}

void Encode(const ResponseOut& r, wire::Writer& out) {
  out.U8(kResponseByte);
  out.Uint((r.id ? kId : 0) | (r.token ? kToken : 0) | (r.closer.empty() ? 0 : kCloser) | (r.error ? kError : 0) |
           (r.value ? kValue : 0));
  out.U16(r.tid), out.Ipv4(r.to);
  if (r.id) out.Key(*r.id);
  if (r.token) out.Key(*r.token);
  if (!r.closer.empty()) {
    out.Uint(r.closer.size());
    // In large pieces: address by address, this list was a sixth of what a node does.
    uint8_t raw[6 * 20];
    size_t n = 0;
    for (Ipv4Address a : r.closer) {
      if (n == sizeof raw) out.Raw(Bytes(raw, n)), n = 0;
      raw[n++] = uint8_t(a.host >> 24), raw[n++] = uint8_t(a.host >> 16), raw[n++] = uint8_t(a.host >> 8);
      raw[n++] = uint8_t(a.host), raw[n++] = uint8_t(a.port), raw[n++] = uint8_t(a.port >> 8);
    }
    out.Raw(Bytes(raw, n));
  }
  if (r.error) out.Uint(r.error);
  if (r.value) out.Buffer(*r.value);
}

absl::StatusOr<Request> DecodeRequest(Bytes payload, Ipv4Address from) {
  wire::Reader in(payload.subspan(1));
  Request r;
  r.from = from;
  uint64_t flags = in.Uint();
  r.tid = in.U16(), r.to = in.Ipv4();
  if (flags & kId) r.from_id = in.Key();
  if (flags & kToken) r.has_token = true, r.token = in.Key();
  r.internal = (flags & kInternal) != 0;
  r.command = in.Uint();
  if (flags & kTarget) r.target = in.Key();
  if (flags & kValue) r.value = in.Buffer();
  if (!in.ok()) return in.status();
  return r;
}

absl::StatusOr<Response> DecodeResponse(Bytes payload, Ipv4Address from) {
  wire::Reader in(payload.subspan(1));
  Response r;
  r.from = from;
  uint64_t flags = in.Uint();
  r.tid = in.U16(), r.to = in.Ipv4();
  if (flags & kId) r.from_id = in.Key();
  if (flags & kToken) r.token = in.Key();
  if (flags & kCloser) {
    uint64_t n = in.ArraySize();
    r.closer = AddressList(in.Take(6 * n));
  }
  if (flags & kError) r.error = in.Uint();
  if (flags & kValue) r.value = in.Buffer();
  if (!in.ok()) return in.status();
  return r;
}

}  // namespace orchard::dht
