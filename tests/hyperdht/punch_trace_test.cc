// v04b: punches recorded from the JavaScript package. The same world gives the same messages, probes and samples in the same
// order, as far as luck does not decide.
#include <gtest/gtest.h>

#include "tests/hyperdht/vectors.h"
#include "tests/support/punch_net.h"

namespace orchard::hyperdht {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// The recorder wrote down no more probes that did not arrive.
constexpr size_t kRecordedMax = 40;

struct Story {
  std::vector<std::string> merged, messages, probes, client_samples, server_samples;  // `merged`: messages and probes.
};

std::string Addresses(const json& list) {
  if (list.is_null()) return "null";
  std::string out = "[";
  for (const json& a : list) out += a.get<std::string>().ends_with(":0") ? "host" : "full";
  return out + "]";
}

std::string ProbeLine(bool client, int ttl, bool delivered) {
  return std::string(client ? "client" : "server") + " ttl " + std::to_string(ttl) + (delivered ? " delivered" : " filtered");
}

// As PunchNet words it, up to the first probe that arrives: what follows depends on who is faster.
Story Recorded(const json& run) {
  std::set<int> client_ports, server_ports;
  auto port_of = [](const std::string& address) { return std::stoi(address.substr(address.find(':') + 1)); };
  for (const json& e : run["events"]) {
    if (e["event"] != "holepunch-payload") continue;
    const json& f = e["fields"];
    if (!f["remoteAddress"].is_null()) server_ports.insert(port_of(f["remoteAddress"]));
    if (f["addresses"].is_null()) continue;
    for (const json& a : f["addresses"]) {
      if (int p = port_of(a); p != 0) (e["from"] == "client" ? client_ports : server_ports).insert(p);
    }
  }
  Story s;
  for (const json& e : run["events"]) {
    const std::string kind = e["event"];
    if (kind == "nat-sample") {
      static const char* const kNames[] = {"unknown", "open", "consistent", "random"};
      (e["at"] == "client" ? s.client_samples : s.server_samples).push_back(std::to_string(e["sampled"].get<int>()) + " " + kNames[e["firewall"].get<int>()]);
    } else if (kind == "updateRemote") {
      s.messages.push_back(e["at"].get<std::string>() + " updates firewall " + std::to_string(e["firewall"].get<int>()) + (e["punching"].get<bool>() ? " punching" : "") +
                           " addresses " + Addresses(e["addresses"]) + (e["verified"].is_null() ? "" : " verified"));
      s.merged.push_back(s.messages.back());
    } else if (kind == "holepunch-payload") {
      const json& f = e["fields"];
      s.messages.push_back(e["from"].get<std::string>() + " sends error " + std::to_string(f["error"].get<int>()) + " firewall " + std::to_string(f["firewall"].get<int>()) +
                           " round " + std::to_string(f["round"].get<int>()) + (f["punching"].get<bool>() ? " punching" : "") + " addresses " + Addresses(f["addresses"]) +
                           (f["remoteAddress"].is_null() ? "" : " remoteAddress") + (f["token"].get<bool>() ? " token" : "") + (f["remoteToken"].get<bool>() ? " remoteToken" : ""));
      s.merged.push_back(s.messages.back());
    } else if (kind == "probe") {
      const int to = port_of(e["dst"]), from = e["srcPort"];
      const bool delivered = e["delivered"];
      const bool client = client_ports.contains(from) || (!server_ports.contains(from) && server_ports.contains(to));
      if (s.probes.size() < kRecordedMax) s.probes.push_back(ProbeLine(client, e["ttl"], delivered)), s.merged.push_back(s.probes.back());
      if (delivered) break;
    }
  }
  return s;
}

Story Ours(const PunchNet& net) {
  Story s;
  for (const std::string& line : net.merged) {
    if (line.find(' ') != std::string::npos) {
      s.messages.push_back(line), s.merged.push_back(line);
      continue;
    }
    const PunchNet::Probe& p = net.probes[std::stoul(line)];
    s.probes.push_back(ProbeLine(p.from_client, p.ttl, p.delivered));
    if (s.probes.size() <= kRecordedMax) s.merged.push_back(s.probes.back());
    if (p.delivered) break;
  }
  s.client_samples = net.client.samples, s.server_samples = net.server.samples;
  return s;
}

struct TraceCase {
  size_t run;
  bool client_random, server_random, fast_open, deferred;
  std::string result;
  bool in_one_order = true;
};

class PunchTraceTest : public testing::TestWithParam<TraceCase> {};

TEST_P(PunchTraceTest, SaysAndProbesAsTheRecordedRun) {
  const TraceCase& c = GetParam();
  const json run = LoadVectors("v04b-holepunch-trace.json")["runs"][c.run];
  SCOPED_TRACE(run["name"].get<std::string>());
  PunchNet net({.client = {c.client_random ? Mapping::kLoopbackRandom : Mapping::kLoopback},
                .server = {c.server_random ? Mapping::kLoopbackRandom : Mapping::kLoopback},
                .latency = 100us, .fast_open = c.fast_open, .server_deferred = c.deferred});
  net.Connect();
  EXPECT_EQ(net.RunToEnd(), c.result);
  Story expected = Recorded(run), ours = Ours(net);
  EXPECT_EQ(ours.messages, expected.messages);
  if (c.in_one_order) {
    EXPECT_EQ(ours.merged, expected.merged);
  } else {
    for (const char* side : {"client", "server"}) {
      auto of_side = [&](const std::vector<std::string>& all) {
        std::vector<std::string> out;
        std::copy_if(all.begin(), all.end(), std::back_inserter(out), [&](const std::string& line) { return line.starts_with(side); });
        return out;
      };
      std::vector<std::string> recorded = of_side(expected.probes), sent = of_side(ours.probes);
      sent.resize(std::min(sent.size(), recorded.size()));
      EXPECT_EQ(sent, recorded);
    }
  }
  EXPECT_EQ(ours.client_samples, expected.client_samples);
  EXPECT_EQ(ours.server_samples, expected.server_samples);
}

INSTANTIATE_TEST_SUITE_P(All, PunchTraceTest,
                         testing::Values(TraceCase{0, false, false, true, false, "connected"},
                                         TraceCase{1, false, false, false, false, "connected"},
                                         TraceCase{2, true, false, true, false, "connected"},
                                         // JavaScript answers when its 256 sockets are open, we while they are opening.
                                         TraceCase{3, false, true, true, false, "connected", /*in_one_order=*/false},
                                         TraceCase{4, true, true, true, false, "HOLEPUNCH_ABORTED"},
                                         TraceCase{5, true, false, true, true, "HOLEPUNCH_ABORTED"}));

}  // namespace
}  // namespace orchard::hyperdht
