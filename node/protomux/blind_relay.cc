#include "node/protomux/blind_relay.h"

#include <limits>
#include <utility>

#include "node/base/check.h"
#include "node/base/status_macros.h"
#include "node/wire/reader.h"
#include "node/wire/writer.h"

namespace orchard::protomux {
namespace {

// Message types of the channel, and the width of their flags. Source: blind-relay index.js.
constexpr uint32_t kPair = 0, kUnpair = 1;
constexpr size_t kFlagBits = 7;

}  // namespace

std::string RelayPair::Encode() const {
  wire::Writer w;
  w.Bitfield(initiator ? 1 : 0, kFlagBits), w.Key(token), w.Uint(id), w.Uint(0);  // seq: always 0.
  return w.str();
}

absl::StatusOr<RelayPair> RelayPair::Decode(Bytes bytes) {
  wire::Reader r(bytes);
  RelayPair pair;
  pair.initiator = (r.Bitfield() & 1) != 0;
  pair.token = r.Key();
  const uint64_t id = r.Uint();
  r.Uint();
  if (id > std::numeric_limits<uint32_t>::max()) r.Fail("no id of a UDX stream");
  RETURN_IF_ERROR(r.status());
  pair.id = uint32_t(id);
  return pair;
}

std::string RelayUnpair::Encode() const {
  wire::Writer w;
  w.Bitfield(0, kFlagBits), w.Key(token);
  return w.str();
}

absl::StatusOr<RelayUnpair> RelayUnpair::Decode(Bytes bytes) {
  wire::Reader r(bytes);
  RelayUnpair unpair;
  r.Bitfield();
  unpair.token = r.Key();
  RETURN_IF_ERROR(r.status());
  return unpair;
}

// ---- Client ----

BlindRelayClient::BlindRelayClient(const Key32& own_key, Mux& mux, protomux::News& mux_news, Out& out)
    : channel_(mux.Open({.protocol = kBlindRelay, .id = own_key}, mux_news, out).value_or(ChannelId{})) {}

absl::Status BlindRelayClient::Pair(Mux& mux, const Key32& token, bool initiator, uint32_t stream_id, Out& out) {
  if (ended()) return absl::FailedPreconditionError("blind relay: the channel is closed");
  if (requests_.size() >= kRequestsMax) return absl::ResourceExhaustedError("blind relay: too many requests");
  if (!requests_.emplace(token, initiator).second) return absl::AlreadyExistsError("blind relay: that token is asked for");
  mux.Send(channel_, kPair, AsBytes(RelayPair{initiator, token, stream_id}.Encode()), out);
  return absl::OkStatus();
}

void BlindRelayClient::Unpair(Mux& mux, const Key32& token, Out& out) {
  requests_.erase(token);
  if (!ended()) mux.Send(channel_, kUnpair, AsBytes(RelayUnpair{token}.Encode()), out);
}

bool BlindRelayClient::OnNews(const protomux::Item& item, News& news) {
  if (ended()) return false;
  if (const auto* o = std::get_if<ChannelOpened>(&item)) {
    opened_ = opened_ || o->channel == channel_;
    return o->channel == channel_;
  }
  if (const auto* c = std::get_if<ChannelClosed>(&item); c != nullptr && c->channel == channel_) {
    Ended ended{.refused = c->rejected};
    for (const auto& [token, initiator] : requests_) ended.lost.push_back(token);
    news.push_back(std::move(ended));
    requests_.clear();
    channel_ = {};
    return true;
  }
  const auto* m = std::get_if<ChannelMessage>(&item);
  if (m == nullptr || m->channel != channel_) return false;
  if (m->type != kPair) return true;
  // What was not asked, or asked as the other half, is no answer.
  const auto pair = RelayPair::Decode(m->bytes);
  if (!pair.ok()) return true;
  const auto it = requests_.find(pair->token);
  if (it == requests_.end() || it->second != pair->initiator) return true;
  requests_.erase(it);
  news.push_back(Paired{pair->token, pair->initiator, pair->id});
  return true;
}

void BlindRelayClient::Close(Mux& mux, Out& out) {
  if (!ended()) mux.Close(channel_, out);
  channel_ = {};
  requests_.clear();
}

// ---- Server ----

bool BlindRelayServer::Accept(RelaySession session, const Key32& client_key, Mux& mux, protomux::News& mux_news, Out& out) {
  if (sessions_.size() >= kSessionsMax) return false;
  if (auto of = sessions_of_.find(client_key); of != sessions_of_.end() && of->second >= kSessionsOfOneKey) return false;
  CHECK(!sessions_.contains(session));
  const auto channel = mux.Open({.protocol = kBlindRelay, .id = client_key}, mux_news, out);
  if (!channel.has_value()) return false;
  Session& made = sessions_[session];
  made.channel = *channel, made.key = client_key;
  ++sessions_of_[client_key];
  return true;
}

bool BlindRelayServer::OnNews(Turn& turn, RelaySession session, const protomux::Item& item, News& news) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return false;
  const ChannelId channel = it->second.channel;
  if (const auto* o = std::get_if<ChannelOpened>(&item)) return o->channel == channel;
  if (const auto* c = std::get_if<ChannelClosed>(&item); c != nullptr && c->channel == channel) {
    OnClosed(session, news);
    return true;
  }
  const auto* m = std::get_if<ChannelMessage>(&item);
  if (m == nullptr || m->channel != channel) return false;
  if (m->type == kPair) {
    if (const auto pair = RelayPair::Decode(m->bytes); pair.ok()) OnPair(turn, session, *pair, news);
    else ++stats_.ignored;
  } else if (m->type == kUnpair) {
    if (const auto unpair = RelayUnpair::Decode(m->bytes); unpair.ok()) OnUnpair(session, unpair->token, news);
    else ++stats_.ignored;
  }
  return true;
}

