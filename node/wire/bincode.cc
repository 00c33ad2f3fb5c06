#include "node/wire/bincode.h"

#include "absl/strings/str_cat.h"

namespace orchard::wire {

absl::Status BincodeReader::status() const {
  return ok() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrCat("bincode: ", why_));
}

void BincodeReader::Fail(const char* why) {
  if (why_ == nullptr) why_ = why;
  rest_ = {};
}

Bytes BincodeReader::Take(size_t n) {
  if (n > rest_.size()) {
    Fail("it ends within a value");
    return {};
  }
  const Bytes taken = rest_.subspan(0, n);
  rest_.remove_prefix(n);
  return taken;
}

uint64_t BincodeReader::Fixed(size_t bytes) {
  uint64_t x = 0;
  const Bytes taken = Take(bytes);
  for (size_t i = 0; i < taken.size(); ++i) x |= uint64_t{taken[i]} << 8 * i;
  return x;
}

Bytes BincodeReader::Slice() {
  const uint64_t n = U64();
  if (n > rest_.size()) {  // Compared as 64 bits, so that no length wraps.
    Fail("a length beyond its end");
    return {};
  }
  return Take(size_t(n));
}

bool BincodeReader::Some() {
  const uint8_t tag = U8();
  if (tag > 1) Fail("an option that is neither there nor not");
  return tag == 1 && ok();
}

}  // namespace orchard::wire
