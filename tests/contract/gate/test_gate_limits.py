"""What a gate answers: limits, windows, groups, lines, decimals. Every gate keeps these promises, the fake one too."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tallygate import Check, Line, WrongGroup, layout
from tallygate.testing import FakeLimit, FakeMetric

from tests.contract.gate.world import START, World

MARCH_ENDS = datetime(2026, 4, 1, tzinfo=UTC)


def brief(answer: Check) -> tuple[bool, str, str, str, str, str]:
    """What of an answer most tests look at."""
    amounts = (answer.used, answer.reserved, answer.remaining)
    return answer.allowed, answer.reason, str(answer.window), *(str(amount) for amount in amounts)  # type: ignore[return-value]


def test_every_field_of_an_answer(world: World) -> None:
    """A check answers for the one limit with every field of the contract."""
    world.define([FakeLimit("api", 100, warn_at=("0.05", "0.1", "0.8"))])
    world.count("acme", "api", 10)
    world.reserve("acme", "api", 2)
    assert world.check("acme", "api") == Check(
        allowed=True,
        reason="ok",
        metric="api",
        used=Decimal(10),
        reserved=Decimal(2),
        limit=Decimal(100),
        remaining=Decimal(88),
        window="month",
        resets_at=MARCH_ENDS,
        warnings=(Decimal("0.05"), Decimal("0.1")),
        as_of=START,
        lag_ms=0,
    )


def test_the_limit_itself_is_allowed(world: World) -> None:
    """Used + reserved + cost may equal the limit, and not pass it."""
    world.define([FakeLimit("api", 10)])
    world.count("acme", "api", 4)
    world.reserve("acme", "api", 3)
    assert brief(world.check("acme", "api", 3)) == (True, "ok", "month", "4", "3", "3")
    assert brief(world.check("acme", "api", 4)) == (False, "limit_reached", "month", "4", "3", "3")


def test_a_cost_of_nothing(world: World) -> None:
    """A cost of 0 asks whether the limit is kept, not whether anything is left."""
    world.define([FakeLimit("api", 10)])
    world.count("acme", "api", 10)
    assert brief(world.check("acme", "api", 0)) == (True, "ok", "month", "10", "0", "0")
    world.count("acme", "api", 1)
    assert brief(world.check("acme", "api", 0)) == (False, "limit_reached", "month", "11", "0", "-1")


def test_a_check_takes_nothing(world: World) -> None:
    """However often it is asked, a check leaves everything as it is."""
    world.define([FakeLimit("api", 10)])
    for _ in range(3):
        assert brief(world.check("acme", "api", 8)) == (True, "ok", "month", "0", "0", "10")


def test_a_soft_limit_always_allows(world: World) -> None:
    """A soft limit that is passed allows and says so."""
    world.define([FakeLimit("api", 10, mode="soft")])
    world.count("acme", "api", 15)
    assert brief(world.check("acme", "api")) == (True, "soft_limit_reached", "month", "15", "0", "-5")
    assert world.reserve("acme", "api").allowed


def test_a_hard_limit_refuses_beside_a_soft_one(world: World) -> None:
    """A soft limit with less remaining does not hide the hard one that refuses."""
    world.define([FakeLimit("api", 5, window="hour", mode="soft"), FakeLimit("api", 10, window="day")])
    world.count("acme", "api", 10)
    assert brief(world.check("acme", "api")) == (False, "limit_reached", "day", "10", "0", "0")


def test_of_those_that_refuse_the_least_remaining(world: World) -> None:
    """Of several limits that refuse, the answer is for the one with the least remaining."""
    limits = [
        FakeLimit("api", 7, window="day"),
        FakeLimit("api", 3, window="hour"),
        FakeLimit("api", 20, window="month"),
    ]
    world.define(limits)
    world.count("acme", "api", 5, at=START - timedelta(hours=2))
    world.count("acme", "api", 2)
    assert brief(world.check("acme", "api", 2)) == (False, "limit_reached", "day", "7", "0", "0")


def test_of_all_the_least_remaining(world: World) -> None:
    """Where all allow, the answer is for the one with the least remaining, whatever its decimals."""
    limits = [FakeLimit("api", "7.50", window="day"), FakeLimit("api", 5, window="hour"), FakeLimit("api", 20)]
    world.define(limits)
    world.count("acme", "api", 4, at=START - timedelta(hours=2))
    assert brief(world.check("acme", "api")) == (True, "ok", "day", "4", "0", "3.5")


def test_a_customer_without_a_limit(world: World) -> None:
    """A metric that has no limit for this customer allows, with no numbers."""
    world.define([FakeLimit("api", 5, customer="other")], metrics={"free": FakeMetric()})
    world.count("acme", "api", 100)
    answer = world.check("acme", "api")
    assert (answer.allowed, answer.reason, answer.metric) == (True, "no_limit", "api")
    assert (answer.used, answer.reserved, answer.limit, answer.remaining) == (None, None, None, None)
    assert (answer.window, answer.resets_at, answer.warnings, answer.as_of) == (None, None, (), START)
    assert world.check("acme", "free").reason == "no_limit"


def test_an_unknown_metric(world: World) -> None:
    """A metric that no definition has is not allowed, beside others too."""
    world.define([FakeLimit("api", 5)])
    answer = world.check("acme", "apj")
    assert (answer.allowed, answer.reason, answer.metric) == (False, "unknown_metric", "apj")
    answer = world.reserve("acme", lines=[Line("api"), Line("apj")])
    assert (answer.allowed, answer.reason, answer.metric) == (False, "unknown_metric", "apj")
    assert world.check("acme", "api").reserved == 0


def test_the_customers_limit_before_the_one_for_all(world: World) -> None:
    """A customer's limit stands in for the one for all in its window, and in no other."""
    limits = [FakeLimit("api", 10), FakeLimit("api", 20, customer="acme"), FakeLimit("api", 15, window="day")]
    world.define(limits)
    world.count("acme", "api", 12)
    world.count("other", "api", 10)
    assert brief(world.check("acme", "api", 3)) == (True, "ok", "day", "12", "0", "3")
    assert brief(world.check("acme", "api", 4)) == (False, "limit_reached", "day", "12", "0", "3")
    assert brief(world.check("other", "api")) == (False, "limit_reached", "month", "10", "0", "0")


