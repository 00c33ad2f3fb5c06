#include "node/wasm/wasi_files.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "node/wasm/file_tree.h"

namespace orchard::wasm::wasi {
namespace {

using Reply = Imports::Reply;
using Descriptor = HostCalls::Descriptor;

constexpr uint64_t kFirst = 3;  // The one that is open from the beginning.
constexpr std::string_view kName = "/";
constexpr uint64_t kPathMax = 4096;

// Of the witx flags.
constexpr uint64_t kCreate = 1, kDirectory = 2, kExclusive = 4, kTruncate = 8;
constexpr uint64_t kRightRead = 1 << 1, kRightSeek = 1 << 2, kRightTell = 1 << 5, kRightWrite = 1 << 6, kRightAdvise = 1 << 7, kRightOpen = 1 << 13,
                   kRightReaddir = 1 << 14, kRightPathStat = 1 << 18, kRightStat = 1 << 21;
constexpr uint64_t kFileRights = kRightRead | kRightSeek | kRightTell | kRightAdvise | kRightStat;
constexpr uint64_t kDirectoryRights = kRightOpen | kRightReaddir | kRightPathStat | kRightStat;
constexpr uint8_t kTypeDirectory = 3, kTypeFile = 4;

Descriptor* Open(HostCalls& host, uint64_t fd) {
  if (fd < kFirst || fd - kFirst >= host.descriptors.size()) return nullptr;
  auto& d = host.descriptors[fd - kFirst];
  return d.has_value() ? &*d : nullptr;
}
const FileTree::Node& NodeOf(const HostCalls& host, const Descriptor& d) { return host.files->at(d.node); }

struct Found {
  uint32_t error = kOk, node = 0;
};
// Links there are none, so that ".." goes where the name before came from.
Found Resolve(HostCalls& host, uint64_t fd, uint64_t path_at, uint64_t path_bytes, Memory m) {
  const Descriptor* d = Open(host, fd);
  if (d == nullptr) return {kBadFd};
  if (!NodeOf(host, *d).directory) return {kNotDirectory};
  if (!Fits(m, path_at, path_bytes)) return {kFault};
  if (path_bytes > kPathMax) return {kNameTooLong};
  const std::string_view path(reinterpret_cast<const char*>(m.data()) + path_at, path_bytes);
  if (path.empty()) return {kNoEntry};
  if (path.front() == '/') return {kNotCapable};
  if (path.find('\0') != path.npos) return {kInvalid};
  uint32_t at = d->node;
  size_t depth = 0;
  for (size_t begin = 0, end; begin <= path.size(); begin = end + 1) {
    end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (!host.files->at(at).directory) return {kNotDirectory};
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (depth-- == 0) return {kNotCapable};
      at = host.files->at(at).parent;
      continue;
    }
    const auto next = host.files->Find(at, part);
    if (!next.has_value()) return {kNoEntry};
    at = *next, ++depth;
  }
  return {kOk, at};
}
// What a path of so many bytes costs: its parts are compared with some names each.
bool BurnPath(HostCalls& host, uint64_t bytes) { return host.Burn(kCall + std::min(bytes, kPathMax)); }

Reply PutFilestat(const HostCalls& host, uint32_t node, uint64_t at, Memory m) {
  if (!Fits(m, at, 64)) return Errno(kFault);
  std::fill_n(m.data() + at, 64, uint8_t{0});
  const FileTree::Node& n = host.files->at(node);
  Store64(m, at + 8, node + 1);  // No inode is 0.
  m[at + 16] = n.directory ? kTypeDirectory : kTypeFile;
  Store64(m, at + 24, 1);
  Store64(m, at + 32, n.bytes.size());
  return Errno(kOk);
}

// From where a file is read; an errno if it is none.
Reply ReadAt(HostCalls& host, Descriptor* d, uint64_t offset, const uint64_t* vectors, uint64_t sum_at, Memory m, uint64_t* moved) {
  if (d == nullptr) return Errno(kBadFd);
  const FileTree::Node& n = NodeOf(host, *d);
  if (n.directory) return Errno(kIsDirectory);
  std::string_view rest = n.bytes.substr(std::min<uint64_t>(offset, n.bytes.size()));
  const size_t before = rest.size();
  const Reply reply = Scatter(host, vectors[0], vectors[1], sum_at, m, rest);
  if (moved != nullptr) *moved += before - rest.size();
  return reply;
}

}  // namespace

