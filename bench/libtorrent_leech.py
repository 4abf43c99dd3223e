"""libtorrent as a leech of a swarm, with its own defaults, that goes on as a seed.

    libtorrent_leech.py x.torrent DIR HOST PORT

Prints `done` when it has everything, ends when its stdin does, and then says in one line of JSON how
many bytes of blocks it sent.
"""

import json
import select
import signal
import sys

import libtorrent as lt

from libtorrent_settings import TRACKER_AND_TCP_ONLY, hold_everyone_to_limits

# Between two looks at stdin.
TICK_MS = 200

signal.signal(signal.SIGINT, signal.SIG_IGN)
torrent_file, folder, host, port = sys.argv[1:]
session = lt.session(
    {
        "listen_interfaces": f"{host}:{port}",
        "outgoing_interfaces": host,
        **TRACKER_AND_TCP_ONLY,
        "alert_mask": lt.alert.category_t.status_notification,
    }
)
hold_everyone_to_limits(session)
params = lt.load_torrent_file(torrent_file)
params.save_path = folder
params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
params.flags |= lt.torrent_flags.disable_pex
torrent = session.add_torrent(params)
while not select.select([sys.stdin], [], [], 0)[0]:
    session.wait_for_alert(TICK_MS)
    if any(isinstance(alert, lt.torrent_finished_alert) for alert in session.pop_alerts()):
        print("done", flush=True)
torrent.flush_cache()
while not any(isinstance(alert, lt.cache_flushed_alert) for alert in session.pop_alerts()):
    session.wait_for_alert(TICK_MS)
print(json.dumps({"uploaded_bytes": torrent.status().total_payload_upload}), flush=True)
