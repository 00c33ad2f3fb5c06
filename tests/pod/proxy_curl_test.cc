// The proxy and an origin on real sockets, and curl as the client. Package: curl.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "node/host/real_host.h"
#include "tests/pod/proxy_net.h"
#include "tests/support/temp_dir.h"

namespace orchard::pod {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uint64_t kFilm = 20'000'003;

class ProxyCurlTest : public ::testing::Test {
 protected:
  std::unique_ptr<host::RealHost> Make(std::unique_ptr<Machine> machine, const char* name) {
    auto store = host::RocksStore::Open(dir_ / name);
    CHECK(store.ok());
    auto made = std::make_unique<host::RealHost>(std::move(machine), Rng(host::OsEntropy()), *std::move(store), nullptr);
    CHECK(made->Begin().ok());
    return made;
  }
  void Serve(http::OriginConfig config = {}) {
    config.local = Endpoint::V4(0x7f000001, 0);
    config.files = {{"/film", kFilm}, {"/small", 10}, {"/empty", 0}};
    origin_host_ = Make(std::make_unique<http::Origin>(std::move(config)), "origin");
    ProxyConfig proxy;
    proxy.local = Endpoint::V4(0x7f000001, 0);
    proxy_host_ = Make(std::make_unique<ProxyMachine>(proxy), "proxy");
    machine().pod.chunk = 256 << 10, machine().pod.window = 8 << 20;
    for (int i = 0; i < 1000 && !(origin().listening().has_value() && machine().proxy.listening().has_value()); ++i) Step();
    ASSERT_TRUE(origin().listening().has_value() && machine().proxy.listening().has_value());
  }
  void Step() { CHECK(origin_host_->RunOnce(1ms).ok() && proxy_host_->RunOnce(1ms).ok()); }
  http::Origin& origin() { return static_cast<http::Origin&>(origin_host_->runner().machine()); }
  ProxyMachine& machine() { return static_cast<ProxyMachine&>(proxy_host_->runner().machine()); }
  std::string Url(std::string_view path) { return "http://127.0.0.1:" + std::to_string(origin().listening()->port) + std::string(path); }
  // Runs curl through the proxy while both serve; its exit status.
  int Curl(std::vector<std::string> arguments) {
    const std::string proxy = "http://127.0.0.1:" + std::to_string(machine().proxy.listening()->port);
    for (const std::string& first : std::vector<std::string>{proxy, "-x", "", "--noproxy", "60", "--max-time", "-sS", "curl"}) arguments.insert(arguments.begin(), first);
    std::vector<char*> argv;
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    const std::string out = dir_ / "printed";
    const pid_t pid = fork();
    if (pid == 0) {
      dup2(open(out.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600), 1);
      execvp("curl", argv.data());
      _exit(127);
    }
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) Step();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string Read(const std::string& name) {
    std::ifstream in(dir_ / name, std::ios::binary);
    std::stringstream s;
    s << in.rdbuf();
    return s.str();
  }
  Key32 Sum(const std::string& name) { return crypto::Sha256(AsBytes(Read(name))); }
  std::string printed() { return Read("printed"); }
  http::Content film() { return *origin().content("/film"); }

