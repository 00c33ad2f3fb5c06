#include "sim/sweep/diff.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>

#include "reports/run_directory.h"
#include "sim/language/text.h"
#include "sim/run/exit_status.h"
#include "sim/run/result.h"
#include "sim/run/result_read.h"
#include "sim/run/runner_worker.h"

namespace orchard::sim {

Parting PartingOf(const Json& a, const Json& b) {
  const std::vector<Json>&x = ListIn(a, "checkpoints"), &y = ListIn(b, "checkpoints");
  Parting out{.of_a = x.size(), .of_b = y.size()};
  const size_t n = std::min(x.size(), y.size());
  while (out.agreed < n && x[out.agreed].text == y[out.agreed].text) ++out.agreed;
  out.in_checkpoints = out.agreed < n;
  return out;
}

std::optional<HostsApart> HostsApartIn(const Json& a, const Json& b) {
  constexpr size_t kDigits = 8;
  std::map<std::string, size_t> of_b;
  for (const Json& h : ListIn(b, "hosts")) of_b.emplace(h.text, of_b.size());
  const uint64_t step_a = CountIn(a, "step_ms") / 1000, step_b = CountIn(b, "step_ms") / 1000;
  if (step_a == 0 || step_b == 0) return std::nullopt;
  // Steps are powers of two, so the longer is a multiple of the shorter.
  const uint64_t step = std::max(step_a, step_b);
  const std::vector<Json>&x = ListIn(a, "rows"), &y = ListIn(b, "rows"), &hosts = ListIn(a, "hosts");
  for (uint64_t second = step; second / step_a <= x.size() && second / step_b <= y.size(); second += step) {
    const std::string &p = x[second / step_a - 1].text, &q = y[second / step_b - 1].text;
    HostsApart out{second, {}};
    for (size_t h = 0; h < hosts.size(); ++h) {
      auto it = of_b.find(hosts[h].text);
      if (it == of_b.end() || p.size() < (h + 1) * kDigits || q.size() < (it->second + 1) * kDigits) continue;
      if (p.compare(h * kDigits, kDigits, q, it->second * kDigits, kDigits) != 0) out.hosts.push_back(hosts[h].text);
    }
    if (!out.hosts.empty()) return out;
  }
  return std::nullopt;
}

std::optional<EventsApart> EventsApartIn(std::istream& a, std::istream& b) {
  EventsApart out;
  std::deque<std::string> before;
  for (std::string p, q;;) {
    ++out.number;
    const bool more_a = bool(std::getline(a, p)), more_b = bool(std::getline(b, q));
    if (!more_a && !more_b) return std::nullopt;
    if (more_a && more_b && p == q) {
      before.push_back(p);
      if (before.size() > EventsApart::kContext) before.pop_front();
      continue;
    }
    if (more_a) out.a = p;
    if (more_b) out.b = q;
    out.before.assign(before.begin(), before.end());
    return out;
  }
}

namespace {

namespace fs = std::filesystem;

struct Side {
  std::string dir;
  Json result;
};

// The cases of a run by their names; a run without has one of an empty name.
std::optional<std::vector<std::pair<std::string, Side>>> CasesOf(const std::string& dir, std::string& error) {
  std::optional<Json> root = ReadJsonFile(dir + "/result.json");
  if (!root || TextIn(*root, "schema") != "orchard.result/1") {
    std::error_code ignored;
    error = Cat(dir, "/result.json: ", fs::exists(dir + "/result.json", ignored) ? "not the result of a run (schema orchard.result/1)" : "no such file; is this the directory of a run that ended?");
    return std::nullopt;
  }
  if (root->Find("sweep") != nullptr) return error = Cat(dir, " is a sweep; name two of its runs, such as ", dir, "/seeds/1"), std::nullopt;
  std::vector<std::pair<std::string, Side>> out;
  for (const Json& c : ListIn(*root, "cases")) {
    const std::string name = TextIn(c, "name"), folder = Cat(dir, "/cases/", reports::CaseFolder(name));
    std::optional<Json> own = ReadJsonFile(folder + "/result.json");
    if (!own) return error = Cat(folder, "/result.json: no result there"), std::nullopt;
    out.emplace_back(name, Side{folder, *std::move(own)});
  }
  if (out.empty()) out.emplace_back("", Side{dir, *std::move(root)});
  return out;
}

std::string Brief(const std::string& fingerprint) {
  return fingerprint.size() > 8 ? Cat(fingerprint.substr(0, 4), "…", fingerprint.substr(fingerprint.size() - 4)) : fingerprint;
}

// "102.218452 s  eu-3  {…}"
std::string EventText(const std::string& line) {
  JsonError error;
  std::optional<Json> j = ParseJson(line, 0, error);
  if (!j || !j->is_object() || j->Find("at") == nullptr) return line;
  const std::optional<int64_t> at = j->Find("at")->Integer();
  const std::string host = TextIn(*j, "host");
  j->Remove("at"), j->Remove("host");
  return Cat(PadLeft(Cat(Decimal(at.value_or(0) / 1000, 6), " s"), 14), "  ", PadRight(host, 10), "  ", j->Dump());
}

class Comparison {
 public:
  Comparison(std::string of_case, Side a, Side b) : case_(std::move(of_case)), a_(std::move(a)), b_(std::move(b)) {}

