"""A DHT of libtorrent nodes in one process, and a seeder that nobody finds but through it.

    dht_swarm.py '{"torrent": "x.torrent", "data": "dir", "seeder": "10.77.20.1:7000", "nodes": ["10.77.30.1:7000", ..]}'

Prints `ready` when every node finds the seeder, and ends when its
stdin does, with one line of JSON: what the seeder sent.
"""

import json
import sys
import time

import libtorrent as lt

from libtorrent_settings import DHT_OF_NEIGHBOURS, TRACKER_AND_TCP_ONLY, whole

# Between two looks.
TICK_S = 0.2
# No round of announces is due for so long that a client would meet one.
ANNOUNCE_EVERY_S = 1

job = json.loads(sys.argv[1])


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def session(listen):
    host, _ = address(listen)
    settings = {
        **TRACKER_AND_TCP_ONLY,
        **DHT_OF_NEIGHBOURS,
        "enable_dht": True,
        "user_agent": "seeder-of-the-bench",
        "listen_interfaces": listen,
        "outgoing_interfaces": host,
        # Who is to be found does not call first.
        "seeding_outgoing_connections": False,
        "alert_mask": lt.alert.category_t.dht_operation_notification,
    }
    return lt.session(settings)


nodes = [session(listen) for listen in job["nodes"]]
seeding = session(job["seeder"])
params = whole(job["torrent"], job["data"])
torrent = seeding.add_torrent(params)
info_hash = params.ti.info_hash()


def finds(node):
    """Whether this node finds the seeder."""
    node.dht_get_peers(info_hash)
    deadline = time.monotonic() + TICK_S
    while time.monotonic() < deadline:
        node.wait_for_alert(int(TICK_S * 1000))
        for alert in node.pop_alerts():
            if isinstance(alert, lt.dht_get_peers_reply_alert) and alert.num_peers() > 0:
                return True
    return False


announced_at = 0.0
while not all(finds(node) for node in nodes):
    now = time.monotonic()
    if now - announced_at > ANNOUNCE_EVERY_S:
        announced_at = now
        for each in [*nodes, seeding]:
            for listen in job["nodes"]:
                each.add_dht_node(address(listen))
        torrent.force_dht_announce()
    time.sleep(TICK_S)
print("ready", flush=True)
sys.stdin.read()
print(json.dumps([torrent.status().total_payload_upload]), flush=True)
