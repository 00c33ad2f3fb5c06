#include "node/host/daemon.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "node/base/status_macros.h"
#include "node/host/admin_token.h"
#include "node/host/certificate.h"
#include "node/host/data_dir.h"
#include "node/host/ipc_server.h"
#include "node/host/log.h"
#include "node/host/metrics_server.h"
#include "node/host/os.h"
#include "node/host/real_host.h"
#include "node/host/standing_orders.h"
#include "node/host/trace_file.h"
#include "node/pod/profile.h"

namespace orchard::host {
namespace {

// For the person at the terminal, who alone can do something about it.
absl::Status PortStatus(absl::StatusCode code, const sidecar::Config::Dht& dht) {
  if (code == absl::StatusCode::kOk) return absl::OkStatus();
  if (code == absl::StatusCode::kAlreadyExists) {
    return absl::AlreadyExistsError(absl::StrCat("UDP port ", dht.port, " of ", dht.host,
                                                 " is in use; choose another with --set dht.port=N, or let it look for one with --set dht.any_port=true"));
  }
  return absl::Status(code, absl::StrCat("cannot bind UDP ", dht.host, ":", dht.port, " (", absl::StatusCodeToString(code),
                                         "); choose an address of this machine with --set dht.host=ADDRESS, or another port"));
}

// The machine would find out too, but after a second port or four.
absl::Status CheckPort(const sidecar::Config::Dht& dht) {
  auto local = Endpoint::Parse(absl::StrCat(dht.host, ":", dht.any_port ? 0 : dht.port));
  if (!local) return absl::InvalidArgumentError(absl::StrCat("dht.host is no IP address: ", dht.host));
  auto socket = UdpSocket::Open(*local);
  return PortStatus(socket.status().code(), dht);
}

// Prometheus names: letters, digits and underscores.
std::string MetricName(std::string_view name) {
  std::string out(name);
  std::replace_if(out.begin(), out.end(), [](char c) { return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')); }, '_');
  return out;
}

std::string MetricsText(const RealHost& host, const IpcServer& ipc, const DaemonSink& sink) {
  std::string out;
  auto counter = [&](const char* name, const char* says, uint64_t value) {
    absl::StrAppend(&out, "# HELP orchard_", name, " ", says, "\n# TYPE orchard_", name, " counter\norchard_", name, " ", value, "\n");
  };
  const RealHost::Counters& c = host.counters();
  counter("datagrams_received_total", "UDP datagrams received.", c.udp.received);
  counter("datagrams_sent_total", "UDP datagrams sent.", c.udp.sent);
  counter("received_bytes_total", "UDP payload received.", c.udp.received_bytes);
  counter("sent_bytes_total", "UDP payload sent.", c.udp.sent_bytes);
  counter("datagrams_oversize_total", "Received datagrams that were too long to be ours.", c.udp.oversize);
  counter("send_queue_full_total", "Datagrams dropped because the send queue was full.", c.udp.queue_full);
  counter("send_errors_total", "Datagrams that the system refused to send.", c.udp.send_errors);
  const TcpStreams::Counters& t = host.streams().counters();
  counter("streams_accepted_total", "TCP connections accepted.", t.accepted);
  counter("streams_connected_total", "TCP connections made.", t.connected);
  counter("streams_failed_total", "TCP connections that were refused, reset or not answered.", t.failed);
  counter("streams_received_bytes_total", "Bytes received by TCP.", t.received_bytes);
  counter("streams_sent_bytes_total", "Bytes sent by TCP.", t.sent_bytes);
  counter("stream_accept_pauses_total", "Times that no more TCP connections were accepted for a moment.", t.pauses);
  counter("tls_handshakes_total", "TLS handshakes that were completed.", t.handshakes);
  counter("tls_handshakes_failed_total", "TLS handshakes that failed, or took too long.", t.handshakes_failed);
  counter("turns_total", "Turns of the node.", c.turns);
  counter("syncs_total", "Turns that had to survive power loss.", c.syncs);
  counter("jobs_total", "Jobs started.", c.jobs);
  counter("dead_ids_total", "Outputs that named a dead id.", c.dead_ids);
  counter("ipc_clients_total", "IPC clients accepted.", ipc.counters().clients);
  counter("ipc_refused_total", "IPC clients refused.", ipc.counters().refused);
  counter("ipc_calls_total", "Operations called.", ipc.counters().calls);
  counter("ipc_bad_lines_total", "IPC requests that were wrong.", ipc.counters().bad_lines);
  counter("ipc_cut_off_total", "IPC clients that did not read their answers.", ipc.counters().cut_off);
  absl::StrAppend(&out, "# HELP orchard_events_total Events of the node's trace.\n# TYPE orchard_events_total counter\n");
  for (const auto& [name, e] : sink.events()) absl::StrAppend(&out, "orchard_events_total{event=\"", name, "\"} ", e.count, "\n");
  absl::StrAppend(&out, "# HELP orchard_event_last Numbers of the newest event of a kind.\n# TYPE orchard_event_last gauge\n");
  for (const auto& [name, e] : sink.events()) {
    for (const auto& [field, value] : e.last) absl::StrAppend(&out, "orchard_event_last{event=\"", name, "\",field=\"", MetricName(field), "\"} ", value, "\n");
  }
  return out;
}

}  // namespace

absl::Status RunDaemon(DaemonOptions options) {
  // A soft limit of 1024 is for programs that select(); we have a descriptor for each client.
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) files.rlim_cur = files.rlim_max, setrlimit(RLIMIT_NOFILE, &files);
  ForbidHiddenRandomness();
  KeepFreedMemory();
  // Before the first thread, so that all inherit it.
  sigset_t signals;
  sigemptyset(&signals), sigaddset(&signals, SIGTERM), sigaddset(&signals, SIGINT);
  if (!options.config.cage.sites_dir.empty()) sigaddset(&signals, SIGHUP);  // Else it ends us, as when a terminal is closed.
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // A file limit is a full disk: an error, not a death.
  Fd signal_fd(signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));

