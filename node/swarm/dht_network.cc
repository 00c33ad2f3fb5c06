#include "node/swarm/dht_network.h"

namespace orchard::swarm {

// Source: npm hyperdht lib/announcer.js, relayAddresses: an open node names itself first.
hyperdht::FlowId DhtNetwork::Announce(Turn& turn, const Key32& topic, bool clear) {
  std::vector<Endpoint> relays = dht_.peers().relay_addresses(key_.public_key);
  if (auto open = dht_.rpc().remote_address(); open.has_value()) relays.insert(relays.begin(), open->endpoint());
  if (relays.size() > hyperdht::kRelayAddressesMax) relays.resize(hyperdht::kRelayAddressesMax);
  return dht_.Announce(turn, topic, key_, std::move(relays), news_, clear);
}

void DhtNetwork::Listen(Turn& turn, const hyperdht::ListenOptions& options) {
  hyperdht::ListenOptions o = options;
  o.blind_relay = blind_relay_;
  dht_.peers().Listen(turn, o, news_);  // Refused beyond Peers::kServersMax: then nobody finds us, and topics are searched all the same.
}

void DhtNetwork::Destroy(Turn& turn, hyperdht::ConnectionId connection) {
  const hyperdht::ConnectionInfo* info = dht_.peers().info(connection);
  if (info == nullptr) return;
  news_.push_back(hyperdht::ConnectionClosed{.connection = connection, .remote_key = info->remote_key,
                                             .code = hyperdht::ConnectCode::kDestroyed});
  dht_.peers().Destroy(turn, connection);
}

}  // namespace orchard::swarm
