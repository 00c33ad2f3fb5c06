// Sites of a real daemon, asked by curl, by another client of HTTP/3 and by a browser, while their processes are killed.
// Packages: curl, ngtcp2-client; chromium.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/apps/cage_daemon.h"
#include "tests/support/sanitized.h"

namespace orchard {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CageDaemonTest : public CageDaemon {
 protected:
  void Begin(const std::string& sites = R"({"shop":{"module":"example:hello.wasm"}})") { CageDaemon::Begin({"cage.sites=" + sites}); }
  Json Ask(Words words, int expected = 0) {
    words.insert(words.begin(), "cage");
    return CageDaemon::Ask(words, expected);
  }
  // The processes that cages live in.
  std::vector<pid_t> Workers() {
    std::ifstream in("/proc/" + std::to_string(node_->pid()) + "/task/" + std::to_string(node_->pid()) + "/children");
    std::vector<pid_t> out;
    for (pid_t p; in >> p;) out.push_back(p);
    return out;
  }
  static size_t Count(const std::string& text, const std::string& word) {
    size_t n = 0;
    for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++n;
    return n;
  }
};

TEST_F(CageDaemonTest, CurlGetsASiteOverEachProtocol) {
  Begin();
  ASSERT_TRUE(Healthy("shop", 3)) << node_->err();
  EXPECT_THAT(Curl({"-i", "-H", "Host: shop", Url("/")}), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Hello from a cage")));
  EXPECT_THAT(Curl({"-i", "--http2-prior-knowledge", "-H", "Host: shop", Url("/")}), AllOf(StartsWith("HTTP/2 200"), HasSubstr("Hello from a cage")));
  const Words secure = {"-i", "--cacert", data_ + "/tls/cert.pem", "--resolve", "shop:" + std::to_string(secure_) + ":127.0.0.1", "https://shop:" + std::to_string(secure_) + "/"};
  EXPECT_THAT(Curl(secure), AllOf(StartsWith("HTTP/2 200"), HasSubstr("alt-svc: h3=\":" + std::to_string(secure_) + "\"; ma=86400\r\n"), HasSubstr("Hello from a cage")));
  Words one = secure;
  one.insert(one.begin(), "--http1.1");
  EXPECT_THAT(Curl(one), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Hello from a cage")));
  EXPECT_THAT(Curl({"-i", "-H", "Host: other", Url("/")}), AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("Site not found")));
}

TEST_F(CageDaemonTest, NoRequestIsLostWhileProcessesAreKilled) {
  Begin();
  ASSERT_TRUE(Healthy("shop", 3));
  // One after another in HTTP/1.1; sixteen at a time in HTTP/2, behind TLS: without it curl 7.88 trips over itself.
  const std::string secure = std::to_string(secure_);
  for (const Words& protocol : {Words{"--http1.1", "-H", "Host: shop", Url("/api/[1-2000]")},
                                Words{"--http2", "--parallel", "--parallel-max", "16", "--cacert", data_ + "/tls/cert.pem", "--resolve", "shop:" + secure + ":127.0.0.1",
                                      "https://shop:" + secure + "/api/[1-2000]"}}) {
    Words command = {"/usr/bin/curl", "-sS", "--max-time", "60", "-w", "%{http_code}\n", "-o", "/dev/null"};
    command.insert(command.end(), protocol.begin(), protocol.end());
    Process curl(command);
    size_t killed = 0;
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(curl.ReadUntil([&] { return Count(curl.out(), "200\n") >= size_t(300 * (i + 1)); })) << curl.err();
      const std::vector<pid_t> workers = Workers();
      if (!workers.empty() && kill(workers.front(), SIGKILL) == 0) ++killed;
    }
    EXPECT_EQ(curl.Wait(), 0) << curl.err();
    EXPECT_EQ(Count(curl.out(), "200\n"), 2000u);
    EXPECT_GE(killed, 2u);
    EXPECT_TRUE(Healthy("shop", 3));
  }
  EXPECT_GE(Ask({"status", "shop"})["crashed"], 2);
}

TEST_F(CageDaemonTest, NoRequestIsLostWhileASiteIsDeployedAgain) {
  Begin();
  ASSERT_TRUE(Healthy("shop", 3));
  Process curl({"/usr/bin/curl", "-sS", "--max-time", "60", "-w", "%{http_code}\n", "-o", "/dev/null", "-H", "Host: shop", Url("/api/[1-3000]")});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(curl.ReadUntil([&] { return Count(curl.out(), "200\n") >= size_t(200 * (i + 1)); })) << curl.err();
    Ask({"deploy", "shop", "example:hello.wasm"});
    // What cannot be loaded leaves the site as it is.
    EXPECT_THAT(Ask({"deploy", "shop", "/nowhere.wasm"}, 1)["message"].get<std::string>(), HasSubstr("the site goes on as it was"));
  }
  EXPECT_EQ(curl.Wait(), 0) << curl.err();
  EXPECT_EQ(Count(curl.out(), "200\n"), 3000u);
  EXPECT_TRUE(Healthy("shop", 3));
}

