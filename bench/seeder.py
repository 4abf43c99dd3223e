"""Seeders in one process: a libtorrent session an address, each with its own upload limit.

    seeder.py '{"torrent": "x.torrent", "data": "dir", "seeders": [["10.77.2.1:7000", 1048576], ..],
                "rc4": false, "connections": 200}'

Prints `ready` when all listen, and ends when its stdin does, with one line of JSON: what each sent.
They trust their content (`no_verify_files`), as it was hashed when the torrent was made; else the
first client of a bench would wait for hashes that the others get for nothing.
"""

import json
import sys

import libtorrent as lt

from libtorrent_settings import RC4_ONLY, TRACKER_AND_TCP_ONLY, hold_everyone_to_limits, whole

# A limit of 0 is none.
job = json.loads(sys.argv[1])

# A limited session as it comes delivers 3 % less than its limit, and after a second only: it hands
# out its quota twice a second, and each peer asks for as much of it as it sent before. So that the
# sum of the limits is what the swarm delivers, and `ideal` means something:
PUNCTUAL = {
    "tick_interval": 20,
    "send_buffer_low_watermark": 1500 * 1024,
    "send_buffer_watermark": 3000 * 1024,
}


def seeder(addr, bytes_per_second):
    host = addr.rsplit(":", 1)[0]
    session = lt.session(
        {
            "user_agent": "seeder-of-the-bench",
            "listen_interfaces": addr,
            "outgoing_interfaces": host,
            **TRACKER_AND_TCP_ONLY,
            "allow_multiple_connections_per_ip": True,
            "rate_limit_ip_overhead": False,
            "upload_rate_limit": bytes_per_second,
            "alert_mask": 0,
            **({"connections_limit": job["connections"]} if "connections" in job else {}),
            **(PUNCTUAL if bytes_per_second else {}),
            **(RC4_ONLY if job["rc4"] else {}),
        }
    )
    hold_everyone_to_limits(session)
    params = whole(job["torrent"], job["data"])
    params.flags |= lt.torrent_flags.disable_dht
    return session, session.add_torrent(params)


seeders = [seeder(addr, limit) for addr, limit in job["seeders"]]
for session, torrent in seeders:
    while not (session.is_listening() and torrent.status().is_seeding):
        session.wait_for_alert(5)
print("ready", flush=True)
sys.stdin.read()
print(json.dumps([torrent.status().total_payload_upload for _, torrent in seeders]), flush=True)
