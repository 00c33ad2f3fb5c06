#include "node/host/rocks_store.h"

#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/utilities/write_batch_with_index.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/base/status_macros.h"

namespace orchard::host {
namespace {

constexpr uint32_t kRoomAskedMax = 256;  // A stale answer is at most this many questions or a megabyte old.
constexpr size_t kReadKeptMax = 64;      // Pinned reads kept for reuse.

rocksdb::Slice S(Bytes b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }
Bytes B(const rocksdb::Slice& s) { return {reinterpret_cast<const uint8_t*>(s.data()), s.size()}; }

absl::Status DiskFull(const std::string& directory, const std::string& why) {
  return absl::ResourceExhaustedError(absl::StrCat("the disk of ", directory, " is full (", why, "); free some space and start again, nothing is lost"));
}

absl::Status ToStatus(const rocksdb::Status& s, const std::string& directory) {
  if (s.ok()) return absl::OkStatus();
  // A file-size limit (setrlimit(2)) is a full disk too, but RocksDB has no code for it.
  if (s.IsNoSpace() || s.ToString().find("File too large") != std::string::npos) return DiskFull(directory, s.ToString());
  if (s.IsCorruption()) {
    return absl::DataLossError(absl::StrCat("the store in ", directory, " is damaged (", s.ToString(), "); nothing was changed. Restore a copy of it, or move it away to begin anew with a new identity"));
  }
  return absl::UnavailableError(absl::StrCat("the store in ", directory, ": ", s.ToString()));
}

// Debian's RocksDB is built with assertions, and one of them aborts where opening a store fails to write. So write first.
absl::Status ProbeDisk(const std::string& directory) {
  constexpr size_t kProbeBytes = 256 << 10;
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoStatus(errno, absl::StrCat("cannot make ", directory));
  const std::string file = directory + "/probe.tmp";
  Fd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("cannot write to ", directory));
  const std::string bytes(kProbeBytes, 'p');
  ssize_t n = write(fd.get(), bytes.data(), bytes.size());
  int error = n < 0 ? errno : ENOSPC;  // A short write is a disk that filled up on the way.
  unlink(file.c_str());
  if (n == ssize_t(bytes.size())) return absl::OkStatus();
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) return DiskFull(directory, std::strerror(error));
  return ErrnoStatus(error, absl::StrCat("cannot write to ", directory));
}

}  // namespace

absl::StatusOr<std::unique_ptr<RocksStore>> RocksStore::Open(const std::string& directory, Options options) {
  RETURN_IF_ERROR(ProbeDisk(directory));
  rocksdb::Options o;
  o.create_if_missing = true;
  o.paranoid_checks = true;
  // A log that ends in the middle of a record is what power loss leaves: what precedes it counts.
  o.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // A node's store is megabytes: small buffers, few files, little chatter.
  o.write_buffer_size = 4 << 20;
  o.max_total_wal_size = 16 << 20;
  o.max_open_files = 128;
  o.keep_log_file_num = 2;
  o.max_log_file_size = 1 << 20;
  o.info_log_level = rocksdb::InfoLogLevel::ERROR_LEVEL;
  o.stats_dump_period_sec = 0;
  o.stats_persist_period_sec = 0;
  o.compression = rocksdb::kNoCompression;
  rocksdb::DB* db = nullptr;
  if (rocksdb::Status s = rocksdb::DB::Open(o, directory, &db); !s.ok()) return ToStatus(s, directory);
  return std::unique_ptr<RocksStore>(new RocksStore(directory, std::move(options), std::unique_ptr<rocksdb::DB>(db)));
}

RocksStore::RocksStore(std::string directory, Options options, std::unique_ptr<rocksdb::DB> db)
    : directory_(std::move(directory)), options_(std::move(options)), db_(std::move(db)),
      batch_(std::make_unique<rocksdb::WriteBatchWithIndex>(rocksdb::BytewiseComparator(), 0, /*overwrite_key=*/true)),
      room_asked_(kRoomAskedMax), sync_event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  CHECK(sync_event_.ok());
  syncer_ = std::thread([this] { SyncLoop(); });
}

RocksStore::~RocksStore() {
  {
    std::lock_guard lock(mutex_);
    quit_ = true;
  }
  wake_.notify_one();
  syncer_.join();
  // To close a store that failed is to write to it again, which aborts; the system closes its files.
  static auto& abandoned = *new std::vector<std::unique_ptr<rocksdb::DB>>;
  if (!failed_.ok() || !sync_status_.ok()) abandoned.push_back(std::move(db_));
}

void RocksStore::Fail(absl::Status status) {
  if (failed_.ok()) failed_ = std::move(status);
}

