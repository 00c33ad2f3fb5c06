#include "node/cage_worker/worker.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/btree_map.h"
#include "node/cage_worker/channel.h"
#include "node/cage_worker/sandbox.h"
#include "node/cage_worker/watchdog.h"
#include "node/wasm/cage_host.h"

namespace orchard::cage_worker {
namespace {

class Worker {
 public:
  Worker(std::unique_ptr<wasm::Engine> engine, Progress* progress) : host_(std::move(engine)), progress_(progress), watchdog_(host_.engine()) {}

  int Loop() {
    char buffer[64 << 10];
    for (;;) {
      const ssize_t n = read(kChannelFd, buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return n == 0 ? 0 : 1;
      reader_.Feed({buffer, size_t(n)});
      for (;;) {
        auto frame = reader_.Next();
        if (!frame.ok()) return 2;
        if (!frame->has_value()) break;
        progress_->begun = progress_->begun + 1;
        // Sent at once, though together would be cheaper: what is next may take its whole time, or the process along with it.
        if (!Do(**frame)) return 2;
        if (!Send()) return 1;
      }
    }
  }

 private:
  void Answer(const Frame& to, absl::StatusCode status, std::string_view payload, cage::Cause cause = cage::Cause::kNone) {
    Append(out_, {to.word, to.tag, status, cause, payload});
  }
  bool Send() {
    for (size_t at = 0; at < out_.size();) {
      const ssize_t n = write(kChannelFd, out_.data() + at, out_.size() - at);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      at += size_t(n);
    }
    out_.clear();
    return true;
  }

  // False: it makes no sense.
  bool Do(const Frame& f) {
    switch (f.word) {
      case Word::kLoad: case Word::kKeep: return Load(f);
      case Word::kSpawn: {
        const auto args = cage::Decode<cage::SpawnArgs>(AsBytes(f.payload));
        if (!args.ok()) return false;
        watchdog_.Begin(args->limits.timeout_ms);
        const absl::Status s = host_.Spawn(*args);
        watchdog_.Finish();
        if (s.ok()) timeouts_[args->cage] = args->limits.timeout_ms;
        Answer(f, s.code(), std::string_view(s.message().data(), s.message().size()));
        return true;
      }
      case Word::kRun: {
        const auto args = cage::Decode<cage::RunArgs>(AsBytes(f.payload));
        if (!args.ok()) return false;
        if (!host_.alive(args->cage)) {
          Answer(f, absl::StatusCode::kAborted, "");
          return true;
        }
        watchdog_.Begin(timeouts_[args->cage]);
        const cage::RunResult result = host_.Run(*args);
        watchdog_.Finish();
        if (result.cause != cage::Cause::kNone) timeouts_.erase(args->cage);
        Answer(f, absl::StatusCode::kOk, cage::Encode(result), result.cause);
        return true;
      }
      case Word::kStop: {
        const auto args = cage::Decode<cage::StopArgs>(AsBytes(f.payload));
        if (!args.ok()) return false;
        host_.Stop(args->cage), timeouts_.erase(args->cage);
        Answer(f, absl::StatusCode::kOk, "");
        return true;
      }
      case Word::kFiles: case Word::kForget: {
        Key32 hash{};
        if (f.payload.size() < hash.size()) return false;
        std::copy_n(f.payload.begin(), hash.size(), hash.begin());
        if (f.word == Word::kForget) {
          host_.ForgetFiles(hash);
          Answer(f, absl::StatusCode::kOk, "");
          return true;
        }
        const absl::Status s = host_.KeepFiles(hash, f.payload.substr(hash.size()));
        Answer(f, s.code(), std::string_view(s.message().data(), s.message().size()));
        return true;
      }
    }
    return false;
  }

  bool Load(const Frame& f) {
    auto args = cage::Decode<cage::LoadArgs>(AsBytes(f.payload));
    if (!args.ok()) return false;
    absl::StatusOr<cage::LoadResult> result;
    if (f.word == Word::kKeep) {
      const auto hash = FromHex(args->name);
      Key32 module{};
      if (!hash.has_value() || hash->size() != module.size()) return false;
      std::copy(hash->begin(), hash->end(), module.begin());
      result = host_.Keep(module, std::move(args->bytes), args->limits);
    } else {
      result = host_.Load(*args);
    }
    if (!result.ok()) {
      Answer(f, result.status().code(), std::string(result.status().message()));
      return true;
    }
    const std::string encoded = cage::Encode(*result);
    if (f.word == Word::kKeep) {
      Answer(f, absl::StatusCode::kOk, encoded);
      return true;
    }
    std::string payload;
    for (int i = 0; i < 4; ++i) payload += char(encoded.size() >> (8 * i));
    payload += encoded;
    payload += *host_.metered(result->module);
    Answer(f, absl::StatusCode::kOk, payload);
    return true;
  }

  wasm::CageHost host_;
  Progress* const progress_;
  Watchdog watchdog_;
  FrameReader reader_;
  std::string out_;
  absl::btree_map<uint32_t, uint64_t> timeouts_;
};

}  // namespace

int Serve(bool interpreter) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "orchard-cage");
  void* shared = mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED, kProgressFd, 0);
  if (shared == MAP_FAILED) return 3;
  // The engine's library, and what it wants to know of the machine, are had while there are files.
  Worker worker(interpreter ? wasm::MakeInterpreter() : wasm::MakeEngine(), static_cast<Progress*>(shared));
  if (!EnterSandbox(kChannelFd).ok()) return 4;
  return worker.Loop();
}

}  // namespace orchard::cage_worker
