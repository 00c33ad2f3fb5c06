#include "node/hyperdht/signatures.h"

#include <algorithm>

#include "node/base/check.h"
#include "node/wire/writer.h"

namespace orchard::hyperdht {
namespace {

Signable Join(const Key32& name_space, const Key32& hash) {
  Signable s;
  std::copy(hash.begin(), hash.end(), std::copy(name_space.begin(), name_space.end(), s.begin()));
  return s;
}

}  // namespace

Key32 Namespace(Command command) { return crypto::Namespace("hyperswarm/dht", uint8_t(command)); }

Signable AnnounceSignable(Command command, const Key32& target, const Key32& token, const Key32& node_id,
                          const AnnounceMessage& message) {
  static const Key32 kAnnounceNamespace = Namespace(kAnnounce), kUnannounceNamespace = Namespace(kUnannounce);
  CHECK(message.peer.has_value());
  std::string peer = message.peer->Encode();
  Bytes refresh = message.refresh.has_value() ? Bytes(*message.refresh) : Bytes();
  return Join(command == kAnnounce ? kAnnounceNamespace : kUnannounceNamespace,
              crypto::Blake2b256({target, node_id, token, AsBytes(peer), refresh}));
}

Signable MutableSignable(uint64_t seq, Bytes value) {
  static const Key32 kNamespace = Namespace(kMutablePut);
  wire::Writer w;
  w.Uint(seq), w.Buffer(value);
  return Join(kNamespace, crypto::Blake2b256(w.bytes()));
}

}  // namespace orchard::hyperdht
