"""A definitions file to checked definitions, or to every fault that it has."""

from collections.abc import Mapping
from pathlib import Path

from schemas.definitions import Definitions
from schemas.faults import Fault, Faults
from schemas.reading import json_tree, yaml_tree
from schemas.reading.document import read_document
from schemas.reading.metrics import PlugIn
from schemas.reading.nodes import Node, TreeError
from schemas.reading.shapes import Report

__all__ = ["PlugIn", "load", "load_file"]


def load(text: str, filename: str = "metrics.yaml", types: Mapping[str, PlugIn] | None = None) -> Definitions:
    """The definitions of a text in YAML 1.2, or in JSON where `filename` ends with .json.

    `types` are the metric types that plug-ins bring, by name; those built in are known here.
    Raises Faults with all that is wrong, in the order of the lines; a text that is no YAML or
    JSON at all has the one fault where its reading stopped.
    """
    report = Report()
    try:
        tree = _tree(text.removeprefix("\ufeff"), filename)
    except TreeError as error:
        raise Faults([Fault("", error.line, error.message)], filename) from None
    definitions = read_document(tree, types or {}, report)
    if definitions is None or report.faults:
        raise Faults(report.faults, filename)
    return definitions


def load_file(path: Path | str, types: Mapping[str, PlugIn] | None = None) -> Definitions:
    """The definitions of a file; Faults as `load`, and OSError where it cannot be read."""
    filename = str(path)
    raw = Path(path).read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Faults([Fault("", line, "is not UTF-8: save the file as UTF-8")], filename) from None
    return load(text, filename, types)


def _tree(text: str, filename: str) -> Node:
    if filename.lower().endswith(".json"):
        return json_tree.parse(text)
    if text.lstrip().startswith("{"):
        # JSON under a YAML name: YAML's own reader refuses its tabs, and some long keys.
        try:
            return json_tree.parse(text)
        except TreeError:
            pass
    return yaml_tree.parse(text)
