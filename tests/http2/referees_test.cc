// The site on real sockets, plain and behind TLS, and other people's clients: curl, nghttp, h2load. Packages: curl, nghttp2-client.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "node/host/certificate.h"
#include "node/host/real_host.h"
#include "node/http2/preface.h"
#include "tests/http2/net.h"
#include "tests/support/run_beside.h"
#include "tests/support/temp_dir.h"

namespace orchard::http2 {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// One door for both: by a stream's first bytes it is HTTP/1.1 or HTTP/2, whatever ALPN said.
class Door final : public Machine {
 public:
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Start>(input)) turn.out.ListenSecure(SocketId{1}, Endpoint::V4(0x7f000001, 0));
    if (const auto* o = std::get_if<SocketOpened>(&input)) listening = o->local, status = o->status;
    if (const auto* o = std::get_if<StreamOpened>(&input)) clients_[o->stream], turn.out.Accept(o->stream, kSniff);
    const auto id = http::StreamOf(input);
    if (!id.has_value() || !clients_.contains(*id)) return;
    Client& c = clients_[*id];
    Bytes data;
    if (const auto* d = std::get_if<StreamData>(&input)) {
      data = d->bytes;
      if (c.one == nullptr && c.two == nullptr) {
        c.first += AsText(data), data = AsBytes(c.first);
        const Spoken spoken = SpokenBy(data);
        if (spoken == Spoken::kUnknown) return;
        if (spoken == Spoken::kHttp2) c.two = std::make_unique<ServerSession>(*id, SessionLimits{}), c.two->OnOpened(turn);
        else c.one = std::make_unique<http::ServerConnection>(*id), c.one->OnOpened(turn);
      }
    }
    if (c.one != nullptr) {
      http::ServerNews news;
      if (!data.empty()) c.one->OnData(turn, data, news);
      if (std::holds_alternative<StreamEnded>(input)) c.one->OnEnded(turn, news);
      if (const auto* x = std::get_if<StreamClosed>(&input)) c.one->OnClosed(turn, x->status, news);
      for (size_t i = 0; i < news.size(); ++i) {
        if (std::holds_alternative<http::RequestStarted>(news[i])) c.one->RespondText(turn, 200, "one\n", news);
      }
    }
    if (c.two != nullptr) {
      SessionNews news;
      if (!data.empty()) c.two->OnData(turn, data, news);
      if (std::holds_alternative<StreamEnded>(input)) c.two->OnEnded(turn, news);
      if (const auto* x = std::get_if<StreamClosed>(&input)) c.two->OnClosed(turn, x->status, news);
      for (size_t i = 0; i < news.size(); ++i) {
        const auto n = news[i];
        if (const auto* x = std::get_if<RequestStarted>(&n)) c.two->RespondText(turn, x->id, 200, "two\n", news);
      }
    }
    if (std::holds_alternative<StreamClosed>(input)) clients_.erase(*id);
  }
  Instant next_deadline() const override { return kNever; }
  std::optional<Endpoint> listening;
  absl::StatusCode status = absl::StatusCode::kUnknown;

 private:
  static constexpr uint32_t kSniff = 16;
  struct Client {
    std::string first;
    std::unique_ptr<http::ServerConnection> one;
    std::unique_ptr<ServerSession> two;
  };
  std::map<StreamId, Client> clients_;
};

class Http2RefereesTest : public ::testing::Test {
 protected:
  void Run(std::unique_ptr<Machine> machine, bool tls) {
    auto store = host::RocksStore::Open(dir_ / "store");
    ASSERT_TRUE(store.ok()) << store.status();
    host_ = std::make_unique<host::RealHost>(std::move(machine), Rng(host::OsEntropy()), *std::move(store), nullptr);
    if (tls) {
      files_ = *host::DevelopmentCertificate(dir_ / "tls", {});
      host_->set_tls(*host::TlsContext::Open(files_));
    }
    ASSERT_TRUE(host_->Begin().ok());
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(host_->RunOnce(1ms).ok());
  }
  void Serve(bool secure = false) {
    Run(std::make_unique<Site>(SessionLimits{}, Endpoint::V4(0x7f000001, 0), secure), secure);
    ASSERT_TRUE(site().listening.has_value());
  }
  Site& site() { return static_cast<Site&>(host_->runner().machine()); }
  std::string Url(std::string_view path, bool secure = false) {
    return (secure ? "https://localhost:" : "http://127.0.0.1:") + std::to_string(site().listening->port) + std::string(path);
  }
  // Runs the program while the site serves; its exit status. What it printed is in printed().
  int Run(std::vector<std::string> arguments) {
    return RunBeside(std::move(arguments), dir_ / "printed", [&] { CHECK(host_->RunOnce(1ms).ok()); });
  }
  std::string Read(const std::string& name) { return ReadWhole(dir_ / name); }
  std::string printed() { return Read("printed"); }
  TempDir dir_;
  host::TlsFiles files_;
  std::unique_ptr<host::RealHost> host_;
};

