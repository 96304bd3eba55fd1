# ruff: noqa: D102 - `read` and `schema` are described once, by the protocol Shape
"""Shapes of single values: numbers, durations, dates, time zones, ids, property names."""

import re
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from schemas import durations
from schemas.definitions import Scalar
from schemas.reading.nodes import Node, Value, describe, shorten
from schemas.reading.records import KeyShape
from schemas.reading.shapes import BROKEN, Report, Schema, Text, nearest, unreadable
from schemas.totals import plain

_METRIC_KEY = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
_LONGEST_KEY = 128
_FIRST_REFUSED = 10**36
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_JSON_INTEGER = re.compile(r"(-?[1-9][0-9]*|0)\Z")


class Number:
    """An exact number within bounds; a Decimal keeps the digits that were written."""

    def __init__(
        self,
        what: str = "number",
        *,
        least: int | None = None,
        above: int | None = None,
        most: int | None = None,
        places: int | None = None,
        storable: bool = False,
        example: str = "10",
    ) -> None:
        self.what = what
        self.least = least
        self.above = above
        self.most = most
        self.places = places
        self.storable = storable
        self.example = example

    def read(self, node: Node, path: str, report: Report) -> Any:
        if unreadable(node, path, report):
            return BROKEN
        value = node.value if isinstance(node, Value) else None
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            hint = f"write {self.example}"
            if isinstance(value, str) and re.match(r"-?[0-9.]+\Z", value):
                hint = f"write it without quotes, {value}"
            report.add(path, node.line, f"is {describe(node)}, not a {self.what}: {hint}")
            return BROKEN
        message = self._out_of_bounds(value)
        if message is not None:
            report.add(path, node.line, message)
            return BROKEN
        return value

    def _out_of_bounds(self, value: int | Decimal) -> str | None:
        shown = shorten(plain(value))
        if self.above is not None and value <= self.above:
            return f"is {shown}: write a {self.what} above {self.above}"
        if self.least is not None and value < self.least:
            return f"is {shown}: write a {self.what} of {self.least} or more"
        if self.most is not None and value > self.most:
            return f"is {shown}: write a {self.what} of {self.most} or less"
        if self.places is not None and decimals(value) > self.places:
            return f"is {shown}: write at most {self.places} digits after the point"
        if self.storable and (not -_FIRST_REFUSED < value < _FIRST_REFUSED or decimals(value) > 30):
            return f"is {shown}: write a {self.what} below 10^36 with at most 30 digits after the point"
        return None

    def schema(self) -> Schema:
        schema: Schema = {"type": "number"}
        if self.above is not None:
            schema["exclusiveMinimum"] = self.above
        if self.least is not None:
            schema["minimum"] = self.least
        if self.most is not None:
            schema["maximum"] = self.most
        return schema


def decimals(number: int | Decimal) -> int:
    """How many digits after the point a number was written with: 10.50 has two, 1e3 none."""
    if isinstance(number, int):
        return 0
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


class Integer:
    """A whole number within bounds, both included; 2.0 is one."""

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def read(self, node: Node, path: str, report: Report) -> Any:
        if unreadable(node, path, report):
            return BROKEN
        value = node.value if isinstance(node, Value) else None
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool) and self.least <= value <= self.most:
            whole = int(value)
            if whole == value:
                return whole
        report.add(path, node.line, f"is {describe(node)}: write a whole number from {self.least} to {self.most}")
        return BROKEN

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


class Duration:
    """A duration such as `5s`, as microseconds; bounds included."""

    def __init__(self, *, least_us: int = 0, example: str = "5s") -> None:
        self.least_us = least_us
        self.example = example

    def read(self, node: Node, path: str, report: Report) -> Any:
        if unreadable(node, path, report):
            return BROKEN
        if not isinstance(node, Value) or not isinstance(node.value, str):
            hint = f"write a whole number and a unit, such as {self.example}"
            report.add(path, node.line, f"is {describe(node)}, not a duration: {hint}")
            return BROKEN
        try:
            us = durations.parse(node.value)
            if us < self.least_us:
                raise ValueError(f"write at least {durations.show(self.least_us)}")
        except ValueError as error:
            report.add(path, node.line, f'"{shorten(node.value)}" is no duration that fits: {error}')
            return BROKEN
        return us

    def schema(self) -> Schema:
        return {"type": "string", "pattern": durations.PATTERN, "examples": [self.example]}


class Date:
    """A day of the calendar, `2026-01-15`, in quotes or not."""

    def read(self, node: Node, path: str, report: Report) -> Any:
        if unreadable(node, path, report):
            return BROKEN
        if not isinstance(node, Value) or not isinstance(node.value, str) or not _DATE.match(node.value):
            report.add(path, node.line, f"is {describe(node)}, not a date: write year-month-day, such as 2026-01-15")
            return BROKEN
        try:
            return date.fromisoformat(node.value)
        except ValueError:
            report.add(path, node.line, f"{node.value} is no day of the calendar: write one that exists")
            return BROKEN

    def schema(self) -> Schema:
        return {
            "type": "string",
            "format": "date",
            "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
            "examples": ["2026-01-15"],
        }


