// Sessions of all profiles: bytes against the vectors, and what is refused by which name.

#include "node/pod/session.h"

#include <gtest/gtest.h>

#include "tests/pod/vectors.h"

namespace orchard::pod {
namespace {

std::string V(const char* name) { return Raw(Vectors()[name]); }

// B as an acceptor (or connector) of version 1 before it has met anybody.
struct One {
  BareTurn box;
  Session session;
  Session::News news;
  explicit One(Session::Config config) : session(std::move(config)) { news.write = session.Start(box.turn.rng); }
  Refusal Feed(const std::string& bytes) { return (void)session.OnBytes(AsBytes(bytes), news), session.refusal(); }
};
Session::Config Acceptor(Profile profile) { return SessionPair::Of(profile, false); }

TEST(IdentityTest, IdIsTheFirstHalfOfTheHashOfTheKey) {
  EXPECT_EQ(A().public_key, Array(Vectors()["pk_a"]));
  EXPECT_EQ(A().device, Array<16>(Vectors()["id_a"]));
  EXPECT_EQ(B().public_key, Array(Vectors()["pk_b"]));
  EXPECT_EQ(B().device, Array<16>(Vectors()["id_b"]));
}

TEST(KeysTest, BothDialectsDeriveTheRecordedKeys) {
  const crypto::Secret<32> shared = Array(Vectors()["shared"]);
  EXPECT_EQ(CompatKey(Dialect::kCode, shared), Array(Vectors()["key_code"]));
  EXPECT_EQ(CompatKey(Dialect::kDoc, shared), Array(Vectors()["key_doc"]));
}

TEST(SessionTest, SpeaksTheRecordedBytesOfTheOriginal) {
  SessionPair pair(Profile::kCompatCode);
  EXPECT_EQ(Hex(pair.to_b), Vectors()["hello_a"].get<std::string>());
  EXPECT_EQ(pair.to_a, "");
  ASSERT_TRUE(pair.b.OnBytes(AsBytes(pair.to_b), pair.at_b).ok());
  EXPECT_EQ(Hex(pair.at_b.write), Vectors()["hello_b"].get<std::string>());
  ASSERT_TRUE(pair.a.OnBytes(AsBytes(pair.at_b.write), pair.at_a).ok());
  EXPECT_EQ(Hex(pair.at_a.write), Vectors()["record_heartbeat_a0"].get<std::string>());
  std::string second;
  pair.a.Send(ChunkRequest{.transfer = Array<16>(Vectors()["transfer"]), .end = 262144}, second);
  EXPECT_EQ(Hex(second), Vectors()["record_request_none1"].get<std::string>());
}

TEST(SessionTest, MessagesArriveWhereverTheStreamIsCut) {
  for (Profile profile : {Profile::kCompatCode, Profile::kCompatDoc, Profile::kHardened, Profile::kFaithfulBugs}) {
    for (size_t cut : {1, 3, 48, 50, 1000, 1 << 20}) {
      SessionPair pair(profile);
      ASSERT_TRUE(pair.Exchange(cut).ok());
      EXPECT_EQ(pair.a.remote(), B().device);
      EXPECT_EQ(pair.b.remote(), A().device);
      pair.at_a.messages.clear(), pair.at_b.messages.clear();
      const std::string body(70000, 'x');
      pair.a.Send(ChunkData{.start = 5, .end = 70005, .payload = AsBytes(body)}, pair.to_b);
      pair.a.Send(Leave{A().device}, pair.to_b);
      pair.b.Send(Nack{.start = 1, .end = 2}, pair.to_a);
      ASSERT_TRUE(pair.Exchange(cut).ok());
      ASSERT_EQ(pair.at_b.messages.size(), 2u);
      EXPECT_EQ(AsText(std::get<ChunkData>(pair.at_b.messages[0]).payload), body);
      EXPECT_EQ(std::get<Leave>(pair.at_b.messages[1]).device, A().device);
      ASSERT_EQ(pair.at_a.messages.size(), 1u);
      EXPECT_EQ(std::get<Nack>(pair.at_a.messages[0]).end, 2u);
      EXPECT_EQ(pair.a.opened(), true);
      EXPECT_EQ(pair.b.buffered(), 0u);
    }
  }
}

TEST(SessionTest, AnAcceptorHearsWhichKeyTheOtherSideUsesAndAnswersInKind) {
  for (Profile own : {Profile::kCompatCode, Profile::kCompatDoc}) {
    for (const char* record : {"record_heartbeat_a0", "record_doc_heartbeat_a0"}) {
      const bool doc = std::string(record) == "record_doc_heartbeat_a0";
      One b(Acceptor(own));
      ASSERT_EQ(b.Feed(V("hello_a")), Refusal::kNone);
      EXPECT_TRUE(b.news.met);
      EXPECT_FALSE(b.session.ready());  // It does not guess.
      b.news.write.clear();
      ASSERT_EQ(b.Feed(V(record)), Refusal::kNone);
      EXPECT_TRUE(b.session.ready() && b.session.opened());
      EXPECT_EQ(b.session.dialect(), doc ? Dialect::kDoc : Dialect::kCode);
      // What it says now opens with that key.
      Direction there(Array(Vectors()[doc ? "key_doc" : "key_code"]), false);
      std::string plain(b.news.write.size() - 20, '\0');
      EXPECT_TRUE(there.Open(AsBytes(b.news.write).subspan(4), reinterpret_cast<uint8_t*>(plain.data())));
    }
  }
}

TEST(SessionTest, AConnectorBeginsWithTheKeyOfItsProfileUnlessItKnowsBetter) {
  auto first = [](Profile profile, std::optional<Dialect> dialect) {
    Session::Config config = SessionPair::Of(profile, true);
    config.dialect = dialect;
    One a(config);
    a.news.write.clear();
    EXPECT_EQ(a.Feed(V("hello_b")), Refusal::kNone);
    return Hex(a.news.write);
  };
  const std::string code = Vectors()["record_heartbeat_a0"], doc = Vectors()["record_doc_heartbeat_a0"];
  EXPECT_EQ(first(Profile::kCompatCode, std::nullopt), code);
  EXPECT_EQ(first(Profile::kCompatDoc, std::nullopt), doc);
  EXPECT_EQ(first(Profile::kCompatCode, Dialect::kDoc), doc);
  EXPECT_EQ(first(Profile::kCompatDoc, Dialect::kCode), code);
}

TEST(SessionTest, AConnectorThatGuessedWrongLearnsTheDialectFromTheAnswer) {
  Session::Config config = SessionPair::Of(Profile::kCompatCode, true);
  config.own = B();
  One b(config);
  ASSERT_EQ(b.Feed(V("hello_a") + V("record_doc_heartbeat_a0")), Refusal::kNone);
  EXPECT_EQ(b.session.dialect(), Dialect::kDoc);
}

TEST(SessionTest, CompatibilityReusesKeyAndNonceAndHardenedDoesNot) {
  // Two-time pad: with the same key and nonce both ways, ciphertexts differ exactly where the plaintexts do.
  auto differ = [](Profile profile) {
    SessionPair pair(profile);
    std::string a0, b0;
    (void)pair.b.OnBytes(AsBytes(pair.to_b), pair.at_b);
    (void)pair.a.OnBytes(AsBytes(pair.at_b.write), pair.at_a);
    a0 = pair.at_a.write, pair.at_b.write.clear();
    if (a0.empty()) pair.a.Send(Heartbeat{A().device}, a0);
    (void)pair.b.OnBytes(AsBytes(a0), pair.at_b);
    b0 = pair.at_b.write;
    if (b0.empty()) pair.b.Send(Heartbeat{B().device}, b0);
    std::string out;
    for (size_t i = 4; i < a0.size() - 16; ++i) out.push_back(char(a0[i] ^ b0[i]));
    return out;
  };
  std::string ids(16, '\0');
  for (size_t i = 0; i < 16; ++i) ids.push_back(char(A().device[i] ^ B().device[i]));
  EXPECT_EQ(Hex(differ(Profile::kCompatCode)), Hex(ids));
  EXPECT_EQ(Hex(differ(Profile::kFaithfulBugs)), Hex(ids));
  EXPECT_NE(Hex(differ(Profile::kHardened)), Hex(ids));
}

TEST(SessionTest, RefusalsAreNamed) {
  const std::string hello = V("hello_a"), beat = V("record_heartbeat_a0");
  std::string two = hello;
  two[0] = 2;
  EXPECT_EQ(One(Acceptor(Profile::kCompatCode)).Feed(two.substr(0, 1)), Refusal::kVersion);
  EXPECT_EQ(One(Acceptor(Profile::kHardened)).Feed(hello.substr(0, 1)), Refusal::kVersion);
  EXPECT_EQ(One(Acceptor(Profile::kCompatCode)).Feed(V("hello_b")), Refusal::kOwnId);
  Session::Config dialled = SessionPair::Of(Profile::kCompatCode, true);
  dialled.own = B(), dialled.expected = DeviceId{7};
  EXPECT_EQ(One(dialled).Feed(hello), Refusal::kUnexpectedId);

  std::string altered = beat;
  altered[30] ^= 1;
  EXPECT_EQ(One(Acceptor(Profile::kCompatCode)).Feed(hello + altered), Refusal::kUndecipherable);
  EXPECT_EQ(One(Acceptor(Profile::kCompatCode)).Feed(hello + *FromHex("01000001")), Refusal::kOversize);  // 16 MiB + 1.
  EXPECT_EQ(One(Acceptor(Profile::kCompatCode)).Feed(hello + *FromHex("00000001")), Refusal::kNone);      // 16 MiB.
  EXPECT_EQ(One(Acceptor(Profile::kCompatCode)).Feed(hello + *FromHex("13000000")), Refusal::kUndersize);
  EXPECT_EQ(One(Acceptor(Profile::kCompatCode)).Feed(hello + beat + beat), Refusal::kUndecipherable);     // A replay.

  std::string frame = Frame(Join{A().device}), record;
  frame[0] = 29;
  Direction(Array(Vectors()["key_code"]), false).Seal(AsBytes(frame), record);
  EXPECT_EQ(One(Acceptor(Profile::kCompatCode)).Feed(hello + record), Refusal::kNoFrame);

  One cut(Acceptor(Profile::kCompatCode));
  cut.Feed(hello + beat.substr(0, 20));
  EXPECT_FALSE(cut.session.OnEnd().ok());
  EXPECT_EQ(cut.session.refusal(), Refusal::kTruncated);
  One whole(Acceptor(Profile::kCompatCode));
  whole.Feed(hello + beat);
  EXPECT_TRUE(whole.session.OnEnd().ok());
}

TEST(SessionTest, APublicKeyOfSmallOrderIsRefusedExceptByTheOriginal) {
  const std::string zero = V("hello_a").substr(0, 17) + std::string(32, '\0');
  EXPECT_EQ(One(Acceptor(Profile::kCompatCode)).Feed(zero), Refusal::kZeroSecret);
  EXPECT_EQ(One(Acceptor(Profile::kFaithfulBugs)).Feed(zero), Refusal::kNone);
  // Version 2: the static key hashes to its id, so only the ephemeral one can be a trick.
  const std::string tricked = Raw(Vectors()["v2"]["hello_a"]).substr(0, 49) + std::string(32, '\0');
  EXPECT_EQ(One(Acceptor(Profile::kHardened)).Feed(tricked), Refusal::kZeroSecret);
}

TEST(SessionTest, AnIdThatIsNotTheHashOfTheKeyIsToldInVersionOneAndRefusedInTwo) {
  std::string posing = V("hello_a");
  posing[5] ^= 1;
  One compat(Acceptor(Profile::kCompatCode));
  EXPECT_EQ(compat.Feed(posing), Refusal::kNone);
  EXPECT_FALSE(compat.session.remote_id_bound());
  posing = Raw(Vectors()["v2"]["hello_a"]), posing[5] ^= 1;
  EXPECT_EQ(One(Acceptor(Profile::kHardened)).Feed(posing), Refusal::kUnboundId);
}

TEST(SessionTest, AFewUnknownMessagesAreCountedAndManyRefused) {
  One b(Acceptor(Profile::kCompatCode));
  b.Feed(V("hello_a"));
  Direction a(Array(Vectors()["key_code"]), false);
  for (uint32_t i = 0; i <= Session::kNonsenseMax; ++i) {
    EXPECT_EQ(b.session.refusal(), Refusal::kNone);
    std::string record;
    a.Seal(AsBytes(*FromHex("0400000063000000")), record);
    b.Feed(record);
    EXPECT_EQ(b.session.nonsense(), i + 1);
  }
  EXPECT_EQ(b.session.refusal(), Refusal::kNonsense);
}

TEST(HardenedTest, KeysAndRecordsAreTheOnesComputedApart) {
  const json& v2 = Vectors()["v2"];
  for (const json& v : v2["sessions"]) {
    const std::string hello_a = Raw(v2["hello_a"]), hello_b = Raw(v2["hello_b"]);
    const Identity ea = Identity::FromSecret(Array(v2["ephemeral_a"])), eb = Identity::FromSecret(Array(v2["ephemeral_b"]));
    for (bool connector : {true, false}) {
      HardenedInput in{.connector = connector, .own_static = (connector ? A() : B()).secret, .own_ephemeral = (connector ? ea : eb).secret,
                       .remote_static = (connector ? B() : A()).public_key, .remote_ephemeral = (connector ? eb : ea).public_key,
                       .connector_hello = AsBytes(hello_a), .acceptor_hello = AsBytes(hello_b)};
      if (!v["pod_secret"].is_null()) in.pod_secret = Array(v["pod_secret"]);
      const auto keys = DeriveHardened(in);
      ASSERT_TRUE(keys.has_value());
      EXPECT_EQ(keys->forth, Array(v["forth"]));
      EXPECT_EQ(keys->back, Array(v["back"]));
    }
    Direction forth(Array(v["forth"]), true);
    std::string record;
    forth.Seal(AsBytes(Frame(Heartbeat{A().device})), record);
    EXPECT_EQ(Hex(record), v["record_a0"].get<std::string>());
    while (forth.records() < Direction::kRekeyRecords) record.clear(), forth.Seal({}, record);
    record.clear();
    forth.Seal(AsBytes(Frame(Heartbeat{A().device})), record);
    EXPECT_EQ(Hex(record), v["record_a65536"].get<std::string>());
  }
}

TEST(HardenedTest, TwoConnectionsOfTheSameTwoMembersShareNoKey) {
  SessionPair one(Profile::kHardened), two(Profile::kHardened);
  two.box.rng = Rng::Named(2, "other", "");
  SessionPair fresh(Session::Config(SessionPair::Of(Profile::kHardened, true)), SessionPair::Of(Profile::kHardened, false));
  ASSERT_TRUE(one.Exchange().ok());
  // A's records of one connection are nothing in another, where A draws anew.
  Session a(SessionPair::Of(Profile::kHardened, true));
  Rng rng = Rng::Named(9, "again", "");
  fresh.to_b = a.Start(rng);
  Session::News news;
  ASSERT_TRUE(fresh.b.OnBytes(AsBytes(fresh.to_b), news).ok());
  std::string replay;
  one.a.Send(Heartbeat{A().device}, replay);
  EXPECT_FALSE(fresh.b.OnBytes(AsBytes(replay), news).ok());
}

TEST(HardenedTest, WithoutThePodsSecretNobodyOpensASession) {
  Session::Config a = SessionPair::Of(Profile::kHardened, true), b = SessionPair::Of(Profile::kHardened, false);
  a.pod_secret = b.pod_secret = Key32{1};
  EXPECT_TRUE(SessionPair(a, b).Exchange().ok());
  a.pod_secret = std::nullopt;
  SessionPair outsider(a, b);
  EXPECT_FALSE(outsider.Exchange().ok());
  EXPECT_EQ(outsider.b.refusal(), Refusal::kUndecipherable);
}

TEST(HardenedTest, NobodySpeaksForOthers) {
  SessionPair pair(Profile::kHardened);
  ASSERT_TRUE(pair.Exchange().ok());
  pair.at_b.messages.clear();
  pair.a.Send(Leave{B().device}, pair.to_b);
  ASSERT_TRUE(pair.Exchange().ok());
  EXPECT_TRUE(pair.at_b.messages.empty());
  EXPECT_EQ(pair.b.nonsense(), 1u);
}

}  // namespace
}  // namespace orchard::pod
