#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "node/apps/cli.h"
#include "node/apps/get_fetch.h"
#include "node/crypto/sha256.h"
#include "node/host/os.h"
#include "node/http/url.h"
#include <nlohmann/json.hpp>

namespace orchard::cli {
namespace {

using Json = nlohmann::ordered_json;

int Say(int status, const std::string& message) { return std::fprintf(stderr, "orchard: %s\n", message.c_str()), status; }

std::string Text(const Json& o, const char* name) { return o.is_object() && o.contains(name) && o[name].is_string() ? o[name].get<std::string>() : ""; }

// The data of an operation's last event; null, and `why`, if it said no.
Json Ask(int fd, std::string_view operation, std::string& why) {
  const Json event = Json::parse(AskDaemon(fd, operation), nullptr, false);
  if (!event.is_object() || !event.contains("data")) return why = "the node ended before it answered", Json();
  if (Text(event, "tag") != "final") return why = Text(event["data"], "message"), Json();
  return event["data"];
}

std::string Size(double bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t u = 0;
  for (; bytes >= 1000 && u + 1 < std::size(units); ++u) bytes /= 1024;
  return absl::StrFormat("%.*f %s", u == 0 ? 0 : 1, bytes, units[u]);
}

std::string Short(const std::string& id) { return id == "own" ? "own line" : absl::StrCat("member ", id.substr(0, 8)); }

// Lines that are drawn over themselves, on a terminal.
class Progress {
 public:
  Progress(bool json, bool terminal) : json_(json), terminal_(terminal) {}
  void Show(uint64_t bytes, std::optional<uint64_t> size, const std::map<std::string, uint64_t>& by) {
    const double now = Now();
    if (json_ && now - shown_ >= 0.5) {
      shown_ = now;
      Json data = {{"bytes", bytes}, {"size", size.has_value() ? Json(*size) : Json()}, {"uplinks", Json::object()}};
      for (const auto& [id, n] : by) data["uplinks"][id] = n;
      std::printf("%s\n", Json{{"tag", "progress"}, {"data", data}}.dump().c_str());
      std::fflush(stdout);
    }
    if (json_ || !terminal_) return;
    Clear();
    constexpr size_t kWidth = 30;
    auto bar = [&](double share) { const size_t n = size_t(share * kWidth + 0.5); return std::string(std::min(n, kWidth), '#') + std::string(kWidth - std::min(n, kWidth), '.'); };
    const double done = size.has_value() && *size > 0 ? double(bytes) / double(*size) : 0;
    const double rate = now > began_ ? double(bytes) / (now - began_) : 0;
    std::string text = absl::StrFormat("%-16s %s %3.0f %%  %s of %s  %s/s\n", "all", bar(done), 100 * done, Size(double(bytes)), size.has_value() ? Size(double(*size)) : "?", Size(rate));
    lines_ = 1;
    for (const auto& [id, n] : by) {
      const double share = bytes > 0 ? double(n) / double(bytes) : 0;
      text += absl::StrFormat("%-16s %s %3.0f %%  %s\n", Short(id), bar(share), 100 * share, Size(double(n)));
      ++lines_;
    }
    std::fputs(text.c_str(), stderr);
  }
  void Clear() {
    for (; lines_ > 0; --lines_) std::fputs("\x1b[1A\x1b[2K", stderr);
  }
  double seconds() const { return Now() - began_; }

