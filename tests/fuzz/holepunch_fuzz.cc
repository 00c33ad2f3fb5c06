// What a peer says during a hole punch: no bytes crash the decoder, what it reads writes back to something it reads the
// same, and only what the other side sealed is opened.
#include "node/hyperdht/holepunch_payload.h"

#include "node/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard;
  using namespace orchard::hyperdht;
  const Bytes bytes(data, size);
  Rng rng = Rng::Named(1, "fuzz", "");
  const SecurePayload secure(Key32{1}, rng);
  CHECK(!secure.Open(bytes).ok());  // Nobody forges a tag.
  absl::StatusOr<HolepunchPayload> p = HolepunchPayload::Decode(bytes);
  if (!p.ok()) return 0;
  absl::StatusOr<HolepunchPayload> again = secure.Open(AsBytes(secure.Seal(*p, rng)));
  CHECK(again.ok());
  CHECK(again->Encode() == p->Encode());
  return 0;
}
