"""What libtorrent is told wherever the bench and the tests run it.

In the bench, as a seeder and as a client under test: only the tracker finds peers, no port is mapped,
and TCP alone is spoken (it would try uTP first, for 4.5 s)."""

import libtorrent as lt

TRACKER_AND_TCP_ONLY = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
}

# `in_enc_policy` and `out_enc_policy` forced, `allowed_enc_level` RC4.
RC4_ONLY = {"in_enc_policy": 0, "out_enc_policy": 0, "allowed_enc_level": 2}

# A DHT of neighbours, in a network that is no part of the internet: no address is a reason to be
# left out, and nobody asks so often that it looks like an attack. No node is one of the bootstrap
# nodes: those are asked, and never known. Whether there is a DHT at all is said beside it.
DHT_OF_NEIGHBOURS = {
    "dht_bootstrap_nodes": "",
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_ignore_dark_internet": False,
    "dht_prefer_verified_node_ids": False,
    "dht_block_ratelimit": 1000,
    "dht_upload_rate_limit": 1_000_000,
}


def hold_everyone_to_limits(session):
    """By default peers of private addresses escape every limit and choke; here all peers are such."""
    everyone = lt.ip_filter()
    group = 1 << lt.session.global_peer_class_id
    everyone.add_rule("0.0.0.0", "255.255.255.255", group)
    everyone.add_rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", group)
    session.set_peer_class_filter(everyone)


def whole(torrent, data):
    """A torrent that is all there in `data`, and that only trackers and the DHT speak of.

    Its content is trusted (`no_verify_files`), as it was hashed when the torrent was made; else the
    first client of a bench would wait for hashes that the others get for nothing.
    """
    params = lt.load_torrent_file(torrent)
    params.save_path = data
    params.trackers = []
    params.have_pieces = [True] * params.ti.num_pieces()
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    params.flags |= (
        lt.torrent_flags.no_verify_files
        | lt.torrent_flags.disable_lsd
        | lt.torrent_flags.disable_pex
    )
    return params
