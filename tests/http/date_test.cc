#include "node/http/date.h"

#include <gtest/gtest.h>
#include <time.h>

#include "tests/support/bare_turn.h"

namespace orchard::http {
namespace {

using namespace std::chrono_literals;

TEST(DateTest, SaysWhatRfc9110Says) { EXPECT_EQ(ImfFixdate(784'111'777), "Sun, 06 Nov 1994 08:49:37 GMT"); }

// The C library is the other opinion: each day at another second, across leap years and the centuries that are none.
TEST(DateTest, AgreesWithTheCLibrary) {
  for (int64_t t = 0; t < 10'000'000'000; t += 86'400 * 3 + 4'211) {
    const time_t at = time_t(t);
    tm utc;
    gmtime_r(&at, &utc);
    char text[64];
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    ASSERT_EQ(ImfFixdate(t), text) << t;
  }
}

TEST(DateTest, StaysWithinTheYearsThatTheFormatCanSay) {
  EXPECT_EQ(ImfFixdate(-1), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(ImfFixdate(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST(DateTest, IsOfTheWallClockAndAddedOnce) {
  BareTurn t;
  t.turn.unix_epoch = 784'111'776s;
  t.turn.now = Instant{} + 1999ms;
  HeaderList headers;
  AddDate(headers, UnixSeconds(t.turn)), AddDate(headers, 0);
  EXPECT_EQ(headers.bytes(), "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
}

}  // namespace
}  // namespace orchard::http
