// The door on the daemon's socket: any bytes are answered line by line, and a client that has said all is let go.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "node/base/check.h"
#include "node/host/ipc_server.h"
#include "node/sidecar/params.h"
#include "tests/support/temp_dir.h"

namespace {

using namespace orchard;
using namespace orchard::host;

// Reads an operation's parameters, as the node does, and ends it.
class Reader final : public Machine {
  void Handle(Turn& t, const Input& input) override {
    auto* call = std::get_if<OpCall>(&input);
    if (call == nullptr) return;
    const sidecar::Operation* operation = sidecar::FindOperation(call->name);
    CHECK(operation != nullptr);
    sidecar::Params::Parse(*operation, call->params);
    t.out.Final(call->op, AsBytes(R"({"tag":"final","data":{"ok":true}})"));
  }
  Instant next_deadline() const override { return kNever; }
};

struct Daemon {
  Daemon() {
    auto store = RocksStore::Open(dir / "store");
    CHECK(store.ok());
    host = std::make_unique<RealHost>(std::make_unique<Reader>(), Rng(Key32{}), *std::move(store), nullptr);
    auto listening = IpcServer::Listen(host.get(), dir / "orchard.sock");
    CHECK(listening.ok());
    ipc = *std::move(listening);
    CHECK(host->Begin().ok());
  }
  TempDir dir;
  std::unique_ptr<RealHost> host;
  std::unique_ptr<IpcServer> ipc;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Daemon daemon;
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = daemon.dir / "orchard.sock";
  std::memcpy(address.sun_path, path.data(), path.size());
  CHECK_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  CHECK_EQ(send(fd.get(), data, size, MSG_NOSIGNAL), ssize_t(size));  // -max_len is less than a socket's buffer.
  shutdown(fd.get(), SHUT_WR);
  std::string answers;
  for (int rounds = 0;; ++rounds) {
    CHECK_LT(rounds, 10'000);
    CHECK(daemon.host->RunOnce(Duration{}).ok());
    char buffer[16 << 10];
    const ssize_t n = recv(fd.get(), buffer, sizeof buffer, 0);
    if (n == 0) break;
    if (n > 0) answers.append(buffer, size_t(n));
  }
  CHECK(answers.empty() || (answers.front() == '{' && answers.back() == '\n'));
  return 0;
}
