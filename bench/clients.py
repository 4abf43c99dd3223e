"""The clients under test: how each is started, and how it is known to be done.

Each downloads one .torrent into a fresh folder, with its own defaults, and these changes: only the
tracker finds peers, over TCP (the seeders and the lines speak nothing else), no port is mapped, and
it ends when it is done.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import swarm

HERE = Path(__file__).parent
# Where Transmission's RPC would listen. Nobody asks it anything.
TRANSMISSION_RPC_PORT = 9091
# As for libtorrent: only the tracker finds peers, no port is mapped, and TCP alone is spoken.
TRANSMISSION_QUIET = {
    "dht-enabled": False,
    "lpd-enabled": False,
    "pex-enabled": False,
    "utp-enabled": False,
    "port-forwarding-enabled": False,
}
# Where aria2's does.
ARIA2_RPC_PORT = 6800


@dataclass
class Job:
    """One run of one client."""

    torrent: Path
    folder: Path  # for its own files
    out: Path  # for the download
    case: object


@dataclass
class Start:
    """What to start."""

    command: list
    # What ends the clock: `exit`, or a line in its stdout or in a pipe that a hook of it writes to.
    done_by: str = "exit"
    pipe: Path | None = None
    # Whether it goes on for ever and must be asked to end.
    ask_to_end: bool = False


class Rtor:
    name = "rtor"
    encrypts = True
    done = "it exits"

    def __init__(self, tools):
        self.program = tools.rtor

    def version(self):
        return said([self.program, "--version"])

    def start(self, job):
        command = [self.program, "get", job.torrent, "--output", job.out, "--json"]
        command += ["--discover", "tracker"]
        if job.case.memory:
            command += ["--max-memory", job.case.memory]
        if job.case.rc4:
            command += ["--encryption", "require"]
        return Start(command)

    def magnet(self, job, uri):
        """To the first event of its kind: the shell beside it reads no further."""
        events = job.folder / "events"
        os.mkfifo(events)
        node = f"{swarm.DHT_HOST}:{swarm.PORT}"
        rtor = [self.program, "get", uri, "--output", job.out, "--discover", "dht"]
        rtor += ["--dht-bootstrap", node, "--events", events]
        rtor = shlex.join(str(word) for word in rtor)
        first = "while read -r line; do case $line in *piece_verified*) echo done; break;; esac; done"
        command = f"{first} <{shlex.quote(str(events))} & exec {rtor} >/dev/null"
        return Start(["sh", "-c", command], done_by="line", ask_to_end=True)

    def result(self, stdout):
        """What `rtor get` itself says of the download: its manifest's section."""
        fetched = json.loads(stdout.read_text())["fetch"]
        return {key: value for key, value in fetched.items() if key not in ("pieces", "path")}


class Libtorrent:
    name = "libtorrent"
    encrypts = True
    done = "its alerts: torrent finished, then cache flushed"

    def __init__(self, tools):
        self.python = tools.python

    def version(self):
        return said([self.python, "-c", "import libtorrent as l; print(l.__version__)"])

    def start(self, job):
        script = HERE / "libtorrent_client.py"
        rc4 = ["rc4"] if job.case.rc4 else []
        return Start([self.python, script, job.torrent, job.out, *rc4], done_by="line")

    def magnet(self, job, uri):
        script = HERE / "libtorrent_magnet.py"
        command = [self.python, script, uri, job.out, swarm.DHT_HOST, swarm.PORT]
        return Start(command, done_by="line", ask_to_end=True)


class Rqbit:
    name = "rqbit"
    magnet = None
    encrypts = False
    done = "it exits (--exit-on-finish)"

    def __init__(self, tools):
        self.program = tools.rqbit

    def version(self):
        return said([self.program, "--version"])

    def start(self, job):
        command = [self.program, "-v", "error", "--disable-dht", "--disable-lsd"]
        command += ["--disable-upnp-port-forward", "download", "--disable-http-api"]
        command += ["--exit-on-finish", "--output-folder", job.out, job.torrent]
        return Start(command)


class Aria2:
    name = "aria2"
    encrypts = True
    done = "it exits (--seed-time=0)"

    def __init__(self, tools):
        self.program = tools.aria2

    def version(self):
        return said([self.program, "--version"])

    def start(self, job):
        command = [self.program, "--no-conf", f"--dir={job.out}", "--seed-time=0"]
        command += ["--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false"]
        command += ["--enable-peer-exchange=false", "--disable-ipv6=true"]
        # What its manual advises on ext4.
        command += ["--file-allocation=falloc"]
        if job.case.rc4:
            command += ["--bt-force-encryption"]
        command += ["--console-log-level=error", "--summary-interval=0", job.torrent]
        return Start(command)

    def magnet(self, job, uri):
        command = [self.program, "--no-conf", f"--dir={job.out}", "--seed-time=0"]
        command += ["--enable-dht=true", "--enable-dht6=false", "--bt-enable-lpd=false"]
        command += ["--enable-peer-exchange=false", "--disable-ipv6=true"]
        command += [f"--dht-entry-point={swarm.DHT_HOST}:{swarm.PORT}"]
        command += [f"--dht-file-path={job.folder / 'dht.dat'}", "--file-allocation=falloc"]
        command += ["--enable-rpc", f"--rpc-listen-port={ARIA2_RPC_PORT}"]
        command += ["--console-log-level=error", "--summary-interval=0", uri]
        script = [sys.executable, HERE / "aria2_magnet.py", ARIA2_RPC_PORT]
        return Start(script + command, done_by="line", ask_to_end=True)


class Transmission:
    name = "transmission"
    encrypts = True
    magnet = None
    done = "its done script"

    def __init__(self, tools):
        self.program = tools.transmission

    def version(self):
        return said([self.program, "--version"])

    def start(self, job):
        pipe = job.folder / "done"
        os.mkfifo(pipe)
        script = job.folder / "done.sh"
        script.write_text(f"#!/bin/sh\necho done >'{pipe}'\n")
        script.chmod(0o755)
        # It takes what lies there when it starts.
        torrents = job.folder / "torrents"
        torrents.mkdir()
        (torrents / "x.torrent").write_bytes(job.torrent.read_bytes())
        settings = {
            "download-dir": str(job.out),
            "rpc-bind-address": "10.77.0.1",
            "rpc-port": TRANSMISSION_RPC_PORT,
            **TRANSMISSION_QUIET,
            # `TR_ENCRYPTION_REQUIRED`, and what it is by default.
            "encryption": 2 if job.case.rc4 else 1,
            "script-torrent-done-enabled": True,
            "script-torrent-done-filename": str(script),
        }
        (job.folder / "settings.json").write_text(json.dumps(settings))
        command = [self.program, "--foreground", "--config-dir", job.folder]
        return Start(command, done_by="pipe", pipe=pipe, ask_to_end=True)


ALL = [Rtor, Libtorrent, Rqbit, Aria2, Transmission]


def said(command):
    """The version that a program tells."""
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    first = (ran.stdout + ran.stderr).strip().splitlines()[0]
    match = re.search(r"\d+\.\d+[\w.+-]*", first)
    return match[0] if match else first
