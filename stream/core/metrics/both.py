"""Two states side by side, each with windows of its own, behind one `State`."""

from collections.abc import Mapping
from typing import Any

from stream.core.metrics.base import Shown, State, Windows
from stream.core.metrics.packs import Chunks


def chunks_of(chunks: Mapping[bytes, bytes] | None, prefix: bytes) -> dict[bytes, bytes] | None:
    """The chunks of the state with this prefix, under their own names."""
    if not chunks:
        return None
    return {name[len(prefix) :]: data for name, data in chunks.items() if name.startswith(prefix)}


class BothStates:
    """Every event goes to each of the states; a window is read from the one that has its kind."""

    __slots__ = ("_of_kind", "_states")

    def __init__(self, states: Mapping[bytes, State], kinds: Mapping[int, bytes]) -> None:
        """`states` by the prefix of their chunks, `kinds` says which has a window kind."""
        self._states = states
        self._of_kind = {kind: states[prefix] for kind, prefix in kinds.items()}

    def fold(self, w: Windows, order: int, value: Any, clock_us: int) -> int:
        """See `State.fold`."""
        return sum(state.fold(w, order, value, clock_us) for state in self._states.values())

    def remove(self, w: Windows, order: int, value: Any, clock_us: int) -> None:
        """See `State.remove`."""
        for state in self._states.values():
            state.remove(w, order, value, clock_us)

    def save(self) -> Chunks:
        """See `State.save`."""
        return [(prefix + name, data) for prefix, state in self._states.items() for name, data in state.save()]

    def shown(self, clock_us: int) -> list[Shown]:
        """See `State.shown`."""
        return sorted((row for state in self._states.values() for row in state.shown(clock_us)), key=_place)

    def present(self) -> str | None:
        """See `State.present`."""
        return None

    def total(self, kind: int, start: int) -> Shown | None:
        """See `State.total`."""
        return self._of_kind[kind].total(kind, start)

    def rows(self, kind: int, until_us: int) -> list[Shown]:
        """See `State.rows`."""
        return self._of_kind[kind].rows(kind, until_us)

    def expire(self, clock_us: int) -> None:
        """See `State.expire`."""
        for state in self._states.values():
            state.expire(clock_us)


def _place(row: Shown) -> tuple[int, int]:
    return row.kind, row.start
