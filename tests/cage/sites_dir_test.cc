// A directory of sites: what is put there is served, what changes is updated, what goes is gone.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/cage/sites.h"
#include "tests/cage/served.h"

namespace orchard::cage {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

struct Directory : World {
  explicit Directory(SiteList sites = {}) : World(ServerConfig{.front = {.local = Endpoint::V4(0, 80)}, .sites = std::move(sites), .sites_dir = "/sites"}) {}
  const Sites::Look& Reload(std::optional<std::string> now) {
    directory = std::move(now);
    const uint64_t before = server().sites().looks();
    http::Do<Served>(net, node, [](Turn& turn, Served& s) { EXPECT_TRUE(s.server.sites().Reload(turn).has_value()); });
    net.Run(1s);
    EXPECT_GT(server().sites().looks(), before);
    return server().sites().last_look();
  }
  std::string Status(std::string_view site) { return Say(Ask("/", site)).substr(0, 12); }
};

TEST(SitesDirTest, WhatIsThereIsServedAndWhatGoesIsGone) {
  Directory w;
  EXPECT_EQ(w.server().sites().last_look().problem, "/sites: No such file or directory");  // At the start there was none.
  EXPECT_THAT(w.Reload("a 1\nb 1\n").added, ElementsAre("a", "b"));
  EXPECT_EQ(w.Status("a"), "HTTP/1.1 200");
  EXPECT_EQ(w.server().sites().Named("a")->config.module, "/sites/a.wasm");
  const Sites::Look& look = w.Reload("b 1\nc 1\n");
  EXPECT_THAT(look.added, ElementsAre("c"));
  EXPECT_THAT(look.removed, ElementsAre("a"));
  EXPECT_THAT(look.updated, IsEmpty());
  EXPECT_EQ(w.Status("a"), "HTTP/1.1 404");
  EXPECT_EQ(w.Status("c"), "HTTP/1.1 200");
}

TEST(SitesDirTest, AChangedModuleTakesItsPlaceCageByCage) {
  Directory w;
  w.Reload("a 1\n");
  EXPECT_THAT(w.Reload("a 2\n").updated, ElementsAre("a"));
  EXPECT_THAT(w.Reload("a 2\n").updated, IsEmpty());
}

TEST(SitesDirTest, ASiteThatCameOtherwiseStaysAsItIs) {
  Directory w(SiteList{{.name = "a", .module = "toy"}});
  EXPECT_THAT(w.Reload("a 1\nA 1\n../b 1\n").skipped, ElementsAre("a"));
  EXPECT_EQ(w.server().sites().Named("a")->config.module, "toy");
  EXPECT_THAT(w.Reload("").removed, IsEmpty());
  EXPECT_EQ(w.server().sites().all().size(), 1u);
}

TEST(SitesDirTest, ANameThatAnOperatorTookOverIsHis) {
  Directory w;
  w.Reload("a 1\n");
  http::Do<Served>(w.net, w.node, [](Turn& turn, Served& s) {
    PoolNews news;
    EXPECT_TRUE(s.server.sites().Add(turn, {.name = "a", .module = "toy"}, "", news).ok());
  });
  w.net.Run(1s);
  EXPECT_THAT(w.Reload("a 2\n").skipped, ElementsAre("a"));
  EXPECT_THAT(w.Reload("").removed, IsEmpty());
  EXPECT_EQ(w.Status("a"), "HTTP/1.1 200");
}

TEST(SitesDirTest, WhileTheDirectoryCannotBeReadAllStaysAsItWas) {
  Directory w;
  w.Reload("a 1\n");
  EXPECT_THAT(w.Reload(std::nullopt).problem, StartsWith("/sites: No such file"));
  EXPECT_EQ(w.Status("a"), "HTTP/1.1 200");
  EXPECT_THAT(w.Reload("").removed, ElementsAre("a"));
}

TEST(SitesDirTest, WhoAsksDuringALookWaitsForTheNext) {
  Directory w;
  const uint64_t before = w.server().sites().looks();
  http::Do<Served>(w.net, w.node, [=](Turn& turn, Served& s) {
    EXPECT_EQ(s.server.sites().Reload(turn), before + 1);
    EXPECT_EQ(s.server.sites().Reload(turn), before + 2);
  });
  w.net.Run(1s);
  EXPECT_EQ(w.server().sites().looks(), before + 2);
}

}  // namespace
}  // namespace orchard::cage