void BlindRelayServer::OnPair(Turn& turn, RelaySession session, const RelayPair& pair, News& news) {
  Session& own = sessions_.at(session);
  const auto it = waiting_.find(pair.token);
  if (it == waiting_.end()) {
    if (waiting_.size() >= kWaitingMax || own.waiting.size() >= kWaitingOfOneSession) {
      ++stats_.ignored;
      return;
    }
    ++stats_.requested;
    waiting_[pair.token] = {session, pair.initiator, pair.id, turn.now};
    by_age_.insert({turn.now, pair.token});
    own.waiting.insert(pair.token);
    return;
  }
  const Waiting other = it->second;
  Session& theirs = sessions_.at(other.session);
  // The same half twice; or both from one connection, which would be relayed to itself.
  if (other.initiator == pair.initiator || other.session == session || links_.size() >= kLinksMax ||
      own.links.size() >= kLinksOfOneSession || theirs.links.size() >= kLinksOfOneSession) {
    ++stats_.ignored;
    return;
  }
  ++stats_.requested, ++stats_.matched;
  Forget(pair.token);
  const RelayLink link{++next_link_};
  Link& made = links_[link];
  made.token = pair.token;
  made.ends[pair.initiator] = {session, pair.id};
  made.ends[other.initiator] = {other.session, other.remote_id};
  own.links.insert(link), theirs.links.insert(link);
  news.push_back(Linked{link, made.token, made.ends});
}

// A token is a secret of two; but only who asked may take back, and only who is linked may cut.
void BlindRelayServer::OnUnpair(RelaySession session, const Key32& token, News& news) {
  Session& own = sessions_.at(session);
  if (own.waiting.contains(token)) {
    Forget(token);
    ++stats_.cancelled;
    return;
  }
  for (RelayLink link : own.links) {
    if (links_.at(link).token != token) continue;
    ++stats_.cancelled;
    news.push_back(Unlinked{link});
    return Cut(link);
  }
}

void BlindRelayServer::OnClosed(RelaySession session, News& news) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  const Session gone = it->second;
  for (const Key32& token : gone.waiting) Forget(token), ++stats_.cancelled;
  for (RelayLink link : gone.links) {
    news.push_back(Unlinked{link});
    Cut(link);
  }
  sessions_.erase(session);
  if (auto of = sessions_of_.find(gone.key); --of->second == 0) sessions_of_.erase(of);
}

void BlindRelayServer::Cut(RelayLink link) {
  const auto it = links_.find(link);
  if (it == links_.end()) return;
  for (const End& end : it->second.ends) sessions_.at(end.session).links.erase(link);
  links_.erase(it);
}

void BlindRelayServer::SendPair(RelaySession session, Mux& mux, const Key32& token, bool initiator, uint32_t our_id, Out& out) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  mux.Send(it->second.channel, kPair, AsBytes(RelayPair{initiator, token, our_id}.Encode()), out);
}

void BlindRelayServer::Forget(const Key32& token) {
  const auto it = waiting_.find(token);
  by_age_.erase({it->second.since, token});
  sessions_.at(it->second.session).waiting.erase(token);
  waiting_.erase(it);
}

void BlindRelayServer::OnTime(Turn& turn) {
  while (next_deadline() <= turn.now) {
    const Key32 token = by_age_.begin()->second;
    Forget(token);
    ++stats_.expired;
  }
}

}  // namespace orchard::protomux
