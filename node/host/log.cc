#include "node/host/log.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "node/host/ipc_server.h"
#include "node/host/trace_file.h"

namespace orchard::host {
namespace {

constexpr std::string_view kLevels[] = {"error", "warn", "info", "debug"};
// Of the node's trace; the rest is debug.
constexpr std::string_view kNews[] = {"dht.bootstrapped", "dht.ephemeral", "dht.heal", "dht.joined", "dht.persistent", "dht.probed", "pod.formed", "pod.left", "pod.proxy.failed",
                                      "cage.admin", "cage.directory", "cage.listening", "cage.loaded", "cage.served", "cage.stopped"};
constexpr std::string_view kWarnings[] = {"pod.proxy.unbound", "pod.stranger", "cage.admin_unbound", "cage.unbound", "cage.crashed", "cage.gave_up", "cage.breaker"};

std::string Now() {
  timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  tm utc;
  gmtime_r(&t.tv_sec, &utc);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  return absl::StrFormat("%s.%03dZ", text, t.tv_nsec / 1'000'000);  // RFC 3339.
}

}  // namespace

Level ParseLevel(std::string_view word) { return Level(std::find(std::begin(kLevels), std::end(kLevels), word) - std::begin(kLevels)); }

Level LevelOf(std::string_view event) {
  if (std::find(std::begin(kWarnings), std::end(kWarnings), event) != std::end(kWarnings)) return Level::kWarn;
  return std::find(std::begin(kNews), std::end(kNews), event) != std::end(kNews) ? Level::kInfo : Level::kDebug;
}

void AppendFields(std::string& line, absl::Span<const TraceField> fields) {
  for (const TraceField& f : fields) {
    absl::StrAppend(&line, ",", QuoteJson(f.name), ":");
    if (f.bytes.data() == nullptr) absl::StrAppend(&line, f.number);
    // Ids are 32 bytes; other bytes are texts if they read as one.
    else if (f.bytes.size() != 32 && IsPrintableUtf8(f.bytes)) line += QuoteJson(AsText(f.bytes));
    else absl::StrAppend(&line, "\"", ToHex(f.bytes), "\"");
  }
}

Log::Log(int fd, Level level, std::vector<std::pair<std::string, std::string>> labels) : fd_(fd), level_(level) {
  for (const auto& [name, text] : labels) labels_ += absl::StrCat(labels_.empty() ? "" : ",", QuoteJson(name), ":", QuoteJson(text));
}

std::string Log::Head(Level level, std::string_view event) const {
  return absl::StrCat("{\"ts\":\"", Now(), "\",\"level\":\"", std::string(kLevels[size_t(level)]), "\",\"event\":", QuoteJson(event), ",\"labels\":{", labels_, "}");
}

void Log::Write(Level level, std::string_view event, absl::Span<const TraceField> fields) {
  if (!wants(level)) return;
  std::string line = Head(level, event);
  AppendFields(line, fields);
  Put(std::move(line));
}

void Log::Write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  if (!wants(level)) return;
  std::string line = Head(level, event);
  for (const Field& f : fields) absl::StrAppend(&line, ",", QuoteJson(f.name), ":", QuoteJson(f.text));
  Put(std::move(line));
}

void Log::Put(std::string line) {
  line += "}\n";
  [[maybe_unused]] ssize_t n = write(fd_, line.data(), line.size());  // One call a line: lines of two writers never mix.
}

void DaemonSink::Record(std::string_view event, absl::Span<const TraceField> fields) {
  if (Level level = log_->wants(Level::kDebug) ? Level::kDebug : LevelOf(event); log_->wants(level)) log_->Write(LevelOf(event), event, fields);
  if (file_ != nullptr) file_->Write(event, fields, *log_);
  if (!count_) return;
  auto it = events_.find(event);
  if (it == events_.end()) it = events_.try_emplace(std::string(event)).first;
  Event& e = it->second;
  ++e.count;
  size_t n = 0;
  for (const TraceField& f : fields) {
    if (f.bytes.data() != nullptr) continue;
    if (n == e.last.size()) e.last.emplace_back(f.name, 0);
    e.last[n++].second = f.number;
  }
}

}  // namespace orchard::host
