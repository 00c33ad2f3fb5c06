#!/usr/bin/env python3
"""What a pod gets from real kernels: three daemons in network namespaces, an nginx origin, curl.

Usage: bench/pods.py BUILD [--rates MBPS,MBPS,MBPS] [--seconds N] [--json FILE]

Each member has an uplink of its own to the origin, shaped both ways by tbf (queue 50 ms), and all share one LAN segment, which is
not shaped. Rates are in Mb/s of the wire, down; up is a quarter. Printed are megabits of body a second:

  solo    curl without a proxy in each member's namespace, over the same uplink, all at the same time
  best    the best of these: what one link alone gives
  pod     curl through the first member's proxy on 127.0.0.1:3128; efficiency is pod ÷ sum of solo, harm pod ÷ best
  aria2   in a fourth namespace with three uplinks of the same rates and a routing table for each source address: four connections
          for each uplink, spread by --multiple-interface
  killed  as pod, but the fastest of the others is killed (SIGKILL) when half is there
  dark    as pod, but that member's uplink loses everything from when half is there

Needs root, nginx, curl, aria2, iproute2. Everything lives in a PID namespace of its own and ends with this program.
Exit status: 0; 1 something came false or not at all; 3 it could not be set up.
"""
import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

from streams import Daemon

ORIGIN = "45.1.0.1"  # As public as an address must be to be fetched from for others.
CONGESTION = "net.ipv4.tcp_congestion_control=reno"  # As in the simulator, and what every kernel lets a namespace have.
NGINX = """daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log; worker_processes 1;
events {{ worker_connections 512; }}
http {{
  log_format who '$remote_addr $body_bytes_sent'; access_log {dir}/access.log who;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  sendfile on; tcp_nodelay on;
  server {{ listen {origin}:80; root {dir}/www; }}
}}
"""


class Failed(Exception):
    pass


