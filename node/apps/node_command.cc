#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "node/apps/cli.h"
#include "node/base/nearest_word.h"
#include "node/host/daemon.h"
#include "node/host/data_dir.h"
#include "node/node.h"
#include "node/sidecar/config.h"

extern char** environ;

namespace orchard::cli {
namespace {

using sidecar::ConfigError;

// Variables that are ours and no key of the configuration.
constexpr std::string_view kOtherVariables[] = {"DATA", "CONFIG"};
constexpr size_t kFileMax = 1 << 20;

int Complain(int status, const std::string& message) {
  std::fprintf(stderr, "orchard: %s\n", message.c_str());
  return status;
}

int ComplainAll(const std::string& where, const std::vector<ConfigError>& errors) {
  for (const ConfigError& e : errors) std::fprintf(stderr, "orchard: %s%s\n", where.c_str(), sidecar::Describe(e).c_str());
  return kWrongInput;
}

// Nothing, and `error` set, if it cannot be read whole.
std::optional<std::string> ReadFile(const std::string& path, int& error) {
  host::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char buffer[16 << 10];
  ssize_t n = fd.ok() ? 1 : -1;
  while (n > 0 && (n = read(fd.get(), buffer, sizeof buffer)) > 0) {
    text.append(buffer, size_t(n));
    if (text.size() > kFileMax) return error = EFBIG, std::nullopt;
  }
  if (n < 0) return error = errno, std::nullopt;
  return text;
}

}  // namespace

int NodeCommand(const Args& args) {
  std::string config_file, data = host::DefaultDataDir(), trace;
  std::vector<std::pair<std::string, std::string>> sets;
  bool check = false;
  if (const char* c = std::getenv("ORCHARD_CONFIG"); c != nullptr) config_file = c;
  for (size_t a = 0; a < args.size(); ++a) {
    std::string name = args[a].substr(0, args[a].find('='));
    std::optional<std::string> value;
    if (size_t equals = args[a].find('='); equals != std::string::npos) value = args[a].substr(equals + 1);
    if (name == "--help" || name == "-h") return std::fputs(NodeHelp().c_str(), stdout), kOk;
    if (name == "--check") {
      check = true;
      continue;
    }
    if (name != "--config" && name != "--data" && name != "--set" && name != "--trace") {
      const std::string_view words[] = {"--config", "--data", "--set", "--trace", "--check", "--help"};
      std::string_view near = NearestWord(name, words);
      return Complain(kWrongInput, absl::StrCat("unknown option \"", name, "\"", near.empty() ? "" : absl::StrCat("; did you mean \"", std::string(near), "\"?"), "\nSee: orchard node --help"));
    }
    if (!value && a + 1 < args.size()) value = args[++a];
    if (!value || value->empty()) return Complain(kWrongInput, absl::StrCat(name, " needs a value\nSee: orchard node --help"));
    if (name == "--config") config_file = *value;
    if (name == "--data") data = *value;
    if (name == "--trace") trace = *value;
    if (name == "--set") {
      size_t equals = value->find('=');
      if (equals == std::string::npos) return Complain(kWrongInput, absl::StrCat("--set ", *value, ": expected KEY=VALUE, such as --set dht.port=0"));
      sets.emplace_back(value->substr(0, equals), value->substr(equals + 1));
    }
  }

  // The file, the environment, the command line; later ones win.
  sidecar::Config config;
  std::vector<ConfigError> errors;
  const bool by_default = config_file.empty();
  if (by_default) config_file = data + "/config.json";
  if (!by_default || access(config_file.c_str(), F_OK) == 0) {
    int error = 0;
    auto text = ReadFile(config_file, error);
    if (!text) return Complain(kWrongInput, absl::StrCat("cannot read the configuration ", config_file, ": ", error == EFBIG ? "it has more than 1 MiB" : std::strerror(error)));
    sidecar::MergeConfig(*text, config, errors);
    if (!errors.empty()) return ComplainAll(config_file + ": ", errors);
  }
  std::vector<std::string> environment;
  for (char** e = environ; *e != nullptr; ++e) environment.emplace_back(*e);
  sidecar::MergeConfigEnvironment(environment, kOtherVariables, config, errors);
  if (!errors.empty()) return ComplainAll("environment: ", errors);
  for (const auto& [key, value] : sets) sidecar::MergeConfigText(key, value, config, errors);
  if (!errors.empty()) return ComplainAll("--set ", errors);
  sidecar::CheckConfig(config, errors);
  if (!errors.empty()) return ComplainAll("", errors);
  if (check) return std::puts("the configuration is right"), kOk;

  absl::Status status = host::RunDaemon({.config = config, .data_dir = data, .version = ORCHARD_VERSION,
                                         .machine = [](const sidecar::Config& c) { return std::make_unique<Node>(c); },
                                         .failure = [](const Machine& m) { return static_cast<const Node&>(m).bind_failure(); },
                                         .trace_file = trace});
  return status.ok() ? kOk : Complain(kEnvironment, std::string(status.message()));
}

}  // namespace orchard::cli
