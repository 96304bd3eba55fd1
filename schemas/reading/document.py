"""The whole file: reads the tree by the tables of `fields`, then holds it to the `rules`."""

from collections.abc import Mapping
from typing import Any

from schemas.definitions import BUILT_IN, Definitions, EventRule, Metric
from schemas.reading import nodes
from schemas.reading.customers import read_customers
from schemas.reading.fields import COMMON, CUSTOMERS, EVENTS, LIMIT, METRIC_KEY, METRICS, OWN, PROPERTY
from schemas.reading.json_value import JSON_VALUE
from schemas.reading.limits import read_limits
from schemas.reading.metrics import PlugIn, known_of, make_metric
from schemas.reading.nodes import Node, Value, describe, shorten
from schemas.reading.records import Field, MapOf, Object, Record
from schemas.reading.scalars import Zone
from schemas.reading.shapes import BROKEN, ListOf, Report, Schema, nearest, one_of


class MetricShape:
    """One metric; which fields it has depends on its `type`."""

    def __init__(self, types: Mapping[str, PlugIn]) -> None:
        self.types = types

    def read(self, node: Node, path: str, report: Report) -> Any:
        """A Record, BROKEN where the node is no mapping."""
        kind = _written_type(node)
        if kind in METRICS:
            return METRICS[kind].read(node, path, report)
        fields: dict[str, Field] = {**COMMON, "property": PROPERTY}
        if kind in self.types:
            own = getattr(self.types[kind], "fields", None)
            names = _own_names(node) if own is None else own
            extra = {name: Field(JSON_VALUE, "a field of the plug-in") for name in names if name not in fields}
            return Object(f"a {kind}", {**fields, **extra}).read(node, path, report)
        return self._of_no_type(kind, node, path, report)

    def _of_no_type(self, kind: str, node: Node, path: str, report: Report) -> Any:
        """A metric whose type is missing or unknown: what another type might have is let pass."""
        known = [*BUILT_IN, *self.types]
        close = nearest(kind, known)
        names = [name for own in OWN.values() for name in own]
        if kind and close is None:
            # Most likely a plug-in that is not installed: all of its fields would be told as unknown.
            names += _own_names(node)
        others = {name: Field(JSON_VALUE, "a field of some type") for name in names if name not in COMMON}
        record = Object("a metric", {**COMMON, **others}).read(node, path, report)
        if isinstance(record, Record) and isinstance(record.get("type"), str):
            hint = f"did you mean {close}?" if close else f"write {one_of(known)}, or install its plug-in"
            record.fault(report, "type", f'"{shorten(kind)}" is no type of metric: {hint}')
            record.values["type"] = BROKEN
        return record

    def schema(self) -> Schema:
        """The published schema's name for it."""
        return {"$ref": "#/$defs/metric"}


def _written_type(node: Node) -> str:
    if isinstance(node, nodes.Mapping):
        for entry in node.entries:
            if entry.key.value == "type" and isinstance(entry.value, Value) and isinstance(entry.value.value, str):
                return entry.value.value
    return ""


def _own_names(node: Node) -> list[str]:
    if not isinstance(node, nodes.Mapping):
        return []
    return [entry.key.value for entry in node.entries if isinstance(entry.key.value, str)]


def document(types: Mapping[str, PlugIn]) -> Object:
    """The fields of the file."""
    return Object(
        "the file",
        {
            "timezone": Field(Zone(), "the calendar of the windows; a customer may have its own", default="UTC"),
            "metrics": Field(
                MapOf(
                    METRIC_KEY,
                    MetricShape(types),
                    example="`api_requests: {event_name: ..., type: counter, ...}`",
                    item="its fields, event_name and type at least",
                ),
                "what is measured, by key",
                required=True,
            ),
            "events": Field(EVENTS, "what becomes of duplicates, by event name", may_be_empty=True),
            "customers": Field(CUSTOMERS, "what is particular to a customer, by id", may_be_empty=True),
            "limits": Field(
                ListOf(LIMIT, example="`- {metric: api_requests, window: month, limit: 1000}`", partial=True),
                "limits that the gate holds requests to",
                may_be_empty=True,
            ),
        },
    )


def read_document(tree: Node, types: Mapping[str, PlugIn], report: Report) -> Definitions | None:
    """The definitions of a tree; None, or with faults in the report, where something is wrong."""
    if isinstance(tree, Value) and tree.value is None:
        report.add("", tree.line, "is empty: define at least one metric under `metrics`")
        return None
    if not isinstance(tree, nodes.Mapping):
        report.add("", tree.line, f"is {describe(tree)}: write a mapping with `metrics` in it")
        return None
    record = document(types).read(tree, "", report)
    assert isinstance(record, Record)
    metrics: dict[str, Metric | Any] = {}
    for key, each in record.get("metrics", {}).items():
        metrics[key] = make_metric(key, each, types, report) if isinstance(each, Record) else BROKEN
    written = record.nodes.get("metrics")
    if isinstance(written, nodes.Mapping) and not written.entries:
        record.fault(report, "metrics", "defines no metric: write at least one")
    customers, aliases = read_customers(record.get("customers", {}), report)
    known = {
        key: known_of(key, each) if isinstance(each, Record) else None
        for key, each in record.get("metrics", {}).items()
    }
    limits = read_limits(record.get("limits", ()), known, customers, aliases, report)
    if report.faults:
        return None
    return Definitions(
        timezone=record.get("timezone", "UTC"),
        metrics=metrics,
        events={
            name: EventRule(on_duplicate=each.get("on_duplicate", "drop"))
            for name, each in record.get("events", {}).items()
        },
        customers=customers,
        limits=limits,
        aliases=aliases,
    )
