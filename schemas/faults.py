"""What is wrong with a file, all of it at once."""

import re
from collections.abc import Iterable

import msgspec

_SIMPLE = re.compile(r"[A-Za-z0-9_-]+\Z")


class Fault(msgspec.Struct, frozen=True):
    """One fault of a file: the path of the value, its line (from 1), and a sentence.

    The message says what is wrong and what to write instead. `path` is empty for a fault of
    the file as a whole.
    """

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return f"{self.line}: {place}{self.message}"


class Faults(ValueError):  # noqa: N818 - it holds several, and is the answer that `validate` prints
    """Every fault of one file, in the order of its lines."""

    def __init__(self, faults: Iterable[Fault], filename: str = "") -> None:
        self.faults = sorted(set(faults), key=lambda fault: (fault.line, fault.path, fault.message))
        self.filename = filename
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line of text for each fault: `metrics.yaml:12: metrics.a.windows[2]: ...`."""
        name = self.filename or "<definitions>"
        return [f"{name}:{fault}" for fault in self.faults]


def child(path: str, key: str | int) -> str:
    """The path of a field or an item; a key that is no plain word is written in brackets.

    >>> child(child(child("", "metrics"), "api.calls"), "windows"), child("limits", 2)
    ('metrics["api.calls"].windows', 'limits[2]')
    """
    if isinstance(key, int):
        return f"{path}[{key}]"
    if _SIMPLE.match(key):
        return f"{path}.{key}" if path else key
    quoted = msgspec.json.encode(key).decode()
    return f"{path}[{quoted}]"
