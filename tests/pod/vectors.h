// tests/vectors/peapod.json, and two members made of it.
#pragma once

#include "node/pod/session.h"
#include "node/base/status_macros.h"
#include "tests/hyperdht/vectors.h"
#include "tests/support/bare_turn.h"

namespace orchard::pod {

using hyperdht::Array;
using hyperdht::Hex;
using hyperdht::Raw;
using nlohmann::json;

inline const json& Vectors() {
  static const json* const kVectors = new json(hyperdht::LoadVectors("peapod.json"));
  return *kVectors;
}
inline Identity Member(const char* secret) { return Identity::FromSecret(Array(Vectors()[secret])); }
inline Identity A() { return Member("sk_a"); }
inline Identity B() { return Member("sk_b"); }

// Two ends of a stream, and what each was told.
struct SessionPair {
  BareTurn box;
  Session a, b;
  std::string to_a, to_b;
  Session::News at_a, at_b;

  static Session::Config Of(Profile profile, bool connector) {
    return {.profile = profile, .connector = connector, .own = connector ? A() : B()};
  }
  explicit SessionPair(Profile profile) : SessionPair(Of(profile, true), Of(profile, false)) {}
  SessionPair(Session::Config ca, Session::Config cb) : a(std::move(ca)), b(std::move(cb)) {
    to_b = a.Start(box.turn.rng);
    to_a = b.Start(box.turn.rng);
  }
  // Moves what is under way, `cut` bytes at a time, until all is quiet or one side refuses.
  absl::Status Exchange(size_t cut = 1 << 20) {
    while (!to_a.empty() || !to_b.empty()) {
      RETURN_IF_ERROR(Feed(b, to_b, at_b, cut, to_a));
      RETURN_IF_ERROR(Feed(a, to_a, at_a, cut, to_b));
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Feed(Session& to, std::string& bytes, Session::News& news, size_t cut, std::string& back) {
    const std::string now = bytes.substr(0, cut);
    bytes.erase(0, now.size());
    absl::Status status = to.OnBytes(AsBytes(now), news);
    back += std::exchange(news.write, "");
    return status;
  }
};

}  // namespace orchard::pod
