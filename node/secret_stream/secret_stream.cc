#include "node/secret_stream/secret_stream.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/base/status_macros.h"
#include "node/crypto/hash.h"

namespace orchard::secret_stream {

using crypto::Secretstream;

namespace {

constexpr size_t kHeaderBody = SecretStream::kHeaderFrame - 3;
// A frame's first buffer; it then grows fourfold, up to the frame's length. So a peer that promises 16 MiB costs us at most
// 16 KiB or four times what it sent, and a 64 KiB frame is moved once.
constexpr size_t kFirstBuffer = 16 * 1024;

struct Namespaces {
  Key32 initiator = crypto::Namespace("hyperswarm/secret-stream", 0);
  Key32 responder = crypto::Namespace("hyperswarm/secret-stream", 1);
  Key32 send = crypto::Namespace("hyperswarm/secret-stream", 2);
  const Key32& of(bool is_initiator) const { return is_initiator ? initiator : responder; }
};
const Namespaces& Names() {
  static const Namespaces kNames;
  return kNames;
}

Key32 StreamId(const crypto::Hash64& hash, bool of_initiator) { return crypto::KeyedBlake2b256(hash, Names().of(of_initiator)); }

crypto::Secret<32> UnorderedKey(const crypto::Hash64& hash, bool of_initiator) {
  std::array<uint8_t, 64> name;
  std::copy_n(Names().of(of_initiator).begin(), 32, name.begin()), std::copy_n(Names().send.begin(), 32, name.begin() + 32);
  return crypto::KeyedBlake2b256(hash, name);
}

void AppendLength(size_t length, std::string& out) {
  const char bytes[3] = {char(length), char(length >> 8), char(length >> 16)};
  out.append(bytes, 3);
}

std::string Framed(std::string_view body) {
  std::string out;
  out.reserve(3 + body.size());
  AppendLength(body.size(), out), out.append(body);
  return out;
}

std::array<uint8_t, crypto_secretbox_NONCEBYTES> Nonce(Bytes counter) {
  std::array<uint8_t, crypto_secretbox_NONCEBYTES> nonce{};
  std::copy_n(counter.begin(), 8, nonce.begin());
  return nonce;
}

}  // namespace

// What is needed until the stream is open.
struct SecretStream::Setup {
  crypto::SessionKeys keys;              // Given, or what the handshake yielded.
  std::optional<crypto::KeyPair> own;    // If there is a handshake to make.
  Draws draws{};
  std::optional<crypto::NoiseHandshake> noise;