  TempDir dir_;
  std::unique_ptr<host::RealHost> origin_host_, proxy_host_;
};

TEST_F(ProxyCurlTest, TakesTheFileWholeInPartsAndAfterABreak) {
  Serve();
  ASSERT_EQ(Curl({"-o", dir_ / "f", Url("/film")}), 0);
  EXPECT_EQ(Sum("f"), film().Sha256());
  EXPECT_EQ(machine().proxy.stats().split, 1u);
  ASSERT_EQ(Curl({"-r", "1000000-2999999", "-o", dir_ / "part", Url("/film")}), 0);
  EXPECT_EQ(Sum("part"), film().Sha256(1'000'000, 2'000'000));
  EXPECT_EQ(machine().proxy.stats().split, 2u);
  ASSERT_EQ(Curl({"-r", "-5", "-o", dir_ / "end", Url("/film")}), 0);
  EXPECT_EQ(Sum("end"), film().Sha256(kFilm - 5, 5));
  ASSERT_EQ(Curl({"-r", "0-4999999", "-o", dir_ / "broken", Url("/film")}), 0);
  ASSERT_EQ(Curl({"-C", "-", "-o", dir_ / "broken", Url("/film")}), 0);
  EXPECT_EQ(Sum("broken"), film().Sha256());
  EXPECT_EQ(machine().proxy.stats().split, 4u);
  EXPECT_EQ(Curl({"-f", "-r", "20000003-", Url("/film")}), 22);  // 416.
}

TEST_F(ProxyCurlTest, EightAtOnceAreEachRight) {
  Serve();
  std::vector<std::string> arguments = {"-Z"};
  for (int i = 0; i < 8; ++i) arguments.insert(arguments.end(), {"-o", dir_ / ("p" + std::to_string(i)), Url("/film")});
  ASSERT_EQ(Curl(arguments), 0);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(Sum("p" + std::to_string(i)), film().Sha256()) << i;
  EXPECT_EQ(machine().proxy.stats().split, 8u);
}

TEST_F(ProxyCurlTest, HeadEmptyMissingAndRefusedArriveAsTheyAre) {
  Serve();
  ASSERT_EQ(Curl({"-I", Url("/film")}), 0);
  EXPECT_THAT(printed(), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(printed(), HasSubstr("Content-Length: 20000003\r\n"));
  ASSERT_EQ(Curl({"-w", "%{http_code} %{size_download}", Url("/empty")}), 0);
  EXPECT_EQ(printed(), "200 0");
  ASSERT_EQ(Curl({"-o", dir_ / "no", "-w", "%{http_code}", Url("/none")}), 0);
  EXPECT_EQ(printed(), "404");
  ASSERT_EQ(Curl({"-o", dir_ / "no", "-w", "%{http_code}", "-d", std::string(100'000, 'x'), Url("/film")}), 0);
  EXPECT_EQ(printed(), "405");
  ASSERT_EQ(Curl({"-o", dir_ / "no", "-w", "%{http_code}", "http://127.0.0.1:1/"}), 0);
  EXPECT_EQ(printed(), "502");
  ASSERT_EQ(Curl({"--http1.0", "-o", dir_ / "f", Url("/film")}), 0);
  EXPECT_EQ(Sum("f"), film().Sha256());
}

TEST_F(ProxyCurlTest, OneConnectionServesManyRequests) {
  Serve();
  ASSERT_EQ(Curl({"-o", dir_ / "a", Url("/film"), "-o", dir_ / "b", Url("/small"), "-o", dir_ / "c", Url("/film"), "-w", "%{num_connects} "}), 0);
  EXPECT_EQ(printed(), "1 0 0 ");
  EXPECT_EQ(machine().proxy.stats().clients, 1u);
  EXPECT_EQ(Sum("c"), film().Sha256());
}

TEST_F(ProxyCurlTest, ChunkedAndPackedPassAsTheyAre) {
  Serve({.ranges = false, .gzip = true, .chunked = true});
  ASSERT_EQ(Curl({"-o", dir_ / "plain", Url("/film")}), 0);
  EXPECT_EQ(Sum("plain"), film().Sha256());
  ASSERT_EQ(Curl({"--compressed", "-o", dir_ / "packed", Url("/film")}), 0);
  EXPECT_EQ(Sum("packed"), film().Sha256());
  EXPECT_EQ(machine().proxy.stats().split, 0u);
}

TEST_F(ProxyCurlTest, ATunnelCarriesWhatItLikes) {
  Serve();
  ASSERT_EQ(Curl({"-p", "-o", dir_ / "f", Url("/film")}), 0);
  EXPECT_EQ(Sum("f"), film().Sha256());
  EXPECT_EQ(machine().proxy.stats().tunnels, 1u);
  EXPECT_NE(Curl({"-p", "-o", dir_ / "no", "http://127.0.0.1:1/"}), 0);
}

TEST_F(ProxyCurlTest, ASlowServerIsWaitedFor) {
  Serve({.rate = 8'000});
  ASSERT_EQ(Curl({"-r", "0-15999", "-o", dir_ / "slow", Url("/film")}), 0);
  EXPECT_EQ(Sum("slow"), film().Sha256(0, 16'000));
}

TEST_F(ProxyCurlTest, ALiarsAnswerIsSeenToBeShort) {
  Serve({.lie = 5});
  EXPECT_THAT(Curl({"-o", dir_ / "f", Url("/small")}), ::testing::AnyOf(18, 52, 56));  // Partial, or reset before or within.
}

}  // namespace
}  // namespace orchard::pod
