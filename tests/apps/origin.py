"""An origin for tests: serves a directory over http, or https with --cert, on a port of 127.0.0.1 that it prints first.

Each request is a line on stderr: "GET /film 0-99 206 PORT", PORT the client's. Ranges as RFC 9110 wants them, one at a time.
"""
import argparse
import functools
import hashlib
import http.server
import mimetypes
import pathlib
import re
import ssl
import sys
import threading
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("directory", type=pathlib.Path)
arguments.add_argument("--cert", help="PEM, certificate and key")
arguments.add_argument("--rate", type=float, default=0, help="bytes a second for each connection")
arguments.add_argument("--no-ranges", action="store_true")
arguments.add_argument("--no-state", action="store_true", help="neither ETag nor Last-Modified")
arguments.add_argument("--modified-only", action="store_true", help="Last-Modified alone")
arguments.add_argument("--changes-after", type=int, default=0, help="so many requests; then the file and its state are others")
arguments.add_argument("--short", type=int, default=0, help="so many bytes of each body; then the connection ends")
arguments.add_argument("--ignores-if-range", action="store_true", help="parts of whatever there is")
arguments.add_argument("--refuses-ranges", action="store_true", help="416, whatever part is asked for")
arguments.add_argument("--redirect", default="", help="where /moved leads, followed by the path")
options = arguments.parse_args()
counted, lock = 0, threading.Lock()
other = bytes(255 - b for b in range(256))


@functools.cache
def read(file, modified):
    body = file.read_bytes()
    return body, body.translate(other), hashlib.sha256(body).hexdigest()[:16]


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *ignored):
        pass

    def tell(self, status, asked="-"):
        sys.stderr.write(f"{self.command} {self.path} {asked} {status} {self.client_address[1]}\n")
        sys.stderr.flush()

    def short(self, status, *headers, text=b""):
        self.tell(status)
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        global counted
        with lock:
            counted += 1
            changed = 0 < options.changes_after < counted
        if options.redirect and self.path.startswith("/moved"):
            return self.short(302, ("Location", options.redirect + self.path.removeprefix("/moved")), text=b"<html>moved</html>")
        file = options.directory / self.path.split("?")[0].lstrip("/")
        if not file.is_file():
            return self.short(404)
        body, changed_body, tag = read(file, file.stat().st_mtime_ns)
        body = changed_body if changed else body
        tag = '"' + tag + ("-changed" if changed else "") + '"'
        date = "Mon, 07 Nov 1994 08:49:37 GMT" if changed else "Sun, 06 Nov 1994 08:49:37 GMT"
        state = date if options.modified_only else tag
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        first, end, status = 0, len(body), 200
        if wanted and not options.no_ranges and (options.ignores_if_range or condition in (None, state)):
            first, end, status = int(wanted[1]), min(len(body), int(wanted[2] or len(body)) + 1), 206
            if first >= len(body) or options.refuses_ranges:
                return self.short(416, ("Content-Range", f"bytes */{len(body)}"))
        self.tell(status, f"{first}-{end - 1}")
        self.send_response(status)
        self.send_header("Content-Type", mimetypes.guess_type(file.name)[0] or "application/octet-stream")
        self.send_header("Content-Length", str(end - first))
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{len(body)}")
        if not options.no_ranges:
            self.send_header("Accept-Ranges", "bytes")
        if options.modified_only:
            self.send_header("Last-Modified", date)
        elif not options.no_state:
            self.send_header("ETag", tag)
        self.end_headers()
        if self.command == "HEAD":
            return
        if 0 < options.short < end - first:
            end, self.close_connection = first + options.short, True
        began = time.monotonic()
        for at in range(first, end, 16384):
            if options.rate:
                time.sleep(max(0, began + (at - first) / options.rate - time.monotonic()))
            self.wfile.write(body[at:min(end, at + 16384)])


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, *ignored):
        pass  # Clients hang up as they please.


server = Server(("127.0.0.1", 0), Origin)
if options.cert:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.cert)
    # The handshake is the thread's of the connection.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
sys.stderr.write(f"port {server.server_address[1]}\n")
sys.stderr.flush()
server.serve_forever()
