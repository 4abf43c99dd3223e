"""Runs clients side by side; `scripts/bench` starts it inside a network namespace of its own.

Rounds are interleaved: each client runs once a round, and each round begins with another one, so
whatever changes on the machine meanwhile hits all of them.
"""

import argparse
import dataclasses
import json
import os
import shutil
import sys
import time
from pathlib import Path

import cases
import clients
import measure
import quantity
import report
import seeding
import swarm
from content import Content
from scratch import scratch

# A run may take so many times its ideal, and so many seconds more; where nothing limits it, so
# many seconds a GiB.
TIMEOUT_IDEALS = 15
TIMEOUT_S = 30
TIMEOUT_S_PER_GIB = 240
# A seeder that has not given everything by then is measured by what it gave.
SEEDING_S = 30


@dataclasses.dataclass
class Tools:
    rtor: Path
    relay: Path
    sink: Path
    python: Path
    rqbit: Path
    aria2: str
    transmission: str


def main():
    args = arguments()
    try:
        chosen = chosen_cases(args)
    except ValueError as why:
        sys.exit(f"bench: {why}")
    if args.list:
        for case in chosen:
            print(case.text)
        return
    root = args.root
    tools = Tools(
        rtor=args.rtor or root / "target/release/rtor",
        relay=args.relay or root / "target/release/rtor-relay",
        sink=args.sink or root / "target/release/rtor-sink",
        python=root / ".parts/venv/bin/python",
        rqbit=root / ".parts/rqbit/bin/rqbit",
        aria2=shutil.which("aria2c") or "aria2c",
        transmission=shutil.which("transmission-daemon") or "transmission-daemon",
    )
    known = {each.name: each for each in clients.ALL}
    unknown = [name for name in args.clients if name not in known]
    if unknown:
        sys.exit(f"bench: `{unknown[0]}` is no client: {', '.join(known)}")
    running = [known[name](tools) for name in args.clients]
    with scratch(args.root, "run") as (shared, folder):
        Bench(args, tools, running, shared, folder).run(chosen)


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="rtor beside other clients; see docs/BENCH.md"
    )
    listed = lambda text: [name for name in text.split(",") if name]
    names = [each.name for each in clients.ALL]
    parser.add_argument("--cases", type=listed, metavar="NAME,..", help="only these built-in cases")
    parser.add_argument("--case", action="append", default=[], metavar="NAME:KEY=VALUE,..")
    parser.add_argument("--clients", type=listed, default=names, metavar="NAME,..")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--size", metavar="SIZE", help="for every case, instead of its own")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="of one client's run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there")
    parser.add_argument("--rtor", type=Path, metavar="FILE", help="this program, not the release build")
    parser.add_argument("--relay", type=Path, metavar="FILE", help="this relay, likewise")
    parser.add_argument("--sink", type=Path, metavar="FILE", help="these leeches, likewise")
    parser.add_argument("--no-build", action="store_true", help="build and install nothing first")
    parser.add_argument("--list", action="store_true", help="print the cases, run nothing")
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds: 1 or more")
    return args


def chosen_cases(args):
    built_in = {case.name: case for case in cases.built_in()}
    own = [cases.parse(text) for text in args.case]
    names = args.cases if args.cases is not None else ([] if own else list(built_in))
    for name in names:
        if name not in built_in:
            raise ValueError(f"`{name}` is no case: {', '.join(built_in)}")
    found = [built_in[name] for name in names] + own
    if args.size:
        size = quantity.size(args.size)
        found = [dataclasses.replace(case, size=size) for case in found]
    for case in found:
        case.ideal_seconds()
    return found


