#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "node/apps/cli.h"
#include "node/sidecar/config.h"

namespace orchard::cli {
namespace {

using sidecar::Operation;
using sidecar::Param;
using sidecar::ParamType;

struct Command {
  std::string_view name, says;
};
// Beside the operations.
constexpr Command kNode[] = {{"node", "run a node until it is told to stop"}};
constexpr Command kSim[] = {{"sim", "run scenario files in the simulator"},
                            {"lint", "check scenario files without running them"},
                            {"sweep", "run one scenario with many seeds"},
                            {"minimize", "find the smallest scenario that breaks the same claim"},
                            {"diff", "find where two runs part"},
                            {"report", "draw a run"},
                            {"metrics", "list what can be claimed"},
                            {"new", "begin a scenario"}};
constexpr Command kSelf[] = {{"help", "show this"}, {"completion", "print a completion script: source <(orchard completion bash)"}, {"man", "print the manual page"}};

std::string S(std::string_view s) { return std::string(s); }

// "name    says" with the second column at `column`.
std::string Line(const std::string& name, std::string_view says, size_t column) {
  return absl::StrCat("  ", name, std::string(name.size() + 2 < column ? column - name.size() : 2, ' '), S(says), "\n");
}

std::string FlagName(const Param& p) {
  std::string name = absl::StrCat(p.letter == 0 ? "" : std::string{'-', p.letter, ',', ' '}, "--", absl::StrReplaceAll(S(p.name), {{"_", "-"}}));
  if (!p.value.empty()) return absl::StrCat(name, " ", S(p.value));
  switch (p.type) {
    case ParamType::kBool: return name;
    case ParamType::kUint: return name + " N";
    case ParamType::kBytes: return name + " SIZE";
    case ParamType::kChoice: return absl::StrCat(name, " ", absl::StrReplaceAll(S(p.choices), {{" ", "|"}}));
    case ParamType::kAddress: return name + " HOST:PORT";
    case ParamType::kKey: return name + " KEY";
    default: return absl::StrCat(name, " TEXT");
  }
}

std::string Upper(std::string_view s) {
  std::string out(s);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return char(c >= 'a' && c <= 'z' ? c - 32 : c); });
  return out;
}

std::string Usage(const Operation& o) {
  std::string out = Spoken(o);
  for (const Param& p : o.params) {
    if (p.positional) absl::StrAppend(&out, p.required ? " " : " [", Upper(p.name), p.required ? "" : "]");
  }
  for (const Param& p : o.params) {
    if (!p.positional) absl::StrAppend(&out, " [", FlagName(p), "]");
  }
  return out;
}

constexpr std::string_view kCommon =
    "  --json           one JSON object a line, for programs\n"
    "  --data DIR       the daemon's directory (default: $ORCHARD_DATA, $XDG_DATA_HOME/orchard or ~/.local/share/orchard)\n"
    "  --no-start       do not start a daemon if none runs\n"
    "  --help           show this\n";

}  // namespace

std::vector<std::string_view> Commands() {
  std::vector<std::string_view> out;
  for (const Operation& o : sidecar::Operations()) {
    std::string_view word = o.name.substr(0, o.name.find('.'));
    if (out.empty() || out.back() != word) out.push_back(word);
  }
  for (const Command& c : kNode) out.push_back(c.name);
  for (const Command& c : kSim) out.push_back(c.name);
  for (const Command& c : kSelf) out.push_back(c.name);
  return out;
}

std::string MainHelp() {
  std::string out =
      "orchard grows peer-to-peer networks: one node, on real sockets and in a simulator.\n\n"
      "Usage: orchard COMMAND …        orchard COMMAND --help says more\n\nThe node\n";
  for (const Command& c : kNode) out += Line(S(c.name), c.says, 22);
  out += "\nAsk the running node (one is started if need be)\n";
  for (const Operation& o : sidecar::Operations()) out += Line(Spoken(o), o.says, 22);
  out += "\nThe simulator\n";
  for (const Command& c : kSim) out += Line(S(c.name), c.says, 22);
  out += "\nThe rest\n";
  for (const Command& c : kSelf) out += Line(S(c.name), c.says, 22);
  out += Line("--version", "print the version", 22);
  out += "\nExamples\n  orchard info\n  orchard dht announce apples\n  orchard dht lookup apples --json\n  orchard node --set dht.port=0\n"
         "\nExit status: 0 done, 1 it did not work out, 2 wrong input, 3 the environment is at fault.\n";
  return out;
}

std::string OperationHelp(const Operation& o) {
  std::string out = absl::StrCat(S(o.says), "\n\nUsage: orchard ", Usage(o), "\n");
  bool positional = false, flags = false;
  for (const Param& p : o.params) (p.positional ? positional : flags) = true;
  if (positional) {
    out += "\n";
    for (const Param& p : o.params) {
      if (p.positional) out += Line(Upper(p.name), p.says, 17);
    }
  }
  out += "\nOptions\n";
  for (const Param& p : o.params) {
    if (!p.positional) out += Line(FlagName(p), p.says, 17);
  }
  absl::StrAppend(&out, S(kCommon), "\nThe last event's data: ", absl::StrReplaceAll(S(o.result), {{" ", ", "}}), "\n\nExample\n  orchard ", S(o.example), "\n");
  return out;
}

