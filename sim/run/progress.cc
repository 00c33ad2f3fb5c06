#include "sim/run/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "sim/language/metrics_table.h"
#include "sim/run/result.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

std::string TextOf(const Json& j, std::string_view key) {
  const Json* v = j.Find(key);
  return v == nullptr || !v->is_text() ? "" : v->text;
}
int64_t MicroOf(const Json& j, std::string_view key) {
  const Json* v = j.Find(key);
  return v == nullptr ? 0 : v->Micro().value_or(0);
}

// "p95 3.1 s of 8 s, count 57 of 54"
std::string SeenText(const Json& claim) {
  const Json* bounds = claim.Find("bounds");
  std::string out;
  std::vector<std::string> said;
  if (bounds != nullptr) {
    for (const Json& b : bounds->items) {
      const Json* observed = b.Find("observed");
      std::string unit = TextOf(b, "unit"), part = TextOf(b, "part"), stat = TextOf(b, "stat");
      std::string key = Cat(stat, TextOf(b, "is"), MicroOf(b, "bound"));
      if (std::find(said.begin(), said.end(), key) != said.end()) continue;  // Other parts of `each`: the worst is said.
      said.push_back(key);
      const bool seen = observed != nullptr && observed->is_number();
      if (stat == TextOf(claim, "subject")) stat.clear();
      out += Cat(out.empty() ? "" : ", ", stat, stat.empty() ? "" : " ", seen ? Value(observed->Micro().value_or(0), unit) : "no sample", " of ",
                 Value(MicroOf(b, "bound"), unit), part.empty() ? "" : Cat(" in ", part));
    }
  }
  return out.empty() ? TextOf(claim, "observed") : out;
}

}  // namespace

std::string Coloured(std::string_view verdict, std::string_view text, bool colour) {
  if (!colour) return std::string(text);
  std::string_view code = verdict == "held" ? "32" : verdict == "failed" ? "1;31" : "33";
  return Cat("\x1b[", code, "m", text, "\x1b[0m");
}

std::string Bar(int64_t done, int64_t whole, size_t width) {
  static constexpr std::string_view kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int64_t cells = whole <= 0 ? 0 : int64_t(__int128(done) * int64_t(width) * 8 / whole);
  std::string out = "▕";
  const size_t full = size_t(std::clamp<int64_t>(cells / 8, 0, int64_t(width)));
  for (size_t i = 0; i < full; ++i) out += "█";
  std::string_view rest = full < width ? kEighths[size_t(cells % 8)] : "";
  return Cat(out, rest, std::string(width - full - (rest.empty() ? 0 : 1), ' '), "▏");
}

std::vector<std::string> ProgressLines(const CaseProgress& p, std::string_view label, int64_t wall_ms, bool bar) {
  wall_ms = std::max<int64_t>(wall_ms, 1);
  const int64_t times_micro = p.now.count() / wall_ms;  // (ns ÷ 10^6) ÷ ms, in millionths.
  const uint64_t rate = p.events * 1000 / uint64_t(wall_ms);
  std::string first = Cat(" ", label.empty() ? "" : Cat(label, "  "), ClockText(p.now), " of ", ClockText(p.duration), " simulated ",
                          bar ? Cat(Bar(p.now.count(), p.duration.count(), 20), " ") : "", " ", Decimal(times_micro, times_micro < 10 * kMicro ? 1 : 0),
                          " × real   ", CountText(rate), " events/s   ", p.up, " of ", p.hosts, " up   ", SizeText(p.rss_bytes));
  std::string second = Cat(" claims  ", p.held, " held · ", p.failed, " failed · ", p.open, " open", p.next.empty() ? "" : Cat("            next: ", p.next));
  return {first, second};
}

std::string ClaimTable(const Json& result, bool colour) {
  const Json* claims = result.Find("claims");
  if (claims == nullptr) return "";
  size_t says_width = 20, seen_width = 12;
  for (const Json& c : claims->items) {
    says_width = std::max(says_width, std::min<size_t>(Width(TextOf(c, "says")), 60));
    seen_width = std::max(seen_width, std::min<size_t>(Width(SeenText(c)), 44));
  }
  std::string held, failed;
  for (const Json& c : claims->items) {
    const std::string verdict = TextOf(c, "verdict"), name = TextOf(c, "case");
    std::string word = verdict == "held" ? "HELD" : verdict == "failed" ? "FAILED" : "UNDECIDED";
    const Json* n = c.Find("n");
    std::string count = n == nullptr || n->text == "0" || TextOf(c, "subject") == "same" || n->text == "1" ? "" : Cat("  n ", n->text);
    std::string line = Cat(" ", Coloured(verdict, PadRight(word, 10), colour), PadRight(TextOf(c, "says"), says_width), "  ", PadRight(SeenText(c), seen_width),
                           count, name.empty() ? "" : Cat("  [", name, "]"));
    while (line.ends_with(" ")) line.pop_back();
    line += "\n";
    if (verdict == "held") {
      held += line;
      continue;
    }
    failed += line;
    failed += Cat("           expected ", TextOf(c, "expected"), "\n");
    if (const Json* why = c.Find("why")) {
      for (const Json& w : why->items) failed += Cat("           ", w.text, "\n");
    }
  }
  if (const Json* notes = result.Find("notes")) {
    for (size_t i = 0; i < notes->items.size(); ++i) {
      if (i < 12) failed += Cat(" ", Coloured("failed", PadRight("NOTE", 10), colour), notes->items[i].text, "\n");
      if (i == 12) failed += Cat("           … and ", notes->items.size() - 12, " more; all are in result.json\n");
    }
  }
  return held + failed;
}

