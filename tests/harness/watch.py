"""Sees every packet of a test's network, and tells of those that find peers.

Prints `{"ready": true}`, then one JSON object for each kind of thing it sees, the first time that
it does: `from` is the address of the sender, and `saw` is one of

- `lsd`: a datagram to a group of BEP 14,
- `dht`: a datagram of KRPC (BEP 5),
- `announce`: one that announces a peer,
- `dht bit`, `no dht bit`: a handshake of BEP 3 with or without the bit of a DHT node,
- `ut_pex`, `no ut_pex`: an extension handshake (BEP 10) that offers PEX or does not.
"""

import json
import socket
import struct

HANDSHAKE = b"\x13BitTorrent protocol"
TCP, UDP = 6, 17
LSD_PORT = 6771


def transport(packet):
    """Protocol, sender and segment of an IP packet without its headers of the link."""
    if packet[0] >> 4 == 4:
        sender = socket.inet_ntop(socket.AF_INET, packet[12:16])
        return packet[9], sender, packet[(packet[0] & 15) * 4 :]
    return packet[6], socket.inet_ntop(socket.AF_INET6, packet[8:24]), packet[40:]


def sights(protocol, segment):
    if protocol == UDP:
        (port,) = struct.unpack(">H", segment[2:4])
        payload = segment[8:]
        if port == LSD_PORT or payload.startswith(b"BT-SEARCH"):
            yield "lsd"
        if payload.startswith(b"d") and b"1:y1:" in payload:
            yield "dht"
            if b"13:announce_peer" in payload:
                yield "announce"
    if protocol == TCP:
        payload = segment[(segment[12] >> 4) * 4 :]
        if payload.startswith(HANDSHAKE):
            yield "dht bit" if payload[27] & 1 else "no dht bit"
        # Message 20, extension 0: the handshake, which may come behind another one.
        at = payload.find(b"\x14\x00d")
        if at >= 0:
            yield "ut_pex" if b"6:ut_pex" in payload[at:] else "no ut_pex"


wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
print(json.dumps({"ready": True}), flush=True)
seen = set()
while True:
    protocol, sender, segment = transport(wire.recv(65536))
    for saw in sights(protocol, segment):
        if (sender, saw) not in seen:
            seen.add((sender, saw))
            print(json.dumps({"from": sender, "saw": saw}), flush=True)
