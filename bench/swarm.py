"""The swarm of one run: addresses, a tracker that lists the same peers to everybody, the seeders and
the lines to them. All of it is made anew for each run, so no client meets what another left behind.
"""

import json
import select
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
TRACKER = ("10.77.0.2", 6969)
ANNOUNCE = f"http://{TRACKER[0]}:{TRACKER[1]}/announce"
PORT = 7000
# The node of a DHT that clients are told of.
DHT_HOST = "10.77.30.1"
# Sessions of seeders in one process: a few threads each.
SEEDERS_A_PROCESS = 10
# For seeders and lines to be ready, and to say what they carried.
PATIENCE_S = 60


def host(kind, nth):
    """10.77.10.x are the lines, 10.77.20.x the seeders behind them, 10.77.30.x nodes of a DHT,
    10.77.40.x the leeches of a seeder under test."""
    third, fourth = divmod(nth, 250)
    return f"10.77.{kind * 10 + third}.{fourth + 1}"


def furnish(peers_max, nodes_max, leeches_max):
    """Gives `lo` its addresses. Transmission refuses peers on 127.0.0.0/8.

    One subnet, so that a socket bound to no address speaks as the first of them.
    """
    hosts = ["10.77.0.1", TRACKER[0]]
    hosts += [host(kind, nth) for nth in range(peers_max) for kind in (1, 2)]
    hosts += [host(3, nth) for nth in range(nodes_max)]
    hosts += [host(4, nth) for nth in range(leeches_max)]
    lines = ["link set lo up"] + [f"addr add {each}/16 dev lo" for each in hosts]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def readable(file, timeout_s):
    """Whether there is something to be read, or its end, within this time."""
    return bool(select.select([file], [], [], timeout_s)[0])


class Tracker:
    """Answers every announce with the same peers (BEP 3, BEP 23), whoever asks."""

    def __init__(self):
        tracker = self
        self.peers = b""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                known = urlsplit(self.path).path == "/announce"
                answer = tracker.answer() if known else b"d14:failure reason7:unknowne"
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                # A client that was killed in the middle of a request.
                pass

        server = Server(TRACKER, Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def answer(self):
        count = len(self.peers) // 6
        return (
            b"d8:completei%de10:incompletei0e8:intervali1800e12:min intervali1800e5:peers%d:%se"
            % (count, len(self.peers), self.peers)
        )

    def lists(self, addrs):
        """From now on it lists these."""
        compact = b""
        for name, port in addrs:
            compact += bytes(int(part) for part in name.split(".")) + port.to_bytes(2, "big")
        self.peers = compact


class Part:
    """A process of the swarm: says `ready`, ends when its stdin does, then tells what it carried."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr, text=True
        )

    def ready(self):
        line = self.process.stdout.readline()
        if line.strip() != "ready":
            raise RuntimeError(f"`{self.process.args[0]}` did not start: {line!r}")

    def stop(self):
        """What it says at its end, or nothing if it had to be ended."""
        try:
            said, _ = self.process.communicate(timeout=PATIENCE_S)
            return json.loads(said.strip().splitlines()[-1])
        except (subprocess.TimeoutExpired, ValueError, IndexError):
            return []
        finally:
            self.process.kill()
            self.process.wait()


class Swarm:
    """The peers of a case, running."""

    def __init__(self, case, content, tracker, tools):
        self.parts = []
        if case.dht:
            self.start_dht(case, content, tools)
            return
        listed, seeders, links = [], [], []
        for nth, peer in enumerate(case.peers):
            seeder = (host(2, nth), PORT)
            if peer.refuses:
                listed.append(seeder)
                continue
            by_line = case.limited_by == "line"
            limit = 0 if by_line or peer.rate is None else peer.rate
            seeders.append([f"{seeder[0]}:{seeder[1]}", limit])
            has_line = (
                (by_line and peer.rate is not None)
                or peer.round_trip_ms
                or peer.stall_after is not None
                or peer.drop_after is not None
            )
            if not has_line:
                listed.append(seeder)
                continue
            line = (host(1, nth), PORT)
            listed.append(line)
            link = [f"listen={line[0]}:{line[1]}", f"to={seeder[0]}:{seeder[1]}"]
            if by_line and peer.rate is not None:
                link.append(f"rate={peer.rate}")
            if peer.round_trip_ms:
                # Half of it each way; an odd millisecond is dropped.
                link.append(f"delay_ms={peer.round_trip_ms // 2}")
            if peer.stall_after is not None:
                link.append(f"stall_after={peer.stall_after}")
            if peer.drop_after is not None:
                link.append(f"drop_after={peer.drop_after}")
            links += ["--link", ",".join(link)]
        if case.seeder == "rtor":
            self.start_rtor(case, content, tools, seeders)
            seeders = []
        for first in range(0, len(seeders), SEEDERS_A_PROCESS):
            job = {
                "torrent": str(content.torrent),
                "data": str(content.folder),
                "seeders": seeders[first : first + SEEDERS_A_PROCESS],
                "rc4": case.rc4,
            }
            self.start([tools.python, str(HERE / "seeder.py"), json.dumps(job)])
        if links:
            self.start([tools.relay, *links])
        for part in self.parts:
            part.ready()
        tracker.lists(listed)

    def start_rtor(self, case, content, tools, seeders):
        for seeder in seeders:
            job = {
                "rtor": str(tools.rtor),
                "torrent": str(content.torrent),
                "data": str(content.folder),
                "seeder": seeder,
                "rc4": case.rc4,
            }
            self.start([tools.python, str(HERE / "rtor_seeder.py"), json.dumps(job)])

    def start_dht(self, case, content, tools):
        job = {
            "torrent": str(content.torrent),
            "data": str(content.folder),
            "seeder": f"{host(2, 0)}:{PORT}",
            "nodes": [f"{host(3, nth)}:{PORT}" for nth in range(case.dht)],
        }
        self.start([tools.python, str(HERE / "dht_swarm.py"), json.dumps(job)])
        self.parts[0].ready()

    def start(self, command):
        self.parts.append(Part([str(word) for word in command]))

    def stop(self):
        """Ends it; what its parts tell: the seeders' sent bytes, then the lines'."""
        return [part.stop() for part in self.parts]
