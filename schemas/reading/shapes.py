# ruff: noqa: D102 - `read` and `schema` are described once, by the protocol Shape
"""What a value may be: each shape checks a node and describes itself as JSON Schema.

One shape serves both, so that an editor and `tally validate` cannot disagree about a field.
A shape's `read` gives the checked value, or `BROKEN` after it has reported why there is none;
rules that look at several fields pass over what is broken, so that one slip is one fault.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from schemas.faults import Fault, child
from schemas.reading import nodes
from schemas.reading.nodes import Node, Value, describe, shorten

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""As above, but tabs and line feeds may stand."""


class _Broken:
    def __repr__(self) -> str:
        return "BROKEN"


BROKEN: Final = _Broken()
"""Stands for a value that had a fault."""

Schema = dict[str, Any]


class Report:
    """Collects the faults of one file."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def add(self, path: str, line: int, message: str) -> None:
        """Note one fault."""
        self.faults.append(Fault(path, line, message))


class Shape(Protocol):
    """What a value may be."""

    def read(self, node: Node, path: str, report: Report) -> Any:
        """The checked value of a node, or BROKEN with at least one fault in the report."""

    def schema(self) -> Schema:
        """The same as JSON Schema, draft 2020-12."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that a word was most likely meant to be, None if nothing is close.

    >>> nearest("filter", ["filters", "windows"]), nearest("zzz", ["filters"])
    ('filters', None)
    """
    candidates = list(known)
    lowered = {name.lower().replace("-", "_"): name for name in candidates}
    spelled = word.lower().replace("-", "_").replace(" ", "_")
    if spelled in lowered:
        return lowered[spelled]
    found = difflib.get_close_matches(spelled, lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def one_of(names: Sequence[str]) -> str:
    """Names as a phrase: `a, b or c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def unreadable(node: Node, path: str, report: Report) -> bool:
    """Whether a scalar has no value at all; reports why."""
    if isinstance(node, Value) and node.problem is not None:
        report.add(path, node.line, node.problem)
        return True
    return False


class Text:
    """A text of 1 to `most` bytes of UTF-8 without control characters (tabs and newlines included).

    With `several_lines` a text may hold newlines and tabs, for descriptions; with `blank` it may be
    spaces alone, as an id may.
    """

    def __init__(
        self, what: str = "text", *, most: int = 256, several_lines: bool = False, blank: bool = False
    ) -> None:
        self.what = what
        self.most = most
        self.several_lines = several_lines
        self.blank = blank

    def read(self, node: Node, path: str, report: Report) -> Any:
        if unreadable(node, path, report):
            return BROKEN
        if not isinstance(node, Value) or not isinstance(node.value, str):
            report.add(path, node.line, self._no_text(node))
            return BROKEN
        message = self.fault_of(node.value)
        if message is not None:
            report.add(path, node.line, message)
            return BROKEN
        return node.value

    def _no_text(self, node: Node) -> str:
        if isinstance(node, Value) and node.value is not None:
            written = node.written if node.written is not None else str(node.value)
            return f'is {describe(node)}, not {_article(self.what)}: write it in quotes, "{written}"'
        return f"is {describe(node)}: write {_article(self.what)}"

    def fault_of(self, text: str) -> str | None:
        """What is wrong with a text, None if nothing is."""
        if not (text if self.blank else text.strip()):
            return f"is an empty text: write {_article(self.what)}"
        if (_CONTROL_IN_LINES if self.several_lines else _CONTROL).search(text):
            return "holds a control character: leave it out"
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            return "holds half of a surrogate pair: write the whole character"
        if size > self.most:
            return f"is {size} bytes of UTF-8: write at most {self.most}"
        return None

    def schema(self) -> Schema:
        schema: Schema = {"type": "string", "minLength": 1, "maxLength": self.most}
        if not self.several_lines:
            schema["pattern"] = r"^[^\u0000-\u001f\u007f-\u009f]*$"
        return schema


def _article(what: str) -> str:
    return what if what == "text" else f"{'an' if what[0] in 'aeio' else 'a'} {what}"


class Choice:
    """One of a few words; `spellings` are accepted for ours, `meant` are not, but say what was meant."""

    def __init__(
        self,
        what: str,
        names: Sequence[str],
        spellings: Mapping[str, str] | None = None,
        meant: Mapping[str, str] | None = None,
    ) -> None:
        self.what = what
        self.names = names
        self.spellings = spellings or {}
        self.meant = {word: name for word, name in (meant or {}).items() if name in names}

    def read(self, node: Node, path: str, report: Report) -> Any:
        if unreadable(node, path, report):
            return BROKEN
        if isinstance(node, Value) and isinstance(node.value, str):
            if node.value in self.names:
                return node.value
            if node.value in self.spellings:
                return self.spellings[node.value]
            close = self.meant.get(node.value.lower()) or nearest(node.value, self.names)
            hint = f"did you mean {close}?" if close else f"write {one_of(self.names)}"
            report.add(path, node.line, f'"{shorten(node.value)}" is no {self.what}: {hint}')
            return BROKEN
        report.add(path, node.line, f"is {describe(node)}, not {_article(self.what)}: write {one_of(self.names)}")
        return BROKEN

    def schema(self) -> Schema:
        return {"enum": [*self.names, *self.spellings]}


class Flag:
    """True or false, and not `yes` or `on`, which YAML 1.2 reads as text."""

    def read(self, node: Node, path: str, report: Report) -> Any:
        if unreadable(node, path, report):
            return BROKEN
        if isinstance(node, Value) and isinstance(node.value, bool):
            return node.value
        report.add(path, node.line, f"is {describe(node)}: write true or false")
        return BROKEN

    def schema(self) -> Schema:
        return {"type": "boolean"}


class ListOf:
    """A list; with `unique` no item may come twice.

    One broken item breaks the list, unless it is `partial`: then the good ones are the value.
    """

    def __init__(
        self, item: Shape, *, example: str, unique: bool = False, least: int = 0, partial: bool = False
    ) -> None:
        self.item = item
        self.example = example
        self.unique = unique
        self.least = least
        self.partial = partial

    def read(self, node: Node, path: str, report: Report) -> Any:
        if unreadable(node, path, report):
            return BROKEN
        if not isinstance(node, nodes.Sequence):
            report.add(path, node.line, f"is {describe(node)}, not a list: write {self.example}")
            return BROKEN
        if len(node.items) < self.least:
            report.add(path, node.line, f"is an empty list: write {self.example}")
            return BROKEN
        values: list[Any] = []
        first: dict[Any, int] = {}
        for index, item in enumerate(node.items):
            place = child(path, index)
            value = self.item.read(item, place, report)
            if value is BROKEN:
                continue
            if self.unique and value in first:
                report.add(place, item.line, f"is the same as {child(path, first[value])}: leave one out")
                continue
            if self.unique:
                first[value] = index
            values.append(value)
        return BROKEN if len(values) < len(node.items) and not self.partial else tuple(values)

    def schema(self) -> Schema:
        schema: Schema = {"type": "array", "items": self.item.schema()}
        if self.unique:
            schema["uniqueItems"] = True
        if self.least:
            schema["minItems"] = self.least
        return schema
