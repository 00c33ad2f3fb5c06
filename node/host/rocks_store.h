// The store on a real disk: RocksDB. Turns are written to the log as they are flushed, at most a batch of turns at a time, so
// they survive the death of the process; a thread of its own makes them survive power loss.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "node/base/turn_runner.h"
#include "node/host/os.h"

namespace rocksdb {
class DB;
class PinnableSlice;
class WriteBatchWithIndex;
}  // namespace rocksdb

namespace orchard::host {

class RocksStore final : public HostStore {
 public:
  // Room that is never handed out: compaction writes files before it deletes others, and the log must not fail.
  static constexpr uint64_t kReserveBytes = 64 << 20;

  struct Options {
    // Free bytes of the disk that holds the directory; null: statvfs(3).
    std::function<uint64_t()> free_bytes;
  };
  // Creates the directory if need be. A damaged store is an error and stays as it is.
  static absl::StatusOr<std::unique_ptr<RocksStore>> Open(const std::string& directory, Options options);
  static absl::StatusOr<std::unique_ptr<RocksStore>> Open(const std::string& directory) { return Open(directory, Options()); }
  ~RocksStore() override;

  std::optional<Bytes> Get(Bytes key) override;
  void Put(Bytes key, Bytes value) override;
  void Erase(Bytes key) override;
  void Scan(Bytes from, Bytes to, absl::FunctionRef<bool(Bytes, Bytes)> visit) override;
  void Sync() override { sync_ = true; }
  uint64_t room_bytes() const override;
  Committed Commit(Digest* digest) override;

  // Writes all committed turns to the log, as one batch. After an error, of this or of an earlier read, nothing more is
  // written: the process must end before any output of those turns leaves.
  absl::Status Flush();

  // Asks the other thread for a sync of all that was flushed; `ticket` grows. Many requests share one fsync.
  void RequestSync(uint64_t ticket);
  // The newest ticket that is done. An error is final.
  absl::StatusOr<uint64_t> synced() const;
  // Readable when synced() may have changed.
  int sync_fd() const { return sync_event_.get(); }
  void ClearSyncEvent();

 private:
  RocksStore(std::string directory, Options options, std::unique_ptr<rocksdb::DB> db);
  void SyncLoop();
  void Fail(absl::Status status);

  std::string directory_;
  Options options_;
  std::unique_ptr<rocksdb::DB> db_;
  std::unique_ptr<rocksdb::WriteBatchWithIndex> batch_;           // Turns since the last flush, and this one.
  std::vector<std::unique_ptr<rocksdb::PinnableSlice>> read_;     // What this turn read, as long as it may look at it.
  size_t read_used_ = 0;
  std::vector<std::string> turn_keys_;  // This turn's, in the order written.
  bool sync_ = false, unflushed_ = false;
  absl::Status failed_;
  mutable uint64_t room_ = 0;
  mutable uint32_t room_asked_ = 0;     // Since statvfs was; it costs a system call.

  Fd sync_event_;
  mutable std::mutex mutex_;            // Guards what follows.
  std::condition_variable wake_;
  uint64_t wanted_ = 0, done_ = 0;
  absl::Status sync_status_;
  bool quit_ = false;
  std::thread syncer_;
};

}  // namespace orchard::host
