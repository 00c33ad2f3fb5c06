// Worlds in the kernel for tests: sockets that this process opens inside the hosts' namespaces.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/language/presets.h"
#include "sim/netns/kernel_net.h"

namespace orchard::sim {

using namespace std::chrono_literals;

// What is not there after so long does not come: a round trip takes under a millisecond.
inline constexpr int kSilenceMs = 250;
inline constexpr int kArrivalMs = 5000;

class UdpEnd {
 public:
  UdpEnd(const Space& space, uint16_t port) {
    const Space::Visit visit(space);
    fd_ = host::Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
    CHECK_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    const int on = 1;
    CHECK_EQ(setsockopt(fd_.get(), IPPROTO_IP, IP_RECVTTL, &on, sizeof on), 0);
  }
  void Send(Endpoint to, std::string_view text, int ttl = 64) const {
    sockaddr_in at{.sin_family = AF_INET, .sin_port = htons(to.port), .sin_addr = {htonl(to.v4())}, .sin_zero = {}};
    CHECK_EQ(setsockopt(fd_.get(), IPPROTO_IP, IP_TTL, &ttl, sizeof ttl), 0);
    sendto(fd_.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&at), sizeof at);
  }
  struct Packet {
    Endpoint from;
    std::string text;
    int ttl = 0;
  };
  std::optional<Packet> Receive(int wait_ms = kArrivalMs) const {
    pollfd p{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (poll(&p, 1, wait_ms) <= 0) return std::nullopt;
    char data[2048], control[64];
    sockaddr_in at{};
    iovec io{data, sizeof data};
    msghdr m{.msg_name = &at, .msg_namelen = sizeof at, .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control, .msg_flags = 0};
    const ssize_t n = recvmsg(fd_.get(), &m, 0);
    if (n < 0) return std::nullopt;
    Packet out{Endpoint::V4(ntohl(at.sin_addr.s_addr), ntohs(at.sin_port)), std::string(data, size_t(n)), 0};
    for (cmsghdr* c = CMSG_FIRSTHDR(&m); c != nullptr; c = CMSG_NXTHDR(&m, c)) {
      if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) out.ttl = *reinterpret_cast<int*>(CMSG_DATA(c));
    }
    return out;
  }
  bool Hears(std::string_view text, int wait_ms) const {
    for (std::optional<Packet> p; (p = Receive(wait_ms)).has_value();) {
      if (p->text == text) return true;
    }
    return false;
  }

 private:
  host::Fd fd_;
};

// Needs root: without, the tests are skipped (tests/SKIPS).
class KernelTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "network namespaces need root";
  }
  HostPlan Host(std::string id, std::vector<NatRef> nat = {}, std::string link = "datacenter") {
    HostPlan h{.id = std::move(id), .region = "eu"};
    h.uplinks.push_back({.link = FindLinkPreset(link)->spec(), .nat = std::move(nat)});
    return h;
  }
  static NatRef Box(NatSpec spec, std::string shared = "") { return {std::move(spec), std::move(shared)}; }
  static NatSpec Preset(std::string_view name) { return FindNatPreset(name)->spec(); }
  void Build(std::vector<HostPlan> hosts) {
    plan_.hosts = std::move(hosts);
    ASSERT_EQ(WiringRefusals(plan_), std::vector<std::string>());
    auto net = KernelNet::Build(plan_);
    if (!net.ok()) ADD_FAILURE() << net.status();
    CHECK(net.ok());  // Tests use it without looking.
    net_ = *std::move(net);
  }
  UdpEnd Open(HostIndex h, uint16_t port) { return UdpEnd(net_->space(h), port); }
  Endpoint Public(HostIndex h, uint16_t port) { return Endpoint::V4(net_->public_address(h).value(), port); }
  void TearDown() override {
    if (net_ == nullptr) return;
    EXPECT_EQ(net_->failures(), std::vector<std::string>());
  }

  WorldPlan plan_{.seed = 1};
  std::unique_ptr<KernelNet> net_;
};

}  // namespace orchard::sim
