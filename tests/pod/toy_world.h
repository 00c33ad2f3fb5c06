// A pod in virtual time: uplinks with a rate, a round trip, jitter, dark times and lies; a core that uses them, and a reader.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "node/pod/core.h"
#include "tests/support/bare_turn.h"

namespace orchard::pod {

using namespace std::chrono_literals;

struct Uplink {
  uint64_t kbit;               // Per second.
  Duration rtt;
  int pool = -1;               // Links with the same number share one pipe.
  bool serial = false;         // Asks its origin for the next chunk when it has sent the last, as pea-linux does.
  uint32_t loss_permille = 0;  // Of segments; TCP's rate is then what Mathis et al. 1997 say, if less.
  Duration dead_from = Duration::max(), dead_for = Duration::max(), dead_every{};  // Every zero: once.
  uint32_t lies_permille = 0;  // Of its chunks are another content, with a matching hash.
  uint32_t corrupt_permille = 0;  // Of its chunks do not match their hash.
  uint64_t rate() const {
    uint64_t bytes = kbit * 125;
    // MSS / RTT × 1.22 / √p; √(1/1000) is 0.0316.
    if (loss_permille == 0) return bytes;
    uint64_t root = 1;
    while (root * root < loss_permille * 1000) ++root;                                   // √(p) × 1000.
    const uint64_t tcp = 1460u * 1220u / root * uint64_t(1'000'000'000 / rtt.count());
    return std::min(bytes, tcp);
  }
  uint64_t best(uint64_t bytes) const { return uint64_t(TimeFor(bytes, rate()).count() + rtt.count()); }  // Alone, ns.
};

class ToyWorld {
 public:
  static constexpr uint64_t kPiece = 32 << 10;  // Our own WAN tells its progress so often.

  ToyWorld(std::vector<Uplink> uplinks, CoreConfig config = {}) : core(config), links_(std::move(uplinks)) {
    ids_.push_back(kOwnWan);
    for (size_t i = 1; i < links_.size(); ++i) Join(i);
  }

  Core core;
  BareTurn box;
  std::vector<Action> seen;                        // All but fetches and deliveries.
  std::map<TransferId, uint64_t> at;               // Delivered so far.
  std::map<TransferId, Ended> ended;
  std::map<TransferId, uint64_t> start_of;
  std::vector<uint64_t> fetched;                   // Bytes that each link served.
  Duration longest_stall{};                        // Between two deliveries.
  uint64_t held_max = 0;
  bool reads = true, wrong_bytes = false;
  bool peers_progress = true;                      // A session tells how much of a record has come.
  Duration read_delay{};

  static uint8_t Body(uint64_t offset) { return uint8_t((offset * 2654435761u) >> 13 ^ offset >> 18); }
  static std::string Range(uint64_t start, uint64_t end) {
    std::string out(size_t(end - start), '\0');
    for (uint64_t i = start; i < end; ++i) out[size_t(i - start)] = char(Body(i));
    return out;
  }
  WorkerId id(size_t link) const { return ids_[link]; }
  static DeviceId Device(size_t link) { return {uint8_t(link), uint8_t(link >> 8)}; }
  void Join(size_t link) {
    Actions actions;
    const auto id = core.OnPeerJoined(turn(), Device(link), actions);
    ids_.resize(std::max(ids_.size(), link + 1));
    if (id) ids_[link] = *id;
    Do(actions);
  }
  void Leave(size_t link) {
    Actions actions;
    core.OnPeerLeft(turn(), ids_[link], actions);
    Do(actions);
  }
  std::optional<TransferId> Begin(uint64_t start, uint64_t end, std::optional<Key32> sha256 = std::nullopt) {
    Actions actions;
    const auto id = core.OnRequest(turn(), {.url = "http://origin/", .start = start, .end = end, .sha256 = sha256}, actions);
    if (id) at[*id] = start, start_of[*id] = start, last_delivery_ = turn().now;
    Do(actions);
    return id;
  }
  // Runs until every transfer has ended. Returns the virtual time; fails after `most`.
  Duration Run(Duration most = 10min) {
    const Instant begin = turn().now;
    while (ended.size() < at.size()) {
      if (!Step(begin + most)) {
        ADD_FAILURE() << "nothing more happens, or it takes too long";
        return most;
      }
    }
    return turn().now - begin;
  }
  void RunFor(Duration time) {
    const Instant until = turn().now + time;
    while (Step(until)) {}
  }
  Turn& turn() { return box.turn; }

 private:
  struct Event {
    enum class What : uint8_t { kProgress, kArrived, kRead, kBack } what;
    size_t link = 0;
    Fetch fetch{};
    uint64_t so_far = 0;
    TransferId transfer{};
  };

