"""What a seeded fault is, and where the lists of them stand."""

import importlib
from dataclasses import dataclass
from pathlib import Path

_PROPERTY = "tests/property/test_oracle_"
PARTS = (f"{_PROPERTY}parts.py",)
"""Calendar, timestamps, decoding and filters against the judge."""
STATES = (
    "tests/unit/stream/core/metrics",
    *(f"{_PROPERTY}{name}.py" for name in ("found", "bounds", "states", "simulate")),
)
"""Metric types by themselves, by their promises and against the judge; and in whole files."""
RETENTION = tuple(f"tests/unit/stream/core/test_{name}.py" for name in ("retention", "calendar_change"))
"""How long windows take events and stay, and what goes on in another calendar."""
FOLD = (
    "tests/unit/stream/core",
    "--ignore=tests/unit/stream/core/test_memory.py",  # which finds nothing, slowly
    *(f"{_PROPERTY}{name}.py" for name in ("found", "bounds", "simulate", "partition")),
)
"""The promises of the fold; files, and partitions through crashes and takeovers, against the judge."""


@dataclass(frozen=True)
class Mutant:
    """One fault to seed: in `file`, `before` (which stands there once) becomes `after`.

    `why` is the fault in words, `tests` what is to find it.
    """

    file: str
    before: str
    after: str
    why: str
    tests: tuple[str, ...] = FOLD


def all_mutants() -> dict[str, tuple[Mutant, ...]]:
    """The mutants of each list: the modules of `tests/mutants/seeded`, each with a tuple MUTANTS."""
    names = sorted(file.stem for file in Path(__file__).with_name("seeded").glob("*.py"))
    return {name: importlib.import_module(f"tests.mutants.seeded.{name}").MUTANTS for name in names}
