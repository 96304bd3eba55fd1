"""Exact JSON values: numbers as their digits, and their text as they leave the system.

Part of the independent judge: nothing here imports the product. Numbers are never floats;
`Number` is a number as the text that the producer wrote, `Exact` its value.
"""

import json
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

JSON_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
MAX_SHOWN_GROUP = 256


class MalformedJsonError(ValueError):
    """The bytes are no JSON text."""


class Number(str):
    """A JSON number, as it was written."""

    __slots__ = ()


class Exact(NamedTuple):
    """The value of a number of any size: sign x digits x 10**exponent, digits without zeros at either end."""

    sign: int
    digits: str
    exponent: int

    @property
    def adjusted(self) -> int:
        """One more than the power of ten of the first digit: 1 for 1 to 9, 37 for 10**36."""
        return len(self.digits) + self.exponent

    def rank(self) -> tuple[int, int, str]:
        """A key for comparing two numbers of the same sign; larger magnitudes rank higher."""
        return (1, self.adjusted, self.digits)


ZERO = Exact(0, "0", 0)


def whole(text: str) -> int:
    """The int of a text of digits, however many (int() stops at 4,300)."""
    return int(Decimal(text))


def exact(text: str) -> Exact | None:
    """The value of a text that matches JSON's number grammar, else None.

    >>> exact("1.0") == exact("1") == exact("10e-1")
    True
    >>> exact("+1") is None
    True
    """
    match = JSON_NUMBER.fullmatch(text)
    if match is None:
        return None
    minus, integer, fraction, power = match.groups()
    digits = integer + (fraction or "")
    exponent = whole(power or "0") - len(fraction or "")
    stripped = digits.rstrip("0")
    exponent += len(digits) - len(stripped)
    stripped = stripped.lstrip("0")
    if not stripped:
        return ZERO
    return Exact(-1 if minus else 1, stripped, exponent)


def less(a: Exact, b: Exact) -> bool:
    """Whether a < b, by value, without limit of size."""
    if a.sign != b.sign:
        return a.sign < b.sign
    if a.sign == 0:
        return False
    return a.rank() < b.rank() if a.sign > 0 else b.rank() < a.rank()


def usable(text: str) -> Fraction | None:
    """The number of a text that a metric may read, None where it is too large or too fine.

    Magnitude below 10**36, and at most 30 digits after the point when written out.
    """
    match = JSON_NUMBER.fullmatch(text)
    value = exact(text)
    assert match is not None
    assert value is not None
    after_point = len(match[3] or "") - whole(match[4] or "0")
    if value.adjusted > 36 or after_point > 30:
        return None
    return fraction(value)


def fraction(value: Exact) -> Fraction:
    """The value as a fraction; only for numbers of a sensible size."""
    whole_digits = value.sign * whole(value.digits)
    if value.exponent >= 0:
        return Fraction(whole_digits * 10**value.exponent)
    return Fraction(whole_digits, 10**-value.exponent)


def read_json(data: bytes) -> Any:
    """Python values with every number as `Number`; raises MalformedJsonError."""

    def refuse(name: str) -> None:
        raise MalformedJsonError(name)

    try:
        value = json.loads(data.decode("utf-8"), parse_int=Number, parse_float=Number, parse_constant=refuse)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate is no text
    except (ValueError, RecursionError) as error:
        raise MalformedJsonError(str(error)) from error
    return value


def canonical(value: Any) -> tuple[str, Any]:
    """A hashable form of a JSON value: equal exactly where the values are, numbers by value.

    Takes what `read_json` gives and what a definitions file holds (int, Decimal).

    >>> canonical(1) == canonical(Number("1.0")), canonical(1) == canonical("1"), canonical(1) == canonical(True)
    (True, False, False)
    """
    match value:
        case None:
            return ("null", None)
        case bool():
            return ("bool", value)
        case Number():
            return ("number", exact(value))
        case int() | Decimal():
            return ("number", exact(written(value)))
        case str():
            return ("text", value)
        case list() | tuple():
            return ("list", tuple(canonical(item) for item in value))
        case dict():
            return ("object", frozenset((key, canonical(item)) for key, item in value.items()))
    raise TypeError(f"no JSON value: {value!r}")


