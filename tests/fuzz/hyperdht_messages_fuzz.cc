// The values inside HyperDHT's requests and replies: no bytes crash a decoder.
#include "node/hyperdht/messages.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard;
  using namespace orchard::hyperdht;
  if (size == 0) return 0;
  Bytes b(data + 1, size - 1);
  switch (data[0] % 11) {
    case 0: (void)Peer::Decode(b); break;
    case 1: (void)LookupReply::Decode(b); break;
    case 2: (void)AnnounceMessage::Decode(b); break;
    case 3: (void)MutablePut::Decode(b); break;
    case 4: (void)MutableRecord::Decode(b); break;
    case 5: (void)DecodeMinimumSeq(b); break;
    case 6: (void)HandshakeEnvelope::Decode(b); break;
    case 7: (void)HolepunchEnvelope::Decode(b); break;
    case 8: (void)PluginMessage::Decode(b); break;
    case 9: (void)HyperdhtAddress::Decode(b); break;
    case 10: (void)NoisePayload::Decode(b); break;
  }
  return 0;
}