Reply Scatter(HostCalls& host, uint64_t vectors, uint64_t count, uint64_t sum_at, Memory m, std::string_view& from) {
  if (count > kVectorsMax) return Errno(kInvalid);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t at = 0, room = 0;
    if (!Load32(m, vectors + 8 * i, at) || !Load32(m, vectors + 8 * i + 4, room) || !Fits(m, at, room)) return Errno(kFault);
    const size_t bytes = std::min<size_t>(room, from.size());
    if (!host.Burn(kCall + bytes / 16)) return Worn(host);
    std::copy_n(from.begin(), bytes, m.data() + at);
    from.remove_prefix(bytes), sum += bytes;
  }
  return Errno(Store32(m, sum_at, uint32_t(sum)) ? kOk : kFault);
}

Reply OfOpen(HostCalls& host, const uint64_t* a, size_t i, uint32_t error) {
  if (!host.Burn(kCall)) return Worn(host);
  return Errno(Open(host, a[i]) == nullptr ? uint32_t(kBadFd) : error);
}

// ---- The directory that is there from the beginning: the first such descriptor is 3, and where the list ends ----

Reply PrestatGet(HostCalls& host, const uint64_t* a, Memory m) {
  if (!host.Burn(kCall)) return Worn(host);
  if (a[0] != kFirst || Open(host, a[0]) == nullptr) return Errno(kBadFd);
  if (!Fits(m, a[1], 8)) return Errno(kFault);
  Store64(m, a[1], uint64_t{kName.size()} << 32);  // Tag 0, a directory; then the length of its name.
  return Errno(kOk);
}
Reply PrestatDirName(HostCalls& host, const uint64_t* a, Memory m) {
  if (!host.Burn(kCall)) return Worn(host);
  if (a[0] != kFirst || Open(host, a[0]) == nullptr) return Errno(kBadFd);
  if (a[2] < kName.size()) return Errno(kNameTooLong);
  if (!Fits(m, a[1], kName.size())) return Errno(kFault);
  std::copy(kName.begin(), kName.end(), m.data() + a[1]);
  return Errno(kOk);
}

// ---- Paths ----

// (fd, how, path, its bytes, what, rights, rights of what is opened in it, flags, where the descriptor goes).
Reply PathOpen(HostCalls& host, const uint64_t* a, Memory m) {
  if (!BurnPath(host, a[3])) return Worn(host);
  const Found found = Resolve(host, a[0], a[2], a[3], m);
  const uint64_t what = a[4];
  if (found.error == kNoEntry && (what & kCreate) != 0) return Errno(kReadOnly);
  if (found.error != kOk) return Errno(found.error);
  const bool directory = host.files->at(found.node).directory;
  if ((what & kCreate) != 0 && (what & kExclusive) != 0) return Errno(kExists);
  if ((what & kDirectory) != 0 && !directory) return Errno(kNotDirectory);
  if ((what & kTruncate) != 0 || (a[5] & kRightWrite) != 0) return Errno(directory ? kIsDirectory : kReadOnly);
  if (!Fits(m, a[8], 4)) return Errno(kFault);
  auto& all = host.descriptors;
  auto free = std::find(all.begin(), all.end(), std::nullopt);
  if (free == all.end()) {
    if (all.size() >= HostCalls::kDescriptorsMax) return Errno(kTooManyFiles);
    free = all.emplace(free);
  }
  *free = Descriptor{found.node, 0};
  Store32(m, a[8], uint32_t(kFirst + uint64_t(free - all.begin())));
  return Errno(kOk);
}

Reply PathFilestatGet(HostCalls& host, const uint64_t* a, Memory m) {  // (fd, how, path, its bytes, where it goes)
  if (!BurnPath(host, a[3])) return Worn(host);
  const Found found = Resolve(host, a[0], a[2], a[3], m);
  return found.error == kOk ? PutFilestat(host, found.node, a[4], m) : Errno(found.error);
}

Reply PathReadlink(HostCalls& host, const uint64_t* a, Memory m) {
  if (!BurnPath(host, a[2])) return Worn(host);
  const Found found = Resolve(host, a[0], a[1], a[2], m);
  return Errno(found.error == kOk ? uint32_t(kInvalid) : found.error);  // It is no link.
}

// ---- What is open ----

Reply FileClose(HostCalls& host, const uint64_t* a, Memory) {
  if (!host.Burn(kCall)) return Worn(host);
  if (Open(host, a[0]) == nullptr) return Errno(kBadFd);
  host.descriptors[a[0] - kFirst].reset();
  return Errno(kOk);
}

