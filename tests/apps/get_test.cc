// `orchard pod get` as its user meets it: a pod of daemons on this machine, and an origin with TLS and a rate for each connection.

#include <gmock/gmock.h>

#include <algorithm>

#include "tests/apps/pod_lab.h"

namespace orchard {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::Each;
using testing::Gt;
using testing::HasSubstr;
using testing::Not;

constexpr size_t kMiB = 1 << 20;

class GetTest : public PodLab {
 protected:
  std::string out_ = dir_ / "got";
  bool Nothing() const { return !There(out_) && !There(out_ + ".part"); }
  // Bytes so far, as the latest word of its progress says.
  static uint64_t Progress(const Process& get) {
    const size_t at = get.out().rfind("{\"bytes\":");
    return at == get.out().npos ? 0 : std::stoull(get.out().substr(at + 9));
  }
  static size_t Count(const std::string& text, const std::string& what) {
    size_t n = 0;
    for (size_t at = 0; (at = text.find(what, at)) != text.npos; at += what.size()) ++n;
    return n;
  }
};

TEST_F(GetTest, AFileOfAnHttpsOriginComesOverTheLinesOfAllMembers) {
  const std::string sum = Film("film", 12 * kMiB);
  const Origin origin = Serve(true, {"--rate", "1500000"});
  Form(3);
  const auto get = Get(origin.at + "/film", out_, {"--cacert", Certificate(), "--sha256", sum});
  ASSERT_EQ(get->Wait(), 0) << get->err();
  EXPECT_EQ(Sum(out_), sum);
  EXPECT_FALSE(There(out_ + ".part"));
  const Json final = Last(get->out());
  EXPECT_EQ(final["sha256"], sum);
  EXPECT_EQ(final["verified"], true);
  EXPECT_EQ(final["bytes"], 12 * kMiB);
  ASSERT_EQ(final["uplinks"].size(), 3u) << final;
  EXPECT_THAT(Shares(final), Each(Gt(kMiB / 2))) << final;
  // Members carried what they are said to have.
  for (size_t i : {1, 2}) {
    const Json relays = Ask(i, "stats")["relays"];
    const uint64_t carried = relays["carried_bytes"].get<uint64_t>();
    const auto share = std::find_if(final["uplinks"].begin(), final["uplinks"].end(), [&](const Json& u) { return u["uplink"] == Ask(i, "status")["device"]; });
    ASSERT_NE(share, final["uplinks"].end());
    EXPECT_GE(carried, (*share)["bytes"].get<uint64_t>());
  }
}

TEST_F(GetTest, AMemberThatIsKilledHalfWayCostsNoByte) {
  const std::string sum = Film("film", 12 * kMiB);
  const Origin origin = Serve(true, {"--rate", "700000"});
  Form(3);
  const std::string dead = Ask(2, "status")["device"].get<std::string>();
  const auto get = Get(origin.at + "/film", out_, {"--cacert", Certificate()});
  ASSERT_TRUE(get->ReadUntil([&] { return Progress(*get) > 4 * kMiB; })) << get->out() << get->err();
  nodes_[2]->Signal(SIGKILL);
  EXPECT_EQ(get->Wait(), 0) << get->err();
  EXPECT_EQ(Sum(out_), sum);
  EXPECT_THAT(get->err(), AllOf(HasSubstr("member " + dead.substr(0, 8) + " was given up"), HasSubstr("the member is gone")));
  const Json final = Last(get->out());
  EXPECT_EQ(final["verified"], false);  // Nobody said what it should be.
  EXPECT_THAT(Shares(final), Each(Gt(0u))) << final;
}

TEST_F(GetTest, AnOriginWithoutRangesIsReadInOnePiece) {
  const std::string sum = Film("film", 3 * kMiB);
  const Origin origin = Serve(true, {"--no-ranges"});
  Form(2);
  const auto get = Get(origin.at + "/film", out_, {"--cacert", Certificate(), "--sha256", sum});
  ASSERT_EQ(get->Wait(), 0) << get->err();
  EXPECT_EQ(Sum(out_), sum);
  EXPECT_TRUE(origin.process->ReadUntil([&] { return Count(origin.process->err(), "GET /film") > 0; }));
  EXPECT_EQ(Count(origin.process->err(), "GET /film"), 1u);
}

// Parts of an origin that says neither ETag nor Last-Modified may be of two files.
TEST_F(GetTest, PartsThatNothingHoldsTogetherAreNotPutTogether) {
  const std::string sum = Film("film", 3 * kMiB);
  const Origin origin = Serve(true, {"--no-state"});
  Form(2);
  auto get = Get(origin.at + "/film", out_, {"--cacert", Certificate()});
  ASSERT_EQ(get->Wait(), 0) << get->err();
  EXPECT_EQ(Sum(out_), sum);
  EXPECT_TRUE(origin.process->ReadUntil([&] { return Count(origin.process->err(), "GET /film 0-3145727 200") == 1; })) << origin.process->err();
  get = Get(origin.at + "/film", out_, {"--cacert", Certificate(), "--sha256", sum});  // A digest holds them together.
  ASSERT_EQ(get->Wait(), 0) << get->err();
  EXPECT_TRUE(origin.process->ReadUntil([&] { return Count(origin.process->err(), "206") >= 3; })) << origin.process->err();
  EXPECT_EQ(Count(origin.process->err(), " 200 "), 1u);
}

TEST_F(GetTest, AFileThatChangesMeanwhileIsNotPutTogether) {
  Film("film", 12 * kMiB);
  const Words options = {"--rate", "1000000", "--changes-after", "4"};
  Words careless = options;
  careless.push_back("--ignores-if-range");  // Only the ETag of its parts tells.
  const Origin origins[] = {Serve(true, options), Serve(true, careless)};
  Form(2);
  for (const Origin& origin : origins) {
    const auto get = Get(origin.at + "/film", out_, {"--cacert", Certificate()});
    EXPECT_EQ(get->Wait(), 1) << get->out();
    EXPECT_THAT(get->err(), HasSubstr("the file changed on the server"));
    EXPECT_TRUE(Nothing());
  }
}

// Members' requests say nothing of a state where they speak the original's words; the last word is the node's own.
TEST_F(GetTest, AFileOfAnHttpOriginThatChangesMeanwhileIsNotKept) {
  const std::string sum = Film("film", 12 * kMiB);
  for (const char* profile : {"hardened", "compat-code"}) {
    nodes_.clear();
    Form(3, profile);
    for (const Words& more : {Words{"--changes-after", "10"}, Words{"--changes-after", "40"}, Words{"--changes-after", "10", "--modified-only"}}) {
      Words options = {"--rate", "2000000"};
      options.insert(options.end(), more.begin(), more.end());
      const Origin origin = Serve(false, options);
      const auto get = Get(origin.at + "/film", out_);
      EXPECT_EQ(get->Wait(), 1) << profile << more[1] << get->out();
      EXPECT_THAT(get->err(), HasSubstr("the file changed on the server meanwhile")) << profile << more[1];
      EXPECT_TRUE(Nothing());
    }
    const Origin origin = Serve(false, {"--rate", "2000000", "--modified-only"});
    const auto get = Get(origin.at + "/film", out_);
    EXPECT_EQ(get->Wait(), 0) << get->err();
    EXPECT_EQ(Sum(out_), sum);
    std::filesystem::remove(out_);
  }
}

TEST_F(GetTest, AnotherDigestThanExpectedIsNamedAndNothingIsKept) {
  const std::string sum = Film("film", 3 * kMiB), other(64, 'a');
  const Origin tls = Serve(true), plain = Serve(false);
  Form(2);
  for (const Origin* origin : {&tls, &plain}) {
    const auto get = Get(origin->at + "/film", out_, {"--cacert", Certificate(), "--sha256", other});
    EXPECT_EQ(get->Wait(), 1);
    EXPECT_THAT(get->err(), AllOf(HasSubstr("sha256"), HasSubstr(other))) << origin->at;
    EXPECT_TRUE(Nothing()) << origin->at;
  }
}

TEST_F(GetTest, WhoIsInterruptedLeavesNothing) {
  Film("film", 12 * kMiB);
  const Origin origin = Serve(true, {"--rate", "500000"});
  Form(2);
  for (int signal : {SIGINT, SIGTERM}) {
    const auto get = Get(origin.at + "/film", out_, {"--cacert", Certificate()});
    ASSERT_TRUE(get->ReadUntil([&] { return Progress(*get) > kMiB; })) << get->out() << get->err();
    EXPECT_TRUE(There(out_ + ".part"));
    get->Signal(signal);
    EXPECT_EQ(get->Wait(), 130);
    EXPECT_THAT(get->err(), HasSubstr("interrupted"));
    EXPECT_TRUE(Nothing());
  }
}

TEST_F(GetTest, WhatIsThereStaysUntilTheNewOneIsWhole) {
  const std::string sum = Film("film", 3 * kMiB);
  const Origin origin = Serve(true);
  Form(1);
  std::ofstream(out_) << "old";
  auto get = Get(origin.at + "/none", out_, {"--cacert", Certificate()});
  EXPECT_EQ(get->Wait(), 1);
  EXPECT_THAT(get->err(), HasSubstr("the server answered 404"));
  EXPECT_EQ(std::filesystem::file_size(out_), 3u);
  get = Get(origin.at + "/film", out_, {"--cacert", Certificate()});
  EXPECT_EQ(get->Wait(), 0) << get->err();
  EXPECT_THAT(get->err(), HasSubstr("nobody else is in the pod"));
  EXPECT_EQ(Sum(out_), sum);
}

TEST_F(GetTest, ACertificateThatNobodyVouchesForIsNotTrusted) {
  Film("film", kMiB);
  const Origin origin = Serve(true);
  Form(2);
  const auto get = Get(origin.at + "/film", out_);
  EXPECT_EQ(get->Wait(), 1);
  EXPECT_THAT(get->err(), AllOf(HasSubstr("certificate"), HasSubstr("--cacert")));
  EXPECT_TRUE(Nothing());
}

TEST_F(GetTest, ARedirectIsFollowedAndNeverDownToHttp) {
  const std::string sum = Film("film", 12 * kMiB);
  const Origin tls = Serve(true, {"--rate", "1500000"}), plain = Serve(false, {"--redirect", tls.at}), down = Serve(true, {"--redirect", plain.at});
  Form(2);
  auto get = Get(plain.at + "/moved/film", out_, {"--cacert", Certificate()});
  ASSERT_EQ(get->Wait(), 0) << get->err();
  EXPECT_EQ(Sum(out_), sum);
  const Json final = Last(get->out());
  EXPECT_EQ(final["url"], tls.at + "/film");
  EXPECT_THAT(Shares(final), AllOf(testing::SizeIs(2), Each(Gt(kMiB / 2)))) << final;  // The pod is used although the first URL was http.
  std::filesystem::remove(out_);
  const Origin near = Serve(false, {"--redirect", "/moved"}), round = Serve(false, {"--redirect", "/film"});
  get = Get(round.at + "/moved", out_);
  EXPECT_EQ(get->Wait(), 0) << get->err();
  EXPECT_EQ(Sum(out_), sum);
  std::filesystem::remove(out_);
  get = Get(near.at + "/moved/film", out_);
  EXPECT_EQ(get->Wait(), 1);
  EXPECT_THAT(get->err(), HasSubstr("without end"));
  get = Get(down.at + "/moved/film", out_, {"--cacert", Certificate()});
  EXPECT_EQ(get->Wait(), 1);
  EXPECT_THAT(get->err(), HasSubstr("from https to http"));
  EXPECT_TRUE(Nothing());
}

// In a pod of any profile; the members see what they fetch.
TEST_F(GetTest, PlainHttpIsSplitByTheDaemonAndSharesAreItsOwn) {
  const std::string sum = Film("film", 12 * kMiB);
  const Origin origin = Serve(false, {"--rate", "2000000"}), tls = Serve(true);
  Form(3, "compat-code");
  auto get = Get(origin.at + "/film", out_, {"--sha256", sum});
  ASSERT_EQ(get->Wait(), 0) << get->err();
  EXPECT_EQ(Sum(out_), sum);
  const Json final = Last(get->out());
  ASSERT_EQ(final["uplinks"].size(), 3u) << final;
  EXPECT_THAT(Shares(final), Each(Gt(0u))) << final;
  const Json transfers = Ask(0, "transfers");
  ASSERT_EQ(transfers["count"], 1) << transfers;
  for (const Json& u : final["uplinks"]) {
    if (u["uplink"] == "own") continue;  // Also what was asked for before the pod began.
    EXPECT_EQ(transfers["transfers"][0]["by"][u["uplink"].get<std::string>()], u["bytes"]) << transfers;
  }
  EXPECT_EQ(transfers["transfers"][0]["state"], "done");
  // TLS ends at whoever reads, so these members can do nothing for it, and that is said.
  get = Get(tls.at + "/film", out_, {"--cacert", Certificate(), "--sha256", sum});
  ASSERT_EQ(get->Wait(), 0) << get->err();
  EXPECT_THAT(get->err(), HasSubstr("cannot relay https"));
  EXPECT_EQ(Last(get->out())["uplinks"].size(), 1u);
}

TEST_F(GetTest, WordsThatAreWrongAreNamedBeforeAnythingHappens) {
  Form(1);
  const auto say = [&](const Words& words, int status) {
    Words command = {ORCHARD_PROGRAM, "pod", "get", "--no-start", "--data", data(0)};
    command.insert(command.end(), words.begin(), words.end());
    Process get(command);
    EXPECT_EQ(get.Wait(), status) << get.err();
    return get.err();
  };
  EXPECT_THAT(say({}, 2), HasSubstr("\"url\" is missing"));
  EXPECT_THAT(say({"ftp://h/f"}, 2), HasSubstr("url"));
  EXPECT_THAT(say({"https://h/"}, 2), HasSubstr("-o FILE"));
  EXPECT_THAT(say({"https://h/f", "--sha256", "abc"}, 2), HasSubstr("64 hex digits"));
  EXPECT_THAT(say({"https://h/f", "--connections", "0"}, 2), HasSubstr("1 to 32"));
  EXPECT_THAT(say({"https://h/f", "-o", dir_.path()}, 2), HasSubstr("no file"));
  EXPECT_THAT(say({"https://h/f", "-o", dir_ / "none/f"}, 3), HasSubstr("No such file"));
  EXPECT_THAT(say({"https://h/f", "--cacert", dir_ / "none"}, 3), HasSubstr("No such file"));
}

TEST_F(GetTest, WhatIsInTheWayStaysAndIsNamed) {
  const std::string sum = Film("film", kMiB);
  const Origin origin = Serve(true);
  Form(1);
  std::ofstream(out_ + ".part") << "somebody's";
  auto get = Get(origin.at + "/film", out_, {"--cacert", Certificate()});
  EXPECT_EQ(get->Wait(), 3);
  EXPECT_THAT(get->err(), AllOf(HasSubstr(out_ + ".part"), HasSubstr("remove it")));
  EXPECT_EQ(std::filesystem::file_size(out_ + ".part"), 10u);
  std::filesystem::remove(out_ + ".part");

  std::filesystem::create_symlink(dir_ / "behind", out_);
  get = Get(origin.at + "/film", out_, {"--cacert", Certificate()});
  EXPECT_EQ(get->Wait(), 2);
  EXPECT_THAT(get->err(), HasSubstr("leads nowhere"));
  std::ofstream(dir_ / "behind") << "old";
  get = Get(origin.at + "/film", out_, {"--cacert", Certificate()});
  EXPECT_EQ(get->Wait(), 0) << get->err();
  EXPECT_TRUE(std::filesystem::is_symlink(out_));
  EXPECT_EQ(Sum(dir_ / "behind"), sum);

  get = Get(origin.at + "/film", "-", {"--cacert", Certificate()});
  EXPECT_EQ(get->Wait(), 2);
  EXPECT_THAT(get->err(), HasSubstr("standard output"));
}

TEST_F(GetTest, WhereNoServerAnswersTheReasonIsTheOwnLines) {
  Form(2);
  for (const char* url : {"http://127.0.0.1:1/f", "https://127.0.0.1:1/f"}) {
    const auto get = Get(url, out_);
    EXPECT_EQ(get->Wait(), 1);
    EXPECT_THAT(get->err(), HasSubstr(std::string(url) + ": nobody listens there"));
    EXPECT_TRUE(Nothing());
  }
}

// Of no range: an empty file; or a server that does not know how long its file is.
TEST_F(GetTest, WhereThereIsNoFirstByteTheWholeIsAskedFor) {
  const std::string sum = Film("film", kMiB), none = Film("none", 0);
  const Origin honest = Serve(true), wrong = Serve(true, {"--refuses-ranges"});
  Form(1);
  auto get = Get(honest.at + "/none", out_, {"--cacert", Certificate()});
  EXPECT_EQ(get->Wait(), 0) << get->err();
  EXPECT_EQ(Sum(out_), none);
  get = Get(wrong.at + "/film", out_, {"--cacert", Certificate()});
  EXPECT_EQ(get->Wait(), 0) << get->err();
  EXPECT_EQ(Sum(out_), sum);
  EXPECT_FALSE(There(out_ + ".part"));
}

TEST_F(GetTest, ANodeWithoutAPodSaysHowToGetOne) {
  Process node({ORCHARD_PROGRAM, "node", "--data", data(0), "--set", "dht.host=127.0.0.1", "--set", "dht.port=0", "--set", "dht.nodes="});
  ASSERT_TRUE(node.WaitForError("host.started")) << node.err();
  const auto get = Get("http://127.0.0.1:1/f", out_);
  EXPECT_EQ(get->Wait(), 1);
  EXPECT_THAT(get->err(), HasSubstr("pod.enabled"));
  EXPECT_TRUE(Nothing());
}

TEST_F(GetTest, TwoMayNotWriteOneFile) {
  Film("film", 12 * kMiB);
  const Origin origin = Serve(true, {"--rate", "500000"});
  Form(1);
  const auto first = Get(origin.at + "/film", out_, {"--cacert", Certificate()});
  ASSERT_TRUE(first->ReadUntil([&] { return Progress(*first) > 0; })) << first->err();
  const auto second = Get(origin.at + "/film", out_, {"--cacert", Certificate()});
  EXPECT_EQ(second->Wait(), 3);
  EXPECT_THAT(second->err(), HasSubstr("another download"));
  EXPECT_TRUE(There(out_ + ".part"));
}

}  // namespace
}  // namespace orchard
