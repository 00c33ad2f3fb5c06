// A load of DHT requests on one node over loopback, and what each costs the node in CPU time (as the kernel accounts it to its
// process, so that a JavaScript node can be measured in the same way).
//
//   dht_load PORT PID REQUESTS FIND_NODE_PERCENT
//
// It plays 100 persistent peers, each on its own socket with a valid id, so the node's table fills with the same nodes whoever
// the node is; then it keeps 64 requests in flight, PINGs and FIND_NODEs of random targets. Prints one JSON object.
// Source of the formats: dht-rpc 6.27, lib/io.js as described in docs/CONFORMANCE.md.

#include <arpa/inet.h>
#include <poll.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

constexpr int kPeers = 100;
constexpr int kInFlight = 64;
constexpr uint8_t kRequest = 0x03, kResponse = 0x13;

struct Peer {
  int fd = -1;
  std::array<uint8_t, 32> id{};
};

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(3);
}

// User and system time of a process, in clock ticks (proc(5), fields 14 and 15 of stat).
long CpuTicks(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(in, line);
  long user = 0, system = 0;
  std::sscanf(line.c_str() + line.rfind(')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system);
  return user + system;
}

std::array<uint8_t, 6> Compact(const sockaddr_in& a) {
  std::array<uint8_t, 6> b;
  std::memcpy(b.data(), &a.sin_addr, 4);
  uint16_t port = ntohs(a.sin_port);
  b[4] = uint8_t(port), b[5] = uint8_t(port >> 8);
  return b;
}

class Load {
 public:
  Load(uint16_t port, int find_node_percent) : find_node_percent_(find_node_percent) {
    server_.sin_family = AF_INET, server_.sin_port = htons(port), server_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (Peer& p : peers_) {
      p.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
      sockaddr_in local{};
      local.sin_family = AF_INET, local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      socklen_t size = sizeof local;
      if (p.fd < 0 || bind(p.fd, reinterpret_cast<sockaddr*>(&local), size) != 0) Die("bind");
      getsockname(p.fd, reinterpret_cast<sockaddr*>(&local), &size);
      auto compact = Compact(local);
      crypto_generichash(p.id.data(), 32, compact.data(), compact.size(), nullptr, 0);
      polls_.push_back({p.fd, POLLIN, 0});
    }
  }

  // Keeps the window full until `requests` were answered; lost ones (none, on loopback, unless the node drops) are sent again.
  void Run(long requests) {
    answered_ = sent_ = 0;
    for (; sent_ < kInFlight && sent_ < requests; ++sent_) Send(int(sent_ % kPeers));
    while (answered_ < requests) {
      int ready = poll(polls_.data(), polls_.size(), 200);
      if (ready < 0) Die("poll");
      if (ready == 0) {
        if (++silent_ > 50) Die("the node does not answer");
        for (int i = 0; i < kInFlight && answered_ < requests; ++i) Send(i % kPeers);
        lost_ += kInFlight;
        continue;
      }
      silent_ = 0;
      for (int i = 0; i < kPeers; ++i) {
        if (polls_[size_t(i)].revents & POLLIN) Drain(i, requests);
      }
    }
  }

  long bytes() const { return bytes_; }
  long lost() const { return lost_; }

 private:
  void Drain(int i, long requests) {
    uint8_t buffer[2048];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    for (ssize_t n; (n = recvfrom(peers_[size_t(i)].fd, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size)) > 0;) {
      if (n >= 10 && buffer[0] == kResponse) {
        ++answered_, bytes_ += n;
        if (sent_ < requests) ++sent_, Send(i);
      } else if (n >= 10 && buffer[0] == kRequest) {
        Answer(i, buffer, from);
      }
    }
  }

  // The node pings its table now and then; who does not answer is thrown out.
  void Answer(int i, const uint8_t* request, const sockaddr_in& from) {
    uint8_t b[64] = {kResponse, 1, request[2], request[3]};
    auto to = Compact(from);
    std::memcpy(b + 4, to.data(), 6);
    std::memcpy(b + 10, peers_[size_t(i)].id.data(), 32);
    sendto(peers_[size_t(i)].fd, b, 42, 0, reinterpret_cast<const sockaddr*>(&from), sizeof from);
  }

  void Send(int i) {
    bool find_node = int(Random() % 100) < find_node_percent_;
    uint16_t tid = uint16_t(++tid_);
    // Flags: 1 id, 4 internal, 8 target.
    uint8_t b[128] = {kRequest, uint8_t(find_node ? 13 : 5), uint8_t(tid), uint8_t(tid >> 8)};
    auto to = Compact(server_);
    std::memcpy(b + 4, to.data(), 6);
    std::memcpy(b + 10, peers_[size_t(i)].id.data(), 32);
    size_t n = 42;
    b[n++] = find_node ? 2 : 0;
    if (find_node) {
      for (int k = 0; k < 4; ++k, n += 8) {
        uint64_t x = Random();
        std::memcpy(b + n, &x, 8);
      }
    }
    sendto(peers_[size_t(i)].fd, b, n, 0, reinterpret_cast<sockaddr*>(&server_), sizeof server_);
  }

  uint64_t Random() {  // SplitMix64.
    uint64_t z = (random_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

  int find_node_percent_;
  sockaddr_in server_{};
  std::array<Peer, kPeers> peers_;
  std::vector<pollfd> polls_;
  long sent_ = 0, answered_ = 0, bytes_ = 0, lost_ = 0;
  int silent_ = 0;
  uint32_t tid_ = 0;
  uint64_t random_ = 1;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: dht_load PORT PID REQUESTS FIND_NODE_PERCENT\n", stderr);
    return 2;
  }
  if (sodium_init() < 0) return 3;
  const long requests = std::atol(argv[3]);
  const int pid = std::atoi(argv[2]);
  Load load(uint16_t(std::atoi(argv[1])), std::atoi(argv[4]));
  load.Run(std::min(requests, 5000l));  // Warm-up: fills the table, and lets a just-in-time compiler settle.
  long bytes = load.bytes();
  long ticks = CpuTicks(pid);
  auto start = std::chrono::steady_clock::now();
  load.Run(requests);
  double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  double cpu = double(CpuTicks(pid) - ticks) / double(sysconf(_SC_CLK_TCK));
  std::printf("{\"requests\":%ld,\"wall_s\":%.3f,\"cpu_s\":%.3f,\"requests_per_cpu_s\":%.0f,\"answer_bytes\":%.1f,\"lost\":%ld}\n",
              requests, wall, cpu, cpu > 0 ? double(requests) / cpu : 0.0, double(load.bytes() - bytes) / double(requests), load.lost());
}
