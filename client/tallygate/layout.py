"""The layout of Tallystream's totals in Redis: the one definition of its keys and of how its fields are written.

The service that writes the totals and the gate that reads them both stand on this module. It needs no Redis:
it makes keys and reads what a client has fetched. `docs/redis.md` says the same for other languages.

    >>> partition_of("acme", 16)
    4
    >>> Keys("tally", 4).totals("acme")
    'tally:{4}:u:acme'
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from tallygate._murmur2 import murmur2

VERSION = 1
"""The version of this layout. A reader that finds another one in Redis must not go on."""

MOST = (1 << 53) - 1
"""Numbers for Lua (versions, instants, scaled amounts) stay within +-MOST, where a double is exact."""

KINDS = ("minute", "hour", "day", "week", "month", "quarter", "year", "billing_period", "total")
"""The window kinds, shortest first."""

# Fields of the app's hash.
APP_LAYOUT = "layout"
APP_PARTITIONS = "partitions"

# Fields of a partition's hash.
LAYOUT = "y"
PARTITIONS = "n"
WRITER = "w"  # the greatest version that a writer has come with: an older one is refused
VERSION_HELD = "v"  # the commit that is published whole
SEQUENCE = "q"  # rises with each publish call: one that Redis lost is noticed by it
POSITION = "o"
FRESH = "f"
COMPLETE = "c"
ADDRESS = "a"
REVISION = "r"  # of limits and customers
SCALES = "d"
LIMITS_OF = "L:"  # + metric
CALENDAR_OF = "C:"  # + calendar name

# Fields of a customer's hash that are no totals: a metric's key never begins with a colon.
CUSTOMER_VERSION = ":v"
CUSTOMER_POSITION = ":o"
CUSTOMER_LIMITS = ":l"
CUSTOMER_ALIAS_OF = ":a"

Scalar = str | int | float | Decimal | bool
"""A value of a group: text, a finite number or a truth value."""


def app_key(app: str) -> str:
    """The hash that says the layout's version and the number of partitions.

    >>> app_key("tally")
    'tally'
    """
    return app


def partition_of(customer: str, partitions: int) -> int:
    """The home partition of a customer: murmur2 of its id in UTF-8, as Kafka's Java clients place a key.

    >>> partition_of("acme", 1)
    0
    """
    return (murmur2(customer.encode()) & 0x7FFFFFFF) % partitions


class Keys:
    """The keys of one partition of an app. All share one hash tag, so one slot of a Cluster."""

    __slots__ = ("_prefix", "configured", "due", "status")

    def __init__(self, app: str, partition: int) -> None:
        self._prefix = f"{app}:{{{partition}}}"
        self.status = self._prefix
        self.due = f"{self._prefix}:x"
        self.configured = f"{self._prefix}:c"

    def totals(self, customer: str) -> str:
        """The hash of a customer's totals; of an alias, the pointer to its customer."""
        return f"{self._prefix}:u:{customer}"

    def holds(self, customer: str) -> str:
        """The hash of a customer's holds and settled reservations."""
        return f"{self._prefix}:h:{customer}"

    def deadlines(self, customer: str) -> str:
        """The sorted set of when those holds lapse and those settled ids are forgotten."""
        return f"{self._prefix}:x:{customer}"

    def of(self, customer: str) -> tuple[str, str, str]:
        """The three keys of a customer: totals, holds, deadlines."""
        return self.totals(customer), self.holds(customer), self.deadlines(customer)


