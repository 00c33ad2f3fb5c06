// Chromium through the proxy of a pod: a page, its picture, and downloads by script whose digests the page itself computes and tells.
// Package: chromium; without it these are skipped (tests/SKIPS).

#include <gmock/gmock.h>
#include <unistd.h>

#include "tests/apps/pod_lab.h"

namespace orchard {
namespace {

using testing::HasSubstr;

constexpr size_t kFilmBytes = 5'000'003;
constexpr char kPicture[] = R"(<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><rect width="30" height="20" fill="green"/></svg>)";
// Tells by a path of the origin what it saw; the origin's log is the answer.
constexpr char kPageText[] = R"(<!doctype html><img id="picture" src="/picture.svg"><script>
(async () => {
  const sum = async (body) => [...new Uint8Array(await crypto.subtle.digest('SHA-256', body))].map((b) => b.toString(16).padStart(2, '0')).join('');
  const said = [];
  try {
    await document.getElementById('picture').decode();
    said.push('picture=' + document.getElementById('picture').naturalWidth + 'x' + document.getElementById('picture').naturalHeight);
    said.push('film=' + await sum(await (await fetch('/film')).arrayBuffer()));
    const both = await Promise.all([1, 2, 3, 4].map(async (n) => sum(await (await fetch('/film?' + n)).arrayBuffer())));
    said.push('four=' + new Set(both).size + both[0]);
    const part = await fetch('/film', {headers: {Range: 'bytes=1000-1999'}, cache: 'no-store'});
    said.push('part=' + part.status + await sum(await part.arrayBuffer()));
    said.push('head=' + (await fetch('/film', {method: 'HEAD', cache: 'no-store'})).headers.get('Content-Length'));
    said.push('none=' + (await fetch('/none')).status);
    const begun = new AbortController(), reader = (await fetch('/film?stop', {signal: begun.signal})).body.getReader();
    await reader.read();
    begun.abort();
    said.push('stopped=' + await reader.read().then(() => 'no', () => 'yes'));
  } catch (error) { said.push('error=' + encodeURIComponent(error)); }
  await fetch('/said?' + said.join('&'), {cache: 'no-store'});
})();
</script>)";

class ChromiumTest : public PodLab {
 protected:
  void SetUp() override {
    if (access("/usr/bin/chromium", X_OK) != 0) GTEST_SKIP() << "chromium is not installed";
    Page("page.html", kPageText), Page("picture.svg", kPicture);
    sum_ = Film("film", kFilmBytes);
  }
  // Opens the page of `origin`, and reads what it told.
  void Visit(Origin& origin) {
    browser_ = std::make_unique<Process>(
        Words{"/usr/bin/chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
              "--disable-component-update", "--ignore-certificate-errors", "--user-data-dir=" + (dir_ / "browser"), "--proxy-server=http://127.0.0.1:" + std::to_string(proxy_),
              "--proxy-bypass-list=<-loopback>",  // Else it would go there itself.
              origin.at + "/page.html"},
        Process::Options{.environment = {"PATH=/usr/bin:/bin", "HOME=" + dir_.path()}});
    const auto said = [&] { return origin.process->err().find("/said?") != std::string::npos; };
    // Twice as long as others: a browser starts slowly on a machine that is busy.
    const bool told = origin.process->ReadUntil(said) || origin.process->ReadUntil(said);
    browser_->Signal(SIGTERM);
    browser_->Wait();
    ASSERT_TRUE(told) << origin.process->err() << browser_->err();
    const std::string log = origin.process->err();
    const size_t at = log.find("/said?") + 6;
    said_ = "&" + log.substr(at, log.find(' ', at) - at) + "&";
  }
  void Judge() {
    std::string film(kFilmBytes, 0);
    std::ifstream(www_ + "/film", std::ios::binary).read(film.data(), std::streamsize(film.size()));
    EXPECT_THAT(said_, HasSubstr("&picture=30x20&"));
    EXPECT_THAT(said_, HasSubstr("&film=" + sum_ + "&"));
    EXPECT_THAT(said_, HasSubstr("&four=1" + sum_ + "&"));
    EXPECT_THAT(said_, HasSubstr("&part=206" + ToHex(crypto::Sha256(AsBytes(std::string_view(film).substr(1000, 1000)))) + "&"));
    EXPECT_THAT(said_, HasSubstr("&head=" + std::to_string(kFilmBytes) + "&"));
    EXPECT_THAT(said_, HasSubstr("&none=404&"));
    EXPECT_THAT(said_, HasSubstr("&stopped=yes&"));
    EXPECT_THAT(said_, testing::Not(HasSubstr("error")));
  }
  std::string sum_, said_;
  std::unique_ptr<Process> browser_;
};

TEST_F(ChromiumTest, APageOverHttpIsRightAndItsDownloadsComeOverThePod) {
  Origin origin = Serve(false);
  Form(2);
  Visit(origin);
  Judge();
  const Json stats = Ask(0, "stats");
  EXPECT_GE(stats["proxy"]["split"], 5u) << stats;
  EXPECT_EQ(stats["proxy"]["tunnels"], 0u) << stats;
  EXPECT_GT(stats["proxy"]["pod_bytes"], kFilmBytes) << stats;
  EXPECT_GT(Ask(1, "stats")["served"]["bytes"], 0u);
}

TEST_F(ChromiumTest, APageOverHttpsGoesThroughTunnelsUntouched) {
  Origin origin = Serve(true);
  Form(2);
  Visit(origin);
  Judge();
  const Json stats = Ask(0, "stats");
  EXPECT_GE(stats["proxy"]["tunnels"], 1u) << stats;
  EXPECT_EQ(stats["proxy"]["split"], 0u) << stats;
}

}  // namespace
}  // namespace orchard
