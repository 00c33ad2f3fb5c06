#include "node/pod/messages.h"

#include <algorithm>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/base/status_macros.h"
#include "node/crypto/hash.h"
#include "node/wire/bincode.h"

namespace orchard::pod {
namespace {

using wire::BincodeReader;
using wire::BincodeWriter;

// The number of a message is its place in the list (a Rust enum).
template <class T>
constexpr uint32_t kNumber = uint32_t(Message(std::in_place_type<T>).index());

// An id or key is written as a slice: length, then bytes.
template <size_t N>
std::array<uint8_t, N> Fixed(BincodeReader& r, Bytes bytes) {
  std::array<uint8_t, N> out{};
  if (bytes.size() == N) std::copy(bytes.begin(), bytes.end(), out.begin());
  else r.Fail("a key or an id of another length");
  return out;
}
DeviceId Device(BincodeReader& r) { return Fixed<16>(r, r.Slice()); }

template <class T>
T ReadAnnouncement(BincodeReader& r) {
  T a;
  a.version = r.U8(), a.device = Device(r), a.public_key = Fixed<32>(r, r.Slice()), a.listen_port = r.U16();
  return a;
}

template <class T>
T ReadRange(BincodeReader& r) {
  T m;
  m.transfer = Fixed<16>(r, r.Take(16)), m.start = r.U64(), m.end = r.U64();
  if (m.end < m.start) r.Fail("a range that ends before it starts");
  return m;
}

// PROTOCOL.md knows no url; bincode would refuse what it describes. Both have version 1, so both are read.
void ReadUrl(BincodeReader& r, ChunkRequest& m) {
  if (r.remaining() == 0 || !r.Some()) return;
  const Bytes url = r.Slice();
  if (url.size() > kUrlMax || !IsPrintableUtf8(url)) r.Fail("a url that is no text");
  else m.url = AsText(url);
  if (!r.ok() || r.remaining() == 0) return;
  BincodeReader rest(r.Take(r.remaining()));
  const Bytes validator = rest.Some() ? rest.Slice() : Bytes();
  if (rest.ok() && !validator.empty() && validator.size() <= kValidatorMax && IsPrintableUtf8(validator)) m.validator = AsText(validator);
}

// The head of RelayData and its kin.
template <class T>
T ReadRelay(BincodeReader& r) {
  T m;
  m.relay = RelayId{r.U32()};
  const uint8_t opener = r.U8();
  if (opener > 1) r.Fail("neither of a relay's two sides");
  m.opener = opener == 1;
  return m;
}

RelayOpen ReadRelayOpen(BincodeReader& r) {
  RelayOpen m{.relay = RelayId{r.U32()}, .port = r.U16()};
  const Bytes host = r.Slice();
  if (host.empty() || host.size() > kRelayHostMax || !IsPrintableUtf8(host)) r.Fail("a host that is no name");
  else m.host = AsText(host);
  return m;
}

RelayData ReadRelayData(BincodeReader& r) {
  RelayData m = ReadRelay<RelayData>(r);
  m.payload = r.Slice();
  if (m.payload.empty() || m.payload.size() > kRelayPieceMax) r.Fail("a piece of a relay that is empty or too long");
  return m;
}

RelayCredit ReadRelayCredit(BincodeReader& r) {
  RelayCredit m = ReadRelay<RelayCredit>(r);
  m.bytes = r.U32();
  if (m.bytes == 0 || m.bytes > kRelayWindow) r.Fail("credit of nothing, or of more than a window");
  return m;
}

RelayClose ReadRelayClose(BincodeReader& r) {
  RelayClose m = ReadRelay<RelayClose>(r);
  const uint8_t why = r.U8();
  m.why = why < uint8_t(RelayEnding::kLost) ? RelayEnding(why) : RelayEnding::kBroken;  // A newer peer may have other reasons.
  return m;
}

struct Writer {
  BincodeWriter& w;
  void operator()(const Announcement& a) { w.U8(a.version), w.Slice(a.device), w.Slice(a.public_key), w.U16(a.listen_port); }
  void operator()(const Join& m) { w.Slice(m.device); }
  void operator()(const Leave& m) { w.Slice(m.device); }
  void operator()(const Heartbeat& m) { w.Slice(m.device); }
  void operator()(const ChunkRequest& m) {
    Range(m), w.U8(m.url.has_value());
    if (m.url.has_value()) w.Slice(AsBytes(*m.url));
    if (m.validator.has_value()) w.U8(1), w.Slice(AsBytes(*m.validator));
  }
  void operator()(const ChunkData& m) { Range(m), w.Raw(m.hash), w.Slice(m.payload); }
  void operator()(const Nack& m) { Range(m); }
  void operator()(const RelayOpen& m) { w.U32(uint32_t(m.relay)), w.U16(m.port), w.Slice(AsBytes(m.host)); }
  void operator()(const RelayOpened& m) { w.U32(uint32_t(m.relay)); }
  void operator()(const RelayData& m) { Relay(m), w.Slice(m.payload); }
  void operator()(const RelayCredit& m) { Relay(m), w.U32(m.bytes); }
  void operator()(const RelayEnd& m) { Relay(m); }
  void operator()(const RelayClose& m) { Relay(m), w.U8(uint8_t(m.why)); }
  template <class T>
  void Relay(const T& m) { w.U32(uint32_t(m.relay)), w.U8(m.opener); }
  template <class T>
  void Range(const T& m) { w.Raw(m.transfer), w.U64(m.start), w.U64(m.end); }
};

size_t PayloadBytes(const Message& message) {
  struct Size {
    size_t operator()(const Announcement&) { return 67; }
    size_t operator()(const Join&) { return 24; }
    size_t operator()(const Leave&) { return 24; }
    size_t operator()(const Heartbeat&) { return 24; }
    size_t operator()(const ChunkRequest& m) { return 33 + (m.url.has_value() ? 8 + m.url->size() : 0) + (m.validator.has_value() ? 9 + m.validator->size() : 0); }
    size_t operator()(const ChunkData& m) { return 72 + m.payload.size(); }
    size_t operator()(const Nack&) { return 32; }
    size_t operator()(const RelayOpen& m) { return 14 + m.host.size(); }
    size_t operator()(const RelayOpened&) { return 4; }
    size_t operator()(const RelayData& m) { return 13 + m.payload.size(); }
    size_t operator()(const RelayCredit&) { return 9; }
    size_t operator()(const RelayEnd&) { return 5; }
    size_t operator()(const RelayClose&) { return 6; }
  };
  return 4 + std::visit(Size(), message);
}

std::string Mac(Bytes payload, const Key32& secret) {
  const Key32 whole = crypto::KeyedBlake2b256(secret, payload);
  return std::string(AsText(Bytes(whole).subspan(0, kBeaconMacBytes)));
}
// Takes as long wherever the two differ.
bool SameMac(Bytes a, const std::string& b) {
  uint8_t difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) difference |= uint8_t(a[i] ^ uint8_t(b[i]));
  return difference == 0;
}

}  // namespace

