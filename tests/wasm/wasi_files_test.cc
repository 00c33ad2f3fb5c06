// Files of a site, by the calls of WASI that a guest makes, and by guests in every engine.
#include "node/wasm/wasi_files.h"

#include <gmock/gmock.h>

#include <cstring>

#include "node/wasm/cage_host.h"
#include "node/wasm/file_tree.h"
#include "tests/wasm/engines.h"

namespace orchard::wasm {
namespace {

using namespace wasi;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const cage::FileMap& Site() {
  static const auto* const files = new cage::FileMap{{"index.html", "<h1>Apples</h1>"}, {"a/x.txt", "in a"}, {"a/b/deep.txt", "deep"}, {"a-c", "before a/"}};
  return *files;
}

// A guest of which only the calls are there; its paths and buffers lie in its memory from 1024 on.
struct Guest {
  FileTree tree{Site()};
  Links links;
  HostCalls host{links, &tree};
  std::vector<uint8_t> bytes = std::vector<uint8_t>(1 << 16);
  Guest() { host.Begin(0, Key32{}, 1'000'000), host.CloseAll(); }

  uint32_t Call(std::string_view name, std::vector<uint64_t> args) {
    for (const HostFunction& f : WasiFunctions()) {
      if (f.name != name) continue;
      const Imports::Reply r = f.call(host, args.data(), Memory(bytes.data(), bytes.size()));
      EXPECT_FALSE(r.trap) << name;
      return uint32_t(r.value);
    }
    ADD_FAILURE() << name;
    return ~0u;
  }
  uint64_t Put(std::string_view text) {
    std::copy(text.begin(), text.end(), bytes.begin() + 1024);
    return 1024;
  }
  uint64_t Get(uint64_t at, size_t size = 4) const {
    uint64_t out = 0;
    std::memcpy(&out, bytes.data() + at, size);
    return out;
  }
  // The errno; the descriptor is at 16.
  uint32_t Open(std::string_view path, uint64_t what = 0, uint64_t rights = 1 << 1, uint64_t fd = 3) {
    return Call("path_open", {fd, 1, Put(path), path.size(), what, rights, 0, 0, 16});
  }
  // What is read of an open file, in two vectors: of 3 bytes, and of `size`.
  std::string Read(uint64_t fd, uint32_t size = 100) {
    const uint32_t vectors[] = {2048, 3, 3072, size};
    std::memcpy(bytes.data() + 32, vectors, sizeof vectors);
    EXPECT_EQ(Call("fd_read", {fd, 32, 2, 24}), kOk);
    const size_t sum = Get(24);
    const char* memory = reinterpret_cast<const char*>(bytes.data());
    return std::string(memory + 2048, std::min<size_t>(sum, 3)) + std::string(memory + 3072, sum - std::min<size_t>(sum, 3));
  }
  std::vector<std::string> List(uint64_t fd, uint64_t cookie = 0, uint32_t room = 4096) {
    EXPECT_EQ(Call("fd_readdir", {fd, 4096, room, cookie, 24}), kOk);
    std::vector<std::string> names;
    for (uint64_t at = 4096, end = at + Get(24); at + 24 <= end;) {
      const uint64_t name = at + 24, size = Get(at + 16);
      at = name + size;
      if (at <= end) names.emplace_back(reinterpret_cast<const char*>(bytes.data()) + name, size);
    }
    return names;
  }
};

TEST(WasiFilesTest, TheRootIsOpenFromTheBeginning) {
  Guest g;
  EXPECT_EQ(g.Call("fd_prestat_get", {3, 64}), kOk);
  EXPECT_EQ(g.Get(64), 0u);
  EXPECT_EQ(g.Get(68), 1u);
  EXPECT_EQ(g.Call("fd_prestat_dir_name", {3, 64, 1}), kOk);
  EXPECT_EQ(g.bytes[64], '/');
  EXPECT_EQ(g.Call("fd_prestat_dir_name", {3, 64, 0}), kNameTooLong);
  EXPECT_EQ(g.Call("fd_prestat_get", {4, 64}), kBadFd);
  EXPECT_EQ(g.Open("a"), kOk);
  EXPECT_EQ(g.Call("fd_prestat_get", {4, 64}), kBadFd);  // What the guest opened is none.
  EXPECT_EQ(g.Call("fd_fdstat_get", {3, 64}), kOk);
  EXPECT_EQ(g.bytes[64], 3);
}

TEST(WasiFilesTest, AFileIsReadSoughtAndClosed) {
  Guest g;
  ASSERT_EQ(g.Open("index.html"), kOk);
  const uint64_t fd = g.Get(16);
  EXPECT_EQ(fd, 4u);
  EXPECT_EQ(g.Read(fd, 2), "<h1>A");
  EXPECT_EQ(g.Call("fd_tell", {fd, 64}), kOk);
  EXPECT_EQ(g.Get(64, 8), 5u);
  EXPECT_EQ(g.Read(fd), "pples</h1>");
  EXPECT_EQ(g.Read(fd), "");
  EXPECT_EQ(g.Call("fd_seek", {fd, uint64_t(-5), 2, 64}), kOk);
  EXPECT_EQ(g.Read(fd), "</h1>");
  EXPECT_EQ(g.Call("fd_seek", {fd, 4, 0, 64}), kOk);
  EXPECT_EQ(g.Call("fd_seek", {fd, uint64_t(-1), 1, 64}), kOk);
  EXPECT_EQ(g.Get(64, 8), 3u);
  EXPECT_EQ(g.Call("fd_seek", {fd, uint64_t(-4), 1, 64}), kInvalid);
  EXPECT_EQ(g.Call("fd_seek", {fd, uint64_t(INT64_MAX), 1, 64}), kInvalid);
  EXPECT_EQ(g.Call("fd_seek", {fd, 0, 3, 64}), kInvalid);
  EXPECT_EQ(g.Call("fd_seek", {fd, 1000, 0, 64}), kOk);
  EXPECT_EQ(g.Read(fd), "");
  const uint32_t vector[] = {2048, 6};
  std::memcpy(g.bytes.data() + 32, vector, sizeof vector);
  EXPECT_EQ(g.Call("fd_pread", {fd, 32, 1, 4, 24}), kOk);
  EXPECT_EQ(std::string(g.bytes.begin() + 2048, g.bytes.begin() + 2054), "Apples");
  EXPECT_EQ(g.Call("fd_pread", {fd, 32, 1, ~uint64_t{0}, 24}), kOk);
  EXPECT_EQ(g.Get(24), 0u);
  EXPECT_EQ(g.Call("fd_filestat_get", {fd, 64}), kOk);
  EXPECT_EQ(g.bytes[80], 4);
  EXPECT_EQ(g.Get(96, 8), 15u);
  EXPECT_EQ(g.Call("fd_close", {fd}), kOk);
  EXPECT_EQ(g.Call("fd_read", {fd, 32, 1, 24}), kBadFd);
  EXPECT_EQ(g.Open("a/x.txt"), kOk);
  EXPECT_EQ(g.Get(16), fd);  // The lowest that is free.
}

TEST(WasiFilesTest, NoPathLeadsOut) {
  Guest g;
  for (const char* path : {"..", "../etc/passwd", "/etc/passwd", "/", "a/../../x", "a/b/../../../index.html", "a/../..", "./../x"}) EXPECT_EQ(g.Open(path), kNotCapable) << path;
  ASSERT_EQ(g.Open("a"), kOk);
  const uint64_t a = g.Get(16);
  for (const char* path : {"..", "../index.html", "b/../../index.html", "/index.html"}) EXPECT_EQ(g.Open(path, 0, 0, a), kNotCapable) << path;
  for (const char* path : {"a/../index.html", "./a//b/.././x.txt", "a/b/deep.txt", "a/", "."}) EXPECT_EQ(g.Open(path), kOk) << path;
  EXPECT_EQ(g.Open("x.txt", 0, 0, a), kOk);
  for (const char* path : {"", "nothing", "a/nothing", "nothing/../index.html", "INDEX.HTML"}) EXPECT_EQ(g.Open(path), kNoEntry) << path;
  for (const char* path : {"index.html/", "index.html/x", "index.html/..", "index.html/."}) EXPECT_EQ(g.Open(path), kNotDirectory) << path;
  EXPECT_EQ(g.Open(std::string_view("a\0b", 3)), kInvalid);
  EXPECT_EQ(g.Open(std::string(5000, 'x')), kNameTooLong);
  EXPECT_EQ(g.Call("path_open", {3, 1, 65000, 1000, 0, 0, 0, 0, 16}), kFault);
  EXPECT_EQ(g.Call("path_open", {3, 1, 1024, 1, 0, 0, 0, 0, 65534}), kNoEntry);
  g.Put("a");
  EXPECT_EQ(g.Call("path_open", {3, 1, 1024, 1, 0, 0, 0, 0, 65534}), kFault);
  EXPECT_EQ(g.Call("path_filestat_get", {3, 1, g.Put("../x"), 4, 64}), kNotCapable);
  EXPECT_EQ(g.Call("path_filestat_get", {3, 1, g.Put("a/b"), 3, 64}), kOk);
  EXPECT_EQ(g.bytes[80], 3);
  EXPECT_EQ(g.Call("path_readlink", {3, g.Put("index.html"), 10, 64, 10, 24}), kInvalid);
}

TEST(WasiFilesTest, NothingIsWritten) {
  Guest g;
  constexpr uint64_t kWrite = 1 << 6;
  EXPECT_EQ(g.Open("new", 1), kReadOnly);
  EXPECT_EQ(g.Open("index.html", 1), kOk);  // It is there already.
  EXPECT_EQ(g.Open("index.html", 1 | 4), kExists);
  EXPECT_EQ(g.Open("index.html", 8), kReadOnly);
  EXPECT_EQ(g.Open("index.html", 0, kWrite), kReadOnly);
  EXPECT_EQ(g.Open("a", 0, kWrite), kIsDirectory);
  EXPECT_EQ(g.Open("index.html", 2), kNotDirectory);
  const uint64_t path = g.Put("index.html");
  EXPECT_EQ(g.Call("path_create_directory", {3, path, 10}), kReadOnly);
  EXPECT_EQ(g.Call("path_unlink_file", {3, path, 10}), kReadOnly);
  EXPECT_EQ(g.Call("path_remove_directory", {3, path, 10}), kReadOnly);
  EXPECT_EQ(g.Call("path_rename", {3, path, 10, 3, path, 10}), kReadOnly);
  EXPECT_EQ(g.Call("path_link", {3, 0, path, 10, 3, path, 10}), kReadOnly);
  EXPECT_EQ(g.Call("path_symlink", {path, 10, 3, path, 10}), kReadOnly);
  EXPECT_EQ(g.Call("path_filestat_set_times", {3, 0, path, 10, 0, 0, 0}), kReadOnly);
  EXPECT_EQ(g.Call("path_unlink_file", {9, path, 10}), kBadFd);
  for (const auto& [name, args] : std::vector<std::pair<std::string, std::vector<uint64_t>>>{
           {"fd_write", {4, 32, 1, 24}}, {"fd_pwrite", {4, 32, 1, 0, 24}}, {"fd_filestat_set_size", {4, 0}}, {"fd_allocate", {4, 0, 1}}, {"fd_filestat_set_times", {4, 0, 0, 0}}}) {
    EXPECT_EQ(g.Call(name, args), kNotCapable) << name;
  }
  EXPECT_EQ(g.Call("fd_write", {77, 32, 1, 24}), kBadFd);
  EXPECT_EQ(g.tree.at(*g.tree.Find(FileTree::kRoot, "index.html")).bytes, "<h1>Apples</h1>");
}

TEST(WasiFilesTest, ADirectoryIsListedInOrderAndInPieces) {
  Guest g;
  EXPECT_THAT(g.List(3), ElementsAre(".", "..", "a", "a-c", "index.html"));
  EXPECT_THAT(g.List(3, 3), ElementsAre("a-c", "index.html"));
  EXPECT_THAT(g.List(3, 5), ElementsAre());
  EXPECT_THAT(g.List(3, ~uint64_t{0}), ElementsAre());
  EXPECT_THAT(g.List(3, 2, 24 + 1 + 24 + 2), ElementsAre("a"));  // The second name is cut; the buffer is full, so there is more.
  EXPECT_EQ(g.Get(24), 51u);
  EXPECT_EQ(g.Get(4096, 8), 3u);
  EXPECT_EQ(g.bytes[4096 + 20], 3);
  ASSERT_EQ(g.Open("a/b"), kOk);
  EXPECT_THAT(g.List(g.Get(16)), ElementsAre(".", "..", "deep.txt"));
  ASSERT_EQ(g.Open("index.html"), kOk);
  EXPECT_EQ(g.Call("fd_readdir", {g.Get(16), 4096, 100, 0, 24}), kNotDirectory);
  EXPECT_EQ(g.Call("fd_readdir", {3, 65000, 5000, 0, 24}), kFault);
  EXPECT_EQ(g.Call("fd_read", {3, 32, 1, 24}), kIsDirectory);
  EXPECT_EQ(g.Call("fd_seek", {3, 0, 0, 64}), kBadFd);
}

TEST(WasiFilesTest, DescriptorsAndFuelEnd) {
  Guest g;
  for (size_t i = 1; i < HostCalls::kDescriptorsMax; ++i) ASSERT_EQ(g.Open("index.html"), kOk) << i;
  EXPECT_EQ(g.Open("index.html"), kTooManyFiles);
  EXPECT_EQ(g.Call("fd_close", {100}), kOk);
  EXPECT_EQ(g.Open("index.html"), kOk);
  EXPECT_EQ(g.Get(16), 100u);
  const uint64_t before = g.host.fuel;
  EXPECT_EQ(g.Open("nothing"), kNoEntry);
  EXPECT_EQ(g.host.fuel - before, kCall + 7);
  // A guest that looks in a loop ends.
  g.host.Begin(0, Key32{}, 1000);
  uint64_t args[] = {3, 1, 1024, 7, 64};
  size_t looks = 0;
  for (const HostFunction& f : WasiFunctions()) {
    if (f.name != "path_filestat_get") continue;
    while (!f.call(g.host, args, Memory(g.bytes.data(), g.bytes.size())).trap && looks < 1000) ++looks;
  }
  EXPECT_EQ(looks, 1000 / (kCall + 7));
}

TEST(WasiFilesTest, WithoutFilesThereIsNoDirectory) {
  Links links;
  HostCalls host(links);
  host.Begin(0, Key32{}, 1'000'000), host.CloseAll();
  std::vector<uint8_t> bytes(4096);
  const uint64_t args[9] = {3, 0, 0, 1};
  for (const HostFunction& f : WasiFunctions()) {
    if (f.name == "fd_prestat_get" || f.name == "path_open" || f.name == "path_filestat_get" || f.name == "fd_readdir" || f.name == "path_unlink_file") {
      EXPECT_EQ(f.call(host, args, Memory(bytes.data(), bytes.size())).value, kBadFd) << f.name;
    }
  }
}

class WasiGuestTest : public EngineTest {
 protected:
  std::string Ask(const std::string& module, const std::string& target, const cage::FileMap* files = &Site()) {
    CageHost host(Make());
    const auto loaded = host.Load({.name = module, .limits = limits_, .directory = "", .files = files == nullptr ? "" : cage::EncodeFiles(*files)});
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    if (!loaded.ok()) return "";
    EXPECT_TRUE(host.Spawn({.cage = 1, .module = loaded->module, .limits = limits_, .files = loaded->files}).ok());
    const cage::RunArgs args{.cage = 1, .request = {.method = "GET", .target = target, .authority = "a", .scheme = "http", .remote = "10.0.0.1:1"}};
    const cage::RunResult first = host.Run(args), second = host.Run(args);
    EXPECT_EQ(first.cause, cage::Cause::kNone) << first.detail;
    EXPECT_EQ(first.answer, second.answer);
    EXPECT_EQ(first.fuel, second.fuel);
    EXPECT_FALSE(host.ForgetFiles(loaded->files)) << "a cage has them";
    host.Stop(1);
    EXPECT_EQ(host.ForgetFiles(loaded->files), files != nullptr);
    fuel_ = first.fuel;
    return first.answer;
  }
  const cage::Limits limits_{.memory_bytes = 16 << 20, .timeout_ms = 100};
  uint64_t fuel_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Engines, WasiGuestTest, testing::ValuesIn(EngineNames()), [](const auto& info) { return info.param; });

TEST_P(WasiGuestTest, AGuestOnWasiLibcServesFiles) {
  EXPECT_EQ(Ask("example:files.wasm", "/"), "Content-Type: text/html; charset=utf-8\n\n<h1>Apples</h1>");
  EXPECT_EQ(Ask("example:files.wasm", "/a/x.txt"), "Content-Type: text/plain; charset=utf-8\n\nin a");
  EXPECT_EQ(Ask("example:files.wasm", "/a/../a/b/./deep.txt?q"), "Content-Type: text/plain; charset=utf-8\n\ndeep");
  EXPECT_THAT(Ask("example:files.wasm", "/a"), HasSubstr("Location: ./a/\n"));
  for (const char* target : {"/a/", "/nothing", "/../etc/passwd", "/%2e%2e/etc/passwd", "//etc/passwd", "/a/../../index.html", "/index.html/"}) {
    EXPECT_THAT(Ask("example:files.wasm", target), StartsWith("Status: 404")) << target;
  }
  EXPECT_THAT(Ask("example:files.wasm", "/", nullptr), StartsWith("Status: 404"));
}

TEST_P(WasiGuestTest, AFileOfMegabytesComesWhole) {
  std::string big(3 << 20, 0);
  for (size_t i = 0; i < big.size(); ++i) big[i] = char(i * 7 + i / 1000);
  const cage::FileMap files = {{"big", big}};
  EXPECT_TRUE(Ask("example:files.wasm", "/big", &files) == "Content-Type: application/octet-stream\n\n" + big);
  EXPECT_GT(fuel_, 2 * big.size() / 16);
}

TEST_P(WasiGuestTest, WhoLooksForAWayOutFindsTheFilesAndNoMore) {
  EXPECT_EQ(Ask("example:snoop.wasm", "/"),
            "Content-Type: text/plain\n\nopen -1\ncreate -1\nstat 0\nopendir 1\nmkdir -1\nunlink -1\nread 3 -1\nread 4 -1\nread 5 -1\nread 6 -1\nread 7 -1\naccept -1\nsend -1\n");
}

TEST_P(WasiGuestTest, ADirectoryIsNoBusinessOfThisHost) {
  CageHost host(Make());
  EXPECT_THAT(std::string(host.Load({.name = "example:files.wasm", .directory = "/srv"}).status().message()), HasSubstr("/srv is a directory"));
  EXPECT_THAT(std::string(host.Load({.name = "example:files.wasm", .files = "x"}).status().message()), testing::Not(testing::IsEmpty()));
  const auto loaded = host.Load({.name = "example:files.wasm"});
  EXPECT_EQ(host.Spawn({.cage = 1, .module = loaded->module, .files = Key32{1}}).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace orchard::wasm
