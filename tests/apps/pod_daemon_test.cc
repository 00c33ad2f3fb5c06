// Pods of daemons on one machine: real sockets, multicast over its loopback.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/apps/pod_lab.h"

namespace orchard {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

using PodDaemonTest = PodLab;

TEST_F(PodDaemonTest, TwoOfOneMachineFindEachOtherSayGoodbyeAndMeetAgain) {
  Form(2);
  const Json peers = Ask(0, "peers");
  ASSERT_EQ(peers["count"], 1);
  EXPECT_EQ(peers["peers"][0]["device"], Ask(1, "status")["device"]);
  const std::string device = Ask(1, "status")["device"];
  ASSERT_TRUE(nodes_[0]->WaitForError("\"event\":\"pod.formed\"")) << nodes_[0]->err();
  nodes_[1]->Signal(SIGTERM);
  EXPECT_EQ(nodes_[1]->Wait(), 0) << nodes_[1]->err();
  EXPECT_TRUE(nodes_[0]->WaitForError("\"event\":\"pod.left\"")) << nodes_[0]->err();
  EXPECT_THAT(nodes_[0]->err().substr(nodes_[0]->err().find("pod.left")), HasSubstr("\"why\":\"left\""));  // Its word, not its silence.
  EXPECT_EQ(Ask(0, "status")["peers"], 0);
  Begin(1, "hardened");
  EXPECT_TRUE(Until([&] { return Ask(0, "status")["peers"] == 1; })) << nodes_[1]->err();
  EXPECT_EQ(Ask(1, "status")["device"], device);  // Its identity is kept.
}

TEST_F(PodDaemonTest, PodsOfOtherPortsAreOthers) {
  Form(1);
  const LeasedPort elsewhere;
  PodLab::Words other = {"--set", "pod.discovery_port=" + std::to_string(elsewhere)};
  Begin(1, "hardened", other);
  Begin(2, "hardened");  // It comes after, and is found all the same.
  ASSERT_TRUE(Until([&] { return Ask(2, "status")["peers"] == 1; })) << nodes_[2]->err();
  EXPECT_EQ(Ask(0, "peers")["peers"][0]["device"], Ask(2, "status")["device"]);
  EXPECT_EQ(Ask(1, "status")["known"], 0);
}

TEST_F(PodDaemonTest, ANeighbourWithAnotherProfileIsAWarningAndAProblem) {
  Begin(0, "hardened"), Begin(1, "compat-code");
  for (size_t i : {0, 1}) {
    EXPECT_TRUE(nodes_[i]->WaitForError("\"event\":\"pod.stranger\"")) << nodes_[i]->err();
    EXPECT_TRUE(Until([&] { return Ask(i, "status")["problems"].size() == 1; }));
    EXPECT_THAT(Ask(i, "status")["problems"][0].get<std::string>(), AllOf(HasSubstr("pod.profile"), HasSubstr("set the same on all")));
  }
}

TEST_F(PodDaemonTest, WhatCompatibilityCostsIsSaidOnce) {
  Begin(0, "compat-code"), Begin(1, "hardened");
  ASSERT_TRUE(nodes_[0]->WaitForError("\"event\":\"pod.compat\"")) << nodes_[0]->err();
  for (size_t i : {0, 1}) nodes_[i]->Signal(SIGTERM), nodes_[i]->Wait();
  EXPECT_THAT(nodes_[0]->err(), AllOf(HasSubstr("\"level\":\"warn\""), HasSubstr("pod.profile hardened")));
  EXPECT_EQ(nodes_[0]->err().find("pod.compat"), nodes_[0]->err().rfind("pod.compat"));
  EXPECT_THAT(nodes_[1]->err(), Not(HasSubstr("pod.compat")));
}

TEST_F(PodDaemonTest, AProxyPortInUseIsAWarningAndTheNodeGoesOn) {
  const host::Fd taken(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET, at.sin_port = htons(proxy_), at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(taken.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(listen(taken.get(), 1), 0);
  Begin(0, "hardened");
  ASSERT_TRUE(nodes_[0]->WaitForError("pod.proxy.unbound")) << nodes_[0]->err();
  EXPECT_THAT(nodes_[0]->err(), HasSubstr("\"why\":\"ALREADY_EXISTS\""));
  Process proxy({ORCHARD_PROGRAM, "pod", "proxy", "--no-start", "--data", data(0)});
  EXPECT_EQ(proxy.Wait(), 1);
  EXPECT_THAT(proxy.err(), AllOf(HasSubstr("TCP port " + std::to_string(proxy_) + " is in use"), HasSubstr("pod.proxy_port")));
  EXPECT_THAT(proxy.out(), Not(HasSubstr("export")));
  const auto get = Get("http://127.0.0.1:1/f", dir_ / "f");
  EXPECT_EQ(get->Wait(), 3);
  EXPECT_THAT(get->err(), HasSubstr("is in use"));
}

}  // namespace
}  // namespace orchard
