"""Instants as producers write them, as whole microseconds since 1970-01-01T00:00:00Z.

An instant is an `int` of microseconds, negative before 1970. Finer digits are cut toward the
past: `1.9999999` is 1_999_999 and `-0.0000001` is -1.
"""

import re
from datetime import UTC, date, datetime
from decimal import ROUND_FLOOR, Context, Decimal

from stream.core.numbers import Immense, number, number_text

SECOND = 1_000_000
"""Microseconds of a second."""
FIRST = -62_135_596_800 * SECOND
"""0001-01-01T00:00:00Z, the first instant that an event may carry."""
BEYOND = 253_402_300_800 * SECOND
"""10000-01-01T00:00:00Z, the first instant that is too late."""
MILLISECONDS_FROM = 10**11
"""A number of this or more counts milliseconds, a smaller one seconds."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = EPOCH.toordinal()
DAYS_OF_400_YEARS = 146_097

_RFC3339 = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)(?P<t>.)(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?:\.(?P<fraction>\d+))?(?P<offset>[Zz]|[+-]\d\d:\d\d)?",
    re.ASCII,
)
_iso = datetime.fromisoformat
# 40 digits hold every instant in range to far below a microsecond. Rounding down keeps the floor of a longer number right.
_FLOOR = Context(prec=40, rounding=ROUND_FLOOR, Emin=-999_999, Emax=999_999, traps=[])
_GREATEST = Decimal(BEYOND)


class BadTimestamp(ValueError):  # noqa: N818 (it names what was given, not what failed)
    """What was given names no instant; the message says why and what to write."""


def microseconds(stamp: str | int | Decimal) -> int:
    """The instant that a producer wrote: RFC 3339 text, a number, or text that is a JSON number.

    Raises `BadTimestamp`, also for instants before the year 1 or after the year 9999 in UTC.

    >>> microseconds("2026-03-05T12:00:00.250Z") == microseconds(1772712000250) == microseconds("1772712000.25")
    True
    """
    if stamp.__class__ is str:
        text = stamp
        try:
            read = _iso(text)
            # fromisoformat also takes week dates, a space, a comma, no offset, offsets with seconds and the hour 24
            if not (
                text[4:8:3] == "--"
                and text[13:17:3] == "::"
                and text[10] in "Tt"
                and (text[-1] == "Z" or (text[-6] in "+-" and text[-3] == ":" and text[-2] < "6"))
                and "," not in text
                and (text[19] != "." or text[20].isdigit())
                and text[11:13] != "24"
            ):
                return _carefully(text)
            since = read - EPOCH
        except (ValueError, IndexError, TypeError):
            return _carefully(text)
        us = (since.days * 86400 + since.seconds) * SECOND + since.microseconds
    elif stamp.__class__ is int:
        us = stamp * (1000 if stamp >= MILLISECONDS_FROM else SECOND)
    else:
        us = _of_decimal(stamp)  # type: ignore[arg-type]
    if FIRST <= us < BEYOND:
        return us
    raise BadTimestamp(f"timestamp {_quoted(stamp)} {_OUTSIDE}; {_HOW}")


_OUTSIDE = "lies outside the years 1 to 9999 (UTC)"
_HOW = "write it like 2026-03-05T12:00:00.250Z, or as seconds or milliseconds since 1970"


def _of_decimal(number: Decimal) -> int:
    """Microseconds of a decimal of any size; out of range is answered out of range, never computed in full."""
    if not number.is_finite():
        raise BadTimestamp(f"timestamp {_quoted(number)} is no number; {_HOW}")
    if number and number.adjusted() > 20:
        return BEYOND if number > 0 else FIRST - 1
    scaled = _FLOOR.multiply(number, Decimal(1000 if number >= MILLISECONDS_FROM else SECOND))
    return int(scaled.to_integral_value(rounding=ROUND_FLOOR))


def _carefully(text: str) -> int:
    """Microseconds of text that the fast way did not take: small letters, numbers, and everything wrong."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        if number_text(text):
            found = number(text)
            try:
                return microseconds(found.nearest() if isinstance(found, Immense) else found)
            except BadTimestamp:
                raise BadTimestamp(f"timestamp {_quoted(text)} {_OUTSIDE}; {_HOW}") from None
        raise BadTimestamp(f"timestamp {_quoted(text)} is neither RFC 3339 nor a number; {_HOW}")
    if match["t"] not in "Tt":
        raise BadTimestamp(f"timestamp {_quoted(text)} needs a T between date and time; {_HOW}")
    if match["offset"] is None:
        raise BadTimestamp(f"timestamp {_quoted(text)} has no offset: end it with Z, or with one like +05:30")
    if match["second"] == "60":
        raise BadTimestamp(f"timestamp {_quoted(text)} is a leap second, which is not taken; send second 59")
    offset = "+00:00" if match["offset"] in "Zz" else match["offset"]
    try:
        if match["hour"] == "24" or int(offset[4:]) > 59:
            raise ValueError(text)
        since = _iso(f"{match['date']}T{match['hour']}:{match['minute']}:{match['second']}{offset}") - EPOCH
    except ValueError:
        raise BadTimestamp(f"timestamp {_quoted(text)} is no date and time that exists; {_HOW}") from None
    us = (since.days * 86400 + since.seconds) * SECOND + int((match["fraction"] or "0")[:6].ljust(6, "0"))
    if FIRST <= us < BEYOND:
        return us
    raise BadTimestamp(f"timestamp {_quoted(text)} {_OUTSIDE}; {_HOW}")


def _quoted(value: object) -> str:
    """At most some 50 characters of what the producer wrote, on one line."""
    if isinstance(value, int) and abs(value) >= 10**40:
        return "of more than 40 digits"
    if isinstance(value, Decimal) and len(value.as_tuple().digits) > 60:
        return "of more than 60 digits"
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 50 else f"{text[:48]}..."


def date_of_day(day: int) -> tuple[int, int, int]:
    """Year, month and day of the month of a day counted from 1970-01-01; any year, also 0 and 10000."""
    cycles, rest = divmod(day + EPOCH_DAY - 1, DAYS_OF_400_YEARS)
    found = date.fromordinal(rest + 1)
    return found.year + 400 * cycles, found.month, found.day


def day_of_date(year: int, month: int, day: int = 1) -> int:
    """Days from 1970-01-01 to this date, of any year."""
    cycles, rest = divmod(year - 1, 400)
    return date(rest + 1, month, day).toordinal() - EPOCH_DAY + cycles * DAYS_OF_400_YEARS


def show_date(day: int) -> str:
    """The date of a day counted from 1970-01-01.

    >>> show_date(20517)
    '2026-03-05'
    """
    year, month, of_month = date_of_day(day)
    return f"{year:04}-{month:02}-{of_month:02}"


def show(second: int) -> str:
    """RFC 3339 in UTC of a whole second since the epoch; also of window ends in the year 10000.

    >>> show(1772712000)
    '2026-03-05T12:00:00Z'
    """
    day, rest = divmod(second, 86400)
    return f"{show_date(day)}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def show_us(us: int) -> str:
    """RFC 3339 in UTC of an instant in microseconds, with 3 or 6 digits of fraction where it has one.

    >>> show_us(1772712000250000)
    '2026-03-05T12:00:00.250Z'
    """
    second, fraction = divmod(us, SECOND)
    if not fraction:
        return show(second)
    digits = f"{fraction // 1000:03}" if fraction % 1000 == 0 else f"{fraction:06}"
    return f"{show(second)[:-1]}.{digits}Z"
