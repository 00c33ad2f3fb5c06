// dht-rpc's datagrams: what reads as a message writes as one that reads the same.
#include "node/base/check.h"
#include "node/dht/message.h"
#include "node/udx/socket_mux.h"

namespace {

using namespace orchard;
using namespace orchard::dht;

const Key32* Pointer(const std::optional<Key32>& key) { return key ? &*key : nullptr; }

void TryRequest(Bytes payload) {
  auto a = DecodeRequest(payload, {0x01020304, 5});
  if (!a.ok()) return;
  wire::Writer w;
  // A token's value is judged, not kept, by the decoder's caller; so it is left out here.
  Encode({.tid = a->tid, .to = a->to, .id = Pointer(a->from_id), .internal = a->internal, .command = a->command,
          .target = Pointer(a->target), .value = a->value}, w);
  auto b = DecodeRequest(w.bytes(), {0x01020304, 5});
  CHECK(b.ok() && b->tid == a->tid && b->to == a->to && b->from_id == a->from_id && b->command == a->command);
  CHECK(b->target == a->target && b->value == a->value && b->internal == a->internal);
}

void TryResponse(Bytes payload) {
  auto a = DecodeResponse(payload, {0x01020304, 5});
  if (!a.ok()) return;
  std::vector<Ipv4Address> closer;
  for (size_t i = 0; i < a->closer.size(); ++i) closer.push_back(a->closer[i]);
  wire::Writer w;
  Encode({.tid = a->tid, .to = a->to, .id = Pointer(a->from_id), .token = Pointer(a->token), .closer = closer,
          .error = a->error, .value = a->value}, w);
  auto b = DecodeResponse(w.bytes(), {0x01020304, 5});
  CHECK(b.ok() && b->tid == a->tid && b->error == a->error && b->token == a->token && b->value == a->value);
  CHECK_EQ(b->closer.size(), a->closer.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes payload(data, size);
  udx::Classify(payload);
  if (size == 0) return 0;
  TryRequest(payload);
  TryResponse(payload);
  return 0;
}
