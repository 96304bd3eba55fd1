# ruff: noqa: D102 - `read` and `schema` are described once, by the protocol Shape
"""Shapes with named parts: an object of known fields, and a mapping of names to one shape."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from schemas.faults import child
from schemas.reading import nodes
from schemas.reading.nodes import Entry, Node, Value, describe, shorten
from schemas.reading.shapes import BROKEN, Report, Schema, Shape, nearest, unreadable


class Field(msgspec.Struct, frozen=True):
    """One field of an object: its shape, its help text, and whether it must be there."""

    shape: Shape
    help: str
    required: bool = False
    default: Any = None
    may_be_empty: bool = False
    """Whether nothing after the colon is as good as no line at all (sections of the file)."""


class Record(msgspec.Struct):
    """The fields of one object as far as they could be read, each with its node.

    A field that is missing is in neither mapping; one with a fault has the value BROKEN.
    `slips` are the fields that unknown ones were most likely meant to be.
    """

    path: str
    line: int
    values: dict[str, Any]
    nodes: dict[str, Node]
    slips: set[str]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field, the default where it is missing or broken."""
        value = self.values.get(name, default)
        return default if value is BROKEN else value

    def broken(self, *names: str) -> bool:
        """Whether any of these fields had a fault."""
        return any(self.values.get(name) is BROKEN for name in names)

    def has(self, name: str) -> bool:
        """Whether the field is written, broken or not."""
        return name in self.values

    def lacks(self, name: str) -> bool:
        """Whether the field is missing, and not only misspelt: that has been told, and is enough."""
        return name not in self.values and name not in self.slips

    def fault(self, report: Report, name: str, message: str, index: int | None = None) -> None:
        """Report a fault of a field, or of one item of its list; of a field that is missing, at the object's line."""
        node = self.nodes.get(name)
        path = child(self.path, name)
        if index is not None and isinstance(node, nodes.Sequence):
            node = node.items[index]
            path = child(path, index)
        report.add(path, self.line if node is None else node.line, message)


class Object:
    """A mapping of known fields."""

    def __init__(self, what: str, fields: Mapping[str, Field], *, elsewhere: Mapping[str, str] | None = None) -> None:
        self.what = what
        self.fields = fields
        self.elsewhere = elsewhere or {}

    def read(self, node: Node, path: str, report: Report) -> Any:
        """A Record; BROKEN only where the node is no mapping."""
        if unreadable(node, path, report):
            return BROKEN
        if not isinstance(node, nodes.Mapping):
            sample = next(iter(self.fields))
            report.add(
                path, node.line, f"is {describe(node)}: write the fields of {self.what}, such as `{sample}: ...`"
            )
            return BROKEN
        record = Record(path, node.line, {}, {}, set())
        for name, entry, again in named(node, path, report):
            field = self.fields.get(name)
            if field is None:
                report.add(child(path, name), entry.key.line, self._unknown(name))
                close = nearest(name, self.fields)
                if close is not None:
                    record.slips.add(close)
                continue
            if isinstance(entry.value, Value) and entry.value.value is None and entry.value.problem is None:
                if not field.may_be_empty:
                    record.values.setdefault(name, BROKEN)
                    hint = f"{self.what} needs {field.help}" if field.required else "write a value, or leave it out"
                    report.add(child(path, name), entry.key.line, f"is empty: {hint}")
                continue
            value = field.shape.read(entry.value, child(path, name), report)
            if not again:
                record.values[name] = value
                record.nodes[name] = entry.value
        for name, field in self.fields.items():
            if field.required and name not in record.values:
                if record.lacks(name):
                    report.add(child(path, name), record.line, f"is missing: {self.what} needs {field.help}")
                record.values[name] = BROKEN
        return record

    def _unknown(self, name: str) -> str:
        if name in self.elsewhere:
            return self.elsewhere[name]
        close = nearest(name, self.fields)
        if close is not None:
            return f"is no field of {self.what}: did you mean {close}?"
        return f"is no field of {self.what}, which has {', '.join(self.fields)}"

    def schema(self) -> Schema:
        required = [name for name, field in self.fields.items() if field.required]
        schema: Schema = {
            "type": "object",
            "properties": {name: described(field) for name, field in self.fields.items()},
            "additionalProperties": False,
        }
        if required:
            schema["required"] = required
        return schema


def described(field: Field) -> Schema:
    """The JSON Schema of a field, with its help text and default."""
    schema = dict(field.shape.schema())
    schema["description"] = field.help
    if field.default is not None:
        schema["default"] = field.default
    if field.may_be_empty and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    return schema


def named(node: nodes.Mapping, path: str, report: Report) -> Iterator[tuple[str, Entry, bool]]:
    """The entries whose key is a text, and whether the same key stood before; reports the others."""
    first: dict[str, int] = {}
    for entry in node.entries:
        key = entry.key
        if key.problem is not None or not isinstance(key.value, str):
            written = shorten(key.written or "")
            report.add(
                path, key.line, f'has the key {describe(key)}, which is no text: write it in quotes, "{written}"'
            )
            continue
        again = key.value in first
        if again:
            message = f"is written twice, first on line {first[key.value]}: keep one"
            report.add(child(path, key.value), key.line, message)
        else:
            first[key.value] = key.line
        yield key.value, entry, again


class KeyShape:
    """What the key of a mapping may be."""

    def read_key(self, key: Value, path: str, report: Report) -> str | None:
        """The key as text, None after a fault has been reported at `path` (the mapping's)."""
        raise NotImplementedError

    def schema(self) -> Schema:
        """JSON Schema for `propertyNames`."""
        raise NotImplementedError


class MapOf:
    """A mapping of free names, each to a value of one shape; gives a dict of name to value.

    Values that are broken stay in the dict as BROKEN, so that others can refer to the name.
    With `empty_values` nothing after a name means an object without fields.
    """

    def __init__(
        self, key: KeyShape, value: Shape, *, example: str, item: str = "a value", empty_values: bool = False
    ) -> None:
        self.key = key
        self.value = value
        self.example = example
        self.item = item
        self.empty_values = empty_values

    def read(self, node: Node, path: str, report: Report) -> Any:
        if unreadable(node, path, report):
            return BROKEN
        if not isinstance(node, nodes.Mapping):
            report.add(path, node.line, f"is {describe(node)}, not a mapping: write {self.example}")
            return BROKEN
        values: dict[str, Any] = {}
        first: dict[str, int] = {}
        for entry in node.entries:
            name = self.key.read_key(entry.key, path, report)
            if name is None:
                continue
            place = child(path, name)
            again = name in first
            if again:
                message = f"is written twice, first on line {first[name]}: keep one"
                report.add(place, entry.key.line, message)
            else:
                first[name] = entry.key.line
            value = self._value(entry, place, report)
            if not again:
                values[name] = value
        return values

    def _value(self, entry: Entry, place: str, report: Report) -> Any:
        inner = entry.value
        if isinstance(inner, Value) and inner.value is None and inner.problem is None:
            if self.empty_values:
                inner = nodes.Mapping(entry.key.line, [])
            else:
                report.add(place, entry.key.line, f"is empty: write {self.item}")
                return BROKEN
        return self.value.read(inner, place, report)

    def schema(self) -> Schema:
        schema = dict(self.value.schema())
        if self.empty_values and isinstance(schema.get("type"), str):
            schema["type"] = [schema["type"], "null"]
        return {"type": "object", "propertyNames": self.key.schema(), "additionalProperties": schema}
