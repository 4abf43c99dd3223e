"""How closely limits are kept, by rtor and by libtorrent; `scripts/bench-limits` starts it inside a
network namespace of its own.

A row is one run of each: peers that have no limit on one side, the client under test with one on the
other, and between two looks of `ss` at the client's sockets the bytes that went through them. Nothing
that a client says of itself is believed. docs/BENCH.md says more.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cases
import quantity
import swarm
from content import Content
from scratch import scratch

# A rate is held if it is this close to what was asked.
HELD_WITHIN = 0.03
# Peers are served fairly if the least of them has so much of what the most has.
FAIR_LEAST = 0.9
# Peers of the rows that have several.
PEERS = 5
PIECE = 256 * 2**10
# The client under test; as the first address of `lo` it is where unbound sockets speak from.
SUBJECT = "10.77.0.1"
SUBJECT_PORT = 6881
# So many bytes have moved when the run-in begins.
MOVING = 16 * 2**10
LOOK_EVERY_S = 0.02
PATIENCE_S = 60
# Content beyond what the rate takes in its time: what is in sockets, and what the start lets through.
SPARE_S = 2
SPARE = 16 * 2**20


@dataclass
class Row:
    """One thing that is measured."""

    name: str
    # `down` or `up`, of the client under test.
    way: str
    rate: int
    peers: int = 1
    # Whether the rate is that of each peer, not of all.
    each: bool = False
    # The rate with which it begins, if it is told the other while it runs.
    first: int | None = None

    def title(self):
        rate = shown(self.rate)
        if self.first:
            return f"{self.way} {rate}, after {shown(self.first)}"
        if self.each:
            return f"{self.way} {rate} each of {self.peers} peers"
        return f"{self.way} {rate}" + (f", {self.peers} peers" if self.peers > 1 else "")


def main():
    args = arguments()
    rows = [row for row in rows_of(args.rates) if not args.rows or row.name in args.rows]
    with scratch(args.root, "limits") as (shared, folder):
        missed = measure(args, rows, shared, folder)
    sys.exit(1 if missed else 0)


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench-limits", description="how closely limits are kept; see docs/BENCH.md"
    )
    listed = lambda text: [name for name in text.split(",") if name]
    rates = lambda text: [quantity.rate(rate) for rate in listed(text)]
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--rates", type=rates, default="20k,200k,2M,10M,50M,100M", metavar="RATE,..")
    parser.add_argument("--rows", type=listed, metavar="NAME,..", help="only these kinds")
    parser.add_argument("--clients", type=listed, default="rtor,libtorrent", metavar="NAME,..")
    parser.add_argument("--seconds", type=float, default=10, metavar="N", help="that are measured")
    parser.add_argument("--run-in", type=float, default=2.5, metavar="N", help="seconds before")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there")
    parser.add_argument("--rtor", type=Path, metavar="FILE", help="this program, not the release build")
    parser.add_argument("--no-build", action="store_true", help="build and install nothing first")
    args = parser.parse_args()
    known = {row.name for row in rows_of([1])}
    unknown = [name for name in args.rows or [] if name not in known]
    if unknown:
        sys.exit(f"bench-limits: `{unknown[0]}` is no kind of row: {', '.join(sorted(known))}")
    unknown = [name for name in args.clients if name not in ("rtor", "libtorrent")]
    if unknown:
        sys.exit(f"bench-limits: `{unknown[0]}` is neither `rtor` nor `libtorrent`")
    if not args.rates or args.seconds <= 0 or args.run_in < 0:
        sys.exit("bench-limits: nothing can be measured in no time, or at no rate")
    args.rtor = args.rtor or args.root / "target/release/rtor"
    return args


def rows_of(rates):
    """All rows."""
    found = [Row(way, way, rate) for way in ("down", "up") for rate in rates]
    for way in ("down", "up"):
        found.append(Row(f"fair-{way}", way, 5_000_000, PEERS))
        found.append(Row(f"peer-{way}", way, 500_000, PEERS, each=True))
        found.append(Row(f"changed-{way}", way, 500_000, first=5_000_000))
        found.append(Row(f"changed-{way}", way, 5_000_000, first=50_000))
    return found


def measure(args, rows, shared, folder):
    """Runs all rows; how many were missed by rtor."""
    swarm.furnish(PEERS, 0, 0)
    # As a network card has it: what is sent and acknowledged comes in parts of that.
    subprocess.run(["ip", "link", "set", "lo", "mtu", "1500"], check=True)
    tracker = swarm.Tracker()
    document, missed = [], 0
    for row in rows:
        taken = row.rate * (args.seconds + args.run_in + SPARE_S) * (row.peers if row.each else 1)
        size = round(taken + (row.first or 0) * (args.run_in + SPARE_S)) + SPARE
        # A few sizes for all rows: it is kept for the next run.
        size = 1 << (size - 1).bit_length() if size < 2**30 else -(-size // 2**29) * 2**29
        content = Content(shared, cases.parse(f"x:peers=1xmax,size={size},piece={PIECE}"))
        content.warm()
        for client in args.clients:
            if client == "libtorrent" and (row.each or row.first):
                continue
            found = once(args, row, client, content, tracker, folder)
            document.append({"row": row.name, "title": row.title(), "client": client, **found})
            missed += client == "rtor" and found["verdict"] != "PASS"
            print(line(row, client, found), flush=True)
            if args.json:
                args.json.write_text(json.dumps(document, indent=1) + "\n")
    if args.markdown:
        args.markdown.write_text(markdown(document))
    return missed


def once(args, row, client, content, tracker, folder):
    """One client in one row."""
    out = folder / "out"
    out.mkdir()
    peers = [f"{swarm.host(2, nth)}:{swarm.PORT}" for nth in range(row.peers)]
    play = Play(args, row, content, out, peers)
    tracker.lists([tuple_of(peer) for peer in peers] if row.way == "down" else [])
    load = os.getloadavg()[0]
    try:
        subject = play.start(client)
        moving(row, play)
        if row.first:
            time.sleep(args.run_in)
            play.change(subject)
        time.sleep(args.run_in)
        before, cpu_before = look(row), cpu_s(subject.pid)
        time.sleep(args.seconds)
        after, cpu_after = look(row), cpu_s(subject.pid)
    except Fault as why:
        return {"verdict": "FAIL", "fault": str(why)}
    finally:
        play.stop()
        shutil.rmtree(out, ignore_errors=True)
    found = judged(row, before, after)
    return {**found, "cpu_s": cpu_after - cpu_before, "load_before": load}


class Fault(Exception):
    """Why there is no figure."""


class Play:
    """The processes of a row."""

    def __init__(self, args, row, content, out, peers):
        self.args, self.row, self.content, self.out, self.peers = args, row, content, out, peers
        self.parts, self.subject = [], None
        self.limits = out / "limits"

    def start(self, client):
        """Starts all; the process of the client under test."""
        addr = f"{SUBJECT}:{SUBJECT_PORT}"
        python, here = sys.executable, Path(__file__).parent
        one = {"torrent": str(self.content.torrent)}
        seeding = {**one, "data": str(self.content.folder), "rc4": False}
        leeching = {**one, "out": str(self.out), "peers": [addr]}
        free = [[peer, 0] for peer in self.peers]
        limited = [[addr, self.row.rate]]
        seeds = lambda seeders: [python, str(here / "seeder.py"), json.dumps({**seeding, "seeders": seeders})]
        leeches = lambda job: [python, str(here / "leech.py"), json.dumps({**leeching, **job})]
        if self.row.way == "down":
            self.part(seeds(free))
            if client == "libtorrent":
                self.subject = self.part(leeches({"leeches": limited, "peers": self.peers}))
            else:
                self.subject = self.rtor(["get", self.content.torrent, "--output", self.out / "rtor"])
        else:
            if client == "libtorrent":
                self.subject = self.part(seeds(limited))
            else:
                seed = ["seed", self.content.torrent, "--data", self.content.folder]
                self.subject = self.rtor([*seed, "--listen", addr, "--slots", PEERS])
                until(f"`{addr}` listens", lambda: listens(addr), self.subject)
            self.part(leeches({"leeches": free}))
        return self.subject

    def part(self, command):
        part = swarm.Part(command)
        self.parts.append(part)
        part.ready()
        return part.process

    def rtor(self, command):
        limit = f"max-peer-{self.row.way}" if self.row.each else f"max-{self.row.way}"
        command = [self.args.rtor, *command, "--discover", "tracker"]
        if self.row.first:
            self.limits.write_text(f"{limit} {self.row.first}\n")
            command += ["--limits", self.limits]
        else:
            command += [f"--{limit}", self.row.rate]
        home = {**os.environ, "HOME": str(self.out), "XDG_STATE_HOME": str(self.out)}
        process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=home
        )
        os.set_blocking(process.stderr.fileno(), False)
        return process

    def change(self, subject):
        """Says the other rate, to a process that runs."""
        self.limits.write_text(f"max-{self.row.way} {self.row.rate}\n")
        subject.send_signal(signal.SIGHUP)

    def stop(self):
        is_rtor = self.subject and all(part.process is not self.subject for part in self.parts)
        if is_rtor:
            self.subject.terminate()
            try:
                self.subject.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.subject.kill()
                self.subject.wait()
        for part in self.parts:
            part.stop()


def tuple_of(addr):
    host, port = addr.rsplit(":", 1)
    return host, int(port)


def until(what, holds, subject):
    """Waits until it does."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if subject.poll() is not None:
            said = (subject.stderr.read() or b"") if subject.stderr else b""
            raise Fault(f"it ended with {subject.returncode}: {said.decode(errors='replace').strip()[-300:]}")
        if time.monotonic() > end:
            raise Fault(f"after {PATIENCE_S} s it still does not hold that {what}")
        time.sleep(LOOK_EVERY_S)


