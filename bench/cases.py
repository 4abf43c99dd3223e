"""What is measured: a case is a swarm, a content and what rtor must reach there.

A case is written as `name:key=value,..`, on the command line too (`docs/BENCH.md` has the grammar):

    far:peers=1x500Mbit@200ms,size=512MiB
    stall:peers=4x20MiB!4MiB+1x20MiB,size=256MiB
    seed:leeches=8,size=1GiB
"""

import re
from dataclasses import dataclass, field

import quantity

# The name of a case becomes part of file names.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
# Addresses that the bench gives out; each seeder may need two.
PEERS_MAX = 1000
# For how long idle leeches are watched.
IDLE_MS_MAX = 600_000
# After leeches came and before they are watched: what a seeder does when somebody comes is over.
SETTLE_S = 2


@dataclass(frozen=True)
class Peer:
    """One seeder, with the line to it."""

    rate: int | None  # bytes a second; None: no limit
    round_trip_ms: int = 0
    stall_after: int | None = None  # bytes; then it is silent
    drop_after: int | None = None  # bytes; then it hangs up
    refuses: bool = False  # the tracker lists it, nobody listens

    def sends(self, seconds):
        """Bytes that it can have sent after so long."""
        if self.refuses:
            return 0
        sent = float("inf") if self.rate is None else self.rate * seconds
        ends = [end for end in (self.stall_after, self.drop_after) if end is not None]
        return min([sent, *ends])


@dataclass(frozen=True)
class Case:
    name: str
    peers: tuple[Peer, ...]
    size: int
    piece: int
    files: int = 1
    memory: str | None = None  # rtor's --max-memory
    # Nodes of a DHT: clients know a magnet and one of them, and it ends with the first piece.
    dht: int = 0
    # Everybody speaks nothing but RC4.
    rc4: bool = False
    # With leeches the clients seed: so many ask each of them, and take so many bytes together, or
    # are idle for a while.
    leeches: int = 0
    takes: int = 0
    idle_s: float = 0
    # What the seeders are: libtorrent, or `rtor seed`.
    seeder: str = "libtorrent"
    # Who limits the rates: the seeders themselves, or the line to them.
    limited_by: str = "seeder"
    says: str = ""
    # What rtor must reach: a measure, and the most it may be. `others` as a unit: times the best
    # other client of the same run; the name of a case: times rtor's own there, if it ran before.
    targets: tuple[tuple[str, float, str], ...] = ()
    text: str = field(default="", compare=False)

    @property
    def settle_s(self):
        """How long leeches that are to be idle are left alone first."""
        return SETTLE_S if self.idle_s else 0

    def ideal_seconds(self):
        """The least time in which these peers can send this content; None if nothing limits them.

        The smallest t for which the sum of min(rate * t, what the peer sends before it stalls)
        reaches the size. With no stalls: size / sum of the rates.
        """
        if self.leeches or any(peer.sends(1) == float("inf") for peer in self.peers):
            return None
        low, high = 0.0, 1.0
        while sum(peer.sends(high) for peer in self.peers) < self.size:
            high *= 2
            if high > 10**7:
                raise ValueError(f"the peers of `{self.name}` can't send all of it")
        for _ in range(100):
            middle = (low + high) / 2
            if sum(peer.sends(middle) for peer in self.peers) < self.size:
                low = middle
            else:
                high = middle
        return high


