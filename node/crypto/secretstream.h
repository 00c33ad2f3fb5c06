// One direction of libsodium's crypto_secretstream_xchacha20poly1305. The header is an argument, so nothing is drawn here:
// a push state made by init_pull from a fresh random header is the one that init_push would make.
#pragma once

#include <sodium/crypto_secretstream_xchacha20poly1305.h>

#include <array>
#include <string>

#include "node/base/bytes.h"

namespace orchard::crypto {

class Secretstream {
 public:
  static constexpr size_t kOverhead = crypto_secretstream_xchacha20poly1305_ABYTES;  // 17: a tag and a MAC.
  using Header = std::array<uint8_t, crypto_secretstream_xchacha20poly1305_HEADERBYTES>;

  // `header` never twice with the same key.
  Secretstream(const Key32& key, const Header& header);
  Secretstream(const Secretstream&) = default;
  Secretstream& operator=(const Secretstream&) = default;
  ~Secretstream();

  // Appends `plain`, sealed, to `out`: kOverhead bytes more.
  void Push(Bytes plain, std::string& out);
  // Opens `sealed`, of at least kOverhead bytes, into `plain` of kOverhead fewer. `plain` may be sealed.data() + 1, nothing
  // else inside `sealed`. False, and nothing changed, if it is not the next message of this stream.
  bool Pull(Bytes sealed, uint8_t* plain);

 private:
  crypto_secretstream_xchacha20poly1305_state state_;
};

}  // namespace orchard::crypto