def sh(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


class Space:
    """A network namespace; a sleeping process holds it."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        own = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == own:
            time.sleep(0.005)
        self.ip("link set lo up")
        sh(*self.inside("sysctl", "-q", CONGESTION))

    def inside(self, *command):
        return ["nsenter", "-t", str(self.holder.pid), "-n", *map(str, command)]

    def ip(self, *lines):
        sh(*self.inside("ip", "-batch", "-"), input="\n".join(lines))

    def tc(self, line):
        sh(*self.inside("tc", *line.split()))


def shape(mbps):
    # A burst of 5 ms, and at least a segment that the device cuts into packets.
    return f"root tbf rate {mbps}mbit burst {max(int(mbps * 625), 70000)}b latency 50ms"


class Lab:
    def __init__(self, build, folder, rates, seconds):
        self.build, self.folder, self.rates, self.seconds = build, folder, rates, seconds
        self.daemons, self.others = {}, []
        sh("sysctl", "-q", CONGESTION)
        sh("ip", "-batch", "-", input="\n".join(["link set lo up", f"addr add {ORIGIN}/32 dev lo", "link add lan0 type bridge", "link set lan0 up"]))
        self.members = [Space() for _ in rates]
        for i, (space, rate) in enumerate(zip(self.members, rates)):
            self.cable(space, f"lan{i + 1}", "lan")
            sh("ip", "link", "set", f"lan{i + 1}", "master", "lan0")
            space.ip(f"addr add 192.168.60.{i + 1}/24 dev lan")
            self.uplink(space, i, "wan", rate)
            space.ip(f"route add default via 45.0.{i}.1")
        self.multi = Space()
        for i, rate in enumerate(rates):
            self.uplink(self.multi, 10 + i, f"wan{i}", rate)
            self.multi.ip(f"route add default via 45.0.{10 + i}.1 table {10 + i}", f"rule add from 45.0.{10 + i}.2 lookup {10 + i}")
        self.multi.ip("route add default via 45.0.10.1")

    def cable(self, space, here, there):
        sh("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", space.holder.pid)
        sh("ip", "link", "set", here, "up")
        space.ip(f"link set {there} up")

    def uplink(self, space, number, name, rate):
        here = f"net{number}"
        self.cable(space, here, name)
        sh("ip", "addr", "add", f"45.0.{number}.1/24", "dev", here)
        space.ip(f"addr add 45.0.{number}.2/24 dev {name}")
        sh("tc", "qdisc", "add", "dev", here, *shape(rate).split())
        space.tc(f"qdisc add dev {name} {shape(rate / 4)}")

    def origin(self):
        www = self.folder / "www"
        www.mkdir()
        # Worth so many seconds of all uplinks.
        self.size = int(sum(self.rates) * 1e6 / 8 * self.seconds) // 4 * 4 + 3
        film = random.Random(60).randbytes(self.size)
        (www / "film").write_bytes(film)
        self.sha256 = hashlib.sha256(film).hexdigest()
        for i, rate in enumerate(self.rates):
            (www / f"solo{i}").write_bytes(film[:int(rate * 1e6 / 8 * self.seconds)])
        config = self.folder / "nginx.conf"
        config.write_text(("user root; " if os.geteuid() == 0 else "") + NGINX.format(dir=self.folder, origin=ORIGIN))
        self.start("nginx", "-c", config, "-p", self.folder, "-e", self.folder / "error.log")
        until(lambda: subprocess.run(["curl", "-sf", "-r", "0-0", f"http://{ORIGIN}/film"], capture_output=True).returncode == 0, 10, "nginx")

    def start(self, *command):
        p = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.others.append(p)
        return p

    def daemon(self, i):
        self.daemons[i] = Daemon(self.build, f"m{i}", [], self.folder, {"pod": {"enabled": True, "proxy_port": 3128}}, self.members[i].inside(), bootstrap=True)

    def pod(self):
        """Starts all and waits until each knows the others; the seconds from the last one's start."""
        for i in range(len(self.members)):
            begin = time.monotonic()
            self.daemon(i)
        until(lambda: all(d.call("pod.peers")["count"] == len(self.members) - 1 for d in self.daemons.values()), 20, "the pod")
        return time.monotonic() - begin

    def solo(self):
        running = [subprocess.Popen(space.inside("curl", "-sf", "-o", "/dev/null", "-w", "%{speed_download}", f"http://{ORIGIN}/solo{i}"),
                                    stdout=subprocess.PIPE, text=True) for i, space in enumerate(self.members)]
        return [float(r.communicate()[0]) * 8 / 1e6 for r in running]

    def curl(self, name, at_half=None):
        """Through the first member's proxy: megabits a second, and the bytes of each member's uplink by nginx's log."""
        log = self.folder / "access.log"
        log.write_text("")
        out = self.folder / name
        begin = time.monotonic()
        curl = subprocess.Popen(self.members[0].inside("curl", "-sf", "--max-time", "120", "-x", "http://127.0.0.1:3128", "-o", out, f"http://{ORIGIN}/film"))
        while curl.poll() is None:
            if at_half is not None and out.exists() and out.stat().st_size * 2 >= self.size:
                at_half()
                at_half = None
            time.sleep(0.002)
        took = time.monotonic() - begin
        if curl.returncode != 0:
            raise Failed(f"{name}: curl ended with {curl.returncode}")
        if hashlib.sha256(out.read_bytes()).hexdigest() != self.sha256:
            raise Failed(f"{name}: other bytes than the origin's")
        out.unlink()
        shares = {f"45.0.{i}.2": 0 for i in range(len(self.members))}
        for line in log.read_text().splitlines():
            who, count = line.split()
            shares[who] = shares.get(who, 0) + int(count)
        return {"mbps": self.size * 8 / 1e6 / took, "seconds": took, "shares": [n / self.size for n in shares.values()]}

    def aria2(self):
        n = len(self.rates)
        out = self.folder / "aria2"
        begin = time.monotonic()
        sh(*self.multi.inside("aria2c", "--no-conf", "--quiet", "--file-allocation=none", f"--dir={self.folder}", "--out=aria2",
                              f"--multiple-interface={','.join(f'wan{i}' for i in range(n))}", f"--split={4 * n}", f"--max-connection-per-server={4 * n}",
                              "--min-split-size=1M", f"http://{ORIGIN}/film"))
        took = time.monotonic() - begin
        if hashlib.sha256(out.read_bytes()).hexdigest() != self.sha256:
            raise Failed("aria2: other bytes than the origin's")
        return self.size * 8 / 1e6 / took

    def stop(self):
        for d in self.daemons.values():
            with contextlib.suppress(ProcessLookupError):
                d.stop()
        for p in [*self.others, *(s.holder for s in (*self.members, self.multi))]:
            p.terminate()
            p.wait()


def until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"{what} is not there after {seconds} s")
        time.sleep(0.02)


