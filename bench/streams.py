"""Connections and streams on loopback: ours, the JavaScript peers', and the limit without a protocol."""
import json
import os
import pathlib
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent


def cpu_ms(pid):
    """CPU time of a process so far, all its threads."""
    return sum(int((t / "schedstat").read_text().split()[0]) for t in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e6


def rss_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Daemon:
    """One `orchard node`, spoken to over its socket. `more` of the configuration; `before` the command."""

    def __init__(self, build, name, roots, folder, more=None, before=(), **dht):
        self.folder = pathlib.Path(folder) / name
        config = pathlib.Path(folder) / f"{name}.json"
        config.write_text(json.dumps({"dht": {"host": "127.0.0.1", "port": 0, "nodes": roots, **dht}, **(more or {})}))
        self.process = subprocess.Popen([*before, build / "node/apps/orchard", "node", "--config", config, "--data", self.folder],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        self.socket = socket.socket(socket.AF_UNIX)
        while self.socket.connect_ex(str(self.folder / "orchard.sock")) != 0:  # It is bound before it listens.
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon {name} ended")
            time.sleep(0.01)
        self.lines = self.socket.makefile("r")

    def call(self, op, **params):
        self.socket.sendall((json.dumps({"id": 1, "op": op, "params": params}) + "\n").encode())
        for line in self.lines:
            event = json.loads(line)
            if event["tag"] == "final":
                return event["data"]
        raise RuntimeError(f"{op}: the daemon hung up")

    def until(self, op, **params):
        while not (answer := self.call(op, **params))["ok"]:
            time.sleep(0.05)
        return answer

    def stop(self):
        self.process.terminate()
        self.process.wait()


class JsPeer:
    def __init__(self):
        self.process = subprocess.Popen(["node", HERE / "js_peer.cjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.pid = self.process.pid

    def call(self, do, **more):
        self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def ours_net(build, folder, count=6):
    """A DHT of our own daemons; returns the daemons and the root's address."""
    root = Daemon(build, "root", [], folder, bootstrap=True)
    address = root.until("info")["address"]
    while address is None:
        time.sleep(0.05)
        address = root.call("info")["address"]
    rest = [Daemon(build, f"node{i}", [address], folder, persistent=True, firewalled=False) for i in range(count - 1)]
    return [root, *rest], address


def throughput(build, megabytes, folder, roots):
    """(MB/s, sender's and receiver's CPU ms per MB) of one encrypted stream between two of our daemons."""
    server, client = Daemon(build, "server", roots, folder, firewalled=False), Daemon(build, "client", roots, folder, firewalled=False)
    try:
        key = server.until("listen")["key"]
        client.until("connect", to=key)
        before = cpu_ms(client.pid), cpu_ms(server.pid)
        sent = client.call("send", to=key, bytes=megabytes * 1_000_000)
        assert sent["ok"], sent
        return (1000 * megabytes / sent["ms"], (cpu_ms(client.pid) - before[0]) / megabytes, (cpu_ms(server.pid) - before[1]) / megabytes)
    finally:
        client.stop(), server.stop()
        shutil.rmtree(pathlib.Path(folder) / "server"), shutil.rmtree(pathlib.Path(folder) / "client")


def js_throughput(megabytes, port):
    server, client = JsPeer(), JsPeer()
    try:
        key = server.call("listen", boot=port)["key"]
        before = cpu_ms(server.pid)
        client.call("connect", boot=port, to=key, times=1)  # What is done once is not measured.
        client_before = cpu_ms(client.pid)
        sent = client.call("send", boot=port, to=key, bytes=megabytes * 1_000_000)
        return 1000 * megabytes / sent["ms"], (cpu_ms(client.pid) - client_before) / megabytes, (cpu_ms(server.pid) - before) / megabytes
    finally:
        client.stop(), server.stop()


def limit(build, megabytes):
    d = json.loads(subprocess.run([build / "bench/stream_limit", str(megabytes)], capture_output=True, text=True, check=True).stdout)
    return d["mb_per_s"], d["tx_cpu_ms_per_mb"], d["rx_cpu_ms_per_mb"]


def connects(build, times, folder, roots):
    """Milliseconds of each connect, and CPU ms of client and server together per connect."""
    server, client = Daemon(build, "server", roots, folder, firewalled=False), Daemon(build, "client", roots, folder)
    try:
        key = server.until("listen")["key"]
        client.until("connect", to=key, fresh=True)
        before = cpu_ms(client.pid) + cpu_ms(server.pid)
        ms = []
        for _ in range(times):
            answer = client.call("connect", to=key, fresh=True)
            assert answer["ok"], answer
            ms.append(answer["ms"])
        return ms, (cpu_ms(client.pid) + cpu_ms(server.pid) - before) / times
    finally:
        client.stop(), server.stop()
        shutil.rmtree(pathlib.Path(folder) / "server"), shutil.rmtree(pathlib.Path(folder) / "client")


def js_connects(times, port):
    server, client = JsPeer(), JsPeer()
    try:
        key = server.call("listen", boot=port)["key"]
        client.call("connect", boot=port, to=key, times=5)
        before = cpu_ms(client.pid) + cpu_ms(server.pid)
        ms = client.call("connect", boot=port, to=key, times=times)["ms"]
        return ms, (cpu_ms(client.pid) + cpu_ms(server.pid) - before) / times
    finally:
        client.stop(), server.stop()


def bare_handshake(build, times=300):
    """CPU ms of what libsodium alone needs for one handshake, both ends."""
    def cpu(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([build / "bench/kernels", "noise_ik_bare", str(rounds)], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return (cpu(times) - cpu(0)) / times


def idle(build, count, folder, roots, seconds=10):
    """(bytes a connection of the listener, of the dialer; CPU ms a second of either) with `count` connections that do nothing."""
    server, client = Daemon(build, "server", roots, folder, firewalled=False), Daemon(build, "client", roots, folder)
    try:
        key = server.until("listen")["key"]
        client.until("connect", to=key, fresh=True)
        pids = server.pid, client.pid
        before = [rss_bytes(p) for p in pids]
        for i in range(count):
            answer = client.call("connect", to=key, seed=i.to_bytes(32, "big").hex())
            assert answer["ok"], answer
        cpu = [cpu_ms(p) for p in pids]
        time.sleep(seconds)
        cpu = [(cpu_ms(p) - c) / seconds for p, c in zip(pids, cpu)]
        held = [rss_bytes(p) - b for p, b in zip(pids, before)]
        open_now = server.call("connections")["count"]
        assert open_now == count, f"{open_now} of {count} connections are open"
        return held[0] / count, held[1] / count, *cpu
    finally:
        client.stop(), server.stop()
        shutil.rmtree(pathlib.Path(folder) / "server"), shutil.rmtree(pathlib.Path(folder) / "client")


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}–{max(values):.{digits}f}]"


def run(build, pairs, say, megabytes=256, times=100):
    """Interleaved pairs of everything; `say(name, text)` prints."""
    build = pathlib.Path(build)
    with tempfile.TemporaryDirectory() as folder:
        daemons, root = ours_net(build, folder)
        js = JsPeer() if shutil.which("node") and (ROOT / "tests/interop/node_modules").exists() else None
        try:
            port = js.call("testnet", nodes=6)["port"] if js else None
            rows = {"orchard": [], "limit": [], **({"javascript": []} if js else {})}
            dials = {"orchard": [], **({"javascript": []} if js else {})}
            bare = []
            for _ in range(pairs):
                rows["orchard"].append(throughput(build, megabytes, folder, [root]))
                rows["limit"].append(limit(build, megabytes))
                if js:
                    rows["javascript"].append(js_throughput(megabytes, port))
                dials["orchard"].append(connects(build, times, folder, [root]))
                bare.append(bare_handshake(build))
                if js:
                    dials["javascript"].append(js_connects(times, port))
            for name, values in rows.items():
                cpu = [tx + rx for _, tx, rx in values]
                beside = "" if name == "orchard" else f"; orchard needs {spread([sum(o[1:]) / c for o, c in zip(rows['orchard'], cpu)], 2)} × that CPU"
                say(f"streams.{name}", f"{spread([v[0] for v in values], 0)} MB/s, CPU ms a MB: sender {spread([v[1] for v in values], 2)}, "
                                       f"receiver {spread([v[2] for v in values], 2)}{beside}")
            for name, values in dials.items():
                medians = [statistics.median(ms) for ms, _ in values]
                say(f"connects.{name}", f"{spread(medians, 2)} ms to open (medians of {times}), {spread([c for _, c in values], 2)} CPU ms a connection, both ends")
            ours = [c for _, c in dials["orchard"]]
            beside = f"{spread([c / b for c, b in zip(ours, bare)], 2)} × the bare curve operations ({spread(bare, 2)} CPU ms)"
            if js:
                beside += f", {spread([c / j for c, (_, j) in zip(ours, dials['javascript'])], 2)} × JavaScript"
            say("connects.ratio", f"CPU of a connection, both ends: {beside}")
            for count in (1000, 10000):
                listener, dialer, *cpu = idle(build, count, folder, [root])
                say(f"connections.idle.{count}", f"{listener:.0f} bytes a connection of the listener, {dialer:.0f} of the dialer; "
                                                 f"{cpu[0]:.0f} and {cpu[1]:.0f} CPU ms a second")
        finally:
            if js:
                js.stop()
            for d in daemons:
                d.stop()
