// What a node asks of whoever runs its cages, and the answers: the bytes of the jobs kCage… (node/base/jobs.h). A site is a
// WebAssembly module; a cage is an instance of it under limits. What a run answers is a function of its arguments, the module
// and the cage's earlier runs: the same on real machines as in the simulator. Fields in compact-encoding, in the order of the
// structs; numbers at most 2^53 - 1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "node/base/bytes.h"
#include "node/base/time.h"

namespace orchard::cage {

// How a module is spoken to; its exports and imports say which.
enum class Abi : uint8_t {
  kReactor,  // Exports alloc(size) -> address and handle_request(address, size) -> address << 32 | size. Kept warm.
  kWagi,     // A command of WASI preview 1, run as CGI (RFC 3875): environment, body on stdin, answer on stdout. Fresh each time.
  kExtism,   // A plug-in of Extism that exports `handle`: input the request's text, output the answer. Kept warm.
};

// Why a cage died.
enum class Cause : uint8_t {
  kNone,     // It did not: there is an answer.
  kPanic,    // It trapped, or ended without an answer.
  kTimeout,  // Its fuel or its time was used up.
  kMemory,   // It trapped after it was refused memory.
  kEngine,   // Its process died, or the engine gave it up.
};
std::string_view CauseName(Cause cause);  // "none" "panic" "timeout" "memory" "engine".

// Fuel that a module may burn instead of one millisecond: about as many simple instructions as a core of today does in it, so that
// the fuel of a time-out and the time agree within a factor of two on real machines, and exactly in the simulator.
inline constexpr uint64_t kFuelPerMs = 4'000'000;

struct Limits {
  uint64_t memory_bytes = 128ull << 20;  // Of linear memory; in pages of 64 KiB, rounded down.
  uint64_t timeout_ms = 1000;            // Of one run: that much time, and kFuelPerMs times that much fuel, whichever ends first.
};

inline constexpr size_t kModuleBytesMax = 64ull << 20;
inline constexpr size_t kResponseBytesMax = 16ull << 20;  // More is kPanic.
inline constexpr size_t kLogBytesMax = 4096;              // Of one run; more is cut.

// ---- kCageLoad: checks, meters and compiles a module, and keeps it under its hash. ----
struct LoadArgs {
  std::string name;   // If there are no bytes: "example:hello.wasm", or the hash of a module kept before, in hex.
  std::string bytes;  // At most kModuleBytesMax.
  Limits limits;
  // What its guests may read: a directory, which is read now, or files as EncodeFiles writes them. Both empty: nothing.
  std::string directory{}, files{};
};
// What a cage is made of, by BLAKE2b-256: a module, and files as EncodeFiles writes them; all zero if it has none.
struct Image {
  Image() = default;
  Image(const Key32& module, const Key32& files = {}) : module(module), files(files) {}
  Key32 module{}, files{};
  bool operator==(const Image&) const = default;
};
struct LoadResult {
  Key32 module{};     // BLAKE2b-256 of the bytes.
  Abi abi = Abi::kReactor;
  uint64_t bytes = 0, metered_bytes = 0;
  Key32 files{};
  Image image() const { return {module, files}; }
};
// Job status: kOk; kInvalidArgument, kNotFound: the result is a text that says what is wrong with the module, or the files.

// ---- kCageSpawn: makes a cage of a loaded module. ----
struct SpawnArgs {
  uint32_t cage = 0;  // Never used before by this node in this life.
  Key32 module{};
  Limits limits;
  Key32 files{};
  Image image() const { return {module, files}; }
};
// Job status: kOk; else it could not be made, and the result is a text that says why.

// ---- kCageWatch: ends when the cage dies, however it does, also idle; after the run that killed it, if one did. ----
struct WatchArgs { uint32_t cage = 0; };
// Job status: kOk. Result: a Death. A cage that does not exist is dead by kEngine.
struct Death {
  Cause cause = Cause::kEngine;
  std::string detail;
};

// ---- kCageRun: one request. ----
struct Request {
  std::string method, target;              // The target in origin form: "/path?query".
  std::string authority, scheme, remote;   // "shop.example:8080", "https", "10.0.0.1:4711".
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};
struct RunArgs {
  uint32_t cage = 0;
  uint64_t unix_us = 0;                    // What the guest's clock says, in microseconds.
  Key32 seed{};                            // What its random numbers come from.
  Request request;
};
struct RunResult {
  Cause cause = Cause::kNone;              // Any other: the cage is dead, and there is no answer.
  std::string detail;                      // What the engine said of it.
  uint64_t fuel = 0;                       // Burnt by this run.
  uint64_t memory_bytes = 0;               // Of its linear memory after it.
  std::string answer;                      // As CGI: header lines, an empty line, a body. RFC 3875 §6.
  std::string log;                         // What it wrote on stderr.
};
// Job status: kOk; kNotFound: there is no such cage; kAborted: it died before this run began, so nothing of it was done. The runs of
// a cage are one after another, in the order asked for. A run that is cancelled goes on, and its answer is dropped.

// ---- kCageStop: ends a cage; its runs end as kEngine, its watch too. ----
struct StopArgs { uint32_t cage = 0; };

// ---- kListSites: which modules a directory has. Arguments: its path. Result: a line "NAME STAMP" for each NAME.wasm whose name a site may
// have, by name; STAMP changes with the file. Job status: kOk; else it could not be read, and the result is a text that says why. ----
inline constexpr size_t kListedMax = 1024;  // As many as there can be sites; more are left out.

std::string Encode(const LoadArgs& x);
std::string Encode(const LoadResult& x);
std::string Encode(const SpawnArgs& x);
std::string Encode(const WatchArgs& x);
std::string Encode(const Death& x);
std::string Encode(const RunArgs& x);
// The same of a request that stays where it is.
std::string EncodeRun(uint32_t cage, uint64_t unix_us, const Key32& seed, const Request& request);
std::string Encode(const RunResult& x);
std::string Encode(const StopArgs& x);

// Of bytes that another process sent: kInvalidArgument says what is wrong. Nothing may follow.
template <typename T>
absl::StatusOr<T> Decode(Bytes bytes);
template <> absl::StatusOr<LoadArgs> Decode(Bytes bytes);
template <> absl::StatusOr<LoadResult> Decode(Bytes bytes);
template <> absl::StatusOr<SpawnArgs> Decode(Bytes bytes);
template <> absl::StatusOr<WatchArgs> Decode(Bytes bytes);
template <> absl::StatusOr<Death> Decode(Bytes bytes);
template <> absl::StatusOr<RunArgs> Decode(Bytes bytes);
template <> absl::StatusOr<RunResult> Decode(Bytes bytes);
template <> absl::StatusOr<StopArgs> Decode(Bytes bytes);
// Which cage an encoded RunArgs is for.
absl::StatusOr<uint32_t> CageOfRun(Bytes bytes);

}  // namespace orchard::cage
