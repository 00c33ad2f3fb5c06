#include "node/pod/proxy.h"

#include <algorithm>
#include <utility>

#include "node/pod/proxy_trace.h"

namespace orchard::pod {
namespace {

bool IsLoopback(const Endpoint& e) {
  Endpoint one;
  one.ip[15] = 1;
  return (e.is_v4() && e.v4() >> 24 == 127) || e.ip == one.ip;
}

std::optional<RelayId> RelayIn(const PodNews::value_type& news) {
  return std::visit([](const auto& n) -> std::optional<RelayId> {
    if constexpr (requires { n.relay; }) return n.relay;
    return std::nullopt;
  }, news);
}

}  // namespace

void Proxy::Open(Turn& turn) {
  if (!config_.anyone && !IsLoopback(config_.local)) bind_failure_ = absl::StatusCode::kPermissionDenied;
  else turn.out.Listen(listener_, config_.local);
}

template <class Call>
void Proxy::At(Clients::iterator it, const Call& call) {
  ProxyClient& client = *it->second.client;
  const Instant before = client.next_deadline();
  call(client);
  due_.Move(it->first, before, client.ended() ? kNever : client.next_deadline());
  if (client.ended()) clients_.erase(it);
}

void Proxy::Close(Turn& turn, Downloads& downloads, PodNews& news) {
  http::Ids none;
  ProxyTurn t = With(turn, none, downloads, news);
  while (!clients_.empty()) At(clients_.begin(), [&](ProxyClient& c) { c.Abort(t); });
  if (std::exchange(listening_, std::nullopt).has_value()) turn.out.CloseSocket(listener_);
}

bool Proxy::OnInput(Turn& turn, http::Ids& ids, Downloads& downloads, const Input& input, PodNews& news) {
  if (const auto* opened = std::get_if<SocketOpened>(&input)) {
    if (opened->socket != listener_) return false;
    bind_failure_ = opened->status;
    if (opened->status == absl::StatusCode::kOk) listening_ = opened->local;
    if (opened->status == absl::StatusCode::kOk) return true;
    const std::string why = absl::StatusCodeToString(opened->status);
    turn.trace.Add(ProxyUnbound{.port = config_.local.port, .why = why});
    return true;
  }
  ProxyTurn t = With(turn, ids, downloads, news);
  if (const auto* done = std::get_if<JobDone>(&input)) {
    const auto it = std::find_if(clients_.begin(), clients_.end(), [&](const auto& c) { return c.second.client->asked(done->job); });
    if (it == clients_.end()) return false;
    At(it, [&](ProxyClient& c) { c.OnJobDone(t, *done); });
    return true;
  }
  const auto stream = http::StreamOf(input);
  if (!stream.has_value()) return false;
  if (const auto* opened = std::get_if<StreamOpened>(&input); opened != nullptr && opened->listener.has_value()) {
    if (*opened->listener != listener_) return false;
    OnClient(turn, *opened, t);
    return true;
  }
  if (const auto it = clients_.find(*stream); it != clients_.end()) {
    At(it, [&](ProxyClient& c) { c.OnInput(t, input); });
    return true;
  }
  const auto origin = origins_.find(*stream);
  if (origin == origins_.end()) return false;
  At(clients_.find(origin->second), [&](ProxyClient& c) { c.OnOriginInput(t, *stream, input); });
  return true;
}

void Proxy::OnClient(Turn& turn, const StreamOpened& opened, ProxyTurn& t) {
  const auto same = [&](const auto& c) { return c.second.peer.ip == opened.peer.ip; };
  const bool stranger = !config_.anyone && !IsLoopback(opened.peer) && opened.peer.ip != opened.local.ip;
  const bool crowd = clients_.size() >= kClientsMax ||
                     (!IsLoopback(opened.peer) && size_t(std::count_if(clients_.begin(), clients_.end(), same)) >= kClientsPerAddress);
  if (stranger || crowd) {
    ++stats_.crowded;
    return turn.out.Close(opened.stream);
  }
  ++stats_.clients;
  const auto it = clients_.emplace(opened.stream, Entry{opened.peer, std::make_unique<ProxyClient>(opened.stream, config_)}).first;
  it->second.client->OnOpened(t);
  due_.Move(it->first, kNever, it->second.client->next_deadline());
}

void Proxy::OnTime(Turn& turn, http::Ids& ids, Downloads& downloads, PodNews& news) {
  ProxyTurn t = With(turn, ids, downloads, news);
  while (const auto id = due_.due(turn.now)) At(clients_.find(*id), [&](ProxyClient& c) { c.OnTime(t); });
}

void Proxy::OnNews(Turn& turn, http::Ids& ids, Downloads& downloads, PodNews& news) {
  ProxyTurn t = With(turn, ids, downloads, news);
  const auto of = [&](const TransferId& transfer) {
    const auto it = transfers_.find(transfer);
    return it == transfers_.end() ? clients_.end() : clients_.find(it->second);
  };
  PodNews others;
  for (size_t i = 0; i < news.size(); ++i) {
    auto n = std::move(news[i]);  // The vector may grow below.
    Clients::iterator it = clients_.end();
    if (auto* delivered = std::get_if<PodDelivered>(&n); delivered != nullptr && (it = of(delivered->transfer)) != clients_.end()) {
      At(it, [&](ProxyClient& c) { c.OnDelivered(t, std::move(*delivered)); });
    } else if (const auto* done = std::get_if<PodDone>(&n); done != nullptr && (it = of(done->transfer)) != clients_.end()) {
      transfers_.erase(done->transfer);
      At(it, [&](ProxyClient& c) { c.OnPodDone(t); });
    } else if (const auto* failed = std::get_if<PodFailed>(&n); failed != nullptr && (it = of(failed->transfer)) != clients_.end()) {
      transfers_.erase(failed->transfer);
      At(it, [&](ProxyClient& c) { c.OnPodFailed(t, failed->why); });
    } else if (const auto relay = RelayIn(n); relay.has_value() && relays_.contains(*relay)) {
      At(clients_.find(relays_.at(*relay)), [&](ProxyClient& c) { c.OnRelay(t, std::move(n)); });
    } else {
      others.push_back(std::move(n));
    }
  }
  news = std::move(others);
}

size_t Proxy::held() const {
  size_t held = 0;
  for (const auto& [id, entry] : clients_) held += entry.client->held();
  return held;
}

}  // namespace orchard::pod
