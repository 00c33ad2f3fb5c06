// Machines for tests of the layer, on MemHost: raw ends of a stream on one side, what is tested on the other.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "node/http/get.h"
#include "node/http/range_fetcher.h"
#include "node/http/server_connection.h"
#include "tests/support/mem_host.h"

namespace orchard::http {

// Does what the test says, in a turn of its own: net.Call(node, OpId{n}, "do") after `todo` was set.
template <class M>
void Do(MemHost& net, MemHost::NodeIndex node, std::function<void(Turn&, M&)> what) {
  static uint32_t next_op = 1;
  net.machine<M>(node).todo = std::move(what);
  net.Call(node, OpId{next_op++}, "do");
}

// Connects to `to` at once, writes `script` in pieces of `piece` every `beat`, and keeps what comes.
class RawClient final : public Machine {
 public:
  struct Options {
    std::string script;
    size_t piece = SIZE_MAX;
    Duration beat{};
    bool end = false;       // After the script.
    bool reads = true;
  };
  RawClient(Endpoint to, Options options) : to_(to), o_(std::move(options)) {}
  void Handle(Turn& turn, const Input& input) override {
    constexpr StreamId kStream{1};
    if (std::holds_alternative<Start>(input)) turn.out.Connect(kStream, to_);
    if (std::holds_alternative<StreamOpened>(input)) {
      if (o_.reads) turn.out.Accept(kStream, 1u << 30);
      next_ = turn.now;
    }
    if (const auto* d = std::get_if<StreamData>(&input)) got += AsText(d->bytes), last = turn.now;
    if (std::holds_alternative<StreamEnded>(input)) {
      server_ended = true;
      if (!ended_) ended_ = true, turn.out.End(kStream), next_ = kNever;
    }
    if (const auto* c = std::get_if<StreamClosed>(&input)) closed = c->status, closed_at = turn.now, next_ = kNever;
    if (todo) std::exchange(todo, nullptr)(turn, *this);
    if (next_ > turn.now) return;
    const std::string piece = o_.script.substr(0, o_.piece);
    o_.script.erase(0, piece.size());
    if (!piece.empty()) turn.out.Write(kStream, AsBytes(piece));
    next_ = o_.script.empty() ? kNever : turn.now + std::max<Duration>(o_.beat, Duration{1});
    if (o_.script.empty() && o_.end && !ended_) ended_ = true, turn.out.End(kStream);
  }
  Instant next_deadline() const override { return next_; }

  std::string got;
  bool server_ended = false;
  std::optional<absl::StatusCode> closed;
  Instant closed_at = kNever, last = kNever;
  std::function<void(Turn&, RawClient&)> todo;

 private:
  Endpoint to_;
  Options o_;
  Instant next_ = kNever;
  bool ended_ = false;
};

// Answers the nth request of its life with whatever bytes the test says.
class RawServer final : public Machine {
 public:
  struct Reply {
    std::string bytes;
    bool end = false;   // Our half, behind them.
    bool reset = false;
  };
  using Script = std::function<Reply(std::string_view request, size_t nth)>;
  explicit RawServer(Script script) : script_(std::move(script)) {}
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Start>(input)) turn.out.Listen(SocketId{1}, Endpoint::V4(0, 80));
    if (const auto* o = std::get_if<StreamOpened>(&input)) ++connections, turn.out.Accept(o->stream, 1u << 30);
    if (const auto* c = std::get_if<StreamClosed>(&input)) open_.erase(c->stream);
    if (const auto* e = std::get_if<StreamEnded>(&input)) {
      if (!ended_[e->stream]) turn.out.End(e->stream);
    }
    const auto* d = std::get_if<StreamData>(&input);
    if (d == nullptr) return;
    std::string& in = open_[d->stream];
    in += AsText(d->bytes);
    for (size_t end; (end = in.find("\r\n\r\n")) != in.npos;) {
      requests.push_back(in.substr(0, end + 4));
      in.erase(0, end + 4);
      const Reply r = script_(requests.back(), requests.size() - 1);
      if (!r.bytes.empty()) turn.out.Write(d->stream, AsBytes(r.bytes));
      if (r.end) ended_[d->stream] = true, turn.out.End(d->stream);
      if (r.reset) {
        turn.out.Close(d->stream);
        open_.erase(d->stream);
        return;
      }
    }
  }
  Instant next_deadline() const override { return kNever; }
  std::vector<std::string> requests;
  size_t connections = 0;

 private:
  Script script_;
  std::map<StreamId, std::string> open_;
  std::map<StreamId, bool> ended_;
};

class GetMachine final : public Machine {
 public:
  void Handle(Turn& turn, const Input& input) override {
    GetNews news;
    if (std::holds_alternative<OpCall>(input) && todo) std::exchange(todo, nullptr)(turn, *this);
    if (std::holds_alternative<Deadline>(input)) gets.OnTime(turn, ids, news);
    else gets.OnInput(turn, ids, input, news);
    for (GetDone& d : news) done.emplace(d.get, std::move(d.result));
  }
  Instant next_deadline() const override { return gets.next_deadline(); }
  void Get(Turn& turn, GetId id, GetRequest request) {
    GetNews news;
    gets.Start(turn, ids, id, std::move(request), news);
    for (GetDone& d : news) done.emplace(d.get, std::move(d.result));
  }
  Ids ids;
  Gets gets;
  std::map<GetId, GetResult> done;
  std::function<void(Turn&, GetMachine&)> todo;
};

class FetchMachine final : public Machine {
 public:
  struct Fetched {
    std::string bytes;
    bool started = false, done = false;
    std::optional<uint64_t> size;
    Validator validator;
    Failure why = Failure::kNone;
    int status = 0;
    bool over() const { return done || why != Failure::kNone; }
  };
  void Handle(Turn& turn, const Input& input) override {
    FetchNews news;
    if (std::holds_alternative<OpCall>(input) && todo) std::exchange(todo, nullptr)(turn, *this);
    if (std::holds_alternative<Deadline>(input)) fetcher.OnTime(turn, ids, news);
    else fetcher.OnInput(turn, ids, input, news);
    Take(news);
    connections_max = std::max(connections_max, fetcher.connections());
  }
  Instant next_deadline() const override { return fetcher.next_deadline(); }
  void Fetch(Turn& turn, FetchId id, std::string_view url, ByteRange range, Validator validator = {}) {
    FetchNews news;
    fetcher.Fetch(turn, ids, id, *Url::Parse(url), range, validator, news);
    Take(news);
  }
  void Take(const FetchNews& news) {
    for (const auto& n : news) {
      if (const auto* s = std::get_if<FetchStarted>(&n)) got[s->fetch].started = true, got[s->fetch].size = s->size, got[s->fetch].validator = s->validator;
      if (const auto* p = std::get_if<FetchProgress>(&n)) {
        CHECK(got[p->fetch].started && !got[p->fetch].over());
        got[p->fetch].bytes += AsText(p->bytes);
      }
      if (const auto* d = std::get_if<FetchDone>(&n)) CHECK(!got[d->fetch].over()), got[d->fetch].done = true;
      if (const auto* f = std::get_if<FetchFailed>(&n)) CHECK(!got[f->fetch].over()), got[f->fetch].why = f->why, got[f->fetch].status = f->status;
    }
  }
  Ids ids;
  RangeFetcher fetcher;
  std::map<FetchId, Fetched> got;
  size_t connections_max = 0;
  std::function<void(Turn&, FetchMachine&)> todo;
};

}  // namespace orchard::http
