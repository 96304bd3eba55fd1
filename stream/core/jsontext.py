"""JSON read strictly and exactly, in bounded time and depth, whatever the bytes.

As msgspec reads it (of equal names in one object the last counts, integers are exact), and stricter where
msgspec skips what it need not keep: all of a message is UTF-8, and its nesting is bounded. This path judges
every message that the fast path does not take, so the two agree on what is accepted.
"""

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from stream.core.numbers import number

DEEPEST = 128
"""How deep lists and objects may nest, the message itself counted; so a verdict never depends on the stack."""


class NotJson(ValueError):  # noqa: N818 (it says what the bytes are)
    """The bytes are no JSON text in UTF-8; the message says where and why."""


def _refuse_constant(name: str) -> NoReturn:
    raise NotJson(f"it holds {name}, which is no JSON number")


_decode = json.JSONDecoder(parse_float=number, parse_int=number, parse_constant=_refuse_constant).decode


def parse(data: bytes) -> Any:
    """The value of a JSON text: str, bool, None, list, dict, and numbers as `numbers.number` holds them."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise NotJson(f"it is not UTF-8: {error.reason} at byte {error.start}") from None
    too_deep = f"it nests more than {DEEPEST} levels deep"
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"it is no JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise NotJson(too_deep) from None
    if opens(data) > DEEPEST and _deeper_than(value, DEEPEST):
        raise NotJson(too_deep)
    if b"\\u" in data and _half_pairs([value]):
        raise NotJson("it holds half of a surrogate pair, which is no character")
    return value


def opens(data: bytes) -> int:
    """How many brackets and braces open, those inside text counted: never less than the nesting's depth."""
    return data.count(b"[") + data.count(b"{")


def _deeper_than(value: Any, levels: int) -> bool:
    """Whether lists and objects nest deeper; without recursion."""
    layer = [value]
    for _ in range(levels):
        layer = [inner for outer in layer for inner in _inside(outer)]
    return any(isinstance(each, list | dict) for each in layer)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _half_pairs(layer: list[Any]) -> bool:
    while layer:
        texts = [each for each in layer if isinstance(each, str)]
        texts += [name for each in layer if isinstance(each, dict) for name in each]
        try:
            "".join(texts).encode()
        except UnicodeEncodeError:
            return True
        layer = [inner for outer in layer for inner in _inside(outer)]
    return False
