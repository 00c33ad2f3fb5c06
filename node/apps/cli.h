// The command line, in pieces that can be tested: what was typed becomes a call, a call becomes lines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/sidecar/operations.h"

namespace orchard::cli {

// Exit status of every command.
inline constexpr int kOk = 0, kNotOk = 1, kWrongInput = 2, kEnvironment = 3;

using Args = std::vector<std::string>;

// What the user got wrong: printed as "orchard: message", and the command to read more.
struct Complaint {
  std::string message;
  std::string help;  // "orchard dht lookup --help"
};

// ---- cli_parse.cc ----
struct OperationCall {
  const sidecar::Operation* operation = nullptr;
  std::string params = "{}";  // JSON.
  std::string data_dir;       // Empty: the default.
  bool json = false, no_start = false, help = false;
};
// `args` as typed after `orchard`; nothing is an operation unless its first words name one. False: `complaint` says why.
bool ParseOperation(const Args& args, OperationCall& call, Complaint& complaint);
// What `cage deploy` takes for a module that is a directory.
struct SiteDir {
  std::string module;         // Absolute, or one that ships.
  std::string settings = "";  // JSON: the other keys of its site.json; empty: there is none.
};
std::optional<SiteDir> ReadSiteDir(const std::string& path, std::string& wrong);
// Other words for the same operation: "site.add" is "cage.deploy".
struct OtherWords { std::string_view said, meant; };
absl::Span<const OtherWords> AllOtherWords();
// "dht lookup"
std::string Spoken(const sidecar::Operation& operation);

// ---- cli_help.cc ----
std::string MainHelp();
std::string OperationHelp(const sidecar::Operation& operation);
std::string GroupHelp(std::string_view group);   // "dht"; empty if there is none.
std::string NodeHelp();
std::string BashCompletion();
std::string ManPage();
// Every word that may follow `orchard`.
std::vector<std::string_view> Commands();

// ---- cli_render.cc ----
// One event of an operation, {"id":…,"tag":…,"data":…}.
struct Rendered {
  std::string out;              // For stdout, lines with their ends.
  std::string error;            // For stderr, one line without "orchard: ".
  bool end = false;             // The operation is over.
  int status = kOk;             // If so.
};
// `json`: the line as it came, without its id.
Rendered Render(std::string_view line, bool json);

// ---- cli_client.cc ----
// Calls the daemon of the directory, starting one if need be, and prints what it says. Returns the exit status.
int CallDaemon(const OperationCall& call);
// Of the call's directory, starting a daemon if need be: its socket; or -1 and the exit status, when it was said why.
int ConnectDaemon(const OperationCall& call, int& status);
// Asks it for an operation without parameters; the line of its last event, or nothing if it hung up.
std::string AskDaemon(int fd, std::string_view operation);
// An operation that streams: joins standard input and output to it over `fd`, on which the request is already sent.
int RunStream(int fd, int signal_fd, const OperationCall& call);

// ---- cli_get.cc ----
// `orchard pod get`: asks the daemon who is there, and downloads through its proxy.
int PodGet(const OperationCall& call);

// ---- node_command.cc ----
int NodeCommand(const Args& args);

}  // namespace orchard::cli
