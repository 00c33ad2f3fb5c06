#include "sim/world/wire.h"

#include <cstring>

namespace orchard::sim {
namespace {

// The ones' complement sum of RFC 1071, folded to 16 bits, in network order. Adds eight bytes at a time in the machine's
// order: the sum of swapped words is the swapped sum (§2 B).
uint16_t Sum(const uint8_t* p, size_t n, uint64_t sum = 0) {
  auto add = [&](uint64_t x) { sum += x, sum += sum < x; };
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t x;
    std::memcpy(&x, p, 8);
    add(x);
  }
  uint64_t rest = 0;
  std::memcpy(&rest, p, n);
  add(rest);
  sum = (sum >> 32) + (sum & 0xffffffff);
  sum = (sum >> 32) + (sum & 0xffffffff);
  sum = (sum >> 16) + (sum & 0xffff);
  sum = (sum >> 16) + (sum & 0xffff);
  return __builtin_bswap16(uint16_t(sum));
}

uint16_t Fold(uint32_t s) {
  s = (s >> 16) + (s & 0xffff);
  return uint16_t((s >> 16) + s);
}

// Over the pseudo-header, the UDP or TCP header and the data (RFC 768, RFC 9293 §3.1).
uint16_t PayloadSum(const uint8_t* packet, size_t size) {
  return Fold(uint32_t(Sum(packet + 12, 8)) + Fold(uint32_t(Protocol(packet)) + uint32_t(size)) + Sum(packet + kIpHeader, size));
}

// RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
uint16_t Update(uint16_t checksum, uint16_t old_word, uint16_t new_word) {
  uint32_t s = uint32_t(uint16_t(~checksum)) + uint16_t(~old_word) + new_word;
  return uint16_t(~Fold(Fold(s)));
}

void Rewrite(uint8_t* packet, size_t ip_at, size_t port_at, Ep4 to) {
  const uint16_t old_high = Read16(packet + ip_at), old_low = Read16(packet + ip_at + 2), old_port = Read16(packet + port_at);
  const uint16_t high = uint16_t(to.ip >> 16), low = uint16_t(to.ip);
  Write32(packet + ip_at, to.ip);
  Write16(packet + port_at, to.port);
  Write16(packet + 10, Update(Update(Read16(packet + 10), old_high, high), old_low, low));
  const bool tcp = Protocol(packet) == kTcp;
  uint8_t* checksum = packet + kIpHeader + (tcp ? 16 : 6);
  if (!tcp && Read16(checksum) == 0) return;  // The sender left it out.
  uint16_t sum = Update(Update(Update(Read16(checksum), old_high, high), old_low, low), old_port, to.port);
  Write16(checksum, sum == 0 && !tcp ? 0xffff : sum);
}

}  // namespace

void WriteUdp(uint8_t* packet, Ep4 from, Ep4 to, uint8_t ttl, Bytes payload) {
  const size_t udp_size = 8 + payload.size();
  std::memset(packet, 0, kHeaders);
  packet[0] = 0x45, packet[8] = ttl, packet[9] = kUdp;
  Write16(packet + 2, uint16_t(kIpHeader + udp_size));
  Write32(packet + 12, from.ip);
  Write32(packet + 16, to.ip);
  Write16(packet + 10, uint16_t(~Sum(packet, kIpHeader)));
  Write16(packet + 20, from.port);
  Write16(packet + 22, to.port);
  Write16(packet + 24, uint16_t(udp_size));
  if (!payload.empty()) std::memcpy(packet + kHeaders, payload.data(), payload.size());
  const uint16_t sum = uint16_t(~PayloadSum(packet, udp_size));
  Write16(packet + 26, sum == 0 ? 0xffff : sum);
}

bool IsSoundUdp(Bytes packet) {
  const uint8_t* p = packet.data();
  if (packet.size() < kHeaders || p[0] != 0x45 || Read16(p + 2) != packet.size() || p[9] != kUdp) return false;
  if (Read16(p + 24) != packet.size() - kIpHeader || Sum(p, kIpHeader) != 0xffff) return false;
  return Read16(p + 26) == 0 || PayloadSum(p, packet.size() - kIpHeader) == 0xffff;
}

bool IsSoundTcp(Bytes packet) {
  const uint8_t* p = packet.data();
  if (packet.size() < kTcpHeaders || p[0] != 0x45 || Read16(p + 2) != packet.size() || p[9] != kTcp) return false;
  const size_t header = size_t(p[kIpHeader + 12] >> 4) * 4;
  if (header < kTcpHeaders - kIpHeader || kIpHeader + header > packet.size() || Sum(p, kIpHeader) != 0xffff) return false;
  return PayloadSum(p, packet.size() - kIpHeader) == 0xffff;
}

void WriteReset(uint8_t* packet, Bytes segment) {
  const uint8_t* in = segment.data();
  const uint8_t flags = TcpFlags(in);
  std::memset(packet, 0, kTcpHeaders);
  packet[0] = 0x45, packet[8] = 64, packet[9] = kTcp;
  Write16(packet + 2, uint16_t(kTcpHeaders));
  Write32(packet + 12, Target(in).ip), Write32(packet + 16, Source(in).ip);
  Write16(packet + 10, uint16_t(~Sum(packet, kIpHeader)));
  uint8_t* tcp = packet + kIpHeader;
  Write16(tcp, Target(in).port), Write16(tcp + 2, Source(in).port);
  const size_t header = size_t(in[kIpHeader + 12] >> 4) * 4;
  const auto data = uint32_t(segment.size() - kIpHeader - header);
  if ((flags & kTcpAck) != 0) {
    Write32(tcp + 4, Read32(in + kIpHeader + 8));
    tcp[13] = kTcpRst;
  } else {
    Write32(tcp + 8, Read32(in + kIpHeader + 4) + data + ((flags & kTcpSyn) != 0) + ((flags & kTcpFin) != 0));
    tcp[13] = kTcpRst | kTcpAck;
  }
  tcp[12] = 5 << 4;
  Write16(tcp + 16, uint16_t(~PayloadSum(packet, kTcpHeaders - kIpHeader)));
}

void RewriteSource(uint8_t* packet, Ep4 to) { Rewrite(packet, 12, kIpHeader, to); }
void RewriteTarget(uint8_t* packet, Ep4 to) { Rewrite(packet, 16, kIpHeader + 2, to); }

void WriteTtl(uint8_t* packet, uint8_t ttl) {
  const uint16_t old_word = Read16(packet + 8);
  packet[8] = ttl;
  Write16(packet + 10, Update(Read16(packet + 10), old_word, Read16(packet + 8)));
}

}  // namespace orchard::sim
