#include "node/pod/session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/base/status_macros.h"
#include "node/crypto/chacha20poly1305.h"
#include "node/crypto/x25519.h"
#include "node/wire/bincode.h"

namespace orchard::pod {
namespace {

// A record's first buffer; it then grows fourfold, so a peer that promises 16 MiB costs us four times what it sent.
constexpr size_t kFirstBuffer = 16 * 1024;

}  // namespace

std::string_view RefusalName(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone: return "none";
    case Refusal::kVersion: return "version";
    case Refusal::kUnboundId: return "unbound-id";
    case Refusal::kOwnId: return "own-id";
    case Refusal::kUnexpectedId: return "unexpected-id";
    case Refusal::kZeroSecret: return "zero-secret";
    case Refusal::kOversize: return "oversize";
    case Refusal::kUndersize: return "undersize";
    case Refusal::kUndecipherable: return "undecipherable";
    case Refusal::kNoFrame: return "no-frame";
    case Refusal::kNonsense: return "nonsense";
    case Refusal::kTruncated: return "truncated";
  }
  return "";
}

struct Session::Setup {
  Identity own, ephemeral;
  std::optional<Key32> pod_secret;
  std::optional<DeviceId> expected;
  std::string hello, remote_hello;   // As sent; as far as it came.
  crypto::Secret<32> other_key;      // Version 1: of the dialect that we did not take.
};

Session::Session(Config config)
    : profile_(config.profile), connector_(config.connector),
      dialect_(!IsCompat(config.profile) ? Dialect::kCode
                                         : config.dialect.value_or(config.profile == Profile::kCompatDoc ? Dialect::kDoc : Dialect::kCode)),
      record_max_(config.record_max),
      setup_(std::make_unique<Setup>()), own_(config.own.device) {
  CHECK_LE(record_max_, kFrameMax);
  setup_->own = config.own, setup_->pod_secret = config.pod_secret, setup_->expected = config.expected;
}
Session::Session(Session&&) noexcept = default;
Session::~Session() = default;

std::string Session::Start(Rng& rng) {
  CHECK(setup_ != nullptr && setup_->hello.empty());
  if (profile_ == Profile::kHardened) setup_->ephemeral = Identity::Draw(rng);
  setup_->hello = Hello();
  return connector_ ? setup_->hello : "";
}

std::string Session::Hello() const {
  std::string out;
  wire::BincodeWriter w(out);
  const bool hardened = profile_ == Profile::kHardened;
  w.U8(hardened ? kHardenedVersion : kVersion), w.Raw(own_), w.Raw(setup_->own.public_key);
  if (hardened) w.Raw(setup_->ephemeral.public_key);
  CHECK_EQ(out.size(), hello_bytes());
  return out;
}

absl::Status Session::Refuse(Refusal why) {
  refusal_ = why, ready_ = false;
  return absl::InvalidArgumentError(absl::StrCat("peapod session refused: ", std::string(RefusalName(why))));
}