  ~Setup() {
    if (own.has_value()) crypto::Wipe(absl::MakeSpan(own->secret_key));
    crypto::Wipe(absl::MakeSpan(draws.ephemeral_seed));
  }
};

Draws Draws::From(Rng& rng) {
  Draws d;
  rng.Fill(absl::MakeSpan(d.ephemeral_seed)), rng.Fill(absl::MakeSpan(d.header)), rng.Fill(absl::MakeSpan(d.counter));
  return d;
}

SecretStream::SecretStream(const crypto::SessionKeys& keys, bool initiator, const Options& options)
    : initiator_(initiator), setup_(std::make_unique<Setup>()), keep_alive_(options.keep_alive),
      receive_timeout_(options.receive_timeout) {
  setup_->keys = keys;
}

SecretStream::SecretStream(const crypto::KeyPair& own, bool initiator, const Options& options)
    : SecretStream(crypto::SessionKeys(), initiator, options) {
  setup_->own = own;
}

SecretStream::SecretStream(SecretStream&&) noexcept = default;
SecretStream::~SecretStream() = default;

std::string SecretStream::Start(Instant now, const Draws& draws) {
  CHECK(step_ == Step::kNew);
  setup_->draws = draws;
  SetReceiveTimeout(now, receive_timeout_);
  if (!setup_->own.has_value()) return MakeReady(now);
  step_ = Step::kHandshake;
  setup_->noise.emplace(crypto::NoiseConfig{.pattern = crypto::NoisePattern::kXx, .initiator = initiator_, .key = *setup_->own,
                                            .ephemeral_seed = draws.ephemeral_seed});
  if (!initiator_) return "";
  absl::StatusOr<std::string> first = setup_->noise->Send({});
  CHECK(first.ok());  // It is nothing but our own key.
  return Framed(*first);
}

// Sent at once, without waiting for the other side's.
std::string SecretStream::MakeReady(Instant now) {
  const crypto::SessionKeys& keys = setup_->keys;
  step_ = Step::kHeader;
  remote_key_ = keys.remote_key, handshake_hash_ = keys.handshake_hash;
  push_.emplace(keys.tx, setup_->draws.header);
  seal_key_ = UnorderedKey(handshake_hash_, initiator_), open_key_ = UnorderedKey(handshake_hash_, !initiator_);
  counter_ = setup_->draws.counter;
  last_written_ = now;
  SetKeepAlive(now, keep_alive_);

  std::string frame;
  frame.reserve(kHeaderFrame);
  AppendLength(kHeaderBody, frame);
  frame.append(AsText(StreamId(handshake_hash_, initiator_))), frame.append(AsText(setup_->draws.header));
  return frame;
}

void SecretStream::Push(Turn& turn, Bytes message, std::string& out) {
  CHECK(ready());
  CHECK_LE(message.size(), kMessageMax);
  AppendLength(message.size() + Secretstream::kOverhead, out);
  push_->Push(message, out);
  last_written_ = turn.now;
}

absl::Status SecretStream::OnBytes(Turn& turn, Bytes raw, News& news) {
  CHECK(step_ != Step::kNew);
  if (failed()) return absl::FailedPreconditionError("secret-stream: it has failed");
  last_read_ = turn.now;
  absl::Status status = Read(turn, raw, news);
  return status.ok() ? status : Fail(std::move(status));
}

absl::Status SecretStream::Read(Turn& turn, Bytes raw, News& news) {
  uint8_t* room = nullptr;  // One buffer for the messages of all frames that lie whole in `raw`.
  while (!raw.empty()) {
    for (; length_bytes_ < 3 && !raw.empty(); raw.remove_prefix(1)) length_ |= uint32_t{raw[0]} << 8 * length_bytes_++;
    if (length_bytes_ < 3) break;
    RETURN_IF_ERROR(CheckLength());
    const size_t part = std::min<size_t>(raw.size(), length_ - body_size_);
    const Bytes bytes = raw.subspan(0, part);
    raw.remove_prefix(part);

    if (part == length_) {
      const size_t plain = opened() ? length_ - Secretstream::kOverhead : 0;
      if (plain > 0 && room == nullptr) {
        news.kept.push_back(std::make_unique_for_overwrite<uint8_t[]>(part + raw.size()));
        room = news.kept.back().get();
      }
      RETURN_IF_ERROR(OnFrame(turn, bytes, room, news));
      room = plain > 0 ? room + plain : room;
    } else {
      TakeBody(bytes);
      if (body_size_ < length_) break;
      // The buffer becomes the message: it is opened where it lies.
      uint8_t* const body = body_.get();
      news.kept.push_back(std::move(body_));
      body_size_ = body_capacity_ = 0;
      RETURN_IF_ERROR(OnFrame(turn, Bytes(body, length_), body + 1, news));
    }
    length_ = length_bytes_ = 0;
  }
  return absl::OkStatus();
}

// What a frame of the coming kind may measure; so nothing is kept for one that cannot be genuine.
absl::Status SecretStream::CheckLength() const {
  const bool good = step_ == Step::kHandshake ? length_ > 0 && length_ <= crypto::NoiseHandshake::kMessageMax
                    : step_ == Step::kHeader  ? length_ == kHeaderBody
                                              : length_ >= Secretstream::kOverhead;
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("secret-stream: a frame of ", length_, " bytes"));
}

void SecretStream::TakeBody(Bytes part) {
  const size_t size = body_size_ + part.size();
  if (size > body_capacity_) {
    const size_t capacity = std::min<size_t>(length_, std::max({size, kFirstBuffer, size_t{body_capacity_} * 4}));
    auto grown = std::make_unique_for_overwrite<uint8_t[]>(capacity);
    if (body_size_ > 0) std::memcpy(grown.get(), body_.get(), body_size_);
    body_ = std::move(grown), body_capacity_ = uint32_t(capacity);
  }
  if (!part.empty()) std::memcpy(body_.get() + body_size_, part.data(), part.size());
  body_size_ = uint32_t(size);
}

