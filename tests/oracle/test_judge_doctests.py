"""The examples in the judge's own docstrings."""

import doctest

import pytest

from tests.oracle import counting, homes, times, values


@pytest.mark.parametrize("module", [counting, homes, times, values], ids=lambda module: module.__name__)
def test_docstrings_tell_the_truth(module: object) -> None:
    """Every example in a docstring of the judge is so."""
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