TEST_F(CageDaemonTest, NoRequestOverHttp3IsLostEither) {
  Begin();
  ASSERT_TRUE(Healthy("shop", 3));
  const std::string secure = std::to_string(secure_);
  // Four thousand are answered within a second: so each time a process is killed, the cages of the one before are back.
  const unsigned requests = kSanitized ? 800 : 4000;
  for (int i = 0; i < 3; ++i) {
    Process client({"/usr/bin/gtlsclient", "--no-quic-dump", "--no-http-dump", "--exit-on-all-streams-close", "--timeout=60s", "--handshake-timeout=60s", "--nstreams=" + std::to_string(requests), "--sni=shop", "127.0.0.1", secure,
                    "https://shop:" + secure + "/api/x"});
    ASSERT_TRUE(client.ReadUntil([&] { return Count(client.err(), "[:status: 200]") >= 100; })) << client.err();
    const std::vector<pid_t> workers = Workers();
    ASSERT_FALSE(workers.empty());
    EXPECT_EQ(kill(workers.front(), SIGKILL), 0);
    EXPECT_EQ(client.Wait(), 0);
    EXPECT_EQ(Count(client.err(), "[:status: 200]"), requests);
    ASSERT_TRUE(Healthy("shop", 3));
  }
  EXPECT_GE(Ask({"status", "shop"})["crashed"], 3);
}

TEST_F(CageDaemonTest, ABrowserReadsASiteOverHttp3) {
  if (access("/usr/bin/chromium", X_OK) != 0) GTEST_SKIP() << "chromium is not installed";
  Begin(R"({"localhost":{"module":"example:hello.wasm"}})");
  ASSERT_TRUE(Healthy("localhost", 3));
  // It trusts the key by its digest, and must use QUIC.
  const std::string authority = "localhost:" + std::to_string(secure_), certificate = data_ + "/tls/cert.pem";
  Process browser({"/bin/sh", "-c",
                   "KEY=$(openssl x509 -in " + certificate + " -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64); exec timeout 60 chromium --headless=new --no-sandbox "
                   "--disable-gpu --disable-dev-shm-usage --no-first-run --disable-background-networking --disable-component-update --user-data-dir=" + (dir_ / "browser") +
                   " --host-resolver-rules='MAP localhost 127.0.0.1,MAP * ~NOTFOUND' --origin-to-force-quic-on=" + authority + " --ignore-certificate-errors-spki-list=$KEY --dump-dom https://" + authority + "/"},
                  {.environment = {"PATH=/usr/bin:/bin", "HOME=" + dir_.path()}});
  EXPECT_EQ(browser.Wait(), 0) << browser.err();
  EXPECT_THAT(browser.out(), HasSubstr("Hello from a cage")) << browser.err();
}

