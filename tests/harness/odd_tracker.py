"""An HTTP tracker that is wrong in one way, or that only knows the peers it is told of.

One argument, a JSON object: `listen`, the address; `trick`, a name in TRICKS; `peers`, addresses.
One JSON object a line on stdout: `listening`, and each announce with its query and where it came from.
"""

import gzip
import http.server
import ipaddress
import json
import socket
import struct
import sys
import threading

job = json.loads(sys.argv[1])
# Bytes that the bomb unpacks to, and peers that the liar knows.
BOMB_BYTES = 1 << 30
CROWD = 100_000


def say(**what):
    print(json.dumps(what), flush=True)


def text(body):
    return b"%d:%s" % (len(body), body)


def compact(peers):
    return b"".join(ipaddress.ip_address(host).packed + struct.pack(">H", port) for host, port in peers)


def reply(peers):
    four = [peer for peer in peers if ":" not in peer[0]]
    six = [peer for peer in peers if ":" in peer[0]]
    body = b"d8:intervali1800e5:peers" + text(compact(four))
    if six:
        body += b"6:peers6" + text(compact(six))
    return body + b"e"


def crowd():
    # Nobody in 10.78.0.0/15: no route leads there.
    first = int(ipaddress.ip_address("10.78.0.1"))
    return [[str(ipaddress.ip_address(first + i)), 6881] for i in range(CROWD)]


def bomb():
    packer = gzip.zlib.compressobj(9, gzip.zlib.DEFLATED, 31)
    lump = bytes(1 << 20)
    return b"".join(packer.compress(lump) for _ in range(BOMB_BYTES >> 20)) + packer.flush()


class Announce(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        say(event="announce", query=self.path, client=self.client_address[0])
        TRICKS[job["trick"]](self)

    def send(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


TRICKS = {
    # Not wrong at all.
    "honest": lambda asked: asked.send(reply(job["peers"])),
    "garbage": lambda asked: asked.send(b"<html>It works!</html>"),
    "gzip-bomb": lambda asked: asked.send(BOMB, Content_Encoding="gzip"),
    "redirect-loop": lambda asked: asked.send(b"", 302, Location=asked.path),
    "crowd": lambda asked: asked.send(reply(crowd())),
    # Takes the question and never answers.
    "silent": lambda asked: threading.Event().wait(),
}
BOMB = bomb() if job["trick"] == "gzip-bomb" else b""


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in job["listen"][0] else socket.AF_INET
    daemon_threads = True


server = Server(tuple(job["listen"]), Announce)
say(event="listening")
server.serve_forever()
