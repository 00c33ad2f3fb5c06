// WASI preview 1, continued: the files of a site, read only, as the directory "/" that is open as descriptor 3; and what both parts share.
// A path is relative to an open directory and never leads out of it (ENOTCAPABLE); whoever would change something hears EROFS.
#pragma once

#include <cstdint>
#include <string_view>

#include "node/wasm/host_calls.h"

namespace orchard::wasm::wasi {

// errno, by the order of the witx enumeration.
enum : uint32_t {
  kOk = 0, kBadFd = 8, kExists = 20, kFault = 21, kInvalid = 28, kIsDirectory = 31, kTooManyFiles = 33, kNameTooLong = 37, kNoEntry = 44, kNoSystem = 52,
  kNotDirectory = 54, kReadOnly = 69, kSeekPipe = 70, kNotCapable = 76
};
// What a look at a vector or a byte of it costs; a byte of output is a sixteenth, like memory.copy.
inline constexpr uint64_t kCall = 16;
inline constexpr size_t kVectorsMax = 1024;

inline Imports::Reply Errno(uint32_t e) { return {.value = e}; }
inline Imports::Reply Worn(HostCalls& host) { return host.Trap("its fuel is used up"); }
// Into the `count` vectors at `vectors` as much of `from` as they hold, which is taken off it; how much, to `sum_at`.
Imports::Reply Scatter(HostCalls& host, uint64_t vectors, uint64_t count, uint64_t sum_at, Memory m, std::string_view& from);

// By the functions' names; of a descriptor beyond 2, or a path.
Imports::Reply PrestatGet(HostCalls& host, const uint64_t* a, Memory m);
Imports::Reply PrestatDirName(HostCalls& host, const uint64_t* a, Memory m);
Imports::Reply PathOpen(HostCalls& host, const uint64_t* a, Memory m);
Imports::Reply PathFilestatGet(HostCalls& host, const uint64_t* a, Memory m);
Imports::Reply PathReadlink(HostCalls& host, const uint64_t* a, Memory m);
Imports::Reply FileClose(HostCalls& host, const uint64_t* a, Memory m);
Imports::Reply FileFdstatGet(HostCalls& host, const uint64_t* a, Memory m);
Imports::Reply FileFilestatGet(HostCalls& host, const uint64_t* a, Memory m);
Imports::Reply FilePread(HostCalls& host, const uint64_t* a, Memory m);
Imports::Reply FileRead(HostCalls& host, const uint64_t* a, Memory m);
Imports::Reply FileReaddir(HostCalls& host, const uint64_t* a, Memory m);
Imports::Reply FileSeek(HostCalls& host, const uint64_t* a, Memory m);
Imports::Reply FileTell(HostCalls& host, const uint64_t* a, Memory m);
// What answers `error` wherever argument `i` is an open descriptor.
Imports::Reply OfOpen(HostCalls& host, const uint64_t* a, size_t i, uint32_t error);

}  // namespace orchard::wasm::wasi
