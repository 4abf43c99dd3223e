"""A swarm of leeches of two kinds and one slow seed: how long each takes, and what each gives.

    scripts/bench-swarm [--rtor N] [--libtorrent N] [--size SIZE] [--rate RATE] [--json FILE]

One libtorrent seed sends at `--rate`; `--rtor` and `--libtorrent` leeches begin at once, and stay as
seeds until all are complete. All find each other through one tracker. Whoever gives less than he gets,
or makes the others wait, shows here: time is told as a multiple of size / rate, and gifts as the share
of all bytes that leeches sent.
"""

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from urllib.parse import parse_qs, urlsplit

import cases
import quantity
import swarm
from content import Content
from scratch import scratch

HERE = Path(__file__).parent
# A run may take so many times the ideal, and a leech may take so many.
PATIENCE_IDEALS = 6
MOST_IDEALS = 1.25
# Beyond it: the start of processes and the last pieces.
TAIL_S = 2.0
# What a leech gets to end.
GRACE_S = 20


def main():
    args = arguments()
    size, rate = quantity.size(args.size), quantity.rate(args.rate)
    case = cases.parse(f"mixed:peers=1x{args.rate},size={args.size},piece={args.piece}")
    kinds = ["rtor", "libtorrent"] * max(args.rtor, args.libtorrent)
    left = {"rtor": args.rtor, "libtorrent": args.libtorrent}
    chosen = []
    for kind in kinds:
        if left[kind] > 0:
            left[kind] -= 1
            chosen.append(kind)
    swarm.furnish(1, 0, len(chosen))
    tracker()
    with scratch(args.root, "mixed") as (shared, folder):
        content = Content(shared, case)
        content.warm()
        told = run(args, content, rate, size / rate, chosen, folder)
    if args.json:
        args.json.write_text(json.dumps(rows(told), indent=2) + "\n")
    sys.exit(report(told, size, size / rate))


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench-swarm", description=__doc__.splitlines()[0])
    parser.add_argument("--rtor", type=int, default=5, metavar="N", help="leeches that are rtor")
    parser.add_argument("--libtorrent", type=int, default=5, metavar="N", help="and libtorrent")
    parser.add_argument("--size", default="512MiB", metavar="SIZE", help="of the content")
    parser.add_argument("--piece", default="1MiB", metavar="SIZE")
    parser.add_argument("--rate", default="20MiB", metavar="RATE", help="of the seed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what each leech took and gave there")
    parser.add_argument("--program", type=Path, metavar="FILE", help="this rtor, not the release build")
    parser.add_argument("--no-build", action="store_true", help="build and install nothing first")
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def tracker():
    """Answers each announce with all others that announced (BEP 3, BEP 23)."""
    peers = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = parse_qs(urlsplit(self.path).query, encoding="latin-1")
            port = int(asked["port"][0])
            me = self.client_address[0], port
            compact = b"".join(
                bytes(int(part) for part in host.split(".")) + port.to_bytes(2, "big")
                for host, port in peers
                if (host, port) != me
            )
            peers[me] = True
            answer = b"d8:intervali5e12:min intervali5e5:peers%d:%se" % (len(compact), compact)
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    # The seed does not announce: it is a peer of all by being listed first.
    peers[(swarm.host(2, 0), swarm.PORT)] = True
    server = ThreadingHTTPServer(swarm.TRACKER, Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


def run(args, content, rate, ideal_s, chosen, folder):
    """What each leech says of itself: kind, seconds, bytes given."""
    python = args.root / ".parts/venv/bin/python"
    job = {
        "torrent": str(content.torrent),
        "data": str(content.folder),
        "seeders": [[f"{swarm.host(2, 0)}:{swarm.PORT}", rate]],
        "rc4": False,
    }
    seed = swarm.Part([str(python), str(HERE / "seeder.py"), json.dumps(job)])
    seed.ready()
    rtor = args.program or args.root / "target/release/rtor"
    leeches = []
    began = time.monotonic()
    for nth, kind in enumerate(chosen):
        host, out = swarm.host(4, nth), folder / str(nth)
        out.mkdir()
        if kind == "rtor":
            command = [rtor, "get", content.torrent, "--output", out, "--seed", "--events", "-"]
            command += ["--listen", f"{host}:{swarm.PORT}", "--interface", host]
            command += ["--discover", "tracker", "--quiet"]
            command += os.environ.get("RTOR_ARGS", "").split()
        else:
            command = [python, HERE / "libtorrent_leech.py", content.torrent, out, host, swarm.PORT]
        leeches.append(Leech(kind, [str(word) for word in command], out))
    wait(leeches, began, ideal_s * PATIENCE_IDEALS)
    for leech in leeches:
        leech.end()
    sent = seed.stop()
    for leech in leeches:
        if leech.took_s is not None and (difference := content.difference(leech.out)):
            sys.exit(f"bench: {leech.kind} says it is done, but {difference}")
    return leeches, sent


def wait(leeches, began, most_s):
    """Until all are complete, or too much time has passed."""
    poll = select.poll()
    for leech in leeches:
        poll.register(leech.process.stdout, select.POLLIN)
    by_fd = {leech.process.stdout.fileno(): leech for leech in leeches}
    waiting = len(leeches)
    while waiting and (rest := most_s - (time.monotonic() - began)) > 0:
        for fd, _ in poll.poll(rest * 1000):
            leech = by_fd[fd]
            said = os.read(fd, 1 << 16)
            if not said:
                poll.unregister(fd)
                continue
            leech.said += said
            if leech.took_s is None and leech.is_complete():
                leech.took_s = time.monotonic() - began
                waiting -= 1


class Leech:
    def __init__(self, kind, command, out):
        self.kind, self.out = kind, out
        self.took_s, self.said = None, b""
        command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def is_complete(self):
        return b'"completed"' in self.said or b"done" in self.said

    def end(self):
        self.process.stdin.close()
        self.process.send_signal(signal.SIGINT)
        try:
            self.said += self.process.stdout.read()
            self.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def gave(self):
        """Bytes that it sent, as it says."""
        last = self.said.strip().splitlines()[-1]
        told = json.loads(last)
        return told["fetch"]["uploaded_bytes"] if "fetch" in told else told["uploaded_bytes"]


def rows(told):
    leeches, sent = told
    each = [{"client": leech.kind, "took_s": leech.took_s, "gave_bytes": leech.gave()} for leech in leeches]
    return {"seed_sent_bytes": sent[0], "leeches": each}


def report(told, size, ideal_s):
    leeches, sent = told
    total = sum(leech.gave() for leech in leeches)
    exit_code = 0
    print(f"ideal {ideal_s:.1f} s; the seed sent {sent[0] / size:.2f} x the content")
    means = {}
    for kind in ("rtor", "libtorrent"):
        mine = [leech for leech in leeches if leech.kind == kind]
        if not mine:
            continue
        took = [leech.took_s for leech in mine if leech.took_s is not None]
        gave = [leech.gave() / size for leech in mine]
        means[kind] = sum(gave) / len(gave)
        late = max(took, default=0) > ideal_s * MOST_IDEALS + TAIL_S or len(took) < len(mine)
        exit_code |= late
        print(
            f"{kind:10}  {len(took)} of {len(mine)} complete, in {median(took or [0]) / ideal_s:.2f} x ideal"
            f" ({min(took, default=0) / ideal_s:.2f}..{max(took, default=0) / ideal_s:.2f}),"
            f" gave {means[kind]:.2f} x the content each ({min(gave):.2f}..{max(gave):.2f}),"
            f" {sum(gave) * size / max(total, 1):.0%} of all"
            + (f"; MISSED: {MOST_IDEALS} x and {TAIL_S:.0f} s" if late else "")
        )
    if len(means) == 2 and means["rtor"] < means["libtorrent"]:
        exit_code = 1
        print("MISSED: rtor's leeches gave less than libtorrent's")
    return int(exit_code)


if __name__ == "__main__":
    main()
