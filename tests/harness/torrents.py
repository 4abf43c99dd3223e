"""Makes one .torrent with libtorrent, for tests that need a torrent which rtor did not make.

    torrents.py '{"content": "dir/name", "out": "x.torrent", "version": "v1", ...}'
    torrents.py '{"base": "y.torrent", "out": "x.torrent", "trackers": [["http://.."]], ..}'

Prints what libtorrent says of it, as one JSON object.
"""

import json
import os
import sys

import libtorrent as lt

job = json.loads(sys.argv[1])


def create():
    v1 = lt.create_torrent.v1_only
    padded = v1 | lt.create_torrent.canonical_files
    versions = {"v1": v1, "padded": padded, "v2": lt.create_torrent.v2_only, "hybrid": 0}
    # `list_files` walks in the folder's own order: sorted, a torrent is the same on every disk.
    files = sorted(lt.list_files(job["content"]), key=lambda entry: entry.filename)
    made = lt.create_torrent(files, job["piece_length"], versions[job["version"]])
    made.set_priv(job["private"])
    made.set_creator("libtorrent of the tests")
    made.set_creation_date(1_700_000_000)
    lt.set_piece_hashes(made, os.path.dirname(job["content"]))
    return lt.bencode(made.generate())


def hashes(data):
    return lt.load_torrent_buffer(data).ti.info_hashes()


if job["base"]:
    with open(job["base"], "rb") as base:
        before = base.read()
else:
    before = create()

# The trackers, nodes and web seeds stand outside the info dictionary: one torrent, many files.
outer = lt.bdecode(before)
outer.pop(b"announce", None), outer.pop(b"announce-list", None), outer.pop(b"url-list", None)
if job["trackers"]:
    outer[b"announce"] = job["trackers"][0][0].encode()
if sum(map(len, job["trackers"])) > 1:
    outer[b"announce-list"] = [[url.encode() for url in tier] for tier in job["trackers"]]
if job["web_seeds"]:
    outer[b"url-list"] = [url.encode() for url in job["web_seeds"]]
if job.get("nodes"):
    outer[b"nodes"] = [[host.encode(), port] for host, port in job["nodes"]]
data = lt.bencode(outer)
assert hashes(data) == hashes(before), "the info dictionary has changed"
with open(job["out"], "wb") as out:
    out.write(data)

info = lt.load_torrent_buffer(data).ti
made = info.info_hashes()
print(
    json.dumps(
        {
            "info_hash_v1": str(made.v1) if made.has_v1() else None,
            "info_hash_v2": str(made.v2) if made.has_v2() else None,
            "piece_length": info.piece_length(),
            "piece_count": info.num_pieces(),
            "total_length": info.total_size(),
            "name": info.name(),
        }
    )
)
