"""One libtorrent peer: seeds or leeches one torrent, or a magnet, and tells how it goes.

    libtorrent_peer.py '{"listen": "10.77.0.3:6881", "torrent": "x.torrent", "data": "dir", ...}'

Prints one JSON object a line: the state after every change, at least every half second. Ends on
SIGTERM after it told the trackers, or when `until_complete` is set and the torrent is whole.
Alerts go to stderr.
"""

import json
import signal
import sys
import time

import libtorrent as lt

import libtorrent_dht
# `libtorrent_dht` says where it lies.
from libtorrent_settings import hold_everyone_to_limits

# Between two looks at the state.
TICK_S = 0.05
# A line is printed at least so often, so that a reader sees the rates move.
SILENCE_S = 0.5
# Who comes later hears of it soon.
LSD_INTERVAL_S = 2
REQUEST_TIMEOUT_S = 15
DHT_INTERVAL_S = 1

# `in_enc_policy` and `out_enc_policy`, and `allowed_enc_level`: bits of plaintext and RC4.
FORCED, DISABLED = 0, 2
LEVELS = {"plaintext": 1, "rc4": 2, "either": 3}

job = json.loads(sys.argv[1])


def encryption(wanted):
    if wanted is None:
        return {}
    policy = DISABLED if wanted == "off" else FORCED
    level = {"allowed_enc_level": LEVELS[wanted]} if wanted in LEVELS else {}
    return {"in_enc_policy": policy, "out_enc_policy": policy, **level}


host, _ = libtorrent_dht.address(job["listen"])
session = lt.session(
    {
        "user_agent": "libtorrent-of-the-tests",
        "listen_interfaces": job["listen"],
        "outgoing_interfaces": host,
        "enable_dht": job.get("dht_node") is not None,
        "enable_lsd": job.get("lsd", False),
        "local_service_announce_interval": LSD_INTERVAL_S,
        # Who is to be found does not call first.
        "seeding_outgoing_connections": not any(job.get(way) for way in ("dht_node", "pex", "lsd")),
        **libtorrent_dht.DHT_OF_NEIGHBOURS,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_tcp": job.get("tcp", True),
        "enable_outgoing_tcp": job.get("tcp", True),
        "enable_incoming_utp": job["utp"],
        "enable_outgoing_utp": job["utp"],
        **encryption(job.get("encryption")),
        # Peers here share addresses, and all are local.
        "allow_multiple_connections_per_ip": True,
        "announce_to_all_trackers": True,
        "announce_to_all_tiers": True,
        "rate_limit_ip_overhead": False,
        # What a silent peer owes is asked of another after so long, and not after a minute, which is
        # as long as a test waits.
        "request_timeout": REQUEST_TIMEOUT_S,
        "upload_rate_limit": job["max_up"],
        "download_rate_limit": job["max_down"],
        "alert_mask": lt.alert.category_t.error_notification
        | lt.alert.category_t.status_notification
        | lt.alert.category_t.peer_notification
        | lt.alert.category_t.tracker_notification,
    }
)
hold_everyone_to_limits(session)

if job.get("magnet"):
    params = lt.parse_magnet_uri(job["magnet"])
else:
    params = lt.load_torrent_file(job["torrent"])
params.save_path = job["data"]
if job["trackers"] is not None:
    params.trackers = job["trackers"]
params.flags &= ~lt.torrent_flags.auto_managed
params.flags &= ~lt.torrent_flags.paused
for way, flag in [
    (job.get("dht_node"), lt.torrent_flags.disable_dht),
    (job.get("lsd"), lt.torrent_flags.disable_lsd),
    (job.get("pex"), lt.torrent_flags.disable_pex),
]:
    if not way:
        params.flags |= flag
if job["sequential"]:
    params.flags |= lt.torrent_flags.sequential_download
torrent = session.add_torrent(params)
for peer in job["peers"]:
    peer_host, peer_port = peer.rsplit(":", 1)
    torrent.connect_peer((peer_host, int(peer_port)))

stopping = False


def stop(_signal, _frame):
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)

said, said_at = None, 0.0
announced_at = 0.0
while not stopping:
    status = torrent.status()
    state = {
        "listen": job["listen"],
        "ready": session.is_listening() and str(status.state) not in ("checking_files", "checking_resume_data"),
        "complete": status.is_seeding,
        "peers": status.num_peers,
        "uploaded": status.total_payload_upload,
        "downloaded": status.total_payload_download,
        "wasted": status.total_failed_bytes + status.total_redundant_bytes,
        "error": status.errc.message() if status.errc.value() else None,
    }
    now = time.monotonic()
    if state != said or now - said_at > SILENCE_S:
        print(json.dumps(state), flush=True)
        said, said_at = state, now
    if job.get("dht_node") and now - announced_at > DHT_INTERVAL_S:
        session.add_dht_node(libtorrent_dht.address(job["dht_node"]))
        torrent.force_dht_announce()
        announced_at = now
    for alert in session.pop_alerts():
        print(alert, file=sys.stderr, flush=True)
    if job["until_complete"] and status.is_seeding:
        break
    time.sleep(TICK_S)

# A paused torrent tells its trackers `stopped`; the session is then free to go.
session.pause()
time.sleep(TICK_S)