def measure(lab):
    lab.origin()
    found = {"rates": lab.rates, "bytes": lab.size, "formed_seconds": lab.pod()}
    solo = found["solo_mbps"] = lab.solo()
    found["best_mbps"] = max(solo)

    def judge(result):
        return {**result, "efficiency": result["mbps"] / sum(solo), "harm": result["mbps"] / max(solo)}

    found["pod"] = judge(lab.curl("pod"))
    found["aria2"] = judge({"mbps": lab.aria2()})
    victim = max(range(1, len(lab.members)), key=lambda i: lab.rates[i])
    found["dark"] = judge(lab.curl("dark", lambda: lab.members[victim].ip("link set wan down")))
    lab.members[victim].ip("link set wan up", f"route add default via 45.0.{victim}.1")
    found["killed"] = judge(lab.curl("killed", lambda: lab.daemons[victim].process.send_signal(signal.SIGKILL)))
    found["stats"] = lab.daemons[0].call("pod.stats")
    return found


def table(found):
    yield f"rates {' + '.join(f'{r:g}' for r in found['rates'])} Mb/s, {found['bytes'] / 1e6:.1f} MB; pod of three in {found['formed_seconds']:.2f} s"
    yield f"solo {' + '.join(f'{m:.1f}' for m in found['solo_mbps'])} = {sum(found['solo_mbps']):.1f} Mb/s"
    best = found["best_mbps"]
    yield f"{'':<18} {'Mb/s':>6} {'efficiency':>10} {'harm':>5}  shares"
    yield f"{'single best link':<18} {best:>6.1f} {best / sum(found['solo_mbps']):>10.2f} {1:>5.2f}"
    for name in ("pod", "aria2", "dark", "killed"):
        r = found[name]
        shares = " ".join(f"{100 * s:.0f} %" for s in r.get("shares", []))
        yield f"{name:<18} {r['mbps']:>6.1f} {r['efficiency']:>10.2f} {r['harm']:>5.2f}  {shares}"


def run(build, rates, seconds):
    """In a process of its own, since namespaces end with their first process."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        done = subprocess.run([sys.executable, __file__, str(build), "--rates", ",".join(map(str, rates)), "--seconds", str(seconds), "--json", out.name],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return json.loads(pathlib.Path(out.name).read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rates", default="40,24,16", type=lambda text: [float(x) for x in text.split(",")])
    parser.add_argument("--seconds", default=4, type=float, help="how long a file takes over all uplinks")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        # Whatever happens to this process, all others end with it.
        os.execvp("unshare", ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, __file__, "--inside", *sys.argv[1:]])
    with tempfile.TemporaryDirectory(prefix="orchard-pods-") as folder:
        lab = None
        try:
            lab = Lab(options.build.resolve(), pathlib.Path(folder), options.rates, options.seconds)
            found = measure(lab)
        except Failed as e:
            print(f"pods: {e}", file=sys.stderr)
            return 1 if lab is not None else 3
        finally:
            if lab is not None:
                lab.stop()
    print("\n".join(table(found)))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
