// What a daemon and its worker processes say to each other: frames of a length (u32), a word, a tag (u32), a status, a cause and a
// payload, little-endian. An answer has the word and the tag of what asked for it, and answers come in the order of the asking.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "node/cage/job.h"

namespace orchard::cage_worker {

enum class Word : uint8_t {
  kLoad,   // LoadArgs → a size (u32), LoadResult of that size, the metered module; or a text.
  kKeep,   // LoadArgs: the hash in hex as name, the metered module as bytes → LoadResult, or a text.
  kSpawn,  // SpawnArgs → nothing, or a text.
  kRun,    // RunArgs → RunResult.
  kStop,   // StopArgs → nothing.
  kFiles,  // A hash (32 bytes), files as EncodeFiles writes them → nothing, or a text.
  kForget, // The hash of files that no cage will be made with → nothing.
};

struct Frame {
  Word word = Word::kLoad;
  uint32_t tag = 0;
  absl::StatusCode status = absl::StatusCode::kOk;
  cage::Cause cause = cage::Cause::kNone;  // Of a run: whether its cage lives on, without a look into the payload.
  std::string_view payload;
};

// Metered modules are up to three times as long as they were.
inline constexpr size_t kFrameBytesMax = 4 * cage::kModuleBytesMax;

void Append(std::string& out, const Frame& frame);

class FrameReader {
 public:
  void Feed(std::string_view bytes) { buffer_.append(bytes); }
  // The next, whose payload is valid until the next Feed; nothing yet; kInvalidArgument: no such frame can be.
  absl::StatusOr<std::optional<Frame>> Next();

 private:
  std::string buffer_;
  size_t at_ = 0;
};

// Written by the worker, in memory that both see: how many frames it has begun with. What it had not begun when it died may be
// done again, whatever it is. The number is as credible as the worker.
struct Progress {
  volatile uint64_t begun = 0;
};

// Descriptors of the worker's at its start.
inline constexpr int kChannelFd = 3, kProgressFd = 4;

}  // namespace orchard::cage_worker
