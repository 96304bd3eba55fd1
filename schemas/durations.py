"""Durations as people write them in definitions and settings: 250ms, 5s, 10m, 8h, 35d."""

import re

MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

UNITS = {"ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
"""Microseconds of each unit; a day is 24 hours."""

PATTERN = r"^[0-9]{1,15}(ms|s|m|h|d)$"
MOST_US = 36_600 * DAY
"""A century: longer ones would reach past the year 9999 where they are added to a time."""

_WRITTEN = re.compile(r"([0-9]{1,15})(ms|s|m|h|d)\Z")


def parse(text: str) -> int:
    """Microseconds of a duration; ValueError says what to write instead.

    >>> parse("250ms"), parse("35d")
    (250000, 3024000000000)
    """
    match = _WRITTEN.match(text)
    if match is None:
        raise ValueError("write a whole number and a unit: 250ms, 5s, 10m, 8h or 35d")
    us = int(match[1]) * UNITS[match[2]]
    if us > MOST_US:
        raise ValueError(f"write at most {show(MOST_US)}")
    return us


def show(us: int) -> str:
    """A duration in its largest whole unit; below a millisecond it is cut.

    >>> show(3024000000000), show(90_000_000), show(0)
    ('35d', '90s', '0s')
    """
    if us == 0:
        return "0s"
    for unit in ("d", "h", "m", "s"):
        if us % UNITS[unit] == 0:
            return f"{us // UNITS[unit]}{unit}"
    return f"{us // MILLISECOND}ms"