TEST_F(Http2RefereesTest, CurlAsksAndUploads) {
  Serve();
  const std::string body(3'000'000, 'b');
  std::ofstream(dir_ / "up") << body;
  const std::vector<std::string> curl = {"curl", "-sS", "--max-time", "30", "--http2-prior-knowledge"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), curl.begin(), curl.end());
    return more;
  };
  ASSERT_EQ(Run(with({"-o", dir_ / "f", "-w", "%{http_version} %{http_code} %{size_download}", Url("/20000000")})), 0) << printed();
  EXPECT_EQ(printed(), "2 200 20000000");
  ASSERT_EQ(Run(with({"--data-binary", "@" + (dir_ / "up"), "-H", "Expect: 100-continue", "-o", dir_ / "back", Url("/echo")})), 0) << printed();
  EXPECT_TRUE(Read("back") == body);
  ASSERT_EQ(Run(with({"-I", Url("/77")})), 0);
  EXPECT_THAT(printed(), HasSubstr("content-length: 77\r\n"));
  EXPECT_EQ(Run(with({Url("/short")})), 92);  // CURLE_HTTP2_STREAM
}

TEST_F(Http2RefereesTest, NghttpSeesTheFrames) {
  Serve();
  ASSERT_EQ(Run({"nghttp", "-nv", "-t", "20", Url("/100000"), Url("/stream/5")}), 0) << printed();
  EXPECT_THAT(printed(), HasSubstr("recv SETTINGS frame"));
  EXPECT_THAT(printed(), HasSubstr("[SETTINGS_MAX_CONCURRENT_STREAMS(0x03):100]"));
  EXPECT_THAT(printed(), HasSubstr(":status: 200"));
  EXPECT_THAT(printed(), testing::Not(HasSubstr("send RST_STREAM")));
}

TEST_F(Http2RefereesTest, H2loadLosesNoRequest) {
  Serve();
  ASSERT_EQ(Run({"h2load", "-n", "20000", "-c", "20", "-m", "20", Url("/20")}), 0) << printed();
  EXPECT_THAT(printed(), HasSubstr("20000 total, 20000 started, 20000 done, 20000 succeeded, 0 failed, 0 errored, 0 timeout"));
}

TEST_F(Http2RefereesTest, CurlTrustsTheCertificateAndAsksOverOneConnection) {
  Serve(true);
  const std::vector<std::string> curl = {"curl", "-sS", "--max-time", "30", "--cacert", files_.certificate};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), curl.begin(), curl.end());
    return more;
  };
  ASSERT_EQ(Run(with({"-o", dir_ / "f", "-w", "%{http_version} %{http_code} %{size_download}", Url("/20000000", true)})), 0) << printed();
  EXPECT_EQ(printed(), "2 200 20000000");
  const std::string body(3'000'000, 'b');
  std::ofstream(dir_ / "up") << body;
  ASSERT_EQ(Run(with({"--data-binary", "@" + (dir_ / "up"), "-o", dir_ / "back", Url("/echo", true)})), 0) << printed();
  EXPECT_TRUE(Read("back") == body);
  const size_t before = site().clients.size();
  ASSERT_EQ(Run(with({"-Z", "--parallel-max", "20", "-w", "%{size_download} ", "-o", "/dev/null", Url("/[1000-1030]", true)})), 0) << printed();
  EXPECT_THAT(printed(), HasSubstr("1030 "));
  EXPECT_EQ(site().clients.size(), before + 1);
  // Without the certificate nobody is believed: curl says 60, and no request came.
  const size_t heads = site().heads.size();
  EXPECT_EQ(Run({"curl", "-sS", "--max-time", "30", Url("/5", true)}), 60);
  EXPECT_EQ(site().heads.size(), heads);
}

TEST_F(Http2RefereesTest, H2loadLosesNoRequestBehindTls) {
  Serve(true);
  ASSERT_EQ(Run({"h2load", "-n", "20000", "-c", "20", "-m", "20", Url("/20", true)}), 0) << printed();
  EXPECT_THAT(printed(), HasSubstr("20000 total, 20000 started, 20000 done, 20000 succeeded, 0 failed, 0 errored, 0 timeout"));
  EXPECT_THAT(printed(), HasSubstr("TLSv1.3"));
}

TEST_F(Http2RefereesTest, OneDoorSpeaksBoth) {
  Run(std::make_unique<Door>(), true);
  auto& door = static_cast<Door&>(host_->runner().machine());
  ASSERT_EQ(door.status, absl::StatusCode::kOk);
  const std::string url = "https://localhost:" + std::to_string(door.listening->port) + "/";
  const auto ask = [&](std::vector<std::string> how) {
    std::vector<std::string> all = {"curl", "-sS", "--max-time", "20", "--cacert", files_.certificate, "-w", "%{http_version}"};
    all.insert(all.end(), how.begin(), how.end()), all.push_back(url);
    EXPECT_EQ(Run(all), 0) << printed();
    return printed();
  };
  EXPECT_EQ(ask({"--http1.1"}), "one\n1.1");
  EXPECT_EQ(ask({"--http2"}), "two\n2");
  EXPECT_EQ(ask({"--no-alpn"}), "one\n1.1");
  EXPECT_EQ(ask({"--tls-max", "1.2"}), "two\n2");
}

TEST_F(Http2RefereesTest, WithoutACertificateThereIsNoDoor) {
  Run(std::make_unique<Door>(), false);
  EXPECT_EQ(static_cast<Door&>(host_->runner().machine()).status, absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace orchard::http2
