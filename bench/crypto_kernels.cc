// Handshakes and encrypted streams, each beside the bare libsodium calls that it cannot do without. Timed only: under callgrind
// they would take minutes.

#include <sodium.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/kernels.h"
#include "node/base/check.h"
#include "node/crypto/noise.h"
#include "node/protomux/mux.h"
#include "node/secret_stream/secret_stream.h"
#include "node/store/mem_store.h"

namespace orchard::bench {
namespace {

constexpr size_t kMessage = 65536;
constexpr size_t kPacket = 1400;  // What a stream delivers at a time.

crypto::NoiseConfig Side(bool initiator) {
  static const crypto::KeyPair kCaller = crypto::KeyPairFromSeed(Key32{1}), kCalled = crypto::KeyPairFromSeed(Key32{2});
  crypto::NoiseConfig config{.pattern = crypto::NoisePattern::kIk, .initiator = initiator, .key = initiator ? kCaller : kCalled,
                             .ephemeral_seed = Key32{uint8_t(initiator ? 3 : 4)}};
  if (initiator) config.remote_key = kCalled.public_key;
  return config;
}

void NoiseIk(size_t rounds) {
  for (size_t i = 0; i < rounds; ++i) {
    crypto::NoiseHandshake caller(Side(true)), called(Side(false));
    CHECK(called.Receive(AsBytes(*caller.Send({}))).ok());
    CHECK(caller.Receive(AsBytes(*called.Send({}))).ok());
    CHECK(caller.keys().tx == called.keys().rx);
  }
}

// Either side: its ephemeral key pair, and four Diffie-Hellmans.
void NoiseIkBare(size_t rounds) {
  const crypto::NoiseConfig caller = Side(true);
  uint8_t public_key[32], secret_key[64], shared[32];
  Key32 scalar = caller.key.public_key;
  scalar[0] &= 248, scalar[31] = uint8_t((scalar[31] & 127) | 64);
  for (size_t i = 0; i < rounds; ++i) {
    for (int k = 0; k < 2; ++k) crypto_sign_seed_keypair(public_key, secret_key, caller.ephemeral_seed.data());
    for (int k = 0; k < 8; ++k) CHECK_EQ(crypto_scalarmult_ed25519_noclamp(shared, scalar.data(), public_key), 0);
  }
}

// Both ends of an open stream.
struct Ends {
  Rng rng = Rng::Named(1, "bench", "stream");
  MemStore store;
  Outbox out;
  Trace trace{nullptr, nullptr};
  Turn turn{Instant{}, {}, rng, store, out, trace};
  std::unique_ptr<secret_stream::SecretStream> a, b;
  Ends() {
    crypto::SessionKeys forth, back;
    forth.tx = back.rx = Key32{1}, forth.rx = back.tx = Key32{2};
    a = std::make_unique<secret_stream::SecretStream>(forth, true, secret_stream::Options());
    b = std::make_unique<secret_stream::SecretStream>(back, false, secret_stream::Options());
    secret_stream::News news;
    b->Start(turn);
    CHECK(b->OnBytes(turn, AsBytes(a->Start(turn)), news).ok());
  }
  // Sends one message over; `read` is called with what arrives.
  template <class F>
  void Carry(Bytes message, F read) {
    std::string raw;
    a->Push(turn, message, raw);
    size_t arrived = 0;
    for (Bytes rest = AsBytes(raw); !rest.empty(); rest.remove_prefix(std::min(kPacket, rest.size()))) {
      secret_stream::News news;
      CHECK(b->OnBytes(turn, rest.subspan(0, kPacket), news).ok());
      for (Bytes m : news.messages) read(m), ++arrived;
    }
    CHECK_EQ(arrived, 1u);
  }
};

void SecretStream64k(size_t rounds) {
  Ends ends;
  const std::string message(kMessage, 'm');
  for (size_t i = 0; i < rounds; ++i) {
    ends.Carry(AsBytes(message), [](Bytes m) { CHECK_EQ(m.size(), kMessage); });
  }
}

void SecretStream64kBare(size_t rounds) {
  crypto_secretstream_xchacha20poly1305_state push, pull;
  const Key32 key{1};
  const std::vector<uint8_t> header(crypto_secretstream_xchacha20poly1305_HEADERBYTES, 5), message(kMessage, 'm');
  std::vector<uint8_t> sealed(kMessage + crypto_secretstream_xchacha20poly1305_ABYTES), plain(kMessage);
  crypto_secretstream_xchacha20poly1305_init_pull(&push, header.data(), key.data());
  crypto_secretstream_xchacha20poly1305_init_pull(&pull, header.data(), key.data());
  uint8_t tag;
  for (size_t i = 0; i < rounds; ++i) {
    crypto_secretstream_xchacha20poly1305_push(&push, sealed.data(), nullptr, message.data(), message.size(), nullptr, 0, 0);
    CHECK_EQ(crypto_secretstream_xchacha20poly1305_pull(&pull, plain.data(), nullptr, &tag, sealed.data(), sealed.size(), nullptr, 0), 0);
  }
}

void Protomux64k(size_t rounds) {
  Ends ends;
  protomux::Mux a, b;
  protomux::News news;
  protomux::Out from_a, from_b;
  const auto channel = a.Open({.protocol = "bench"}, news, from_a);
  CHECK(b.Open({.protocol = "bench"}, news, from_b).has_value() && channel.has_value());
  CHECK(b.OnMessage(AsBytes(from_a[0]), news, from_b).ok() && a.OnMessage(AsBytes(from_b[0]), news, from_a).ok());
  const std::string message(kMessage, 'm');
  for (size_t i = 0; i < rounds; ++i) {
    protomux::Out out;
    a.Send(*channel, 0, AsBytes(message), out);
    news.list.clear();
    ends.Carry(AsBytes(out[0]), [&](Bytes m) {
      CHECK(b.OnMessage(m, news, from_b).ok());
      b.EndTurn(from_b);
    });
    CHECK_EQ(news.list.size(), 1u);
  }
}

constexpr Kernel kKernels[] = {
    {"noise_ik", "a Noise IK handshake, both sides", NoiseIk},
    {"noise_ik_bare", "its curve arithmetic by libsodium alone", NoiseIkBare},
    {"secret_stream_64k", "64 KiB sealed, framed, read in packets and opened", SecretStream64k},
    {"secret_stream_64k_bare", "the same sealed and opened by libsodium alone", SecretStream64kBare},
    {"protomux_64k", "64 KiB through a channel and the encrypted stream", Protomux64k},
};

}  // namespace

absl::Span<const Kernel> TimedKernels() { return kKernels; }

}  // namespace orchard::bench