  sidecar::Config& config = options.config;
  ASSIGN_OR_RETURN(DataDir data, DataDir::Open(options.data_dir));
  RETURN_IF_ERROR(CheckPort(config.dht));
  if (config.cage.admin_port != 0 && config.cage.admin_token.empty()) {
    ASSIGN_OR_RETURN(config.cage.admin_token, AdminToken(data.admin_token()));
  }
  Log log(options.log_fd, ParseLevel(config.log.level), {{"service", "orchard"}, {"version", options.version}, {"pid", std::to_string(getpid())}});
  std::unique_ptr<TraceFile> trace;
  if (!options.trace_file.empty()) {
    ASSIGN_OR_RETURN(trace, TraceFile::Open(options.trace_file));
  }
  DaemonSink sink(&log, config.metrics.port != 0, trace.get());
  ASSIGN_OR_RETURN(std::unique_ptr<RocksStore> store, RocksStore::Open(data.store()));
  if (store->room_bytes() == 0) {
    return absl::ResourceExhaustedError(absl::StrCat("the disk of ", data.path(), " is full: fewer than ", RocksStore::kReserveBytes >> 20,
                                                     " MiB are free; free some space, or give another directory with --data DIR"));
  }
  RealHost host(options.machine(config), Rng(OsEntropy()), std::move(store), &sink);
  host.set_cage_options({.program = "", .keep = data.cages()});
  if (config.cage.https_port != 0) {
    TlsFiles files{config.cage.certificate, config.cage.key};
    if (files.certificate.empty()) {
      std::vector<std::string> names;
      for (const cage::SiteConfig& site : config.cage.sites) {
        names.push_back(site.name);
        names.insert(names.end(), site.aliases.begin(), site.aliases.end());
      }
      ASSIGN_OR_RETURN(files, DevelopmentCertificate(data.path() + "/tls", names));
    }
    ASSIGN_OR_RETURN(std::unique_ptr<TlsContext> tls, TlsContext::Open(files));
    host.set_tls(std::move(tls));
    if (config.cage.http3) host.set_h3(files);
  }
  // Who calls finds a node whose identity is safe and whose socket is open.
  absl::Status status = host.Begin();
  while (status.ok() && host.runner().gate_shut()) status = host.RunOnce(kDrainMax);
  RETURN_IF_ERROR(status);
  const std::string socket = config.ipc_socket.empty() ? DataDir::Socket(data.path()) : config.ipc_socket;
  ASSIGN_OR_RETURN(StandingOrders orders, StandingOrders::Open(data.orders()));
  for (const std::string& what : orders.complaints()) log.Write(Level::kWarn, "host.orders-broken", {{"file", data.orders()}, {"why", what}});
  ASSIGN_OR_RETURN(std::unique_ptr<IpcServer> ipc, IpcServer::Listen(&host, socket, &orders, &log));
  ipc->CarryOutOrders();
  std::unique_ptr<MetricsServer> metrics;
  if (config.metrics.port != 0) {
    ASSIGN_OR_RETURN(metrics, MetricsServer::Listen(&host, config.metrics.port, [&] { return MetricsText(host, *ipc, sink); }));
  }

  Instant end = kNever;
  host.Watch(signal_fd.get(), EPOLLIN, [&](uint32_t) {
    signalfd_siginfo info;
    while (read(signal_fd.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGHUP) {
        log.Write(Level::kInfo, "host.reload", {{"directory", config.cage.sites_dir}});
        const OpId op = host.NewOp();
        host.CallAs(op, "site.reload", AsBytes(std::string_view("{}")));
        host.Credit(op, UINT32_MAX / 2);  // Nobody reads its events: cage.directory says what came of it.
        continue;
      }
      if (end != kNever) _exit(128 + int(info.ssi_signo));
      log.Write(Level::kInfo, "host.stopping", {{"signal", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM"}});
      end = BootNow() + kDrainMax;
      host.Stop();
    }
  });
  log.Write(Level::kInfo, "host.started", {{"data", data.path()}, {"socket", socket}, {"orders", std::to_string(orders.orders().size())}});
  if (config.pod.enabled && config.pod.profile != pod::Profile::kHardened) log.Write(Level::kWarn, "pod.compat", {{"says", pod::kCompatWarning}});
  while (status.ok() && !host.stopped() && (end == kNever || BootNow() < end)) {
    status = host.RunOnce(end == kNever ? std::chrono::hours(1) : end - BootNow());
    if (status.ok() && options.failure) status = PortStatus(options.failure(host.runner().machine()), config.dht);
  }
  if (!status.ok()) log.Write(Level::kError, "host.failed", {{"why", std::string(status.message())}});
  else log.Write(host.stopped() ? Level::kInfo : Level::kWarn, "host.stopped", {{"goodbye", host.stopped() ? "said" : "took too long"}});
  return status;
}

}  // namespace orchard::host
