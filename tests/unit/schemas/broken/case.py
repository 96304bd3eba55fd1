"""A broken file and all that is to be told of it."""

from typing import NamedTuple


class Broken(NamedTuple):
    """A file's text and its faults: (path, line, message), in the order of lines.

    `in_schema` says whether an editor with the published JSON Schema sees that something is wrong;
    None where there is no tree that a schema could be held to.
    """

    name: str
    text: str
    faults: list[tuple[str, int, str]]
    in_schema: bool | None
    filename: str = "metrics.yaml"