TEST_F(CageDaemonTest, WhatIsDeployedLastsAndWhatIsStoppedDoesNot) {
  Begin("{}");
  std::filesystem::copy_file(ORCHARD_SOURCE_DIR "/node/wasm/guests/echo.wasm", dir_ / "mine.wasm");
  EXPECT_EQ(Ask({"deploy", "mine", dir_ / "mine.wasm", "--replicas", "2"})["replicas"], 2);
  EXPECT_EQ(Ask({"deploy", "other", "example:hello.wasm"})["site"], "other");
  EXPECT_THAT(Curl({"-H", "Host: mine", "-d", "a body", Url("/p?q=1")}), AllOf(HasSubstr("REQUEST_METHOD=POST"), HasSubstr("QUERY_STRING=q=1"), HasSubstr("a body")));
  EXPECT_EQ(Ask({"stop", "other"})["site"], "other");
  node_->Signal(SIGTERM);
  EXPECT_EQ(node_->Wait(), 0);
  Begin("{}");
  ASSERT_TRUE(Until([&] { return Ask({"list"})["count"] == 1; }));
  ASSERT_TRUE(Healthy("mine", 2));
  EXPECT_THAT(Curl({"-H", "Host: mine", Url("/")}), HasSubstr("REQUEST_METHOD=GET"));
}

