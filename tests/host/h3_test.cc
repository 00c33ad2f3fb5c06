// HTTP/3 on real sockets: the node sees streams of HTTP/1.1, and other people's clients get answers. Packages: ngtcp2-client; chromium,
// without which its test is skipped (tests/SKIPS).

#include "node/host/h3_door.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include "node/base/check.h"
#include "node/host/certificate.h"
#include "node/host/real_host.h"
#include "node/http/server_connection.h"
#include "node/host/sockaddr.h"
#include "tests/support/bare_turn.h"
#include "tests/support/run_beside.h"
#include "tests/support/temp_dir.h"

namespace orchard::host {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// The door and its node: "/N" is answered with N bytes, of known length or, for "/chunked/N", not; "/echo" with what came.
struct World {
  World() : files(*DevelopmentCertificate(dir / "tls", {})), door(*H3Door::Open(SocketId{1}, Endpoint::V4(0x7f000001, 0), files)) {}
  struct Client {
    explicit Client(StreamId s) : server(s) {}
    http::ServerConnection server;
    std::string body, back;
    bool answered = false;
  };
  void Perform() {
    for (const Output& o : bare.out.outputs()) {
      const StreamId id{o.id};
      if (o.what == Do::kWrite) door->Write(id, bare.out.bytes(o));
      if (o.what == Do::kAccept) door->Accept(id, o.credit);
      if (o.what == Do::kEnd) door->End(id);
      if (o.what == Do::kClose) door->Close(id);
    }
    bare.out.Clear();
  }
  void Node(const Input& input) {
    Turn& turn = bare.turn;
    turn.now = BootNow();
    const StreamId id = *http::StreamOf(input);
    if (const auto* o = std::get_if<StreamOpened>(&input)) {
      EXPECT_EQ(o->listener, SocketId{1});
      clients[id] = std::make_unique<Client>(id);
      clients[id]->server.OnOpened(turn);
    }
    if (!clients.contains(id)) return;
    Client& c = *clients[id];
    http::ServerNews news;
    if (const auto* d = std::get_if<StreamData>(&input)) c.server.OnData(turn, d->bytes, news);
    if (const auto* d = std::get_if<StreamCredit>(&input)) c.server.OnCredit(turn, d->bytes, news);
    if (std::holds_alternative<StreamEnded>(input)) c.server.OnEnded(turn, news);
    if (const auto* x = std::get_if<StreamClosed>(&input)) c.server.OnClosed(turn, x->status, news), statuses.push_back(x->status);
    for (size_t i = 0; i < news.size(); ++i) {
      const auto n = news[i];
      if (const auto* b = std::get_if<http::RequestBody>(&n)) c.body += AsText(b->bytes), c.server.Took(turn, b->bytes.size());
      if (std::holds_alternative<http::RequestDone>(n)) {
        const std::string target = c.server.request().target;
        heads.push_back(c.server.request().method + " " + std::string(c.server.request().headers.Find("Host").value_or("")) + " " + target);
        const bool chunked = target.starts_with("/chunked/");
        c.back = target == "/echo" ? c.body : std::string(size_t(std::stoul(target.substr(chunked ? 9 : 1))), 'x');
        http::Response r;
        if (!chunked) r.length = c.back.size();
        c.server.Respond(turn, std::move(r), news);
      }
      if (c.server.answering()) {
        const size_t k = std::min(c.back.size(), c.server.room());
        c.server.WriteBody(turn, AsBytes(c.back.substr(0, k)));
        c.back.erase(0, k);
        if (c.back.empty()) c.server.FinishBody(turn, news);
      }
    }
    Perform();
    if (std::holds_alternative<StreamClosed>(input)) clients.erase(id);
  }
  void Round() {
    door->Work(BootNow(), [this](const Input& i) { Node(i); });
    door->Flush(BootNow());
    if (!door->busy()) usleep(200);
  }
  int Run(std::vector<std::string> arguments) {
    return RunBeside(std::move(arguments), dir / "printed", [&] { Round(); });
  }
  int Get(std::vector<std::string> paths, std::vector<std::string> more = {}) {
    const std::string port = std::to_string(door->local().port);
    std::vector<std::string> all = {"gtlsclient", "-q", "--exit-on-all-streams-close", "--timeout=20s", "--download=" + (dir / "got")};
    all.insert(all.end(), more.begin(), more.end());
    all.insert(all.end(), {"127.0.0.1", port});
    for (const std::string& p : paths) all.push_back("https://localhost:" + port + p);
    mkdir((dir / "got").c_str(), 0700);
    return Run(all);
  }
  std::string Read(const std::string& name) { return ReadWhole(dir / name); }
  TempDir dir;
  TlsFiles files;
  std::unique_ptr<H3Door> door;
  BareTurn bare;
  std::map<StreamId, std::unique_ptr<Client>> clients;
  std::vector<std::string> heads;
  std::vector<absl::StatusCode> statuses;
};

TEST(H3DoorTest, AnotherClientGetsBodiesOfEitherKind) {
  World w;
  ASSERT_EQ(w.Get({"/5", "/3000000", "/0"}), 0) << w.Read("printed");
  EXPECT_EQ(w.Read("got/3000000"), std::string(3'000'000, 'x'));
  EXPECT_EQ(w.Read("got/5"), "xxxxx");
  EXPECT_EQ(w.heads.size(), 3u);
  EXPECT_THAT(w.heads[0], HasSubstr("GET localhost:"));
  ASSERT_EQ(w.Get({"/chunked/700000"}), 0) << w.Read("printed");
  EXPECT_EQ(w.Read("got/700000"), std::string(700'000, 'x'));
  for (absl::StatusCode s : w.statuses) EXPECT_EQ(s, absl::StatusCode::kOk);
  EXPECT_EQ(w.statuses.size(), 4u);
  EXPECT_TRUE(w.clients.empty());
  EXPECT_EQ(w.door->counters().connections, 2u);
}

TEST(H3DoorTest, ABodyComesToTheNodeAndBack) {
  World w;
  std::string text;
  for (int i = 0; text.size() < 1'000'000; ++i) text += std::to_string(i);
  std::ofstream(w.dir / "up") << text;
  ASSERT_EQ(w.Get({"/echo"}, {"-d", w.dir / "up", "-m", "POST"}), 0) << w.Read("printed");
  EXPECT_TRUE(w.Read("got/echo") == text);
}

TEST(H3DoorTest, UnderLoadAClientShowsThatItIsThere) {
  World w;
  w.door->set_retry_above_for_test(0);
  ASSERT_EQ(w.Get({"/5"}), 0) << w.Read("printed");
  EXPECT_EQ(w.door->counters().retries, 1u);
  EXPECT_EQ(w.door->counters().connections, 1u);
  EXPECT_EQ(w.Read("got/5"), "xxxxx");
}

TEST(H3DoorTest, ManyRequestsOnOneConnection) {
  World w;
  ASSERT_EQ(w.Get({"/20"}, {"-n", "3000"}), 0) << w.Read("printed");
  EXPECT_EQ(w.door->counters().requests, 3000u);
}

TEST(H3DoorTest, GarbageIsDropped) {
  World w;
  Fd fd(socket(AF_INET, SOCK_DGRAM, 0));
  sockaddr_storage address;
  const socklen_t size = ToSockaddr(w.door->local(), true, address);
  for (const std::string& s : {std::string(1200, '\0'), std::string(1200, '\xc3'), std::string("x"), std::string("\xc0\0\0\0\1\x08", 6) + std::string(1300, 'a'), std::string(1300, '\x40')}) {
    ASSERT_EQ(sendto(fd.get(), s.data(), s.size(), 0, reinterpret_cast<sockaddr*>(&address), size), ssize_t(s.size()));
  }
  for (int i = 0; i < 50; ++i) w.Round();
  EXPECT_EQ(w.door->counters().received, 5u);
  EXPECT_TRUE(w.heads.empty());
  EXPECT_LE(w.door->size(), 1u);
  EXPECT_EQ(w.Get({"/5"}), 0);
}

TEST(H3DoorTest, WhoFallsSilentIsForgotten) {
  World w;
  const std::string port = std::to_string(w.door->local().port);
  // It stays connected after its answer, until it is killed without a goodbye.
  w.Run({"timeout", "-s", "KILL", "1", "gtlsclient", "-q", "--timeout=300s", "127.0.0.1", port, "https://localhost:" + port + "/5"});
  ASSERT_EQ(w.heads.size(), 1u);
  ASSERT_EQ(w.door->size(), 1u);
  EXPECT_NE(w.door->next_deadline(), kNever);
  const Instant later = BootNow() + H3Connection::kQuietMax + 1s;
  for (int i = 0; i < 3; ++i) w.door->Work(later, [&](const Input& input) { w.Node(input); }), w.door->Flush(later);
  EXPECT_EQ(w.door->size(), 0u);
  EXPECT_EQ(w.door->next_deadline(), kNever);
}

// A node behind ListenSecure that knows HTTP/1.1 alone.
class Page final : public Machine {
 public:
  void Handle(Turn& turn, const Input& input) override {
    if (std::holds_alternative<Start>(input)) turn.out.ListenSecure(SocketId{1}, Endpoint::V4(0x7f000001, 0));
    if (const auto* o = std::get_if<SocketOpened>(&input)) listening = o->local;
    const auto id = http::StreamOf(input);
    if (!id.has_value()) return;
    if (std::holds_alternative<StreamOpened>(input)) clients_[*id] = std::make_unique<http::ServerConnection>(*id), clients_[*id]->OnOpened(turn);
    if (!clients_.contains(*id)) return;
    http::ServerConnection& c = *clients_[*id];
    http::ServerNews news;
    if (const auto* d = std::get_if<StreamData>(&input)) c.OnData(turn, d->bytes, news);
    if (const auto* d = std::get_if<StreamCredit>(&input)) c.OnCredit(turn, d->bytes, news);
    if (std::holds_alternative<StreamEnded>(input)) c.OnEnded(turn, news);
    for (size_t i = 0; i < news.size(); ++i) {
      if (std::holds_alternative<http::RequestStarted>(news[i])) c.RespondText(turn, 200, "answered by the node", news);
    }
    if (std::holds_alternative<StreamClosed>(input)) clients_.erase(*id);
  }
  Instant next_deadline() const override { return kNever; }
  std::optional<Endpoint> listening;

 private:
  std::map<StreamId, std::unique_ptr<http::ServerConnection>> clients_;
};

struct Served {
  Served() : files(*DevelopmentCertificate(dir / "tls", {})) {
    host = std::make_unique<RealHost>(std::make_unique<Page>(), Rng(OsEntropy()), *RocksStore::Open(dir / "store"), nullptr);
    host->set_tls(*TlsContext::Open(files));
    host->set_h3(files);
    CHECK(host->Begin().ok());
    for (int i = 0; i < 10; ++i) CHECK(host->RunOnce(1ms).ok());
  }
  std::string port() { return std::to_string(static_cast<Page&>(host->runner().machine()).listening->port); }
  // What it prints on stdout.
  std::string Run(const std::string& shell) {
    RunBeside({"/bin/bash", "-c", "exec 2>/dev/null; " + shell}, dir / "printed", [&] { CHECK(host->RunOnce(1ms).ok()); });
    return ReadWhole(dir / "printed");
  }
  TempDir dir;
  TlsFiles files;
  std::unique_ptr<RealHost> host;
};

TEST(H3DoorTest, StandsBesideTheOtherOnTheSamePort) {
  Served s;
  ASSERT_NE(s.host->h3(), nullptr);
  EXPECT_EQ(s.Run("curl -sS --http1.1 --max-time 20 --cacert " + s.files.certificate + " https://localhost:" + s.port() + "/"), "answered by the node");
  s.Run("gtlsclient -q --exit-on-all-streams-close --timeout=20s 127.0.0.1 " + s.port() + " https://localhost:" + s.port() + "/");
  EXPECT_EQ(s.host->h3()->counters().requests, 1u);
  EXPECT_EQ(s.host->streams().counters().handshakes, 1u);
}

TEST(H3DoorTest, ABrowserSpeaksIt) {
  if (access("/usr/bin/chromium", X_OK) != 0) GTEST_SKIP() << "chromium is not installed";
  Served s;
  // It trusts the key by its digest; no name but localhost is known to it, and for that one it must use QUIC.
  const std::string page = s.Run(
      "KEY=$(openssl x509 -in " + s.files.certificate + " -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64); exec timeout 60 chromium --headless=new --no-sandbox "
      "--disable-gpu --disable-dev-shm-usage --no-first-run --disable-background-networking --disable-component-update --user-data-dir=" + (s.dir / "browser") +
      " --host-resolver-rules='MAP localhost 127.0.0.1,MAP * ~NOTFOUND' --origin-to-force-quic-on=localhost:" + s.port() + " --ignore-certificate-errors-spki-list=$KEY --dump-dom https://localhost:" + s.port() + "/");
  EXPECT_THAT(page, HasSubstr("answered by the node"));
  EXPECT_GE(s.host->h3()->counters().requests, 1u);
  EXPECT_EQ(s.host->streams().counters().handshakes, 0u);
}

}  // namespace
}  // namespace orchard::host
