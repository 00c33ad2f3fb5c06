#include "node/apps/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace orchard::cli {
namespace {

using testing::HasSubstr;

// The parameters' JSON, or "! " and the complaint.
std::string Parse(const Args& args) {
  OperationCall call;
  Complaint complaint;
  return ParseOperation(args, call, complaint) ? call.params : "! " + complaint.message;
}

TEST(CliTest, WordsBecomeACall) {
  EXPECT_EQ(Parse({"info"}), "{}");
  EXPECT_EQ(Parse({"dht", "lookup", "apples"}), R"({"topic":"apples"})");
  EXPECT_EQ(Parse({"dht.lookup", "apples"}), R"({"topic":"apples"})");
  EXPECT_EQ(Parse({"dht", "lookup", "--topic", "a \"b\"\n"}), R"({"topic":"a \"b\"\n"})");
  EXPECT_EQ(Parse({"dht", "put", "x", "--mutable", "--seq", "7", "--encoding=hex"}), R"({"value":"x","encoding":"hex","mutable":true,"seq":7})");
  EXPECT_EQ(Parse({"dht", "get", std::string(64, 'a'), "--no-latest"}), R"({"key":")" + std::string(64, 'a') + R"(","latest":false})");
  EXPECT_EQ(Parse({"dht", "put", "--", "--mutable"}), R"({"value":"--mutable"})");
  EXPECT_EQ(Parse({"dht", "put", ""}), R"({"value":""})");
  EXPECT_EQ(Parse({"dht", "put", "-"}), R"({"value":"-"})");
}

TEST(CliTest, CommonFlagsAreTheCommandsOwn) {
  OperationCall call;
  Complaint complaint;
  ASSERT_TRUE(ParseOperation({"info", "--json", "--data", "/d", "--no-start"}, call, complaint));
  EXPECT_TRUE(call.json && call.no_start && call.data_dir == "/d" && !call.help);
  ASSERT_TRUE(ParseOperation({"dht", "lookup", "--help"}, call, complaint));  // Nothing is missing for help.
  EXPECT_TRUE(call.help);
}

TEST(CliTest, WrongWordsAreNamedWithTheNearest) {
  EXPECT_THAT(Parse({"inof"}), HasSubstr("unknown command \"inof\"; did you mean \"info\"?"));
  EXPECT_THAT(Parse({"dht", "lokup"}), HasSubstr("did you mean \"dht lookup\"?"));
  EXPECT_THAT(Parse({"dht"}), HasSubstr("lookup"));
  EXPECT_THAT(Parse({"dht", "lookup"}), HasSubstr("\"topic\" is missing"));
  EXPECT_THAT(Parse({"dht", "lookup", "a", "b"}), HasSubstr("one word too many"));
  EXPECT_THAT(Parse({"dht", "lookup", "a", "--topic", "b"}), HasSubstr("given twice"));
  EXPECT_THAT(Parse({"dht", "put", "a", "--mutabel"}), HasSubstr("did you mean \"--mutable\"?"));
  EXPECT_THAT(Parse({"dht", "put", "a", "--seq"}), HasSubstr("--seq needs a value"));
  EXPECT_THAT(Parse({"dht", "put", "a", "--seq", "-1"}), HasSubstr("expected a whole number"));
  EXPECT_THAT(Parse({"dht", "put", "a", "--encoding", "base64"}), HasSubstr("one of utf8, hex"));
  EXPECT_THAT(Parse({"dht", "ping", "1.2.3.4"}), HasSubstr("an address such as"));
  EXPECT_THAT(Parse({"dht", "lookup", "a", "-x"}), HasSubstr("unknown option \"-x\""));
  EXPECT_THAT(Parse({"dht", "lookup", "a", "--data="}), HasSubstr("--data needs a directory"));
}

TEST(CliTest, BytesThatAreNoTextAreRefusedInsteadOfChanged) {
  EXPECT_THAT(Parse({"dht", "put", "a\xff\xfe"}), HasSubstr("--encoding hex"));
  EXPECT_THAT(Parse({"dht", "lookup", "\xed\xa0\x80"}), HasSubstr("expected text in UTF-8"));
  EXPECT_EQ(Parse({"dht", "lookup", "caf\xc3\xa9 \xef\xbf\xbd"}), "{\"topic\":\"caf\xc3\xa9 \xef\xbf\xbd\"}");
  EXPECT_THAT(Parse({"info", "--json=1"}), HasSubstr("--json takes no value"));
}