// `plain` has room for a data frame's message.
absl::Status SecretStream::OnFrame(Turn& turn, Bytes frame, uint8_t* plain, News& news) {
  if (step_ == Step::kHandshake) return OnHandshake(turn, frame, news);
  if (step_ == Step::kHeader) return OnHeader(frame);
  uint8_t none;
  if (!pull_->Pull(frame, plain == nullptr ? &none : plain)) {
    return absl::UnauthenticatedError("secret-stream: a message that is not the other side's next");
  }
  const Bytes message(plain, frame.size() - Secretstream::kOverhead);
  if (!message.empty() || tells_empty_) news.messages.push_back(message);
  return absl::OkStatus();
}

absl::Status SecretStream::OnHandshake(Turn& turn, Bytes frame, News& news) {
  crypto::NoiseHandshake& noise = *setup_->noise;
  RETURN_IF_ERROR(noise.Receive(frame).status());  // Nobody puts payloads in.
  if (!noise.complete()) {
    ASSIGN_OR_RETURN(std::string answer, noise.Send({}));
    news.write += Framed(answer);
  }
  if (!noise.complete()) return absl::OkStatus();
  setup_->keys = noise.keys();
  setup_->noise.reset();
  news.write += MakeReady(turn.now);
  return absl::OkStatus();
}

absl::Status SecretStream::OnHeader(Bytes frame) {
  if (frame.subspan(0, 32) != Bytes(StreamId(handshake_hash_, !initiator_))) {
    return absl::UnauthenticatedError("secret-stream: the header of another stream");
  }
  Secretstream::Header header;
  std::copy_n(frame.begin() + 32, header.size(), header.begin());
  pull_.emplace(setup_->keys.rx, header);
  setup_.reset();
  step_ = Step::kOpen;
  return absl::OkStatus();
}

absl::Status SecretStream::Fail(absl::Status why) {
  step_ = Step::kFailed;
  keep_alive_at_ = timeout_at_ = kNever;
  setup_.reset(), body_.reset();
  body_size_ = body_capacity_ = 0;
  return why;
}

// The two deadlines are left behind by what is written and read; once due they catch up.
absl::Status SecretStream::OnTime(Turn& turn, News& news) {
  if (timeout_at_ <= turn.now) {
    timeout_at_ = last_read_ + receive_timeout_;
    if (timeout_at_ <= turn.now) return Fail(absl::DeadlineExceededError("secret-stream: nothing came for too long"));
  }
  if (keep_alive_at_ <= turn.now) {
    if (last_written_ + keep_alive_ <= turn.now) Push(turn, {}, news.write);
    keep_alive_at_ = last_written_ + keep_alive_;
  }
  return absl::OkStatus();
}

Instant SecretStream::next_deadline() const { return std::min(keep_alive_at_, timeout_at_); }

void SecretStream::SetKeepAlive(Instant now, Duration interval) {
  CHECK_GE(interval.count(), 0);
  keep_alive_ = interval;
  if (interval.count() > 0) tells_empty_ = false;  // Also after it is switched off, as in JavaScript.
  last_written_ = now;
  keep_alive_at_ = ready() && interval.count() > 0 ? now + interval : kNever;
}

void SecretStream::SetReceiveTimeout(Instant now, Duration timeout) {
  CHECK_GE(timeout.count(), 0);
  receive_timeout_ = timeout;
  last_read_ = now;
  timeout_at_ = !failed() && timeout.count() > 0 ? now + timeout : kNever;
}

void SecretStream::Seal(Bytes message, std::string& out) {
  CHECK(ready());
  sodium_increment(counter_.data(), counter_.size());  // 2^64 of them are not sent in a life.
  out.append(AsText(counter_));
  const size_t at = out.size();
  out.resize(at + crypto_secretbox_MACBYTES + message.size());
  crypto_secretbox_easy(reinterpret_cast<uint8_t*>(out.data()) + at, message.data(), message.size(), Nonce(counter_).data(), seal_key_.data());
}

std::optional<Bytes> SecretStream::Open(Bytes packet, News& news) const {
  if (!ready() || packet.size() < kUnorderedOverhead) return std::nullopt;
  const size_t size = packet.size() - kUnorderedOverhead;
  auto plain = std::make_unique_for_overwrite<uint8_t[]>(size);
  const Bytes sealed = packet.subspan(8);
  if (crypto_secretbox_open_easy(plain.get(), sealed.data(), sealed.size(), Nonce(packet.subspan(0, 8)).data(), open_key_.data()) != 0) {
    return std::nullopt;
  }
  news.kept.push_back(std::move(plain));
  return Bytes(news.kept.back().get(), size);
}

}  // namespace orchard::secret_stream