def test_a_grouped_line_is_held_to_both(world: World) -> None:
    """A line with a group needs room in the group's limit and in the overall one; another group only in its own."""
    m1, m2 = {"model": "m1"}, {"model": "m2"}
    world.define(
        [FakeLimit("tok", 10), FakeLimit("tok", 4, group=m1)], metrics={"tok": FakeMetric(group_by=("model",))}
    )
    world.count("acme", "tok", 3, m1)
    world.count("acme", "tok", 2, m2)
    assert brief(world.check("acme", "tok", 1, m1)) == (True, "ok", "month", "3", "0", "1")
    assert brief(world.check("acme", "tok", 2, m1)) == (False, "limit_reached", "month", "3", "0", "1")
    assert brief(world.check("acme", "tok", 2)) == (True, "ok", "month", "5", "0", "5")
    assert brief(world.check("acme", "tok", 5, m2)) == (True, "ok", "month", "5", "0", "5")
    assert brief(world.check("acme", "tok", 6, m2)) == (False, "limit_reached", "month", "5", "0", "5")


def test_a_customers_limit_for_a_group(world: World) -> None:
    """For a group, the customer's limit of that group stands in for the group's."""
    m1, m2 = {"model": "m1"}, {"model": "m2"}
    limits = [
        FakeLimit("tok", 4, group=m1),
        FakeLimit("tok", 5, group=m2),
        FakeLimit("tok", 8, group=m1, customer="acme"),
    ]
    world.define(limits, metrics={"tok": FakeMetric(group_by=("model",))})
    world.count("acme", "tok", 4, m1)
    assert brief(world.check("acme", "tok", 4, m1)) == (True, "ok", "month", "4", "0", "4")
    assert brief(world.check("other", "tok", 5, m1)) == (False, "limit_reached", "month", "0", "0", "4")
    assert brief(world.check("acme", "tok", 6, m2)) == (False, "limit_reached", "month", "0", "0", "5")


def test_groups_of_several_properties(world: World) -> None:
    """A group is the same however its properties are ordered and its numbers written."""
    group: dict[str, layout.Scalar] = {"model": "m1", "tier": 2}
    world.define([FakeLimit("tok", 4, group=group)], metrics={"tok": FakeMetric(group_by=("tier", "model"))})
    world.count("acme", "tok", 3, {"tier": Decimal("2.0"), "model": "m1"})
    assert brief(world.check("acme", "tok", 1, {"tier": 2.0, "model": "m1"})) == (True, "ok", "month", "3", "0", "1")
    assert not world.check("acme", "tok", 2, {"tier": 2, "model": "m1"})


@pytest.mark.parametrize("group", [{"model": "m1", "tier": 1}, {"modle": "m1"}])
def test_a_group_of_other_properties(world: World, group: dict[str, str]) -> None:
    """A group that is not of the metric's own properties is an error, not a line without a limit."""
    world.define([FakeLimit("tok", 4)], metrics={"tok": FakeMetric(group_by=("model",))})
    with pytest.raises(WrongGroup):
        world.check("acme", "tok", 1, group)


