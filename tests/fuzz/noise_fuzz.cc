// Noise messages: whatever comes, a handshake refuses it or is complete; and of a genuine message it takes no other form.
#include "node/base/check.h"
#include "node/crypto/noise.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard;
  using namespace orchard::crypto;
  if (size < 2) return 0;
  static const KeyPair kOurs = KeyPairFromSeed(Key32{1}), kTheirs = KeyPairFromSeed(Key32{2});
  auto side = [](NoisePattern pattern, bool initiator) {
    NoiseConfig config{.pattern = pattern, .initiator = initiator, .key = initiator ? kTheirs : kOurs, .ephemeral_seed = Key32{initiator}};
    if (initiator && pattern == NoisePattern::kIk) config.remote_key = kOurs.public_key;
    return NoiseHandshake(config);
  };
  const NoisePattern pattern = data[0] & 1 ? NoisePattern::kIk : NoisePattern::kXx;
  const Bytes rest(data + 1, size - 1);

  if (data[0] & 2) {
    // As they come: to a responder, or to an initiator that has spoken.
    NoiseHandshake h = side(pattern, data[0] & 4);
    if (data[0] & 4) CHECK(h.Send({}).ok());
    const size_t half = data[0] & 8 ? rest.size() / 2 : rest.size();
    if (!h.Receive(rest.subspan(0, half)).ok()) return CHECK(!h.complete()), 0;
    if (!h.complete()) (void)h.Send({});
    if (!h.complete()) CHECK(!h.Receive(rest.subspan(half)).ok());
    return 0;
  }
  // The first sealed message, changed: byte rest[0] is xored with rest[1], and so on; an odd byte cuts it there.
  NoiseHandshake i = side(pattern, true), r = side(pattern, false);
  std::string genuine = *i.Send({});
  NoiseHandshake& reader = pattern == NoisePattern::kIk ? r : i;
  if (pattern == NoisePattern::kXx) {
    CHECK(r.Receive(AsBytes(genuine)).ok());
    genuine = *r.Send({});
  }
  std::string changed = genuine;
  for (size_t n = 0; n + 1 < rest.size(); n += 2) changed[rest[n] % changed.size()] ^= char(rest[n + 1]);
  if (rest.size() % 2 == 1) changed.resize(rest.back() % (changed.size() + 1));
  CHECK_EQ(reader.Receive(AsBytes(changed)).ok(), changed == genuine);
  return 0;
}