std::string CaseTable(const Json& result, bool colour) {
  const Json *all = result.Find("cases"), *matrix = result.Find("matrix");
  std::set<std::string> cells;  // Those of a matrix have a table of their own.
  if (matrix != nullptr && matrix->Find("cells") != nullptr) {
    for (const Json& line : matrix->Find("cells")->items) {
      for (const Json& cell : line.items) cells.insert(TextOf(cell, "case"));
    }
  }
  std::vector<const Json*> cases;
  for (size_t i = 0; all != nullptr && i < all->items.size(); ++i) {
    if (!cells.contains(TextOf(all->items[i], "name"))) cases.push_back(&all->items[i]);
  }
  if (cases.empty()) return "";
  size_t width = 4;
  for (const Json* c : cases) width = std::max(width, Width(TextOf(*c, "name")));
  std::string out = Cat(" ", PadRight("case", width + 2), PadRight("", 8), PadLeft("claims", 10), PadLeft("simulated", 12), PadLeft("wall", 10), "\n");
  for (const Json* of : cases) {
    const Json& c = *of;
    const Json *passed = c.Find("passed"), *held = c.Find("claims_held"), *total = c.Find("claims_total");
    const std::string cell = TextOf(c, "cell"), seen = TextOf(c, "seen");
    const bool ok = passed != nullptr && passed->truth;
    const std::string word = ok ? "held" : c.Find("interrupted") != nullptr ? "stopped" : "FAILED";
    out += Cat(" ", PadRight(TextOf(c, "name"), width + 2), Coloured(ok ? "held" : "failed", PadRight(word, 8), colour),
               PadLeft(Cat(held == nullptr ? "" : held->text, " of ", total == nullptr ? "" : total->text), 10),
               PadLeft(ClockText(Duration(MicroOf(c, "sim_seconds") * 1000)), 12), PadLeft(Cat(Decimal(MicroOf(c, "wall_seconds"), 1), " s"), 10),
               cell.empty() ? "" : Cat("  ", seen.empty() || seen == cell ? "" : Cat(seen, "≠"), cell), "\n");
  }
  return out;
}

namespace {

// Of the terminal; 120 if it does not say.
size_t Columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 120;
}

}  // namespace

bool Screen::colour() const {
  const char* no = std::getenv("NO_COLOR");
  return show_ == Show::kTerminal && (no == nullptr || *no == '\0');
}

void Screen::Clear() {
  for (; drawn_ > 0; --drawn_) std::fputs("\x1b[1A\x1b[2K", stdout);
}

bool Screen::Due() {
  if (show_ == Show::kQuiet) return false;
  const Clock::time_point now = Clock::now();
  const auto wait = show_ == Show::kTerminal ? std::chrono::milliseconds(90) : show_ == Show::kJson ? std::chrono::milliseconds(1000) : std::chrono::milliseconds(5000);
  if (now - last_ < wait) return false;
  last_ = now;
  return true;
}

void Screen::Progress(const std::vector<std::string>& lines, const Json& data) {
  if (!Due()) return;
  if (show_ == Show::kJson) return Tell("progress", data);
  if (show_ == Show::kTerminal) Clear(), drawn_ = lines.size();
  for (const std::string& l : lines) std::printf("%s\n", show_ == Show::kTerminal ? Shortened(l, Columns() - 1).c_str() : l.c_str());
  std::fflush(stdout);
}

void Screen::Progress(const CaseProgress& p, std::string_view label) {
  if (!Due()) return;
  if (show_ == Show::kJson) {
    Json d = Json::Object();
    d.At("case") = Json::Text(label), d.At("sim_seconds") = JsonMicro(p.now.count() / 1000);
    d.At("duration_seconds") = JsonMicro(p.duration.count() / 1000), d.At("events") = JsonNumber(p.events);
    d.At("up") = JsonNumber(p.up), d.At("hosts") = JsonNumber(p.hosts);
    d.At("held") = JsonNumber(p.held), d.At("failed") = JsonNumber(p.failed), d.At("open") = JsonNumber(p.open);
    return Tell("progress", d);
  }
  // A line that wraps could not be rewritten: it is cut to the terminal's width, and the bar goes first.
  const size_t columns = Columns();
  std::vector<std::string> lines = ProgressLines(p, label, wall_ms(), show_ == Show::kTerminal && columns >= 100);
  if (show_ == Show::kPipe) {
    std::printf("%s  %s\n", lines[0].c_str(), lines[1].c_str());
  } else {
    Clear();
    for (const std::string& l : lines) std::printf("%s\n", Shortened(l, columns - 1).c_str());
    drawn_ = lines.size();
  }
  std::fflush(stdout);
}

void Screen::Say(const std::string& text) {
  if (show_ == Show::kQuiet || show_ == Show::kJson) return;
  Clear();
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

void Screen::Tell(std::string_view tag, const Json& data) {
  if (show_ != Show::kJson) return;
  Json line = Json::Object();
  line.At("tag") = Json::Text(tag), line.At("data") = data;
  std::printf("%s\n", line.Dump().c_str());
  std::fflush(stdout);
}

void Screen::Last(const std::string& text) {
  if (show_ == Show::kJson) return;
  Clear();
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

}  // namespace orchard::sim
