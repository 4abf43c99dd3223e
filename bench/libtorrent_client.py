"""libtorrent as a client under test, with its own defaults, as a program of its own would use it.

    libtorrent_client.py x.torrent DIR [rc4]

Changed from the defaults: one address to listen at, and `libtorrent_settings`. It sleeps until
libtorrent reports something, so Python costs next to nothing. `done` is printed once every piece is
verified and libtorrent has said that its cache is on its way to the files; then it ends.
"""

import sys

import libtorrent as lt

from libtorrent_settings import RC4_ONLY, TRACKER_AND_TCP_ONLY

session = lt.session(
    {
        # By default it listens, and announces, once for each address of the machine, the seeders'
        # and the lines' too.
        "listen_interfaces": "10.77.0.1:6881",
        **TRACKER_AND_TCP_ONLY,
        **(RC4_ONLY if sys.argv[3:] else {}),
        "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.storage_notification,
    }
)
params = lt.load_torrent_file(sys.argv[1])
params.save_path = sys.argv[2]
params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
torrent = session.add_torrent(params)

finished = flushed = False
while not flushed:
    session.wait_for_alert(60_000)
    for alert in session.pop_alerts():
        if isinstance(alert, lt.torrent_finished_alert):
            finished = True
            torrent.flush_cache()
        elif isinstance(alert, lt.cache_flushed_alert) and finished:
            flushed = True
        elif isinstance(alert, (lt.torrent_error_alert, lt.file_error_alert)):
            print(alert, file=sys.stderr)
            sys.exit(1)
print("done", flush=True)
