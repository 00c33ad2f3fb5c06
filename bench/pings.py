"""How long a daemon that has something long to do leaves 1,000 pings a second waiting."""
import pathlib
import socket
import struct
import tempfile
import threading
import time

import streams

RATE = 1000


def pings(address, seconds, done=None):
    """(When it was sent, milliseconds it took) of each DHT ping to `address`, sent at 1,000 a second for so long, or until `done` is set;
    lost ones count a second."""
    host, port = address.rsplit(":", 1)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.connect((host, int(port)))
    sent, took = {}, []

    def listen():
        udp.settimeout(1)
        try:
            while True:
                tid = struct.unpack_from("<H", udp.recv(2048), 2)[0]
                if tid in sent:
                    began = sent.pop(tid)
                    took.append((began, 1000 * (time.perf_counter() - began)))
        except TimeoutError:
            return

    listener = threading.Thread(target=listen)
    listener.start()
    to = socket.inet_aton(host) + struct.pack("<H", int(port))
    began = time.perf_counter()
    for i in range(int(seconds * RATE)):
        if done is not None and done.is_set():
            break
        time.sleep(max(0, began + i / RATE - time.perf_counter()))
        sent[i & 0xffff] = time.perf_counter()
        udp.send(b"\x03\x04" + struct.pack("<H", i & 0xffff) + to + b"\x00")  # Internal command 0.
    listener.join()
    return took + [(began, 1000.0) for began in sent.values()]


def p(values, percent):
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def during(daemon, address, job):
    """Milliseconds of the pings that were sent while `job` ran, and how long it took in ms."""
    done, span = threading.Event(), []

    def work():
        time.sleep(0.2)
        span.append(time.perf_counter())
        job()
        span.append(time.perf_counter())
        time.sleep(0.2)
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    values = pings(address, 60, done)
    worker.join()
    return [took for sent, took in values if span[0] <= sent <= span[1]], 1000 * (span[1] - span[0])


def list_for(daemon, seconds):
    """Lists its connections again and again. Nothing is parsed: that would hold up the pings of this program, not the daemon."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        daemon.socket.sendall(b'{"id":1,"op":"connections","params":{}}\n')
        while not daemon.socket.recv(65536).endswith(b"\n"):
            pass


def run(build, say, count=10000, megabytes=256):
    build = pathlib.Path(build)
    with tempfile.TemporaryDirectory() as folder:
        daemons, root = streams.ours_net(build, folder)
        busy, other = (streams.Daemon(build, name, [root], folder, firewalled=False) for name in ("busy", "other"))
        try:
            address = busy.until("info")["address"]
            address = "127.0.0.1:" + address.rsplit(":", 1)[1]
            key = other.until("listen")["key"]
            busy.until("connect", to=key)
            jobs = [("nothing", lambda: time.sleep(2)), (f"send {megabytes} MB", lambda: busy.call("send", to=key, bytes=megabytes * 1_000_000))]
            for name, job in jobs:
                report(say, name, *during(busy, address, job))
            for i in range(count):
                assert busy.call("connect", to=key, seed=i.to_bytes(32, "big").hex())["ok"]
            for name, job in [("nothing", lambda: time.sleep(2)), ("list the connections", lambda: list_for(busy, 0.5)),
                              ("destroy them all", lambda: busy.call("disconnect", to=key))]:
                report(say, f"{name}, {count} connections", *during(busy, address, job))
        finally:
            for d in (busy, other, *daemons):
                d.stop()


def report(say, name, values, took):
    say("pings", f"{name} ({took:.0f} ms): p50 {p(values, 50):.2f} ms, p99 {p(values, 99):.2f} ms, longest {max(values):.1f} ms of {len(values)}")


if __name__ == "__main__":
    import sys
    run(sys.argv[1], lambda name, text: print(name, text, flush=True), *map(int, sys.argv[2:]))
