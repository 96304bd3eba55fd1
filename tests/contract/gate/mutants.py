"""Faults to seed into the Lua scripts: each a text, what takes its place, and the promise that it breaks."""

from collections.abc import Callable

MUTANTS: dict[str, tuple[str, str]] = {}


def patch(name: str) -> Callable[[str], str]:
    """What a mutant does to a script's text."""
    old, new = MUTANTS[name]

    def change(text: str) -> str:
        return text.replace(old, new)

    return change
