"""The examples in docstrings are true."""

import doctest
import importlib

import pytest

MODULES = (
    "schemas.durations",
    "schemas.definitions",
    "schemas.faults",
    "schemas.totals",
    "schemas.reading.shapes",
    "schemas.reading.metrics",
    "stream.limits",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run_as_written(name: str) -> None:
    """Each `>>>` gives what stands below it, and there is at least one."""
    result = doctest.testmod(importlib.import_module(name))
    assert (result.failed, result.attempted > 0) == (0, True)
