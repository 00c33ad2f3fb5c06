// Ordered memory with the faults of a real disk: it remembers how to undo what was not yet synced, and how much room is left.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "node/base/turn_runner.h"

namespace orchard {

class MemStore final : public HostStore {
 public:
  // Older un-synced turns than these count as written back by the operating system, so the log of undos stays bounded.
  static constexpr size_t kUnsyncedTurnsMax = 1024;

  std::optional<Bytes> Get(Bytes key) override;
  void Put(Bytes key, Bytes value) override;
  void Erase(Bytes key) override;
  void Scan(Bytes from, Bytes to, absl::FunctionRef<bool(Bytes, Bytes)> visit) override;
  void Sync() override { sync_ = true; }
  uint64_t room_bytes() const override { return capacity_bytes_ > used_bytes_ ? capacity_bytes_ - used_bytes_ : 0; }

  Committed Commit(Digest* digest) override;

  // Turns committed so far; what StartSync() must make safe.
  uint64_t turns() const { return turns_; }
  // All turns up to `turns` now survive power loss.
  void Synced(uint64_t turns);
  size_t unsynced_turns() const { return undo_.size(); }
  // Undoes the newest `lose` un-synced turns, whole turns only.
  void PowerLoss(size_t lose);
  // Everything is gone, as on a new disk.
  void Wipe();
  // The disk's size as it seems from now on; less than used_bytes() means full.
  void set_capacity_bytes(uint64_t bytes) { capacity_bytes_ = bytes; }
  uint64_t used_bytes() const { return used_bytes_; }

 private:
  struct Undo {
    uint64_t turn;
    std::vector<std::pair<std::string, std::optional<std::string>>> old;
  };
  void Remember(const std::string& key);

  std::map<std::string, std::string, std::less<>> map_;
  std::vector<std::pair<std::string, std::optional<std::string>>> turn_;  // This turn's undos, in the order written.
  std::vector<Undo> undo_;                                                // Oldest first.
  uint64_t turns_ = 0, used_bytes_ = 0, capacity_bytes_ = uint64_t{1} << 40;
  bool sync_ = false;
};

}  // namespace orchard
