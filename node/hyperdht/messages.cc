#include "node/hyperdht/messages.h"

#include <algorithm>

#include "node/wire/reader.h"
#include "node/wire/writer.h"

namespace orchard::hyperdht {
namespace {

using wire::Reader;
using wire::Writer;

std::string Text(Bytes b) { return std::string(AsText(b)); }

Signature ReadSignature(Reader& r) {
  Signature s{};
  Bytes b = r.Take(s.size());
  std::copy(b.begin(), b.end(), s.begin());
  return s;
}

void WriteAddress(Writer& w, const Endpoint& e) { w.Ipv4(Ipv4Address::Of(e)); }
Endpoint ReadAddress(Reader& r) { return r.Ipv4().endpoint(); }

void WriteAddresses(Writer& w, const std::vector<Endpoint>& list) {
  w.Uint(list.size());
  for (const Endpoint& e : list) WriteAddress(w, e);
}

std::vector<Endpoint> ReadAddresses(Reader& r) {
  std::vector<Endpoint> list;
  for (uint64_t n = r.ArraySize(); n > 0 && r.ok(); --n) list.push_back(ReadAddress(r));
  return list;
}

void WritePeer(Writer& w, const Peer& p) { w.Key(p.public_key), WriteAddresses(w, p.relay_addresses); }

Peer ReadPeer(Reader& r) {
  Peer p;
  p.public_key = r.Key();
  p.relay_addresses = ReadAddresses(r);
  return p;
}

template <class T>
absl::StatusOr<T> Finish(const Reader& r, T message) {
  if (!r.ok()) return r.status();
  return message;
}

}  // namespace

std::string Peer::Encode() const {
  Writer w;
  WritePeer(w, *this);
  return w.str();
}

absl::StatusOr<Peer> Peer::Decode(Bytes bytes) {
  Reader r(bytes);
  Peer p = ReadPeer(r);
  return Finish(r, std::move(p));
}

absl::StatusOr<LookupReply> LookupReply::Decode(Bytes bytes) {
  Reader r(bytes);
  LookupReply m;
  for (uint64_t n = r.ArraySize(); n > 0 && r.ok(); --n) m.peers.push_back(ReadPeer(r));
  if (r.ok() && r.remaining() > 0) m.bump = r.Uint();
  return Finish(r, std::move(m));
}

std::string LookupReply::Encode(const std::vector<std::string>& blobs, uint64_t bump) {
  Writer w;
  w.Uint(blobs.size());
  for (const std::string& blob : blobs) w.Raw(AsBytes(blob));
  w.Uint(bump);
  return w.str();
}

std::string AnnounceMessage::Encode() const {
  Writer w;
  w.Uint((peer ? 1u : 0u) | (refresh ? 2u : 0u) | (signature ? 4u : 0u) | (bump != 0 ? 8u : 0u));
  if (peer) WritePeer(w, *peer);
  if (refresh) w.Key(*refresh);
  if (signature) w.Raw(*signature);
  if (bump != 0) w.Uint(bump);
  return w.str();
}

absl::StatusOr<AnnounceMessage> AnnounceMessage::Decode(Bytes bytes) {
  Reader r(bytes);
  AnnounceMessage m;
  uint64_t flags = r.Uint();
  if (flags & 1) m.peer = ReadPeer(r);
  if (flags & 2) m.refresh = r.Key();
  if (flags & 4) m.signature = ReadSignature(r);
  if (flags & 8) m.bump = r.Uint();
  return Finish(r, std::move(m));
}

std::string MutablePut::Encode() const {
  Writer w;
  w.Key(public_key), w.Uint(seq), w.Buffer(AsBytes(value)), w.Raw(signature);
  return w.str();
}

absl::StatusOr<MutablePut> MutablePut::Decode(Bytes bytes) {
  Reader r(bytes);
  MutablePut m;
  m.public_key = r.Key(), m.seq = r.Uint(), m.value = Text(r.Buffer()), m.signature = ReadSignature(r);
  return Finish(r, std::move(m));
}

std::string MutableRecord::Encode() const {
  Writer w;
  w.Uint(seq), w.Buffer(AsBytes(value)), w.Raw(signature);
  return w.str();
}

absl::StatusOr<MutableRecord> MutableRecord::Decode(Bytes bytes) {
  Reader r(bytes);
  MutableRecord m;
  m.seq = r.Uint(), m.value = Text(r.Buffer()), m.signature = ReadSignature(r);
  return Finish(r, std::move(m));
}

std::string EncodeMinimumSeq(uint64_t seq) {
  Writer w;
  w.Uint(seq);
  return w.str();
}

absl::StatusOr<uint64_t> DecodeMinimumSeq(Bytes bytes) {
  Reader r(bytes);
  uint64_t seq = r.Uint();
  return Finish(r, seq);
}

std::string HandshakeEnvelope::Encode() const {
  Writer w;
  w.Uint((peer_address ? 1u : 0u) | (relay_address ? 2u : 0u)), w.Uint(mode), w.Buffer(AsBytes(noise));
  if (peer_address) WriteAddress(w, *peer_address);
  if (relay_address) WriteAddress(w, *relay_address);
  return w.str();
}

absl::StatusOr<HandshakeEnvelope> HandshakeEnvelope::Decode(Bytes bytes) {
  Reader r(bytes);
  HandshakeEnvelope m;
  uint64_t flags = r.Uint();
  m.mode = r.Uint(), m.noise = Text(r.Buffer());
  if (flags & 1) m.peer_address = ReadAddress(r);
  if (flags & 2) m.relay_address = ReadAddress(r);
  return Finish(r, std::move(m));
}

std::string HolepunchEnvelope::Encode() const {
  Writer w;
  w.Uint(peer_address ? 1 : 0), w.Uint(mode), w.Uint(id), w.Buffer(AsBytes(payload));
  if (peer_address) WriteAddress(w, *peer_address);
  return w.str();
}

absl::StatusOr<HolepunchEnvelope> HolepunchEnvelope::Decode(Bytes bytes) {
  Reader r(bytes);
  HolepunchEnvelope m;
  uint64_t flags = r.Uint();
  m.mode = r.Uint(), m.id = r.Uint(), m.payload = Text(r.Buffer());
  if (flags & 1) m.peer_address = ReadAddress(r);
  return Finish(r, std::move(m));
}

std::string PluginMessage::Encode() const {
  Writer w;
  w.String(plugin), w.Uint(version), w.Uint(command), w.Uint(value ? 1 : 0);
  if (value) w.Buffer(AsBytes(*value));
  return w.str();
}

absl::StatusOr<PluginMessage> PluginMessage::Decode(Bytes bytes) {
  Reader r(bytes);
  PluginMessage m;
  m.plugin = Text(r.Buffer()), m.version = r.Uint(), m.command = r.Uint();
  if (r.Uint() & 1) m.value = Text(r.Buffer());
  return Finish(r, std::move(m));
}

std::string HyperdhtAddress::Encode() const {
  Writer w;
  w.Key(key), w.Uint(nodes.empty() ? 0 : 1);
  if (!nodes.empty()) WriteAddresses(w, nodes);
  return w.str();
}

absl::StatusOr<HyperdhtAddress> HyperdhtAddress::Decode(Bytes bytes) {
  Reader r(bytes);
  HyperdhtAddress m;
  m.key = r.Key();
  uint64_t flags = r.ok() && r.remaining() > 0 ? r.Uint() : 0;
  if (flags & 1) m.nodes = ReadAddresses(r);
  return Finish(r, std::move(m));
}

std::string NoisePayload::Encode() const {
  Writer w;
  w.Uint(1);
  w.Uint((holepunch ? 1u : 0u) | (addresses4.empty() ? 0u : 2u) | (addresses6.empty() ? 0u : 4u) | (udx ? 8u : 0u) |
         (secret_stream ? 16u : 0u) | (relay_through ? 32u : 0u) | (relay_addresses ? 64u : 0u));
  w.Uint(error), w.Uint(firewall);
  if (holepunch) {
    w.Uint(holepunch->id), w.Uint(holepunch->relays.size());
    for (const Relay& relay : holepunch->relays) WriteAddress(w, relay.relay_address), WriteAddress(w, relay.peer_address);
  }
  if (!addresses4.empty()) WriteAddresses(w, addresses4);
  if (!addresses6.empty()) {
    w.Uint(addresses6.size());
    for (const Endpoint& e : addresses6) w.Ipv6(e);
  }
  if (udx) w.Uint(1), w.Uint(udx->reusable_socket ? 1 : 0), w.Uint(udx->id), w.Uint(udx->seq);
  if (secret_stream) w.Uint(1);
  if (relay_through) w.Uint(1), w.Uint((relay_through->fallback ? 1 : 0) | (relay_through->only ? 2 : 0)), w.Key(relay_through->public_key), w.Key(relay_through->token);
  if (relay_addresses) WriteAddresses(w, *relay_addresses);
  return w.str();
}

absl::StatusOr<NoisePayload> NoisePayload::Decode(Bytes bytes) {
  Reader r(bytes);
  NoisePayload m;
  m.version = r.Uint();
  if (m.version != 1) return Finish(r, std::move(m));
  uint64_t flags = r.Uint();
  m.error = r.Uint(), m.firewall = r.Uint();
  if (flags & 1) {
    m.holepunch = Holepunch{.id = r.Uint()};
    for (uint64_t n = r.ArraySize(); n > 0 && r.ok(); --n) {
      Endpoint relay = ReadAddress(r);
      m.holepunch->relays.push_back({.relay_address = relay, .peer_address = ReadAddress(r)});
    }
  }
  if (flags & 2) m.addresses4 = ReadAddresses(r);
  if (flags & 4) {
    for (uint64_t n = r.ArraySize(); n > 0 && r.ok(); --n) m.addresses6.push_back(r.Ipv6());
  }
  if (flags & 8) {
    Udx udx{.version = r.Uint()};
    udx.reusable_socket = (r.Uint() & 1) != 0;
    udx.id = r.Uint(), udx.seq = r.Uint();
    m.udx = udx;
  }
  if (flags & 16) m.secret_stream = r.Uint();
  if (flags & 32) {
    RelayThrough relay{.version = r.Uint()};
    const uint64_t says = r.Uint();
    relay.fallback = (says & 1) != 0, relay.only = (says & 2) != 0;
    relay.public_key = r.Key(), relay.token = r.Key();
    m.relay_through = relay;
  }
  if (flags & 64) m.relay_addresses = ReadAddresses(r);
  return Finish(r, std::move(m));
}

}  // namespace orchard::hyperdht
