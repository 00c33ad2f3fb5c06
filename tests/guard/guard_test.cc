#include "node/guard/guard.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace orchard::guard {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

// What visitors of a shop ask for.
struct Visitors {
  Rng rng = Rng::Named(1, "visitors", "");
  std::string target, body;
  Headers headers;
  Asked Next() {
    target = absl::StrCat("/item/", rng.Below(100'000));
    if (rng.Below(3) == 0) absl::StrAppend(&target, "?page=", rng.Below(20), "&sort=price");
    if (rng.Below(20) == 0) absl::StrAppend(&target, rng.Below(2) == 0 ? "?q=" : "&q=", std::string(rng.Below(60), 'x'));
    body = rng.Below(10) == 0 ? std::string(rng.Below(800), 'b') : "";
    headers.assign(7 + rng.Below(6), {"Accept", "text/html"});
    return {.method = "GET", .target = target, .headers = headers, .body = body};
  }
};

TEST(GuardTest, OffItSaysAndDrawsNothing) {
  Guard off;
  Rng rng = Rng::Named(1, "guard", ""), same = Rng::Named(1, "guard", "");
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(off.Whole(rng, {.method = "GET", .target = "/.env", .headers = {}, .body = {}}));
    EXPECT_FALSE(off.Arrived(Instant{}, Endpoint::V4(1, 1)).verdict);
  }
  EXPECT_EQ(rng.Next(), same.Next());
  EXPECT_EQ(off.found(), 0u);
}

TEST(GuardTest, VisitorsAreNoAnomaliesAndAMonsterIs) {
  Guard guard(Mode::kFlag);
  Rng rng = Rng::Named(2, "guard", "");
  Visitors visitors;
  EXPECT_FALSE(guard.trained());
  for (int i = 0; i < 100'000; ++i) guard.Whole(rng, visitors.Next());
  EXPECT_TRUE(guard.trained());
  EXPECT_EQ(guard.found(), 0u);
  std::string target = "/";
  for (int i = 0; i < 300; ++i) absl::StrAppend(&target, i == 0 ? std::string(3000, 'a') + "?" : "&", "a=$", i);
  const Headers headers(90, {"X", "y"});
  const std::string body(500'000, 'b');
  uint64_t anomalies = 0;
  for (int i = 0; i < 300; ++i) {
    const Verdict v = guard.Whole(rng, {.method = "POST", .target = target, .headers = headers, .body = body});
    if (!v) continue;
    ++anomalies;
    EXPECT_EQ(v.what, Class::kAnomaly);
    EXPECT_GT(v.score, Guard::kAnomaly);
  }
  EXPECT_GT(anomalies, 15u);  // A tenth is looked at.
  EXPECT_LT(anomalies, 50u);
  EXPECT_EQ(guard.counts()[size_t(Class::kAnomaly)], anomalies);
}

// A small site knows one path; its second is none the worse.
TEST(GuardTest, LittleThatIsNewIsNoAnomaly) {
  Guard guard(Mode::kBlock);
  Rng rng = Rng::Named(3, "guard", "");
  const Headers few(8, {"A", "b"}), more(12, {"A", "b"});  // The path is all that differs.
  for (int i = 0; i < 3000; ++i) {
    const bool second = i % 7 == 0;
    EXPECT_FALSE(guard.Whole(rng, {.method = "GET", .target = second ? "/a" : "/", .headers = few, .body = {}}));
  }
  for (int i = 0; i < 3000; ++i) EXPECT_FALSE(guard.Whole(rng, {.method = "POST", .target = "/a-longer-page?with=a&query=b", .headers = more, .body = "name=value"}));
}

TEST(GuardTest, EachClassIsCounted) {
  Guard guard(Mode::kBlock, 10);
  Rng rng = Rng::Named(1, "guard", "");
  const auto whole = [&](std::string_view target) { return guard.Whole(rng, {.method = "GET", .target = target, .headers = {}, .body = {}}); };
  whole("/"), whole("/.env"), whole("/?q=<script>"), whole("/?q='+or+1=1--"), whole("/?q=1");
  uint64_t over = 0, told = 0;
  for (int i = 0; i < 30; ++i) {
    const Guard::Arrival a = guard.Arrived(Instant{}, Endpoint::V4(1, uint16_t(i)));
    over += bool(a.verdict), told += a.tell;
  }
  EXPECT_EQ(over, 10u);
  EXPECT_EQ(told, 1u);
  const std::array<uint64_t, 6> expected = {2, 1, 1, 1, 10, 0};
  EXPECT_EQ(guard.counts(), expected);
  EXPECT_EQ(guard.found(), 13u);
}

}  // namespace
}  // namespace orchard::guard