// In processes that could not open a file if they wanted to.
TEST_F(CageDaemonTest, ADirectoryOfFilesIsServedAsItWasAtTheDeployment) {
  const std::string www = dir_ / "www";
  std::filesystem::create_directories(www + "/css");
  const auto put = [&](const std::string& path, const std::string& text) { std::ofstream(www + "/" + path) << text; };
  put("index.html", "<h1>First</h1>"), put("css/site.css", "h1 {}"), std::ofstream(dir_ / "secret") << "secret";
  Begin(R"({"plain":{"module":"example:hello.wasm"},"inline":{"module":"example:files.wasm","replicas":1,"files":{"a/b.txt":"in the settings"}}})");
  EXPECT_EQ(Ask({"deploy", "shop", "example:files.wasm", "--files", www, "--replicas", "2"})["site"], "shop");
  const auto get = [&](const std::string& path, const std::string& site = "shop") { return Curl({"-i", "--path-as-is", "-H", "Host: " + site, Url(path)}); };
  EXPECT_THAT(get("/"), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Content-Type: text/html"), HasSubstr("<h1>First</h1>")));
  EXPECT_THAT(get("/css/site.css"), AllOf(HasSubstr("Content-Type: text/css"), HasSubstr("h1 {}")));
  EXPECT_THAT(get("/css"), AllOf(StartsWith("HTTP/1.1 301"), HasSubstr("Location: ./css/")));
  for (const char* path : {"/../secret", "/..%2fsecret", "/css/../../secret", "/../../../../../../etc/passwd", "//etc/passwd", "/nothing"}) {
    EXPECT_THAT(get(path), AllOf(Not(HasSubstr("secret\n")), Not(HasSubstr("root:")), Not(StartsWith("HTTP/1.1 200")))) << path;
  }
  EXPECT_THAT(get("/a/b.txt", "inline"), HasSubstr("in the settings"));
  // What changes is seen by an update, cage by cage.
  put("index.html", "<h1>Second</h1>");
  EXPECT_THAT(get("/"), HasSubstr("First"));
  EXPECT_EQ(Ask({"update", "shop", "example:files.wasm"})["state"], "healthy");
  EXPECT_THAT(get("/"), HasSubstr("Second"));
  // A directory that cannot be taken stops an update, and nothing else.
  std::filesystem::create_symlink("../secret", www + "/out");
  EXPECT_THAT(Ask({"update", "shop", "example:files.wasm"}, 1)["message"], HasSubstr(www + "/out is a link that leads out of the directory"));
  EXPECT_THAT(get("/"), HasSubstr("Second"));
  std::filesystem::remove(www + "/out");
  // It lasts, and is read again; if it is gone, the other sites are there all the same.
  put("index.html", "<h1>Third</h1>");
  const auto again = [&] {
    node_->Signal(SIGTERM);
    EXPECT_EQ(node_->Wait(), 0);
    Begin(R"({"plain":{"module":"example:hello.wasm"}})");
    ASSERT_TRUE(Healthy("plain", 3));
  };
  again();
  ASSERT_TRUE(Healthy("shop", 2));
  EXPECT_THAT(get("/"), HasSubstr("Third"));
  std::filesystem::rename(www, dir_ / "elsewhere");
  again();
  ASSERT_TRUE(Until([&] { return Ask({"status", "shop"})["state"] == "failed"; }));
  EXPECT_THAT(Ask({"status", "shop"})["why"], HasSubstr("cannot read the directory of files " + www));
  EXPECT_THAT(get("/", "plain"), HasSubstr("Hello from a cage"));
  EXPECT_THAT(get("/"), StartsWith("HTTP/1.1 503"));
}

TEST_F(CageDaemonTest, ADirectoryThatHoldsASiteHoldsItsFiles) {
  std::filesystem::create_directories(dir_ / "site/public");
  std::ofstream(dir_ / "site/site.json") << R"({"module": "example:files.wasm", "files": "public", "replicas": 1})";
  std::ofstream(dir_ / "site/public/index.html") << "Here I am";
  Begin("{}");
  EXPECT_EQ(Ask({"deploy", "shop", dir_ / "site"})["replicas"], 1);
  EXPECT_EQ(Curl({"-H", "Host: shop", Url("/")}), "Here I am");
  std::ofstream(dir_ / "site/site.json") << R"({"module": "example:files.wasm", "files": {"../x": ""}})";
  EXPECT_THAT(Ask({"deploy", "shop", dir_ / "site"}, 2)["message"], HasSubstr("the file \"../x\" is no path"));
}

TEST_F(CageDaemonTest, WhatIsWrongWithAModuleIsNamed) {
  Begin("{}");
  std::ofstream(dir_ / "no.wasm") << "no module";
  EXPECT_THAT(Ask({"deploy", "no", dir_ / "no.wasm"}, 1)["code"], "ERR_MODULE");
  EXPECT_THAT(Ask({"deploy", "no", "example:giant.wasm"}, 1)["code"], "ERR_MODULE");
  EXPECT_THAT(Ask({"deploy", "no", dir_ / "nowhere.wasm"}, 1)["message"], HasSubstr("nowhere.wasm"));
  EXPECT_EQ(Ask({"status", "nobody"}, 1)["code"], "NOT_FOUND");
}

TEST_F(CageDaemonTest, GuestsThatGoWrongKillNothingButTheirCage) {
  // A short time only where it is to run out: by the clock a busy machine is slow with the others too.
  Begin(R"({"shop":{"module":"example:misbehave.wasm","timeout":"10s"},"hasty":{"module":"example:misbehave.wasm","timeout":"300ms"},
            "snoop":{"module":"example:snoop.wasm","replicas":1}})");
  ASSERT_TRUE(Healthy("shop", 3));
  ASSERT_TRUE(Healthy("hasty", 3));
  struct Case { std::string site, path, code; };
  for (const Case& c : std::vector<Case>{{"shop", "/trap", "502"}, {"hasty", "/loop", "504"}, {"shop", "/ladder", "502"}, {"shop", "/hog", "502"}, {"shop", "/bad-headers", "502"}}) {
    EXPECT_EQ(Curl({"-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: " + c.site, Url(c.path)}), c.code) << c.path;
    EXPECT_EQ(Curl({"-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: shop", Url("/")}), "200") << c.path;
    for (const char* site : {"shop", "hasty"}) ASSERT_TRUE(Healthy(site, 3)) << c.path;  // Without V8 a process has to be killed for /loop.
  }
  const std::string snooped = Curl({"-H", "Host: snoop", Url("/")});
  EXPECT_THAT(snooped, AllOf(HasSubstr("open -1\n"), HasSubstr("create -1\n"), HasSubstr("opendir 0\n"), HasSubstr("accept -1\n")));
  EXPECT_GE(Ask({"logs", "shop"})["count"], 4);
}

TEST_F(CageDaemonTest, ATakenPortIsSaid) {
  const host::Fd taken(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET, at.sin_port = htons(port_), at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(taken.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(listen(taken.get(), 1), 0);
  Begin();
  EXPECT_TRUE(node_->WaitForError("cage.unbound")) << node_->err();
}

}  // namespace
}  // namespace orchard