def written(value: int | Decimal) -> str:
    """The JSON number of a definition's int or Decimal."""
    return str(value) if isinstance(value, int) else f"{value:f}"


def number_of(value: Any) -> str | None:
    """The number's text, where a number is needed: a JSON number or a string that is one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return written(value)
    if isinstance(value, str) and JSON_NUMBER.fullmatch(value):
        return str(value)
    return None


def plain(value: Exact) -> str:
    """The shortest plain form: no exponent, no zeros that say nothing.

    >>> plain(exact("1.50e1")), plain(exact("-0.0")), plain(exact("1e3"))
    ('15', '0', '1000')
    """
    if value.sign == 0:
        return "0"
    digits, minus = value.digits, "-" if value.sign < 0 else ""
    if value.exponent >= 0:
        return minus + digits + "0" * value.exponent
    if value.adjusted > 0:
        return f"{minus}{digits[: value.adjusted]}.{digits[value.adjusted :]}"
    return f"{minus}0.{'0' * -value.adjusted}{digits}"


def group_value(value: Any) -> Any:
    """A property as a group shows it, or None where the event belongs to the overall total only.

    A text, True, False, or a `Number` in the shortest plain form.
    """
    match value:
        case bool():
            return value
        case Number():
            known = exact(value)
            assert known is not None
            if abs(known.exponent) + len(known.digits) > 2 * MAX_SHOWN_GROUP:
                return None
            shown = plain(known)
            return Number(shown) if len(shown) <= MAX_SHOWN_GROUP else None
        case str():
            return value if len(value.encode()) <= MAX_SHOWN_GROUP else None
    return None


def compact(value: Any) -> bytes:
    """Compact JSON in UTF-8 with its keys sorted, a `Number` as its digits.

    >>> compact({"b": Number("1.5"), "a": "é"}).decode()
    '{"a":"é","b":1.5}'
    """
    match value:
        case Number():
            return value.encode()
        case dict():
            return b"{" + b",".join(compact(key) + b":" + compact(value[key]) for key in sorted(value)) + b"}"
        case list():
            return b"[" + b",".join(compact(item) for item in value) + b"]"
        case int() | Decimal() if not isinstance(value, bool):
            return written(value).encode()
    return json.dumps(value, ensure_ascii=False).encode()


def python_number(text: str) -> int | Decimal:
    """A plain number as Python holds it in a row's group."""
    return Decimal(text) if "." in text else whole(text)


def ends(value: Fraction) -> bool:
    """Whether a finite decimal is exactly this value."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def leaving(value: Fraction) -> Fraction:
    """The value itself where a finite decimal exists, else rounded half-even to 18 fractional digits."""
    return value if ends(value) else Fraction(round(value * 10**18), 10**18)


def rounded(value: Fraction, rounding: dict[str, Any] | None) -> Fraction:
    """A value as `rounding` of a metric leaves it: round is half away from zero.

    >>> [str(rounded(Fraction(n, 2), {"mode": "round"})) for n in (-3, -1, 1, 3)]
    ['-2', '-1', '1', '2']
    """
    if rounding is None:
        return value
    unit = Fraction(10) ** -int(rounding.get("precision", 0))
    units = value / unit
    match rounding["mode"]:
        case "ceil":
            count = -((-units).__floor__())
        case "floor":
            count = units.__floor__()
        case _:
            count = (abs(units) + Fraction(1, 2)).__floor__() * (-1 if units < 0 else 1)
    return count * unit


def decimal_text(value: Fraction) -> str:
    """The decimal string of a fraction that ends, in its shortest plain form.

    >>> decimal_text(Fraction(1, 8)), decimal_text(Fraction(-300))
    ('0.125', '-300')
    """
    places = 0
    while (value * 10**places).denominator != 1:
        places += 1
    found = exact(f"{(value * 10**places).numerator}e-{places}")
    assert found is not None
    return plain(found)
