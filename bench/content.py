"""What is downloaded: bytes from a seeded generator, and a torrent of them that libtorrent made.

Kept in `target/bench/content` for the next run: its name says all that it depends on.
"""

import fcntl
import random
from pathlib import Path

import libtorrent as lt

import swarm

CHUNK = 2**20
SEED = 3


class Content:
    def __init__(self, scratch, case):
        name = f"{case.size}-{case.files}-{case.piece}"
        self.size = case.size
        self.folder = scratch / "content" / name
        self.torrent = scratch / "content" / f"{name}.torrent"
        self.name = "data.bin" if case.files == 1 else "data"
        self.torrent.parent.mkdir(parents=True, exist_ok=True)
        with open(self.torrent.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # The torrent comes last, so its being there vouches for the content.
            if not self.torrent.exists():
                self.make(case)

    def make(self, case):
        self.folder.mkdir(parents=True, exist_ok=True)
        chance = random.Random(SEED)
        if case.files == 1:
            write(self.folder / self.name, case.size, chance)
        else:
            for nth, length in enumerate(lengths(case)):
                folder = self.folder / self.name / f"{nth // 100:03}"
                folder.mkdir(parents=True, exist_ok=True)
                write(folder / f"{nth:06}.bin", length, chance)
        files = sorted(lt.list_files(str(self.folder / self.name)), key=lambda entry: entry.filename)
        made = lt.create_torrent(files, case.piece, lt.create_torrent.v1_only)
        made.set_creation_date(1_700_000_000)
        made.add_tracker(swarm.ANNOUNCE)
        lt.set_piece_hashes(made, str(self.folder))
        unfinished = self.torrent.with_suffix(".new")
        unfinished.write_bytes(lt.bencode(made.generate()))
        unfinished.rename(self.torrent)

    def warm(self):
        """Reads it once, so that no seeder waits for the disk."""
        for path in self.files():
            with open(path, "rb", buffering=0) as file:
                while file.read(CHUNK):
                    pass

    def magnet(self):
        """Its info hash and nothing more."""
        return f"magnet:?xt=urn:btih:{lt.torrent_info(str(self.torrent)).info_hash()}"

    def files(self):
        root = self.folder / self.name
        return [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())

    def difference(self, downloaded):
        """The first thing in `downloaded`, a folder, that is not as it was seeded, or None."""
        for original in self.files():
            copy = Path(downloaded) / original.relative_to(self.folder)
            if not copy.is_file():
                return f"`{copy}` is missing"
            if not same(original, copy):
                return f"`{copy}` differs from `{original}`"
        return None


def lengths(case):
    """Uneven lengths that sum up to the size."""
    rest, found = case.size, []
    for left in range(case.files, 0, -1):
        mean = rest // left
        length = rest if left == 1 else mean // 2 + (len(found) * 7919) % max(mean, 1)
        found.append(min(length, rest))
        rest -= found[-1]
    return found


def write(path, length, chance):
    with open(path, "wb") as file:
        while length > 0:
            chunk = min(length, CHUNK)
            file.write(chance.randbytes(chunk))
            length -= chunk


def same(original, copy):
    with open(original, "rb") as left, open(copy, "rb") as right:
        while True:
            chunk = left.read(CHUNK)
            if chunk != right.read(CHUNK):
                return False
            if not chunk:
                return True
