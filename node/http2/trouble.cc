#include "node/http2/trouble.h"

namespace orchard::http2 {

std::string_view NameOf(Trouble trouble) {
  switch (trouble) {
    case Trouble::kNone: return "none";
    case Trouble::kNotHttp2: return "not-http2";
    case Trouble::kProtocol: return "protocol-error";
    case Trouble::kRapidReset: return "rapid-reset";
    case Trouble::kIdleFrames: return "idle-frames";
    case Trouble::kWindowUpdates: return "window-updates";
    case Trouble::kContinuations: return "continuations";
    case Trouble::kHeadTooLarge: return "head-too-large";
    case Trouble::kSlowHead: return "slow-head";
    case Trouble::kNotReading: return "not-reading";
    case Trouble::kMemory: return "memory";
  }
  return "unknown";
}

}  // namespace orchard::http2
