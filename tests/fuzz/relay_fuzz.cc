// Relays that a hostile member plays with: whatever it opens, sends, grants, ends and closes, in whatever order, and whatever the
// host says of the streams, what we hold is bounded, and nothing is left once the member is gone.
#include <algorithm>
#include <string>

#include "node/base/check.h"
#include "node/pod/relay_serve.h"
#include "node/pod/relay_use.h"
#include "node/store/mem_store.h"

namespace {

using namespace orchard;
using namespace orchard::pod;

const DeviceId kPeer{1};

Message Told(uint8_t what, uint8_t more, Bytes piece) {
  const RelayId relay{uint32_t(more % 12)};
  const bool opener = what % 2 == 0;
  switch (what / 2 % 6) {
    case 0: return RelayOpen{relay, uint16_t(more % 3 == 0 ? 25 : 4433), more % 2 == 0 ? "10.0.0.9" : "origin.example"};
    case 1: return RelayOpened{relay};
    case 2: return RelayData{relay, opener, piece};
    case 3: return RelayCredit{relay, opener, 1 + uint32_t(more) * 1024};
    case 4: return RelayEnd{relay, opener};
    default: return RelayClose{relay, opener, RelayEnding(more % 11)};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  PodConfig config;
  config.profile = Profile::kHardened, config.allow_private = true;
  Rng rng(Key32{});
  MemStore store;
  Outbox out;
  Trace trace(nullptr, nullptr);
  Turn turn{.now = Instant(std::chrono::seconds(1)), .unix_epoch = {}, .rng = rng, .store = store, .out = out, .trace = trace};
  Members members(config, Identity::Draw(rng), 1);
  Serve serve(config);
  RelayServe carrier(config);
  RelayUse use;
  http::Ids ids;
  MembersNews heard;
  PodNews news;
  const RelayServe::Hands hands{ids, members, serve, heard};
  carrier.SetInterfaces({});
  const std::string filler(kRelayPieceMax, '\x16');
  std::string tls = filler;
  tls[1] = 3;
  for (Bytes rest(data, size); rest.size() >= 3; rest.remove_prefix(3)) {
    const uint8_t op = rest[0], a = rest[1], b = rest[2];
    const StreamId stream{1 + uint32_t(a % 40)};
    turn.now += std::chrono::milliseconds(b);
    switch (op % 9) {
      case 0: case 1: case 2: {
        const Message m = Told(a, b, AsBytes(b % 4 == 0 ? filler : tls).subspan(0, 1 + size_t(b) * 128));
        OfOpener(m) ? carrier.OnMessage(turn, kPeer, m, hands) : use.OnMessage(turn, members, kPeer, m, news, heard);
        break;
      }
      case 3: carrier.OnInput(turn, StreamOpened{stream, std::nullopt, {}, {}}, hands); break;
      case 4: carrier.OnInput(turn, StreamEnded{stream}, hands); break;
      case 5: carrier.OnInput(turn, StreamClosed{stream, b % 2 == 0 ? absl::StatusCode::kOk : absl::StatusCode::kUnavailable}, hands); break;
      case 6: {
        const uint8_t address[4] = {10, 0, 0, b};
        carrier.OnInput(turn, JobDone{JobId{0x02000000 + uint32_t(a % 40)}, absl::StatusCode::kOk, b % 3 == 0 ? Bytes() : Bytes(address)}, hands);
        break;
      }
      case 7: carrier.OnInput(turn, StreamCredit{stream, uint32_t(b) * 64}, hands); break;
      case 8: turn.now += std::chrono::seconds(b), carrier.OnTime(turn, hands), use.OnTime(turn, members, news, heard); break;
    }
    CHECK_LE(carrier.carried(), RelayServe::kPerPeer);
    CHECK_LE(carrier.held(), RelayServe::kPerPeer * 2 * size_t{kRelayWindow});
    if (carrier.next_deadline() <= turn.now) carrier.OnTime(turn, hands);
    CHECK(carrier.next_deadline() > turn.now);
    out.Clear(), news.clear(), heard = {};
  }
  carrier.OnGone(turn, kPeer);
  CHECK_EQ(carrier.carried(), 0u);
  return 0;
}