# What runs when no case is named. The targets are issue 3's.
BUILT_IN = [
    (
        "one-seeder:peers=1xmax,size=1GiB,piece=1MiB",
        "one unlimited local seeder",
        (("cpu_s_per_gib", 0.6, "others"), ("wall_s", 1.0, "others"), ("rss_mib", 40, "")),
    ),
    (
        "fast-slow:peers=1x20MiB+9x1MiB,size=256MiB,piece=1MiB",
        "1 fast and 9 slow peers",
        (("wall_ideal", 1.03, ""),),
    ),
    (
        "far:peers=1x500Mbit@200ms,size=512MiB,piece=1MiB",
        "one seeder, 200 ms away, 500 Mbit/s",
        (("wall_ideal", 1.12, ""),),
    ),
    (
        "stall:peers=4x20MiB!4MiB+1x20MiB,size=256MiB,piece=1MiB",
        "4 of 5 peers stall after 4 MiB",
        (("wall_ideal", 1.08, ""),),
    ),
    (
        # In `stall` the one good peer is busy for 8 s after the others fell silent, which hides
        # whoever is slow to take their blocks away; here it is not.
        "stall-late:peers=4x20MiB!40MiB+1x20MiB,size=256MiB,piece=1MiB",
        "4 of 5 peers stall near the end",
        (),
    ),
    (
        "many-peers:peers=50x1MiB,size=512MiB,piece=1MiB",
        "50 peers at 1 MiB/s each",
        (),
    ),
    (
        "tiny-files:peers=1xmax,size=128MiB,piece=256KiB,files=4000",
        "4,000 tiny files",
        (),
    ),
    (
        "big-pieces:peers=5x20MiB,size=512MiB,piece=16MiB,memory=64MiB",
        "16 MiB pieces, rtor with `--max-memory 64MiB`",
        (),
    ),
    (
        "magnet:peers=1xmax,size=64MiB,piece=64KiB,dht=10",
        "a magnet and a DHT of 10 nodes, to the first verified piece",
        (("wall_s", 1.0, "others"),),
    ),
    (
        "small-pieces:peers=1xmax,size=512MiB,piece=64KiB",
        "64 KiB pieces",
        (),
    ),
    (
        "encrypted:peers=1xmax,size=1GiB,piece=1MiB,encryption=rc4",
        "one unlimited local seeder that speaks RC4 alone",
        (("cpu_s_per_gib", 2.5, "one-seeder"),),
    ),
    (
        "gigabit:peers=1x110MiB@10ms,size=512MiB,piece=1MiB",
        "one seeder at the end of a gigabit line, 10 ms away",
        (),
    ),
    (
        "encrypted-gigabit:peers=1x110MiB@10ms,size=512MiB,piece=1MiB,encryption=rc4",
        "the same, that speaks RC4 alone",
        (("cpu_s_per_gib", 2.5, "gigabit"),),
    ),
    (
        "seed-one:leeches=1,size=1GiB,piece=1MiB",
        "one leech of one seed",
        (("cpu_s_per_gib", 1.0, "others"),),
    ),
    (
        "seed-many:leeches=8,size=1GiB,piece=1MiB,takes=2GiB",
        "8 leeches of one seed",
        (("cpu_s_per_gib", 1.0, "others"),),
    ),
    (
        "seed-crowd:leeches=500,size=1GiB,piece=1MiB,takes=2GiB",
        "500 leeches of one seed",
        (("cpu_s_per_gib", 1.0, "others"),),
    ),
    (
        "seed-idle:leeches=500,size=1GiB,piece=1MiB,idle=20s",
        "500 leeches of one seed that want nothing",
        (),
    ),
]

# One group of `peers=`: how many, how fast, and what is wrong with them.
GROUP = re.compile(r"(?P<count>\d+)x(?P<rate>[^@!^?]+)(?P<rest>([@!^][^@!^?]+)*)(?P<refuses>\?)?")


def peers_of(text, round_trip_ms):
    found = []
    for group in text.split("+"):
        match = GROUP.fullmatch(group.strip())
        if not match:
            raise ValueError(f"`{group}` is no group of peers: `5x1MiB`, `1x500Mbit@200ms!4MiB`")
        marks = {mark[0]: mark[1:] for mark in re.findall(r"[@!^][^@!^]+", match["rest"])}
        peer = Peer(
            rate=quantity.rate(match["rate"]),
            round_trip_ms=quantity.milliseconds(marks["@"]) if "@" in marks else round_trip_ms,
            stall_after=quantity.size(marks["!"]) if "!" in marks else None,
            drop_after=quantity.size(marks["^"]) if "^" in marks else None,
            refuses=bool(match["refuses"]),
        )
        found += [peer] * int(match["count"])
    if not 1 <= len(found) <= PEERS_MAX:
        raise ValueError(f"{len(found)} peers: 1 to {PEERS_MAX}")
    return tuple(found)


