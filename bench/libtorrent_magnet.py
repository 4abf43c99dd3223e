"""libtorrent as a client that knows a magnet and a DHT node, up to its first verified piece.

    libtorrent_magnet.py MAGNET DIR NODE_HOST NODE_PORT

It sleeps until libtorrent reports something. `done` is printed when the first piece is verified;
then it goes on until it is ended.
"""

import sys

import libtorrent as lt

from libtorrent_settings import DHT_OF_NEIGHBOURS, TRACKER_AND_TCP_ONLY

magnet, folder, host, port = sys.argv[1:]
settings = {
    **TRACKER_AND_TCP_ONLY,
    **DHT_OF_NEIGHBOURS,
    "enable_dht": True,
    "dht_bootstrap_nodes": f"{host}:{port}",
    "listen_interfaces": "10.77.0.1:6881",
    "alert_mask": lt.alert.category_t.piece_progress_notification
    | lt.alert.category_t.dht_notification,
}
session = lt.session(settings)


def wait(kind):
    while True:
        session.wait_for_alert(60_000)
        if any(isinstance(alert, kind) for alert in session.pop_alerts()):
            return


# A torrent that is added before asks the DHT again only a quarter of an hour later.
wait(lt.dht_bootstrap_alert)
params = lt.parse_magnet_uri(magnet)
params.save_path = folder
params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
torrent = session.add_torrent(params)

wait(lt.piece_finished_alert)
print("done", flush=True)
while True:
    session.wait_for_alert(60_000)
    session.pop_alerts()
