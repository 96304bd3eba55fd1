# ruff: noqa: D102 - `read` and `schema` are described once, by the protocol Shape
"""The shape of a filter: a comparison, or `all`, `any` and `not` around others."""

import re
from decimal import Decimal
from typing import Any

from schemas.definitions import OPERATORS, All, AnyOf, Comparison, Filter, Not
from schemas.faults import child
from schemas.reading import nodes
from schemas.reading.json_value import JSON_VALUE
from schemas.reading.nodes import Entry, Node, Value, describe, number
from schemas.reading.records import Field, named
from schemas.reading.scalars import Property
from schemas.reading.shapes import BROKEN, Choice, Report, Schema, nearest, unreadable

SPELLINGS = {"isin": "in", "isnotin": "not_in"}
"""Lotus' names for two operators."""

_MEANT = {
    "=": "eq",
    "==": "eq",
    "equals": "eq",
    "is": "eq",
    "!=": "ne",
    "<>": "ne",
    "neq": "ne",
    ">": "gt",
    ">=": "gte",
    "ge": "gte",
    "<": "lt",
    "<=": "lte",
    "le": "lte",
    "nin": "not_in",
    "present": "exists",
    "absent": "not_exists",
}
_COMBINING = ("all", "any", "not")
_ORDERED = {"gt", "gte", "lt", "lte"}
_LISTED = {"in", "not_in"}
_PRESENCE = {"exists", "not_exists"}
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")
_EXAMPLE = "{property: region, op: eq, value: NA}"

PROPERTY = Field(Property(), "the property to compare; a dot reads a nested object", required=True)
OP = Field(
    Choice("operator", OPERATORS, SPELLINGS, _MEANT), f"the operator, one of {', '.join(OPERATORS)}", required=True
)
VALUE_HELP = (
    "what to compare with: any JSON value for eq and ne, a list of them for in and not_in, a number for "
    "gt, gte, lt and lte, and nothing for exists and not_exists"
)
_FIELDS = ("property", "op", "value", *_COMBINING)


class FilterShape:
    """One filter; gives a `schemas.definitions.Filter`."""

    def read(self, node: Node, path: str, report: Report) -> Any:
        if unreadable(node, path, report):
            return BROKEN
        if not isinstance(node, nodes.Mapping):
            report.add(path, node.line, f"is {describe(node)}, not a filter: write {_EXAMPLE}")
            return BROKEN
        before = len(report.faults)
        entries: dict[str, Entry] = {}
        slips: set[str | None] = set()
        for name, entry, again in named(node, path, report):
            if name not in _FIELDS:
                close = nearest(name, _FIELDS)
                slips.add(close)
                hint = f"did you mean {close}?" if close else f"write {_EXAMPLE}"
                report.add(child(path, name), entry.key.line, f"is no field of a filter: {hint}")
            elif not again:
                entries[name] = entry
        combining = [name for name in _COMBINING if name in entries]
        made = self._combined(combining, entries, node, path, report) if combining else None
        if made is None and not combining:
            made = self._comparison(entries, slips, node, path, report)
        return BROKEN if len(report.faults) > before or made is None else made

    def _combined(
        self, combining: list[str], entries: dict[str, Entry], node: Node, path: str, report: Report
    ) -> Filter | None:
        name = combining[0]
        if len(entries) > 1:
            report.add(path, node.line, f"has more beside `{name}`: write each as a filter of its own")
        inner = entries[name].value
        place = child(path, name)
        if name == "not" and isinstance(inner, nodes.Mapping):
            made = self.read(inner, place, report)
            return None if made is BROKEN else Not(made)
        filters = self._list(inner, place, report, f"`{name}: [{_EXAMPLE}]`")
        if name == "not":
            return Not(All(filters))
        return All(filters) if name == "all" else AnyOf(filters)

    def _list(self, node: Node, path: str, report: Report, example: str) -> tuple[Filter, ...]:
        if unreadable(node, path, report):
            return ()
        if not isinstance(node, nodes.Sequence) or not node.items:
            what = "an empty list" if isinstance(node, nodes.Sequence) else f"{describe(node)}, not a list of filters"
            report.add(path, node.line, f"is {what}: write {example}")
            return ()
        made = [self.read(item, child(path, index), report) for index, item in enumerate(node.items)]
        return tuple(each for each in made if each is not BROKEN)

    def _comparison(
        self, entries: dict[str, Entry], slips: set[str | None], node: Node, path: str, report: Report
    ) -> Filter | None:
        read: dict[str, Any] = {}
        for name, field in (("property", PROPERTY), ("op", OP)):
            if name in entries:
                read[name] = field.shape.read(entries[name].value, child(path, name), report)
            elif name not in slips:  # else its misspelling has been told
                report.add(child(path, name), node.line, f"is missing: a filter needs {field.help}")
        op = read.get("op", BROKEN)
        if op is BROKEN or ("value" in slips and "value" not in entries):
            return None
        value = _value(op, entries.get("value"), node, path, report)
        if value is BROKEN or read.get("property", BROKEN) is BROKEN:
            return None
        return Comparison(read["property"], op, value)

    def schema(self) -> Schema:
        return {"$ref": "#/$defs/filter"}

    def definition(self) -> Schema:
        """The schema that `$ref` above means; it refers to itself."""
        ops = [*OPERATORS, *SPELLINGS]
        several: Schema = {"type": "array", "items": self.schema(), "minItems": 1}
        text = {"property": {**PROPERTY.shape.schema(), "description": PROPERTY.help}}

        def comparison(names: set[str], value: Schema | None) -> Schema:
            shown: Schema = {**text, "op": {"enum": [op for op in ops if SPELLINGS.get(op, op) in names]}}
            if value is not None:
                shown["value"] = {**value, "description": VALUE_HELP}
            required = ["property", "op"] if value is None else ["property", "op", "value"]
            return {"type": "object", "properties": shown, "required": required, "additionalProperties": False}

        json_value: Schema = {"not": {"type": "null"}}
        ordered: Schema = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": _JSON_NUMBER.pattern[:-2]}]}
        ordered["anyOf"][1]["pattern"] = f"^(?:{_JSON_NUMBER.pattern[:-2]})$"
        return {
            "description": "A condition on an event; an event that lacks the property passes only ne, not_in and "
            "not_exists.",
            "oneOf": [
                comparison({"eq", "ne"}, json_value),
                comparison(_LISTED, {"type": "array", "items": json_value, "minItems": 1}),
                comparison(_ORDERED, ordered),
                comparison(_PRESENCE, None),
                _alone("all", {**several, "description": "Passes when every inner filter passes."}),
                _alone("any", {**several, "description": "Passes when at least one inner filter passes."}),
                _alone(
                    "not",
                    {
                        "anyOf": [self.schema(), several],
                        "description": "Passes when the inner filter does not; a list is taken as `all`.",
                    },
                ),
            ],
        }


