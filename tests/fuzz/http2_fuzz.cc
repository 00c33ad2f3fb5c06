// Clients of HTTP/2: any bytes, in any split, behind a preface or not. Nothing is written beyond the credit, nothing is held or
// allocated beyond the limits, and each request that started is heard of till its end.
#include <algorithm>
#include <set>
#include <string>

#include "node/base/check.h"
#include "node/http2/preface.h"
#include "node/http2/server_session.h"
#include "tests/support/bare_turn.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard;
  using namespace orchard::http2;
  if (size < 2) return 0;
  const uint8_t how = data[0];
  std::string bytes = (how & 1) != 0 ? std::string(kPreface) + std::string("\0\0\0\x04\0\0\0\0\0", 9) : "";
  bytes += AsText(Bytes(data + 1, size - 1));
  const size_t piece = (how & 2) != 0 ? 1 + how / 4u : bytes.size();
  BareTurn bare;
  ServerSession session(StreamId{1}, {.body_max = 1 << 16, .patience = {}});
  session.OnOpened(bare.At({}));
  std::set<RequestId> open;
  uint64_t credit = kStreamWindow, n = 0;
  bool closed = false;
  const auto settle = [&](Turn& turn, SessionNews& news) {
    for (size_t i = 0; i < news.size(); ++i) {
      const auto what = news[i];
      CHECK(!closed);
      if (const auto* s = std::get_if<RequestStarted>(&what)) {
        CHECK(open.insert(s->id).second);
        const http::RequestHead& head = session.request(s->id);
        CHECK(head.headers.Count("host") == 1 && !head.method.empty() && !head.target.empty());
        if (head.target.size() % 3 == 0) session.RespondText(turn, s->id, 404, "none\n", news);
        else session.Respond(turn, s->id, {.length = head.target.size() % 3 == 1 ? std::optional<uint64_t>(100) : std::nullopt}, news);
      }
      if (const auto* b = std::get_if<RequestBody>(&what)) {
        CHECK(open.contains(b->id));
        if (how % 16 != 0) session.Took(turn, b->id, b->bytes.size());
      }
      if (const auto* r = std::get_if<RequestReset>(&what)) CHECK(open.contains(r->id));
      closed = closed || std::holds_alternative<SessionClosed>(what);
    }
    for (const RequestId id : open) {
      const size_t room = std::min<size_t>(session.room(id), 100);
      if (room == 100) session.WriteBody(turn, id, AsBytes(std::string(100, 'x'))), session.FinishBody(turn, id, news);
    }
    for (const Output& o : bare.out.outputs()) {
      if (o.what != Do::kWrite) continue;
      CHECK_LE(o.size, credit);
      credit -= o.size;
    }
    bare.out.Clear();
    CHECK_LE(session.held(), size_t{kSessionWindowBytes});
    CHECK_LE(session.memory().used(), kSessionMemoryMax);
    CHECK_LE(session.open(), size_t{kStreamsMax} + kResetsMax);
  };
  for (size_t at = 0; at < bytes.size() && !session.ended(); at += piece, ++n) {
    Turn& turn = bare.At(std::chrono::milliseconds(n));
    SessionNews news;
    const std::string_view part = std::string_view(bytes).substr(at, std::min(piece, size_t{64} << 10));
    session.OnData(turn, AsBytes(part), news);
    settle(turn, news);
    if (n % 8 == 7 && credit < kStreamWindow) {
      SessionNews more;
      const auto back = uint32_t(kStreamWindow - credit);
      credit += back;
      session.OnCredit(turn, back, more);
      settle(turn, more);
    }
  }
  // Time alone ends it, whatever state it is in.
  for (int i = 0; i < 100 && !session.ended(); ++i) {
    const Instant then = session.next_deadline();
    if (then == kNever) break;
    Turn& turn = bare.turn;
    turn.now = std::max(turn.now, then);
    SessionNews news;
    session.OnTime(turn, news);
    CHECK(session.ended() || session.next_deadline() > turn.now);
    settle(turn, news);
  }
  CHECK(session.ended() || session.open() > 0);  // What our parent holds may stay.
  return 0;
}
