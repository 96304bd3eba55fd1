"""Interesting instants: changes of clocks, starts of windows, leap days; and ways to write them."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random

from tests.oracle.times import EPOCH, SECOND, calendar_for
from tests.oracle.values import Number

ZONES = (
    "UTC",
    "America/New_York",
    "Europe/London",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Havana",
    "Atlantic/Azores",
    "Africa/Casablanca",
    "Africa/Monrovia",
    "Antarctica/Troll",
    "Pacific/Apia",
    "Pacific/Kwajalein",
)
YEARS = (1969, 1972, 1993, 2006, 2011, 2018, 2024, 2026)
SPANS = (1, 90, 3_600, 6 * 3_600, 86_400, 9 * 86_400, 40 * 86_400, 500 * 86_400)
"""Seconds over which the events of one case are spread."""


@cache
def changes(zone: str) -> tuple[int, ...]:
    """The seconds at which a zone's clock changes in the years above."""
    days = calendar_for(zone, None)
    found = []
    for year in YEARS:
        second = (date(year, 1, 1) - EPOCH.date()).days * 86_400
        for day in range(second, second + 366 * 86_400, 86_400):
            if days.offset(day) != days.offset(day + 86_400):
                change = days.change(day, day + 86_400)
                assert change is not None
                found.append(change)
    return tuple(found)


def base(rnd: Random, zone: str) -> int:
    """A second worth looking around: a change of the clock, the start of a window, any."""
    known = changes(zone)
    choice = rnd.randrange(4)
    if choice == 0 and known:
        return rnd.choice(known)
    year = rnd.choice(YEARS)
    day = date(year, rnd.randrange(1, 13), rnd.choice((1, 1, 15, 28)))
    if choice == 1:
        return calendar_for(zone, None).first_instant(day + timedelta(rnd.randrange(5)))
    if choice == 2:
        return int(datetime(day.year, day.month, day.day, rnd.randrange(24), tzinfo=UTC).timestamp())
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) + rnd.randrange(-86_400, 86_400)


def near(rnd: Random, second: int, span: int) -> int:
    """Microseconds of an instant within the span of a second, often on an edge."""
    at = second + rnd.randrange(-span, span + 1)
    edge = rnd.randrange(6)
    if edge == 0:
        at -= at % 3_600
    elif edge == 1:
        at -= at % 60
    elif edge == 2:
        at = second
    return at * SECOND + rnd.choice((0, 0, 0, 1, -1, 250_000, 999_999))


def timestamp(rnd: Random, us: int) -> str | Number:
    """The instant in one of the ways in which a producer may write it."""
    choice = rnd.randrange(10)
    if choice == 0:
        return Number(seconds(us))
    if choice == 1:
        return seconds(us) + rnd.choice(("", "9" if us % SECOND else ".0000009"))
    if choice == 2 and us >= 10**14:
        return Number(f"{us // 1_000}.{us % 1_000:03d}")
    if choice == 3 and us >= 10**14:
        return f"{us // 1_000}.{us % 1_000:03d}"
    offset = rnd.choice((0, 0, 0, 330, -300, 765, -1_439))
    local = EPOCH + timedelta(microseconds=us, minutes=offset)
    whole = local.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    fraction = f"{local.microsecond:06d}"
    tail = (
        rnd.choice((f".{fraction}", f".{fraction}999", f".{fraction}0"))
        if local.microsecond
        else rnd.choice(("", ".0"))
    )
    sign = "-" if offset < 0 else "+"
    zone = (
        f"{sign}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
        if offset
        else rnd.choice(("Z", "Z", "Z", "z", "+00:00"))
    )
    return f"{whole}{tail}{zone}" if rnd.randrange(20) else f"{whole}{tail}{zone}".lower()


def seconds(us: int) -> str:
    """Seconds since the epoch with six digits after the point, or none."""
    sign = "-" if us < 0 else ""
    whole, rest = divmod(abs(us), SECOND)
    return f"{sign}{whole}.{rest:06d}" if rest else f"{sign}{whole}"


def rfc3339(us: int) -> str:
    """The instant as RFC 3339 in UTC."""
    at = EPOCH + timedelta(microseconds=us)
    return at.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + f".{at.microsecond:06d}Z"
