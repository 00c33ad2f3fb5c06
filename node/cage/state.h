// What a cage goes through. A slot is one of a site's replicas: a cage that died is followed in it by another, with a new id.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace orchard::cage {

enum class State : uint8_t {
  kInit,   // Being made, or not yet seen to answer.
  kRun,    // Gets requests.
  kCrash,  // Died; another follows, unless the slot was given up.
  kTerm,   // Finishes its runs, and gets no more.
  kStop,   // Over.
};

inline std::string_view StateName(State s) {
  static constexpr std::string_view kNames[] = {"INIT", "RUN", "CRASH", "TERM", "STOP"};
  return kNames[size_t(s)];
}

// The legal moves. From kCrash and kStop a slot begins anew, as kInit of the next cage.
inline constexpr std::array<std::pair<State, State>, 9> kMoves = {{
    {State::kInit, State::kRun}, {State::kInit, State::kCrash}, {State::kInit, State::kTerm},
    {State::kRun, State::kCrash}, {State::kRun, State::kTerm},
    {State::kTerm, State::kStop},
    {State::kCrash, State::kInit}, {State::kCrash, State::kStop},
    {State::kStop, State::kInit},
}};
constexpr bool Legal(State from, State to) {
  for (const auto& [f, t] : kMoves) {
    if (f == from && t == to) return true;
  }
  return false;
}

}  // namespace orchard::cage
