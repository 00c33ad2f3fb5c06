// What is a message, by RFC 9110 and 9112, and what is refused: above all what two parsers might read differently.

#include "node/http/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/http/limits.h"
#include "tests/http/parse.h"

namespace orchard::http {
namespace {

using ::testing::HasSubstr;

constexpr size_t kWhole = 1 << 20;
constexpr std::string_view kGet = "GET /film HTTP/1.1\r\nHost: a\r\n\r\n";

std::string Request(std::string_view lines, std::string_view body = "", std::string_view start = "POST /x HTTP/1.1") {
  return std::string(start) + "\r\nHost: a\r\n" + std::string(lines) + "\r\n" + std::string(body);
}

TEST(RequestParserTest, EverySplitOfARequestGivesTheSameEvents) {
  const std::string many[] = {
      std::string(kGet) + std::string(kGet),
      Request("Content-Length: 5\r\n", "hello") + std::string(kGet),
      Request("Transfer-Encoding: chunked\r\n", "5;a=b\r\nhello\r\nB;c\r\n world again\r\n0\r\nX-Sum: 7\r\n\r\n") + std::string(kGet),
      "\r\n" + std::string(kGet),
      "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n\x16\x03\x01 raw",
      Request("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
      Request("A: b\rc\r\n"),
      Request("A: b\nc: d\r\n"),
      Request("Transfer-Encoding: chunked\r\n", "5\r\nhelloo\r\n0\r\n\r\n"),
      Request("Transfer-Encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\n"),
      Request("Content-Length: 50\r\n", "hello"),
  };
  for (const std::string& bytes : many) {
    const std::string whole = Requests(bytes, kWhole);
    EXPECT_THAT(whole, HasSubstr("\n"));
    for (size_t piece = 1; piece < bytes.size(); ++piece) EXPECT_EQ(Requests(bytes, piece), whole) << bytes << " in pieces of " << piece;
    for (size_t cut = 1; cut < bytes.size(); ++cut) {  // And two unequal pieces.
      RequestParser p;
      Transcript t;
      for (std::string_view part : {std::string_view(bytes).substr(0, cut), std::string_view(bytes).substr(cut)}) {
        while (!part.empty() && !p.refused() && !(p.complete() && p.head().body == BodyKind::kTunnel)) {
          if (p.complete()) p.Next();
          ParserNews news;
          part.remove_prefix(p.OnBytes(AsBytes(part), news));
          t.Add(p, news);
        }
      }
      EXPECT_TRUE(whole.starts_with(t.text())) << bytes << " cut at " << cut << ": " << t.text();
    }
  }
}

TEST(RequestParserTest, KeepsHeaderLinesAsTheyWereWritten) {
  const std::string bytes = "GET http://[::1]:8080/a?b HTTP/1.1\r\nhOsT:   x  \r\nX-Empty:\r\nX-Two: a, b\r\n\r\n";
  RequestParser p;
  ParserNews news;
  EXPECT_EQ(p.OnBytes(AsBytes(bytes), news), bytes.size());
  ASSERT_TRUE(p.complete());
  EXPECT_EQ(p.head().method, "GET");
  EXPECT_EQ(p.head().target, "http://[::1]:8080/a?b");
  EXPECT_EQ(p.head().headers.bytes(), "hOsT:   x  \r\nX-Empty:\r\nX-Two: a, b\r\n");
  EXPECT_EQ(p.head().headers.Find("HOST"), "x");
  EXPECT_EQ(p.head().headers.Find("x-empty"), "");
  EXPECT_TRUE(p.head().headers.HasToken("x-two", "B"));
}

TEST(RequestParserTest, StopsAtTheEndOfAMessageSoThatPipelinedOnesWait) {
  const std::string two = std::string(kGet) + std::string(kGet);
  RequestParser p;
  ParserNews news;
  EXPECT_EQ(p.OnBytes(AsBytes(two), news), kGet.size());
  EXPECT_EQ(p.OnBytes(AsBytes(kGet), news), 0u);
  p.Next();
  EXPECT_EQ(p.OnBytes(AsBytes(kGet), news), kGet.size());
}

// Each of these is read otherwise by some parser that is or was deployed.
TEST(RequestParserTest, RefusesTheShapesOfSmugglers) {
  const struct { std::string bytes; Refusal why; } kShapes[] = {
      {Request("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG"), Refusal::kLengthAndCoding},  // CL.TE
      {Request("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "1\r\nG\r\n0\r\n\r\n"), Refusal::kLengthAndCoding},  // TE.CL
      {Request("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"), Refusal::kBadCoding},  // TE.TE
      {Request("Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n"), Refusal::kUnknownCoding},
      {Request("Transfer-Encoding: xchunked\r\n"), Refusal::kUnknownCoding},
      {Request("Transfer-Encoding: chunked, identity\r\n"), Refusal::kUnknownCoding},
      {Request("Transfer-Encoding: gzip, chunked\r\n"), Refusal::kUnknownCoding},
      {Request("Transfer-Encoding: \"chunked\"\r\n"), Refusal::kUnknownCoding},
      {Request("Transfer-Encoding:\x0b" "chunked\r\n"), Refusal::kBadHeader},
      {Request("Transfer-Encoding : chunked\r\n"), Refusal::kSpaceBeforeColon},
      {Request("Transfer-Encoding\t: chunked\r\n"), Refusal::kSpaceBeforeColon},
      {Request(" Transfer-Encoding: chunked\r\n"), Refusal::kFoldedHeader},
      {Request("X: y\r\n Transfer-Encoding: chunked\r\n"), Refusal::kFoldedHeader},
      {Request("Transfer-Encoding:\r\n chunked\r\n"), Refusal::kUnknownCoding},
      {Request("X: y\nTransfer-Encoding: chunked\r\n"), Refusal::kBareLineEnd},
      {Request("X: y\rTransfer-Encoding: chunked\r\n"), Refusal::kBareLineEnd},  // CVE-2023-30589 of llhttp.
      {Request("X: y\r\r\nTransfer-Encoding: chunked\r\n"), Refusal::kBareLineEnd},
      {Request("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), Refusal::kSeveralLengths},
      {Request("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), Refusal::kSeveralLengths},
      {Request("Content-Length: 5, 5\r\n", "hello"), Refusal::kBadLength},
      {Request("Content-Length: +5\r\n", "hello"), Refusal::kBadLength},
      {Request("Content-Length: -5\r\n", "hello"), Refusal::kBadLength},
      {Request("Content-Length: 0x5\r\n", "hello"), Refusal::kBadLength},
      {Request("Content-Length: 5 5\r\n", "hello"), Refusal::kBadLength},
      {Request("Content-Length:\r\n", "hello"), Refusal::kBadLength},
      {Request("Content-Length: 18446744073709551621\r\n", "hello"), Refusal::kBadLength},
      {Request("Content-Length : 5\r\n", "hello"), Refusal::kSpaceBeforeColon},
      {"POST /x HTTP/1.1\r\n Content-Length: 5\r\nHost: a\r\n\r\nhello", Refusal::kFoldedHeader},  // CVE-2024-27982
      {"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refusal::kBadCoding},
      {Request("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n"), Refusal::kBadChunk},
      {Request("Transfer-Encoding: chunked\r\n", "5 \r\nhello\r\n0\r\n\r\n"), Refusal::kBadChunk},
      {Request("Transfer-Encoding: chunked\r\n", "-5\r\nhello\r\n0\r\n\r\n"), Refusal::kBadChunk},
      {Request("Transfer-Encoding: chunked\r\n", "\r\nhello\r\n0\r\n\r\n"), Refusal::kBadChunk},
      {Request("Transfer-Encoding: chunked\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n"), Refusal::kBadChunk},
      {Request("Transfer-Encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\n"), Refusal::kBareLineEnd},
      {Request("Transfer-Encoding: chunked\r\n", "5;a\nb\r\nhello\r\n0\r\n\r\n"), Refusal::kBareLineEnd},  // TERM.EXT
      {Request("Transfer-Encoding: chunked\r\n", "5\r\nhelloXX0\r\n\r\n"), Refusal::kBadChunk},
      {Request("Transfer-Encoding: chunked\r\n", "5\r\nhello\n0\r\n\r\n"), Refusal::kBareLineEnd},
      {Request("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: 5\r\n\r\n"), Refusal::kBadTrailer},
      {Request("Transfer-Encoding: chunked\r\n", "0\r\nX: y\rZ: w\r\n\r\n"), Refusal::kBareLineEnd},
      {Request("X\r\n"), Refusal::kBadHeader},
      {Request(": x\r\n"), Refusal::kBadHeader},
      {Request("X@: y\r\n"), Refusal::kBadHeader},
      {Request(std::string_view("X: a\0b\r\n", 8)), Refusal::kMalformed},
      {Request("X: a\x7f\r\n"), Refusal::kBadHeader},
      {"GET / HTTP/1.1\r\n\r\n", Refusal::kNoHost},
      {Request("Host: b\r\n"), Refusal::kSeveralHosts},
      {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::kMalformed},
      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::kMalformed},
      {"GET / x HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::kMalformed},
      {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::kMalformed},
      {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Refusal::kMalformed},
      {"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::kBadTarget},
      {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::kBadTarget},
      {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::kBadTarget},
      {"CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::kBadTarget},
      {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET ", Refusal::kBadLength},
      {"GET /\r\n", Refusal::kMalformed},  // HTTP/0.9
      {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", Refusal::kUnknownVersion},
      {"GET / http/1.1\r\nHost: a\r\n\r\n", Refusal::kMalformed},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refusal::kUnknownVersion},
      {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::kUnknownMethod},
      {"get / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::kUnknownMethod},
      {"\x16\x03\x01\x02\r\n", Refusal::kMalformed},
  };
  for (const auto& shape : kShapes) {
    EXPECT_THAT(Requests(shape.bytes, kWhole), HasSubstr("refused " + std::string(NameOf(shape.why)))) << shape.bytes;
  }
}

TEST(RequestParserTest, WhatIsRefusedNamesTheStatusToAnswer) {
  EXPECT_EQ(StatusOf(Refusal::kBareLineEnd), 400);
  EXPECT_EQ(StatusOf(Refusal::kBodyTooLarge), 413);
  EXPECT_EQ(StatusOf(Refusal::kStartLineTooLong), 414);
  EXPECT_EQ(StatusOf(Refusal::kTooManyHeaders), 431);
  EXPECT_EQ(StatusOf(Refusal::kUnknownCoding), 501);
  EXPECT_EQ(StatusOf(Refusal::kUnknownVersion), 505);
}

TEST(RequestParserTest, ReadsUpToEachLimitAndNotOneByteMore) {
  auto with_target = [](size_t n) { return "GET /" + std::string(n - 14, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"; };
  EXPECT_THAT(Requests(with_target(kStartLineMax), 7), HasSubstr("complete"));
  EXPECT_THAT(Requests(with_target(kStartLineMax + 1), 7), HasSubstr("refused start-line-too-long"));

  auto with_line = [](size_t n) { return Request("X: " + std::string(n - 3, 'a') + "\r\n", "", "GET / HTTP/1.1"); };
  EXPECT_THAT(Requests(with_line(kHeaderLineMax), 7), HasSubstr("complete"));
  EXPECT_THAT(Requests(with_line(kHeaderLineMax + 1), kWhole), HasSubstr("refused headers-too-large"));

  auto with_headers = [](size_t n) {
    std::string lines;
    for (size_t i = 1; i < n; ++i) lines += "X: y\r\n";
    return Request(lines, "", "GET / HTTP/1.1");
  };
  EXPECT_THAT(Requests(with_headers(kHeadersMax), 7), HasSubstr("complete"));
  EXPECT_THAT(Requests(with_headers(kHeadersMax + 1), 7), HasSubstr("refused too-many-headers"));

  std::string large;
  for (size_t i = 0; i < 8; ++i) large += "X: " + std::string(kHeaderBytesMax / 8, 'a') + "\r\n";
  EXPECT_THAT(Requests(Request(large), 7), HasSubstr("refused headers-too-large"));

  EXPECT_THAT(Requests(std::string(2 * kEmptyLinesMax, '\r') + "x", 1), HasSubstr("refused bare-line-end"));
  EXPECT_THAT(Requests("\r\n\r\n\r\n\r\n\r\n" + std::string(kGet), 3), HasSubstr("refused malformed"));
  EXPECT_THAT(Requests("\r\n\r\n\r\n\r\n" + std::string(kGet), 3), HasSubstr("complete"));
}

TEST(RequestParserTest, BoundsWhatALineThatNeverEndsKeeps) {
  RequestParser p;
  ParserNews news;
  const std::string piece(1000, 'a');
  for (int i = 0; i < 9; ++i) p.OnBytes(AsBytes(piece), news);
  EXPECT_TRUE(p.refused());
  EXPECT_EQ(p.OnBytes(AsBytes(piece), news), 0u);
}

TEST(RequestParserTest, RefusesALargerBodyThanItsReaderTakes) {
  for (std::string bytes : {Request("Content-Length: 11\r\n", "hello world"), Request("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")}) {
    for (uint64_t most : {10, 11}) {
      RequestParser p(most);
      ParserNews news;
      p.OnBytes(AsBytes(bytes), news);
      EXPECT_EQ(p.complete(), most == 11) << bytes;
      if (most == 10) { EXPECT_EQ(std::get<MessageRefused>(news.back()).why, Refusal::kBodyTooLarge); }
    }
  }
}

TEST(RequestParserTest, ChunkExtensionsAreReadAndEndlessOnesAreNot) {
  EXPECT_EQ(Requests(Request("Transfer-Encoding: chunked\r\n", "5;a=\"b c\"\r\nhello\r\n0\r\n\r\n"), 1), "head POST /x\nbody hello\ncomplete\n");
  EXPECT_THAT(Requests(Request("Transfer-Encoding: chunked\r\n", "5;" + std::string(kChunkLineMax, 'a') + "\r\nhello\r\n"), 9), HasSubstr("refused chunk-extensions"));
  std::string many;
  for (int i = 0; i < 200; ++i) many += "1;" + std::string(100, 'a') + "\r\nx\r\n";
  EXPECT_THAT(Requests(Request("Transfer-Encoding: chunked\r\n", many), kWhole), HasSubstr("refused chunk-extensions"));
  EXPECT_THAT(Requests(Request("Transfer-Encoding: chunked\r\n", "00000000000000001\r\nx\r\n"), kWhole), HasSubstr("refused bad-chunk"));
}

TEST(RequestParserTest, KnowsWhoKeepsTheConnection) {
  auto keeps = [](std::string_view version, std::string_view lines) {
    RequestParser p;
    ParserNews news;
    const std::string bytes = "GET / " + std::string(version) + "\r\nHost: a\r\n" + std::string(lines) + "\r\n";
    p.OnBytes(AsBytes(bytes), news);
    EXPECT_TRUE(p.complete());
    return p.head().keep_alive;
  };
  EXPECT_TRUE(keeps("HTTP/1.1", ""));
  EXPECT_FALSE(keeps("HTTP/1.1", "Connection: close\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.1", "Connection: keep-alive, Close\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.0", ""));
  EXPECT_TRUE(keeps("HTTP/1.0", "Connection: Keep-Alive\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.0", "Connection: keep-alive, close\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.0", "Proxy-Connection: keep-alive\r\n"));
}

TEST(RequestParserTest, ExpectationsOtherThanContinueAreRefused) {
  RequestParser p;
  ParserNews news;
  const std::string bytes = Request("Expect: 100-Continue\r\nContent-Length: 2\r\n");
  p.OnBytes(AsBytes(bytes), news);
  EXPECT_TRUE(p.head().expects_continue);
  EXPECT_THAT(Requests(Request("Expect: a-miracle\r\n"), kWhole), HasSubstr("refused unknown-expectation"));
}

TEST(ResponseParserTest, TheEndOfABodyIsFoundByTheRequestAndTheStatus) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const struct { std::string bytes; std::string_view method; std::string said; } kCases[] = {
      {ok + "Content-Length: 5\r\n\r\nhello", "GET", "head 200\nbody hello\ncomplete\n"},
      {ok + "Content-Length: 5\r\n\r\nhell", "GET", "head 200\nbody hell\nrefused truncated\n"},
      {ok + "Content-Length: 5\r\n\r\n", "HEAD", "head 200\ncomplete\n"},
      {ok + "Transfer-Encoding: chunked\r\n\r\n", "HEAD", "head 200\ncomplete\n"},
      {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "GET", "head 200\nbody hello\ncomplete\n"},
      {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "GET", "head 200\nbody hello\nrefused truncated\n"},
      {ok + "\r\nhello", "GET", "head 200\nbody hello\ncomplete\n"},
      {ok + "Content-Length: 0\r\n\r\n", "GET", "head 200\ncomplete\n"},
      {ok + "\r\nraw", "CONNECT", "head 200\ncomplete\ntunnel raw\n"},
      {"HTTP/1.1 502 No\r\nContent-Length: 2\r\n\r\nno", "CONNECT", "head 502\nbody no\ncomplete\n"},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", "head 304\ncomplete\n"},
      {"HTTP/1.1 204\r\n\r\n", "GET", "head 204\ncomplete\n"},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx", "GET",
       "head 100\ncomplete\nhead 103\ncomplete\nhead 200\nbody x\ncomplete\n"},
      {"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "GET", "refused unexpected-upgrade\n"},
      {"HTTP/1.0 200 OK\r\n\r\nhello", "GET", "head 200\nbody hello\ncomplete\n"},
      {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", "refused bad-transfer-encoding\n"},
      {ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", "GET", "refused unknown-transfer-encoding\n"},
      {ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "GET", "refused several-content-lengths\n"},
      {ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", "GET", "refused length-and-transfer-encoding\n"},
      {"HTTP/1.1 2000 OK\r\n\r\n", "GET", "refused malformed\n"},
      {"HTTP/1.1  200 OK\r\n\r\n", "GET", "refused malformed\n"},
      {"HTTP/1.1 20 OK\r\n\r\n", "GET", "refused malformed\n"},
      {"HTTP/3.0 200 OK\r\n\r\n", "GET", "refused unknown-version\n"},
      {"ICY 200 OK\r\n\r\n", "GET", "refused malformed\n"},
      {"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", "GET", "refused bare-line-end\n"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(Responses(c.bytes, kWhole, c.method), c.said) << c.bytes;
    for (size_t piece = 1; piece < c.bytes.size(); ++piece) EXPECT_EQ(Responses(c.bytes, piece, c.method), c.said) << c.bytes;
  }
}

TEST(ResponseParserTest, ABodyUntilTheEndOfTheStreamKeepsNoConnection) {
  ResponseParser p;
  p.Next("GET");
  ParserNews news;
  p.OnBytes(AsBytes("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nx"), news);
  EXPECT_EQ(p.head().body, BodyKind::kUntilEnd);
  EXPECT_FALSE(p.head().keep_alive);
}

}  // namespace
}  // namespace orchard::http
