"""Who breaks the rules of encrypted connections (MSE) in one way, for the tests that see that it costs
the other side nothing but a connection.

    mse_trickster.py '{"host": "10.77.0.9", "port": 51413, "call": null, "trick": "wrong-vc", "info_hash": ".."}'

Listens, or calls once if `call` names somebody; plays its trick. Prints one JSON object a line:
`listening`, `connected`, `greeted` with the other side's handshake, `closed` with the bytes that it sent
and whether it was the other side that hung up.
"""

import hashlib
import json
import os
import socket
import sys
import threading

# Oakley's first group, but for its end (the specification's P), and its generator.
P = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563",
    16,
)
G = 2
RC4_BIT = 2
# A connection that nobody hangs up ends here: a test is over by then.
PATIENCE_S = 120

job = json.loads(sys.argv[1])
info_hash = bytes.fromhex(job["info_hash"])
trick = job["trick"]
lock = threading.Lock()


def say(event, **facts):
    with lock:
        print(json.dumps({"event": event, **facts}), flush=True)


def digest(*parts):
    return hashlib.sha1(b"".join(parts)).digest()


class Rc4:
    def __init__(self, key):
        self.s, self.i, self.j = list(range(256)), 0, 0
        j = 0
        for i in range(256):
            j = (j + self.s[i] + key[i % len(key)]) & 255
            self.s[i], self.s[j] = self.s[j], self.s[i]
        self(bytes(1024))

    def __call__(self, data):
        s, out = self.s, bytearray()
        for byte in data:
            self.i = (self.i + 1) & 255
            self.j = (self.j + s[self.i]) & 255
            s[self.i], s[self.j] = s[self.j], s[self.i]
            out.append(byte ^ s[(s[self.i] + s[self.j]) & 255])
        return bytes(out)


class Line:
    """A socket that counts."""

    def __init__(self, peer):
        self.peer, self.sent = peer, 0
        peer.settimeout(PATIENCE_S)

    def send(self, data):
        self.peer.sendall(data)
        self.sent += len(data)

    def receive(self, length):
        got = bytearray()
        while len(got) < length:
            more = self.peer.recv(length - len(got))
            if not more:
                raise ConnectionError("hung up")
            got += more
        return bytes(got)

    def skip_to(self, pattern):
        got = bytearray(self.receive(len(pattern)))
        while not got.endswith(pattern):
            got += self.receive(1)

    def wait_for_end(self):
        while self.peer.recv(1 << 16):
            pass
        raise ConnectionError("hung up")


def handshake():
    return b"\x13BitTorrent protocol" + bytes(8) + info_hash + b"-EV0001-" + os.urandom(12)


def keys():
    private = int.from_bytes(os.urandom(20), "big")
    return private, pow(G, private, P).to_bytes(96, "big")


def secret(theirs, private):
    return pow(int.from_bytes(theirs, "big"), private, P).to_bytes(96, "big")


def called(line):
    private, public = keys()
    if trick == "endless-pad":
        line.send(public)
        while True:
            line.send(os.urandom(1 << 12))
    theirs = line.receive(96)
    line.send(public)
    if trick == "closes-midway":
        return
    s = secret(theirs, private)
    line.skip_to(digest(b"req1", s))
    line.receive(20)
    encrypt = Rc4(digest(b"keyB", s, info_hash))
    vc = b"\1" * 8 if trick == "wrong-vc" else bytes(8)
    select = 0x40 if trick == "wrong-method" else RC4_BIT
    line.send(encrypt(vc + select.to_bytes(4, "big") + bytes(2)) + os.urandom(600))
    line.wait_for_end()


def call(line):
    if trick == "plain":
        line.send(handshake())
        line.wait_for_end()
    private, public = keys()
    line.send(public)
    if trick == "endless-pad":
        while True:
            line.send(os.urandom(1 << 12))
    s = secret(line.receive(96), private)
    if trick == "closes-midway":
        return
    skey = bytes(20) if trick == "other-torrent" else info_hash
    about = bytes(a ^ b for a, b in zip(digest(b"req2", skey), digest(b"req3", s)))
    encrypt, decrypt = (Rc4(digest(label, s, skey)) for label in (b"keyA", b"keyB"))
    vc = b"\1" * 8 if trick == "wrong-vc" else bytes(8)
    provide = 0x40 if trick == "wrong-method" else RC4_BIT
    length = 0xFFFF if trick == "long-payload" else 68
    head = vc + provide.to_bytes(4, "big") + bytes(2) + length.to_bytes(2, "big")
    line.send(digest(b"req1", s) + about + encrypt(head + handshake()))
    if trick != "nothing":
        line.wait_for_end()
    # Padding, and VC as it looks encrypted.
    line.skip_to(decrypt(bytes(8)))
    fields = decrypt(line.receive(6))
    decrypt(line.receive(int.from_bytes(fields[4:], "big")))
    say("greeted", method=int.from_bytes(fields[:4], "big"), handshake=decrypt(line.receive(68)).hex())


def play(peer, part):
    line, hung_up = Line(peer), False
    try:
        part(line)
    except TimeoutError:
        pass
    except OSError:
        hung_up = True
    peer.close()
    say("closed", hung_up=hung_up, sent=line.sent)


if job["call"]:
    caller = socket.create_connection(tuple(job["call"]), source_address=(job["host"], 0))
    say("connected")
    play(caller, call)
    # Its output is read until the test ends it.
    threading.Event().wait()
server = socket.create_server((job["host"], job["port"]))
say("listening")
while True:
    peer, _ = server.accept()
    say("connected")
    threading.Thread(target=play, args=(peer, called), daemon=True).start()
