#include "node/crypto/sha256.h"

#include <openssl/evp.h>

#include "node/base/check.h"

namespace orchard::crypto {

Key32 Sha256(Bytes data) {
  Key32 out;
  CHECK_EQ(EVP_Digest(data.data(), data.size(), out.data(), nullptr, EVP_sha256(), nullptr), 1);
  return out;
}

void Sha256Stream::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  CHECK(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}
void Sha256Stream::Add(Bytes part) { CHECK_EQ(EVP_DigestUpdate(context_.get(), part.data(), part.size()), 1); }
Key32 Sha256Stream::Digest() const {
  const Sha256Stream copy;
  Key32 out;
  CHECK(EVP_MD_CTX_copy_ex(copy.context_.get(), context_.get()) == 1 && EVP_DigestFinal_ex(copy.context_.get(), out.data(), nullptr) == 1);
  return out;
}

}  // namespace orchard::crypto
