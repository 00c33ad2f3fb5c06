#include "sim/netns/relay.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"

namespace orchard::sim {
namespace {

constexpr size_t kPacket = 65536;

uint32_t Address(Bytes packet, size_t at) { return uint32_t(packet[at]) << 24 | uint32_t(packet[at + 1]) << 16 | uint32_t(packet[at + 2]) << 8 | packet[at + 3]; }

int64_t Now() { return ToNanos(host::BootNow()); }

struct Later {
  template <class W>
  bool operator()(const W& a, const W& b) const { return std::pair(a.due, a.number) > std::pair(b.due, b.number); }
};

}  // namespace

absl::StatusOr<std::unique_ptr<Relay>> Relay::Make(const Space& space, const WorldPlan& plan) {
  const Space::Visit visit(space);  // The device belongs to where it was opened.
  host::Fd tun(open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!tun.ok()) return host::ErrnoStatus(errno, "/dev/net/tun");
  ifreq request{};
  std::strcpy(request.ifr_name, "tun0");
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(tun.get(), TUNSETIFF, &request) != 0) return host::ErrnoStatus(errno, "a TUN device");
  return std::unique_ptr<Relay>(new Relay(std::move(tun), plan));
}

Relay::Relay(host::Fd tun, const WorldPlan& plan) : plan_(plan), tun_(std::move(tun)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(wake_.ok());
  std::set<std::string> names = {""};
  for (const auto& [pair, latency] : plan.latency) names.insert(pair.first), names.insert(pair.second);
  for (const HostPlan& h : plan.hosts) names.insert(h.region);
  for (const LanPlan& l : plan.lans) names.insert(l.region);
  regions_.assign(names.begin(), names.end());
  for (const std::string& a : regions_) {
    for (const std::string& b : regions_) {
      // As sim/world/network.cc: either order, else the inside of a region, else the default.
      Duration d = a == b && !plan.latency.empty() ? Duration(std::chrono::milliseconds(2)) : plan.latency_default;
      for (const auto& pair : {std::pair(b, a), std::pair(a, b)}) {
        if (auto it = plan.latency.find(pair); it != plan.latency.end()) d = it->second;
      }
      latency_ns_.push_back(d.count());
    }
  }
  thread_ = std::thread([this] { Run(); });
}

Relay::~Relay() {
  over_ = true;
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(wake_.get(), &one, sizeof one);
  thread_.join();
}

void Relay::Put(uint32_t address, const std::string& name, const std::string& region, const LineParams& link) {
  Station s;
  s.region = uint16_t(std::lower_bound(regions_.begin(), regions_.end(), region) - regions_.begin());
  s.params = link;
  for (WayParams& w : s.params.way) w.ps_per_byte = 0, w.loss_ppm = 0, w.burst_mean = 0, w.mtu = ~0u, w.up = true;
  const std::lock_guard lock(mutex_);
  Station& kept = stations_[address];
  kept.region = s.region, kept.params = s.params;
  // The line reads its parameters where they lie, and a table's elements move: it gets its own copy at each pass.
  if (kept.line == nullptr) kept.line = std::make_unique<Line>(nullptr, "", KeyOf(plan_.seed, name, "link"));
}

void Relay::Remove(uint32_t address) {
  const std::lock_guard lock(mutex_);
  stations_.erase(address);
}

void Relay::Run() {
  std::vector<uint8_t> buffer(kPacket);
  while (!over_) {
    int64_t now = Now();
    while (!waiting_.empty() && waiting_.front().due <= now) {
      std::pop_heap(waiting_.begin(), waiting_.end(), Later());
      const std::string bytes = std::move(waiting_.back().bytes);
      waiting_.pop_back();
      if (write(tun_.get(), bytes.data(), bytes.size()) == ssize_t(bytes.size())) ++passed_;
      else ++lost_;
    }
    const int64_t wait = waiting_.empty() ? 1'000'000'000 : std::max<int64_t>(waiting_.front().due - now, 0);
    const timespec timeout{time_t(wait / 1'000'000'000), long(wait % 1'000'000'000)};
    pollfd fds[] = {{.fd = tun_.get(), .events = POLLIN, .revents = 0}, {.fd = wake_.get(), .events = POLLIN, .revents = 0}};
    ppoll(fds, 2, &timeout, nullptr);
    now = Now();
    for (int batch = 0; batch < 64; ++batch) {
      const ssize_t n = read(tun_.get(), buffer.data(), buffer.size());
      if (n <= 0) break;
      Take({buffer.data(), size_t(n)}, now);
    }
  }
}

void Relay::Take(Bytes packet, int64_t now) {
  if (packet.size() < 20 || packet[0] >> 4 != 4) return;
  if (waiting_.size() >= kWaitingMax) {
    ++lost_;
    return;
  }
  const uint32_t from = Address(packet, 12), to = Address(packet, 16);
  int64_t due = now, again = -1;
  std::string bytes(reinterpret_cast<const char*>(packet.data()), packet.size());
  {
    const std::lock_guard lock(mutex_);
    auto a = stations_.find(from), b = stations_.find(to);
    auto pass = [&](Station& s, Way way) {
      s.line->set_params(&s.params);
      const Passage p = s.line->Pass(way, due, uint32_t(packet.size()));
      due = p.arrives;
      if (p.arrives_again >= 0) again = p.arrives_again;
      if (p.corrupt && bytes.size() > 28) bytes[28 + (p.corrupt_bit >> 3) % (bytes.size() - 28)] ^= char(1 << (p.corrupt_bit & 7));
    };
    if (a != stations_.end()) pass(a->second, Way::kOut);
    if (a != stations_.end() && b != stations_.end()) {
      const int64_t latency = latency_ns_[a->second.region * regions_.size() + b->second.region];
      const int64_t sigma = plan_.jitter.count() + latency * plan_.jitter_ppm / 1'000'000;
      const int64_t jitter = sigma == 0 ? 0 : Jitter(Mix(uint64_t(from) << 32 | to), due, sigma);
      due = std::max(due, due + latency + jitter);
      if (again >= 0) again = std::max(again, again + latency);
    }
    if (b != stations_.end()) pass(b->second, Way::kIn);
  }
  if (again >= 0) waiting_.push_back({again, next_++, bytes}), std::push_heap(waiting_.begin(), waiting_.end(), Later());
  waiting_.push_back({due, next_++, std::move(bytes)});
  std::push_heap(waiting_.begin(), waiting_.end(), Later());
}

}  // namespace orchard::sim
