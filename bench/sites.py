"""What a request costs a server of sites: ours, whose answer a metered WebAssembly module computes in a process of its own, beside nginx and
h2o, which have theirs ready, and workerd, which runs JavaScript in its own. Nobody looks at what is asked: our guard is off. All on one core, the client on another, in turns."""
import os
import pathlib
import re
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

from proxy import free_port
from streams import Daemon

HERE = pathlib.Path(__file__).resolve().parent
BODY = "ok\n"  # What example:hello.wasm says at this path.
PATH = "/health"
REQUESTS, WARM = 20_000, 2_000
SECONDS_MAX = 60  # Of one run of the client.
# As many requests under way in both: HTTP/2 has 8 streams on each connection.
PROTOCOLS = {"h2": ["-c", "8", "-m", "8"], "h1": ["--h1", "-c", "64"]}

NGINX = """daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log; worker_processes 1; {user}
events {{ worker_connections 512; }}
http {{
  access_log off; keepalive_requests 10000000; default_type text/plain;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen 127.0.0.1:{h1}; listen 127.0.0.1:{h2} http2; location / {{ return 200 "ok\\n"; }} }}
}}
"""
H2O = """{user}
num-threads: 1
pid-file: {dir}/h2o.pid
error-log: {dir}/h2o.log
listen: {{ host: 127.0.0.1, port: {port} }}
hosts: {{ default: {{ paths: {{ "/": {{ file.dir: {dir}/www }} }} }} }}
"""
WORKERD = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = (serviceWorkerScript = embed "hello.js", compatibilityDate = "2024-01-01")) ],
  sockets = [ (name = "http", address = "127.0.0.1:{port}", http = (), service = "main") ]
);
"""
HELLO = """addEventListener("fetch", event => event.respondWith(new Response("ok\\n", {headers: {"content-type": "text/plain"}})));
"""


def workerd_program():
    found = sorted((HERE / "workerd/node_modules/@cloudflare").glob("workerd-*/bin/workerd"))
    return str(found[0]) if found else shutil.which("workerd")


def cpu_seconds(pid):
    """Of a process and all that it started, also those that it has buried."""
    total, look = 0, [pid]
    while look:
        p = look.pop()
        fields = pathlib.Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()
        total += sum(int(x) for x in fields[11:15])
        for task in pathlib.Path(f"/proc/{p}/task").iterdir():
            look += [int(c) for c in (task / "children").read_text().split()]
    return total / os.sysconf("SC_CLK_TCK")


def pss_bytes(pid, children):
    """Memory of a process, shared pages in parts; of all that it started too, or not."""
    pids = [pid] + ([int(c) for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()] if children else [])
    return sum(1024 * int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{p}/smaps_rollup").read_text(), re.M)[1]) for p in pids)


def memory(build, folder, say):
    """What idle things hold: connections of HTTP/2 that asked once, and sites of three cages."""
    sites = [{f"s{i}": {"module": "example:hello.wasm", "replicas": 3} for i in range(n)} for n in (1, 9)]
    held = []
    for i, of in enumerate(sites):
        port = free_port()
        daemon = Daemon(build, f"idle{i}", [], folder, {"cage": {"host": "127.0.0.1", "http_port": port, "admin_port": 0, "default_site": "s0", "sites": of}}, bootstrap=True)
        try:
            while len([s for s in daemon.call("cage.list")["sites"] if s["state"] == "healthy"]) < len(of):
                time.sleep(0.05)
            time.sleep(0.5)
            held.append(pss_bytes(daemon.pid, True))
            if i == 0:
                idle_connections(daemon, port, say)
        finally:
            daemon.stop()
    say("sites.memory.site", f"{(held[1] - held[0]) / 8 / 2**20:.1f} MiB for each further site of three idle cages; {held[0] / 2**20:.0f} MiB daemon and processes with the first")


def idle_connections(daemon, port, say, wanted=10_000):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted + 500), hard))
    n = min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 400, hard * 3 // 8 - 50)  # As many as the daemon takes (node/host/tcp_streams.cc).
    hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    request = b"\x82\x86\x04\x07/health\x01\x02s0"
    hello += bytes([0, 0, len(request), 1, 5, 0, 0, 0, 1]) + request
    before, open_ones = pss_bytes(daemon.pid, False), []
    try:
        for _ in range(n):
            s = socket.create_connection(("127.0.0.1", port), timeout=10)
            open_ones.append(s)
            s.sendall(hello)
            s.recv(4096)
        time.sleep(1)
        say("sites.memory.connection", f"{(pss_bytes(daemon.pid, False) - before) / n / 1024:.1f} KiB of the daemon for each of {n} idle connections of HTTP/2 that have asked once")
    finally:
        for s in open_ones:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Lab:
    """The servers that there are, each with its ports by protocol."""

    def __init__(self, build, folder):
        self.folder, self.build = pathlib.Path(folder), build
        self.processes, self.daemon, self.servers, self.missing = [], None, {}, {}
        cpus = sorted(os.sched_getaffinity(0))
        self.pinned = len(cpus) > 1 and shutil.which("taskset") is not None
        self.server_core, self.client_core = ([["taskset", "-c", str(c)] for c in cpus[:2]] if self.pinned else ([], []))

    def begin(self):
        for name, start in (("orchard", self.orchard), ("nginx", self.nginx), ("h2o", self.h2o), ("workerd", self.workerd)):
            pid, ports = start() or (None, {})
            if ports:
                self.servers[name] = pid, ports
                self.wait(name, ports["h1"])

    def wait(self, name, port):
        end = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{PATH}", timeout=5) as answer:
                    if answer.read().decode() == BODY:
                        return
            except OSError:
                pass
            if time.monotonic() > end:
                raise RuntimeError(f"{name} does not answer {PATH} as it should")
            time.sleep(0.05)

    def start(self, *command):
        p = subprocess.Popen([*self.server_core, *map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(p)
        return p.pid

    def orchard(self):
        port = free_port()
        cage = {"host": "127.0.0.1", "http_port": port, "admin_port": 0, "default_site": "shop", "sites": {"shop": {"module": "example:hello.wasm", "replicas": 2, "guard": "off"}}}
        self.daemon = Daemon(self.build, "orchard", [], self.folder, {"cage": cage}, before=self.server_core, bootstrap=True)
        return self.daemon.pid, {"h1": port, "h2": port}

    def nginx(self):
        if shutil.which("nginx") is None:
            return self.lacks("nginx", "is not installed")
        h1, h2 = free_port(), free_port()
        config = self.folder / "nginx.conf"
        config.write_text(NGINX.format(dir=self.folder, h1=h1, h2=h2, user="user root;" if os.geteuid() == 0 else ""))
        return self.start("nginx", "-c", config, "-p", self.folder, "-e", self.folder / "error.log"), {"h1": h1, "h2": h2}

    def h2o(self):
        if shutil.which("h2o") is None:
            return self.lacks("h2o", "is not installed")
        port = free_port()
        (self.folder / "www").mkdir()
        (self.folder / "www" / PATH[1:]).write_text(BODY)
        config = self.folder / "h2o.conf"
        config.write_text(H2O.format(dir=self.folder, port=port, user="user: root" if os.geteuid() == 0 else ""))
        return self.start("h2o", "-m", "worker", "-c", config), {"h1": port, "h2": port}

    def workerd(self):
        program = workerd_program()
        if program is None:
            return self.lacks("workerd", "is not installed: npm ci in bench/workerd")
        port = free_port()
        (self.folder / "hello.js").write_text(HELLO)
        config = self.folder / "workerd.capnp"
        config.write_text(WORKERD.format(port=port))
        return self.start(program, "serve", config), {"h1": port}  # It speaks no HTTP/2 where it listens.

    def lacks(self, name, why):
        self.missing[name] = why

    def load(self, name, protocol, requests):
        """Requests a second, the median and the 99th percentile of their µs, and the server's CPU µs for one."""
        pid, ports = self.servers[name]
        log = self.folder / "requests.log"
        log.unlink(missing_ok=True)
        before = cpu_seconds(pid)
        done = subprocess.run([*self.client_core, "h2load", "-t", "1", "-n", str(requests), *PROTOCOLS[protocol], f"--log-file={log}", f"http://127.0.0.1:{ports[protocol]}{PATH}"],
                              capture_output=True, text=True, timeout=SECONDS_MAX)
        cpu = cpu_seconds(pid) - before
        if f" {requests} succeeded" not in done.stdout or (rate := re.search(r"finished in .*?, ([\d.]+) req/s", done.stdout)) is None:
            raise RuntimeError(f"{name} over {protocol}: h2load did not get {requests} answers\n{done.stdout[-1000:]}{done.stderr[-500:]}")
        micros = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
        return {"rate": float(rate[1]), "p50": micros[len(micros) // 2], "p99": micros[len(micros) * 99 // 100], "cpu": 1e6 * cpu / requests}

    def added_latency(self, requests):
        """What a request alone waits at the median, of our site, and of our door alone, which answers /health for hosts that are no site; µs."""
        _, ports = self.servers["orchard"]
        log = self.folder / "latency.log"
        out = []
        for host in ("shop.localhost", "shop", "nobody"):  # The first warms up.
            log.unlink(missing_ok=True)
            subprocess.run([*self.client_core, "h2load", "-t", "1", "-n", str(requests), "-c", "1", "-m", "1", f"--log-file={log}", f"--header=:authority: {host}",
                            f"http://127.0.0.1:{ports['h2']}{PATH}"], capture_output=True, timeout=SECONDS_MAX, check=True)
            micros = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
            out.append(micros[len(micros) // 2])
        return out[1], out[2]

    def stop(self):
        if self.daemon is not None:
            self.daemon.stop()
        for p in self.processes:
            p.terminate()
        for p in self.processes:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}–{max(values):.{digits}f}]"


def run(build, pairs, say, requests=REQUESTS):
    if shutil.which("h2load") is None:
        return say("sites", "left out: h2load (nghttp2-client) is not installed")
    with tempfile.TemporaryDirectory(prefix="orchard-sites-") as folder:
        os.chmod(folder, 0o755)
        lab = Lab(build, folder)
        try:
            lab.begin()
            for name, why in lab.missing.items():
                say(f"sites.{name}", f"left out: it {why}")
            if not lab.pinned:
                say("sites", "server and client are not pinned to a core each: figures of servers with several threads are theirs on all cores")
            for protocol in PROTOCOLS:
                names = [n for n, (_, ports) in lab.servers.items() if protocol in ports]
                for name in lab.servers.keys() - names:
                    say(f"sites.{protocol}.{name}", "left out: it does not speak that")
                for name in names:
                    lab.load(name, protocol, WARM)
                rounds = [{name: lab.load(name, protocol, requests) for name in names} for _ in range(pairs)]
                for name in names:
                    each = lambda key, digits=0: spread([r[name][key] for r in rounds], digits)
                    say(f"sites.{protocol}.{name}", f"{each('rate')} requests/s, p50 {each('p50')} µs, p99 {each('p99')} µs, CPU {each('cpu', 1)} µs a request")
                for name in names[1:]:
                    ratio = lambda key: spread([r["orchard"][key] / r[name][key] for r in rounds], 2)
                    say(f"sites.{protocol}.orchard÷{name}", f"requests/s {ratio('rate')} ×, p99 {ratio('p99')} ×, CPU {ratio('cpu')} ×")
            waits = [lab.added_latency(requests // 10) for _ in range(pairs)]
            say("sites.latency", f"a request alone waits {spread([w[0] for w in waits], 0)} µs for a cage's answer and {spread([w[1] for w in waits], 0)} µs for the door's own: "
                f"router, cage and its process add {spread([w[0] - w[1] for w in waits], 0)} µs at the median")
        finally:
            lab.stop()
        memory(build, folder, say)
