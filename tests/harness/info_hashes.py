"""Says libtorrent's info hashes of many torrents.

Reads them from stdin, each behind its length in four bytes, big end first. Prints a line for each: `-`
if libtorrent refuses it, else the v1 hash and the v2 hash, `-` for one that it has not.
"""

import sys

import libtorrent as lt


def hashes(data):
    try:
        info = lt.load_torrent_buffer(data).ti
    except (RuntimeError, ValueError):
        return "-"
    made = info.info_hashes()
    return f"{made.v1 if made.has_v1() else '-'} {made.v2 if made.has_v2() else '-'}"


while head := sys.stdin.buffer.read(4):
    print(hashes(sys.stdin.buffer.read(int.from_bytes(head))))