absl::Status Session::OnBytes(Bytes raw, News& news) {
  CHECK(setup_ == nullptr || !setup_->hello.empty());  // Started.
  if (refusal_ != Refusal::kNone) return Refuse(refusal_);
  if (!met_) {
    std::string& hello = setup_->remote_hello;
    const size_t part = std::min(raw.size(), hello_bytes() - hello.size());
    hello.append(AsText(raw.subspan(0, part))), raw.remove_prefix(part);
    // The version comes first, and tells before the rest: hellos of other versions are of other lengths.
    const uint8_t version = profile_ == Profile::kHardened ? kHardenedVersion : kVersion;
    if (!hello.empty() && uint8_t(hello[0]) != version) return Refuse(Refusal::kVersion);
    if (hello.size() < hello_bytes()) return absl::OkStatus();
    RETURN_IF_ERROR(OnHello(news));
  }
  while (!raw.empty()) {
    for (; length_bytes_ < 4 && !raw.empty(); raw.remove_prefix(1)) length_ |= uint32_t{raw[0]} << 8 * length_bytes_++;
    if (length_bytes_ < 4) break;
    RETURN_IF_ERROR(CheckLength());
    const Bytes part = raw.subspan(0, length_ - body_size_);
    raw.remove_prefix(part.size());
    if (part.size() == length_) {
      // A read of a few kilobytes holds many small records, each in a buffer of its own.
      news.kept.push_back(std::make_unique_for_overwrite<uint8_t[]>(length_));
      RETURN_IF_ERROR(OnRecord(part, news.kept.back().get(), news));
    } else {
      TakeBody(part);
      if (body_size_ < length_) break;
      uint8_t* const body = body_.get();
      news.kept.push_back(std::move(body_));
      body_size_ = body_capacity_ = 0;
      RETURN_IF_ERROR(OnRecord(Bytes(body, length_), body, news));
    }
    length_ = length_bytes_ = 0;
  }
  return absl::OkStatus();
}

absl::Status Session::OnEnd() {
  if (refusal_ != Refusal::kNone) return Refuse(refusal_);
  return met_ && length_bytes_ == 0 ? absl::OkStatus() : Refuse(Refusal::kTruncated);
}

absl::Status Session::OnHello(News& news) {
  wire::BincodeReader r(AsBytes(setup_->remote_hello));
  r.U8();
  const Bytes device = r.Take(16), key = r.Take(32);
  std::copy(device.begin(), device.end(), remote_.begin());
  std::copy(key.begin(), key.end(), remote_key_.begin());
  if (profile_ != Profile::kFaithfulBugs) {
    if (profile_ == Profile::kHardened && !remote_id_bound()) return Refuse(Refusal::kUnboundId);
    if (remote_ == own_ || remote_key_ == setup_->own.public_key) return Refuse(Refusal::kOwnId);
    if (setup_->expected.has_value() && *setup_->expected != remote_) return Refuse(Refusal::kUnexpectedId);
  }
  RETURN_IF_ERROR(AgreeOnKeys(r.Take(r.remaining())));
  if (!connector_) news.write += setup_->hello;
  met_ = news.met = true;
  ready_ = connector_ || profile_ == Profile::kFaithfulBugs;
  if (connector_ && profile_ != Profile::kFaithfulBugs) Send(Heartbeat{own_}, news.write);
  return absl::OkStatus();
}

// `ephemeral` is empty in version 1.
absl::Status Session::AgreeOnKeys(Bytes ephemeral) {
  if (profile_ == Profile::kHardened) {
    HardenedInput in{.connector = connector_, .own_static = setup_->own.secret, .own_ephemeral = setup_->ephemeral.secret,
                     .remote_static = remote_key_, .pod_secret = setup_->pod_secret};
    std::copy(ephemeral.begin(), ephemeral.end(), in.remote_ephemeral.begin());
    in.connector_hello = AsBytes(connector_ ? setup_->hello : setup_->remote_hello);
    in.acceptor_hello = AsBytes(connector_ ? setup_->remote_hello : setup_->hello);
    const std::optional<HardenedKeys> keys = DeriveHardened(in);
    if (!keys.has_value()) return Refuse(Refusal::kZeroSecret);
    send_ = Direction(connector_ ? keys->forth : keys->back, true);
    receive_ = Direction(connector_ ? keys->back : keys->forth, true);
    return absl::OkStatus();
  }
  std::optional<crypto::Secret<32>> shared = crypto::X25519(setup_->own.secret, remote_key_);
  if (!shared.has_value()) {
    if (profile_ != Profile::kFaithfulBugs) return Refuse(Refusal::kZeroSecret);
    shared.emplace();  // The original goes on with the zeros that come out.
  }
  const crypto::Secret<32> key = CompatKey(dialect_, *shared);
  setup_->other_key = CompatKey(dialect_ == Dialect::kCode ? Dialect::kDoc : Dialect::kCode, *shared);
  send_ = receive_ = Direction(key, false);
  return absl::OkStatus();
}

