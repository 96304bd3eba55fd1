"""Which limit holds a total: the customer's own before everybody's, and a group's beside the overall one."""

from decimal import Decimal

from schemas.definitions import Limit
from stream.limits import OVERALL, Limits, Threshold, decimals_of, thresholds


def limit(amount: str, **fields: object) -> Limit:
    """A limit on `calls` in the month, unless the fields say otherwise."""
    return Limit(**{"metric": "calls", "window": "month", "limit": Decimal(amount), **fields})  # type: ignore[arg-type]


SHARED = limit("100")
DAILY = limit("10", window="day")
ACME = limit("500", customer="acme")
MODEL = limit("50.0", group={"model": "m1"})
ACME_MODEL = limit("70.25", customer="acme", group={"model": "m1"})
GAUGE = limit("5", metric="seats", window=None)
LIMITS = Limits([SHARED, DAILY, ACME, MODEL, ACME_MODEL, GAUGE])


def test_a_customers_own_limit_stands_in_place_of_everybodys() -> None:
    """It replaces the shared one in its own window only, also where it is higher."""
    assert LIMITS.of("acme", "calls", "month") is ACME
    assert LIMITS.of("bolt", "calls", "month") is SHARED
    assert LIMITS.of("acme", "calls", "day") is DAILY


def test_a_group_has_the_customers_limit_else_its_own() -> None:
    """A group that no limit names has none, whatever stands on the overall total."""
    assert LIMITS.of("acme", "calls", "month", '{"model":"m1"}') is ACME_MODEL
    assert LIMITS.of("bolt", "calls", "month", '{"model":"m1"}') is MODEL
    assert LIMITS.of("acme", "calls", "month", '{"model":"m2"}') is None


def test_a_grouped_cost_is_held_to_both_totals() -> None:
    """The overall total's limit comes first, then the group's; without a group there is the first alone."""
    assert LIMITS.holding("acme", "calls", "month", {"model": "m1"}) == (ACME, ACME_MODEL)
    assert LIMITS.holding("bolt", "calls", "month", {"model": "m2"}) == (SHARED,)
    assert LIMITS.holding("bolt", "calls", "month") == (SHARED,)
    assert LIMITS.holding("bolt", "tokens", "month") == ()


def test_groups_are_the_same_when_their_values_are() -> None:
    """1 and 1.0 are one group, true and "1" are others, and the order of the properties says nothing."""
    limits = Limits([limit("1", group={"tier": Decimal("1.0"), "beta": True})])
    assert len(limits.holding("a", "calls", "month", {"beta": True, "tier": 1})) == 1
    assert limits.holding("a", "calls", "month", {"beta": True, "tier": "1"}) == ()
    assert limits.holding("a", "calls", "month", {"beta": 1, "tier": 1}) == ()


def test_a_limit_on_a_gauge_has_no_window() -> None:
    """It holds the present state."""
    assert LIMITS.of("bolt", "seats", None, OVERALL) is GAUGE
    assert LIMITS.of("bolt", "seats", "month") is None


def test_limits_say_where_they_stand_and_to_how_many_decimals() -> None:
    """A metric's amounts are scaled by the most decimals that any of its limits was written with."""
    assert LIMITS.windows == {"calls": ("month", "day"), "seats": (None,)}
    assert LIMITS.decimals == {"calls": 2, "seats": 0}
    assert (decimals_of(limit("1E+3")), decimals_of(limit("10.50"))) == (0, 2)


def test_thresholds_are_exact_and_end_with_the_limit_itself() -> None:
    """Shares are multiplied without rounding, and the limit is threshold 1."""
    fullest = limit("900719925474099.1", warn_at=(Decimal("0.000001"), Decimal("0.999999")))
    assert thresholds(fullest) == (
        Threshold("0.000001", Decimal("900719925.4740991")),
        Threshold("0.999999", Decimal("900719024754173.6259009")),
        Threshold("1", Decimal("900719925474099.1")),
    )
