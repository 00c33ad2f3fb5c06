// An encrypted stream of messages over a raw ordered byte stream (UDX, TCP). Every message is one frame: its length in three
// bytes, then what crypto::Secretstream makes of it. The first frame of either side is a header that proves it knows the keys.
//
// The keys come from elsewhere (hyperdht's Noise IK), or from a Noise XX handshake of its own, in frames before the header.
// The parent owns the raw stream: it feeds what arrives to OnBytes and writes what the stream asks for; when the raw stream
// ends, or any call fails, it drops the SecretStream. Open and idle it is less than 400 bytes, and no heap.
// Source: npm @hyperswarm/secret-stream 6.9.2 index.js.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "node/base/turn.h"
#include "node/crypto/noise.h"
#include "node/crypto/secretstream.h"

namespace orchard::secret_stream {

// What a call told. The messages stay valid as long as this lives: until the turn ends.
struct News {
  std::vector<Bytes> messages;
  std::string write;  // For the raw stream, now: keep-alives, and the handshake's answers.
  std::vector<std::unique_ptr<uint8_t[]>> kept;
};

struct Options {
  // An empty message whenever nothing was written for so long; zero: never. The other side is then taken to do the same:
  // its empty messages are not told.
  Duration keep_alive{};
  // The stream fails when no byte has come for so long; zero: never.
  Duration receive_timeout{};
};

// All that a stream draws in its life.
struct Draws {
  Key32 ephemeral_seed;                   // Of the handshake; unused if the keys are known.
  crypto::Secretstream::Header header;
  std::array<uint8_t, 8> counter;         // Unordered messages count from here.
  static Draws From(Rng& rng);
};

class SecretStream {
 public:
  static constexpr size_t kOverhead = 3 + crypto::Secretstream::kOverhead;                       // Of a message on the wire: 20.
  static constexpr size_t kMessageMax = (1u << 24) - 1 - crypto::Secretstream::kOverhead;        // A length has three bytes.
  static constexpr size_t kHeaderFrame = 3 + 32 + sizeof(crypto::Secretstream::Header);          // 59.
  static constexpr size_t kUnorderedOverhead = 24;                                               // A counter and a MAC.

  SecretStream(const crypto::SessionKeys& keys, bool initiator, const Options& options);
  // Keys to be agreed on: `own` is our static key pair.
  SecretStream(const crypto::KeyPair& own, bool initiator, const Options& options);
  SecretStream(SecretStream&&) noexcept;
  ~SecretStream();

  // Once, first. Returns what the raw stream must begin with: the header frame; or the handshake's first message, which is
  // nothing for a responder. `draws` is an argument of its own for replays of recorded streams.
  std::string Start(Turn& turn) { return Start(turn.now, Draws::From(turn.rng)); }
  std::string Start(Instant now, const Draws& draws);

  // Appends one message, sealed and framed, to `out`. At most kMessageMax bytes; only while ready().
  void Push(Turn& turn, Bytes message, std::string& out);
  // The next bytes of the raw stream, cut anywhere. An error is final: what came is not the other side of this stream. News
  // of whole frames before the error are genuine.
  absl::Status OnBytes(Turn& turn, Bytes raw, News& news);
  // kDeadlineExceeded, which is final too, if the receive timeout passed.
  absl::Status OnTime(Turn& turn, News& news);
  // Moves in Start, OnTime and the two setters, and when a handshake ends; never in Push, so a busy stream need not be
  // indexed anew. It may therefore be early: OnTime then does nothing but move it.
  Instant next_deadline() const;

  // Zero: never, which is right once our half has ended.
  void SetKeepAlive(Instant now, Duration interval);
  void SetReceiveTimeout(Instant now, Duration timeout);

  // Unordered messages, for packets that may be lost, doubled or swapped (UDX MESSAGE). Only while ready().
  void Seal(Bytes message, std::string& out);
  // Nothing if `packet` is not a genuine one: that is no error. A replay is genuine.
  std::optional<Bytes> Open(Bytes packet, News& news) const;

  // The keys exist: messages may be pushed. From Start on, or from the end of the handshake.
  bool ready() const { return step_ == Step::kHeader || step_ == Step::kOpen; }
  // The other side's header has come and is genuine.
  bool opened() const { return step_ == Step::kOpen; }
  bool failed() const { return step_ == Step::kFailed; }
  bool initiator() const { return initiator_; }
  // Of the other side, and of the session; once ready().
  const crypto::PublicKey& remote_key() const { return remote_key_; }
  const crypto::Hash64& handshake_hash() const { return handshake_hash_; }
  // Bytes held for a frame that has not come whole.
  size_t buffered() const { return body_capacity_; }

 private:
  // What is awaited from the other side.
  enum class Step : uint8_t { kNew, kHandshake, kHeader, kOpen, kFailed };
  struct Setup;

  std::string MakeReady(Instant now);
  absl::Status Read(Turn& turn, Bytes raw, News& news);
  absl::Status CheckLength() const;
  void TakeBody(Bytes part);
  absl::Status OnFrame(Turn& turn, Bytes frame, uint8_t* plain, News& news);
  absl::Status OnHandshake(Turn& turn, Bytes frame, News& news);
  absl::Status OnHeader(Bytes frame);
  absl::Status Fail(absl::Status why);

  bool initiator_;
  Step step_ = Step::kNew;
  bool tells_empty_ = true;
  uint8_t length_bytes_ = 0;          // Of length_ that have come.
  uint32_t length_ = 0;               // Of the frame that is coming.
  uint32_t body_size_ = 0, body_capacity_ = 0;
  std::unique_ptr<uint8_t[]> body_;   // Its bytes so far, unless it lay whole in what came.
  std::unique_ptr<Setup> setup_;      // Gone once opened.
  Duration keep_alive_, receive_timeout_;
  Instant last_written_{}, last_read_{}, keep_alive_at_ = kNever, timeout_at_ = kNever;
  crypto::PublicKey remote_key_{};
  crypto::Hash64 handshake_hash_{};
  std::optional<crypto::Secretstream> push_, pull_;  // Since ready() and opened().
  crypto::Secret<32> seal_key_, open_key_;
  std::array<uint8_t, 8> counter_{};
};

}  // namespace orchard::secret_stream
