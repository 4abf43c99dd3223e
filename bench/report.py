"""Figures of many rounds as tables: medians with their spread, and what rtor was to reach."""

from statistics import median

import quantity

# Measures of a round: name in JSON, heading, digits.
MEASURES = [
    ("wall_s", "wall s", 2),
    ("wall_ideal", "wall / ideal", 2),
    ("wall_s_per_gib", "wall s/GiB", 2),
    ("cpu_s_per_gib", "CPU s/GiB", 2),
    ("rss_mib", "RSS MiB", 0),
    ("sent_ratio", "sent / size", 3),
]
# Of a seeder with busy leeches, and with idle ones.
MEASURES_OF_SEEDING = [
    ("cpu_s_per_gib", "CPU s/GiB", 3),
    ("wall_s_per_gib", "wall s/GiB", 2),
    ("rss_mib", "RSS MiB", 0),
]
MEASURES_OF_IDLING = [("cpu_ms_per_s", "CPU ms/s", 2), ("rss_mib", "RSS MiB", 0)]
NAMES = {
    "cpu_s_per_gib": "CPU s/GiB",
    "wall_s": "wall s",
    "wall_ideal": "wall / ideal",
    "rss_mib": "peak RSS MiB",
}


def measures(case):
    """What the rounds of a case have."""
    if case.leeches:
        return MEASURES_OF_IDLING if case.idle_s else MEASURES_OF_SEEDING
    return MEASURES


def good(rounds, client):
    return [each for each in rounds if each["client"] == client and not each["fault"]]


def value(rounds, client, measure):
    """The median of the rounds that came to an end, or None."""
    found = [each[measure] for each in good(rounds, client) if each[measure] is not None]
    return median(found) if found else None


def cell(rounds, client, measure, digits):
    found = [each[measure] for each in good(rounds, client) if each[measure] is not None]
    if not found:
        return "-"
    shown = f"{median(found):.{digits}f}"
    low, high = f"{min(found):.{digits}f}", f"{max(found):.{digits}f}"
    return shown if low == high else f"{shown} ({low}..{high})"


def table(case, rounds, clients):
    """Heading and rows of one case."""
    columns = measures(case)
    if case.leeches:
        pass
    elif case.dht:
        # Nothing but this was to be had.
        columns = [column for column in columns if column[0] in ("wall_s", "rss_mib")]
    elif case.ideal_seconds() is None:
        columns = [column for column in columns if column[0] != "wall_ideal"]
    else:
        columns = [column for column in columns if column[0] != "wall_s_per_gib"]
    head = ["client"] + [column[1] for column in columns]
    rows = []
    for client in clients:
        mine = [each for each in rounds if each["client"] == client]
        faults = [each["fault"] for each in mine if each["fault"]]
        row = [client] + [cell(rounds, client, key, digits) for key, _, digits in columns]
        if faults:
            row[0] += f" ({len(faults)} of {len(mine)} {faults[0]})"
        rows.append(row)
    return head, rows


def verdicts(case, rounds, clients, ran):
    """What rtor was to reach in this case: a sentence and whether it did. `ran` has the rounds of the
    cases before."""
    found = []
    for measure, most, unit in case.targets:
        mine = value(rounds, "rtor", measure)
        name = NAMES[measure]
        if unit == "others":
            values = [value(rounds, client, measure) for client in clients if client != "rtor"]
            values = [each for each in values if each is not None]
            if mine is None or not values:
                continue
            limit = most * min(values)
            share = f"{most:g} x the best other" if most != 1 else "the best other"
            text = f"{name} {mine:.2f}, at most {limit:.2f} ({share})"
        elif unit:
            other = value(ran.get(unit, []), "rtor", measure)
            if mine is None or other is None:
                continue
            limit = most * other
            text = f"{name} {mine:.2f}, at most {limit:.2f} ({most:g} x its own in {unit})"
        else:
            if mine is None:
                continue
            limit = most
            text = f"{name} {mine:.2f}, at most {limit:g}"
        found.append((text, mine <= limit))
    return found


def titled(case):
    ideal = case.ideal_seconds()
    parts = [case.says or case.name, quantity.shown(case.size)]
    parts.append(f"pieces of {quantity.shown(case.piece)}")
    if case.idle_s:
        parts.append(f"{case.idle_s:g} s")
    elif case.leeches:
        parts.append(f"{quantity.shown(case.takes)} taken")
    else:
        parts.append("nothing limits it" if ideal is None else f"ideal {ideal:.2f} s")
    return f"{case.name}: {', '.join(parts)}"


def plain(case, rounds, clients, verdicts):
    """A case for a terminal."""
    head, rows = table(case, rounds, clients)
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    lines = [titled(case)]
    for row in [head, *rows]:
        cells = [row[0].ljust(widths[0])] + [text.rjust(to) for text, to in zip(row[1:], widths[1:])]
        lines.append("  " + "  ".join(cells).rstrip())
    lines += [f"  {line}" for line in own_words(rounds)]
    for text, met in verdicts:
        lines.append(f"  {'met   ' if met else 'MISSED'}  {text}")
    return "\n".join(lines)


def markdown(case, rounds, clients, verdicts):
    """A case for a page."""
    head, rows = table(case, rounds, clients)
    title = titled(case)
    lines = [f"**{title}**", "", "| " + " | ".join(head) + " |"]
    lines.append("|---" + "|---:" * (len(head) - 1) + "|")
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    said = [f"{text}: {'met' if met else 'missed'}" for text, met in verdicts]
    if said:
        lines += ["", "rtor: " + "; ".join(said) + "."]
    return "\n".join(lines) + "\n"


def own_words(rounds):
    """What rtor says of itself."""
    mine = [each["rtor"] for each in good(rounds, "rtor") if each.get("rtor")]
    if not mine:
        return []
    keys = ["duplicate_bytes", "wasted_bytes", "hash_failures", "t_99_to_100_ms", "peak_memory_bytes"]
    told = []
    for key in keys:
        values = [each[key] for each in mine if each.get(key) is not None]
        if values:
            told.append(f"{key} {median(values):.0f}")
    return ["rtor says: " + ", ".join(told)]


def line(each):
    """One round, as it ends."""
    if each["fault"]:
        return f"{each['client']}: {each['fault']}"
    if each.get("cpu_ms_per_s") is not None:
        return f"{each['client']}: CPU {each['cpu_ms_per_s']:.2f} ms/s, RSS {each['rss_mib']:.0f} MiB"
    ideal = "" if each.get("wall_ideal") is None else f", {each['wall_ideal']:.2f} x ideal"
    return (
        f"{each['client']}: {each['wall_s']:.2f} s{ideal}, CPU {each['cpu_s_per_gib']:.2f} s/GiB, "
        f"RSS {each['rss_mib']:.0f} MiB"
    )
