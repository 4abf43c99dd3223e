"""Has the router map a port by PCP (RFC 6887), as somebody else at home would.

    pcp_map.py 10.78.0.3 7999 7000 6
"""

import ipaddress
import os
import socket
import struct
import sys

ROUTER = ("10.78.0.1", 5351)
LEASE_S = 600

client = sys.argv[1]
port, outside, protocol = map(int, sys.argv[2:])


def mapped(ip):
    return ipaddress.IPv6Address(f"::ffff:{ip}").packed


request = struct.pack("!BBHI", 2, 1, 0, LEASE_S) + mapped(client)
request += os.urandom(12) + struct.pack("!B3xHH", protocol, port, outside) + mapped("0.0.0.0")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.bind((client, 0))
    asking.settimeout(5)
    asking.sendto(request, ROUTER)
    reply = asking.recv(1100)
assert reply[3] == 0, f"the router says {reply[3]}"
