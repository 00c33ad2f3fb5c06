// JSON lines on a descriptor: what happened, when, how grave, and the labels of this process. And a counter of events.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node/base/trace.h"

namespace orchard::host {

enum class Level : uint8_t { kError, kWarn, kInfo, kDebug };
// One of the words of the key log.level.
Level ParseLevel(std::string_view word);

class TraceFile;

// `,"name":value` for each.
void AppendFields(std::string& line, absl::Span<const TraceField> fields);

class Log {
 public:
  struct Field {
    std::string_view name;
    std::string text;
  };
  // `labels` are in every line.
  Log(int fd, Level level, std::vector<std::pair<std::string, std::string>> labels);
  void Write(Level level, std::string_view event, absl::Span<const TraceField> fields);
  void Write(Level level, std::string_view event, std::initializer_list<Field> fields = {});
  bool wants(Level level) const { return level <= level_; }

 private:
  std::string Head(Level level, std::string_view event) const;
  void Put(std::string line);
  int fd_;
  Level level_;
  std::string labels_;  // JSON, ready to paste.
};

// How grave an event of the node's trace is: its life is news, its packets are for whoever debugs.
Level LevelOf(std::string_view event);

// What a daemon does with the trace.
class DaemonSink final : public Trace::Sink {
 public:
  struct Event {
    uint64_t count = 0;
    std::vector<std::pair<std::string, uint64_t>> last;  // Numbers of the newest.
  };
  // `file` may be null.
  DaemonSink(Log* log, bool count, TraceFile* file = nullptr) : log_(log), count_(count), file_(file) {}
  void Record(std::string_view event, absl::Span<const TraceField> fields) override;
  const std::map<std::string, Event, std::less<>>& events() const { return events_; }

 private:
  Log* log_;
  bool count_;
  TraceFile* file_;
  std::map<std::string, Event, std::less<>> events_;
};

}  // namespace orchard::host