 private:
  static double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
  bool json_, terminal_;
  double began_ = Now(), shown_ = 0;
  size_t lines_ = 0;
};

// FILE.part, for us alone; `status` and why not are said.
host::Fd OpenPart(const std::string& output, int& status) {
  const std::string part = output + ".part";
  status = kEnvironment;
  struct stat there{};
  if (stat(output.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) return status = Say(kWrongInput, absl::StrCat(output, " is there, and is no file: say where it shall go, with -o FILE")), host::Fd();
  const auto refuse = [&](std::string_view why) { return Say(0, absl::StrCat("cannot write ", part, ": ", absl::string_view(why.data(), why.size()))), host::Fd(); };
  host::Fd file(open(part.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (file.ok()) return flock(file.get(), LOCK_EX | LOCK_NB) == 0 ? std::move(file) : refuse(std::strerror(errno));
  if (errno != EEXIST) return refuse(std::strerror(errno));
  const host::Fd other(open(part.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (other.ok() && flock(other.get(), LOCK_EX | LOCK_NB) != 0) return refuse("it is being written by another download");
  return refuse("it is there already, of another program or of a download that was killed; remove it, or say another name with -o FILE");
}

// Where a file of that name shall be written: a link stays, and what it leads to is written. Nothing, and why not is said: it leads nowhere.
std::optional<std::string> Followed(const std::string& output) {
  struct stat there{};
  if (lstat(output.c_str(), &there) != 0 || !S_ISLNK(there.st_mode)) return output;
  const std::unique_ptr<char, decltype(&std::free)> target(realpath(output.c_str(), nullptr), &std::free);
  if (target == nullptr) return Say(0, absl::StrCat(output, " is a link that leads nowhere: ", std::strerror(errno))), std::nullopt;
  return std::string(target.get());
}

// Of the whole file; nothing if it cannot be read.
std::optional<std::string> Sha256Of(int fd) {
  crypto::Sha256Stream sum;
  std::vector<uint8_t> buffer(1 << 20);
  for (off_t at = 0;;) {
    const ssize_t n = pread(fd, buffer.data(), buffer.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) return ToHex(sum.Digest());
    sum.Add(Bytes(buffer).subspan(0, size_t(n)));
    at += n;
  }
}

// Who brought what of the newest download of that URL, as the daemon tells; what nobody is named for is ours.
// Older ones are none of ours.
std::map<std::string, uint64_t> SharesOf(const Json& transfers, const std::string& url, uint64_t age_ms, uint64_t bytes, std::string& state) {
  std::map<std::string, uint64_t> by;
  const Json* newest = nullptr;
  if (transfers.is_object()) {
    for (const Json& t : transfers["transfers"]) {
      if (Text(t, "url") == url && t["since_ms"].get<uint64_t>() <= age_ms && (newest == nullptr || t["since_ms"] <= (*newest)["since_ms"])) newest = &t;
    }
  }
  uint64_t others = 0;
  if (newest != nullptr) {
    state = Text(*newest, "state");
    for (const auto& [id, n] : (*newest)["by"].items()) {
      if (id != "own") by[id] = n.get<uint64_t>(), others += n.get<uint64_t>();
    }
  }
  by["own"] = bytes > others ? bytes - others : 0;
  return by;
}

}  // namespace

int PodGet(const OperationCall& call) {
  const Json params = Json::parse(call.params);
  const auto url = http::Url::Parse(Text(params, "url"));
  if (!url.ok()) return Say(kWrongInput, absl::StrCat("url: ", std::string(url.status().message()), "\nSee: orchard pod get --help"));
  std::string digest = Text(params, "sha256"), output = Text(params, "output");
  std::transform(digest.begin(), digest.end(), digest.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  if (!digest.empty() && (digest.size() != 64 || !FromHex(digest))) return Say(kWrongInput, "sha256: expected 64 hex digits\nSee: orchard pod get --help");
  const uint64_t connections = params.contains("connections") ? params["connections"].get<uint64_t>() : 0;
  if (params.contains("connections") && (connections == 0 || connections > GetFetch::kConnectionsMax)) return Say(kWrongInput, "connections: expected 1 to 32\nSee: orchard pod get --help");
  if (output.empty()) {
    const std::string path = url->target.substr(0, url->target.find('?'));
    output = path.substr(path.rfind('/') + 1);
    if (output.empty() || output == "." || output == "..") return Say(kWrongInput, "the URL names no file: say where it shall go, with -o FILE");
  }
  if (output == "-") return Say(kWrongInput, "-o -: it comes in pieces, in any order, and so cannot go to standard output: name a file\nSee: orchard pod get --help");
  const auto followed = Followed(output);
  if (!followed.has_value()) return kWrongInput;
  output = *followed;
  if (const std::string ca = Text(params, "cacert"); !ca.empty() && access(ca.c_str(), R_OK) != 0) return Say(kEnvironment, absl::StrCat("cannot read ", ca, ": ", std::strerror(errno)));

  // Before there are threads: whoever is interrupted takes what is not whole away.
  sigset_t signals;
  sigemptyset(&signals), sigaddset(&signals, SIGINT), sigaddset(&signals, SIGTERM), sigaddset(&signals, SIGHUP);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const host::Fd signal_fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));

  // Who is there.
  int status = kOk;
  host::Fd daemon(ConnectDaemon(call, status));
  if (!daemon.ok()) return status;
  const timeval patience{.tv_sec = 5, .tv_usec = 0};  // It is on this machine, and answers such questions at once.
  setsockopt(daemon.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string why;
  const Json pod = Ask(daemon.get(), "pod.status", why);
  if (pod.is_null()) return Say(kNotOk, why);
  const Json proxy = Ask(daemon.get(), "pod.proxy", why);
  if (proxy.is_null()) return Say(kEnvironment, why);
  const Json peers = Ask(daemon.get(), "pod.peers", why);
  if (peers.is_null()) return Say(kNotOk, why);
  GetOptions options{.url = url->ToString(), .proxy = "http://" + Text(proxy, "address"), .uplinks = {"own"}, .connections = size_t(connections),
                     .cacert = Text(params, "cacert"), .sha256 = digest};
  const bool hardened = Text(pod, "profile") == "hardened", others = !peers["peers"].empty();
  if (hardened) {  // An http URL may lead to https.
    for (const Json& p : peers["peers"]) options.uplinks.push_back(Text(p, "device"));
  } else if (url->https && others) {
    Say(0, absl::StrCat("members of a pod of profile ", Text(pod, "profile"), " cannot relay https: your own line fetches it alone; set pod.profile hardened on all members"));
  }
  if (!others) Say(0, "nobody else is in the pod: your own line fetches it alone");

  const std::string part = output + ".part";
  const host::Fd file = OpenPart(output, status);
  if (!file.ok()) return status;
  options.fd = file.get();

  Progress progress(call.json, isatty(STDERR_FILENO) != 0);
  GetFetch fetch(std::move(options));
  std::map<std::string, uint64_t> by;
  std::string state;
  bool interrupted = false;
  auto look = [&] {
    signalfd_siginfo caught;
    if (read(signal_fd.get(), &caught, sizeof caught) > 0) interrupted = true, fetch.Cancel("interrupted");
    const uint64_t bytes = fetch.bytes();
    by.clear();
    if (fetch.url().starts_with("https")) {
      for (const GetUplink& u : fetch.uplinks()) by[u.id] = u.bytes;
    } else {
      std::string ignored;
      by = SharesOf(Ask(daemon.get(), "pod.transfers", ignored), fetch.url(), uint64_t(progress.seconds() * 1000) + 1, bytes, state);
    }
    progress.Show(bytes, fetch.size(), by);
  };
  std::string failed = fetch.Run(look);
  look();
  progress.Clear();
  if (interrupted) return unlink(part.c_str()), Say(130, absl::StrCat("interrupted; ", part, " is removed"));
  if (!failed.empty() && state == "hash-mismatch") failed = absl::StrCat("what came does not have the sha256 ", digest, "; it is not kept");
  if (!failed.empty() && state == "changed") failed = "the file changed on the server meanwhile; ask again";
  for (const GetUplink& u : fetch.uplinks()) {
    if (!u.out.empty()) Say(0, absl::StrCat(Short(u.id), " was given up: ", u.out));
  }
  if (!failed.empty()) return unlink(part.c_str()), Say(kNotOk, absl::StrCat(url->ToString(), ": ", failed));
  const auto sum = Sha256Of(file.get());
  if (!sum.has_value() || fsync(file.get()) != 0) return Say(kEnvironment, absl::StrCat("cannot read or write ", part, ": ", std::strerror(errno)));
  if (!digest.empty() && *sum != digest) return unlink(part.c_str()), Say(kNotOk, absl::StrCat(url->ToString(), ": what came has the sha256 ", *sum, ", not ", digest, "; it is not kept"));
  if (rename(part.c_str(), output.c_str()) != 0) return Say(kEnvironment, absl::StrCat("cannot rename ", part, " to ", output, ": ", std::strerror(errno)));

  Json data = {{"ok", true}, {"url", fetch.url()}, {"file", output}, {"bytes", fetch.bytes()}, {"ms", uint64_t(progress.seconds() * 1000)}, {"sha256", *sum},
               {"verified", !digest.empty()}, {"uplinks", Json::array()}};
  if (digest.empty() && !call.json) data["verified"] = "no sha256 was given to compare with";
  for (const auto& [id, n] : by) data["uplinks"].push_back({{"uplink", id}, {"bytes", n}});
  const Rendered r = Render(Json{{"id", 1}, {"tag", "final"}, {"data", data}}.dump(-1, ' ', false, Json::error_handler_t::replace), call.json);
  std::fputs(r.out.c_str(), stdout);
  return std::fflush(stdout) == 0 ? kOk : Say(kEnvironment, "cannot write the answer");
}

}  // namespace orchard::cli
