// Pods in memory: members on one wire, an origin, and a hand that plays the reader.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "node/crypto/sha256.h"
#include "node/http/origin.h"
#include "node/pod/pod.h"
#include "tests/support/mem_host.h"

namespace orchard::pod {

class PodMachine final : public Machine {
 public:
  struct Got {
    std::string bytes;
    bool done = false, verified = false;
    uint64_t from_peers = 0;
    std::optional<Ending> failed;
    bool over() const { return done || failed.has_value(); }
  };
  explicit PodMachine(const PodConfig& config) : pod(config) {}
  void Handle(Turn& turn, const Input& input) override {
    PodNews news;
    if (const auto* start = std::get_if<orchard::Start>(&input)) pod.Start(turn, start->interfaces);
    else if (std::holds_alternative<Deadline>(input)) pod.OnTime(turn, news);
    else if (const auto* changed = std::get_if<InterfacesChanged>(&input)) pod.OnInterfacesChanged(turn, changed->interfaces);
    else if (std::holds_alternative<orchard::Stop>(input)) pod.OnStop(turn), turn.out.Stopped();
    else if (std::holds_alternative<OpCall>(input)) std::exchange(todo, nullptr)(turn, *this);
    else pod.OnInput(turn, input, news);
    Take(turn, std::move(news));
  }
  Instant next_deadline() const override { return pod.next_deadline(); }
  void Take(Turn& turn, PodNews news) {
    while (!news.empty()) {
      PodNews more;
      for (auto& n : news) {
        if (auto* d = std::get_if<PodDelivered>(&n)) {
          Got& g = got[d->transfer];
          CHECK_EQ(d->offset, first[d->transfer] + g.bytes.size());
          g.bytes += d->bytes;
          if (reads) pod.Read(turn, d->transfer, g.bytes.size(), more);
        }
        if (auto* d = std::get_if<PodDone>(&n)) got[d->transfer].done = true, got[d->transfer].verified = d->verified, got[d->transfer].from_peers = d->from_peers;
        if (auto* f = std::get_if<PodFailed>(&n)) got[f->transfer].failed = f->why;
        if (std::holds_alternative<PodFormed>(n)) ++formed;
        if (std::holds_alternative<PodLeft>(n)) ++left;
      }
      news = std::move(more);
    }
  }
  Pod pod;
  bool reads = true;
  std::map<TransferId, Got> got;
  std::map<TransferId, uint64_t> first;
  size_t formed = 0, left = 0;
  std::function<void(Turn&, PodMachine&)> todo;
};

struct PodNet {
  using Node = MemHost::NodeIndex;
  static constexpr uint64_t kFilm = 8 << 20;

  explicit PodNet(MemHost::Options options = {.latency = std::chrono::milliseconds(5)}) : net(options) {
    net.set_on_trace([this](Node n, std::string_view event, absl::Span<const TraceField> fields) {
      std::string why;
      for (const TraceField& f : fields) {
        if (std::string_view(f.name) == "why") why = ":" + std::string(AsText(f.bytes));
      }
      ++events[{n, std::string(event) + why}];
    });
  }
  static PodConfig Config(Profile profile = Profile::kCompatCode) {
    PodConfig c;
    c.profile = profile, c.allow_private = true;
    return c;
  }
  Node Add(std::string name, PodConfig config = Config(), std::optional<Endpoint> at = std::nullopt) {
    return net.Add(std::move(name), [config](uint32_t) { return std::make_unique<PodMachine>(config); }, at);
  }
  Node AddOrigin(http::OriginConfig config = {}) {
    config.files = {{"/film", kFilm}};
    const Node n = net.Add("origin", [config](uint32_t) { return std::make_unique<http::Origin>(config); });
    net.SetName("origin", {net.address(n)});
    origin = n;
    return n;
  }
  PodMachine& at(Node n) { return net.machine<PodMachine>(n); }
  bool RunUntil(const std::function<bool()>& done, Duration bound) { return net.RunUntil(done, bound); }
  void Do(Node n, std::function<void(Turn&, PodMachine&)> what) {
    at(n).todo = std::move(what);
    net.Call(n, OpId{next_op++}, "do");
  }
  std::optional<TransferId> Download(Node n, uint64_t first, uint64_t last, std::optional<Key32> sha256 = std::nullopt,
                                     std::string_view url = "http://origin/film", http::Validator validator = {}) {
    std::optional<TransferId> id;
    Do(n, [&](Turn& turn, PodMachine& m) {
      PodNews news;
      id = m.pod.Start(turn, {.url = *http::Url::Parse(url), .first = first, .last = last, .validator = validator, .sha256 = sha256}, news);
      if (id.has_value()) m.got[*id], m.first[*id] = first;
      m.Take(turn, std::move(news));
    });
    return id;
  }
  std::string File(uint64_t first, uint64_t size) {
    std::vector<uint8_t> bytes(size);
    net.machine<http::Origin>(origin).content("/film")->Read(first, absl::MakeSpan(bytes));
    return std::string(AsText(Bytes(bytes)));
  }
  uint64_t count(Node n, const std::string& event) const {
    auto it = events.find({n, event});
    return it == events.end() ? 0 : it->second;
  }

  std::map<std::pair<Node, std::string>, uint64_t> events;
  MemHost net;
  Node origin = 0;
  uint32_t next_op = 1;
};

}  // namespace orchard::pod