std::optional<Bytes> RocksStore::Get(Bytes key) {
  if (read_used_ == read_.size()) read_.push_back(std::make_unique<rocksdb::PinnableSlice>());
  rocksdb::PinnableSlice& out = *read_[read_used_];
  rocksdb::Status s = unflushed_ || !turn_keys_.empty() ? batch_->GetFromBatchAndDB(db_.get(), {}, S(key), &out)
                                                        : db_->Get({}, db_->DefaultColumnFamily(), S(key), &out);
  if (s.IsNotFound()) return std::nullopt;
  // To say "there is none" of a key that cannot be read would have a node make itself a new identity. The turn's outputs
  // never leave: Flush() fails.
  if (!s.ok()) return Fail(ToStatus(s, directory_)), std::nullopt;
  ++read_used_;
  return B(out);
}

void RocksStore::Put(Bytes key, Bytes value) {
  batch_->Put(S(key), S(value));
  turn_keys_.emplace_back(AsText(key));
  room_ -= std::min<uint64_t>(room_, key.size() + value.size());
}

void RocksStore::Erase(Bytes key) {
  batch_->Delete(S(key));
  turn_keys_.emplace_back(AsText(key));
}

void RocksStore::Scan(Bytes from, Bytes to, absl::FunctionRef<bool(Bytes, Bytes)> visit) {
  rocksdb::ReadOptions options;
  rocksdb::Slice end = S(to);
  options.iterate_upper_bound = &end;
  std::unique_ptr<rocksdb::Iterator> it(batch_->NewIteratorWithBase(db_->NewIterator(options)));
  for (it->Seek(S(from)); it->Valid() && it->key().compare(end) < 0; it->Next()) {
    if (!visit(B(it->key()), B(it->value()))) return;
  }
  if (!it->status().ok()) Fail(ToStatus(it->status(), directory_));
}

uint64_t RocksStore::room_bytes() const {
  if (++room_asked_ > kRoomAskedMax || room_ < (1 << 20)) {
    room_asked_ = 0;
    uint64_t free = 0;
    struct statvfs fs;
    if (options_.free_bytes) free = options_.free_bytes();
    else if (statvfs(directory_.c_str(), &fs) == 0) free = uint64_t(fs.f_bavail) * fs.f_frsize;
    room_ = free > kReserveBytes ? free - kReserveBytes : 0;
  }
  return room_;
}

HostStore::Committed RocksStore::Commit(Digest* digest) {
  Committed result{.any = !turn_keys_.empty(), .sync = std::exchange(sync_, false)};
  if (result.any && digest != nullptr) {
    for (const std::string& key : turn_keys_) {
      auto now = Get(AsBytes(key));
      digest->Add(AsBytes(key));
      digest->Add(now ? *now : Bytes());
    }
  }
  for (size_t i = 0; i < read_used_; ++i) read_[i]->Reset();
  if (read_.size() > kReadKeptMax) read_.resize(kReadKeptMax);
  read_used_ = 0;
  unflushed_ |= result.any;
  turn_keys_.clear();
  return result;
}

absl::Status RocksStore::Flush() {
  if (!failed_.ok()) return failed_;
  if (!unflushed_) return absl::OkStatus();
  CHECK(turn_keys_.empty());  // Whole turns only.
  if (rocksdb::Status s = db_->Write({}, batch_->GetWriteBatch()); !s.ok()) return Fail(ToStatus(s, directory_)), failed_;
  batch_->Clear();
  unflushed_ = false;
  return absl::OkStatus();
}

void RocksStore::RequestSync(uint64_t ticket) {
  {
    std::lock_guard lock(mutex_);
    wanted_ = ticket;
  }
  wake_.notify_one();
}

absl::StatusOr<uint64_t> RocksStore::synced() const {
  std::lock_guard lock(mutex_);
  if (!sync_status_.ok()) return sync_status_;
  return done_;
}

void RocksStore::ClearSyncEvent() {
  uint64_t n;
  [[maybe_unused]] ssize_t got = read(sync_event_.get(), &n, sizeof n);
}

void RocksStore::SyncLoop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return quit_ || wanted_ > done_; });
    if (quit_) return;
    uint64_t ticket = wanted_;
    lock.unlock();
    rocksdb::Status s = db_->SyncWAL();
    lock.lock();
    done_ = ticket;
    if (!s.ok() && sync_status_.ok()) sync_status_ = ToStatus(s, directory_);
    uint64_t one = 1;
    [[maybe_unused]] ssize_t put = write(sync_event_.get(), &one, sizeof one);
  }
}

}  // namespace orchard::host
