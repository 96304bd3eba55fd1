"""The worked examples of docs/metrics.md, run as they are written there."""

import sys
from pathlib import Path

import pytest

from tests.integration.pages_shell import run
from tests.integration.readme.pages import ROOT, steps

PAGE = ROOT / "docs" / "metrics.md"
EXAMPLES = [step for step in steps(PAGE, {}) if step.code.startswith("cat > ")]
NAMES = [step.code.split(".yaml")[0].removeprefix("cat > ") for step in EXAMPLES]


def test_every_kind_of_metric_has_an_example() -> None:
    """An example that is taken out is missed."""
    assert NAMES == [
        "zones",
        "billing",
        "late",
        "counter",
        "groups",
        "distinct",
        "gauge",
        "seats",
        "rate",
        "sliding",
        "days",
        "upsert",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_prints_what_the_page_says(name: str, tmp_path: Path) -> None:
    """Definitions, events and totals stand in the page as they are; each can be copied into a shell."""
    step = EXAMPLES[NAMES.index(name)]
    assert step.shown
    tally = tmp_path / "bin" / "tally"
    tally.parent.mkdir()
    tally.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tally "$@"\n')
    tally.chmod(0o755)
    (printed,) = run([step], tmp_path, tally.parent, {}, within_s=120)
    assert step.fits(printed), f"{step.code}\nprinted\n{printed}\nand not\n{step.shown}"