@cache
def _zones() -> frozenset[str]:
    """The names of IANA's zones, without those that name a machine's own setting."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


class Zone:
    """The name of a time zone of the IANA database, in its own spelling."""

    def read(self, node: Node, path: str, report: Report) -> Any:
        if unreadable(node, path, report):
            return BROKEN
        if not isinstance(node, Value) or not isinstance(node.value, str):
            hint = "write an IANA name, such as Europe/Berlin"
            report.add(path, node.line, f"is {describe(node)}, not a time zone: {hint}")
            return BROKEN
        if node.value not in _zones():
            close = nearest(node.value, sorted(_zones()))
            hint = f"did you mean {close}?" if close else "write an IANA name, such as Europe/Berlin"
            report.add(path, node.line, f'"{shorten(node.value)}" is no time zone: {hint}')
            return BROKEN
        return node.value

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1, "examples": ["UTC", "Europe/Berlin", "America/New_York"]}


class Property(Text):
    """The name of a property of an event; a dot reads a nested object."""

    def __init__(self) -> None:
        super().__init__("property name")

    def fault_of(self, text: str) -> str | None:
        message = super().fault_of(text)
        if message is None and "" in text.split("."):
            return f'"{shorten(text)}" has an empty part: write names with one dot between them'
        return message

    def schema(self) -> Schema:
        schema = super().schema()
        schema["pattern"] = r"^[^.\u0000-\u001f\u007f-\u009f]+(\.[^.\u0000-\u001f\u007f-\u009f]+)*$"
        return schema


class TextKey(KeyShape):
    """A mapping's key that is a text."""

    def __init__(self, what: str) -> None:
        self.text = Text(what)

    def read_key(self, key: Value, path: str, report: Report) -> str | None:
        value = self.text.read(key, path, report)
        return value if isinstance(value, str) else None

    def schema(self) -> Schema:
        return self.text.schema()


class MetricKey(KeyShape):
    """The key of a metric: it stands in Redis fields and URLs as it is."""

    def read_key(self, key: Value, path: str, report: Report) -> str | None:
        text = key.value if isinstance(key.value, str) else key.written
        if key.value is None or isinstance(key.value, bool) or text is None:
            what = "an empty key" if key.value is None else f"the key {describe(key)}"
            report.add(path, key.line, f"has {what}: write a name, in quotes where it is no word")
            return None
        if not re.match(_METRIC_KEY[:-1] + r"\Z", text):
            hint = "write letters, digits, _, - and . only, with a letter, digit or _ first"
            report.add(path, key.line, f'"{shorten(text)}" is no key of a metric: {hint}')
            return None
        if len(text) > _LONGEST_KEY:
            report.add(path, key.line, f"has a key of {len(text)} characters: write at most {_LONGEST_KEY}")
            return None
        return text

    def schema(self) -> Schema:
        return {"pattern": _METRIC_KEY, "maxLength": _LONGEST_KEY}


class CustomerId(Text, KeyShape):
    """A customer's id: a text of 1 to 256 bytes, or an integer, which is read as its digits."""

    def __init__(self) -> None:
        super().__init__("customer id", blank=True)

    def read(self, node: Node, path: str, report: Report) -> Any:
        if isinstance(node, Value) and isinstance(node.value, int) and not isinstance(node.value, bool):
            if node.written is not None and _JSON_INTEGER.match(node.written):
                return node.written
            report.add(path, node.line, self._no_text(node))
            return BROKEN
        return super().read(node, path, report)

    def read_key(self, key: Value, path: str, report: Report) -> str | None:
        value = self.read(key, path, report)
        return value if isinstance(value, str) else None

    def schema(self) -> Schema:
        schema = super().schema()
        schema["type"] = ["string", "integer"]
        return schema


class GroupValue:
    """The value of a group: a text of at most 256 bytes, an exact number, true or false."""

    def read(self, node: Node, path: str, report: Report) -> Any:
        if unreadable(node, path, report):
            return BROKEN
        value = node.value if isinstance(node, Value) else None
        if value is None:
            report.add(path, node.line, f"is {describe(node)}: write a text, a number, true or false")
            return BROKEN
        if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            report.add(path, node.line, "holds half of a surrogate pair: write the whole character")
            return BROKEN
        if _too_long(value):
            report.add(path, node.line, "is longer than 256 bytes: such events belong to the overall total only")
            return BROKEN
        return value

    def schema(self) -> Schema:
        return {"type": ["string", "number", "boolean"]}


def _too_long(value: Scalar) -> bool:
    text = value if isinstance(value, str) else "" if isinstance(value, bool) else plain(value)
    return len(text.encode()) > 256
