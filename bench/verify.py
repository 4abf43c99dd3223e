"""`rtor verify` beside rqbit's initial check and `imdl torrent verify`, on the same content in the page
cache; `scripts/bench-verify` starts it inside a network namespace of its own.

A round is one run of each; who begins takes turns. What counts is the median of the rounds' ratios:
whatever else the machine does hits all of a round alike. At the end a byte is changed, and whoever does
not find it ends the bench: so all of them hash all.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import create
import quantity
from scratch import scratch

# What rtor was to reach: at most so much of the other's wall time.
RATIOS_MOST = {"rqbit": 0.45, "imdl": 0.25}


def main():
    args = arguments()
    with scratch(args.root, "verify") as (_, folder):
        compare(args, folder)


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench-verify", description="rtor verify beside rqbit and imdl; see docs/BENCH.md"
    )
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=quantity.size, default="2GiB", help="of the content")
    parser.add_argument("--files", type=int, default=1, help="how many, of equal length")
    parser.add_argument("--piece", type=quantity.size, default="512KiB", help="a power of two")
    parser.add_argument("--others", default="rqbit,imdl", help="beside whom")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write every run there")
    parser.add_argument("--rtor", type=Path, help="this program instead of the release build's")
    parser.add_argument("--no-build", action="store_true", help="build and install nothing first")
    args = parser.parse_args()
    args.rtor = args.rtor or args.root / "target/release/rtor"
    args.others = [name for name in args.others.split(",") if name]
    unknown = [name for name in args.others if name not in RATIOS_MOST]
    if unknown:
        sys.exit(f"bench-verify: `{unknown[0]}` is neither `rqbit` nor `imdl`")
    return args


def compare(args, folder):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    content, torrent = folder / "content", folder / "x.torrent"
    create.write(content, args.size, args.files)
    making = [args.rtor, "create", content, "-o", torrent, "--quiet", "--piece-length", args.piece]
    subprocess.run([str(word) for word in making], stdout=subprocess.DEVNULL, check=True)
    rqbit = [args.root / ".parts/rqbit/bin/rqbit", "-v", "error", "--disable-dht", "--disable-lsd"]
    rqbit += ["--disable-upnp-port-forward", "download", "--disable-http-api", "--exit-on-finish"]
    commands = {
        "rtor": [args.rtor, "verify", torrent, "--data", content, "--json"],
        # It has all, and so ends when it has looked. A torrent of a folder goes into the folder itself.
        "rqbit": [*rqbit, "--overwrite", "--output-folder", content, torrent],
        "imdl": [args.root / ".parts/imdl/bin/imdl", "--quiet", "torrent", "verify"]
        + ["--input", torrent, "--content", content],
    }
    names = ["rtor", *args.others]
    rounds = []
    # The first round brings all into the caches and counts for nothing.
    for nth in range(args.rounds + 1):
        at = nth % len(names)
        row = {"load": os.getloadavg()[0]}
        for name in names[at:] + names[:at]:
            row[name] = create.run(commands[name])
        if nth:
            rounds.append(row)
    report(args, names, rounds)
    find_damage(names, commands, next(path for path in content.rglob("*") if path.is_file()))


def find_damage(names, commands, path):
    """Whoever says of a changed byte that all is well has not looked."""
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    # rqbit would fetch it, from nobody.
    for name in names:
        if name == "rqbit":
            continue
        ran = subprocess.run([str(word) for word in commands[name]], capture_output=True)
        if ran.returncode != 1:
            sys.exit(f"bench-verify: {name} did not find a changed byte")


def report(args, names, rounds):
    print(
        f"{quantity.shown(args.size)} in {args.files} file(s), pieces of {quantity.shown(args.piece)}, "
        f"{os.cpu_count()} core(s), {args.rounds} rounds"
    )
    for name in names:
        for measure, title in [("wall_s", "wall s"), ("cpu_s", "CPU s")]:
            found = [row[name][measure] for row in rounds]
            spread = f"{min(found):.2f}..{max(found):.2f}"
            print(f"  {name:<10} {title:<7} {median(found):.2f} ({spread})")
    document = {"rounds": rounds}
    for name in names[1:]:
        ratios = [row["rtor"]["wall_s"] / row[name]["wall_s"] for row in rounds]
        spread = f"{min(ratios):.2f}..{max(ratios):.2f}"
        verdict = "reached" if median(ratios) <= RATIOS_MOST[name] else "NOT reached"
        most = RATIOS_MOST[name]
        print(f"  rtor / {name}, wall: {median(ratios):.2f} ({spread}); at most {most}: {verdict}")
        document[f"rtor / {name}"] = median(ratios)
    if args.json:
        args.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