absl::Status Session::CheckLength() {
  if (length_ > record_max_) return Refuse(Refusal::kOversize);
  if (length_ < crypto::kAeadTagBytes + 4) return Refuse(Refusal::kUndersize);
  return absl::OkStatus();
}

void Session::TakeBody(Bytes part) {
  const size_t size = body_size_ + part.size();
  if (size > body_capacity_) {
    const size_t capacity = std::min<size_t>(length_, std::max({size, kFirstBuffer, body_capacity_ * 4}));
    auto grown = std::make_unique_for_overwrite<uint8_t[]>(capacity);
    if (body_size_ > 0) std::memcpy(grown.get(), body_.get(), body_size_);
    body_ = std::move(grown), body_capacity_ = capacity;
  }
  if (!part.empty()) std::memcpy(body_.get() + body_size_, part.data(), part.size());
  body_size_ = size;
}

absl::Status Session::OnRecord(Bytes sealed, uint8_t* plain, News& news) {
  if (!opened_) {
    if (!OpenFirst(sealed, plain)) return Refuse(Refusal::kUndecipherable);
    opened_ = news.opened = true;
    setup_.reset();
    if (!ready_) {
      ready_ = true;
      Send(Heartbeat{own_}, news.write);  // So that the connector knows too.
    }
  } else if (!receive_.Open(sealed, plain)) {
    return Refuse(Refusal::kUndecipherable);
  }
  wire::BincodeReader r(Bytes(plain, sealed.size() - crypto::kAeadTagBytes));
  const uint32_t length = r.U32();
  // Version 1 tolerates bytes behind the frame, as the original's decoder does.
  if (length > r.remaining() || (profile_ == Profile::kHardened && length != r.remaining())) return Refuse(Refusal::kNoFrame);
  OnMessage(r.Take(length), news);
  return nonsense_ > kNonsenseMax ? Refuse(Refusal::kNonsense) : absl::OkStatus();
}

// In version 1 the other side may use either key; the first record tells which. An attempt that fails spoils the bytes it was
// given to write to, which may be those of the record: hence the copy.
bool Session::OpenFirst(Bytes sealed, uint8_t* plain) {
  if (!IsCompat(profile_)) return receive_.Open(sealed, plain);
  const std::string copy(AsText(sealed));
  if (receive_.Open(AsBytes(copy), plain)) return true;
  receive_.SetKey(setup_->other_key);
  if (!receive_.Open(AsBytes(copy), plain)) return false;
  send_.SetKey(setup_->other_key);
  dialect_ = dialect_ == Dialect::kCode ? Dialect::kDoc : Dialect::kCode;
  return true;
}

void Session::OnMessage(Bytes payload, News& news) {
  absl::StatusOr<Message> message = ReadMessage(payload);
  bool good = message.ok();
  // The original knows eight messages; what else comes in version 1 is as odd as it is to it.
  if (good && profile_ != Profile::kHardened) good = !IsExtension(*message);
  if (good && profile_ == Profile::kHardened) {
    // Nobody speaks for others.
    for (const DeviceId* told : {std::get_if<Join>(&*message) ? &std::get<Join>(*message).device : nullptr,
                                 std::get_if<Leave>(&*message) ? &std::get<Leave>(*message).device : nullptr,
                                 std::get_if<Heartbeat>(&*message) ? &std::get<Heartbeat>(*message).device : nullptr}) {
      good = good && (told == nullptr || *told == remote_);
    }
  }
  if (good) news.messages.push_back(*std::move(message));
  else ++nonsense_;
}

void Session::Send(const Message& message, std::string& out) {
  CHECK(ready_);
  send_.Seal(AsBytes(Frame(message)), out);
}

}  // namespace orchard::pod