KEYS = (
    ("peers", "size", "piece", "files", "memory", "delay", "limit", "dht", "encryption")
    + ("seeder", "leeches", "takes", "idle")
)


def leeches_of(text, values, size):
    """How many leeches there are, what they take together, and how long they are idle instead."""
    other = [key for key in values if key not in ("leeches", "takes", "idle", "size", "piece")]
    if other:
        raise ValueError(f"`{text}`: with `leeches`, `{other[0]}` means nothing")
    leeches = values["leeches"]
    if not leeches.isdecimal() or not 1 <= int(leeches) <= PEERS_MAX:
        raise ValueError(f"`leeches={leeches}`: 1 to {PEERS_MAX}")
    if "idle" in values and "takes" in values:
        raise ValueError(f"`{text}`: who is idle takes nothing")
    idle_ms = quantity.milliseconds(values["idle"]) if "idle" in values else 0
    if "idle" in values and not 1 <= idle_ms <= IDLE_MS_MAX:
        raise ValueError(f"`idle={values['idle']}`: up to {IDLE_MS_MAX // 1000}s")
    takes = quantity.size(values["takes"]) if "takes" in values else size
    return int(leeches), 0 if idle_ms else takes, idle_ms / 1000


def parse(text, says="", targets=()):
    """A case from `name:key=value,..`."""
    name, _, rest = text.partition(":")
    if not NAME.fullmatch(name) or not rest:
        raise ValueError(f"`{text}` is no case: `name:peers=5x1MiB,size=64MiB`")
    values = {}
    for pair in rest.split(","):
        key, equals, value = pair.partition("=")
        if key not in KEYS or not equals:
            raise ValueError(f"`{pair}` is nothing that a case has")
        values[key] = value
    if "peers" not in values and "leeches" not in values:
        raise ValueError(f"`{text}` has no `peers`, and no `leeches`")
    round_trip_ms = quantity.milliseconds(values["delay"]) if "delay" in values else 0
    peers = peers_of(values["peers"], round_trip_ms) if "peers" in values else ()
    away = any(peer.round_trip_ms for peer in peers)
    limited_by = values.get("limit", "line" if away else "seeder")
    if limited_by not in ("seeder", "line"):
        raise ValueError(f"`limit={limited_by}`: `seeder` or `line`")
    encryption = values.get("encryption", "none")
    if encryption not in ("none", "rc4"):
        raise ValueError(f"`encryption={encryption}`: `none` or `rc4`")
    seeder = values.get("seeder", "libtorrent")
    if seeder not in ("libtorrent", "rtor"):
        raise ValueError(f"`seeder={seeder}`: `libtorrent` or `rtor`")
    piece = quantity.size(values.get("piece", "1MiB"))
    if piece < 16 * 1024 or piece & (piece - 1):
        raise ValueError(f"`piece={values['piece']}`: a power of two, 16KiB or more")
    size = quantity.size(values.get("size", "256MiB"))
    files = values.get("files", "1")
    if not files.isdecimal() or not 1 <= int(files) <= size:
        raise ValueError(f"`files={files}` of {size} bytes")
    leeches, takes, idle_s = 0, 0, 0
    if "leeches" in values:
        leeches, takes, idle_s = leeches_of(text, values, size)
    dht = values.get("dht", "0")
    if not dht.isdecimal() or int(dht) > PEERS_MAX:
        raise ValueError(f"`dht={dht}`: a number of nodes")
    if int(dht) and (len(peers) > 1 or peers[0] != Peer(rate=None)):
        raise ValueError(f"`{text}`: with `dht`, the one seeder is `peers=1xmax`")
    return Case(
        name=name,
        peers=peers,
        size=size,
        piece=piece,
        files=int(files),
        memory=values.get("memory"),
        dht=int(dht),
        rc4=encryption == "rc4",
        seeder=seeder,
        leeches=leeches,
        takes=takes,
        idle_s=idle_s,
        limited_by=limited_by,
        says=says,
        targets=targets,
        text=text,
    )


def built_in():
    return [parse(text, says, targets) for text, says, targets in BUILT_IN]
