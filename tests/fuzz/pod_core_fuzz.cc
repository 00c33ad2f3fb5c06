// PeaPod's core: whatever happens in whatever order, each byte is delivered once and in order, memory is bounded, every fetch is
// of a living worker, and a deadline turn moves the deadline.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "node/base/check.h"
#include "node/pod/core.h"
#include "node/store/mem_store.h"

namespace {

using namespace orchard;
using namespace orchard::pod;

struct Script {
  const uint8_t* data;
  size_t size;
  uint8_t Next() { return size == 0 ? 0 : (--size, *data++); }
};

struct World {
  explicit World(const CoreConfig& config) : core(config), config(config) {}
  Core core;
  CoreConfig config;
  Rng rng = Rng::Named(1, "fuzz", "");
  MemStore store;
  Outbox outbox;
  Trace trace{nullptr, nullptr};
  Turn turn{Instant{}, {}, rng, store, outbox, trace};
  std::vector<Fetch> fetches;                     // Not yet answered.
  std::map<TransferId, uint64_t> at, end, start;  // Delivered so far; where it ends.
  std::vector<WorkerId> peers;

  void Do(const Actions& actions) {
    for (const Action& action : actions) {
      if (const auto* f = std::get_if<Fetch>(&action)) {
        CHECK(core.worker(f->worker) != nullptr || f->worker != kOwnWan);
        CHECK(f->start < f->end && f->start >= start.at(f->transfer) && f->end <= end.at(f->transfer));
        fetches.push_back(*f);
      } else if (const auto* d = std::get_if<Deliver>(&action)) {
        CHECK_EQ(d->offset, at.at(d->transfer));
        at[d->transfer] += d->bytes.size();
        CHECK_LE(at[d->transfer], end.at(d->transfer));
      } else if (const auto* e = std::get_if<Ended>(&action)) {
        if (e->how == Ending::kDone) CHECK_EQ(at.at(e->transfer), end.at(e->transfer));
        CHECK(!core.url(e->transfer).has_value());
      }
    }
    for (const auto& [id, unused] : at) CHECK_LE(core.held_bytes(id), config.window_bytes);
    CHECK_LE(core.fetches(), (core.peers() + 1) * Worker::kPipeMax);
    CHECK_LE(core.transfers(), Core::kTransfersMax);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  Script script{data + 1, size - 1};
  CoreConfig config{.scheduler = Scheduler(data[0] % 4), .chunk_bytes = Core::kChunkMin, .window_bytes = 6 * Core::kChunkMin, .check_permille = 300};
  World w(config);
  while (script.size > 0) {
    const uint8_t op = script.Next(), arg = script.Next();
    Actions actions;
    const WorkerId peer = w.peers.empty() ? WorkerId{9} : w.peers[arg % w.peers.size()];
    const Fetch fetch = w.fetches.empty() ? Fetch{} : w.fetches[arg % w.fetches.size()];
    switch (op % 12) {
      case 0: {
        const auto id = w.core.OnPeerJoined(w.turn, DeviceId{uint8_t(arg % 8)}, actions);
        if (id) w.peers.push_back(*id);
        break;
      }
      case 1: w.core.OnPeerLeft(w.turn, peer, actions); break;
      case 2:
      case 3: {
        if (w.core.transfers() >= 4) break;
        const uint64_t start = op * 100, end = start + uint64_t{arg} * 700;
        Core::Request request{.url = "u", .start = start, .end = end};
        if (op % 12 == 3) request.sha256 = crypto::Sha256(AsBytes(std::string(size_t(end - start), 'x')));
        const auto id = w.core.OnRequest(w.turn, request, actions);
        if (id) w.at[*id] = w.start[*id] = start, w.end[*id] = end;
        break;
      }
      case 4:
      case 5:
      case 6: {  // The bytes come: right, wrong, of another length.
        if (w.fetches.empty()) break;
        w.fetches.erase(w.fetches.begin() + arg % w.fetches.size());
        std::string body(size_t(fetch.end - fetch.start), op / 12 % 6 == 1 ? 'y' : 'x');
        if (op / 12 % 6 == 2) body.pop_back();
        if (fetch.worker == kOwnWan) {
          w.core.OnOwnChunk(w.turn, fetch.fetch, AsBytes(body), actions);
        } else {
          Key32 hash = crypto::Sha256(AsBytes(body));
          if (op / 12 % 6 == 3) hash[0] ^= 1;
          w.core.OnChunkData(w.turn, fetch.worker, {.transfer = fetch.transfer, .start = fetch.start, .end = fetch.end, .hash = hash, .payload = AsBytes(body)}, actions);
        }
        break;
      }
      case 7: w.core.OnProgress(w.turn, fetch.fetch, uint64_t{op} * 64, actions); break;
      case 8: w.core.OnFetchFailed(w.turn, fetch.fetch, actions); break;
      case 9: w.core.OnNack(w.turn, fetch.worker, {fetch.transfer, fetch.start, fetch.end}, actions); break;
      case 10:
        for (const auto& [id, at] : w.at) {
          Actions more;
          w.core.OnRead(w.turn, id, (at - w.start[id]) * (arg % 4) / 3, more);
          actions.insert(actions.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
        }
        break;
      case 11:
        if (arg >= 250 && !w.at.empty()) {
          w.core.Abort(w.turn, w.at.begin()->first, actions);
          break;
        }
        w.turn.now += std::chrono::milliseconds(uint64_t{arg} * arg / 4);
        break;
    }
    w.Do(actions);
    for (int i = 0; w.core.next_deadline() <= w.turn.now; ++i) {
      CHECK_LT(i, 4);
      Actions due;
      w.core.OnTime(w.turn, due);
      w.Do(due);
      CHECK(w.core.next_deadline() > w.turn.now);
    }
  }
  return 0;
}
