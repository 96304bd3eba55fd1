"""docs/metrics.md says what the program does."""

import re
from pathlib import Path

import pytest

from schemas.definitions import AGGREGATIONS, KINDS, OPERATORS
from schemas.faults import Faults
from schemas.load import load
from schemas.reading.document import document
from schemas.reading.fields import COMMON, CUSTOMERS, EVENTS, LIMIT, OWN
from schemas.reading.records import Object

REFERENCE = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", REFERENCE, re.MULTILINE | re.DOTALL)


def test_every_example_of_the_reference_is_right() -> None:
    """Each whole file in it can be copied as it is."""
    files = [block for block in BLOCKS if block.startswith("metrics:")]
    assert [list(load(block).metrics) for block in files] == [
        ["api_requests"],
        ["paid_requests"],
        ["seats"],
        ["invoiced"],
    ]


def test_every_field_and_word_stands_in_the_reference() -> None:
    """A field that is added to the file is added to its reference."""
    assert isinstance(CUSTOMERS.value, Object)
    assert isinstance(EVENTS.value, Object)
    tables = [document({}).fields, COMMON, *OWN.values(), CUSTOMERS.value.fields, EVENTS.value.fields, LIMIT.fields]
    words = {name for table in tables for name in table} | {*KINDS, *OPERATORS}
    words |= {name for names in AGGREGATIONS.values() for name in names}
    assert sorted(word for word in words if not re.search(rf"\b{word}\b", REFERENCE)) == []


SLIPS = """\
metrics:
  api_requests:
    event_name: api_request
    type: counter
    aggregation: count
    # how often
    windows: [hour, day, hourly]
    # which ones
    filter: []
"""


def test_the_sample_faults_are_what_is_told() -> None:
    """The messages in the reference are the program's own, to the letter."""
    with pytest.raises(Faults) as found:
        load(SLIPS)
    assert f"```text\n{found.value}\n```" in REFERENCE
