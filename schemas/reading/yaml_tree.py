"""YAML 1.2 to a tree.

ruamel.yaml splits the text into events; the tree and the meaning of plain scalars are made
here, by the core schema of YAML 1.2 and nothing more: `on`, `no`, `2026-01-15` and `1_000`
are text, `1e3` and `0x10` are numbers, and no digit is lost. Anchors and aliases work, and
so does the merge key `<<`, which the older YAML had and people still use with anchors.
"""

import re
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from schemas.reading.nodes import (
    MOST_DEPTH,
    MOST_NODES,
    Entry,
    Mapping,
    Node,
    Sequence,
    TreeError,
    Value,
    number,
    shorten,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_NO_NUMBER = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_TAG = "tag:yaml.org,2002:"


def parse(text: str) -> Node:
    """The tree of a YAML text; TreeError at the first place that is not YAML."""
    try:
        return _Composer(text).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise TreeError(1 if mark is None else mark.line + 1, f"is not YAML: {_reason(error)}") from None
    except YAMLError as error:
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
        raise TreeError(line, f"is not YAML: {_one_line(str(error))}") from None


def _reason(error: MarkedYAMLError) -> str:
    """The reader's own words, and for the slips that people make what to do."""
    message = _one_line(" ".join(part.strip() for part in (error.context, error.problem) if part))
    hint = next((hint for words, hint in _HINTS.items() if words in message), None)
    return message if hint is None else f"{message}: {hint}"


_HINTS = {
    r"'\t'": "indent with spaces, not tabs",
    "mapping values are not allowed": "indent it like its neighbours, and quote a text that holds a colon",
    "unexpected end of stream": "close the quote",
    "parsing a flow": "close the bracket, and put commas between",
    "parsing a block": "indent it like its neighbours",
    "cannot start any token": "write it in quotes",
}


def _one_line(message: str) -> str:
    return shorten(message.split("\n", maxsplit=1)[0], 120)


class _Composer:
    """Reads the events of one document."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = iter(YAML(typ="safe", pure=True).parse(text))
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()
        self._sizes: dict[str, int] = {}
        self._nodes = 0

    def document(self) -> Node:
        next(self._events)
        first = next(self._events)
        if isinstance(first, StreamEndEvent):
            return Value(1, None, "")
        assert isinstance(first, DocumentStartEvent)
        root = self._node(next(self._events), 0)
        last = next(self._events)
        assert isinstance(last, DocumentEndEvent)
        after = next(self._events)
        if not isinstance(after, StreamEndEvent):
            raise TreeError(_line(after), "holds a second document: keep one, without a line of ---")
        return root

    def _node(self, event: Any, depth: int) -> Node:
        line = _line(event)
        if depth > MOST_DEPTH:
            raise TreeError(line, f"is nested deeper than {MOST_DEPTH} levels")
        if isinstance(event, AliasEvent):
            return self._alias(event, line)
        before = self._nodes
        self._count(1, line)
        anchor = event.anchor
        if anchor is not None:
            self._open.add(anchor)
        node: Node
        if isinstance(event, ScalarEvent):
            node = _scalar(event, line)
        elif isinstance(event, SequenceStartEvent):
            node = Sequence(line, [])
            while not isinstance(inner := next(self._events), SequenceEndEvent):
                node.items.append(self._node(inner, depth + 1))
        else:
            assert isinstance(event, MappingStartEvent)
            node = self._mapping(line, depth)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = node
            self._sizes[anchor] = self._nodes - before
        return node

    def _alias(self, event: Any, line: int) -> Node:
        anchor = event.anchor
        if anchor in self._open:
            raise TreeError(line, f"*{anchor} stands inside its own &{anchor}")
        if anchor not in self._anchors:
            raise TreeError(line, f"*{anchor} has no &{anchor} before it")
        self._count(self._sizes[anchor], line)
        return self._anchors[anchor]

    def _count(self, nodes: int, line: int) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            raise TreeError(line, f"holds more than {MOST_NODES} values, its aliases written out")

    def _mapping(self, line: int, depth: int) -> Mapping:
        entries: list[Entry] = []
        merged: list[Entry] = []
        while not isinstance(inner := next(self._events), MappingEndEvent):
            key = self._node(inner, depth + 1)
            event = next(self._events)
            value = self._node(event, depth + 1)
            if isinstance(value, (Mapping, Sequence)) and not isinstance(event, AliasEvent):
                value.line = key.line
            if not isinstance(key, Value):
                raise TreeError(key.line, "a key is a list or a mapping: write a word")
            if key.written == "<<":
                merged += _merge(value)
            else:
                entries.append(Entry(key, value))
        own = {entry.key.value for entry in entries}
        for entry in merged:
            if entry.key.value not in own:
                own.add(entry.key.value)
                entries.append(entry)
        return Mapping(line, entries)


def _merge(value: Node) -> list[Entry]:
    """The entries that a merge key brings in; of several mappings the first one wins."""
    if isinstance(value, Mapping):
        return value.entries
    if isinstance(value, Sequence) and all(isinstance(item, Mapping) for item in value.items):
        return [entry for item in value.items if isinstance(item, Mapping) for entry in item.entries]
    raise TreeError(value.line, "<< takes a mapping, or a list of mappings: write `<<: *name`")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _scalar(event: Any, line: int) -> Value:
    text: str = event.value
    tag = None if event.ctag is None else str(event.ctag)
    if tag in {"!", _TAG + "str"} or (tag is None and event.style):
        return Value(line, text)
    if tag is not None and not tag.startswith(_TAG):
        return Value(line, None, text, f"the tag {shorten(tag)} means nothing here: leave it out")
    return _plain(text, line)


def _plain(text: str, line: int) -> Value:
    """What a plain scalar means in the core schema of YAML 1.2."""
    if text in _NULL:
        return Value(line, None, text)
    if text in _TRUE:
        return Value(line, True, text)
    if text in _FALSE:
        return Value(line, False, text)
    if text[0] in "+-.0123456789":
        if _DECIMAL.match(text):
            try:
                return Value(line, number(text), text)
            except ValueError as error:
                return Value(line, None, text, f"the number {shorten(text)} {error}")
        if _HEX.match(text):
            return Value(line, int(text, 16), text)
        if _OCTAL.match(text):
            return Value(line, int(text, 0), text)
        if _NO_NUMBER.match(text):
            return Value(line, None, text, f"{text} is no number that JSON has: write it in quotes if it is a text")
    return Value(line, text, text)
