// Relays that a hostile member plays with, both those that it has us carry and those that it carries for us: whatever it opens, sends,
// grants, ends and closes, in whatever order, and whatever the host and our own client do, what we hold is bounded, no more is
// written than was granted, and nothing is left once the member is gone.
#include <algorithm>
#include <map>
#include <string>

#include "node/base/check.h"
#include "node/pod/relay_serve.h"
#include "node/pod/relay_use.h"
#include "node/store/mem_store.h"

namespace {

using namespace orchard;
using namespace orchard::pod;

const Endpoint kOwn = Endpoint::V4(0x0a000001, 0), kOther = Endpoint::V4(0x0a000007, 5000);

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

struct World {
  World() {
    config.profile = Profile::kHardened, config.allow_private = true;
    speaks.profile = Profile::kCompatCode;  // One curve for each input, not four; relays do not care.
    Join();
  }
  Turn turn() { return {.now = now, .unix_epoch = {}, .rng = rng, .store = store, .out = out, .trace = trace}; }
  // What a host would say of our outputs, as far as the relays depend on it.
  void Perform() {
    for (const Output& o : out.outputs()) {
      const StreamId stream{o.id};
      if (o.what == Do::kWrite) {
        CHECK_LE(o.size, may_write[stream]);
        may_write[stream] -= o.size;
      }
      if (o.what == Do::kAccept) may_read[stream] += o.credit;
    }
    out.Clear();
  }
  void Join() {
    Turn t = turn();
    const Interface lan[] = {{.address = kOwn, .prefix_bits = 8, .loopback = false}};
    members.Start(t, lan);
    uint32_t listener = 0;
    for (const Output& o : out.outputs()) listener = o.what == Do::kListen ? o.id : listener;
    out.Clear();
    const StreamId link{0x80000001};
    Session session({.profile = speaks.profile, .connector = true, .own = Identity::Draw(rng), .pod_secret = {}, .expected = {}, .dialect = {}});
    std::string to_us = session.Start(rng);
    members.OnInput(t, ids, SocketOpened{SocketId{listener}, kOwn.with_port(45679), absl::StatusCode::kOk}, heard);
    members.OnInput(t, ids, StreamOpened{link, SocketId{listener}, kOwn.with_port(45679), kOther}, heard);
    for (int i = 0; i < 4 && heard.list.empty(); ++i) {
      members.OnInput(t, ids, StreamData{link, AsBytes(to_us)}, heard);
      Session::News news;
      for (const Output& o : out.outputs()) {
        if (o.what == Do::kWrite) CHECK(session.OnBytes(out.bytes(o), news).ok());
      }
      out.Clear();
      to_us = news.write;
      if (session.ready()) session.Send(Heartbeat{}, to_us);
    }
    const auto* joined = heard.list.empty() ? nullptr : std::get_if<MemberJoined>(&heard.list.front());
    CHECK(joined != nullptr);
    peer = joined->device;
    may_write[link] = 1u << 30;  // It reads whatever we say: a queue that grows is its session's affair.
    heard = {};
  }

