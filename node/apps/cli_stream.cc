// Standard input and output joined to an operation of the daemon: `orchard pipe`. Input goes as it is; what comes back are
// frames: length (u32, little-endian), kind ('D' data, 'J' an event), then so many bytes (docs/IPC.md).

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "node/apps/cli.h"

namespace orchard::cli {
namespace {

constexpr size_t kFrameMax = 16 << 20;   // A daemon that says more at once is none of ours.
constexpr size_t kHead = 5;
constexpr size_t kPiece = 64 << 10;

void Say(const std::string& message) { std::fprintf(stderr, "orchard: %s\n", message.c_str()); }

// Blocks until all is written; false if nobody reads any more.
bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      pollfd wait{.fd = fd, .events = POLLOUT, .revents = 0};
      poll(&wait, 1, -1);
      continue;
    }
    if (n < 0) return false;
    bytes.remove_prefix(size_t(n));
  }
  return true;
}

// Input on its way to the daemon: one piece at a time, so that a slow daemon slows the reader.
class Input {
 public:
  explicit Input(int fd) : fd_(fd) {}
  bool wants_read() const { return open_ && piece_.empty(); }
  bool wants_write() const { return !piece_.empty(); }
  // False if it cannot be read; errno tells.
  bool Read() {
    char buffer[kPiece];
    ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0) return errno == EINTR || errno == EAGAIN;
    if (n == 0) Close();
    else piece_.assign(buffer, size_t(n));
    return true;
  }
  // False if the daemon takes no more.
  bool Write() {
    ssize_t n = send(fd_, piece_.data(), piece_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    piece_.erase(0, size_t(n));
    return true;
  }
  void Close() {
    if (open_) shutdown(fd_, SHUT_WR);
    open_ = false;
  }

 private:
  int fd_;
  bool open_ = true;
  std::string piece_;
};

}  // namespace

int RunStream(int fd, int signal_fd, const OperationCall& call) {
  Input input(fd);
  std::string in;
  for (;;) {
    pollfd fds[] = {{.fd = fd, .events = short(POLLIN | (input.wants_write() ? POLLOUT : 0)), .revents = 0},
                    {.fd = signal_fd, .events = POLLIN, .revents = 0},
                    {.fd = input.wants_read() ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}};
    if (poll(fds, 3, -1) < 0 && errno != EINTR) return kEnvironment;
    if (fds[1].revents != 0) return 130;  // The daemon cancels what nobody waits for.
    if (fds[2].revents != 0 && !input.Read()) return Say(absl::StrCat("cannot read standard input: ", std::strerror(errno))), kEnvironment;
    if ((fds[0].revents & POLLOUT) != 0) input.Write();  // If it hung up, the read below says so.
    if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    char buffer[kPiece];
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) return Say("the node ended before it answered"), kEnvironment;
    in.append(buffer, size_t(n));
    size_t at = 0;
    while (in.size() - at >= kHead) {
      uint32_t size = 0;
      for (size_t i = 0; i < 4; ++i) size |= uint32_t(uint8_t(in[at + i])) << 8 * i;
      if (size > kFrameMax) return Say("the daemon said something that is no frame; is it of another version?"), kEnvironment;
      if (in.size() - at < kHead + size) break;
      const char kind = in[at + 4];
      const std::string_view bytes = std::string_view(in).substr(at + kHead, size);
      at += kHead + size;
      if (kind == 'D') {
        if (!WriteAll(STDOUT_FILENO, bytes)) return errno == EPIPE ? kOk : (Say(absl::StrCat("cannot write: ", std::strerror(errno))), kEnvironment);
        continue;
      }
      Rendered r = Render(bytes, call.json);
      std::fwrite(r.out.data(), 1, r.out.size(), stderr);  // Standard output belongs to the peer's bytes.
      if (!r.error.empty()) Say(r.error);
      if (r.end) return r.status;
      // A person at the keyboard is not asked for more once the peer has gone.
      if (bytes.find("\"tag\":\"end\"") != bytes.npos && isatty(STDIN_FILENO)) input.Close();
    }
    in.erase(0, at);
  }
}

}  // namespace orchard::cli
