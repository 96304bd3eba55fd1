"""What a caller asks of the gate: the bodies of check, reserve and release, checked whole before Redis is asked.

All three take the same object, so that a caller may check, reserve and release with one: what does not matter to a
call is checked and left alone.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tallygate import Line
from tallygate.requests import LONGEST_TTL_S, asked, customer_id, hold_id

from stream.core.jsontext import NotJson, parse
from stream.core.numbers import Immense
from tally.api.problems import Wrong

MOST_LINES = 100
"""Lines of one request: the script holds Redis while it decides."""
DEFAULT_TTL_MS = 60_000
LONGEST_STALENESS_MS = 10**12
_FIELDS = ("customer", "lines", "metric", "group", "cost", "id", "ttl_ms", "max_staleness_ms")
_LINE_FIELDS = ("metric", "group", "cost")
_LONGEST = 256
_METRIC = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WHAT: dict[type, str] = {bool: "a truth value", str: "text", list: "a list", dict: "an object"}


@dataclass(frozen=True)
class Asking:
    """A request to the gate; `lines` is empty in a release that names none, times are in seconds."""

    customer: str
    lines: tuple[Line, ...]
    id: str | None
    ttl_s: float
    max_staleness_s: float | None


def read(body: bytes, *, needs: Iterable[str]) -> Asking:
    """Read a body; `needs` names what must be there of `lines` and `id`. Raises Wrong."""
    try:
        found = parse(body) if body.strip() else None
    except NotJson as fault:
        raise Wrong("", f"the body cannot be read, {fault}") from None
    if found is None:
        raise Wrong("", 'the body is empty: send one JSON object such as {"customer": "acme", "metric": "tokens"}')
    if not isinstance(found, dict):
        raise Wrong("", f"the body is {_kind(found)}: send one JSON object")
    _known(found, _FIELDS, "")
    given = {name: value for name, value in found.items() if value is not None}
    if "customer" not in given:
        raise Wrong("customer", "is missing: write the customer's id")
    lines = _lines(given)
    if not lines and "lines" in needs:
        raise Wrong("metric", "is missing: write the metric's key, or lines with one each")
    if "id" not in given and "id" in needs:
        raise Wrong("id", "is missing: write the hold's id")
    staleness = _milliseconds(given, "max_staleness_ms", 0, LONGEST_STALENESS_MS)
    ttl = _milliseconds(given, "ttl_ms", 1, LONGEST_TTL_S * 1000)
    return Asking(
        _id(given["customer"], "customer"),
        lines,
        _id(given["id"], "id") if "id" in given else None,
        (DEFAULT_TTL_MS if ttl is None else ttl) / 1000,
        None if staleness is None else staleness / 1000,
    )


def _lines(given: Mapping[str, Any]) -> tuple[Line, ...]:
    beside = [name for name in _LINE_FIELDS if name in given]
    if "lines" not in given:
        if beside and "metric" not in given:
            raise Wrong("metric", f"is missing beside {beside[0]}: write the metric's key")
        return (_line(given, ""),) if beside else ()
    if beside:
        raise Wrong(beside[0], "stands beside lines: write it into the lines, or leave lines out")
    lines = given["lines"]
    if not isinstance(lines, list):
        raise Wrong("lines", f"is {_kind(lines)}: write a list of objects")
    if not 1 <= len(lines) <= MOST_LINES:
        raise Wrong("lines", f"has {len(lines)} lines: write 1 to {MOST_LINES}")
    out = []
    for number, line in enumerate(lines):
        path = f"lines[{number}]"
        if not isinstance(line, dict):
            raise Wrong(path, f'is {_kind(line)}: write an object such as {{"metric": "tokens", "cost": "1"}}')
        _known(line, _LINE_FIELDS, path)
        out.append(_line({name: value for name, value in line.items() if value is not None}, path))
    return tuple(out)


def _line(given: Mapping[str, Any], path: str) -> Line:
    at = f"{path}." if path else ""
    metric, cost = given.get("metric"), given.get("cost", 1)
    if metric is None:
        raise Wrong(f"{at}metric", "is missing: write the metric's key")
    if not isinstance(metric, str) or not _METRIC.fullmatch(metric):
        raise Wrong(f"{at}metric", "is no metric's key: write its key in the definitions, such as api_requests")
    if isinstance(cost, str) and not _NUMBER.fullmatch(cost):
        raise Wrong(f"{at}cost", 'is text that is no number: write a number, or its digits as text such as "1.5"')
    if isinstance(cost, bool) or not isinstance(cost, str | int | Decimal):
        # numbers beyond all measure come as an object of their own
        amount = "beyond any cost" if isinstance(cost, Immense) else _kind(cost)
        raise Wrong(f"{at}cost", f"is {amount}: write a number of 0 or more, below 10^36")
    line = Line(metric, cost, _group(given.get("group"), f"{at}group"))
    _gate(f"{at}cost", lambda: asked(metric, cost, None, None))
    _gate(f"{at}group", lambda: asked(None, 1, None, [line]))
    return line


def _group(group: Any, path: str) -> Mapping[str, Any] | None:
    if group is None:
        return None
    if not isinstance(group, dict):
        raise Wrong(path, f'is {_kind(group)}: write an object such as {{"model": "m1"}}')
    for name, value in group.items():
        if value is None or isinstance(value, list | dict | Immense):
            raise Wrong(f"{path}.{name[:80]}", f"is {_kind(value)}: write text, a number, true or false")
        # written out, a number of a large exponent would fill the memory
        long = isinstance(value, Decimal) and (
            abs(value.adjusted()) > _LONGEST or len(value.as_tuple().digits) > _LONGEST
        )
        if long or (isinstance(value, str) and len(value.encode()) > _LONGEST):
            raise Wrong(f"{path}.{name[:80]}", f"is longer than {_LONGEST} bytes: no event belongs to such a group")
    return group


def _id(value: Any, path: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Wrong(path, f"is {_kind(value)}: write text of 1 to 256 bytes, or an integer")
    text: str = _gate(path, lambda: customer_id(value) if path == "customer" else hold_id(value))
    return text


def _milliseconds(given: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, Decimal) and value.adjusted() < 18 and value == value.to_integral_value():
        value = int(value)  # 60000.0 is a whole number too
    if type(value) is not int or not least <= value <= most:
        shown = value if type(value) is int and abs(value) < 10**18 else _kind(value)
        raise Wrong(name, f"is {shown}: write a whole number of milliseconds from {least} to {most}")
    return value


def _known(given: Mapping[str, Any], names: tuple[str, ...], path: str) -> None:
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            where = f"{path}.{name[:80]}" if path else name[:80]
            raise Wrong(where, f"is no field: {hint}")


def _gate(path: str, call: Any) -> Any:
    """What the gate itself says of a value, with the path before it."""
    try:
        return call()
    except (ValueError, ArithmeticError) as fault:
        raise Wrong(path, str(fault)) from None


def _kind(value: Any) -> str:
    return "null" if value is None else _WHAT.get(type(value), "a number")


__all__ = ["DEFAULT_TTL_MS", "MOST_LINES", "Asking", "read"]
