// The command line of orchard-sim. Source: docs/SCENARIOS.md; exit status 0 every claim held, 1 a claim failed, 2 the input is
// wrong, 3 the environment or we are at fault.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/run/exit_status.h"
#include "sim/run/progress.h"

namespace orchard::sim {

struct OptionWords {
  const char* name;     // "--seed"
  const char* value;    // "N"; null: none.
  const char* says;
  bool hidden = false;  // Between our own processes.
};

struct CommandWords {
  const char* name;
  const char* usage;
  const char* says;
  const OptionWords* options;
  size_t option_count;
  const char* examples;
};

// What was typed, checked against the command's options.
struct Typed {
  std::vector<std::string> words;
  std::map<std::string, std::vector<std::string>> options;
  bool has(const std::string& name) const { return options.contains(name); }
  std::string last(const std::string& name) const { return has(name) ? options.at(name).back() : ""; }
  std::vector<std::string> all(const std::string& name) const { return has(name) ? options.at(name) : std::vector<std::string>(); }
};

// Nothing, and `error` names the nearest word, if an option is unknown or lacks its value.
std::optional<Typed> ParseArguments(const CommandWords& command, const std::vector<std::string>& arguments, std::string& error);
std::string HelpOf(const CommandWords& command);

int Main(const std::vector<std::string>& arguments);

// --json, --quiet, or what stdout is.
Show ShowOf(const Typed& typed);

// Numbers, PATH=VALUE, options that exclude each other: what options mean beyond their names. False, and `error`.
bool CheckOptions(const Typed& typed, std::string& error);

// sim FILE…
int RunSim(const Typed& typed);
// One case in this process; its lines go to the parent.
int RunWorker(const Typed& typed);
// True if SIGINT or SIGTERM came.
const volatile int* Interrupted();

}  // namespace orchard::sim
