#include "sim/language/identity.h"

#include <algorithm>

#include "node/base/bytes.h"
#include "node/base/rng.h"
#include "node/crypto/sign.h"
#include "sim/language/grammar.h"

namespace orchard::sim {
namespace {

Key32 HostSeed(uint64_t seed, std::string_view host) {
  Key32 out;
  Rng::Named(seed, host, "identity").Fill(absl::MakeSpan(out));
  return out;
}

Key32 HostSeed(uint64_t seed, const HostPlan& host) {
  Key32 out;
  const std::optional<std::string> stated = FromHex(host.seed_hex);
  if (!stated || stated->size() != out.size()) return HostSeed(seed, host.id);
  std::copy(stated->begin(), stated->end(), out.begin());
  return out;
}

}  // namespace

std::string HostSeedHex(uint64_t seed, std::string_view host) { return ToHex(HostSeed(seed, host)); }
std::string HostKeyHex(uint64_t seed, std::string_view host) { return ToHex(crypto::KeyPairFromSeed(HostSeed(seed, host)).public_key); }
std::string HostSeedHex(uint64_t seed, const HostPlan& host) { return ToHex(HostSeed(seed, host)); }
std::string HostKeyHex(uint64_t seed, const HostPlan& host) { return ToHex(crypto::KeyPairFromSeed(HostSeed(seed, host)).public_key); }

Json WithHostKeys(const Json& config, uint64_t seed, const std::vector<HostPlan>& hosts) {
  Json out = config;
  for (Json& item : out.items) item = WithHostKeys(item, seed, hosts);
  const std::optional<Reference> r = config.is_text() ? ParseReference(config.text) : std::nullopt;
  if (!r || r->kind != Reference::Kind::kHostKey) return out;
  Json list;
  list.kind = Json::Kind::kArray, list.place = config.place;
  for (const HostPlan& h : hosts) {
    if (h.id == r->name || h.group == r->name) list.items.push_back(Json::Text(HostKeyHex(seed, h), config.place));
  }
  return list.items.size() == 1 ? list.items[0] : list;
}

}  // namespace orchard::sim
