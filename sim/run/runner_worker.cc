#include "sim/run/runner_worker.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "node/base/digest.h"
#include "sim/language/text.h"

namespace orchard::sim {

namespace fs = std::filesystem;

bool ChooseCases(const Suite& suite, const std::string& file, const std::vector<std::string>& wanted, std::vector<CaseWords>& chosen,
                 std::string& error) {
  std::vector<std::string> names;
  for (const CaseWords& c : suite.cases) {
    names.push_back(c.name);
    if (wanted.empty() || CaseMatches(wanted, c.name)) chosen.push_back(c);
  }
  for (const std::string& w : wanted) {
    if (std::any_of(names.begin(), names.end(), [&](const std::string& n) { return CaseMatches({w}, n); })) continue;
    std::string near = NearestOf(w, names);
    error = Cat(file, ": --case: no case is called \"", w, "\"", near.empty() ? "" : Cat("; did you mean \"", near, "\"?"),
                " (cases: ", WithoutCases(suite) ? "none" : ListText(names, 12), ")");
    return false;
  }
  // A case whose claims compare it to others needs them to run, too.
  for (size_t i = 0; i < chosen.size(); ++i) {
    std::vector<LoadError> errors;
    std::optional<Scenario> s = BuildCase(suite, chosen[i], errors);
    for (size_t k = 0; s && k < s->claims.size(); ++k) {
      if (s->claims[k].figure_only) continue;
      for (const std::string& name : s->claims[k].over.cases) {
        const bool known = std::any_of(chosen.begin(), chosen.end(), [&](const CaseWords& c) { return c.name == name; });
        auto it = std::find_if(suite.cases.begin(), suite.cases.end(), [&](const CaseWords& c) { return c.name == name; });
        if (!known && it != suite.cases.end()) chosen.push_back(*it);
      }
    }
  }
  return true;
}

std::vector<std::string> TakeJsCases(const Suite& suite, std::vector<CaseWords>& cases) {
  std::vector<std::string> names;
  std::erase_if(cases, [&](const CaseWords& c) {
    std::vector<LoadError> errors;
    const std::optional<Scenario> s = BuildCase(suite, c, errors);
    if (!s || std::none_of(s->hosts.begin(), s->hosts.end(), [](const HostGroup& h) { return h.runs_js; })) return false;
    names.push_back(c.name);
    return true;
  });
  return names;
}

Job WorkerJob(const WorkerCall& call) {
  Job job;
  job.arguments = {"worker", fs::absolute(call.file).string(), "--typed", call.typed, "--seed", std::to_string(call.seed),
                   "--out", fs::absolute(call.out).string(), "--replay", call.replay};
  auto add = [&](std::initializer_list<std::string> words) { job.arguments.insert(job.arguments.end(), words); };
  if (call.of_case) add({"--case", *call.of_case});
  for (const std::string& s : call.set) add({"--set", s});
  if (call.proof) add({"--proof", std::to_string(*call.proof)});
  if (!call.until.empty()) add({"--until", call.until});
  if (call.strict) add({"--strict"});
  if (call.trace) add({"--trace"});
  if (call.pcap) add({"--pcap"});
  if (call.fail_fast) add({"--fail-fast"});
  if (call.only_result) add({"--only-result"});
  if (call.netns) add({"--host", "netns"});
  return job;
}

std::string ShellWord(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || std::string_view("_./:=+-,%@").find(c) != std::string_view::npos;
  });
  if (plain) return text;
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') out += "'\\''";
    else out += c;
  }
  return out + "'";
}

std::string CommandText(const std::string& command, const std::string& file, uint64_t seed, const std::string& of_case,
                        const std::vector<std::string>& set) {
  std::string out = Cat("orchard ", command, " ", ShellWord(file), " --seed ", seed);
  if (!of_case.empty()) out += Cat(" --case ", ShellWord(of_case));
  for (const std::string& s : set) out += Cat(" --set ", ShellWord(s));
  return out;
}

const std::string& ProgramDigest() {
  static const std::string& digest = *new std::string([] {
    std::ifstream in("/proc/self/exe", std::ios::binary);
    Digest d;
    std::string piece(1 << 20, '\0');
    while (in.read(piece.data(), std::streamsize(piece.size())), in.gcount() > 0) d.Add(AsBytes(std::string_view(piece).substr(0, size_t(in.gcount()))));
    return d.hex();
  }());
  return digest;
}

}  // namespace orchard::sim
