// Protomux: a stranger's frames never break the mux, and two of ours never break the protocol to each other, whatever they do.
// The relay's table beside it.
#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "node/base/check.h"
#include "node/protomux/blind_relay.h"
#include "node/store/mem_store.h"

namespace {

using namespace orchard;
using namespace orchard::protomux;

struct Script {
  const uint8_t* data;
  size_t size;
  uint8_t Next() { return size == 0 ? 0 : (--size, *data++); }
};

// What a parent does with news: opens, keeps or lets be, as the script says; and checks what it is told.
void React(Mux& mux, std::vector<ChannelId>& channels, News& news, Script& script, Out& out) {
  for (size_t i = 0; i < news.list.size(); ++i) {
    const Item item = news.list[i];
    if (const auto* o = std::get_if<RemoteOpened>(&item)) {
      const uint8_t choice = script.Next() % 4;
      if (choice == 0) mux.Keep(o->protocol, o->id);
      if (choice == 1 || choice == 2) {
        if (auto id = mux.Open({.protocol = o->protocol, .id = o->id, .unique = choice == 1}, news, out)) channels.push_back(*id);
      }
    }
    if (const auto* m = std::get_if<ChannelMessage>(&item)) {
      CHECK(m->channel != ChannelId{});
      if (script.Next() % 8 == 1) mux.Send(m->channel, m->type, m->bytes.subspan(0, std::min<size_t>(m->bytes.size(), 9)), out);
    }
    if (const auto* c = std::get_if<ChannelClosed>(&item)) CHECK(!mux.exists(c->channel));
  }
  news.list.clear();
}

void Stranger(Script script) {
  Mux mux;
  std::vector<ChannelId> channels;
  std::deque<std::string> messages;  // Spans of one turn.
  while (script.size > 0) {
    News news;
    Out out;
    const size_t n = std::min<size_t>(script.Next(), script.size);
    messages.assign(1, std::string(reinterpret_cast<const char*>(script.data), n));
    script.data += n, script.size -= n;
    if (!mux.OnMessage(AsBytes(messages[0]), news, out).ok()) return;
    React(mux, channels, news, script, out);
    mux.EndTurn(out);
    CHECK_LE(mux.waiting(), Mux::kWaitingMax);
  }
}

void Conversation(Script script) {
  struct Side {
    Mux mux;
    std::vector<ChannelId> channels;
    std::deque<std::string> to;  // Under way to this side.
  } sides[2];
  uint32_t corked[2] = {};
  auto deliver = [&](int who, size_t most) {
    Side& side = sides[who];
    News news;
    Out out;
    std::deque<std::string> read;
    for (; most > 0 && !side.to.empty(); --most) {
      read.push_back(std::move(side.to.front())), side.to.pop_front();
      CHECK(side.mux.OnMessage(AsBytes(read.back()), news, out).ok());
    }
    React(side.mux, side.channels, news, script, out);
    side.mux.EndTurn(out);
    for (std::string& m : out) sides[1 - who].to.push_back(std::move(m));
  };
  while (script.size > 0) {
    const uint8_t op = script.Next(), arg = script.Next();
    const int who = op & 1;
    Side& side = sides[who];
    News news;
    Out out;
    const std::string protocol(1 + arg % 3, 'p');
    const ChannelId some = side.channels.empty() ? ChannelId{} : side.channels[arg % side.channels.size()];
    switch (op / 2 % 8) {
      case 0:
      case 1: {
        const std::string_view alias[] = {"alias"};
        OpenRequest request{.protocol = protocol, .handshake = AsBytes("hi"), .unique = arg % 2 == 0};
        if (arg > 200) request.aliases = alias;
        if (auto id = side.mux.Open(request, news, out)) side.channels.push_back(*id);
        break;
      }
      case 2: side.mux.Close(some, out); break;
      case 3: side.mux.Send(some, arg % 3, AsBytes(protocol), out); break;
      case 4: side.mux.Refuse(protocol, {}, out); break;
      case 5: if (corked[who] < 3) side.mux.Cork(), ++corked[who]; break;
      case 6: if (corked[who] > 0) side.mux.Uncork(out), --corked[who]; break;
      case 7: deliver(who, 1 + arg % 4); break;
    }
    for (std::string& m : out) sides[1 - who].to.push_back(std::move(m));
  }
  for (int who : {0, 1}) {
    Out out;
    for (; corked[who] > 0; --corked[who]) sides[who].mux.Uncork(out);
    for (std::string& m : out) sides[1 - who].to.push_back(std::move(m));
  }
  while (!sides[0].to.empty() || !sides[1].to.empty()) deliver(0, 1000), deliver(1, 1000);
  // All is answered but what is kept: as many channels are open here as there.
  size_t open[2] = {};
  for (int who : {0, 1}) {
    for (ChannelId id : sides[who].channels) open[who] += sides[who].mux.opened(id);
  }
  CHECK_EQ(open[0], open[1]);
}

void Relay(Script script) {
  Rng rng = Rng::Named(1, "fuzz", "");
  MemStore store;
  Outbox outbox;
  Trace trace(nullptr, nullptr);
  Turn turn{Instant{}, {}, rng, store, outbox, trace};
  BlindRelayServer server;
  Mux muxes[3];
  News mux_news;
  Out out;
  BlindRelayServer::News news;
  for (uint32_t i = 0; i < 3; ++i) CHECK(server.Accept(RelaySession(i), Key32{uint8_t(i)}, muxes[i], mux_news, out));
  const ChannelId channel{uint64_t{1} << 32};
  size_t linked = 0, cut = 0;
  while (script.size > 0) {
    const uint8_t op = script.Next();
    const RelaySession session{op % 3u};
    const Key32 token = {uint8_t(script.Next() % 4)};
    turn.now += std::chrono::seconds(op / 64);
    server.OnTime(turn);
    std::string body = op & 8 ? RelayPair{(op & 16) != 0, token, op}.Encode() : RelayUnpair{token}.Encode();
    if (op & 32) body.resize(script.Next() % 40);
    if (op == 255) server.OnClosed(session, news);
    else (void)server.OnNews(turn, session, ChannelMessage{channel, op & 8 ? 0u : 1u, AsBytes(body)}, news);
    for (const auto& item : news) linked += std::holds_alternative<BlindRelayServer::Linked>(item), cut += std::holds_alternative<BlindRelayServer::Unlinked>(item);
    news.clear();
    CHECK_EQ(server.links(), linked - cut);
    CHECK_LE(server.waiting(), 4u);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  Script script{data + 1, size - 1};
  switch (data[0] % 3) {
    case 0: Stranger(script); break;
    case 1: Conversation(script); break;
    case 2: Relay(script); break;
  }
  return 0;
}
