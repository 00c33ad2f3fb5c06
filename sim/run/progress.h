// What the terminal shows: one line rewritten, or on a pipe a line every five seconds of wall time; then the table of claims,
// failed ones last, so that they stay on the screen.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "sim/language/json_text.h"
#include "sim/run/runner_case.h"

namespace orchard::sim {

enum class Show : uint8_t { kTerminal, kPipe, kQuiet, kJson };

// "▕███▎      ▏", `width` cells, `done` of `whole`.
std::string Bar(int64_t done, int64_t whole, size_t width);
// ` 1:43 of 5:00 simulated ▕…▏  62 × real …`, and the line of claims.
std::vector<std::string> ProgressLines(const CaseProgress& p, std::string_view label, int64_t wall_ms, bool bar);

// The table of one result.json: a line per claim, the failed ones last with their reasons.
std::string ClaimTable(const Json& result, bool colour);
// One line per case.
std::string CaseTable(const Json& result, bool colour);
std::string Coloured(std::string_view verdict, std::string_view text, bool colour);

class Screen {
 public:
  explicit Screen(Show show) : show_(show), began_(Clock::now()), last_(began_) {}
  Show show() const { return show_; }
  bool colour() const;
  // Shows the state of a run; throttles itself.
  void Progress(const CaseProgress& p, std::string_view label);
  // The same in lines of the caller's; `data` is what --json shows.
  void Progress(const std::vector<std::string>& lines, const Json& data);
  // Text that stays (not when quiet or JSON).
  void Say(const std::string& text);
  // One object a line with --json: {"tag":…,"data":…}.
  void Tell(std::string_view tag, const Json& data);
  // The last line: also when quiet.
  void Last(const std::string& text);
  int64_t wall_ms() const { return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  void Clear();
  bool Due();
  Show show_;
  Clock::time_point began_, last_;
  size_t drawn_ = 0;  // Lines of progress that are on the screen.
};

}  // namespace orchard::sim
