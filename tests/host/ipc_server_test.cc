#include "node/host/ipc_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "node/host/metrics_server.h"
#include "tests/support/temp_dir.h"

namespace orchard::host {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// Answers "info" at once, streams events without end for "dht.lookup", and never answers "dht.ping".
class Toy final : public Machine {
 public:
  struct Seen {
    std::vector<uint32_t> calls, cancelled;
    std::string params;
    uint64_t emitted = 0, most_ahead = 0;
  };
  explicit Toy(Seen* seen) : seen_(seen) {}
  void Handle(Turn& t, const Input& input) override {
    if (auto* call = std::get_if<OpCall>(&input)) {
      seen_->calls.push_back(uint32_t(call->op));
      seen_->params = std::string(AsText(call->params));
      if (call->name == "info") t.out.Final(call->op, AsBytes(R"({"tag":"final","data":{"ok":true}})"));
      if (call->name == "dht.nodes") {
        t.out.Final(call->op, AsBytes(R"({"tag":"final","data":")" + std::string(300'000, 'n') + "\"}"));
      }
      if (call->name == "dht.lookup") streams_.push_back(call->op), Emit(t, call->op, 1);
    }
    if (auto* credit = std::get_if<OpCredit>(&input); credit != nullptr && std::count(streams_.begin(), streams_.end(), credit->op) > 0) Emit(t, credit->op, credit->events);
    if (auto* c = std::get_if<OpCancelled>(&input)) seen_->cancelled.push_back(uint32_t(c->op));
    if (std::holds_alternative<Stop>(input)) t.out.Stopped();
  }
  Instant next_deadline() const override { return kNever; }

 private:
  void Emit(Turn& t, OpId op, uint32_t n) {
    seen_->most_ahead = std::max<uint64_t>(seen_->most_ahead, n);
    for (; n > 0; --n) t.out.Event(op, AsBytes(R"({"tag":"peer","data":{"n":)" + std::to_string(++seen_->emitted) + ",\"fill\":\"" + std::string(1000, 'x') + "\"}}"));
  }
  Seen* seen_;
  std::vector<OpId> streams_;
};

class IpcServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto store = RocksStore::Open(dir_.path() + "/store");
    ASSERT_TRUE(store.ok()) << store.status();
    host_ = std::make_unique<RealHost>(std::make_unique<Toy>(&seen_), Rng(OsEntropy()), *std::move(store), nullptr);
    auto ipc = IpcServer::Listen(host_.get(), path());
    ASSERT_TRUE(ipc.ok()) << ipc.status();
    ipc_ = *std::move(ipc);
    ASSERT_TRUE(host_->Begin().ok());
  }
  std::string path() const { return dir_.path() + "/orchard.sock"; }
  Fd Connect() {
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().data(), path().size());
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << strerror(errno);
    return fd;
  }
  // Lets the host work until `done`.
  bool Until(const std::function<bool()>& done) {
    const Instant end = BootNow() + 20s;
    while (!done()) {
      if (BootNow() > end) return false;
      EXPECT_TRUE(host_->RunOnce(1ms).ok());
    }
    return true;
  }
  // The host has nothing left to do for now.
  void Settle() {
    for (uint64_t before = ~0ull; before != host_->counters().turns;) {
      before = host_->counters().turns;
      for (int i = 0; i < 5; ++i) EXPECT_TRUE(host_->RunOnce(1ms).ok());
    }
  }
  void Write(const Fd& fd, std::string_view text) {
    while (!text.empty()) {
      ssize_t n = send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (n > 0) text.remove_prefix(size_t(n));
      else if (errno != EAGAIN) return;
      EXPECT_TRUE(host_->RunOnce(0ms).ok());
    }
  }
  // What the client reads until `lines` lines came or the connection ended ("<end>").
  std::string Read(const Fd& fd, int lines) {
    std::string got;
    Until([&] {
      char buffer[64 << 10];
      ssize_t n;
      while ((n = recv(fd.get(), buffer, sizeof buffer, 0)) > 0) got.append(buffer, size_t(n));
      if (n == 0 || (n < 0 && errno == ECONNRESET)) return got += "<end>", true;
      return std::count(got.begin(), got.end(), '\n') >= lines;
    });
    return got;
  }
  std::string Ask(std::string_view line) {
    Fd fd = Connect();
    Write(fd, std::string(line) + "\n");
    return Read(fd, 1);
  }

  TempDir dir_;
  Toy::Seen seen_;
  std::unique_ptr<RealHost> host_;
  std::unique_ptr<IpcServer> ipc_;
};

TEST_F(IpcServerTest, ARequestIsAnsweredByItsOwnId) {
  EXPECT_EQ(Ask(R"({"id":77,"op":"info","params":{"a":[1,{"b":"ü"}]}})"), "{\"id\":77,\"tag\":\"final\",\"data\":{\"ok\":true}}\n");
  EXPECT_EQ(seen_.params, R"({"a":[1,{"b":"ü"}]})");
}