def test_lines_all_or_nothing(world: World) -> None:
    """A request of several lines is allowed when every limit of every line allows it, and takes all or nothing."""
    world.define([FakeLimit("api", 10), FakeLimit("tok", 100)])
    world.count("acme", "tok", 60)
    answer = world.reserve("acme", lines=[Line("api", 3), Line("tok", 50)])
    assert (answer.metric, *brief(answer)) == ("tok", False, "limit_reached", "month", "60", "0", "40")
    assert world.check("acme", "api").reserved == 0
    answer = world.reserve("acme", lines=[Line("api", 3), Line("tok", 40)])
    assert (answer.metric, *brief(answer)) == ("tok", True, "ok", "month", "60", "40", "0")
    assert world.check("acme", "api").reserved == 3


def test_lines_of_one_metric_add_up(world: World) -> None:
    """Several groups of one metric in one request together have to fit into its overall limit."""
    world.define([FakeLimit("tok", 10)], metrics={"tok": FakeMetric(group_by=("model",))})
    lines = [Line("tok", 6, {"model": "m1"}), Line("tok", 5, {"model": "m2"})]
    assert brief(world.check("acme", lines=lines)) == (False, "limit_reached", "month", "0", "0", "10")
    assert brief(world.reserve("acme", lines=[lines[0], Line("tok", 4, {"model": "m2"})])) == (
        (True, "ok", "month", "0", "10", "0")
    )


def test_decimals_are_exact(world: World) -> None:
    """A limit of 0.3 takes 0.1 three times, and not a fourth time."""
    world.define([FakeLimit("usd", "0.3")])
    for _ in range(2):
        world.count("acme", "usd", "0.1")
    assert brief(world.check("acme", "usd", "0.1")) == (True, "ok", "month", "0.2", "0", "0.1")
    world.reserve("acme", "usd", "0.1")
    assert brief(world.check("acme", "usd", "0.1")) == (False, "limit_reached", "month", "0.2", "0.1", "0")


def test_amounts_are_rounded_up_to_the_limits_decimals(world: World) -> None:
    """What is used, held and asked for counts at each limit's own decimals, rounded up."""
    world.define([FakeLimit("usd", 10), FakeLimit("usd", "20.00", window="day")])
    world.count("acme", "usd", "8.001")
    assert brief(world.check("acme", "usd", "0.001")) == (True, "ok", "month", "9", "0", "1")
    assert brief(world.check("acme", "usd", "1.001")) == (False, "limit_reached", "month", "9", "0", "1")
    world.define([FakeLimit("usd", 100), FakeLimit("usd", "20.00", window="day")])
    assert brief(world.check("acme", "usd", "11.981")) == (True, "ok", "day", "8.01", "0", "11.99")
    assert brief(world.check("acme", "usd", "11.991")) == (False, "limit_reached", "day", "8.01", "0", "11.99")


def test_totals_below_zero(world: World) -> None:
    """A total below zero leaves more than the limit."""
    world.define([FakeLimit("usd", "5.5"), FakeLimit("usd", 7, window="day")])
    world.count("acme", "usd", "-2.25")
    assert brief(world.check("acme", "usd", "7.7")) == (True, "ok", "month", "-2.2", "0", "7.7")
    assert brief(world.check("acme", "usd", "7.71")) == (False, "limit_reached", "month", "-2.2", "0", "7.7")


def test_large_amounts(world: World) -> None:
    """Amounts of sixteen digits are compared to the last one; larger ones never fit."""
    world.define([FakeLimit("big", 9_007_199_254_740_990)])
    world.count("acme", "big", 9_007_199_254_740_980)
    assert brief(world.check("acme", "big", 10)) == (True, "ok", "month", "9007199254740980", "0", "10")
    assert not world.check("acme", "big", 11)
    assert not world.check("acme", "big", 10**30)


def test_a_gauge_is_gated_on_its_state(world: World) -> None:
    """A limit on a gauge stands on its present state, without a window, from its initial value on."""
    world.define(
        [FakeLimit("seats", 10, window=None), FakeLimit("seats", 4, window=None, group={"plan": "pro"})],
        metrics={"seats": FakeMetric(gauge=True, initial_value=2, group_by=("plan",))},
    )
    answer = world.check("acme", "seats")
    assert (*brief(answer), answer.resets_at) == (True, "ok", "None", "2", "0", "8", None)
    world.set_state("acme", "seats", 7)
    world.set_state("acme", "seats", 3, {"plan": "pro"})
    assert brief(world.check("acme", "seats", 3)) == (True, "ok", "None", "7", "0", "3")
    assert brief(world.check("acme", "seats", 2, {"plan": "pro"})) == (False, "limit_reached", "None", "3", "0", "1")
    world.reserve("acme", "seats", 1, group={"plan": "pro"})
    assert brief(world.check("acme", "seats", 3)) == (False, "limit_reached", "None", "7", "1", "2")
    world.set_state("acme", "seats", 1)
    assert brief(world.check("acme", "seats", 8)) == (True, "ok", "None", "1", "1", "8")


