#include "node/http/headers.h"

#include <gtest/gtest.h>

namespace orchard::http {
namespace {

HeaderList Of(std::initializer_list<std::pair<std::string_view, std::string_view>> headers) {
  HeaderList list;
  for (auto [name, value] : headers) list.Add(name, value);
  return list;
}

TEST(HeaderListTest, HopByHopHeadersGoAndTheRestStaysInOrderByteForByte) {
  HeaderList list;
  for (std::string_view line : {"Host: a\r\n", "connection:  X-Gone , keep-alive\r\n", "x-b:2\r\n", "X-gone: 1\r\n", "TE: trailers\r\n",
                                "Proxy-Connection: keep-alive\r\n", "Upgrade: h2c\r\n", "Accept: */*\r\n", "X-B:  3 \r\n"}) {
    const size_t colon = line.find(':');
    list.AddLine(line, line.substr(0, colon), Trimmed(line.substr(colon + 1, line.size() - colon - 3)));
  }
  list.RemoveHopByHop();
  EXPECT_EQ(list.bytes(), "Host: a\r\nx-b:2\r\nAccept: */*\r\nX-B:  3 \r\n");
  EXPECT_EQ(list.Count("X-B"), 2u);
  EXPECT_EQ(list[3].value, "3");
}

TEST(HeaderListTest, ConnectionCannotTakeOutWhatMakesTheMessage) {
  HeaderList list = Of({{"Host", "a"}, {"Connection", "Host, Content-Length, X-Mine"}, {"Content-Length", "5"}, {"X-Mine", "1"}});
  list.RemoveHopByHop();
  EXPECT_EQ(list.bytes(), "Host: a\r\nContent-Length: 5\r\n");
}

TEST(HeaderListTest, RemovesAllOfAName) {
  HeaderList list = Of({{"A", "1"}, {"b", "2"}, {"a", "3"}});
  list.Remove("A");
  EXPECT_EQ(list.bytes(), "b: 2\r\n");
  EXPECT_FALSE(list.Has("a"));
}

TEST(HeaderListDeathTest, AddTakesNothingThatWouldBeAnotherLine) {
  HeaderList list;
  EXPECT_DEATH(list.Add("X", "a\r\nY: b"), "IsFieldValue");
  EXPECT_DEATH(list.Add("X y", "a"), "IsToken");
}

}  // namespace
}  // namespace orchard::http
