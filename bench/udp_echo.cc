// The limit on this machine: answers every datagram with 100 bytes and thinks about nothing, in batches of 64. What a DHT node
// spends beyond this is its own. Prints {"port","pid"} as bench/js_node.cjs does; runs until its input closes.

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>

int main() {
  constexpr int kBatch = 64;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in local{};
  local.sin_family = AF_INET, local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof local;
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&local), size) != 0) return std::perror("bind"), 3;
  getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size);
  std::printf("{\"port\":%d,\"pid\":%d}\n", ntohs(local.sin_port), getpid());
  std::fflush(stdout);

  std::array<std::array<unsigned char, 2048>, kBatch> buffers;
  std::array<sockaddr_in, kBatch> peers;
  std::array<iovec, kBatch> parts;
  std::array<mmsghdr, kBatch> messages{};
  pollfd polls[2] = {{fd, POLLIN, 0}, {0, POLLIN, 0}};
  while (poll(polls, 2, -1) > 0) {
    if (polls[1].revents != 0) {
      char c;
      if (read(0, &c, 1) <= 0) return 0;
    }
    for (int i = 0; i < kBatch; ++i) {
      parts[i] = {buffers[i].data(), buffers[i].size()};
      messages[i].msg_hdr = {&peers[i], sizeof peers[i], &parts[i], 1, nullptr, 0, 0};
    }
    int n = recvmmsg(fd, messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < n; ++i) buffers[i][0] = 0x13, parts[i].iov_len = 100;
    for (int done = 0; done < n;) {
      int sent = sendmmsg(fd, messages.data() + done, unsigned(n - done), 0);
      if (sent <= 0) break;
      done += sent;
    }
  }
}
