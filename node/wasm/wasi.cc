// WASI preview 1 (github.com/WebAssembly/WASI, legacy/preview1/docs.md; witx wasi_snapshot_preview1). A command gets its arguments,
// its environment, stdin, stdout, stderr, a clock, random numbers, and the files of its site, if it has any (wasi_files.h). There is no
// socket, so whatever wants one is answered ENOTCAPABLE, and what else is not here ENOSYS.
#include <algorithm>
#include <string>

#include "node/wasm/host_calls.h"
#include "node/wasm/wasi_files.h"

namespace orchard::wasm {
namespace {

using namespace wasi;
using Reply = Imports::Reply;

Reply Sizes(const std::vector<std::string>& strings, const uint64_t* a, Memory m) {
  uint64_t bytes = 0;
  for (const std::string& s : strings) bytes += s.size() + 1;
  return Errno(Store32(m, a[0], uint32_t(strings.size())) && Store32(m, a[1], uint32_t(bytes)) ? kOk : kFault);
}
Reply Strings(HostCalls& host, const std::vector<std::string>& strings, const uint64_t* a, Memory m) {
  uint64_t at = a[0], to = a[1];
  for (const std::string& s : strings) {
    if (!host.Burn(kCall + s.size() / 16)) return Worn(host);
    if (!Fits(m, to, s.size() + 1) || !Store32(m, at, uint32_t(to))) return Errno(kFault);
    std::copy(s.begin(), s.end(), m.data() + to);
    m[to + s.size()] = 0;
    at += 4, to += s.size() + 1;
  }
  return Errno(kOk);
}

Reply FdWrite(HostCalls& host, const uint64_t* a, Memory m) {
  if (a[0] > 2) return OfOpen(host, a, 0, kNotCapable);
  if (a[0] == 0) return Errno(kBadFd);
  if (a[2] > kVectorsMax) return Errno(kInvalid);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < a[2]; ++i) {
    uint32_t at = 0, bytes = 0;
    if (!Load32(m, a[1] + 8 * i, at) || !Load32(m, a[1] + 8 * i + 4, bytes) || !Fits(m, at, bytes)) return Errno(kFault);
    if (!host.Burn(kCall + bytes / 16)) return Worn(host);
    const std::string_view text(reinterpret_cast<const char*>(m.data()) + at, bytes);
    if (a[0] == 2) host.Log(text);
    else if (!host.Write(text)) return host.Trap("an answer of more than 16 MiB");
    sum += bytes;
  }
  return Errno(Store32(m, a[3], uint32_t(sum)) ? kOk : kFault);
}

Reply FdRead(HostCalls& host, const uint64_t* a, Memory m) {
  if (a[0] > 2) return FileRead(host, a, m);
  return a[0] == 0 ? Scatter(host, a[1], a[2], a[3], m, host.input) : Errno(kBadFd);
}

// Pipes, whose type is unknown (0), as other hosts say: nothing seeks, and nobody takes them for a terminal.
Reply FdstatGet(HostCalls& host, const uint64_t* a, Memory m) {
  if (a[0] > 2) return FileFdstatGet(host, a, m);
  if (!Fits(m, a[1], 24)) return Errno(kFault);
  std::fill_n(m.data() + a[1], 24, uint8_t{0});
  Store64(m, a[1] + 8, a[0] == 0 ? 1u << 1 : 1u << 6);  // The right fd_read, or fd_write.
  return Errno(kOk);
}
Reply FilestatGet(HostCalls& host, const uint64_t* a, Memory m) {
  if (a[0] > 2) return FileFilestatGet(host, a, m);
  if (!Fits(m, a[1], 64)) return Errno(kFault);
  std::fill_n(m.data() + a[1], 64, uint8_t{0});
  return Errno(kOk);
}

Reply RandomGet(HostCalls& host, const uint64_t* a, Memory m) {
  if (!Fits(m, a[0], a[1])) return Errno(kFault);
  if (!host.Burn(kCall + a[1])) return Worn(host);
  host.Random({m.data() + a[0], size_t(a[1])});
  return Errno(kOk);
}

template <uint32_t kErrno>
Reply Refuse(HostCalls& host, const uint64_t*, Memory) { return host.Burn(kCall) ? Errno(kErrno) : Worn(host); }
// Of a standard stream; of a file.
template <uint32_t kErrno, uint32_t kOfFile = kErrno>
Reply Either(HostCalls& host, const uint64_t* a, Memory) { return a[0] > 2 ? OfOpen(host, a, 0, kOfFile) : host.Burn(kCall) ? Errno(kErrno) : Worn(host); }
template <uint32_t kErrno, auto kOfFile>
Reply OrFile(HostCalls& host, const uint64_t* a, Memory m) { return a[0] > 2 ? kOfFile(host, a, m) : host.Burn(kCall) ? Errno(kErrno) : Worn(host); }
// A path in the directory that argument `i` is open as would change.
template <size_t i = 0>
Reply Change(HostCalls& host, const uint64_t* a, Memory) { return OfOpen(host, a, i, kReadOnly); }

constexpr std::string_view kModule = "wasi_snapshot_preview1";
constexpr HostFunction kFunctions[] = {
    {kModule, "args_sizes_get", "ii:i", [](HostCalls& h, const uint64_t* a, Memory m) { return Sizes(h.args, a, m); }},
    {kModule, "args_get", "ii:i", [](HostCalls& h, const uint64_t* a, Memory m) { return Strings(h, h.args, a, m); }},
    {kModule, "environ_sizes_get", "ii:i", [](HostCalls& h, const uint64_t* a, Memory m) { return Sizes(h.environment, a, m); }},
    {kModule, "environ_get", "ii:i", [](HostCalls& h, const uint64_t* a, Memory m) { return Strings(h, h.environment, a, m); }},
    {kModule, "clock_res_get", "ii:i", [](HostCalls&, const uint64_t* a, Memory m) { return Errno(a[0] > 3 ? kInvalid : Store64(m, a[1], 1000) ? kOk : kFault); }},
    {kModule, "clock_time_get", "iIi:i", [](HostCalls& h, const uint64_t* a, Memory m) { return Errno(a[0] > 3 ? kInvalid : Store64(m, a[2], h.Clock()) ? kOk : kFault); }},
    {kModule, "random_get", "ii:i", RandomGet},
    {kModule, "proc_exit", "i:", [](HostCalls& h, const uint64_t* a, Memory) { h.exited = true, h.exit_code = uint32_t(a[0]); return h.Trap("it ended itself"); }},
    {kModule, "proc_raise", "i:i", [](HostCalls& h, const uint64_t*, Memory) { return h.Trap("it raised a signal"); }},
    {kModule, "sched_yield", ":i", Refuse<kOk>},
    {kModule, "fd_write", "iiii:i", FdWrite},
    {kModule, "fd_read", "iiii:i", FdRead},
    {kModule, "fd_fdstat_get", "ii:i", FdstatGet},
    {kModule, "fd_filestat_get", "ii:i", FilestatGet},
    {kModule, "fd_close", "i:i", OrFile<kOk, FileClose>},
    {kModule, "fd_fdstat_set_flags", "ii:i", Either<kNotCapable>},
    {kModule, "fd_fdstat_set_rights", "iII:i", Either<kNotCapable>},
    {kModule, "fd_seek", "iIii:i", OrFile<kSeekPipe, FileSeek>},
    {kModule, "fd_tell", "ii:i", OrFile<kSeekPipe, FileTell>},
    {kModule, "fd_prestat_get", "ii:i", PrestatGet},
    {kModule, "fd_prestat_dir_name", "iii:i", PrestatDirName},
    {kModule, "fd_advise", "iIIi:i", Either<kNotCapable, kOk>},
    {kModule, "fd_allocate", "iII:i", Either<kNotCapable>},
    {kModule, "fd_datasync", "i:i", Either<kOk>},
    {kModule, "fd_sync", "i:i", Either<kOk>},
    {kModule, "fd_filestat_set_size", "iI:i", Either<kNotCapable>},
    {kModule, "fd_filestat_set_times", "iIIi:i", Either<kNotCapable>},
    {kModule, "fd_pread", "iiiIi:i", OrFile<kSeekPipe, FilePread>},
    {kModule, "fd_pwrite", "iiiIi:i", Either<kSeekPipe, kNotCapable>},
    {kModule, "fd_readdir", "iiiIi:i", OrFile<kNotCapable, FileReaddir>},
    {kModule, "fd_renumber", "ii:i", Either<kNotCapable>},
    {kModule, "path_create_directory", "iii:i", Change<>},
    {kModule, "path_filestat_get", "iiiii:i", PathFilestatGet},
    {kModule, "path_filestat_set_times", "iiiiIIi:i", Change<>},
    {kModule, "path_link", "iiiiiii:i", Change<4>},
    {kModule, "path_open", "iiiiiIIii:i", PathOpen},
    {kModule, "path_readlink", "iiiiii:i", PathReadlink},
    {kModule, "path_remove_directory", "iii:i", Change<>},
    {kModule, "path_rename", "iiiiii:i", Change<>},
    {kModule, "path_symlink", "iiiii:i", Change<2>},
    {kModule, "path_unlink_file", "iii:i", Change<>},
    {kModule, "poll_oneoff", "iiii:i", Refuse<kNoSystem>},
    {kModule, "sock_accept", "iii:i", Refuse<kNotCapable>},
    {kModule, "sock_recv", "iiiiii:i", Refuse<kNotCapable>},
    {kModule, "sock_send", "iiiii:i", Refuse<kNotCapable>},
    {kModule, "sock_shutdown", "ii:i", Refuse<kNotCapable>}};

}  // namespace

absl::Span<const HostFunction> WasiFunctions() { return kFunctions; }

}  // namespace orchard::wasm
