// The operator's door of a real daemon, asked by curl and, where there is one, looked at by a browser; and sites that come and go by
// directory. Packages: curl; chromium.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/apps/cage_daemon.h"

namespace orchard {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CageAdminTest : public CageDaemon {
 protected:
  std::string Admin(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(admin_) + path; }
  std::string Site(const std::string& site) { return Curl({"-H", "Host: " + site, Url("/")}); }
  std::string Token() const {
    std::string token;
    std::ifstream(data_ + "/admin.token") >> token;
    return token;
  }
  static void Module(const std::string& example, const std::string& to) {
    std::filesystem::copy_file(ORCHARD_SOURCE_DIR "/node/wasm/guests/" + example, to, std::filesystem::copy_options::overwrite_existing);
  }
};

TEST_F(CageAdminTest, CurlGetsWhatTheTokenOpens) {
  Begin({R"(cage.sites={"shop":{"module":"example:hello.wasm"}})"});
  ASSERT_TRUE(Healthy("shop", 3)) << node_->err();
  EXPECT_THAT(Site("shop"), HasSubstr("Hello from a cage"));
  struct stat st;
  ASSERT_EQ(stat((data_ + "/admin.token").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  const std::string authorization = "Authorization: Bearer " + Token();
  const Json stats = Json::parse(Curl({"-H", authorization, Admin("/stats")}));
  EXPECT_EQ(stats["sites"][0]["site"], "shop");
  EXPECT_EQ(stats["sites"][0]["statuses"]["2xx"], 1);
  EXPECT_TRUE(stats["sites"][0]["p99_us"].is_number());
  EXPECT_THAT(Curl({"-H", authorization, Admin("/metrics")}), HasSubstr("orchard_cage_requests_total{site=\"shop\",code=\"2xx\"} 1\n"));
  EXPECT_THAT(Curl({"-i", Admin("/health")}), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("\"down\":0")));
  EXPECT_THAT(Curl({"-i", Admin("/stats")}), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(Curl({"-i", "-H", authorization, "-H", "Host: evil.example", Admin("/stats")}), StartsWith("HTTP/1.1 421"));
  EXPECT_THAT(Curl({"-i", "-H", authorization, "-X", "POST", Admin("/stats")}), StartsWith("HTTP/1.1 405"));
  // The door of the sites does not lead here.
  EXPECT_THAT(Curl({"-i", "-H", authorization, "http://127.0.0.1:" + std::to_string(port_) + "/stats"}), StartsWith("HTTP/1.1 404"));
}

TEST_F(CageAdminTest, ABrowserShowsTheSitesLive) {
  if (access("/usr/bin/chromium", X_OK) != 0) GTEST_SKIP() << "chromium is not installed";
  Begin({R"(cage.sites={"shop":{"module":"example:hello.wasm","aliases":["www.shop"]},"torn":{"module":"example:none.wasm"}})", "cage.admin_token=a-token-of-the-test"});
  ASSERT_TRUE(Healthy("shop", 3)) << node_->err();
  for (int i = 0; i < 5; ++i) Site("shop");
  const auto page = [&](const std::string& target) {
    Process browser(Words{"/usr/bin/chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                          "--disable-component-update", "--user-data-dir=" + (dir_ / "browser"), "--enable-logging=stderr", "--virtual-time-budget=4000", "--dump-dom", Admin(target)},
                    Process::Options{.environment = {"PATH=/usr/bin:/bin", "HOME=" + dir_.path()}});
    browser.Wait();
    EXPECT_THAT(browser.err(), Not(HasSubstr("Content Security Policy"))) << browser.err();
    EXPECT_THAT(browser.err(), Not(HasSubstr("Uncaught"))) << browser.err();
    return browser.out();
  };
  const std::string shown = page("/#token=a-token-of-the-test");
  EXPECT_THAT(shown, AllOf(HasSubstr("data-polls="), HasSubstr("<h2>shop</h2>"), HasSubstr("healthy 3/3"), HasSubstr("also www.shop"), HasSubstr("<b>RUN</b>")));
  EXPECT_THAT(shown, AllOf(HasSubstr("<h2>torn</h2>"), HasSubstr("failed 0/3"), HasSubstr("<dt>requests</dt><dd>5</dd>")));
  EXPECT_THAT(shown, Not(HasSubstr("a-token-of-the-test")));
  EXPECT_THAT(page("/#token=another"), AllOf(HasSubstr("That is not the token."), Not(HasSubstr("shop"))));
  EXPECT_THAT(page("/"), AllOf(Not(HasSubstr("data-polls=")), Not(HasSubstr("<h2>"))));
}

TEST_F(CageAdminTest, ADirectoryOfSitesIsServedAndLookedAtAgain) {
  std::filesystem::create_directory(dir_ / "sites");
  Module("hello.wasm", dir_ / "sites/one.wasm");
  std::ofstream(dir_ / "sites/Not A Name.wasm") << "x";
  Begin({"cage.sites_dir=" + (dir_ / "sites")});
  ASSERT_TRUE(Healthy("one", 3)) << node_->err();
  EXPECT_THAT(Site("one"), HasSubstr("Hello from a cage"));
  Module("echo.wasm", dir_ / "sites/two.wasm");
  std::filesystem::remove(dir_ / "sites/one.wasm");
  const Json look = Ask({"site", "reload"});
  EXPECT_EQ(look["added"], Json({"two"}));
  EXPECT_EQ(look["removed"], Json({"one"}));
  ASSERT_TRUE(Healthy("two", 3));
  EXPECT_THAT(Site("two"), HasSubstr("REQUEST_METHOD=GET"));
  EXPECT_THAT(Site("one"), HasSubstr("Site not found"));
  Module("hello.wasm", dir_ / "sites/three.wasm");
  node_->Signal(SIGHUP);
  ASSERT_TRUE(Healthy("three", 3)) << node_->err();
  node_->Signal(SIGTERM);
  EXPECT_EQ(node_->Wait(), 0);
}

TEST_F(CageAdminTest, SiteAddAndRemoveAreDeployAndStop) {
  Begin({});
  std::filesystem::create_directory(dir_ / "shop");
  Module("echo.wasm", dir_ / "shop/site.wasm");
  std::ofstream(dir_ / "shop/site.json") << R"({"module": "site.wasm", "replicas": 2, "aliases": ["www.shop"] /* ours */})";
  EXPECT_EQ(Ask({"site", "add", "shop", dir_ / "shop", "--default"})["replicas"], 2);
  EXPECT_EQ(Ask({"site", "add", "other", "example:hello.wasm", "--aliases", "o.example,p.example", "--replicas", "1"})["replicas"], 1);
  for (const char* host : {"shop", "www.shop", "whoever"}) EXPECT_THAT(Site(host), HasSubstr("REQUEST_METHOD=GET")) << host;
  for (const char* host : {"other", "o.example", "p.example"}) EXPECT_THAT(Site(host), HasSubstr("Hello from a cage")) << host;
  EXPECT_EQ(Ask({"site", "list"})["count"], 2);
  EXPECT_EQ(Ask({"site", "remove", "other"})["site"], "other");
  node_->Signal(SIGTERM);
  EXPECT_EQ(node_->Wait(), 0);
  Begin({});  // What was added lasts, and what was removed does not, whichever words were used.
  ASSERT_TRUE(Healthy("shop", 2));
  EXPECT_EQ(Ask({"cage", "list"})["count"], 1);
  EXPECT_THAT(Site("whoever"), HasSubstr("REQUEST_METHOD=GET"));
  EXPECT_EQ(Ask({"cage", "stop", "shop"})["site"], "shop");
  EXPECT_THAT(Site("whoever"), HasSubstr("Site not found"));
  EXPECT_EQ(Ask({"site", "reload"}, 1)["code"], "NOT_FOUND");
}

}  // namespace
}  // namespace orchard
