// curl through the proxy of a pod of real daemons, from an origin that is not ours. Package: curl.
// What the proxy passes on is tests/pod/proxy_curl_test.cc's; here others fetch, too.

#include <gmock/gmock.h>

#include "tests/apps/pod_lab.h"

namespace orchard {
namespace {

constexpr size_t kMiB = 1 << 20;

class CurlTest : public PodLab {
 protected:
  // Its exit status; `printed_` is what it printed.
  int Curl(const Words& arguments) {
    Words command = {"/usr/bin/curl", "-sS", "--max-time", "60", "--noproxy", "", "-x", "http://127.0.0.1:" + std::to_string(proxy_)};
    command.insert(command.end(), arguments.begin(), arguments.end());
    Process curl(command);
    const int status = curl.Wait();
    printed_ = curl.out();
    return status;
  }
  std::string printed_, out_ = dir_ / "got";
};

TEST_F(CurlTest, GetsTheWholePartsAndTheRestOfWhatBrokeOff) {
  const std::string sum = Film("film", 8 * kMiB + 3);
  const Origin origin = Serve(false, {"--rate", "4000000"});
  Form(3);
  ASSERT_EQ(Curl({"-o", out_, origin.at + "/film"}), 0);
  EXPECT_EQ(Sum(out_), sum);
  std::filesystem::resize_file(out_, 3 * kMiB + 1);
  ASSERT_EQ(Curl({"-C", "-", "-o", out_, origin.at + "/film"}), 0);
  EXPECT_EQ(Sum(out_), sum);
  ASSERT_EQ(Curl({"-r", "1000-4999", "-o", dir_ / "part", "-w", "%{http_code}", origin.at + "/film"}), 0);
  EXPECT_EQ(printed_, "206");
  std::string film(8 * kMiB + 3, 0);
  std::ifstream(www_ + "/film", std::ios::binary).read(film.data(), std::streamsize(film.size()));
  EXPECT_EQ(Sum(dir_ / "part"), ToHex(crypto::Sha256(AsBytes(std::string_view(film).substr(1000, 4000)))));
  // Both members brought something of it.
  for (size_t i : {1, 2}) EXPECT_GT(Ask(i, "stats")["served"]["bytes"], 0u) << i;
  const Json transfers = Ask(0, "transfers")["transfers"];
  EXPECT_GE(transfers.size(), 2u);
  for (const Json& t : transfers) EXPECT_EQ(t["state"], "done") << t;
  uint64_t brought = 0;
  for (const auto& [who, bytes] : transfers[0]["by"].items()) brought += bytes.get<uint64_t>();
  EXPECT_EQ(brought, 8 * kMiB + 3) << transfers[0];  // Our first part too.
  EXPECT_EQ(transfers[0]["bytes"], 8 * kMiB + 3);
}

TEST_F(CurlTest, HeadMissingEmptyAndTunnelledAreAsWithoutAProxy) {
  const std::string sum = Film("film", kMiB);
  Page("empty", "");
  const Origin origin = Serve(false), tls = Serve(true);
  Form(2);
  ASSERT_EQ(Curl({"-I", "-w", "%{http_code}", origin.at + "/film"}), 0);
  EXPECT_THAT(printed_, testing::AllOf(testing::HasSubstr("Content-Length: 1048576"), testing::EndsWith("200")));
  ASSERT_EQ(Curl({"-o", out_, "-w", "%{http_code}", origin.at + "/none"}), 0);
  EXPECT_EQ(printed_, "404");
  ASSERT_EQ(Curl({"-w", "%{http_code} %{size_download}", origin.at + "/empty"}), 0);
  EXPECT_EQ(printed_, "200 0");
  ASSERT_EQ(Curl({"--cacert", Certificate(), "-o", out_, tls.at + "/film"}), 0);
  EXPECT_EQ(Sum(out_), sum);
  EXPECT_EQ(Ask(0, "stats")["proxy"]["tunnels"], 1);
}

// Neither ends well, and the proxy loses nothing of what came.
TEST_F(CurlTest, AShortOriginAndOneThatChangesAreSeenToBeSo) {
  Film("film", 5 * kMiB);
  const Origin brief = Serve(false, {"--no-ranges", "--short", "3000000"});
  for (const char* profile : {"hardened", "compat-code"}) {
    nodes_.clear();
    Form(3, profile);
    EXPECT_EQ(Curl({"-o", out_, brief.at + "/film"}), 18) << profile;  // As direct.
    EXPECT_EQ(std::filesystem::file_size(out_), 3'000'000u);
    for (const Words& state : {Words{}, Words{"--modified-only"}}) {
      Words options = {"--rate", "2000000", "--changes-after", "12"};
      options.insert(options.end(), state.begin(), state.end());
      const Origin other = Serve(false, options);
      EXPECT_NE(Curl({"-o", out_, other.at + "/film"}), 0) << profile;
      EXPECT_EQ(Ask(0, "transfers")["transfers"].back()["state"], "changed") << profile;
    }
  }
}

// Found with kill -STOP: the silence of one who is served ended the members that served it.
TEST_F(CurlTest, WhoStopsInTheMiddleTakesNobodyAlong) {
  Film("film", 12 * kMiB);
  const Origin origin = Serve(false, {"--rate", "60000"});
  Form(3);
  Process curl({"/usr/bin/curl", "-sS", "--max-time", "60", "--noproxy", "", "-x", "http://127.0.0.1:" + std::to_string(proxy_), "-o", out_, origin.at + "/film"});
  ASSERT_TRUE(Until([&] { return Ask(1, "stats")["served"]["requests"] > 0 && Ask(2, "stats")["served"]["requests"] > 0; }));
  nodes_[0]->Signal(SIGSTOP);
  for (size_t i : {1, 2}) {
    EXPECT_TRUE(nodes_[i]->WaitForError("\"why\":\"silent\"")) << nodes_[i]->err();
    EXPECT_EQ(Ask(i, "status")["peers"], 1) << nodes_[i]->err();
  }
  nodes_[0]->Signal(SIGCONT);
  EXPECT_TRUE(Until([&] { return Ask(0, "status")["peers"] == 2; }));
  curl.Signal(SIGTERM);
  curl.Wait();
}

// One member's daemon dies, and curl does not notice.
TEST_F(CurlTest, AMemberThatIsKilledHalfWayCostsNoByte) {
  const std::string sum = Film("film", 12 * kMiB);
  const Origin origin = Serve(false, {"--rate", "500000"});
  Form(3);
  Process curl({"/usr/bin/curl", "-sS", "--max-time", "60", "--noproxy", "", "-x", "http://127.0.0.1:" + std::to_string(proxy_), "-o", out_, origin.at + "/film"});
  ASSERT_TRUE(Until([&] { return Ask(2, "stats")["served"]["bytes"] > kMiB; }));
  nodes_[2]->Signal(SIGKILL);
  EXPECT_EQ(curl.Wait(), 0) << curl.err();
  EXPECT_EQ(Sum(out_), sum);
}

}  // namespace
}  // namespace orchard
