"""Groups: the total for each combination of values of the `group_by` properties.

A group's values are text of at most 256 bytes of UTF-8, true, false, and numbers whose shortest plain form is as
short; 1 and 1.0 are one group, "1" and true are others. An event with anything else there belongs to the overall
total only. A group is written as compact JSON with its keys sorted, `{"model":"m1","tier":2}`; the overall is `{}`.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from schemas.definitions import Scalar
from stream.core.numbers import Immense, plain

LONGEST = 256
"""Bytes of UTF-8 of a text, or characters of a number's plain form, that a group's value may have."""
OVERALL = "{}"
"""The group of the overall total."""


def part(value: Any) -> str | None:
    """The JSON of one of a group's values; None where an event with it belongs to the overall total only.

    >>> part("m1"), part(Decimal("1.0")), part(True), part("1"), part([1]), part(None)
    ('"m1"', '1', 'true', '"1"', None, None)
    """
    kind = value.__class__
    if kind is str:
        return encode_basestring(value) if len(value) <= 64 or len(value.encode()) <= LONGEST else None
    if kind is bool:
        return "true" if value else "false"
    if isinstance(value, int | Decimal | Immense):
        return plain(value, LONGEST)
    return None


def group_key(values: Sequence[Any]) -> Any:
    """What tells a group apart in memory, of its values in the order of `group_by`; None where it has none.

    Of one property it is the value's own key, of several the tuple of theirs. A text is its own key, any other
    value a tuple of its JSON, so that true, 1 and "1" stay three.

    >>> group_key(["m1"]), group_key([Decimal("1.0")]), group_key(["m1", True]), group_key(["m1", None])
    ('m1', ('1',), ('m1', ('true',)), None)
    """
    keys = []
    for value in values:
        text = part(value)
        if text is None:
            return None
        keys.append(value if value.__class__ is str else (text,))
    return keys[0] if len(keys) == 1 else tuple(keys)


def group_name(properties: Sequence[str], key: Any) -> str:
    """A group as compact JSON with its keys sorted, of what `group_key` gave for these properties.

    >>> group_name(["tier", "model"], (("2",), "m1"))
    '{"model":"m1","tier":2}'
    """
    keys = (key,) if len(properties) == 1 else key
    texts = [encode_basestring(each) if each.__class__ is str else each[0] for each in keys]
    return "{" + ",".join([name + texts[at] for at, name in _order(tuple(properties))]) + "}"


def group_key_of(properties: Sequence[str], name: str | bytes) -> Any:
    """The key of a group that `group_name` wrote for these properties.

    >>> group_key_of(["tier", "model"], b'{"model":"m1","tier":2}')
    (('2',), 'm1')
    """
    values = values_of(name)
    return group_key([values[each] for each in properties])


def text_of(group: Mapping[str, Scalar]) -> str:
    """A group that a definition or a request names, in the form of `group_name`; `{}` is the overall one.

    Raises `ValueError` for a value that no group has.
    """
    if not group:
        return OVERALL
    key = group_key(list(group.values()))
    if key is None:
        raise ValueError(f"a group's values are text of at most {LONGEST} bytes, numbers and truth values")
    return group_name(list(group), key)


@lru_cache(maxsize=4096)
def _order(names: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    """Positions of the names in sorted order, each with its JSON and a colon."""
    return tuple((names.index(name), f"{encode_basestring(name)}:") for name in sorted(names))


def values_of(name: str | bytes) -> dict[str, Scalar]:
    """The names and values of a group's JSON; numbers exact.

    >>> values_of('{"model":"m1","tier":2.5}')
    {'model': 'm1', 'tier': Decimal('2.5')}
    """
    found: dict[str, Scalar] = json.loads(name, parse_float=Decimal)
    return found
