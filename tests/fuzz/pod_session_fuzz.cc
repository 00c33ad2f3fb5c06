// PeaPod's wire: frames and beacons that read back write back; a session survives any stranger, and two of ours survive any
// cut of the stream between them.
#include <algorithm>
#include <string>

#include "node/base/check.h"
#include "node/pod/session.h"

namespace {

using namespace orchard;
using namespace orchard::pod;

constexpr Profile kProfiles[] = {Profile::kCompatCode, Profile::kCompatDoc, Profile::kHardened, Profile::kFaithfulBugs};

Identity Member(uint8_t first) {
  crypto::Secret<32> secret;
  secret[1] = first;  // X25519 ignores the lowest bits of the first byte.
  return Identity::FromSecret(secret);
}

void Frames(Bytes bytes) {
  if (const auto message = ReadMessage(bytes); message.ok()) {
    const std::string frame = Frame(*message);
    CHECK_EQ(frame.size(), FrameBytes(*message));
    const auto again = ReadMessage(AsBytes(frame).subspan(4));
    CHECK(again.ok() && Frame(*again) == frame);
  }
  const Key32 secret{1};
  for (const Key32* s : {static_cast<const Key32*>(nullptr), &secret}) {
    for (uint8_t version : {kVersion, kHardenedVersion}) (void)ReadBeaconDatagram(bytes, version, s);
  }
}

void Stranger(Profile profile, bool connector, Bytes bytes) {
  Session session({.profile = profile, .connector = connector, .own = Member(1)});
  Rng rng(Key32{});
  session.Start(rng);
  while (!bytes.empty()) {
    const Bytes part = bytes.subspan(0, 1 + bytes[0] % 64);
    bytes.remove_prefix(part.size());
    Session::News news;
    if (!session.OnBytes(part, news).ok()) {
      CHECK(session.refusal() != Refusal::kNone);
      return;
    }
    CHECK_LE(session.buffered(), 4 * (size_t{1} << 14));  // Four times what fits into an input, and the first buffer.
  }
  (void)session.OnEnd();
}

// A's plaintexts are the script's; whatever they are, and wherever they are cut, both live or B names why not.
void Conversation(Profile profile, Bytes script) {
  Session a({.profile = profile, .connector = true, .own = Member(1)}), b({.profile = profile, .own = Member(2)});
  Rng rng(Key32{});
  std::string to_b = a.Start(rng), to_a = b.Start(rng);
  size_t sent = 0, got = 0;
  auto deliver = [&](Session& to, std::string& bytes, std::string& back, size_t cut) {
    const std::string part = bytes.substr(0, cut);
    bytes.erase(0, part.size());
    Session::News news;
    CHECK(to.OnBytes(AsBytes(part), news).ok());
    for (const Message& m : news.messages) got += std::holds_alternative<Nack>(m);
    back += news.write;
  };
  while (!script.empty()) {
    const uint8_t op = script[0];
    script.remove_prefix(1);
    if (op % 4 == 0 && a.ready()) a.Send(Nack{.start = op, .end = 255}, to_b), ++sent;
    if (op % 4 == 1 && b.ready()) b.Send(Nack{.start = op, .end = 255}, to_a), ++sent;
    if (op % 4 == 2) deliver(a, to_a, to_b, op / 4);
    if (op % 4 == 3) deliver(b, to_b, to_a, op / 4);
  }
  while (!to_a.empty() || !to_b.empty()) deliver(a, to_a, to_b, 1 << 20), deliver(b, to_b, to_a, 1 << 20);
  CHECK_EQ(sent, got);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const Bytes rest(data + 1, size - 1);
  const Profile profile = kProfiles[data[0] / 4 % 4];
  switch (data[0] % 4) {
    case 0: Frames(rest); break;
    case 1: Stranger(profile, true, rest); break;
    case 2: Stranger(profile, false, rest); break;
    case 3: Conversation(profile, rest); break;
  }
  return 0;
}
