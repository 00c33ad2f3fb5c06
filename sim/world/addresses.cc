#include "sim/world/addresses.h"

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "sim/world/chance.h"

namespace orchard::sim {

bool IsBogon(uint32_t a) {
  auto in = [a](uint32_t base, int bits) { return (a ^ base) >> (32 - bits) == 0; };
  return in(0, 8) || in(0x0a000000, 8) || in(0x64400000, 10) || in(0x7f000000, 8) || in(0xa9fe0000, 16) ||
         in(0xac100000, 12) || in(0xc0000000, 24) || in(0xc0000200, 24) || in(0xc01fc400, 24) || in(0xc034c100, 24) ||
         in(0xc0586300, 24) || in(0xc0a80000, 16) || in(0xc0af3000, 24) || in(0xc6120000, 15) || in(0xc6336400, 24) ||
         in(0xcb007100, 24) || a >= 0xe0000000 || (a & 0xff) == 0 || (a & 0xff) == 0xff;
}

uint32_t AddressSpace::Take(uint64_t seed, std::string_view name, uint32_t generation) {
  const uint64_t key = KeyOf(seed, name, absl::StrCat("address-", generation));
  const uint64_t size = bits_ == 0 ? 0 : uint64_t{1} << (32 - bits_);
  CHECK(size == 0 || taken_.size() + 3 < size);  // The builder chose a space with room.
  Luck luck(key);
  while (true) {
    const uint64_t draw = luck.Next();
    const uint32_t address = size == 0 ? uint32_t(draw >> 32) : base_ + 1 + uint32_t((draw >> 32) % (size - 2));
    if (size == 0 && IsBogon(address)) continue;
    if (taken_.insert(address).second) return address;
  }
}

AddressSpace PrivateSpace(uint64_t seed, std::string_view name, size_t members) {
  constexpr uint32_t kHome = 0xc0a80000, kTen = 0x0a000000;
  const auto subnet = uint32_t(KeyOf(seed, name, "subnet") % 255);
  if (members <= 200) return {kHome | subnet << 8, 24};
  if (members <= 50'000) return {kTen | subnet << 16, 16};
  return {kTen, 8};
}

}  // namespace orchard::sim