def plain(number: float | Decimal) -> str:
    """A number in its shortest plain form.

    >>> plain(Decimal("1.50")), plain(Decimal("1E+2")), plain(-0.0)
    ('1.5', '100', '0')

    Raises:
        ValueError: it is not finite.
    """
    if isinstance(number, int):
        return str(number)
    exact = Decimal(repr(number)) if isinstance(number, float) else number
    if not exact.is_finite():
        raise ValueError(f"{number} is not a finite number")
    text = format(exact, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def group_text(group: Mapping[str, Scalar] | None) -> str:
    """A group as it stands in keys: compact JSON, keys sorted, numbers in their shortest plain form; "" for none.

    >>> group_text({"model": "m1", "beta": True, "tier": Decimal("1.0")})
    '{"beta":true,"model":"m1","tier":1}'

    Raises:
        ValueError: a value is neither text, nor a finite number, nor a truth value.
    """
    if not group:
        return ""
    return "{" + ",".join(f"{_text(key)}:{_scalar(group[key])}" for key in sorted(group)) + "}"


def field_of(metric: str, group: Mapping[str, Scalar] | None = None) -> str:
    """The hash field of a metric's total, overall or of a group.

    >>> field_of("tokens"), field_of("tokens", {"model": "m1"})
    ('tokens', 'tokens{"model":"m1"}')
    """
    return metric + group_text(group)


def split_field(field: str) -> tuple[str, dict[str, Scalar]]:
    """The metric and the group of a hash field.

    >>> split_field('tokens{"model":"m1"}')
    ('tokens', {'model': 'm1'})
    """
    metric, brace, rest = field.partition("{")
    return metric, (json.loads(brace + rest, parse_float=Decimal) if brace else {})


@dataclass(frozen=True)
class Total:
    """One total: a metric, a group and a window `[start, end)`.

    `start` and `end` are whole seconds since the epoch, None for the window `total`. `value` is a decimal string,
    `events` the number of events in it, `group` empty for the overall total. `error` is None for an exact value; of an
    estimate it is the relative standard error, as a decimal string.
    """

    metric: str
    group: Mapping[str, Scalar]
    window: str
    start: int | None
    end: int | None
    value: str
    events: int
    error: str | None = None

    def holds(self, seconds: float) -> bool:
        """Whether an instant (seconds since the epoch) lies in the window; its start does, its end does not."""
        return (self.start is None or self.start <= seconds) and (self.end is None or seconds < self.end)


@dataclass(frozen=True)
class CustomerTotals:
    """What Redis holds of one customer.

    Everything of its partition below offset `position` that concerns the customer is in `totals`: the windows that
    are open or ahead, and the last one that ended. `states` has the present state of each gauge by hash field.
    """

    version: int
    position: int
    totals: tuple[Total, ...]
    states: Mapping[str, str]

    def at(self, seconds: float) -> Iterator[Total]:
        """The totals whose windows hold an instant: pass Redis's own time, not this machine's."""
        return (total for total in self.totals if total.holds(seconds))


@dataclass(frozen=True)
class Status:
    """What Redis says of a partition.

    `version` and `position` (the next source offset) are those of the last commit published whole, None before it.
    `fresh_us` is the moment, on Redis's clock in microseconds, up to which everything that Kafka had is included.
    `complete` says that a customer who is not in Redis has no totals.
    """

    version: int | None
    position: int | None
    fresh_us: int | None
    complete: bool
    partitions: int
    address: str


def parse_status(hash_: Mapping[bytes, bytes]) -> Status | None:
    """Read a partition's hash as a client gives it (HGETALL, undecoded); None when there is none."""
    if LAYOUT.encode() not in hash_:
        return None

    def number(field: str) -> int | None:
        value = hash_.get(field.encode())
        return None if value is None else int(value)

    return Status(
        version=number(VERSION_HELD),
        position=number(POSITION),
        fresh_us=number(FRESH),
        complete=hash_.get(COMPLETE.encode()) == b"1",
        partitions=number(PARTITIONS) or 0,
        address=hash_.get(ADDRESS.encode(), b"").decode(),
    )


def parse_alias(hash_: Mapping[bytes, bytes]) -> str | None:
    """The customer that an alias stands for; None when the hash is no alias's."""
    pointer = hash_.get(CUSTOMER_ALIAS_OF.encode())
    return None if pointer is None else pointer.decode()


def parse_customer(hash_: Mapping[bytes, bytes]) -> CustomerTotals | None:
    """Read a customer's hash as a client gives it (HGETALL, undecoded); None when it holds no totals."""
    version = hash_.get(CUSTOMER_VERSION.encode())
    if version is None:
        return None
    totals: list[Total] = []
    states: dict[str, str] = {}
    for raw, value in hash_.items():
        if raw.startswith(b":"):
            continue
        field = raw.decode()
        metric, group = split_field(field)
        shown: dict[str, Any] = json.loads(value)
        windows: dict[str, list[list[Any]]] = shown.get("w", {})
        for window in sorted(windows, key=KINDS.index):
            for row in windows[window]:
                error = row[5] if len(row) > 5 else None
                totals.append(Total(metric, group, window, row[0], row[1], row[2], row[3], error))
        if "s" in shown:
            states[field] = shown["s"]
    position = int(hash_[CUSTOMER_POSITION.encode()])
    return CustomerTotals(int(version), position, tuple(totals), MappingProxyType(states))


def scaled(value: Decimal, decimals: int) -> str:
    """An amount as the gate's scripts count: `value` * 10^decimals, rounded up, within +-MOST.

    >>> scaled(Decimal("1.231"), 2), scaled(Decimal("-1.239"), 2), scaled(Decimal("1E+40"), 0)
    ('124', '-123', '9007199254740991')
    """
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is not a finite number")  # noqa: TRY004 - it is a Decimal, of the wrong value
    shift = exponent + decimals
    if shift + len(digits) > 17:
        return str(-MOST if sign else MOST) if any(digits) else "0"
    whole = int("".join(map(str, digits)))
    if shift >= 0:
        amount = whole * 10**shift * (-1 if sign else 1)
    elif -shift > len(digits):
        amount = 1 if whole and not sign else 0
    else:
        amount = -(whole // 10**-shift) if sign else -(-whole // 10**-shift)
    return str(max(-MOST, min(MOST, amount)))


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (int, float, Decimal)):
        return plain(value)
    raise ValueError(f"a group's value is text, a number or a truth value, not {value!r}")
