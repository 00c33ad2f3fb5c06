// The NAT table under any order of packets, time, re-maps and reboots, in any of its behaviours.
#include <algorithm>

#include "node/base/check.h"
#include "sim/world/nat_table.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace orchard::sim;
  if (size < 4) return 0;
  NatSpec spec;
  spec.mapping = Dependence(data[0] % 3), spec.filtering = Dependence(data[0] / 3 % 3), spec.ports = PortChoice(data[0] / 9 % 4);
  spec.when_full = WhenFull(data[1] % 2), spec.refresh_inbound = data[1] / 2 % 2, spec.max_mappings = data[1] / 4 % 8;
  spec.pool = 1 + data[2] % 3, spec.block_ports = 1 + data[2] / 3 % 16;
  spec.life = std::chrono::seconds(data[3] % 4 * 100);
  std::vector<uint32_t> addresses;
  for (uint32_t i = 0; i < spec.pool; ++i) addresses.push_back(0x01020300 + i);
  NatTable table(&spec, addresses, data[3]);
  int64_t now = 0;
  Ep4 last_outside{};
  data += 4, size = std::min<size_t>(size - 4, 3 * 256);
  for (; size >= 3; data += 3, size -= 3) {
    // What and when, from inside, from outside.
    now += int64_t(data[0] >> 3) * int64_t(data[0] >> 3) * 1'000'000'000;
    const Ep4 inside{0xc0a80100u + data[1] % 16, uint16_t(1024 + data[1] / 16)}, remote{0x08080800u + data[2] % 16, uint16_t(1 + data[2] / 16)};
    switch (data[0] % 8) {
      default: {
        const NatResult out = table.Outbound(now, inside, remote, FlowMark(data[1] % 3));
        if (out.verdict != NatVerdict::kOk) {
          CHECK(out.verdict == NatVerdict::kFull);
          break;
        }
        CHECK(table.Owns(out.to.ip) && out.to.ip == table.AddressFor(inside.ip) && out.to.port != 0);
        last_outside = out.to;
        // What was just mapped is found, answers its remote and nobody else's inside.
        Ep4 found;
        CHECK(table.Find(now, inside, remote, &found) && found == out.to);
        const NatResult in = table.Inbound(now, out.to, remote);
        CHECK(in.verdict == NatVerdict::kOk && in.to == inside);
        // RFC 4787 REQ-1: endpoint-independent means one outside endpoint for all remotes.
        if (spec.mapping == Dependence::kEndpointIndependent) CHECK(table.Outbound(now, inside, {remote.ip + 1, remote.port}).to == out.to);
        break;
      }
      case 5: table.Inbound(now, last_outside, remote, FlowMark(data[1] % 3)); break;
      case 6: table.Remap(data[1] * 4'000u); break;
      case 7: if (data[1] == 7) table.Flush(); break;
    }
    if (spec.max_mappings != 0) CHECK_LE(table.size(), spec.max_mappings);
  }
  return 0;
}
