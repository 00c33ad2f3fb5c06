#include "node/cage/guarding.h"

#include "node/cage/trace.h"

namespace orchard::cage {
namespace {

void Tell(Turn& turn, const Sites::Site& site, RequestId id, const Endpoint& peer, const guard::Verdict& v) {
  const std::string client = peer.host();
  turn.trace.Add(TraceCageGuard{.site = site.config.name, .what = guard::NameOf(v.what), .matched = v.matched, .client = client, .score = v.score,
                                .blocked = site.guard.mode() == guard::Mode::kBlock, .request = uint64_t(id)});
}

}  // namespace

bool IsOneTooMany(Turn& turn, Sites::Site& site, RequestId id, const Endpoint& peer) {
  const guard::Guard::Arrival a = site.guard.Arrived(turn.now, peer);
  if (a.tell) Tell(turn, site, id, peer, a.verdict);
  return a.verdict && site.guard.mode() == guard::Mode::kBlock;
}

bool IsToBeRefused(Turn& turn, Sites::Site& site, RequestId id, const Endpoint& peer, const Request& request) {
  const guard::Verdict v = site.guard.Whole(turn.rng, {.method = request.method, .target = request.target, .headers = request.headers, .body = request.body});
  if (!v) return false;
  Tell(turn, site, id, peer, v);
  return site.guard.mode() == guard::Mode::kBlock;
}

}  // namespace orchard::cage
