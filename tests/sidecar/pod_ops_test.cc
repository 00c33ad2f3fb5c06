// Whole nodes with pods: operations, configuration, and that a node without one is as it was.
#include <gtest/gtest.h>

#include "node/pod/pod.h"
#include "tests/sidecar/node_net.h"

namespace orchard {
namespace {

using namespace std::chrono_literals;

sidecar::Config WithPod(NodeNet& net) {
  sidecar::Config c = net.Member();
  c.pod.enabled = true;
  c.pod.profile = pod::Profile::kHardened;
  return c;
}

TEST(PodOpsTest, TellsOfThePod) {
  NodeNet net;
  net.Grow(1);
  const uint32_t a = net.Add("a", WithPod(net)), b = net.Add("b", WithPod(net));
  ASSERT_TRUE(net.host.RunUntil([&] { return net.node(a).pod()->peers() == 1 && net.node(b).pod()->peers() == 1; }, 5s));
  const NodeNet::Answer status = net.Call(a, "pod.status");
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status.final["peers"], 1);
  EXPECT_EQ(status.final["profile"], "hardened");
  EXPECT_EQ(status.final["port"], 45679);
  EXPECT_TRUE(status.final["warning"].is_null());
  const NodeNet::Answer peers = net.Call(a, "pod.peers");
  ASSERT_EQ(peers.final["count"], 1);
  EXPECT_EQ(peers.final["peers"][0]["device"], ToHex(net.node(b).pod()->identity().device));
  EXPECT_EQ(peers.final["peers"][0]["id_bound"], true);
  EXPECT_EQ(net.Call(a, "pod.stats").final["served"]["refused"].size(), pod::kDenials);
  EXPECT_EQ(net.Call(1, "pod.status").code(), "NOT_FOUND");
  EXPECT_EQ(net.counts["pod.formed"], 2u);
  // A goodbye of the whole node is one of its pod.
  net.host.Stop(b);
  EXPECT_TRUE(net.host.RunUntil([&] { return net.counts["pod.left:left"] == 1; }, 3s));
}

TEST(PodOpsTest, TellsHowProgramsReachTheProxy) {
  NodeNet net;
  net.Grow(1);
  sidecar::Config without = WithPod(net);
  without.pod.proxy_port = 0;
  const uint32_t a = net.Add("a", WithPod(net)), b = net.Add("b", without);
  net.host.Run(1s);
  const NodeNet::Answer proxy = net.Call(a, "pod.proxy");
  ASSERT_TRUE(proxy.ok());
  EXPECT_EQ(proxy.final["bound"], true);
  EXPECT_TRUE(proxy.final["why"].is_null());
  const std::string at = proxy.final["address"];
  EXPECT_TRUE(at.ends_with(":3128")) << at;
  EXPECT_EQ(proxy.final["export"], "export http_proxy=http://" + at + " https_proxy=http://" + at);
  EXPECT_EQ(net.Call(a, "pod.status").final["proxy"], at);
  EXPECT_TRUE(net.Call(a, "pod.status").final["problems"].empty());
  EXPECT_EQ(net.Call(b, "pod.proxy").code(), "NOT_FOUND");
  EXPECT_TRUE(net.Call(b, "pod.status").final["proxy"].is_null());
  EXPECT_EQ(net.Call(a, "pod.transfers").final["count"], 0);
  EXPECT_EQ(net.Call(a, "pod.get", {{"url", "http://h/f"}}).code(), "ERR_UNKNOWN_OPERATION");  // The command line's.
}

TEST(PodOpsTest, APortThatIsTakenIsAProblemWithAWayOut) {
  NodeNet net;
  net.Grow(1);
  sidecar::Config c = WithPod(net);
  c.pod.proxy_port = c.pod.transport_port;  // The pod has it first.
  const uint32_t a = net.Add("a", c);
  net.host.Run(1s);
  const NodeNet::Answer proxy = net.Call(a, "pod.proxy");
  EXPECT_EQ(proxy.code(), "NOT_FOUND");
  const std::string why = proxy.final["message"];
  EXPECT_NE(why.find("TCP port 45679 is in use"), why.npos) << why;
  EXPECT_NE(why.find("pod.proxy_port"), why.npos) << why;
  EXPECT_EQ(net.Call(a, "pod.status").final["problems"], NodeNet::Json::array({why}));
  EXPECT_EQ(net.counts["pod.proxy.unbound"], 1u);
  EXPECT_TRUE(net.Call(a, "pod.status").final["proxy"].is_null());
  const NodeNet::Answer doctor = net.Call(a, "doctor", NodeNet::Json::object(), 120s);
  EXPECT_EQ(doctor.final["verdict"], why);
}

TEST(PodOpsTest, ANeighbourOfAnotherProfileOrSecretIsAProblemWithAWayOut) {
  NodeNet net;
  net.Grow(1);
  sidecar::Config hardened = WithPod(net), compat = hardened;
  hardened.pod.profile = pod::Profile::kHardened, compat.pod.profile = pod::Profile::kCompatCode;
  const uint32_t a = net.Add("a", hardened), b = net.Add("b", compat);
  net.host.Run(10s);
  for (const uint32_t n : {a, b}) {
    const auto problems = net.Call(n, "pod.status").final["problems"];
    ASSERT_EQ(problems.size(), 1u) << problems;
    const std::string why = problems[0];
    EXPECT_NE(why.find(n == a ? "it speaks pod.profile compat-code or compat-doc, this node hardened" : "it speaks pod.profile hardened, this node compat-code"), why.npos) << why;
    EXPECT_EQ(net.counts["pod.stranger:profile"], 2u);
  }
}

TEST(PodOpsTest, IsConfiguredByTheNamesOfTheOriginalToo) {
  sidecar::Config c;
  std::vector<sidecar::ConfigError> errors;
  sidecar::MergeConfig(R"({"pod": {"enabled": true, "profile": "hardened", "scheduler": "round-robin", "chunk_bytes": 65536, "transport_port": 0}})", c, errors);
  const std::vector<std::string> environment = {"PEAPOD_PROXY_PORT=3129", "PEAPOD_DISCOVERY_PORT=5000", "ORCHARD_POD_DISCOVERY_PORT=5001"};
  sidecar::MergeConfigEnvironment(environment, {}, c, errors);
  EXPECT_TRUE(errors.empty());
  EXPECT_TRUE(c.pod.enabled);
  EXPECT_EQ(c.pod.profile, pod::Profile::kHardened);
  EXPECT_EQ(c.pod.scheduler, pod::Scheduler::kRoundRobin);
  EXPECT_EQ(c.pod.proxy_port, 3129);
  EXPECT_EQ(c.pod.discovery_port, 5001);
  EXPECT_EQ(c.pod.transport_port, 0);
  const std::vector<std::string> wrong = {"PEAPOD_TRANSPORT_PORT=x"};
  sidecar::MergeConfigEnvironment(wrong, {}, c, errors);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].path, "PEAPOD_TRANSPORT_PORT");
  errors.clear();
  sidecar::MergeConfig(R"({"pod": {"profile": "compat-code", "secret": ")" + std::string(64, 'a') + R"("}})", c, errors);
  EXPECT_TRUE(errors.empty());
  sidecar::CheckConfig(c, errors);
  EXPECT_EQ(errors.size(), 1u);
  errors.clear();
  sidecar::MergeConfig(R"({"pod": {"secret": "hush"}})", c, errors);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].found.find("hush"), std::string::npos);
  for (const std::string& none : {std::string(), std::string(64, '0')}) {  // An empty variable must not open the pod.
    errors.clear();
    sidecar::MergeConfig(R"({"pod": {"secret": ")" + none + R"("}})", c, errors);
    EXPECT_EQ(errors.size(), 1u) << none;
  }
}

}  // namespace
}  // namespace orchard
