#include "node/dht/tokens.h"

#include "node/crypto/hash.h"

namespace orchard::dht {

void Tokens::MakeSecrets(Rng& rng) {
  if (made_) return;
  for (Key32& s : secrets_) rng.Fill(absl::MakeSpan(s));
  made_ = true;
}

Key32 Tokens::Token(uint32_t host, size_t secret) const {
  char text[16];  // Dotted decimal: the hash is over the text.
  size_t n = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    unsigned octet = host >> shift & 0xff;
    if (octet >= 100) text[n++] = char('0' + octet / 100);
    if (octet >= 10) text[n++] = char('0' + octet / 10 % 10);
    text[n++] = char('0' + octet % 10);
    if (shift > 0) text[n++] = '.';
  }
  return crypto::KeyedBlake2b256(secrets_[secret], AsBytes({text, n}));
}

Key32 Tokens::Mint(Rng& rng, uint32_t host) {
  MakeSecrets(rng);
  return Token(host, 1);
}

bool Tokens::Valid(Rng& rng, uint32_t host, const Key32& token) {
  MakeSecrets(rng);
  return Token(host, 1) == token || Token(host, 0) == token;
}

void Tokens::OnDrains(uint64_t count) {
  if (!made_) return;
  for (; count >= drains_left_; drains_left_ = kDrainsPerRotation) {
    count -= drains_left_;
    Key32 next = crypto::Blake2b256(secrets_[0]);
    secrets_ = {secrets_[1], next};
  }
  drains_left_ = uint8_t(drains_left_ - count);
}

}  // namespace orchard::dht
