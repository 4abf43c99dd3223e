"""What libtorrent is told wherever the bench runs it, as a seeder and as a client under test: only
the tracker finds peers, no port is mapped, and TCP alone is spoken (it would try uTP first, for
4.5 s)."""

TRACKER_AND_TCP_ONLY = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
}
