"""A DHT of libtorrent nodes, one an address, that know each other and no torrent.

    libtorrent_dht.py 10.77.0.11:6881 10.77.0.12:6881 ...

Prints one JSON object a line: how many nodes each has in its
table, after every change. Ends on SIGTERM.
"""

import json
import sys
import time
from pathlib import Path

import libtorrent as lt

# The bench has a DHT of neighbours too.
sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))
from libtorrent_settings import DHT_OF_NEIGHBOURS  # noqa: E402

# Between two looks.
TICK_S = 0.5


def address(text):
    """Host and port of `10.0.0.1:80` or `[fd00::1]:80`."""
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def node(listen):
    quiet = {"enable_lsd": False, "enable_upnp": False, "enable_natpmp": False, "alert_mask": 0}
    return lt.session({"listen_interfaces": listen, "enable_dht": True, **quiet, **DHT_OF_NEIGHBOURS})


def known(node):
    # Until its table is there it says -1.
    node.post_session_stats()
    node.wait_for_alert(1000)
    stats = [alert for alert in node.pop_alerts() if isinstance(alert, lt.session_stats_alert)]
    return stats[-1].values["dht.dht_nodes"] if stats else 0


def main(listens):
    nodes = [node(listen) for listen in listens]
    said = None
    while True:
        state = {"nodes": [known(node) for node in nodes]}
        if state != said:
            print(json.dumps(state), flush=True)
            said = state
        for node_, count in zip(nodes, state["nodes"]):
            if count < len(listens) // 2:
                for listen in listens:
                    node_.add_dht_node(address(listen))
        time.sleep(TICK_S)


if __name__ == "__main__":
    main(sys.argv[1:])
