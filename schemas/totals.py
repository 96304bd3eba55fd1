"""A total as people and programs see it: one row of `tally simulate` and `tally usage`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from schemas.definitions import KINDS, Scalar

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANK = {kind: rank for rank, kind in enumerate(KINDS)}
_encoder = msgspec.json.Encoder(order="sorted")


class Position(msgspec.Struct, frozen=True):
    """Everything of the partition below this offset is included."""

    partition: int
    offset: int


class Billable(msgspec.Struct, frozen=True):
    """The part of a period's value that arose on one day (in the customer's time zone)."""

    day: str
    value: str


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """One customer's total of one metric and group over one window `[start, end)`.

    `start` and `end` are whole seconds since the epoch, None for the window `total`.
    `group` is empty for the overall total. `value` is a decimal string, rounded as the
    definition says. `error` is there where the value is an estimate (`approximate_above`): its
    relative standard error, as a decimal string. `as_of_us` (microseconds since the epoch) and `position` are there
    where the row was read from a running system.
    """

    customer: str
    metric: str
    window: str
    start: int | None
    end: int | None
    group: Mapping[str, Scalar]
    value: str
    events: int
    error: str | None = None
    billable: tuple[Billable, ...] | None = None
    as_of_us: int | None = None
    position: Position | None = None

    def order(self) -> tuple[bytes, bytes, bytes, int, int]:
        """The sort key of the output: customer, metric, group, window, start.

        All three compare by the UTF-8 bytes of their compact JSON, quotes included (so `acme!`
        comes before `acme`), the group `{}` first.
        """
        return (
            _encoder.encode(self.customer),
            _encoder.encode(self.metric),
            b"" if not self.group else group_text(self.group).encode(),
            _RANK[self.window],
            0 if self.start is None else self.start,
        )

    def to_json(self) -> dict[str, Any]:
        """The row as the command line prints it, its fields in the contract's order.

        Group values stay as they are; write the result with `encode`, which keeps the
        digits of a Decimal.
        """
        row: dict[str, Any] = {
            "customer": self.customer,
            "metric": self.metric,
            "window": self.window,
            "start": None if self.start is None else instant(self.start),
            "end": None if self.end is None else instant(self.end),
            "group": {key: _raw(self.group[key]) for key in sorted(self.group)},
            "value": self.value,
            "events": self.events,
        }
        if self.error is not None:
            row["error"] = self.error
        if self.billable is not None:
            row["billable"] = [{"day": part.day, "value": part.value} for part in self.billable]
        if self.as_of_us is not None:
            row["as_of"] = instant_us(self.as_of_us)
        if self.position is not None:
            row["position"] = {
                "partition": self.position.partition,
                "offset": self.position.offset,
            }
        return row


def plain(number: int | Decimal) -> str:
    """The shortest plain form of a number: no exponent, no zeros that say nothing.

    >>> plain(Decimal("1.50")), plain(Decimal("1E+3")), plain(Decimal("-0.0"))
    ('1.5', '1000', '0')
    """
    if isinstance(number, int):
        return str(number)
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def group_text(group: Mapping[str, Scalar]) -> str:
    """A group as compact JSON with sorted keys: the text that keys and orders use.

    >>> group_text({"model": "m1", "beta": True, "tier": Decimal("1.0")})
    '{"beta":true,"model":"m1","tier":1}'
    """
    if not group:
        return "{}"
    return _encoder.encode({key: _raw(value) for key, value in group.items()}).decode()


def value_text(row: Mapping[str, Any]) -> str:
    """The value of a row's JSON as a table shows it: an estimate is marked.

    >>> value_text({"value": "4"}), value_text({"value": "4", "error": "0.0081"})
    ('4', '~4')
    """
    return f"~{row['value']}" if "error" in row else str(row["value"])


def encode(value: Any) -> bytes:
    """JSON of rows and reports: compact, UTF-8, fields in the order given."""
    return msgspec.json.encode(value)


def instant(seconds: int) -> str:
    """RFC 3339 in UTC of whole seconds since the epoch.

    >>> instant(1772712000)
    '2026-03-05T12:00:00Z'
    """
    moment = _EPOCH + timedelta(seconds=seconds)
    return moment.replace(tzinfo=None).isoformat() + "Z"


def instant_us(us: int) -> str:
    """RFC 3339 in UTC of microseconds since the epoch.

    >>> instant_us(1772712000250000)
    '2026-03-05T12:00:00.250000Z'
    """
    moment = _EPOCH + timedelta(microseconds=us)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _raw(value: Scalar) -> Any:
    """A number as the digits of its plain form, so that no encoder makes it a string."""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return msgspec.Raw(plain(value).encode())
    return value