  bool same() const { return !TextIn(a_.result, "fingerprint").empty() && TextIn(a_.result, "fingerprint") == TextIn(b_.result, "fingerprint"); }
  bool readable() const { return !TextIn(a_.result, "fingerprint").empty() && !TextIn(b_.result, "fingerprint").empty(); }

  // What differs in what the two were made from.
  std::string Origins() const {
    std::string out;
    for (auto [key, says] : {std::pair("seed", "seeds"), {"input", "inputs"}, {"version", "versions"}, {"program", "programs"}, {"host", "kinds of host"}}) {
      const Json *x = a_.result.Find(key), *y = b_.result.Find(key);
      if (x == nullptr || y == nullptr || x->text == y->text) continue;
      const bool digest = x->text.size() == 32;
      out += Cat(" their ", says, " differ: ", digest ? Brief(x->text) : x->text, " and ", digest ? Brief(y->text) : y->text, "\n");
    }
    return out;
  }

  std::string Text(Json& data) const {
    const Parting p = PartingOf(a_.result, b_.result);
    auto clock = [](uint64_t second) { return ClockText(std::chrono::seconds(int64_t(second))); };
    std::string out;
    if (p.in_checkpoints) {
      out = Cat(" they part between ", clock(p.agreed), " and ", clock(p.agreed + 1), "\n");
      data.At("after_ms") = JsonNumber(p.agreed * 1000), data.At("before_ms") = JsonNumber((p.agreed + 1) * 1000);
    } else {
      out = Cat(" the first ", clock(p.agreed), " agree, and then ", p.of_a == p.of_b ? "they differ" : Cat("only ", p.of_a > p.of_b ? "the first" : "the second", " goes on"), "\n");
      data.At("after_ms") = JsonNumber(p.agreed * 1000);
    }
    const std::optional<Json> x = ReadJsonFile(a_.dir + "/checkpoints.json"), y = ReadJsonFile(b_.dir + "/checkpoints.json");
    if (x && y) {
      if (std::optional<HostsApart> apart = HostsApartIn(*x, *y)) {
        out += Cat(" first on ", ListText(apart->hosts, 12), apart->second > p.agreed + 1 ? Cat(" (as of ", clock(apart->second), ")") : "", "\n");
        data.At("hosts") = JsonList(apart->hosts);
      }
    }
    return out + Events(data);
  }

