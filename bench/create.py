"""`rtor create` beside mktorrent, on the same content in the page cache; `scripts/bench-create` starts it.

A pair is one run of each; who begins takes turns. What counts is the median of the pairs' ratios:
whatever else the machine does hits both of a pair alike. Both have the same threads and the same
piece length, and every torrent's info dictionary is compared: a wrong one ends the bench.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import quantity
from scratch import scratch

# What rtor was to reach.
RATIO_MOST = 0.6
CHUNK = 2**20


def main():
    args = arguments()
    mktorrent = shutil.which("mktorrent")
    rtor = args.rtor or args.root / "target/release/rtor"
    if not mktorrent or not rtor.exists():
        sys.exit(f"bench-create: `{rtor if mktorrent else 'mktorrent'}` is missing: run it without --no-build")
    with scratch(args.root, "create") as (_, folder):
        compare(args, rtor, mktorrent, folder)


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench-create", description="rtor create beside mktorrent; see docs/BENCH.md"
    )
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=quantity.size, default="2GiB", help="of the content")
    parser.add_argument("--files", type=int, default=1, help="how many, of equal length")
    parser.add_argument("--piece", type=quantity.size, default="512KiB", help="a power of two")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write every run there")
    parser.add_argument("--rtor", type=Path, help="this program instead of the release build's")
    parser.add_argument("--no-build", action="store_true", help="build and install nothing first")
    args = parser.parse_args()
    if args.piece & (args.piece - 1) or not 0 < args.files <= args.size:
        sys.exit("bench-create: `--piece` is a power of two, and every file has a byte")
    return args


def compare(args, rtor, mktorrent, folder):
    content = folder / "content"
    write(content, args.size, args.files)
    made = {"rtor": folder / "rtor.torrent", "mktorrent": folder / "mktorrent.torrent"}
    power = args.piece.bit_length() - 1
    commands = {
        "rtor": [rtor, "create", content, "-o", made["rtor"], "--quiet", "--threads", args.threads]
        + ["--piece-length", args.piece, "--tracker", "http://t.example/announce"],
        "mktorrent": [mktorrent, "-a", "http://t.example/announce", "-d", "-t", args.threads]
        + ["-l", power, "-o", made["mktorrent"], content],
    }
    runs = []
    # The first pair brings all into the caches and counts for nothing.
    for pair in range(args.pairs + 1):
        order = list(commands) if pair % 2 else list(commands)[::-1]
        row = {"load": os.getloadavg()[0]}
        for name in order:
            made[name].unlink(missing_ok=True)
            row[name] = run(commands[name])
        if info(made["rtor"]) != info(made["mktorrent"]):
            sys.exit("bench-create: rtor and mktorrent made different torrents")
        if pair:
            runs.append(row)
    report(args, runs)


def run(command):
    """Wall and CPU seconds."""
    before = os.times()
    began = time.monotonic()
    subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL, check=True)
    wall = time.monotonic() - began
    after = os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    return {"wall_s": wall, "cpu_s": cpu}


def write(content, size, files):
    """So many files of random bytes, and as much as there is of them in the page cache."""
    content.mkdir()
    for number in range(files):
        left = size * (number + 1) // files - size * number // files
        # A thousand to a folder.
        path = content / f"{number // 1000:03}" / f"{number:06}"
        path.parent.mkdir(exist_ok=True)
        with open(path, "wb", buffering=0) as file:
            while left:
                left -= file.write(os.urandom(min(left, CHUNK)))
    os.sync()


def info(path):
    """The bytes from the info dictionary on; behind it neither writes anything."""
    data = path.read_bytes()
    return data[data.index(b"4:infod") :]


def report(args, runs):
    names = ["rtor", "mktorrent"]
    ratios = [row["rtor"]["wall_s"] / row["mktorrent"]["wall_s"] for row in runs]
    print(
        f"{quantity.shown(args.size)} in {args.files} file(s), pieces of {quantity.shown(args.piece)}, "
        f"{args.threads} thread(s), {args.pairs} pairs"
    )
    for name in names:
        for measure, title in [("wall_s", "wall s"), ("cpu_s", "CPU s")]:
            found = [row[name][measure] for row in runs]
            spread = f"{min(found):.2f}..{max(found):.2f}"
            print(f"  {name:<10} {title:<7} {median(found):.2f} ({spread})")
    spread = f"{min(ratios):.2f}..{max(ratios):.2f}"
    verdict = "reached" if median(ratios) <= RATIO_MOST else "NOT reached"
    print(f"  rtor / mktorrent, wall: {median(ratios):.2f} ({spread}); at most {RATIO_MOST}: {verdict}")
    if args.json:
        args.json.write_text(json.dumps({"runs": runs, "ratio": median(ratios)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
