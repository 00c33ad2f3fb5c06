"""What the pod's proxy costs on loopback: CPU for a byte, beside a plain relay of TCP, and the time beside no proxy."""
import pathlib
import socket
import statistics
import subprocess
import tempfile
import time

from streams import Daemon, cpu_ms

NGINX = """daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log; worker_processes 1; {user}
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen 127.0.0.1:{port}; root {dir}/www; keepalive_requests 100000; }}
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Lab:
    """An nginx, a socat in front of it, a daemon alone, and a pod of two."""

    def __init__(self, build, folder, mib):
        self.folder, self.bytes, self.others, self.daemons = pathlib.Path(folder), mib << 20, [], []
        (self.folder / "www").mkdir()
        with open(self.folder / "www/film", "wb") as f:
            f.truncate(self.bytes)
        self.port, self.socat_port = free_port(), free_port()
        config = self.folder / "nginx.conf"
        config.write_text(NGINX.format(dir=self.folder, port=self.port, user="user root;"))
        self.start("nginx", "-c", config, "-p", self.folder, "-e", self.folder / "error.log")
        self.proxies = {}
        pod = free_port()
        self.alone, self.first, self.second = self.daemon(build, "alone", free_port()), self.daemon(build, "first", pod), self.daemon(build, "second", pod)
        end = time.monotonic() + 20
        while self.first.call("pod.peers")["count"] != 1:
            if time.monotonic() > end:
                raise RuntimeError("the pod of two does not form")
            time.sleep(0.05)

    def start(self, *command):
        p = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.others.append(p)
        return p

    def daemon(self, build, name, discovery_port):
        port = free_port()
        pod = {"enabled": True, "proxy_port": port, "transport_port": 0, "discovery_port": discovery_port, "loopback": True, "allow_private": True}
        d = Daemon(build, name, [], self.folder, {"pod": pod}, bootstrap=True)
        self.daemons.append(d)
        self.proxies[name] = f"http://127.0.0.1:{port}"
        return d

    def curl(self, port, proxy=None):
        """Seconds."""
        command = ["curl", "-sf", "-o", "/dev/null", "--noproxy", "" if proxy else "*", *(["-x", proxy] if proxy else []), f"http://127.0.0.1:{port}/film"]
        begin = time.monotonic()
        subprocess.run(command, check=True)
        return time.monotonic() - begin

    def relayed(self):
        """Seconds, and CPU milliseconds of a relay of the same bytes."""
        relay = subprocess.Popen(["socat", "-b262144", f"TCP-LISTEN:{self.socat_port},reuseaddr,bind=127.0.0.1", f"TCP:127.0.0.1:{self.port}"])
        try:
            while f":{self.socat_port:04X} 00000000:0000 0A" not in pathlib.Path("/proc/net/tcp").read_text():
                time.sleep(0.005)
            took = self.curl(self.socat_port)
            # It lingers half a second for the other half of its streams: time enough to read its clock.
            return took, cpu_ms(relay.pid)
        finally:
            relay.kill()
            relay.wait()

    def through(self, name, daemons):
        before = sum(cpu_ms(d.pid) for d in daemons)
        took = self.curl(self.port, self.proxies[name])
        return took, sum(cpu_ms(d.pid) for d in daemons) - before

    def stop(self):
        for d in self.daemons:
            d.stop()
        for p in self.others:
            p.terminate()
            p.wait()


def run(build, pairs, say, mib=256):
    with tempfile.TemporaryDirectory(prefix="orchard-proxy-") as folder:
        lab = Lab(build, folder, mib)
        try:
            rounds = []
            for _ in range(pairs):
                direct = lab.curl(lab.port)
                socat_s, socat_ms = lab.relayed()
                alone_s, alone_ms = lab.through("alone", [lab.alone])
                pod_before = lab.second.call("pod.stats")["served"]["bytes"]
                own_before = cpu_ms(lab.second.pid)
                pod_s, pod_ms = lab.through("first", [lab.first])
                served = lab.second.call("pod.stats")["served"]["bytes"] - pod_before
                rounds.append({"direct": direct, "socat": (socat_s, socat_ms), "alone": (alone_s, alone_ms), "pod": (pod_s, pod_ms),
                               "member": cpu_ms(lab.second.pid) - own_before, "served": served / lab.bytes})
        finally:
            lab.stop()

    def each(f, digits=2):
        values = [f(r) for r in rounds]
        return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}–{max(values):.{digits}f}]"

    say("proxy.socat", f"{each(lambda r: r['socat'][1] / mib)} ms of CPU for a MiB; the time is {each(lambda r: r['socat'][0] / r['direct'])} × direct curl's")
    say("proxy.pass", f"CPU {each(lambda r: r['alone'][1] / r['socat'][1])} × socat's; the time {each(lambda r: r['alone'][0] / r['direct'])} × direct curl's")
    say("proxy.pod", f"CPU {each(lambda r: r['pod'][1] / r['socat'][1])} × socat's, the member's {each(lambda r: r['member'] / r['socat'][1])} × for "
                     f"{each(lambda r: r['served'])} of the bytes; the time {each(lambda r: r['pod'][0] / r['direct'])} × direct curl's")
