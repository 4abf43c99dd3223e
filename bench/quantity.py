"""Sizes, rates and durations, as rtor's own command line writes them, and the other way round."""

import re

# Units of a size: powers of ten, and with `i` powers of two.
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
MIB = 2**20
GIB = 2**30


def size(text):
    """Bytes of `64KiB`, `10M`, `1.5GiB`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmg]?i?)b?", text.strip().lower())
    if not match or match[2] not in UNITS:
        raise ValueError(f"`{text}` is no size")
    return round(float(match[1]) * UNITS[match[2]])


def rate(text):
    """Bytes a second of `10M`, `1MiB`, `500Mbit`; None for `max`, which is no limit."""
    text = text.strip().lower().removesuffix("/s")
    if text == "max":
        return None
    try:
        if text.endswith("bit"):
            found = size(text.removesuffix("bit")) // 8
        else:
            found = size(text)
    except ValueError:
        raise ValueError(f"`{text}` is no rate") from None
    if found < 1:
        raise ValueError(f"`{text}` is no rate: `max` is no limit")
    return found


def milliseconds(text):
    """Milliseconds of `200ms`, `2s`."""
    match = re.fullmatch(r"(\d+)(ms|s)", text.strip().lower())
    if not match:
        raise ValueError(f"`{text}` is no time: `200ms`, `2s`")
    return int(match[1]) * (1000 if match[2] == "s" else 1)


def shown(count):
    """A number of bytes for people."""
    for unit, name in [(GIB, "GiB"), (MIB, "MiB"), (2**10, "KiB")]:
        if count >= unit and count % (unit // 8 or 1) == 0:
            return f"{count / unit:g} {name}"
    return f"{count / 10**6:g} MB" if count >= 10**6 else f"{count} bytes"
