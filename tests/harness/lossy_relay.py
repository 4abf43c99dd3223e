"""Passes UDP datagrams on to one address and back, but for the first few that come in.

Four arguments: where to listen and where to pass on to, as HOST PORT HOST PORT, and a fifth: how
many are lost. One line on stdout for each datagram of a client.
"""

import socket
import sys

here, there = (sys.argv[1], int(sys.argv[2])), (sys.argv[3], int(sys.argv[4]))
to_lose = int(sys.argv[5])
relay = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
relay.bind(here)
client = None
print("listening", flush=True)
while True:
    datagram, sender = relay.recvfrom(1 << 16)
    if sender == there:
        if client:
            relay.sendto(datagram, client)
        continue
    client = sender
    if to_lose > 0:
        to_lose -= 1
        print("lost", flush=True)
        continue
    print("passed", flush=True)
    relay.sendto(datagram, there)
