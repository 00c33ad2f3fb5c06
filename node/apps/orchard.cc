// orchard: the node, and the way to talk to it.

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "node/apps/cli.h"

namespace {

using orchard::cli::Args;

// Commands of the program beside this one, which links ns-3.
constexpr std::string_view kSimCommands[] = {"sim", "lint", "sweep", "minimize", "diff", "report", "metrics", "new"};
// Commands of the script at the root of the sources.
constexpr std::string_view kWrapperCommands[] = {"test", "bench", "fuzz"};

template <size_t N>
bool Has(const std::string_view (&words)[N], const std::string& word) { return std::find(std::begin(words), std::end(words), word) != std::end(words); }

int Complain(const std::string& message, int status) {
  std::fprintf(stderr, "orchard: %s\n", message.c_str());
  return status;
}

// Replaces this process by orchard-sim: beside this program, or in ../sim of a build.
int ExecSim(Args& args) {
  std::string name = "orchard-sim";
  std::vector<char*> argv = {name.data()};
  for (std::string& a : args) argv.push_back(a.data());
  argv.push_back(nullptr);
  std::error_code error;
  auto here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& path : {here / "orchard-sim", here / ".." / ".." / "sim" / "orchard-sim"}) {
    if (access(path.c_str(), X_OK) == 0) execv(path.c_str(), argv.data());
  }
  return Complain("\"" + args[0] + "\" needs the simulator, orchard-sim, which is not installed beside " + here.string(), orchard::cli::kEnvironment);
}

int Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  // What is longer than the buffer has failed before.
  if ((std::fflush(stdout) == 0 && std::ferror(stdout) == 0) || errno == EPIPE) return orchard::cli::kOk;
  return Complain(std::string("cannot write: ") + std::strerror(errno), orchard::cli::kEnvironment);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace orchard::cli;
  Args args(argv + 1, argv + argc);
  if (args.empty()) return std::fputs(MainHelp().c_str(), stderr), kWrongInput;
  const std::string& first = args[0];
  if (first == "help" || first == "--help" || first == "-h") {
    if (first != "help" || args.size() == 1) return Print(MainHelp());
    args.erase(args.begin());  // `orchard help dht lookup`
    args.push_back("--help");
  }
  if (first == "--version" || first == "version") return Print("orchard " ORCHARD_VERSION "\n");
  if (first == "node") return NodeCommand(Args(args.begin() + 1, args.end()));
  if (Has(kSimCommands, first)) return ExecSim(args);
  if (Has(kWrapperCommands, first)) return Complain("\"" + first + "\" belongs to the script ./orchard at the root of the sources", kWrongInput);
  if (first == "man") return Print(ManPage());
  if (first == "completion") {
    if (args.size() == 2 && args[1] == "bash") return Print(BashCompletion());
    return Complain("completion is for bash: source <(orchard completion bash)", kWrongInput);
  }
  if (args.size() == 2 && (args[1] == "--help" || args[1] == "-h")) {
    if (std::string help = GroupHelp(first); !help.empty()) return Print(help);
  }
  OperationCall call;
  Complaint complaint;
  if (!ParseOperation(args, call, complaint)) {
    return Complain(complaint.message + "\nSee: " + complaint.help, kWrongInput);
  }
  if (call.help) return Print(OperationHelp(*call.operation));
  return call.operation->local ? PodGet(call) : CallDaemon(call);
}