size_t FrameBytes(const Message& message) { return 4 + PayloadBytes(message); }

void AppendFrame(const Message& message, std::string& out) {
  const size_t payload = PayloadBytes(message), at = out.size();
  CHECK_LE(payload, kFrameMax);
  out.reserve(at + 4 + payload);
  BincodeWriter w(out);
  w.U32(uint32_t(payload)), w.U32(uint32_t(message.index()));
  std::visit(Writer{w}, message);
  CHECK_EQ(out.size(), at + 4 + payload);
}

std::string Frame(const Message& message) {
  std::string out;
  AppendFrame(message, out);
  return out;
}

absl::StatusOr<Message> ReadMessage(Bytes payload) {
  BincodeReader r(payload);
  const uint32_t number = r.U32();
  RETURN_IF_ERROR(r.status());
  Message m;
  switch (number) {
    case kNumber<Beacon>: m = ReadAnnouncement<Beacon>(r); break;
    case kNumber<DiscoveryResponse>: m = ReadAnnouncement<DiscoveryResponse>(r); break;
    case kNumber<Join>: m = Join{Device(r)}; break;
    case kNumber<Leave>: m = Leave{Device(r)}; break;
    case kNumber<Heartbeat>: m = Heartbeat{Device(r)}; break;
    case kNumber<ChunkRequest>: {
      ChunkRequest request = ReadRange<ChunkRequest>(r);
      ReadUrl(r, request);
      m = request;
      break;
    }
    case kNumber<ChunkData>: {
      ChunkData data = ReadRange<ChunkData>(r);
      data.hash = Fixed<32>(r, r.Take(32)), data.payload = r.Slice();
      m = data;
      break;
    }
    case kNumber<Nack>: m = ReadRange<Nack>(r); break;
    case kNumber<RelayOpen>: m = ReadRelayOpen(r); break;
    case kNumber<RelayOpened>: m = RelayOpened{RelayId{r.U32()}}; break;
    case kNumber<RelayData>: m = ReadRelayData(r); break;
    case kNumber<RelayCredit>: m = ReadRelayCredit(r); break;
    case kNumber<RelayEnd>: m = ReadRelay<RelayEnd>(r); break;
    case kNumber<RelayClose>: m = ReadRelayClose(r); break;
    default: return absl::InvalidArgumentError(absl::StrCat("peapod: there is no message ", number));
  }
  RETURN_IF_ERROR(r.status());
  return m;
}

std::string BeaconDatagram(const Message& beacon, const Key32* pod_secret) {
  std::string out = Frame(beacon);
  if (pod_secret == nullptr) return out;
  out += Mac(AsBytes(out).subspan(4), *pod_secret);
  out[0] = char(uint8_t(out[0]) + kBeaconMacBytes);  // 71 becomes 87.
  return out;
}

absl::StatusOr<ReadBeacon> ReadBeaconDatagram(Bytes datagram, uint8_t version, const Key32* pod_secret) {
  BincodeReader r(datagram);
  const uint32_t length = r.U32();
  if (!r.ok() || length > r.remaining()) return absl::InvalidArgumentError("peapod: a datagram that holds no whole frame");
  const Bytes payload = datagram.subspan(4, length);
  ASSIGN_OR_RETURN(const Message message, ReadMessage(payload));
  ReadBeacon out;
  if (const auto* b = std::get_if<Beacon>(&message)) out.announcement = *b;
  else if (const auto* d = std::get_if<DiscoveryResponse>(&message)) out.announcement = *d, out.response = true;
  else return absl::InvalidArgumentError("peapod: a datagram that is no beacon");
  if (out.announcement.version != version) {
    return absl::FailedPreconditionError(absl::StrCat("peapod: a beacon of version ", +out.announcement.version));
  }
  const size_t told = FrameBytes(message) - 4;
  out.proved = version == kHardenedVersion && payload.size() == told + kBeaconMacBytes;
  if (pod_secret == nullptr) return out;
  if (!SameMac(payload.subspan(told), Mac(payload.subspan(0, told), *pod_secret))) {
    return absl::UnauthenticatedError("peapod: a beacon without the pod's secret");
  }
  return out;
}

}  // namespace orchard::pod
