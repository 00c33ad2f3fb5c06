// A proxy on MemHost, with a pretended pod: its uplinks are connections of our own, its members a number.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "node/http/origin.h"
#include "node/http/writer.h"
#include "node/http/range_fetcher.h"
#include "node/pod/proxy.h"
#include "tests/http/net.h"

namespace orchard::pod {

using http::Do;
using http::RawClient;
using http::RawServer;

// Downloads in chunks, a few at once, and delivers in order, a window ahead of the reader. Bytes that a digest vouches for wait for it.
class PretendedPod final : public Downloads {
 public:
  explicit PretendedPod(http::Ids* ids) : ids_(ids) {}
  std::optional<TransferId> Start(Turn& turn, const DownloadRequest& request, PodNews& news) override {
    requests.push_back(request);
    if (declines) return std::nullopt;
    TransferId id{};
    id[0] = uint8_t(++started);
    transfers_.emplace(id, Transfer{.request = request, .asked = request.first, .delivered = request.first});
    Ask(turn, id, news);
    return id;
  }
  void Read(Turn& turn, const TransferId& id, uint64_t bytes, PodNews& news) override {
    if (!transfers_.contains(id)) return;
    transfers_.at(id).read = bytes;
    Ask(turn, id, news);
  }
  void Abort(Turn& turn, const TransferId& id, PodNews&) override {
    ++aborted;
    Drop(turn, id);
  }
  size_t peers() const override { return members; }

  void OnInput(Turn& turn, const Input& input, PodNews& news) {
    http::FetchNews heard;
    if (std::holds_alternative<Deadline>(input)) fetcher_.OnTime(turn, *ids_, heard);
    else fetcher_.OnInput(turn, *ids_, input, heard);
    Take(turn, heard, news);
  }
  Instant next_deadline() const { return fetcher_.next_deadline(); }
  // Ends all downloads so.
  void FailAll(Turn& turn, Ending why, PodNews& news) {
    while (!transfers_.empty()) {
      const TransferId id = transfers_.begin()->first;
      Drop(turn, id);
      news.push_back(PodFailed{id, why});
    }
  }

  size_t members = 2;
  bool declines = false;
  uint64_t chunk = 16 << 10, window = 256 << 10;
  std::optional<uint64_t> fails_after;  // So many bytes were delivered.
  Ending fails_how = Ending::kUnavailable;
  std::vector<DownloadRequest> requests;
  size_t started = 0, aborted = 0;

 private:
  struct Transfer {
    DownloadRequest request;
    uint64_t asked, delivered, read = 0;
    std::map<uint64_t, std::string> have{};  // By offset, whole chunks.
    std::string held{};
  };
  struct Part { TransferId transfer; uint64_t first; std::string bytes; };

  void Drop(Turn& turn, const TransferId& id) {
    http::FetchNews ignored;
    for (auto it = parts_.begin(); it != parts_.end();) {
      if (it->second.transfer == id) fetcher_.Cancel(turn, *ids_, it->first, ignored), it = parts_.erase(it);
      else ++it;
    }
    transfers_.erase(id);
  }
  void Ask(Turn& turn, const TransferId& id, PodNews& news) {
    Transfer& t = transfers_.at(id);
    http::FetchNews heard;
    const bool held = t.request.sha256.has_value();
    while (t.asked <= t.request.last && (held || t.asked < t.request.first + t.read + window)) {
      const uint64_t last = std::min(t.request.last, t.asked + chunk - 1);
      const http::FetchId fetch{++next_};
      parts_.emplace(fetch, Part{id, t.asked, {}});
      fetcher_.Fetch(turn, *ids_, fetch, t.request.url, {t.asked, last}, t.request.validator, heard);
      t.asked = last + 1;
    }
    Take(turn, heard, news);
  }
  void Take(Turn& turn, const http::FetchNews& heard, PodNews& news) {
    for (const auto& n : heard) {
      if (const auto* p = std::get_if<http::FetchProgress>(&n); p != nullptr && parts_.contains(p->fetch)) parts_.at(p->fetch).bytes += AsText(p->bytes);
      if (const auto* d = std::get_if<http::FetchDone>(&n); d != nullptr && parts_.contains(d->fetch)) {
        auto part = std::move(parts_.extract(d->fetch).mapped());
        transfers_.at(part.transfer).have[part.first] = std::move(part.bytes);
        Deliver(turn, part.transfer, news);
      }
      if (const auto* f = std::get_if<http::FetchFailed>(&n); f != nullptr && parts_.contains(f->fetch)) {
        const TransferId id = parts_.at(f->fetch).transfer;
        parts_.erase(f->fetch);
        Drop(turn, id);
        news.push_back(PodFailed{id, Ending::kUnavailable});
      }
    }
  }
  void Deliver(Turn& turn, const TransferId& id, PodNews& news) {
    Transfer& t = transfers_.at(id);
    for (auto it = t.have.begin(); it != t.have.end() && it->first == t.delivered; it = t.have.erase(it)) {
      t.delivered += it->second.size();
      if (t.request.sha256.has_value()) t.held += it->second;
      else news.push_back(PodDelivered{id, it->first, std::move(it->second)});
    }
    if (fails_after.has_value() && t.delivered - t.request.first >= *fails_after) {
      Drop(turn, id);
      return news.push_back(PodFailed{id, fails_how});
    }
    if (t.delivered <= t.request.last) return;
    const bool held = t.request.sha256.has_value();
    if (held && crypto::Sha256(AsBytes(t.held)) != *t.request.sha256) {
      Drop(turn, id);
      return news.push_back(PodFailed{id, Ending::kHashMismatch});
    }
    if (held) news.push_back(PodDelivered{id, t.request.first, std::move(t.held)});
    news.push_back(PodDone{id, held, 0});
    transfers_.erase(id);
  }

