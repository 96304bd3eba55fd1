"""A file as a tree whose every node knows its line."""

from decimal import Decimal
from typing import Any

import msgspec

from schemas.totals import plain

MOST_DEPTH = 64
"""A file nested deeper is refused, before Python's own stack gives up."""
MOST_NODES = 5_000_000
"""Aliases count each time they are used, so that a few lines cannot become billions."""
MOST_DIGITS = 400
"""No number of a definition is longer when written out; 1e999999999 would fill the memory."""


class TreeError(Exception):
    """The text is not YAML or JSON at all; nothing after this place can be judged."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class Value(msgspec.Struct):
    """A text, number, truth value or null.

    `written` is the text of a plain scalar as it stands in the file (`0x10`, `1e3`), and
    None where it was quoted. `problem` says why no value can be made of it (`.inf`).
    """

    line: int
    value: str | int | Decimal | bool | None
    written: str | None = None
    problem: str | None = None


class Sequence(msgspec.Struct):
    """A list; under a key its line is the key's, so that a fault of the whole is found there."""

    line: int
    items: "list[Node]"


class Entry(msgspec.Struct):
    """A key and what stands under it."""

    key: Value
    value: "Node"


class Mapping(msgspec.Struct):
    """A mapping; its entries in the order of the file, those written twice included. Its line as a list's."""

    line: int
    entries: list[Entry]


Node = Value | Sequence | Mapping


def describe(node: Node) -> str:
    """What stands there, for a message: `the number 3`, `the text "x"`, `a list`."""
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a mapping"
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the text "{shorten(value)}"'
    return f"the number {node.written if node.written is not None else plain(value)}"


def shorten(text: str, most: int = 40) -> str:
    """A text that fits a line of a message, on one line and without control characters."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def number(text: str) -> int | Decimal:
    """The exact number of a decimal literal; ValueError where it is too long to write out.

    An integer stays an integer, anything with a point or an exponent is a Decimal that keeps
    its digits.
    """
    if len(text) > MOST_DIGITS:
        raise ValueError(f"has more than {MOST_DIGITS} digits")
    if text.lstrip("+-").isdigit():
        return int(text)
    value = Decimal(text)
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or not -MOST_DIGITS <= exponent <= MOST_DIGITS or value.adjusted() > MOST_DIGITS:
        raise ValueError(f"has more than {MOST_DIGITS} digits when written out")
    return value


def bare(node: Node) -> Any:
    """The node as plain Python: what a plug-in's own fields are handed over as."""
    if isinstance(node, Value):
        return node.value
    if isinstance(node, Sequence):
        return [bare(item) for item in node.items]
    return {str(entry.key.value): bare(entry.value) for entry in node.entries}