 private:
  std::string Events(Json& data) const {
    const std::string file_a = a_.dir + "/events.jsonl", file_b = b_.dir + "/events.jsonl";
    std::ifstream a(file_a), b(file_b);
    if (!a || !b) {
      std::string out = "\n for the event, record what is missing and compare again:\n";
      auto record = [&](const Side& s, bool there) {
        if (there) return s.dir;
        const std::string dir = fs::path(s.dir + "/").parent_path().string() + "-trace";
        out += Cat("   ", TextIn(s.result, "replay"), " --trace --out ", ShellWord(dir), "\n");
        return case_.empty() ? dir : Cat(dir, "/cases/", reports::CaseFolder(case_));
      };
      const std::string left = record(a_, bool(a)), right = record(b_, bool(b));
      return Cat(out, "   orchard diff ", ShellWord(left), " ", ShellWord(right), "\n");
    }
    const std::optional<EventsApart> apart = EventsApartIn(a, b);
    if (!apart) return " no traced event differs: what was sent or stored does\n";
    data.At("event") = JsonNumber(apart->number);
    std::string out = Cat("\n event ", apart->number, " is the first that differs:\n");
    for (const std::string& line : apart->before) out += Cat("   both    ", EventText(line), "\n");
    for (const auto& [name, key, line] : {std::tuple("first ", "a", apart->a), {"second", "b", apart->b}}) {
      out += Cat("   ", name, "  ", line ? EventText(*line) : "            –  (no more events)", "\n");
      JsonError error;
      std::optional<Json> j = line ? ParseJson(*line, 0, error) : std::nullopt;
      data.At(key) = j ? *j : JsonNull();
    }
    return out;
  }

  std::string case_;
  Side a_, b_;
};

}  // namespace

int RunDiff(const std::string& dir_a, const std::string& dir_b, Screen& screen) {
  std::string error;
  auto wrong = [&] { return std::fprintf(stderr, "orchard diff: %s\n", error.c_str()), kInputStatus; };
  const auto a = CasesOf(dir_a, error);
  if (!a) return wrong();
  const auto b = CasesOf(dir_b, error);
  if (!b) return wrong();
  std::vector<std::string> only_a, only_b, different;
  size_t shared = 0;
  std::optional<Comparison> first;
  Json data = Json::Object();
  auto in = [](const auto& cases, const std::string& name) { return std::find_if(cases.begin(), cases.end(), [&](const auto& x) { return x.first == name; }); };
  for (const auto& [name, side] : *a) {
    const auto it = in(*b, name);
    if (it == b->end()) {
      only_a.push_back(name);
      continue;
    }
    ++shared;
    Comparison c(name, side, it->second);
    if (!c.readable()) return error = Cat(side.dir, " or ", it->second.dir, ": its result has no fingerprint (a run in real time has none; orchard sim --compare holds one against ns3)"), wrong();
    if (c.same()) continue;
    different.push_back(name);
    if (!first) first.emplace(std::move(c)), data.At("case") = Json::Text(name);
  }
  for (const auto& [name, side] : *b) {
    if (in(*a, name) == a->end()) only_b.push_back(name);
  }
  if (shared == 0) return error = "the two have no case in common", wrong();
  const bool same = different.empty() && only_a.empty() && only_b.empty();
  data.At("same") = JsonBool(same);
  std::string out;
  for (const auto& [dir, only] : {std::pair(dir_a, only_a), {dir_b, only_b}}) {
    if (!only.empty()) out += Cat(" only in ", dir, ": ", ListText(only, 6), "\n");
  }
  if (first) {
    out += Cat(shared > 1 ? Cat(" ", different.size(), " of ", shared, " cases differ, first ", different[0], "\n") : "", first->Origins(), first->Text(data));
  }
  screen.Say(out);
  screen.Last(same ? Cat(" the same", shared > 1 ? Cat(" in all ", shared, " cases") : "", ": fingerprint ", Brief(TextIn((*a)[0].second.result, "fingerprint")))
                   : std::string(" different"));
  screen.Tell("final", data);
  return same ? kHeldStatus : kFailedStatus;
}

}  // namespace orchard::sim
