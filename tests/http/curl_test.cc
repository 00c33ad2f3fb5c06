// The origin on real sockets, and curl as the client: what it makes of our answers is what we meant. Package: curl.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "node/crypto/sha256.h"
#include "node/host/real_host.h"
#include "node/http/origin.h"
#include "tests/support/temp_dir.h"

namespace orchard::http {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr uint64_t kFilm = 20'000'003;

class CurlTest : public ::testing::Test {
 protected:
  void Serve(OriginConfig config) {
    config.local = Endpoint::V4(0x7f000001, 0);
    config.files = {{"/film", kFilm}, {"/small", 10}};
    auto store = host::RocksStore::Open(dir_ / "store");
    ASSERT_TRUE(store.ok()) << store.status();
    host_ = std::make_unique<host::RealHost>(std::make_unique<Origin>(std::move(config)), Rng(host::OsEntropy()), *std::move(store), nullptr);
    ASSERT_TRUE(host_->Begin().ok());
    for (int i = 0; i < 1000 && !origin().listening().has_value(); ++i) ASSERT_TRUE(host_->RunOnce(1ms).ok());
    ASSERT_TRUE(origin().listening().has_value());
  }
  Origin& origin() { return static_cast<Origin&>(host_->runner().machine()); }
  std::string Url(std::string_view path) { return "http://127.0.0.1:" + std::to_string(origin().listening()->port) + std::string(path); }
  // Runs curl while the origin serves; its exit status. What it printed is in printed().
  int Curl(std::vector<std::string> arguments) {
    for (const char* first : {"30", "--max-time", "-sS", "curl"}) arguments.insert(arguments.begin(), first);
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
    while (waitpid(pid, &status, WNOHANG) == 0) CHECK(host_->RunOnce(1ms).ok());
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
  Content film() { return *origin().content("/film"); }

  TempDir dir_;
  std::unique_ptr<host::RealHost> host_;
};

TEST_F(CurlTest, TakesTheFileWholeInPartsAndAfterABreak) {
  Serve({});
  ASSERT_EQ(Curl({"-o", dir_ / "f", Url("/film")}), 0);
  EXPECT_EQ(Sum("f"), film().Sha256());
  ASSERT_EQ(Curl({"-r", "1000-1999", "-o", dir_ / "part", Url("/film")}), 0);
  EXPECT_EQ(Sum("part"), film().Sha256(1000, 1000));
  ASSERT_EQ(Curl({"-r", "-5", "-o", dir_ / "end", Url("/film")}), 0);
  EXPECT_EQ(Sum("end"), film().Sha256(kFilm - 5, 5));
  ASSERT_EQ(Curl({"-r", "0-4999999", "-o", dir_ / "broken", Url("/film")}), 0);
  ASSERT_EQ(Curl({"-C", "-", "-o", dir_ / "broken", Url("/film")}), 0);
  EXPECT_EQ(Sum("broken"), film().Sha256());
  EXPECT_EQ(Curl({"-f", "-r", "20000003-", Url("/film")}), 22);  // 416.
}

TEST_F(CurlTest, KeepsOneConnectionForManyRequests) {
  Serve({});
  ASSERT_EQ(Curl({"-o", dir_ / "a", Url("/film"), "-o", dir_ / "b", Url("/small"), "-o", dir_ / "c", Url("/film"), "-w", "%{num_connects} "}), 0);
  EXPECT_EQ(printed(), "1 0 0 ");
  EXPECT_EQ(origin().stats().connections, 1u);
  EXPECT_EQ(Sum("c"), film().Sha256());
}

TEST_F(CurlTest, SpeaksOldHttpAndHeadAndRefusesPosts) {
  Serve({});
  ASSERT_EQ(Curl({"--http1.0", "-o", dir_ / "f", Url("/film")}), 0);
  EXPECT_EQ(Sum("f"), film().Sha256());
  ASSERT_EQ(Curl({"-I", Url("/film")}), 0);
  EXPECT_THAT(printed(), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(printed(), HasSubstr("Content-Length: 20000003\r\n"));
  ASSERT_EQ(Curl({"-o", dir_ / "no", "-w", "%{http_code}", "-d", std::string(100'000, 'x'), Url("/film")}), 0);  // Expect: 100-continue.
  EXPECT_EQ(printed(), "405");
}

TEST_F(CurlTest, ReadsChunkedAndPackedBodies) {
  Serve({.gzip = true, .chunked = true});
  ASSERT_EQ(Curl({"-o", dir_ / "plain", Url("/film")}), 0);
  EXPECT_EQ(Sum("plain"), film().Sha256());
  ASSERT_EQ(Curl({"--compressed", "-o", dir_ / "packed", Url("/film")}), 0);
  EXPECT_EQ(Sum("packed"), film().Sha256());
}

TEST_F(CurlTest, SeesThatALiarsAnswerIsCutOff) {
  Serve({.lie = 5});
  EXPECT_EQ(Curl({"-o", dir_ / "f", Url("/small")}), 18);  // CURLE_PARTIAL_FILE
}

}  // namespace
}  // namespace orchard::http