class Bench:
    def __init__(self, args, tools, running, shared, folder):
        self.args = args
        self.tools = tools
        self.running = running
        self.shared = shared
        self.folder = folder
        self.tracker = None

    def run(self, chosen):
        swarm.furnish(
            max(len(case.peers) for case in chosen),
            max(case.dht for case in chosen),
            max(case.leeches or 1 for case in chosen),
        )
        self.tracker = swarm.Tracker()
        document = self.about()
        pages, ran = [], {}
        for case in chosen:
            content = Content(self.shared, case)
            content.warm()
            say(report.titled(case))
            rounds = []
            able = [client for client in self.running if can(client, case)]
            for nth in range(self.args.rounds):
                at = nth % max(len(able), 1)
                for client in able[at:] + able[:at]:
                    once = self.once_seeding if case.leeches else self.once
                    each = {"round": nth + 1, **once(case, content, client)}
                    say(f"  round {nth + 1}, {report.line(each)}")
                    rounds.append(each)
            names = [client.name for client in able]
            verdicts = report.verdicts(case, rounds, names, ran)
            print(report.plain(case, rounds, names, verdicts) + "\n", flush=True)
            pages.append(report.markdown(case, rounds, names, verdicts))
            document["cases"].append(written(case, rounds, names, verdicts))
            ran[case.name] = rounds
            # After each case, so that a run that is broken off leaves what it had.
            if self.args.json:
                self.args.json.write_text(json.dumps(document, indent=2) + "\n")
            if self.args.markdown:
                self.args.markdown.write_text("\n".join(pages))

    def once(self, case, content, client):
        """One client, once."""
        folder = self.folder / client.name
        out = folder / "out"
        out.mkdir(parents=True)
        own = folder / "own"
        own.mkdir()
        job = clients.Job(content.torrent, own, out, case)
        start = client.magnet(job, content.magnet()) if case.dht else client.start(job)
        with measure.touched(self.folder, case.size):
            load = os.getloadavg()[0]
            peers = swarm.Swarm(case, content, self.tracker, self.tools)
            try:
                measured = measure.run(start, own, self.timeout_s(case))
            finally:
                carried = peers.stop()
        if not measured.fault and not case.dht:
            difference = content.difference(out)
            if difference:
                sys.exit(f"bench: {client.name} says it is done, but {difference}")
        each = figures(case, measured, carried)
        each |= {"client": client.name, "load_before": load, "carried": carried}
        if client.name == "rtor" and not measured.fault and not case.dht:
            each["rtor"] = client.result(own / "stdout")
        if measured.fault:
            each["stderr"] = (own / "stderr").read_text(errors="replace")[-2000:]
        shutil.rmtree(folder, ignore_errors=True)
        return each

    def once_seeding(self, case, content, client):
        """One client as a seeder, once."""
        folder = self.folder / client.name
        folder.mkdir(parents=True)
        self.tracker.lists([])
        job = seeding.Job(content, folder, self.tools)
        load = os.getloadavg()[0]
        each, said = seeding.run(case, client.name, job, self.timeout_s(case))
        each |= {"client": client.name, "load_before": load, "leeches": said}
        if each["fault"]:
            each["stderr"] = (folder / "stderr").read_text(errors="replace")[-2000:]
        shutil.rmtree(folder, ignore_errors=True)
        return each

    def timeout_s(self, case):
        if self.args.timeout:
            return self.args.timeout
        if case.leeches:
            return SEEDING_S
        ideal = case.ideal_seconds()
        if ideal is None:
            return TIMEOUT_S + TIMEOUT_S_PER_GIB * case.size / quantity.GIB
        return TIMEOUT_S + TIMEOUT_IDEALS * ideal

    def about(self):
        """Everything that the figures depend on besides the cases."""
        uname = os.uname()
        return {
            "bench": 1,
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "kernel": f"{uname.sysname} {uname.release} {uname.machine}",
            "cores": os.cpu_count(),
            "cpu": cpu(),
            "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            "rounds": self.args.rounds,
            "clients": {
                client.name: {"version": client.version(), "done": client.done}
                for client in self.running
            },
            "cases": [],
        }


def figures(case, measured, carried):
    """What a run comes to."""
    gib = case.size / quantity.GIB
    ideal = case.ideal_seconds()
    # The seeders tell plain numbers, lines tell objects.
    sent = sum(count for part in carried for count in part if isinstance(count, int))
    return {
        "fault": measured.fault,
        "wall_s": measured.wall_s,
        "wall_ideal": None if ideal is None else measured.wall_s / ideal,
        "wall_s_per_gib": measured.wall_s / gib,
        "cpu_s": measured.cpu_s,
        "cpu_s_per_gib": measured.cpu_s / gib,
        "rss_mib": measured.rss_bytes / quantity.MIB,
        "sent_bytes": sent,
        "sent_ratio": sent / case.size,
    }


def can(client, case):
    """Whether a client can do what the case is about."""
    if case.leeches:
        return client.name in seeding.COMMANDS
    return (not case.dht or client.magnet) and (not case.rc4 or client.encrypts)


def written(case, rounds, names, verdicts):
    return {
        "name": case.name,
        "text": case.text,
        "size_bytes": case.size,
        "piece_bytes": case.piece,
        "files": case.files,
        "leeches": case.leeches,
        "takes_bytes": case.takes,
        "idle_s": case.idle_s,
        "ideal_s": case.ideal_seconds(),
        "targets": [{"text": text, "met": met} for text, met in verdicts],
        "medians": {
            name: {key: report.value(rounds, name, key) for key, _, _ in report.measures(case)}
            for name in names
        },
        "rounds": rounds,
    }


def cpu():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else None


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