  http::Ids* ids_;
  http::RangeFetcher fetcher_;
  std::map<TransferId, Transfer> transfers_;
  std::map<http::FetchId, Part> parts_;
  uint32_t next_ = 0;
};

inline ProxyConfig OpenConfig() { return {.local = Endpoint::V4(0, 3128), .anyone = true, .chunk_bytes = 16 << 10}; }

class ProxyMachine final : public Machine {
 public:
  explicit ProxyMachine(ProxyConfig config) : proxy(SocketId{7}, std::move(config)), pod(&ids) {}
  void Handle(Turn& turn, const Input& input) override {
    PodNews news;
    if (std::holds_alternative<Start>(input)) proxy.Open(turn);
    if (std::holds_alternative<OpCall>(input) && todo) std::exchange(todo, nullptr)(turn, *this);
    if (std::holds_alternative<Deadline>(input)) proxy.OnTime(turn, ids, pod, news), pod.OnInput(turn, input, news);
    else if (!proxy.OnInput(turn, ids, pod, input, news)) pod.OnInput(turn, input, news);
    proxy.OnNews(turn, ids, pod, news);
    held_max = std::max(held_max, proxy.held());
  }
  Instant next_deadline() const override { return std::min(proxy.next_deadline(), pod.next_deadline()); }

  http::Ids ids;
  Proxy proxy;
  PretendedPod pod;
  size_t held_max = 0;
  std::function<void(Turn&, ProxyMachine&)> todo;
};

// A client's machine, the proxy, and an origin: each a host of its own.
struct ProxyNet {
  explicit ProxyNet(ProxyConfig config = OpenConfig(), MemHost::Options options = {.latency = std::chrono::milliseconds(2)}) : net(options) {
    node = net.Add("proxy", [config](uint32_t) { return std::make_unique<ProxyMachine>(config); });
    getter = net.Add("getter", [](uint32_t) { return std::make_unique<http::GetMachine>(); });
  }
  Endpoint at() { return net.address(node).with_port(3128); }
  ProxyMachine& machine() { return net.machine<ProxyMachine>(node); }
  const ProxyStats& stats() { return machine().proxy.stats(); }
  // An origin's address as URLs say it.
  std::string Serve(http::OriginConfig config) {
    origin_node = net.Add("origin" + std::to_string(net.size()), [config](uint32_t) { return std::make_unique<http::Origin>(config); });
    return Base(origin_node);
  }
  std::string Script(RawServer::Script script) {
    origin_node = net.Add("server" + std::to_string(net.size()), [script](uint32_t) { return std::make_unique<RawServer>(script); });
    return Base(origin_node);
  }
  std::string Base(MemHost::NodeIndex n) { return "http://" + net.address(n).host(); }
  http::Origin& origin() { return net.machine<http::Origin>(origin_node); }
  RawServer& server() { return net.machine<RawServer>(origin_node); }
  RawClient& Raw(RawClient::Options options) {
    const Endpoint to = at();
    const auto n = net.Add("raw" + std::to_string(net.size()), [to, options](uint32_t) { return std::make_unique<RawClient>(to, options); });
    return net.machine<RawClient>(n);
  }
  // What a client reads that writes this and listens for a while.
  std::string Exchange(std::string script, Duration time = std::chrono::seconds(5)) {
    RawClient& c = Raw({.script = std::move(script)});
    net.Run(time);
    return c.got;
  }
  http::GetId Start(std::string url, std::string range = "") {
    const http::GetId id{++gets};
    Do<http::GetMachine>(net, getter, [&, id](Turn& turn, http::GetMachine& m) { m.Get(turn, id, {.url = url, .range = range, .proxy = at()}); });
    return id;
  }
  const http::GetResult& Wait(http::GetId id, Duration most = std::chrono::minutes(2)) {
    auto& done = net.machine<http::GetMachine>(getter).done;
    CHECK(net.RunUntil([&] { return done.contains(id); }, most));
    return done.at(id);
  }
  http::GetResult Get(std::string url, std::string range = "") { return Wait(Start(std::move(url), std::move(range))); }

  MemHost net;
  MemHost::NodeIndex node, getter, origin_node = 0;
  uint32_t gets = 0;
};

}  // namespace orchard::pod
