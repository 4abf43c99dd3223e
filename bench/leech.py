"""Leeches in one process: a libtorrent session an address, each with its own download limit.

    leech.py '{"torrent": "x.torrent", "out": "dir", "leeches": [["10.77.2.1:7000", 0], ..],
               "peers": ["10.77.0.1:6881"]}'

A limit of 0 is none. They know the peers that they are told of and nobody else. Prints `ready` when all
have called them, and ends when its stdin does.
"""

import json
import sys
from pathlib import Path

import libtorrent as lt

from libtorrent_settings import TRACKER_AND_TCP_ONLY, hold_everyone_to_limits

job = json.loads(sys.argv[1])

# What a session that is limited needs to be as exact as it can: as the seeders of the bench.
PUNCTUAL = {"tick_interval": 20}


def leech(nth, addr, bytes_per_second):
    host = addr.rsplit(":", 1)[0]
    session = lt.session(
        {
            "user_agent": "leech-of-the-bench",
            "listen_interfaces": addr,
            "outgoing_interfaces": host,
            **TRACKER_AND_TCP_ONLY,
            "allow_multiple_connections_per_ip": True,
            "rate_limit_ip_overhead": False,
            "download_rate_limit": bytes_per_second,
            "alert_mask": 0,
            **(PUNCTUAL if bytes_per_second else {}),
        }
    )
    hold_everyone_to_limits(session)
    params = lt.load_torrent_file(job["torrent"])
    params.save_path = str(Path(job["out"]) / str(nth))
    params.trackers = []
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    params.flags |= (
        lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd | lt.torrent_flags.disable_pex
    )
    torrent = session.add_torrent(params)
    return session, torrent


leeches = [leech(nth, addr, limit) for nth, (addr, limit) in enumerate(job["leeches"])]
for session, torrent in leeches:
    while not session.is_listening():
        session.wait_for_alert(5)
    for peer in job["peers"]:
        host, port = peer.rsplit(":", 1)
        torrent.connect_peer((host, int(port)))
print("ready", flush=True)
sys.stdin.read()
