"""What a seeded fault is, and where the lists of them stand."""

import importlib
from dataclasses import dataclass
from pathlib import Path

JUDGED = (
    "tests/property/test_oracle_parts.py",
    "tests/property/test_oracle_states.py",
    "tests/property/test_oracle_partition.py",
    "tests/property/test_oracle_simulate.py",
)
"""The tests that hold the core to the judge: enough for most faults of the fold."""


@dataclass(frozen=True)
class Mutant:
    """One fault to seed: in `file`, `before` (which stands there once) becomes `after`.

    `why` is the fault in words, `tests` what is to find it.
    """

    file: str
    before: str
    after: str
    why: str
    tests: tuple[str, ...] = JUDGED


def all_mutants() -> dict[str, tuple[Mutant, ...]]:
    """The mutants of each list: the modules of `tests/mutants/seeded`, each with a tuple MUTANTS."""
    names = sorted(file.stem for file in Path(__file__).with_name("seeded").glob("*.py"))
    return {name: importlib.import_module(f"tests.mutants.seeded.{name}").MUTANTS for name in names}