def listens(addr):
    return addr in ss("-ltnH")


def moving(row, play):
    def holds():
        ways = look(row)[1]
        return len(ways) == row.peers and sum(ways.values()) >= MOVING

    until(f"{row.peers} peers are connected, and {MOVING} bytes moved", holds, play.subject)


def ss(*options):
    return subprocess.run(["ss", *options], capture_output=True, text=True, check=True).stdout


def look(row):
    """When, and for each peer the bytes that went through the client's socket."""
    began = time.monotonic()
    told = ss("-tinHO", "state", "established", "src", SUBJECT)
    when = (began + time.monotonic()) / 2
    word = "bytes_received:" if row.way == "down" else "bytes_acked:"
    ways = {}
    for socket in told.splitlines():
        words = socket.split()
        local, peer = words[2], words[3]
        if not peer.startswith("10.77.2"):
            continue
        count = [int(each.removeprefix(word)) for each in words if each.startswith(word)]
        ways[local, peer] = count[0] if count else 0
    return when, ways


def cpu_s(pid):
    """User and system seconds of a process so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        raise Fault("it ended before it was measured") from None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def judged(row, before, after):
    (began, old), (ended, new) = before, after
    if old.keys() != new.keys() or len(old) != row.peers:
        return {"verdict": "FAIL", "fault": f"connections came and went: {len(old)}, then {len(new)}"}
    rates = [(new[way] - old[way]) / (ended - began) for way in sorted(old)]
    held = [rate / row.rate for rate in rates] if row.each else [sum(rates) / row.rate]
    share = min(rates) / max(rates) if max(rates) else 0
    close = all(abs(each - 1) <= HELD_WITHIN for each in held)
    fair = row.each or share >= FAIR_LEAST
    # Of several the one that is furthest off.
    return {
        "asked": row.rate,
        "held": max(held, key=lambda each: abs(each - 1)),
        "least_most": share if row.peers > 1 else None,
        "bytes_per_second": rates,
        "verdict": "PASS" if close and fair else "FAIL",
    }


def shown(rate):
    """As rtor's command line has it, for people."""
    for unit, name in [(10**6, "MB/s"), (10**3, "kB/s")]:
        if rate >= unit:
            return f"{rate / unit:g} {name}"
    return f"{rate} B/s"


def line(row, client, found):
    text = f"{row.title():<36} {client:<10} "
    if "fault" in found:
        return text + f"{found['verdict']} {found['fault']}"
    share = f"  least/most {found['least_most']:.2f}" if row.peers > 1 else ""
    return text + f"held {found['held']:.3f}  CPU {found['cpu_s']:5.2f} s  {found['verdict']}{share}"


def markdown(document):
    """A line a row, with the clients side by side."""
    cells = {}
    for entry in document:
        if "fault" in entry:
            cell = ["-", "-", "-", f"FAIL: {entry['fault']}"]
        else:
            share = "" if entry["least_most"] is None else f"{entry['least_most']:.2f}"
            cell = [f"{entry['held']:.3f}", share, f"{entry['cpu_s']:.2f}", entry["verdict"]]
        cells.setdefault(entry["title"], {})[entry["client"]] = cell
    lines = [
        "| limit | held / asked | least / most | CPU s | | libtorrent's | least / most | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for title, row in cells.items():
        words = row.get("rtor", [""] * 4) + row.get("libtorrent", [""] * 4)[:3]
        lines.append(f"| {title} | {' | '.join(words)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
