// Secret-stream: a stranger's bytes end it and cost little; the other side's messages arrive as they are, however they are cut.
#include <algorithm>
#include <vector>

#include "node/base/check.h"
#include "node/secret_stream/secret_stream.h"
#include "node/store/mem_store.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard;
  using namespace orchard::secret_stream;
  if (size < 2) return 0;
  Rng rng = Rng::Named(1, "fuzz", "");
  MemStore store;
  Outbox out;
  Trace trace(nullptr, nullptr);
  Turn turn{Instant{}, {}, rng, store, out, trace};
  crypto::SessionKeys forth, back;
  forth.tx = back.rx = Key32{1}, forth.rx = back.tx = Key32{2};
  SecretStream a(forth, true, {}), b(back, false, {});
  const uint8_t mode = data[0] % 3;
  ++data, --size;

  if (mode == 0) {  // Messages and cuts as the bytes say, an altered one at the end.
    std::string raw = a.Start(turn);
    b.Start(turn);
    std::vector<std::string> sent;
    for (size_t i = 0; i < std::min<size_t>(size, 32); ++i) {
      sent.emplace_back(size_t{data[i]} * (i % 7 == 6 ? 200 : 1), char(i));
      a.Push(turn, AsBytes(sent.back()), raw);
    }
    if (data[0] % 2 == 1) raw.back() ^= 1, sent.pop_back();
    News news;
    bool good = true;
    for (size_t at = 0, i = 0; at < raw.size() && good; ++i) {
      const size_t part = std::min<size_t>(raw.size() - at, 1 + size_t{data[i % size]} * (i % 5));
      const std::string chunk = raw.substr(at, part);
      good = b.OnBytes(turn, AsBytes(chunk), news).ok();
      at += part;
    }
    CHECK_EQ(good, data[0] % 2 == 0);
    CHECK_EQ(news.messages.size(), sent.size());
    for (size_t i = 0; i < sent.size(); ++i) CHECK(AsText(news.messages[i]) == sent[i]);
    return 0;
  }
  // A stranger: in place of the header, behind it, or in a handshake.
  static const crypto::KeyPair kKey = crypto::KeyPairFromSeed(Key32{3});
  SecretStream alone(kKey, data[0] % 2 == 0, {});
  SecretStream& victim = mode == 1 ? b : alone;
  const size_t held_most = std::max<size_t>(16 * 1024, 4 * size);
  const std::string header = a.Start(turn);
  victim.Start(turn);
  News news;
  if (mode == 1 && data[0] % 4 > 0) CHECK(victim.OnBytes(turn, AsBytes(header), news).ok());
  (void)victim.Open(Bytes(data, size), news);
  for (size_t at = 0; at < size;) {
    const size_t part = std::min<size_t>(size - at, 1 + data[at]);
    const absl::Status status = victim.OnBytes(turn, Bytes(data + at, part), news);
    CHECK_EQ(status.ok(), !victim.failed());
    CHECK_LE(victim.buffered(), held_most);
    at += part;
  }
  CHECK(news.messages.empty());
  return 0;
}