@pytest.mark.parametrize(
    "window, ends",
    [
        ("minute", "2026-03-05T12:01:00+00:00"),
        ("hour", "2026-03-05T13:00:00+00:00"),
        ("day", "2026-03-06T00:00:00+00:00"),
        ("week", "2026-03-09T00:00:00+00:00"),
        ("month", "2026-04-01T00:00:00+00:00"),
        ("quarter", "2026-04-01T00:00:00+00:00"),
        ("year", "2027-01-01T00:00:00+00:00"),
        ("billing_period", "2026-04-01T00:00:00+00:00"),
    ],
)
def test_a_window_turns(world: World, window: str, ends: str) -> None:
    """A total counts in the window that holds now, whose end is answered also before its first event."""
    world.define([FakeLimit("api", 10, window=window)])
    end = datetime.fromisoformat(ends)
    assert world.check("never-seen", "api").resets_at == end
    world.count("acme", "api", 10, at=end - timedelta(microseconds=1))
    answer = world.check("acme", "api")
    assert (*brief(answer), answer.resets_at) == (False, "limit_reached", window, "10", "0", "0", end)
    world.advance(end - world.now - timedelta(microseconds=1))
    assert brief(world.check("acme", "api")) == (False, "limit_reached", window, "10", "0", "0")
    world.advance(timedelta(microseconds=1))
    answer = world.check("acme", "api")
    assert brief(answer) == (True, "ok", window, "0", "0", "10")
    assert answer.resets_at is not None
    assert answer.resets_at > end
    world.count("acme", "api", 4)
    assert brief(world.check("acme", "api")) == (True, "ok", window, "4", "0", "6")


def test_all_time_never_resets(world: World) -> None:
    """The window `total` has no end."""
    world.define([FakeLimit("api", 10, window="total")])
    assert (*brief(world.check("acme", "api")), world.check("acme", "api").resets_at) == (
        (True, "ok", "total", "0", "0", "10", None)
    )
    world.count("acme", "api", 9, at=START - timedelta(days=900))
    assert brief(world.check("acme", "api", 2)) == (False, "limit_reached", "total", "9", "0", "1")


def test_an_alias_is_its_customer(world: World) -> None:
    """An alias has its customer's totals, limits and holds."""
    world.define([FakeLimit("api", 10), FakeLimit("api", 20, customer="acme")], aliases={"acct_42": "acme"})
    world.count("acme", "api", 12)
    assert brief(world.reserve("acct_42", "api", 3, id="r")) == (True, "ok", "month", "12", "3", "5")
    assert brief(world.check("acme", "api")) == (True, "ok", "month", "12", "3", "5")
    assert world.release("acct_42", "r").released
    assert brief(world.check("acct_42", "api")) == (True, "ok", "month", "12", "0", "8")


def test_an_answer_is_true_where_it_allows(world: World) -> None:
    """`if gate.check(...)` means what it says."""
    world.define([FakeLimit("api", 1)])
    assert world.check("acme", "api")
    assert not world.check("acme", "api", 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"metric": "api", "cost": -1},
        {"metric": "api", "cost": "NaN"},
        {"metric": "api", "cost": "1e99"},
        {"metric": "api", "cost": "many"},
        {"metric": "api", "max_staleness": -1},
        {"metric": "api", "group": {"model": None}},
        {"metric": "a{b"},
        {"metric": "api", "lines": [Line("api")]},
        {"lines": []},
        {},
    ],
)
def test_a_wrong_request(world: World, wrong: dict[str, object]) -> None:
    """A request that makes no sense is a ValueError, and nothing is asked."""
    world.define([FakeLimit("api", 1)])
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ, the kind is the promise
        world.check("acme", **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("customer", ["", "x" * 257, "a\nb", True, 1.5])
def test_a_wrong_customer(world: World, customer: object) -> None:
    """A customer's id is 1 to 256 bytes without control characters, or an integer."""
    world.define([FakeLimit("api", 1)])
    with pytest.raises(ValueError, match="customer"):
        world.check(customer, "api")  # type: ignore[arg-type]


def test_an_integer_is_its_digits(world: World) -> None:
    """A customer given as an integer is the one whose id is its digits."""
    world.define([FakeLimit("api", 5)])
    world.count("42", "api", 5)
    assert not world.check(42, "api")  # type: ignore[arg-type]
