# ruff: noqa: D102 - `read` and `schema` are described once, by the protocol Shape
"""The shape of anything that JSON can say: what a filter compares with, and a plug-in's fields."""

from typing import Any

from schemas.faults import child
from schemas.reading import nodes
from schemas.reading.nodes import Node, bare
from schemas.reading.records import named
from schemas.reading.shapes import BROKEN, Report, Schema, unreadable


class JsonValue:
    """Any value, as plain Python with its numbers exact; keys are texts, and none is written twice."""

    def read(self, node: Node, path: str, report: Report) -> Any:
        before = len(report.faults)
        _check(node, path, report)
        return BROKEN if len(report.faults) > before else bare(node)

    def schema(self) -> Schema:
        return {}


JSON_VALUE = JsonValue()


def _check(node: Node, path: str, report: Report) -> None:
    if unreadable(node, path, report):
        return
    if isinstance(node, nodes.Sequence):
        for index, item in enumerate(node.items):
            _check(item, child(path, index), report)
    elif isinstance(node, nodes.Mapping):
        for name, entry, _ in named(node, path, report):
            _check(entry.value, child(path, name), report)
