// What is known of one uplink of the pod, ours or a peer's: how fast, how far, what is under way there, how often it failed.
// Integers alone: bytes, bytes per second, nanoseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "node/base/time.h"
#include "node/pod/messages.h"

namespace orchard::pod {

enum class WorkerId : uint32_t {};  // Counted up, never reused.
enum class FetchId : uint32_t {};
inline constexpr WorkerId kOwnWan{0};

// The time that `bytes` take at `rate` bytes per second.
inline Duration TimeFor(uint64_t bytes, uint64_t rate) {
  return Duration(int64_t(static_cast<unsigned __int128>(bytes) * 1'000'000'000u / (rate == 0 ? 1 : rate)));
}

// The bytes that come in `time` at `rate` bytes per second.
inline uint64_t InTime(Duration time, uint64_t rate) {
  return uint64_t(static_cast<unsigned __int128>(rate) * uint64_t(time.count()) / 1'000'000'000u);
}

// A request under way.
struct Fetching {
  enum class Why : uint8_t { kChunk, kProbe, kCheck, kAudit, kVouch };
  FetchId id{};
  WorkerId worker{};
  TransferId transfer{};
  Why why = Why::kChunk;
  bool wanted = true;            // False: somebody else was faster, but a peer cannot be told; it comes all the same.
  uint64_t index = 0;            // Of the chunk.
  uint64_t start = 0, end = 0;
  uint64_t peer_chunks = 0;      // Of its transfer, that had come when it was sent.
  uint64_t got = 0, ahead = 0;   // Bytes of it that came; bytes under way at this worker when it was sent.
  Instant sent{}, expected = kNever;
  uint64_t bytes() const { return end - start; }
};

class Worker {
 public:
  static constexpr size_t kPipeMax = 64;                // Requests under way at one worker.
  static constexpr uint64_t kPipeBytesMax = 4u << 20;   // 100 ms at 320 Mb/s.
  static constexpr uint64_t kOpening = 8;               // Chunks of a connection's beginning.
  static constexpr Duration kMemory = std::chrono::milliseconds(300);       // Of the averages.
  static constexpr Duration kSampleMin = std::chrono::milliseconds(10);
  static constexpr Duration kQueueSeen = std::chrono::milliseconds(10);
  static constexpr uint32_t kRoomy = 4;
  static constexpr Duration kMargin = std::chrono::milliseconds(10);
  static constexpr Duration kQuietMin = std::chrono::milliseconds(20);
  static constexpr uint64_t kSideBySide = 4;            // Requests that a worker may begin at once after a lull, and end together.
  static constexpr Duration kFirstPatience = std::chrono::seconds(1);       // With a worker that never delivered.

  explicit Worker(WorkerId id, std::optional<DeviceId> device) : id_(id), device_(device) {}

  WorkerId id() const { return id_; }
  const std::optional<DeviceId>& device() const { return device_; }  // None: our own WAN.

  // ---- Requests, in the order sent ----
  void OnSent(Fetching& fetch, Instant now);
  // `bytes` more of `fetch` came. Call OnGone too once it is whole.
  void OnBytes(Fetching& fetch, uint64_t bytes, Instant now);
  void OnGone(const Fetching& fetch, Instant now);
  const std::vector<Fetching*>& pipe() const { return pipe_; }
  uint64_t pipe_bytes() const { return pipe_bytes_; }  // Still to come.

  // ---- Estimates ----
  bool known() const { return rate_ > 0; }
  uint64_t rate() const { return rate_; }
  Duration rtt() const { return rtt_; }
  uint64_t served() const { return served_; }
  // Its last requests did not wait behind what was under way: more would go through.
  bool roomy() const { return roomy_ >= kRoomy; }
  // The bytes that keep it busy: its bandwidth-delay product, and a chunk; of our own WAN a little, and what `extra` says.
  uint64_t target(uint64_t chunk_bytes) const;
  // When what is sent now, `more` bytes behind what is under way, would have come; an unknown worker is taken for `assumed`.
  Instant Eta(uint64_t more, Instant now, uint64_t assumed) const;
  // It owes us something and is quiet for so long that it is taken for dead, until a byte comes: when that begins; kNever if it
  // owes nothing. Requests may be worked on side by side and end together, so none is missed by itself: what counts is how long
  // after one request's end the next one's has come until now, its mean and four deviations, as of TCP's round trips (RFC 6298).
  Instant overdue_at() const;
  bool suspect = false;
  uint64_t extra = 0;                // Requests beyond what a round trip needs; see depth.h.

  // ---- Trust and life ----
  uint32_t failures = 0;             // In a row.
  Instant isolated_until{};          // Before this it gets nothing; Instant{}: it is not isolated.
  uint64_t weight = 1;
  Instant heard{}, last_sent{};

 private:
  void Reckon(Instant now);
  void Beat(Instant now);
  void Sample(uint64_t bytes, Instant now);
  void LearnRoundTrip(const Fetching& fetch, uint64_t bytes, Duration took);

  WorkerId id_;
  std::optional<DeviceId> device_;
  std::vector<Fetching*> pipe_;      // Owned by the core.
  uint64_t pipe_bytes_ = 0, served_ = 0;
  uint64_t rate_ = 0;
  bool measured_ = false;            // By an interval between two arrivals; before that rate_ is a first guess.
  bool rtt_known_ = false;
  Duration rtt_{}, first_took_{};
  uint64_t first_bytes_ = 0;
  uint32_t roomy_ = 0;               // Requests in a row.
  Instant clock_ = kNever;           // Since when sample_ counts; kNever: from the next arrival on.
  uint64_t sample_ = 0;
  Instant arrived_{};                // The last byte.
  Instant ended_ = kNever;           // The last request that was whole, while more were under way.
  Duration beat_{}, beat_off_{};     // From one end to the next: mean and deviation; zero until one is known.
  Instant free_at_{};                // When all that is under way should have come.
};

}  // namespace orchard::pod
