// What one encrypted stream could cost at best: 64 KiB secretstream frames in 1472-byte datagrams over loopback, with UDP GSO
// and GRO, one 20-byte acknowledgement per datagram, and no protocol: no timers, no loss recovery, no congestion control.
// Usage: stream_limit [MEGABYTES]. Prints {"mb_per_s","tx_cpu_ms_per_mb","rx_cpu_ms_per_mb"}.

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr size_t kHeader = 20, kPayload = 1452, kPacket = kHeader + kPayload, kFrame = 64 << 10;
constexpr size_t kSealed = kFrame + crypto_secretstream_xchacha20poly1305_ABYTES;
constexpr size_t kRun = 44, kWindow = 1200, kBatch = 64, kSlot = 64 << 10;

double CpuSeconds() {
  rusage r{};
  getrusage(RUSAGE_SELF, &r);
  return double(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + double(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

int Open(sockaddr_in& local) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0), big = 4 << 20, one = 1;
  local = {};
  local.sin_family = AF_INET, local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof local;
  if (bind(fd, reinterpret_cast<sockaddr*>(&local), size) != 0 || getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0) std::exit(3);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof big), setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
  setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one);
  return fd;
}

void SendRun(int fd, const uint8_t* bytes, size_t size, uint16_t segment) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof segment)] = {};
  iovec part{const_cast<uint8_t*>(bytes), size};
  msghdr m{.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  cmsghdr* c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = IPPROTO_UDP, c->cmsg_type = UDP_SEGMENT, c->cmsg_len = CMSG_LEN(sizeof segment);
  std::memcpy(CMSG_DATA(c), &segment, sizeof segment);
  if (sendmsg(fd, &m, 0) < 0) std::perror("sendmsg");
}

// Reads what is there, as messages of many datagrams; calls `each` for each datagram of `step` bytes.
template <class Each>
int ReceiveRuns(int fd, std::vector<uint8_t>& buffer, int flags, size_t step, Each each) {
  static std::vector<mmsghdr> m(kBatch);
  static std::vector<iovec> parts(kBatch);
  buffer.resize(kBatch * kSlot);
  for (size_t i = 0; i < kBatch; ++i) {
    parts[i] = {&buffer[i * kSlot], kSlot};
    m[i] = {};
    m[i].msg_hdr.msg_iov = &parts[i], m[i].msg_hdr.msg_iovlen = 1;
  }
  int n = recvmmsg(fd, m.data(), kBatch, flags, nullptr);
  for (int i = 0; i < n; ++i) {
    for (size_t at = 0; at < m[size_t(i)].msg_len; at += step) each(&buffer[size_t(i) * kSlot + at], std::min(step, m[size_t(i)].msg_len - at));
  }
  return n;
}

[[noreturn]] void Receiver(int fd, size_t total, crypto_secretstream_xchacha20poly1305_state state, double megabytes, int report) {
  std::vector<uint8_t> buffer, frame(kSealed), plain(kFrame), acks;
  size_t fill = 0, got = 0;
  const double cpu = CpuSeconds();
  while (got < total) {
    acks.clear();
    ReceiveRuns(fd, buffer, MSG_WAITFORONE, kPacket, [&](const uint8_t* p, size_t size) {
      uint32_t next = 0;
      std::memcpy(&next, p + 12, 4);
      ++next, ++got;
      for (size_t at = kHeader; at < size;) {
        const size_t n = std::min(size - at, kSealed - fill);
        std::memcpy(&frame[fill], p + at, n);
        fill += n, at += n;
        if (fill < kSealed) continue;
        if (crypto_secretstream_xchacha20poly1305_pull(&state, plain.data(), nullptr, nullptr, frame.data(), kSealed, nullptr, 0) != 0) std::exit(3);
        fill = 0;
      }
      uint8_t ack[kHeader] = {0xff, 1};
      std::memcpy(ack + 16, &next, 4);
      acks.insert(acks.end(), ack, ack + kHeader);
    });
    for (size_t at = 0; at < acks.size(); at += kHeader * 60) SendRun(fd, &acks[at], std::min(acks.size() - at, kHeader * 60), kHeader);
  }
  const double per = (CpuSeconds() - cpu) * 1e3 / megabytes;
  if (write(report, &per, sizeof per) != sizeof per) std::exit(3);
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const double megabytes = argc > 1 ? std::atof(argv[1]) : 400;
  if (sodium_init() < 0) return 3;
  sockaddr_in a_at, b_at;
  int a = Open(a_at), b = Open(b_at), report[2];
  if (connect(a, reinterpret_cast<sockaddr*>(&b_at), sizeof b_at) != 0 || connect(b, reinterpret_cast<sockaddr*>(&a_at), sizeof a_at) != 0 || pipe(report) != 0) return 3;
  const size_t total = size_t(megabytes * 1e6) / kPayload;
  const uint8_t key[crypto_secretstream_xchacha20poly1305_KEYBYTES] = {1}, header[crypto_secretstream_xchacha20poly1305_HEADERBYTES] = {2};
  crypto_secretstream_xchacha20poly1305_state state;
  crypto_secretstream_xchacha20poly1305_init_pull(&state, header, key);  // A valid push state too.
  pid_t child = fork();
  if (child == 0) Receiver(b, total, state, megabytes, report[1]);

  std::vector<uint8_t> plain(kFrame, 7), frame(kSealed), run, buffer;
  size_t used = kSealed;
  uint32_t seq = 0, acked = 0;
  const double cpu = CpuSeconds();
  const auto began = std::chrono::steady_clock::now();
  while (acked < total) {
    run.clear();
    for (size_t k = 0; k < kRun && seq < total && seq - acked < kWindow; ++k, ++seq) {
      const size_t start = run.size();
      run.resize(start + kPacket);
      run[start] = 0xff, run[start + 1] = 1;
      std::memcpy(&run[start + 12], &seq, 4);
      for (size_t at = kHeader; at < kPacket;) {
        if (used == kSealed) {
          crypto_secretstream_xchacha20poly1305_push(&state, frame.data(), nullptr, plain.data(), kFrame, nullptr, 0, 0);
          used = 0;
        }
        const size_t n = std::min(kPacket - at, kSealed - used);
        std::memcpy(&run[start + at], &frame[used], n);
        used += n, at += n;
      }
    }
    if (!run.empty()) {
      SendRun(a, run.data(), run.size(), kPacket);
    } else {
      pollfd wait{.fd = a, .events = POLLIN, .revents = 0};
      if (poll(&wait, 1, 2000) <= 0) return std::fprintf(stderr, "stalled at %u of %zu datagrams\n", acked, total), 3;
    }
    ReceiveRuns(a, buffer, MSG_DONTWAIT, kHeader, [&](const uint8_t* p, size_t) {
      uint32_t ack = 0;
      std::memcpy(&ack, p + 16, 4);
      if (int32_t(ack - acked) > 0) acked = ack;
    });
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const double tx = (CpuSeconds() - cpu) * 1e3 / megabytes;
  double rx = 0;
  if (read(report[0], &rx, sizeof rx) != sizeof rx) return 3;
  waitpid(child, nullptr, 0);
  std::printf("{\"mb_per_s\":%.1f,\"tx_cpu_ms_per_mb\":%.3f,\"rx_cpu_ms_per_mb\":%.3f}\n", megabytes / seconds, tx, rx);
}
