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
    """Milliseconds of each DHT ping to `address`, sent at 1,000 a second for so long, or until `done` is set; lost ones count a second."""
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
                    took.append(1000 * (time.perf_counter() - sent.pop(tid)))
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
    return took + [1000.0] * len(sent)


def p(values, percent):
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def during(daemon, address, job):
    """The pings while `job` runs, and how long it took in ms."""
    done, took = threading.Event(), []

    def work():
        time.sleep(0.2)
        began = time.perf_counter()
        job()
        took.append(1000 * (time.perf_counter() - began))
        time.sleep(0.2)
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    values = pings(address, 60, done)
    worker.join()
    return values, took[0]


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
            for name, job in [("nothing", lambda: time.sleep(2)), ("list the connections", lambda: busy.call("connections")),
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