std::string GroupHelp(std::string_view group) {
  std::string list;
  for (const Operation& o : sidecar::Operations()) {
    if (o.name.starts_with(S(group) + ".")) list += Line(Spoken(o), o.says, 22);
  }
  for (const OtherWords& other : AllOtherWords()) {
    if (!other.said.starts_with(S(group) + ".")) continue;
    const Operation& meant = *sidecar::FindOperation(other.meant);
    list += Line(absl::StrReplaceAll(S(other.said), {{".", " "}}), absl::StrCat("The same as ", Spoken(meant), ": ", S(meant.says)), 22);
  }
  return list.empty() ? "" : absl::StrCat("Usage: orchard ", S(group), " …\n\n", list, "\n`--help` after any of them says more.\n");
}

std::string NodeHelp() {
  std::string out =
      "Run a node until SIGTERM or ^C; a second ^C ends it at once. It logs JSON lines to stderr.\n\n"
      "Usage: orchard node [--config FILE] [--data DIR] [--set KEY=VALUE]… [--trace FILE] [--check]\n\n"
      "  --config FILE    JSON; comments are allowed (default: config.json in the data directory, if it exists)\n"
      "  --data DIR       where it keeps its identity and records (default: $ORCHARD_DATA, $XDG_DATA_HOME/orchard or\n"
      "                   ~/.local/share/orchard)\n"
      "  --set KEY=VALUE  lays one key over the file and the environment\n"
      "  --trace FILE     append every event of the node to FILE, one JSON object a line\n"
      "  --check          say whether the configuration is right, and end\n"
      "  --help           show this\n\n"
      "Keys (in the file dht.port is {\"dht\": {\"port\": …}}; in the environment it is ORCHARD_DHT_PORT)\n";
  for (const sidecar::ConfigKey& k : sidecar::ConfigKeys()) {
    out += Line(S(k.path), k.choices.empty() ? S(k.says) : absl::StrCat(S(k.says), ": ", absl::StrReplaceAll(S(k.choices), {{" ", ", "}})), 17);
  }
  return out + "\nExamples\n  orchard node\n  orchard node --set dht.port=0 --set log.level=debug\n  orchard node --set pod.enabled=true --set pod.profile=hardened\n  ORCHARD_DHT_NODES=127.0.0.1:49737 orchard node --data /tmp/orchard\n";
}

std::string BashCompletion() {
  std::string groups, words = absl::StrJoin(Commands(), " ", [](std::string* s, std::string_view w) { s->append(w); });
  std::string last, members, flags;
  auto end_group = [&] {
    if (!members.empty()) absl::StrAppend(&groups, "    ", last, ") words=\"", members, "\" ;;\n");
  };
  for (const Operation& o : sidecar::Operations()) {
    size_t dot = o.name.find('.');
    std::string group = S(o.name.substr(0, dot));
    if (group != last) end_group(), last = group, members.clear();
    if (dot != o.name.npos) absl::StrAppend(&members, members.empty() ? "" : " ", S(o.name.substr(dot + 1)));
    absl::StrAppend(&flags, "    \"", Spoken(o), "\") flags=\"");
    for (const Param& p : o.params) {
      if (!p.positional) absl::StrAppend(&flags, "--", absl::StrReplaceAll(S(p.name), {{"_", "-"}}), " ");
    }
    flags += "--json --data --no-start --help\" ;;\n";
  }
  end_group();
  return absl::StrCat("# Completion of orchard for bash: source <(orchard completion bash)\n_orchard() {\n"
                      "  local current=${COMP_WORDS[COMP_CWORD]} words= flags=\n"
                      "  case ${COMP_WORDS[1]} in\n    node) flags=\"--config --data --set --trace --check --help\" ;;\n    *) case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n",
                      absl::StrReplaceAll(flags, {{"    \"info\")", "    \"info \"*)"}}), "    esac ;;\n  esac\n"
                      "  if ((COMP_CWORD == 1)); then words=\"", words, " --help --version\"\n"
                      "  elif ((COMP_CWORD == 2)); then case ${COMP_WORDS[1]} in\n", groups, "  esac; fi\n"
                      "  if [[ $current == -* ]]; then words=\"$words $flags\"; fi\n"
                      "  if [[ -n $words ]]; then COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                      "  else COMPREPLY=($(compgen -f -- \"$current\")); fi\n}\ncomplete -F _orchard orchard\n");
}

std::string ManPage() {
  auto roff = [](std::string s) { return absl::StrReplaceAll(s, {{"\\", "\\e"}, {"-", "\\-"}, {"\n.", "\n\\&."}}); };
  std::string out = absl::StrCat(".TH ORCHARD 1 \"\" \"orchard ", ORCHARD_VERSION, "\"\n.SH NAME\norchard \\- grow peer\\-to\\-peer networks\n"
                                 ".SH SYNOPSIS\n.B orchard\n.I COMMAND\n[\n.I OPTIONS\n]\n.SH DESCRIPTION\n.nf\n", roff(MainHelp()), ".fi\n.SH NODE\n.nf\n", roff(NodeHelp()), ".fi\n.SH OPERATIONS\n");
  for (const Operation& o : sidecar::Operations()) absl::StrAppend(&out, ".SS orchard ", roff(Spoken(o)), "\n.nf\n", roff(OperationHelp(o)), ".fi\n");
  return out;
}

}  // namespace orchard::cli
