"""One run of one client, measured: wall time, CPU time of the process tree, peak memory.

Wall: from before the fork to the moment that the client is done (`clients.py` says how that is known
for each). CPU: user and system of the client, all its threads and the children it waited for, until
it has ended (`wait4`). Peak RSS: the kernel's own high-water mark, told by GNU time, which forks
small: a child's mark counts what it was before its `exec`, so a Python would give it its own.
"""

import contextlib
import os
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path

GNU_TIME = "/usr/bin/time"
CHUNK = 2**20
# What is touched beyond the size of the content: what clients need for themselves.
TOUCHED_BESIDES = 256 * 2**20
# What a client gets to end after it was asked to.
GRACE_S = 20


@dataclass
class Measured:
    wall_s: float
    cpu_s: float
    rss_bytes: int
    fault: str | None  # why there is no result: timed out, failed


@contextlib.contextmanager
def touched(folder, size):
    """Within it there is so much free memory that was touched before, and it is handed out first.

    In a virtual machine the first touch of a page of memory costs whoever touches it, up to 2 s a
    GiB. A file that is written and deleted leaves such pages, but where the kernel reports free
    memory to the host (`page_reporting`), blocks of 2 MiB and more are gone again two seconds later.
    So two files are written in turns of 1 MiB, and one of them is deleted: the other keeps what is
    free apart, in blocks that are too small to be reported and the first to be taken.
    """
    paths = [folder / "touched", folder / "apart"]
    chunk = bytes(CHUNK)
    with contextlib.ExitStack() as opened:
        files = [opened.enter_context(open(path, "wb", buffering=0)) for path in paths]
        for _ in range((size + TOUCHED_BESIDES) // CHUNK):
            for file in files:
                file.write(chunk)
    paths[0].unlink()
    os.sync()
    try:
        yield
    finally:
        paths[1].unlink()


def run(start, folder, timeout_s):
    """Runs it to its end."""
    told = folder / "time"
    command = [GNU_TIME, "--quiet", "--format=%M", f"--output={told}", "--"]
    command += ["setpriv", "--pdeathsig", "KILL", "--", *start.command]
    command = [str(word) for word in command]
    out = os.open(folder / "stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    err = os.open(folder / "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    ear = mouth = None
    if start.done_by == "line":
        ear, mouth = os.pipe()
    elif start.done_by == "pipe":
        # Open for writing too: else it would be at its end before the first writer.
        ear = os.open(start.pipe, os.O_RDWR)
    environment = {**os.environ, "HOME": str(folder)}
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        environment[name] = str(folder)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, mouth if mouth is not None else out, 1),
        (os.POSIX_SPAWN_DUP2, err, 2),
    ]
    began = time.monotonic()
    pid = os.posix_spawn(command[0], command, environment, file_actions=actions)
    for fd in (out, err, mouth):
        if fd is not None:
            os.close(fd)
    wall_s, fault, usage = wait(pid, start, ear, began, timeout_s)
    if ear is not None:
        os.close(ear)
    lines = told.read_text().split() if told.exists() else []
    rss_bytes = int(lines[-1]) * 1024 if lines and lines[-1].isdigit() else 0
    return Measured(wall_s, usage.ru_utime + usage.ru_stime, rss_bytes, fault)


def wait(pid, start, ear, began, timeout_s):
    """Waits until the client is done, sees to it that it ends, and reaps it."""
    ended = os.pidfd_open(pid)
    fault, wall_s = None, None
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    if ear is not None:
        poll.register(ear, select.POLLIN)
    ready = poll.poll(max(0, timeout_s) * 1000)
    wall_s = time.monotonic() - began
    heard = ear is not None and any(fd == ear and event & select.POLLIN for fd, event in ready)
    heard = heard and os.read(ear, 16).startswith(b"done")
    if not ready:
        fault = f"timed out after {timeout_s:.0f} s"
    elif ear is not None and not heard:
        fault = "ended before it was done"
    if fault or start.ask_to_end:
        send(pid, signal.SIGTERM)
    only_end = select.poll()
    only_end.register(ended, select.POLLIN)
    if not only_end.poll(GRACE_S * 1000):
        send(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    os.close(ended)
    if not fault and not start.ask_to_end and os.waitstatus_to_exitcode(status) != 0:
        fault = f"failed with exit code {os.waitstatus_to_exitcode(status)}"
    return wall_s, fault, usage


def send(pid, number):
    """A signal to what GNU time, `pid`, runs."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            os.kill(int(child), number)
        except ProcessLookupError:
            pass
