// SHA-256, for what people compare with the tools at hand. The protocols hash with BLAKE2b. By OpenSSL, which uses
// the processor's own instructions where there are; libsodium has none for it, and each chunk of a pod is hashed.
#pragma once

#include <memory>

#include "node/base/bytes.h"

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX.

namespace orchard::crypto {

Key32 Sha256(Bytes data);

// Of bytes that come in parts.
class Sha256Stream {
 public:
  Sha256Stream();
  void Add(Bytes part);
  // Of all parts so far; more may follow.
  Key32 Digest() const;

 private:
  struct Free { void operator()(evp_md_ctx_st* context) const; };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace orchard::crypto