def _alone(name: str, schema: Schema) -> Schema:
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def _value(op: str, entry: Entry | None, node: Node, path: str, report: Report) -> Any:
    """The value of a comparison, as its operator needs it."""
    place = child(path, "value")
    if op in _PRESENCE:
        if entry is None:
            return None
        opposite = "not_exists" if op == "exists" else "exists"
        report.add(place, entry.key.line, f"`{op}` takes no value: leave it out (the opposite is {opposite})")
        return BROKEN
    if entry is None:
        report.add(place, node.line, f"is missing: `{op}` needs {_needed(op)}")
        return BROKEN
    value = entry.value
    if op in _LISTED:
        return _listed(op, value, place, report)
    if unreadable(value, place, report):
        return BROKEN
    if isinstance(value, Value) and value.value is None:
        report.add(place, value.line, "is null, and a null property is as if absent: write op: not_exists")
        return BROKEN
    if op in _ORDERED:
        return _ordered(op, value, place, report)
    return JSON_VALUE.read(value, place, report)


def _needed(op: str) -> str:
    if op in _LISTED:
        return "a list of the values to compare with"
    return "the number to compare with" if op in _ORDERED else "the value to compare with"


def _listed(op: str, value: Node, place: str, report: Report) -> Any:
    if not isinstance(value, nodes.Sequence) or not value.items:
        what = "an empty list" if isinstance(value, nodes.Sequence) else f"{describe(value)}, not a list"
        report.add(place, value.line, f"is {what}: `{op}` takes a list, such as [NA, EU]")
        return BROKEN
    made = []
    for index, item in enumerate(value.items):
        if isinstance(item, Value) and item.value is None and item.problem is None:
            message = "is null, and a null property is as if absent: use op: not_exists"
            report.add(child(place, index), item.line, message)
            continue
        made.append(JSON_VALUE.read(item, child(place, index), report))
    return BROKEN if len(made) < len(value.items) or BROKEN in made else tuple(made)


def _ordered(op: str, value: Node, place: str, report: Report) -> Any:
    given = value.value if isinstance(value, Value) else None
    if isinstance(given, str) and _JSON_NUMBER.match(given):
        try:
            return number(given)
        except ValueError as error:
            report.add(place, value.line, f"the number {error}")
            return BROKEN
    if isinstance(given, bool) or not isinstance(given, (int, Decimal)):
        report.add(place, value.line, f"is {describe(value)}: `{op}` compares numbers, write one such as 10")
        return BROKEN
    return given
