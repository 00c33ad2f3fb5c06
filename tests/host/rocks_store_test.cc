#include "node/host/rocks_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/store_suite.h"
#include "tests/support/temp_dir.h"

namespace orchard {

namespace fs = std::filesystem;
using host::RocksStore;

class RocksStoreDriver {
 public:
  RocksStoreDriver() { Open(); }
  HostStore& store() { return *store_; }
  HostStore::Committed Commit(Digest* digest) {
    auto c = store_->Commit(digest);
    EXPECT_TRUE(store_->Flush().ok());
    return c;
  }
  void MakeDurable() {
    store_->RequestSync(++ticket_);
    while (*store_->synced() < ticket_) {
      pollfd p{.fd = store_->sync_fd(), .events = POLLIN};
      ASSERT_GT(poll(&p, 1, 20'000), 0);
      store_->ClearSyncEvent();
    }
    durable_bytes_ = fs::file_size(Log());
  }
  void KillProcess() { Open(); }
  // What power loss leaves of a log: all that was synced, and some of what was not, torn in the middle of a record.
  void PowerLoss() {
    fs::path log = Log();
    uint64_t all = fs::file_size(log);
    store_.reset();
    ASSERT_GT(all, durable_bytes_);
    fs::resize_file(log, durable_bytes_ + (all - durable_bytes_) * 2 / 3 + 5);
    Open();
  }
  void FillDisk() { free_ = RocksStore::kReserveBytes; Open(); }

 private:
  void Open() {
    store_.reset();
    auto opened = RocksStore::Open(dir_.path(), {.free_bytes = [this] { return free_; }});
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened), ticket_ = 0;
  }
  fs::path Log() {
    fs::path newest;
    for (const auto& e : fs::directory_iterator(dir_.path())) {
      if (e.path().extension() == ".log" && e.path() > newest) newest = e.path();
    }
    return newest;
  }
  TempDir dir_;
  uint64_t free_ = uint64_t{1} << 40, durable_bytes_ = 0, ticket_ = 0;
  std::unique_ptr<RocksStore> store_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Rocks, StoreSuite, RocksStoreDriver);

namespace {

// Another process, for kill -9: this program again, which writes turns of two keys each and reports them until it dies.
constexpr char kChild[] = "ORCHARD_TEST_STORE_CHILD";
[[noreturn]] void WriteUntilKilled(const char* dir) {
  auto store = RocksStore::Open(dir);
  if (!store.ok()) _exit(1);
  for (int i = 0;; ++i) {
    std::string k = std::to_string(100'000 + i);
    (*store)->Put(AsBytes("left" + k), AsBytes("x")), (*store)->Put(AsBytes("right" + k), AsBytes("y"));
    (*store)->Commit(nullptr);
    if (!(*store)->Flush().ok()) _exit(2);
    k += "\n";
    if (write(1, k.data(), k.size()) < 0) _exit(3);
  }
}
[[maybe_unused]] const bool kIsChild = [] {
  if (const char* dir = std::getenv(kChild)) WriteUntilKilled(dir);
  return false;
}();

TEST(RocksStoreTest, KillMinusNineLosesNoTurnWhoseOutputsLeft) {
  TempDir dir;
  int out[2];
  ASSERT_EQ(pipe(out), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_addclose(&actions, out[0]);
  std::string variable = std::string(kChild) + "=" + dir.path();
  char* argv[] = {const_cast<char*>("child"), nullptr};
  char* environment[] = {variable.data(), nullptr};
  pid_t child = 0;
  ASSERT_EQ(posix_spawn(&child, "/proc/self/exe", &actions, nullptr, argv, environment), 0);
  posix_spawn_file_actions_destroy(&actions);
  close(out[1]);
  std::string seen;
  char buffer[4096];
  while (seen.size() < 7 * 500) {
    ssize_t n = read(out[0], buffer, sizeof buffer);
    ASSERT_GT(n, 0) << "the child died early";
    seen.append(buffer, size_t(n));
  }
  ASSERT_EQ(kill(child, SIGKILL), 0);
  for (ssize_t n; (n = read(out[0], buffer, sizeof buffer)) > 0;) seen.append(buffer, size_t(n));
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  close(out[0]);
  size_t turns = size_t(std::count(seen.begin(), seen.end(), '\n'));

  auto store = RocksStore::Open(dir.path());
  ASSERT_TRUE(store.ok()) << store.status();
  size_t left = 0, right = 0;
  (*store)->Scan(AsBytes("left"), AsBytes("lefu"), [&](Bytes, Bytes) { return ++left, true; });
  (*store)->Scan(AsBytes("right"), AsBytes("righu"), [&](Bytes, Bytes) { return ++right, true; });
  EXPECT_GE(left, turns);
  EXPECT_EQ(left, right);
}

TEST(RocksStoreTest, ADamagedStoreIsAClearErrorAndStaysAsItIs) {
  TempDir dir;
  {
    auto store = RocksStore::Open(dir.path());
    ASSERT_TRUE(store.ok());
    (*store)->Put(AsBytes("a"), AsBytes("1")), (*store)->Commit(nullptr);
    ASSERT_TRUE((*store)->Flush().ok());
  }
  fs::path manifest;
  for (const auto& e : fs::directory_iterator(dir.path())) {
    if (e.path().filename().string().starts_with("MANIFEST")) manifest = e.path();
  }
  std::string good;
  {
    std::ifstream in(manifest, std::ios::binary);
    good.assign(std::istreambuf_iterator<char>(in), {});
  }
  std::string bad = good;
  for (size_t i = 0; i < 20; ++i) bad[i] = char(bad[i] ^ 0x55);
  std::ofstream(manifest, std::ios::binary) << bad;
  auto damaged = RocksStore::Open(dir.path());
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.status().code(), absl::StatusCode::kDataLoss) << damaged.status();
  EXPECT_THAT(std::string(damaged.status().message()), testing::HasSubstr(dir.path()));
  // Nothing was lost: with the file as it was, all is there.
  std::ofstream(manifest, std::ios::binary) << good;
  auto store = RocksStore::Open(dir.path());
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(AsText(*(*store)->Get(AsBytes("a"))), "1");
}

TEST(RocksStoreTest, ADiskThatFillsUpStopsTheNextFlushAndLosesNoEarlierTurn) {
  TempDir dir;
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small{.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
  size_t flushed = 0;
  absl::Status status;
  {
    auto store = RocksStore::Open(dir.path());
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (; flushed < 100; ++flushed) {
      (*store)->Put(AsBytes(std::to_string(1000 + flushed)), AsBytes(std::string(50'000, 'x'))), (*store)->Commit(nullptr);
      if (status = (*store)->Flush(); !status.ok()) break;
    }
    EXPECT_EQ((*store)->Flush(), status);  // It stays so.
  }
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("free some space"));
  EXPECT_GT(flushed, 5u);
  // The abandoned store holds its lock as long as this process lives; its files are what another would find.
  TempDir copy;
  fs::copy(dir.path(), copy.path(), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  auto store = RocksStore::Open(copy.path());
  ASSERT_TRUE(store.ok()) << store.status();
  size_t found = 0;
  (*store)->Scan(AsBytes("1"), AsBytes("2"), [&](Bytes, Bytes) { return ++found, true; });
  EXPECT_EQ(found, flushed);
}

TEST(RocksStoreTest, ManySyncsShareOne) {
  TempDir dir;
  auto store = RocksStore::Open(dir.path());
  ASSERT_TRUE(store.ok());
  for (uint64_t i = 1; i <= 100; ++i) {
    (*store)->Put(AsBytes(std::to_string(i)), AsBytes("x")), (*store)->Commit(nullptr);
    ASSERT_TRUE((*store)->Flush().ok());
    (*store)->RequestSync(i);
  }
  while (*(*store)->synced() < 100) {
    pollfd p{.fd = (*store)->sync_fd(), .events = POLLIN};
    ASSERT_GT(poll(&p, 1, 20'000), 0);
    (*store)->ClearSyncEvent();
  }
  EXPECT_EQ(*(*store)->synced(), 100u);
}

}  // namespace
}  // namespace orchard