// Rights of what is opened in a directory include writing, so that a library asks for it and is told EROFS, rather than leave it out by itself.
Reply FileFdstatGet(HostCalls& host, const uint64_t* a, Memory m) {
  if (!host.Burn(kCall)) return Worn(host);
  const Descriptor* d = Open(host, a[0]);
  if (d == nullptr) return Errno(kBadFd);
  if (!Fits(m, a[1], 24)) return Errno(kFault);
  std::fill_n(m.data() + a[1], 24, uint8_t{0});
  const bool directory = NodeOf(host, *d).directory;
  m[a[1]] = directory ? kTypeDirectory : kTypeFile;
  Store64(m, a[1] + 8, directory ? kDirectoryRights : kFileRights);
  if (directory) Store64(m, a[1] + 16, kDirectoryRights | kFileRights | kRightWrite);
  return Errno(kOk);
}

Reply FileFilestatGet(HostCalls& host, const uint64_t* a, Memory m) {
  if (!host.Burn(kCall)) return Worn(host);
  const Descriptor* d = Open(host, a[0]);
  return d == nullptr ? Errno(kBadFd) : PutFilestat(host, d->node, a[1], m);
}

Reply FileRead(HostCalls& host, const uint64_t* a, Memory m) {  // (fd, vectors, how many, sum)
  if (!host.Burn(kCall)) return Worn(host);
  Descriptor* d = Open(host, a[0]);
  return ReadAt(host, d, d == nullptr ? 0 : d->at, a + 1, a[3], m, d == nullptr ? nullptr : &d->at);
}
Reply FilePread(HostCalls& host, const uint64_t* a, Memory m) {  // (fd, vectors, how many, offset, sum)
  if (!host.Burn(kCall)) return Worn(host);
  return ReadAt(host, Open(host, a[0]), a[3], a + 1, a[4], m, nullptr);
}

Reply FileSeek(HostCalls& host, const uint64_t* a, Memory m) {  // (fd, delta, from where, position)
  if (!host.Burn(kCall)) return Worn(host);
  Descriptor* d = Open(host, a[0]);
  if (d == nullptr || NodeOf(host, *d).directory) return Errno(kBadFd);
  if (a[2] > 2) return Errno(kInvalid);
  const int64_t base = a[2] == 0 ? 0 : a[2] == 1 ? int64_t(d->at) : int64_t(NodeOf(host, *d).bytes.size());
  int64_t to = 0;
  if (__builtin_add_overflow(base, int64_t(a[1]), &to) || to < 0) return Errno(kInvalid);
  if (!Store64(m, a[3], uint64_t(to))) return Errno(kFault);
  d->at = uint64_t(to);
  return Errno(kOk);
}
Reply FileTell(HostCalls& host, const uint64_t* a, Memory m) {
  if (!host.Burn(kCall)) return Worn(host);
  const Descriptor* d = Open(host, a[0]);
  if (d == nullptr || NodeOf(host, *d).directory) return Errno(kBadFd);
  return Errno(Store64(m, a[1], d->at) ? kOk : kFault);
}

// Entries one behind the other, the last cut where the buffer ends; a cookie is the number of the entry that follows.
Reply FileReaddir(HostCalls& host, const uint64_t* a, Memory m) {  // (fd, buffer, its bytes, cookie, used)
  if (!host.Burn(kCall)) return Worn(host);
  const Descriptor* d = Open(host, a[0]);
  if (d == nullptr) return Errno(kBadFd);
  const FileTree::Node& directory = NodeOf(host, *d);
  if (!directory.directory) return Errno(kNotDirectory);
  if (!Fits(m, a[1], a[2])) return Errno(kFault);
  uint64_t used = 0;
  const uint64_t all = directory.entries.size() + 2;
  for (uint64_t i = a[3]; i < all && used < a[2]; ++i) {
    const uint32_t id = i == 0 ? d->node : i == 1 ? directory.parent : directory.entries[i - 2];
    const std::string_view name = i == 0 ? "." : i == 1 ? ".." : host.files->at(id).name;
    if (!host.Burn(kCall + name.size() / 16)) return Worn(host);
    uint8_t head[24] = {};
    const uint64_t next = i + 1, inode = id + 1;
    const uint32_t bytes = uint32_t(name.size());
    std::memcpy(head, &next, 8), std::memcpy(head + 8, &inode, 8), std::memcpy(head + 16, &bytes, 4);
    head[20] = host.files->at(id).directory ? kTypeDirectory : kTypeFile;
    for (std::string_view part : {std::string_view(reinterpret_cast<const char*>(head), sizeof head), name}) {
      const uint64_t n = std::min<uint64_t>(part.size(), a[2] - used);
      std::copy_n(part.begin(), n, m.data() + a[1] + used);
      used += n;
    }
  }
  return Errno(Store32(m, a[4], uint32_t(used)) ? kOk : kFault);
}

}  // namespace orchard::wasm::wasi