TEST_F(IpcServerTest, TheSocketIsPrivate) {
  struct stat st;
  ASSERT_EQ(stat(path().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(IpcServerTest, WrongRequestsGetClearErrorsAndTheConnectionLives) {
  Fd fd = Connect();
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"nonsense", "ERR_JSON"}, {"{\"id\":1", "ERR_JSON"}, {"[]", "ERR_REQUEST"}, {"7", "ERR_REQUEST"}, {"{}", "ERR_REQUEST"},
      {R"({"id":-1,"op":"info"})", "ERR_REQUEST"}, {R"({"id":1.5,"op":"info"})", "ERR_REQUEST"}, {R"({"id":"1","op":"info"})", "ERR_REQUEST"},
      {R"({"id":18446744073709551615,"op":"info"})", "ERR_REQUEST"}, {R"({"id":1})", "ERR_REQUEST"}, {R"({"id":1,"op":5})", "ERR_REQUEST"},
      {R"({"id":1,"op":"inof"})", "did you mean \\\"info\\\""}, {R"({"id":1,"op":"info","params":[]})", "ERR_REQUEST"},
      {R"({"id":1,"op":"info","prams":{}})", "prams"}, {R"({"id":1,"cancel":false})", "ERR_REQUEST"},
      {R"({"id":1,"op":"info","params":{"a":)" + std::string(30'000, '[') + std::string(30'000, ']') + "}}", "nested at most"},
      {std::string("\0\xff\xfe", 3), "ERR_JSON"}, {std::string(20'000, '['), "ERR_JSON"},
      {std::string(20'000, '[') + std::string(20'000, ']'), "ERR_REQUEST"}, {"{\"id\":1,\"op\":\"\xff\xff\"}", "ERR_JSON"}};
  for (const auto& [line, expected] : wrong) {
    Write(fd, line + "\n");
    EXPECT_THAT(Read(fd, 1), HasSubstr(expected)) << line.substr(0, 60);
  }
  EXPECT_TRUE(seen_.calls.empty());
  Write(fd, "\r\n  \n{\"id\":1,\"op\":\"info\"}\r\n");
  EXPECT_THAT(Read(fd, 1), HasSubstr("\"ok\":true"));
}

TEST_F(IpcServerTest, ALineWithoutEndIsCutOff) {
  Fd fd = Connect();
  Write(fd, std::string(200'000, 'x'));
  EXPECT_THAT(Read(fd, 100), AllOf(HasSubstr("ERR_LINE_TOO_LONG"), HasSubstr("<end>")));
  EXPECT_THAT(Ask(R"({"id":1,"op":"info"})"), HasSubstr("\"ok\":true"));
}

TEST_F(IpcServerTest, RequestsMayComeInPiecesAndInHeaps) {
  Fd fd = Connect();
  std::string text;
  for (int i = 0; i < int(IpcServer::kOpsMax); ++i) text += R"({"id":)" + std::to_string(i) + R"(,"op":"info"})" + "\n";
  Write(fd, text.substr(0, 11));
  Settle();
  Write(fd, text.substr(11));
  std::string got = Read(fd, IpcServer::kOpsMax), expected;
  for (int i = 0; i < int(IpcServer::kOpsMax); ++i) expected += R"({"id":)" + std::to_string(i) + R"(,"tag":"final","data":{"ok":true}})" + "\n";
  EXPECT_EQ(got, expected);
}

TEST_F(IpcServerTest, AnIdIsBusyUntilItsEndAndFreeAfterwards) {
  Fd fd = Connect();
  Write(fd, "{\"id\":1,\"op\":\"dht.ping\"}\n{\"id\":1,\"op\":\"info\"}\n");
  EXPECT_THAT(Read(fd, 1), HasSubstr("in use"));
  Write(fd, "{\"id\":1,\"cancel\":true}\n");
  EXPECT_THAT(Read(fd, 1), HasSubstr("ERR_CANCELLED"));
  EXPECT_TRUE(Until([&] { return seen_.cancelled == seen_.calls; }));
  Write(fd, "{\"id\":1,\"cancel\":true}\n{\"id\":1,\"op\":\"info\"}\n");  // A late cancel says nothing.
  EXPECT_THAT(Read(fd, 1), HasSubstr("\"ok\":true"));
}

TEST_F(IpcServerTest, TheDeathOfAClientCancelsWhatItAsked) {
  {
    Fd fd = Connect();
    Write(fd, "{\"id\":1,\"op\":\"dht.ping\"}\n{\"id\":2,\"op\":\"dht.lookup\"}\n");
    ASSERT_TRUE(Until([&] { return seen_.calls.size() == 2; }));
  }
  EXPECT_TRUE(Until([&] { return seen_.cancelled.size() == 2 && ipc_->clients() == 0; }));
}

TEST_F(IpcServerTest, AClientThatOnlyStopsTalkingStillGetsItsAnswers) {
  Fd fd = Connect();
  Write(fd, "{\"id\":1,\"op\":\"info\"}\n{\"id\":2,\"op\":\"dht.nodes\"}");  // The last line lacks its end.
  shutdown(fd.get(), SHUT_WR);
  std::string got = Read(fd, 100);
  EXPECT_NE(got.find("\"ok\":true"), got.npos);
  EXPECT_TRUE(got.ends_with("nnn\"}\n<end>"));
}

TEST_F(IpcServerTest, AClientThatNeverReadsHoldsLessThanAMegabyteAndStopsTheStream) {
  Fd deaf = Connect();
  for (int i = 0; i < int(IpcServer::kOpsMax); ++i) Write(deaf, R"({"id":)" + std::to_string(i) + R"(,"op":"dht.lookup"})" + "\n");
  Settle();
  const uint64_t emitted = seen_.emitted;
  EXPECT_GT(emitted, uint64_t{IpcServer::kOpsMax});
  EXPECT_LT(emitted * 1050, 1u << 20);
  EXPECT_LE(seen_.most_ahead, IpcServer::kWindow);
  Settle();
  EXPECT_EQ(seen_.emitted, emitted) << "the stream went on";
  // Others are served meanwhile, and once it reads, all comes in order.
  EXPECT_THAT(Ask(R"({"id":1,"op":"info"})"), HasSubstr("\"ok\":true"));
  std::string got = Read(deaf, int(emitted) + 500);
  EXPECT_GT(seen_.emitted, emitted + 400);
  EXPECT_EQ(got.rfind("{\"id\":0,\"tag\":\"peer\",\"data\":{\"n\":1,", 0), 0u);
}

TEST_F(IpcServerTest, AClientThatHeapsUpAnswersIsCutOff) {
  Fd deaf = Connect();
  for (int i = 0; i < 20; ++i) Write(deaf, R"({"id":)" + std::to_string(i) + R"(,"op":"dht.nodes"})" + "\n");
  EXPECT_TRUE(Until([&] { return ipc_->counters().cut_off == 1 && ipc_->clients() == 0; }));
}

TEST_F(IpcServerTest, TooManyClientsAndOperationsAreRefusedAndRecovered) {
  std::vector<Fd> fds;
  for (size_t i = 0; i < IpcServer::kClientsMax; ++i) fds.push_back(Connect());
  ASSERT_TRUE(Until([&] { return ipc_->clients() == IpcServer::kClientsMax; }));
  EXPECT_THAT(Ask(R"({"id":1,"op":"info"})"), AllOf(HasSubstr("ERR_BUSY"), HasSubstr("<end>")));
  fds.resize(1);
  ASSERT_TRUE(Until([&] { return ipc_->clients() == 1; }));
  for (size_t i = 0; i < IpcServer::kOpsMax + 1; ++i) Write(fds[0], R"({"id":)" + std::to_string(i) + R"(,"op":"dht.ping"})" + "\n");
  EXPECT_THAT(Read(fds[0], 1), HasSubstr("ERR_BUSY"));
  EXPECT_EQ(seen_.calls.size(), IpcServer::kOpsMax);
}

TEST_F(IpcServerTest, AStaleSocketIsReplacedALiveOneAndAFileAreNot) {
  EXPECT_EQ(IpcServer::Listen(host_.get(), path()).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(Ask(R"({"id":1,"op":"info"})"), HasSubstr("\"ok\":true"));
  std::string file = dir_ / "file";
  std::ofstream(file) << "precious";
  EXPECT_EQ(IpcServer::Listen(host_.get(), file).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(std::filesystem::exists(file));
  EXPECT_EQ(IpcServer::Listen(host_.get(), "/" + std::string(200, 'x')).status().code(), absl::StatusCode::kInvalidArgument);

  std::string stale = dir_ / "stale";
  {
    Fd fd(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, stale.data(), stale.size());
    ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ipc_.reset();  // Its own socket is gone with it.
  EXPECT_FALSE(std::filesystem::exists(path()));
  auto again = IpcServer::Listen(host_.get(), stale);
  EXPECT_TRUE(again.ok()) << again.status();
}

TEST_F(IpcServerTest, MetricsAreServedOnLoopbackAndNothingElseIs) {
  auto metrics = MetricsServer::Listen(host_.get(), 0, [] { return std::string("orchard_x 1\n"); });
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  auto get = [&](std::string_view request) {
    Fd fd(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET, address.sin_port = htons((*metrics)->port()), address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL), ssize_t(request.size()));
    std::string got;
    Until([&] {
      char buffer[4096];
      ssize_t n = recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (n > 0) got.append(buffer, size_t(n));
      return n == 0 || (n < 0 && errno != EAGAIN);
    });
    return got;
  };
  EXPECT_THAT(get("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), AllOf(HasSubstr("200 OK"), HasSubstr("\r\n\r\norchard_x 1\n")));
  EXPECT_THAT(get("GET / HTTP/1.1\r\n\r\n"), HasSubstr("404"));
  EXPECT_EQ(get(std::string(20'000, 'x')), "");
}

}  // namespace
}  // namespace orchard::host