  PodConfig config, speaks;
  Rng rng{Key32{}};
  MemStore store;
  Outbox out;
  Trace trace{nullptr, nullptr};
  Instant now{std::chrono::seconds(1)};
  Members members{speaks, Identity::Draw(rng), 1};
  Serve serve{config};
  RelayServe carrier{config};
  RelayUse use;
  http::Ids ids;
  MembersNews heard;
  DeviceId peer{};
  std::map<StreamId, uint64_t> may_write, may_read;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  World w;
  Turn turn = w.turn();
  PodNews news;
  const RelayServe::Hands hands{w.ids, w.members, w.serve, w.heard};
  w.carrier.SetInterfaces({});
  std::string filler(kRelayPieceMax, '\x16');
  std::string tls = filler;
  tls[1] = 3;
  std::map<RelayId, size_t> got;  // Of our own relays: what our client has not taken.
  const http::Authority origin = *http::Authority::Parse("origin.example:443", 0);
  for (Bytes rest(data, size); rest.size() >= 3; rest.remove_prefix(3)) {
    const uint8_t op = rest[0], a = rest[1], b = rest[2];
    const StreamId stream{1 + uint32_t(a % 40)};
    const RelayId own{1 + uint32_t(a % 12)};
    turn.now += std::chrono::milliseconds(b);
    switch (op % 16) {
      case 0: case 1: case 2: {
        const Message m = Told(a, b, AsBytes(b % 4 == 0 ? filler : tls).subspan(0, 1 + size_t(b) * 128));
        OfOpener(m) ? w.carrier.OnMessage(turn, w.peer, m, hands) : w.use.OnMessage(turn, w.members, w.peer, m, news, w.heard);
        break;
      }
      case 3:
        w.may_write[stream] += kStreamWindow;
        w.carrier.OnInput(turn, StreamOpened{stream, std::nullopt, {}, {}}, hands);
        break;
      case 4: w.carrier.OnInput(turn, StreamEnded{stream}, hands); break;
      case 5: w.carrier.OnInput(turn, StreamClosed{stream, b % 2 == 0 ? absl::StatusCode::kOk : absl::StatusCode::kUnavailable}, hands); break;
      case 6: {
        const uint8_t address[4] = {10, 0, 0, b};
        w.carrier.OnInput(turn, JobDone{JobId{0x02000000 + uint32_t(a % 40)}, absl::StatusCode::kOk, b % 3 == 0 ? Bytes() : Bytes(address)}, hands);
        break;
      }
      case 7:
        w.may_write[stream] += uint32_t(b) * 64;
        w.carrier.OnInput(turn, StreamCredit{stream, uint32_t(b) * 64}, hands);
        break;
      case 8: turn.now += std::chrono::seconds(b), w.carrier.OnTime(turn, hands), w.use.OnTime(turn, w.members, news, w.heard); break;
      case 9: {
        const size_t n = size_t(std::min<uint64_t>(w.may_read[stream], 1 + size_t(b) * 128));
        w.may_read[stream] -= n;
        if (n > 0) w.carrier.OnInput(turn, StreamData{stream, AsBytes(filler).subspan(0, n)}, hands);
        break;
      }
      case 10: w.carrier.OnWritable(turn, hands); break;
      case 11: w.use.Open(turn, w.members, w.peer, origin, w.heard); break;
      case 12: w.use.Write(turn, w.members, own, AsBytes(tls).subspan(0, std::min(tls.size(), w.use.room(w.members, own))), w.heard); break;
      case 13: {
        const size_t n = std::min(got[own], size_t(b) * 512);
        got[own] -= n;
        w.use.Took(turn, w.members, own, n, w.heard);
        break;
      }
      case 14: w.use.End(turn, w.members, own, w.heard); break;
      case 15: w.use.Close(turn, w.members, own, w.heard), got.erase(own); break;
    }
    for (const auto& n : news) {
      if (const auto* more = std::get_if<RelayGot>(&n)) got[more->relay] += more->bytes.size();
      if (const auto* gone = std::get_if<RelayGone>(&n)) got.erase(gone->relay);
    }
    for (const auto& [relay, bytes] : got) CHECK_LE(bytes, size_t{kRelayWindow});
    CHECK_LE(w.carrier.carried(), RelayServe::kPerPeer);
    CHECK_LE(w.carrier.held(), RelayServe::kPerPeer * 2 * size_t{kRelayWindow});
    CHECK_LE(w.use.open(), RelayUse::kMax);
    if (w.carrier.next_deadline() <= turn.now) w.carrier.OnTime(turn, hands);
    CHECK(w.carrier.next_deadline() > turn.now);
    w.Perform(), news.clear(), w.heard = {};
  }
  w.carrier.OnGone(turn, w.peer);
  w.use.OnGone(w.peer, news);
  CHECK_EQ(w.carrier.carried(), 0u);
  CHECK_EQ(w.use.open(), 0u);
  return 0;
}