TEST(CliTest, AValueThatIsTooLargeIsWrongInput) {
  EXPECT_EQ(Render(R"({"id":1,"tag":"error","data":{"code":"OVERSIZE","message":"too large"}})", false).status, kWrongInput);
}

TEST(CliTest, EveryOperationHasHelpAndItsExampleIsOne) {
  for (const sidecar::Operation& o : sidecar::Operations()) {
    std::string help = OperationHelp(o);
    EXPECT_THAT(help, HasSubstr("Usage: orchard " + Spoken(o))) << o.name;
    for (const sidecar::Param& p : o.params) EXPECT_THAT(help, HasSubstr(std::string(p.says))) << o.name;
    EXPECT_THAT(MainHelp(), HasSubstr("  " + Spoken(o) + " "));
    EXPECT_THAT(ManPage(), HasSubstr(".SS orchard "));
    EXPECT_TRUE(o.example.starts_with(Spoken(o))) << o.example;
  }
  EXPECT_THAT(GroupHelp("dht"), HasSubstr("dht lookup"));
  EXPECT_EQ(GroupHelp("nothing"), "");
  EXPECT_THAT(NodeHelp(), HasSubstr("dht.port"));
}

TEST(CliTest, AFinalBecomesASheet) {
  Rendered r = Render(R"({"id":1,"tag":"final","data":{"topic":"ab","hops":3,"ok":true,"none":null,"nodes":[{"host":"1.2.3.4","port":5},{"host":"10.20.30.40","port":6}],"list":["x"],"empty":[]}})", false);
  EXPECT_TRUE(r.end);
  EXPECT_EQ(r.status, kOk);
  EXPECT_EQ(r.out,
            "topic  ab\nhops   3\nok     true\nnone   -\nnodes  2\n  host         port\n  1.2.3.4      5\n  10.20.30.40  6\nlist   1\n  x\nempty  none\n");
}

TEST(CliTest, NewsIsOneLine) {
  Rendered r = Render(R"({"id":1,"tag":"peer","data":{"key":"ab","relays":[1,2]}})", false);
  EXPECT_FALSE(r.end);
  EXPECT_EQ(r.out, "peer  key=ab  relays=[1,2]\n");
}

TEST(CliTest, JsonStaysAsItCameWithoutTheId) {
  EXPECT_EQ(Render(R"({"id":1,"tag":"peer","data":{"z":1,"a":2}})", true).out, "{\"tag\":\"peer\",\"data\":{\"z\":1,\"a\":2}}\n");
}

TEST(CliTest, AnErrorsCodeDecidesTheStatus) {
  auto status = [](const std::string& code) { return Render(R"({"id":1,"tag":"error","data":{"code":")" + code + R"(","message":"m"}})", false).status; };
  EXPECT_EQ(status("ERR_TIMEOUT"), kNotOk);
  EXPECT_EQ(status("ERR_PARAMS"), kWrongInput);
  EXPECT_EQ(status("ERR_BUSY"), kEnvironment);
  EXPECT_EQ(Render("no json", false).status, kEnvironment);
  EXPECT_TRUE(Render("{}", false).end);
  EXPECT_EQ(Render(R"({"tag":"error","data":7})", false).status, kNotOk);
}

TEST(CliTest, TheTextOfOthersCannotDriveATerminal) {
  Rendered r = Render("{\"id\":1,\"tag\":\"final\",\"data\":{\"value\":\"a\\u001b[2Jb\\u0007\\nc\",\"c1\":\"\\u009b2J\",\"fine\":\"\\u00e4\"}}", false);
  for (char c : r.out) EXPECT_TRUE(c == '\n' || (c & 0xe0) != 0) << int(c);
  EXPECT_EQ(r.out.find("\xc2\x9b"), r.out.npos);
  EXPECT_THAT(r.out, HasSubstr("\xc3\xa4"));
  EXPECT_EQ(Render(R"({"tag":"error","data":{"code":"ERR_X","message":"say \"please\"\u001b[1m"}})", false).error, R"("say \"please\"\u001b[1m")");
  EXPECT_EQ(Render(R"({"tag":"error","data":{"code":"ERR_X","message":"say \"please\""}})", false).error, R"(say "please")");
  EXPECT_EQ(std::count(r.out.begin(), r.out.end(), '\n'), 3);
}

}  // namespace
}  // namespace orchard::cli
