// Dht, continued: what concerns its peers, and the network under all.

#include <utility>

#include "node/hyperdht/dht.h"

namespace orchard::hyperdht {

bool Dht::TakePeersNews(Turn& turn, dht::RpcNews& n, News& news) {
  if (auto* reply = std::get_if<dht::QueryReply>(&n)) return peers_.OnQueryReply(turn, node(), *reply, news);
  if (auto* due = std::get_if<dht::CommitDue>(&n)) {
    if (!peers_.OnCommitDue(turn, node(), *due, news)) rpc_.EndCommits(turn, due->query);
    return true;
  }
  if (auto* commit = std::get_if<dht::CommitReply>(&n)) return peers_.OnCommitReply(turn, node(), *commit, news);
  if (auto* finished = std::get_if<dht::QueryFinished>(&n)) return peers_.OnQueryFinished(turn, node(), *finished, news);
  if (auto* answer = std::get_if<dht::ReplyReceived>(&n)) return peers_.OnReply(turn, node(), *answer, news);
  if (auto* failed = std::get_if<dht::RequestFailed>(&n)) return peers_.OnFailure(turn, node(), *failed, news);
  return false;
}

void Dht::TakeNetworkNews(Turn& turn, const dht::RpcNews& n, News& news) {
  if (auto* listening = std::get_if<dht::Listening>(&n)) {
    news.push_back(*listening);
  } else if (auto* bind = std::get_if<dht::BindFailed>(&n)) {
    news.push_back(*bind);
  } else if (auto* bootstrapped = std::get_if<dht::Bootstrapped>(&n)) {
    news.push_back(*bootstrapped);
  } else if (auto* persistent = std::get_if<dht::BecamePersistent>(&n)) {
    peers_.OnNetworkChanged(turn, /*moved=*/false);  // We ask, and are asked, at another socket now.
    news.push_back(*persistent);
  } else if (auto* ephemeral = std::get_if<dht::BecameEphemeral>(&n)) {
    news.push_back(*ephemeral);
  } else if (auto* network = std::get_if<dht::NetworkUpdate>(&n)) {
    if (network->online) AnnounceSoon(turn), peers_.OnNetworkChanged(turn, /*moved=*/false);
    news.push_back(*network);
  } else if (std::holds_alternative<dht::WokeUp>(n)) {
    AnnounceSoon(turn), peers_.OnNetworkChanged(turn, /*moved=*/true);
  }
}

void Dht::OnInterfacesChanged(Turn& turn, absl::Span<const Interface> interfaces) {
  SetInterfaces(interfaces);
  AnnounceSoon(turn);
  peers_.OnNetworkChanged(turn, /*moved=*/true);
}

void Dht::Flush(Turn& turn) {
  if (stopped_) return;
  peers_.Flush(turn, node());
  TakeWithdrawals(turn);
}

void Dht::TakeWithdrawals(Turn& turn) {
  for (const Peers::Withdrawal& w : peers_.TakeWithdrawals()) {
    if (withdrawals_.size() < kWithdrawalsMax) Withdraw(turn, w.target, w.key, w.to);
  }
}

}  // namespace orchard::hyperdht
