// A swarm's Network in a node: its DHT. Made for one turn.
#pragma once

#include "node/hyperdht/dht.h"
#include "node/swarm/network.h"

namespace orchard::swarm {

class DhtNetwork final : public Network {
 public:
  // `blind_relay`: the server of that key is one, too. `awaits`: somebody besides the swarm waits for who dials it.
  DhtNetwork(hyperdht::Dht& dht, const crypto::KeyPair& key, bool blind_relay, bool awaits)
      : dht_(dht), key_(key), blind_relay_(blind_relay), awaits_(awaits) {}

  // What was said within calls, and the ends of connections that the swarm destroyed, which others of the node may wait for.
  // The swarm shall be told of these as of all news.
  hyperdht::News TakeNews() { return std::exchange(news_, {}); }

  hyperdht::FlowId Announce(Turn& turn, const Key32& topic, bool clear) override;
  hyperdht::FlowId Lookup(Turn& turn, const Key32& topic) override { return dht_.Lookup(turn, topic, news_); }
  hyperdht::FlowId Unannounce(Turn& turn, const Key32& topic) override { return dht_.Unannounce(turn, topic, key_, news_); }
  void Cancel(Turn& turn, hyperdht::FlowId flow) override { dht_.Cancel(turn, flow); }
  void Listen(Turn& turn, const hyperdht::ListenOptions& options) override;
  void Unlisten(Turn& turn, const Key32& public_key) override { dht_.peers().Unlisten(turn, public_key); }
  void Admit(Turn& turn, hyperdht::ConnectionId connection) override { dht_.peers().Admit(turn, connection, news_); }
  void Refuse(Turn& turn, hyperdht::ConnectionId connection) override { dht_.peers().Refuse(turn, connection); }
  hyperdht::ConnectionId Connect(Turn& turn, const Key32& peer, const hyperdht::ConnectOptions& options) override {
    return dht_.peers().Connect(turn, peer, options);
  }
  void Destroy(Turn& turn, hyperdht::ConnectionId connection) override;
  // An empty message is no message, but must be acknowledged.
  void SendKeepAlive(Turn& turn, hyperdht::ConnectionId connection) override { dht_.peers().Send(turn, connection, {}); }
  bool exists(hyperdht::ConnectionId connection) const override { return dht_.peers().info(connection) != nullptr; }
  bool awaited(const Key32& server) const override { return awaits_ && server == key_.public_key; }
  bool Connected(const Key32& peer) const override { return dht_.peers().Find(peer).has_value(); }
  bool randomized() const override { return dht_.rpc().public_host().has_value() && dht_.rpc().public_port() == 0; }

 private:
  hyperdht::Dht& dht_;
  const crypto::KeyPair& key_;
  bool blind_relay_, awaits_;
  hyperdht::News news_;
};

}  // namespace orchard::swarm
