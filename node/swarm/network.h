// What a swarm asks of the layer below: hyperdht::Dht and its Peers in a node, a double in tests. Nothing is answered within a
// call: what comes of it arrives as the swarm's inputs, in this turn or later.
#pragma once

#include "node/base/turn.h"
#include "node/hyperdht/connection.h"
#include "node/hyperdht/news.h"

namespace orchard::swarm {

class Network {
 public:
  virtual ~Network() = default;

  // Ended by FlowEnded, after any number of PeersFound. `clear`: records of an earlier life are taken back on the way.
  virtual hyperdht::FlowId Announce(Turn& turn, const Key32& topic, bool clear) = 0;
  virtual hyperdht::FlowId Lookup(Turn& turn, const Key32& topic) = 0;
  virtual hyperdht::FlowId Unannounce(Turn& turn, const Key32& topic) = 0;
  // No news follow. An announcement is not repeated any more; where it lies already, it stays.
  virtual void Cancel(Turn& turn, hyperdht::FlowId flow) = 0;

  // ServerListening follows, once.
  virtual void Listen(Turn& turn, const hyperdht::ListenOptions& options) = 0;
  virtual void Unlisten(Turn& turn, const Key32& public_key) = 0;
  // The answer to PeerKnocked, in the same turn.
  virtual void Admit(Turn& turn, hyperdht::ConnectionId connection) = 0;
  virtual void Refuse(Turn& turn, hyperdht::ConnectionId connection) = 0;

  // ConnectionOpened or ConnectFailed follows.
  virtual hyperdht::ConnectionId Connect(Turn& turn, const Key32& peer, const hyperdht::ConnectOptions& options) = 0;
  // No news follow.
  virtual void Destroy(Turn& turn, hyperdht::ConnectionId connection) = 0;
  // A sign of life must come back, else the connection dies sooner than it would.
  virtual void SendKeepAlive(Turn& turn, hyperdht::ConnectionId connection) = 0;

  // It is under way or open.
  virtual bool exists(hyperdht::ConnectionId connection) const = 0;
  // Another part of this node waits for whoever dials that server of ours: a second connection is wanted.
  virtual bool awaited(const Key32& server) const = 0;
  // There is a connection with that peer, or one is being made, by either side: of someone else in this node, or about to be told.
  virtual bool Connected(const Key32& peer) const = 0;
  // Our NAT gives each destination another port: punching works with open peers only.
  virtual bool randomized() const = 0;
};

}  // namespace orchard::swarm
