// One TCP connection between two members: hello each way, then sealed records of one message each. docs/PEAPOD.md §2 to §4.
//
// The parent owns the stream: it feeds what arrives to OnBytes, writes what the session asks for, and drops both when a call
// fails. The connector speaks first, at once; so an acceptor of version 1 hears which of the two keys the other side
// uses before it must seal anything, and one of version 2 knows that the other side is there and no replay.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "node/base/turn.h"
#include "node/pod/keys.h"
#include "node/pod/messages.h"
#include "node/pod/profile.h"

namespace orchard::pod {

enum class Refusal : uint8_t {
  kNone,
  kVersion,         // Another version of the protocol.
  kUnboundId,       // Its id is not the hash of its key (hardened).
  kOwnId,           // It is ourselves.
  kUnexpectedId,    // Not whom we dialled.
  kZeroSecret,      // A public key of small order.
  kOversize,        // A record longer than the limit.
  kUndersize,       // A record too short for a tag.
  kUndecipherable,  // A record that is not the other side's next one; of version 2 also: another pod secret.
  kNoFrame,         // A record whose frame does not fill it.
  kNonsense,        // Genuine records without a message that we know, too many of them.
  kTruncated,       // The stream ended within a hello or a record.
};
std::string_view RefusalName(Refusal refusal);

class Session {
 public:
  static constexpr size_t kHelloBytes = 49;
  static constexpr size_t kHardenedHelloBytes = 81;
  static constexpr uint32_t kNonsenseMax = 16;  // A newer peer may send a few messages that we do not know.

  struct Config {
    Profile profile = Profile::kCompatCode;
    bool connector = false;
    Identity own;
    std::optional<Key32> pod_secret;     // Hardened only.
    std::optional<DeviceId> expected;    // Whom we dialled, if that was said.
    // Version 1, connector: which key to begin with, if this peer was seen to speak another than the profile says.
    std::optional<Dialect> dialect;
    size_t record_max = kFrameMax;       // Bytes of ciphertext.
  };

  // What a call told. The messages stay valid as long as this lives: until the turn ends.
  struct News {
    std::string write;              // For the stream, now.
    bool met = false;               // The hellos are exchanged: remote() is who it says it is.
    bool opened = false;            // Its first genuine record came.
    std::vector<Message> messages;
    std::vector<std::unique_ptr<uint8_t[]>> kept;
  };

  explicit Session(Config config);
  Session(Session&&) noexcept;
  ~Session();

  // Once, first. Returns what the stream must begin with: the hello, or nothing for an acceptor.
  std::string Start(Rng& rng);
  // The next bytes of the stream, cut anywhere. An error is final; refusal() names it. News before it are genuine.
  absl::Status OnBytes(Bytes raw, News& news);
  // The stream's end: fine only between records.
  absl::Status OnEnd();
  // Appends the record of `message` to `out`. Only while ready().
  void Send(const Message& message, std::string& out);

  bool ready() const { return ready_; }
  bool opened() const { return opened_; }
  Refusal refusal() const { return refusal_; }
  // Once met.
  const DeviceId& remote() const { return remote_; }
  const Key32& remote_key() const { return remote_key_; }
  // False: a version 1 peer whose id is not the hash of its key. To be told, not trusted.
  bool remote_id_bound() const { return DeviceOf(remote_key_) == remote_; }
  // Tells the key that we seal with from others, and nothing else of it. Once met.
  std::array<uint8_t, 8> send_key_id() const { return send_.key_id(); }
  Dialect dialect() const { return dialect_; }   // Once opened it is the other side's.
  uint32_t nonsense() const { return nonsense_; }
  size_t buffered() const { return body_capacity_; }
  // Of a record that is coming: how much came and how long it is. It shows the progress of a chunk.
  size_t record_so_far() const { return body_size_; }
  size_t record_length() const { return length_bytes_ == 4 ? length_ : 0; }

 private:
  struct Setup;  // What the handshake needs.

  size_t hello_bytes() const { return profile_ == Profile::kHardened ? kHardenedHelloBytes : kHelloBytes; }
  std::string Hello() const;
  absl::Status OnHello(News& news);
  absl::Status AgreeOnKeys(Bytes hello);
  absl::Status CheckLength();
  void TakeBody(Bytes part);
  absl::Status OnRecord(Bytes sealed, uint8_t* plain, News& news);
  bool OpenFirst(Bytes sealed, uint8_t* plain);
  void OnMessage(Bytes payload, News& news);
  absl::Status Refuse(Refusal why);

  Profile profile_;
  bool connector_;
  bool met_ = false, ready_ = false, opened_ = false;
  Refusal refusal_ = Refusal::kNone;
  Dialect dialect_;
  uint8_t length_bytes_ = 0;         // Of length_ that have come.
  uint32_t length_ = 0;              // Of the record that is coming.
  uint32_t nonsense_ = 0;
  size_t record_max_;
  size_t body_size_ = 0, body_capacity_ = 0;
  std::unique_ptr<uint8_t[]> body_;  // Its bytes so far, unless it lay whole in what came.
  std::unique_ptr<Setup> setup_;     // Gone once opened.
  DeviceId own_, remote_{};
  Key32 remote_key_{};
  Direction send_, receive_;
};

}  // namespace orchard::pod
