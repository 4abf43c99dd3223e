"""Seeders under test: each gives one content to leeches that all of them are given, and is measured
from when the leeches know that it has everything, until they have what they take.

What came before, as the hashing of the content, is not in the figures: some clients can be told to
trust it and some can't. CPU time is that of the process with all its threads, read from its own clock
(`clock_getcpuclockid(3)`), which counts nanoseconds; none of these starts another. Peak RSS is the
kernel's high-water mark, set back (`clear_refs`, proc(5)) before the leeches begin.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import libtorrent as lt

import quantity
import swarm
from clients import TRANSMISSION_QUIET, TRANSMISSION_RPC_PORT

HERE = Path(__file__).parent
SEEDER = (swarm.host(2, 0), swarm.PORT)
# Leeches that may connect, of all of them, and some more.
CONNECTIONS_MAX = 1000
# For a client to hash its content and to take all leeches.
START_S = 120
GRACE_S = 20
# Figures of busy leeches by what they took, of idle ones by the time.
PER = ("wall_s_per_gib", "cpu_s_per_gib", "cpu_ms_per_s")


@dataclass
class Job:
    """One run of one seeder."""

    content: object
    folder: Path  # for its own files
    tools: object


def rtor(job):
    command = [job.tools.rtor, "seed", job.content.torrent, "--data", job.content.folder]
    command += ["--listen", f"{SEEDER[0]}:{SEEDER[1]}", "--discover", "tracker"]
    return [*command, "--max-peers", CONNECTIONS_MAX, "--quiet"]


def libtorrent(job):
    told = {
        "torrent": str(job.content.torrent),
        "data": str(job.content.folder),
        "seeders": [[f"{SEEDER[0]}:{SEEDER[1]}", 0]],
        "rc4": False,
        "connections": CONNECTIONS_MAX,
    }
    return [job.tools.python, HERE / "seeder.py", json.dumps(told)]


def rqbit(job):
    command = [job.tools.rqbit, "-v", "error", "--disable-dht", "--disable-lsd"]
    command += ["--disable-upnp-port-forward", "--listen-ip", SEEDER[0]]
    command += ["--listen-port", SEEDER[1], "--peer-limit", CONNECTIONS_MAX]
    command += ["download", "--disable-http-api", "--overwrite"]
    return [*command, "--output-folder", job.content.folder, job.content.torrent]


def aria2(job):
    command = [job.tools.aria2, "--no-conf", f"--dir={job.content.folder}", "--seed-ratio=0.0"]
    command += ["--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false"]
    command += ["--enable-peer-exchange=false", "--disable-ipv6=true", "--check-integrity=true"]
    command += [f"--interface={SEEDER[0]}", f"--listen-port={SEEDER[1]}", "--bt-max-peers=0"]
    return [*command, "--console-log-level=error", "--summary-interval=0", job.content.torrent]


def transmission(job):
    torrents = job.folder / "torrents"
    torrents.mkdir()
    (torrents / "x.torrent").write_bytes(job.content.torrent.read_bytes())
    settings = {
        "download-dir": str(job.content.folder),
        "bind-address-ipv4": SEEDER[0],
        "peer-port": SEEDER[1],
        "rpc-bind-address": SEEDER[0],
        "rpc-port": TRANSMISSION_RPC_PORT,
        **TRANSMISSION_QUIET,
        "peer-limit-global": CONNECTIONS_MAX,
        "peer-limit-per-torrent": CONNECTIONS_MAX,
    }
    (job.folder / "settings.json").write_text(json.dumps(settings))
    return [job.tools.transmission, "--foreground", "--config-dir", job.folder]


COMMANDS = {
    "rtor": rtor,
    "libtorrent": libtorrent,
    "rqbit": rqbit,
    "aria2": aria2,
    "transmission": transmission,
}


def run(case, client, job, timeout_s):
    """Runs one seeder with the leeches of `case`; the figures, and what the leeches say."""
    figures = dict.fromkeys(["fault", "wall_s", "cpu_s", "rss_mib", *PER])
    said = {}
    with contextlib.ExitStack() as stack:
        seeder = stack.enter_context(Seeder(COMMANDS[client](job), job.folder))
        sink = stack.enter_context(Sink(case, job))
        try:
            sink.expect("ready", START_S)
            # What its start left to be done.
            time.sleep(case.settle_s)
            seeder.forget_peak()
            began, cpu_s = time.monotonic(), seeder.cpu_s()
            if case.idle_s:
                time.sleep(case.idle_s)
            else:
                sink.go()
                # Who is slow is measured by what it gave until then.
                sink.expect("done", timeout_s, or_else=None)
            figures["wall_s"] = time.monotonic() - began
            figures["cpu_s"] = seeder.cpu_s() - cpu_s
            figures["rss_mib"] = seeder.peak_mib()
        except TimeoutError as why:
            figures["fault"] = str(why)
        except (OSError, ValueError):
            figures["fault"] = "ended before it was done"
        said = sink.stop()
    taken = said.get("taken_bytes", 0) / quantity.GIB
    if not figures["fault"] and case.idle_s:
        figures["cpu_ms_per_s"] = 1000 * figures["cpu_s"] / figures["wall_s"]
    elif not figures["fault"] and taken:
        figures["wall_s_per_gib"] = figures["wall_s"] / taken
        figures["cpu_s_per_gib"] = figures["cpu_s"] / taken
    elif not figures["fault"]:
        figures["fault"] = f"gave nothing in {timeout_s:.0f} s"
    if not figures["fault"] and said.get("wrong_parts"):
        sys.exit(f"bench: {client} sent other bytes than the torrent has")
    if figures["fault"] and said.get("why"):
        figures["fault"] += f": {said['why']}"
    return figures, said


class Seeder:
    """A seeder's process."""

    def __init__(self, command, folder):
        self.command = [str(word) for word in ["setpriv", "--pdeathsig", "KILL", "--", *command]]
        self.folder = folder

    def __enter__(self):
        environment = {**os.environ, "HOME": str(self.folder)}
        for name in ("CONFIG", "DATA", "STATE", "CACHE"):
            environment[f"XDG_{name}_HOME"] = str(self.folder)
        with open(self.folder / "stdout", "wb") as out, open(self.folder / "stderr", "wb") as err:
            # libtorrent's ends when its stdin does.
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=out, stderr=err, env=environment
            )
        # The clock of its CPU time, see clock_getcpuclockid(3) and the kernel's posix-timers.h.
        self.clock = (~self.process.pid << 3) | 2
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu_s(self):
        if self.process.poll() is not None:
            raise ValueError("it ended")
        return time.clock_gettime_ns(self.clock) / 1e9

    def forget_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak_mib(self):
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


class Sink:
    """The leeches (`bench/sink`)."""

    def __init__(self, case, job):
        hosts = ",".join(swarm.host(4, nth) for nth in range(case.leeches))
        command = [job.tools.sink, "--to", f"{SEEDER[0]}:{SEEDER[1]}", "--from", hosts]
        command += ["--info-hash", lt.torrent_info(str(job.content.torrent)).info_hash()]
        command += ["--length", case.size, "--piece-length", case.piece, "--takes", case.takes]
        if case.files == 1:
            command += ["--content", job.content.files()[0]]
        self.command = [str(word) for word in command]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr, text=True
        )
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def expect(self, word, timeout_s, or_else=TimeoutError):
        """Waits until it says so."""
        if not swarm.readable(self.process.stdout, timeout_s):
            if or_else:
                raise or_else(f"not {word} after {timeout_s:.0f} s")
            return
        if self.process.stdout.readline().strip() != word:
            raise ValueError("the leeches ended")

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def stop(self):
        """Ends it; what it says of itself."""
        try:
            said, _ = self.process.communicate(timeout=GRACE_S)
            return json.loads(said.strip().splitlines()[-1])
        except (subprocess.TimeoutExpired, ValueError, IndexError, OSError):
            return {}

