"""JSON to a tree.

The standard library's reader tells neither lines nor keys written twice, so the few rules
of the grammar stand here; strings are read by its own scanner.
"""

import re
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]  # public, and absent from the stubs
from typing import Any

from schemas.reading.nodes import MOST_DEPTH, Entry, Mapping, Node, Sequence, TreeError, Value, number, shorten

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_WORD = re.compile(r"[A-Za-z]+")


def parse(text: str) -> Node:
    """The tree of a JSON text; TreeError at the first place that is not JSON."""
    return _Reader(text).document()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0

    def document(self) -> Node:
        node = self._node(0)
        self._skip()
        if self._at < len(self._text):
            raise self._error("something follows the end of the value")
        return node

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _here(self) -> int:
        """The line of the current place, counted on from the last one that was asked for."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _error(self, message: str) -> TreeError:
        return TreeError(self._here(), f"is not JSON: {message}")

    def _take(self, letters: str) -> str:
        self._skip()
        letter = self._text[self._at : self._at + 1]
        if not letter or letter not in letters:
            expected = " or ".join(f"'{each}'" for each in letters)
            found = f"found '{shorten(letter)}'" if letter else "the file ends"
            raise self._error(f"expected {expected}, {found}")
        self._at += 1
        return letter

    def _string(self) -> str:
        try:
            value, self._at = scanstring(self._text, self._at, True)
        except JSONDecodeError as error:
            self._at = error.pos
            raise self._error(error.msg.lower().removesuffix(" at")) from None
        return str(value)

    def _node(self, depth: int) -> Node:
        if depth > MOST_DEPTH:
            raise TreeError(self._here(), f"is nested deeper than {MOST_DEPTH} levels")
        self._skip()
        line = self._here()
        letter = self._text[self._at : self._at + 1]
        if letter == "{":
            return self._mapping(line, depth)
        if letter == "[":
            return self._sequence(line, depth)
        if letter == '"':
            self._at += 1
            return Value(line, self._string())
        return self._plain(line)

    def _mapping(self, line: int, depth: int) -> Mapping:
        self._at += 1
        entries: list[Entry] = []
        self._skip()
        if self._text[self._at : self._at + 1] == "}":
            self._at += 1
            return Mapping(line, entries)
        while True:
            self._take('"')
            key = Value(self._here(), self._string())
            self._take(":")
            value = self._node(depth + 1)
            if not isinstance(value, Value):
                value.line = key.line
            entries.append(Entry(key, value))
            if self._take(",}") == "}":
                return Mapping(line, entries)

    def _sequence(self, line: int, depth: int) -> Sequence:
        self._at += 1
        items: list[Node] = []
        self._skip()
        if self._text[self._at : self._at + 1] == "]":
            self._at += 1
            return Sequence(line, items)
        while True:
            items.append(self._node(depth + 1))
            if self._take(",]") == "]":
                return Sequence(line, items)

    def _plain(self, line: int) -> Value:
        match = _NUMBER.match(self._text, self._at)
        if match:
            self._at = match.end()
            written = match.group()
            try:
                return Value(line, number(written), written)
            except ValueError as error:
                return Value(line, None, written, f"the number {shorten(written)} {error}")
        word = _WORD.match(self._text, self._at)
        value: Any = None
        if word and word.group() in _WORDS:
            self._at = word.end()
            value = _WORDS[word.group()]
            return Value(line, value, word.group())
        if self._at >= len(self._text):
            raise self._error("the file ends where a value should stand")
        raise self._error(f"expected a value, found {shorten(self._text[self._at : self._at + 20])}")