  // The next instant from `t` on at which the link is alive.
  bool Dead(size_t link, Instant t) const { return Alive(link, t) != t; }
  Instant Alive(size_t link, Instant t) const {
    const Uplink& u = links_[link];
    if (u.dead_from == Duration::max()) return t;
    Instant from = Instant{} + u.dead_from;
    while (u.dead_every > Duration{} && from + u.dead_every <= t) from += u.dead_every;
    if (t < from) return t;
    if (u.dead_for == Duration::max()) return kNever;
    return std::max(t, from + u.dead_for);
  }
  // The next thing that happens; false if nothing does until then.
  bool Step(Instant until) {
    const Instant due = core.next_deadline(), event = events_.empty() ? kNever : events_.begin()->first.first;
    const Instant next = std::min(due, event);
    if (next == kNever || next > until) return false;
    EXPECT_GE(next, turn().now);
    box.turn.now = std::max(next, turn().now);
    Actions actions;
    if (due <= turn().now) {
      core.OnTime(turn(), actions);
      EXPECT_GT(core.next_deadline(), turn().now);
    } else {
      const Event e = events_.begin()->second;
      events_.erase(events_.begin());
      On(e, actions);
    }
    for (const auto& [t, unused] : at) held_max = std::max(held_max, core.held_bytes(t));
    for (size_t i = 1; i < links_.size(); ++i) {
      if (!Dead(i, turn().now)) core.OnHeard(turn(), ids_[i]);  // Heartbeats.
    }
    Do(actions);
    return true;
  }
  void Do(const Actions& actions) {
    for (const Action& action : actions) {
      if (const auto* f = std::get_if<Fetch>(&action)) Serve(*f);
      else if (const auto* c = std::get_if<Cancel>(&action)) cancelled_.insert(c->fetch);
      else if (const auto* d = std::get_if<Deliver>(&action)) OnDeliver(*d);
      else if (const auto* e = std::get_if<Ended>(&action)) EXPECT_TRUE(ended.emplace(e->transfer, *e).second);
      else seen.push_back(action);
      if (const auto* s = std::get_if<PeerSilent>(&action)) {
        // Its session comes back when the link does.
        const size_t link = s->device[0];
        if (const Instant back = Alive(link, turn().now); back != kNever) Add(back + 1s, {.what = Event::What::kBack, .link = link});
      }
    }
  }
  void OnDeliver(const Deliver& d) {
    EXPECT_EQ(at[d.transfer], d.offset) << "not in order, or twice";
    at[d.transfer] += d.bytes.size();
    wrong_bytes |= d.bytes != Range(d.offset, d.offset + d.bytes.size());
    longest_stall = std::max(longest_stall, turn().now - last_delivery_);
    last_delivery_ = turn().now;
    if (reads) Add(turn().now + read_delay, {.what = Event::What::kRead, .so_far = at[d.transfer] - start_of[d.transfer], .transfer = d.transfer});
  }
  // A link is a pipe: requests wait, their bytes follow each other, at its rate.
  void Serve(const Fetch& f) {
    const size_t link = size_t(std::find(ids_.begin(), ids_.end(), f.worker) - ids_.begin());
    const Uplink& u = links_[link];
    Instant& free = free_[u.pool >= 0 ? 1000 + u.pool : int(link)];
    const Instant there = turn().now + u.rtt / 2;
    Instant begin = u.serial ? std::max(there, free + u.rtt) : std::max(there, free);
    Instant end = begin;
    const uint64_t bytes = f.end - f.start;
    for (uint64_t done = 0; done < bytes;) {
      const uint64_t piece = std::min(kPiece, bytes - done);
      end = Alive(link, end);
      if (end == kNever) break;
      end += TimeFor(piece, u.rate());
      // Dark when it would have arrived: it comes after.
      if (end = Alive(link, end); end == kNever) break;
      done += piece;
      const Instant here = end + u.rtt / 2;
      if (done == bytes) Add(here, {.what = Event::What::kArrived, .link = link, .fetch = f});
      else if (link == 0 || peers_progress) Add(here, {.what = Event::What::kProgress, .link = link, .fetch = f, .so_far = done});
    }
    free = end;
    fetched.resize(links_.size());
    fetched[link] += bytes;
  }
  void On(const Event& e, Actions& actions) {
    if (e.what == Event::What::kBack) return Join(e.link);
    if (e.what == Event::What::kRead) return core.OnRead(turn(), e.transfer, e.so_far, actions);
    if (cancelled_.contains(e.fetch.fetch)) return;
    if (e.what == Event::What::kProgress) return core.OnProgress(turn(), e.fetch.fetch, e.so_far, actions);
    std::string body = Range(e.fetch.start, e.fetch.end);
    if (e.link == 0) return core.OnOwnChunk(turn(), e.fetch.fetch, AsBytes(body), actions);
    const Uplink& u = links_[e.link];
    if (u.lies_permille > 0 && luck_.Chance(u.lies_permille, 1000)) body[body.size() / 2] ^= 1;
    ChunkData data{.transfer = e.fetch.transfer, .start = e.fetch.start, .end = e.fetch.end, .hash = crypto::Sha256(AsBytes(body))};
    if (u.corrupt_permille > 0 && luck_.Chance(u.corrupt_permille, 1000)) body[0] ^= 1;
    data.payload = AsBytes(body);
    core.OnChunkData(turn(), e.fetch.worker, data, actions);
  }
  void Add(Instant at, Event e) { events_.emplace(std::pair(at, serial_++), e); }

  std::vector<Uplink> links_;
  std::vector<WorkerId> ids_;
  std::map<std::pair<Instant, uint64_t>, Event> events_;
  std::map<int, Instant> free_;
  std::set<FetchId> cancelled_;
  Rng luck_ = Rng::Named(7, "toy", "lies");
  Instant last_delivery_{};
  uint64_t serial_ = 0;
};

}  // namespace orchard::pod
