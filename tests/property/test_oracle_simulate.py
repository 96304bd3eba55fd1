"""The product against the judge, on random definitions and events."""

from random import Random

from hypothesis import HealthCheck, given, settings, strategies as st

from tests.against import compare
from tests.generators.cases import make_case, shrink
from tests.generators.definitions import FEATURES

READY = FEATURES


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(number=st.integers(min_value=0, max_value=2**40))
def test_simulate_equals_the_recount(number: int) -> None:
    """Rows, refusals, duplicates and late counts of a file equal those of the naive recount."""
    case = make_case(Random(number), READY)
    if compare(case) is not None:
        smallest = shrink(case, lambda smaller: compare(smaller) is not None)
        raise AssertionError(f"{compare(smallest)}\n{smallest!r}")
