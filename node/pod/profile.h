// How a node speaks and behaves: pod.profile. docs/PEAPOD.md has the bytes.
#pragma once

#include <cstdint>

namespace orchard::pod {

enum class Profile : uint8_t {
  kCompatCode,    // The bytes of pea-linux 0.1.0, our behaviour.
  kCompatDoc,     // The bytes of the original's documents: another session key. Either hears the other (docs/PEAPOD.md §3).
  kHardened,      // Version 2: no known weakness, and no peer but ours.
  kFaithfulBugs,  // The bytes of kCompatCode and the behaviour of the original, to show what it does.
};

constexpr bool IsCompat(Profile p) { return p == Profile::kCompatCode || p == Profile::kCompatDoc; }

// For the log, once per life, unless the profile is hardened.
inline constexpr char kCompatWarning[] =
    "PeaPod v1 compatibility: both directions of a session reuse key and nonce, so whoever listens can read and forge; a "
    "peer's id is not bound to its key. Use pod.profile hardened where every member runs Orchard.";

}  // namespace orchard::pod
