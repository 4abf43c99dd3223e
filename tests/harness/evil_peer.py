"""A peer that breaks the rules in one way, for the tests that see nothing else suffer from it.

    evil_peer.py '{"listen": ["10.77.0.9", 51413], "trick": "bad-data", "info_hash": "..", ...}'

Listens, takes what connects, plays its trick. Prints one JSON object a line: `listening`,
`connected`, `requested` (once a connection; every one if it `records`), `closed` with the seconds that it took the other side
to hang up and whether it did, `announced`.
"""

import json
import os
import re
import socket
import struct
import sys
import threading
import time
import urllib.parse
import urllib.request

# A connection that nobody hangs up ends here: a test is over by then.
PATIENCE_S = 120

job = json.loads(sys.argv[1])
info_hash = bytes.fromhex(job["info_hash"])
pieces, piece_length, total = job["piece_count"], job["piece_length"], job["total_length"]
lock = threading.Lock()


def say(event, **facts):
    with lock:
        print(json.dumps({"event": event, **facts}), flush=True)


def handshake():
    # Plain BEP 3, no extension bits; but for the trick that needs BEP 10.
    extended = 0x10 if job["trick"] == "wrong-metadata" else 0
    return b"\x13BitTorrent protocol" + bytes([0, 0, 0, 0, 0, extended, 0, 0]) + info_hash + b"-EV0001-" + os.urandom(12)


def message(kind, payload=b""):
    return struct.pack(">IB", 1 + len(payload), kind) + payload


def bitfield(bits):
    field = bytearray((bits + 7) // 8)
    for bit in range(bits):
        field[bit // 8] |= 0x80 >> bit % 8
    return bytes(field)


CHOKE, UNCHOKE, HAVE, BITFIELD, REQUEST, PIECE, EXTENDED = 0, 1, 4, 5, 6, 7, 20
# Where it wants messages of ut_metadata, and how much it says there is.
METADATA_ID, METADATA_BYTES = 3, 20_000
whole = message(BITFIELD, bitfield(pieces))


def block_of(payload):
    index, begin, length = struct.unpack(">III", payload)
    return index, begin, length


# Each trick: what is said after the handshakes, and how a request is answered.
def wrong_data(payload):
    index, begin, length = block_of(payload)
    return message(PIECE, struct.pack(">II", index, begin) + os.urandom(length))


def short_block(payload):
    index, begin, length = block_of(payload)
    return message(PIECE, struct.pack(">II", index, begin) + bytes(length - 1))


def nothing(_payload):
    return b""


def wrong_metadata(theirs, payload):
    """Answers each request with zeros, under the id that the other side wants."""
    piece = int(re.search(rb"5:piecei(\d+)e", payload)[1])
    head = b"d8:msg_typei1e5:piecei%de10:total_sizei%dee" % (piece, METADATA_BYTES)
    length = min(1 << 14, METADATA_BYTES - (piece << 14))
    return message(EXTENDED, bytes([theirs]) + head + bytes(length))


extensions = b"d1:md11:ut_metadatai%dee13:metadata_sizei%dee" % (METADATA_ID, METADATA_BYTES)

TRICKS = {
    "garbage-handshake": (b"", nothing),
    "other-torrent": (b"", nothing),
    "giant-length": (b"\xff\xff\xff\xff" + bytes(1 << 16), nothing),
    "wrong-sized-bitfield": (message(BITFIELD, bitfield(pieces) + b"\x00\x00"), nothing),
    "spare-bit": (message(BITFIELD, b"\xff" * ((pieces + 7) // 8)), nothing),
    "index-out-of-range": (message(HAVE, struct.pack(">I", pieces + 5)), nothing),
    "unrequested-block": (
        message(PIECE, struct.pack(">II", 0, 0) + bytes(min(1 << 14, piece_length, total))),
        nothing,
    ),
    "short-block": (whole + message(UNCHOKE), short_block),
    "bad-data": (whole + message(UNCHOKE), wrong_data),
    "silent": (whole + message(UNCHOKE), nothing),
    "records": (whole + message(UNCHOKE), nothing),
    "wrong-metadata": (message(EXTENDED, b"\0" + extensions) + whole, nothing),
}


def receive(peer, length):
    got = bytearray()
    while len(got) < length:
        more = peer.recv(length - len(got))
        if not more:
            raise ConnectionError("hung up")
        got += more
    return bytes(got)


def play(peer):
    opening, answer = TRICKS[job["trick"]]
    began = time.monotonic()
    hung_up, requested, theirs = True, 0, None
    try:
        peer.settimeout(PATIENCE_S)
        receive(peer, 68)
        if job["trick"] == "garbage-handshake":
            peer.sendall(os.urandom(1 << 10))
        elif job["trick"] == "other-torrent":
            peer.sendall(handshake().replace(info_hash, bytes(20)))
        else:
            peer.sendall(handshake() + opening)
        while True:
            (length,) = struct.unpack(">I", receive(peer, 4))
            body = receive(peer, length)
            if body[:1] == bytes([REQUEST]):
                requested += 1
                if requested == 1 or job["trick"] == "records":
                    say("requested", piece=block_of(body[1:])[0])
                peer.sendall(answer(body[1:]))
            elif body[:2] == bytes([EXTENDED, 0]) and job["trick"] == "wrong-metadata":
                theirs = int(re.search(rb"11:ut_metadatai(\d+)e", body)[1])
            elif body[:2] == bytes([EXTENDED, METADATA_ID]):
                say("requested", piece=-1)
                peer.sendall(wrong_metadata(theirs, body[2:]))
    except TimeoutError:
        hung_up = False
    except OSError:
        pass
    finally:
        peer.close()
        say("closed", hung_up=hung_up, seconds=time.monotonic() - began, requested=requested)


def announce():
    query = urllib.parse.urlencode(
        {
            "info_hash": info_hash,
            "peer_id": b"-EV0001-" + os.urandom(12),
            "port": job["listen"][1],
            "uploaded": 0,
            "downloaded": 0,
            "left": 0,
            "compact": 1,
            "event": "started",
        }
    )
    # Out of the address it listens on, which is how the tracker knows it.
    host = job["listen"][0]

    class Here(urllib.request.HTTPHandler):
        def http_open(self, request):
            def connection(*args, **kwargs):
                import http.client

                return http.client.HTTPConnection(*args, source_address=(host, 0), **kwargs)

            return self.do_open(connection, request)

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Here)
    opener.open(f"{job['tracker']}?{query}", timeout=10).read()
    say("announced")


server = socket.create_server(tuple(job["listen"]))
if job["tracker"]:
    announce()
say("listening")
while True:
    peer, _ = server.accept()
    say("connected")
    threading.Thread(target=play, args=(peer,), daemon=True).start()
