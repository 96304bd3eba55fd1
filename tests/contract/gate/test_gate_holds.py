"""Holds: taken once, settled by their event, lapsing by freshness. Every gate keeps these promises."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tallygate import Line, OtherLines
from tallygate.testing import FakeLimit, FakeMetric

from tests.contract.gate.test_gate_limits import brief
from tests.contract.gate.world import START, World


def test_a_hold_takes_its_place(world: World) -> None:
    """A reservation answers with what is left after it, its id, and the time that its event should carry."""
    world.define([FakeLimit("api", 10)])
    world.advance(timedelta(microseconds=123))
    answer = world.reserve("acme", "api", 4, id="r-1")
    assert brief(answer) == (True, "ok", "month", "0", "4", "6")
    assert (answer.id, answer.at) == ("r-1", START + timedelta(microseconds=123))
    assert brief(world.check("acme", "api")) == (True, "ok", "month", "0", "4", "6")


def test_a_refused_hold_takes_nothing(world: World) -> None:
    """A reservation that is refused leaves no hold, and its numbers are those before it."""
    world.define([FakeLimit("api", 10)])
    answer = world.reserve("acme", "api", 11, id="r-1")
    assert (*brief(answer), answer.at) == (False, "limit_reached", "month", "0", "0", "10", None)
    assert brief(world.check("acme", "api")) == (True, "ok", "month", "0", "0", "10")
    assert brief(world.reserve("acme", "api", 10, id="r-1")) == (True, "ok", "month", "0", "10", "0")


def test_a_hold_of_nothing(world: World) -> None:
    """A line may cost nothing: its hold takes no place, and is settled, released and forgotten like any other."""
    world.define([FakeLimit("api", 10), FakeLimit("usd", "1.50")])
    lines = [Line("api", 0), Line("usd", "0.00")]
    for id_ in ("r-1", "r-2", "r-3"):
        assert world.reserve("acme", lines=lines, id=id_, ttl=60).allowed
    assert brief(world.check("acme", "api")) == (True, "ok", "month", "0", "0", "10")
    world.settle("acme", "r-1")
    assert world.reserve("acme", lines=lines, id="r-1").reason == "settled"
    assert world.release("acme", "r-2").released
    world.define([FakeLimit("api", "10.5")], metrics={"usd": FakeMetric()})
    world.advance(60)
    assert not world.release("acme", "r-3")
    assert brief(world.reserve("acme", "api", "10.5")) == (True, "ok", "month", "0", "10.5", "0")


def test_ids_are_made(world: World) -> None:
    """Without an id, each reservation is a hold of its own."""
    world.define([FakeLimit("api", 2)])
    first, second = world.reserve("acme", "api"), world.reserve("acme", "api")
    assert first.id != second.id
    assert not world.reserve("acme", "api")


def test_the_same_id_is_the_same_hold(world: World) -> None:
    """Repeated, with the lines in any order, a reservation is the hold that is there: nothing more is taken."""
    world.define([FakeLimit("api", 10), FakeLimit("tok", 100)])
    lines = [Line("tok", 30), Line("api", 7)]
    first = world.reserve("acme", lines=lines, id="r-1")
    world.advance(5)
    again = world.reserve("acme", lines=lines[::-1], id="r-1")
    assert brief(again) == (True, "ok", "month", "0", "7", "3")
    assert again.at == first.at == START
    assert brief(world.check("acme", "tok")) == (True, "ok", "month", "0", "30", "70")


def test_the_same_id_keeps_its_place(world: World) -> None:
    """A hold that is there is allowed again, also when since then the limit has been reached or the totals are stale."""
    world.define([FakeLimit("api", 10)])
    world.reserve("acme", "api", 7, id="r-1", ttl=3600)
    world.count("acme", "api", 5)
    assert brief(world.reserve("acme", "api", 7, id="r-1")) == (True, "ok", "month", "5", "7", "-2")
    world.stall()
    world.advance(60)
    assert brief(world.reserve("acme", "api", 7, id="r-1")) == (True, "ok", "month", "5", "7", "-2")
    assert not world.reserve("acme", "api", 0, id="r-2")


def test_the_same_id_does_not_live_longer(world: World) -> None:
    """Repeating a reservation does not put its deadline off."""
    world.define([FakeLimit("api", 10)])
    world.reserve("acme", "api", 7, id="r-1", ttl=60)
    world.advance(59)
    world.reserve("acme", "api", 7, id="r-1", ttl=60)
    world.advance(1)
    assert world.check("acme", "api").reserved == 0


@pytest.mark.parametrize(
    "lines",
    [
        [Line("api", 8)],
        [Line("api", 7), Line("tok", 1)],
        [Line("tok", 7)],
        [Line("api", 7, {"model": "m1"})],
    ],
)
def test_the_same_id_with_other_lines(world: World, lines: list[Line]) -> None:
    """The same id with other lines is an error, and the hold stays as it is."""
    world.define([FakeLimit("api", 10), FakeLimit("tok", 10)], metrics={"api": FakeMetric(group_by=("model",))})
    world.reserve("acme", "api", 7, id="r-1")
    with pytest.raises(OtherLines):
        world.reserve("acme", lines=lines, id="r-1")
    assert brief(world.check("acme", "api")) == (True, "ok", "month", "0", "7", "3")
    assert world.check("acme", "tok").reserved == 0


def test_costs_are_the_same_by_value(world: World) -> None:
    """7 and 7.0 are the same cost."""
    world.define([FakeLimit("api", 10)])
    world.reserve("acme", "api", 7, id="r-1")
    assert world.reserve("acme", "api", "7.0", id="r-1").allowed


def test_an_id_is_its_customers(world: World) -> None:
    """Two customers may use one id."""
    world.define([FakeLimit("api", 10)])
    world.reserve("acme", "api", 7, id="r-1")
    assert brief(world.reserve("other", "api", 3, id="r-1")) == (True, "ok", "month", "0", "3", "7")


def test_an_event_settles_its_hold(world: World) -> None:
    """The event raises the total and gives the hold's place back in one step; the id is then `settled`."""
    world.define([FakeLimit("api", 10)])
    world.reserve("acme", "api", 6, id="r-1")
    world.count("acme", "api", 5, reservation="r-1")
    assert brief(world.check("acme", "api")) == (True, "ok", "month", "5", "0", "5")
    answer = world.reserve("acme", "api", 6, id="r-1")
    assert (*brief(answer), answer.at) == (False, "settled", "month", "5", "0", "5", None)
    world.count("acme", "api", 1, reservation="r-1")
    assert brief(world.check("acme", "api")) == (True, "ok", "month", "6", "0", "4")


def test_settling_leaves_other_holds(world: World) -> None:
    """Only the hold that an event names is settled."""
    world.define([FakeLimit("api", 10)])
    world.reserve("acme", "api", 2, id="r-1")
    world.reserve("acme", "api", 3, id="r-2")
    world.settle("acme", "r-1")
    world.settle("acme", "r-1")
    assert brief(world.check("acme", "api")) == (True, "ok", "month", "0", "3", "7")
    world.settle("acme", "r-2")
    assert brief(world.check("acme", "api")) == (True, "ok", "month", "0", "0", "10")


def test_an_event_may_come_before_its_reservation_is_repeated(world: World) -> None:
    """An id that was settled without a hold is settled, and takes none."""
    world.define([FakeLimit("api", 10)])
    world.settle("acme", "r-1")
    assert world.reserve("acme", "api", 1, id="r-1").reason == "settled"
    assert world.check("acme", "api").reserved == 0


def test_a_settled_id_is_remembered_for_two_hours(world: World) -> None:
    """After two hours a settled id may be used again, and not before."""
    world.define([FakeLimit("api", 10)])
    world.reserve("acme", "api", 6, id="r-1")
    world.settle("acme", "r-1")
    world.advance(timedelta(hours=2) - timedelta(microseconds=1))
    assert world.reserve("acme", "api", 6, id="r-1").reason == "settled"
    world.advance(timedelta(microseconds=1))
    assert world.reserve("acme", "api", 6, id="r-1").reason == "ok"


def test_a_hold_given_back(world: World) -> None:
    """A release gives the place back, once; what is settled, lapsed or unknown it says."""
    world.define([FakeLimit("api", 10)])
    world.reserve("acme", "api", 6, id="r-1")
    assert world.release("acme", "r-1").reason == "ok"
    assert brief(world.check("acme", "api")) == (True, "ok", "month", "0", "0", "10")
    assert (world.release("acme", "r-1").released, world.release("acme", "r-1").reason) == (False, "unknown")
    world.reserve("acme", "api", 6, id="r-2")
    world.settle("acme", "r-2")
    assert (world.release("acme", "r-2").released, world.release("acme", "r-2").reason) == (False, "settled")
    assert brief(world.reserve("acme", "api", 3, id="r-1", ttl=1)) == (True, "ok", "month", "0", "3", "7")
    world.advance(1)
    assert (world.release("acme", "r-1").released, world.release("never-seen", "r").reason) == (False, "unknown")
    assert brief(world.check("acme", "api")) == (True, "ok", "month", "0", "0", "10")


def test_a_hold_lapses_by_freshness_not_by_the_clock(world: World) -> None:
    """A hold is there until the totals are fresh past its deadline, however late the clock."""
    world.define([FakeLimit("api", 10, max_staleness=3600)])
    world.reserve("acme", "api", 6, id="r-1", ttl=60)
    world.stall()
    world.advance(600)
    deadline = START + timedelta(seconds=60)
    for fresh in (START, deadline - timedelta(microseconds=1)):
        world.freshen(fresh)
        assert brief(world.check("acme", "api", 5)) == (False, "limit_reached", "month", "0", "6", "4")
        assert brief(world.reserve("acme", "api", 5)) == (False, "limit_reached", "month", "0", "6", "4")
    world.freshen(deadline)
    assert brief(world.check("acme", "api", 5)) == (True, "ok", "month", "0", "0", "10")
    assert brief(world.reserve("acme", "api", 10)) == (True, "ok", "month", "0", "10", "0")


def test_a_lapsed_id_may_be_used_again(world: World) -> None:
    """After it lapsed, a reservation of the same id is a new hold, with any lines."""
    world.define([FakeLimit("api", 10)])
    world.reserve("acme", "api", 6, id="r-1", ttl=60)
    world.advance(60)
    answer = world.reserve("acme", "api", 7, id="r-1", ttl=60)
    assert (*brief(answer), answer.at) == (True, "ok", "month", "0", "7", "3", START + timedelta(seconds=60))
    world.advance(59)
    assert world.check("acme", "api").reserved == 7


def test_an_event_after_the_lapse_counts(world: World) -> None:
    """An event whose hold has lapsed raises the total all the same, and gives nothing back."""
    world.define([FakeLimit("api", 10)])
    world.reserve("acme", "api", 6, id="r-1", ttl=60)
    world.reserve("acme", "api", 4, id="r-2", ttl=3600)
    world.advance(60)
    world.count("acme", "api", 6, reservation="r-1")
    assert brief(world.check("acme", "api")) == (False, "limit_reached", "month", "6", "4", "0")


@pytest.mark.parametrize("ttl", [0, -1, 3601, 4000.5])
def test_a_time_to_live_has_bounds(world: World, ttl: float) -> None:
    """A time to live is above 0 and at most an hour."""
    world.define([FakeLimit("api", 10)])
    with pytest.raises(ValueError, match="ttl"):
        world.reserve("acme", "api", ttl=ttl)


def test_a_window_turns_during_a_hold(world: World) -> None:
    """A hold counts in the windows that hold its time, not in those that came after it."""
    world.define([FakeLimit("api", 10, window="hour"), FakeLimit("api", 15, window="day")])
    world.advance(3599)
    world.reserve("acme", "api", 10, id="r-1", ttl=60)
    assert brief(world.check("acme", "api")) == (False, "limit_reached", "hour", "0", "10", "0")
    world.advance(1)
    assert brief(world.check("acme", "api", 5)) == (True, "ok", "day", "0", "10", "5")
    assert brief(world.reserve("acme", "api", 5, id="r-2", ttl=60)) == (True, "ok", "day", "0", "15", "0")
    world.count("acme", "api", 10, at=START + timedelta(seconds=3599), reservation="r-1")
    assert brief(world.check("acme", "api", 0)) == (True, "ok", "day", "10", "5", "0")
    world.advance(60)
    assert brief(world.check("acme", "api", 0)) == (True, "ok", "day", "10", "0", "5")


def test_a_hold_on_a_group_counts_overall(world: World) -> None:
    """A grouped hold takes its place in the group and in the overall total, and gives both back."""
    m1, m2 = {"model": "m1"}, {"model": "m2"}
    limits = [FakeLimit("tok", 10), FakeLimit("tok", 5, group=m1), FakeLimit("tok", 5, group=m2)]
    world.define(limits, metrics={"tok": FakeMetric(group_by=("model",))})
    world.reserve("acme", "tok", 4, id="r-1", group=m1)
    assert brief(world.check("acme", "tok", 1, m1)) == (True, "ok", "month", "0", "4", "1")
    assert brief(world.check("acme", "tok", 1, m2)) == (True, "ok", "month", "0", "0", "5")
    assert brief(world.check("acme", "tok", 7)) == (False, "limit_reached", "month", "0", "4", "6")
    world.count("acme", "tok", 4, m1, reservation="r-1")
    assert brief(world.check("acme", "tok", 2, m1)) == (False, "limit_reached", "month", "4", "0", "1")
    assert brief(world.check("acme", "tok", 6)) == (True, "ok", "month", "4", "0", "6")


def test_a_hold_of_several_lines_is_settled_whole(world: World) -> None:
    """One event settles all lines of its hold, release gives all back."""
    world.define([FakeLimit("api", 10), FakeLimit("usd", "1.00")])
    lines = [Line("api", 2), Line("usd", "0.305")]
    world.reserve("acme", lines=lines, id="r-1")
    world.reserve("acme", lines=lines, id="r-2")
    assert brief(world.check("acme", "usd", 0)) == (True, "ok", "month", "0", "0.62", "0.38")
    world.count("acme", "api", 2, reservation="r-1")
    assert brief(world.check("acme", "api", 0)) == (True, "ok", "month", "2", "2", "6")
    assert brief(world.check("acme", "usd", 0)) == (True, "ok", "month", "0", "0.31", "0.69")
    world.release("acme", "r-2")
    assert brief(world.check("acme", "api", 0)) == (True, "ok", "month", "2", "0", "8")
    assert brief(world.check("acme", "usd", 0)) == (True, "ok", "month", "0", "0", "1")


def test_a_hold_without_a_limit(world: World) -> None:
    """A hold on what has no limit is a hold: it is the same again, can be settled and given back."""
    world.define([], metrics={"free": FakeMetric()})
    answer = world.reserve("acme", "free", 6, id="r-1")
    assert (answer.allowed, answer.reason, answer.at) == (True, "no_limit", START)
    with pytest.raises(OtherLines):
        world.reserve("acme", "free", 7, id="r-1")
    assert world.reserve("acme", "free", 6, id="r-1").reason == "no_limit"
    world.settle("acme", "r-1")
    assert world.reserve("acme", "free", 6, id="r-1").reason == "settled"


def test_other_limits_while_holds_are_open(world: World) -> None:
    """When limits change, open holds count in the new ones: finer decimals, other windows, groups, metrics."""
    m1 = {"model": "m1"}
    metrics = {"usd": FakeMetric(group_by=("model",)), "api": FakeMetric(), "gone": FakeMetric()}
    world.define([FakeLimit("usd", 10), FakeLimit("gone", 9)], metrics=metrics)
    world.reserve("acme", lines=[Line("usd", "1.234", m1), Line("api", 5), Line("gone", 1)], id="r-1", ttl=600)
    world.reserve("acme", "usd", "0.001", id="r-2", ttl=600)
    assert brief(world.check("acme", "usd", 0)) == (True, "ok", "month", "0", "3", "7")
    del metrics["gone"]
    limits = [
        FakeLimit("usd", "10.00"),
        FakeLimit("usd", "2.0", window="hour", customer="acme"),
        FakeLimit("usd", "5.555", group=m1),
        FakeLimit("api", 8, window="total"),
    ]
    world.define(limits, metrics=metrics)
    for _ in range(2):  # by a check, which only reads, and after a reservation, which makes the sums anew
        assert brief(world.check("acme", "usd", 0)) == (True, "ok", "hour", "0", "1.3", "0.7")
        assert brief(world.check("acme", "usd", 0, m1)) == (True, "ok", "hour", "0", "1.3", "0.7")
        assert brief(world.check("acme", "api", 0)) == (True, "ok", "total", "0", "5", "3")
        assert brief(world.reserve("acme", "api", 4, id="r-3")) == (False, "limit_reached", "total", "0", "5", "3")
    world.define(limits[2:], metrics=metrics)
    assert brief(world.check("acme", "usd", 0, m1)) == (True, "ok", "month", "0", "1.234", "4.321")
    world.count("acme", "api", 1, reservation="r-1")
    assert brief(world.check("acme", "usd", 0, m1)) == (True, "ok", "month", "0", "0", "5.555")
    assert brief(world.reserve("acme", "api", 4, id="r-3")) == (True, "ok", "total", "1", "4", "3")
    world.define([FakeLimit("usd", 1)], metrics=metrics)
    world.settle("acme", "r-2")
    assert brief(world.check("acme", "usd", 0)) == (True, "ok", "month", "0", "0", "1")


def test_limits_that_come_back(world: World) -> None:
    """A limit that was gone for a while and comes back counts the holds that are open then, and no others."""
    before = [FakeLimit("api", 10, window="hour"), FakeLimit("api", 20), FakeLimit("tok", 9)]
    world.define(before)
    world.reserve("acme", "api", 4, id="r-1")
    world.define(before[1:])
    world.reserve("acme", "tok", 3, id="r-2")
    world.settle("acme", "r-1")
    world.define(before)
    world.reserve("acme", "tok", 1, id="r-3")
    assert brief(world.check("acme", "api")) == (True, "ok", "hour", "0", "0", "10")
    assert brief(world.check("acme", "tok")) == (True, "ok", "month", "0", "4", "5")


def test_settled_before_the_sums_are_made_anew(world: World) -> None:
    """A hold settled between a change of limits and the next reservation gives back what it took, and no more."""
    world.define([FakeLimit("usd", 10)])
    world.reserve("acme", "usd", "1.5", id="r-1")
    world.reserve("acme", "usd", "2.5", id="r-2")
    world.define([FakeLimit("usd", "10.0")])
    world.settle("acme", "r-1")
    assert brief(world.check("acme", "usd", 0)) == (True, "ok", "month", "0", "2.5", "7.5")
    assert brief(world.reserve("acme", "usd", "7.5")) == (True, "ok", "month", "0", "10", "0")


def test_stale_totals(world: World) -> None:
    """Past the staleness that the call or the limit allows, the answer is `stale`: hard limits deny, soft ones allow."""
    limits = [FakeLimit("hard", 10), FakeLimit("soft", 10, mode="soft"), FakeLimit("brave", 10, on_stale="allow")]
    limits += [FakeLimit("strict", 10, mode="soft", on_stale="deny"), FakeLimit("patient", 10, max_staleness=60)]
    world.define(limits)
    world.stall()
    world.advance(10)
    for metric in ("hard", "soft", "brave", "strict", "patient"):
        assert brief(world.check("acme", metric)) == (True, "ok", "month", "0", "0", "10")
    world.advance(timedelta(microseconds=1))
    answers = {metric: world.check("acme", metric) for metric in ("hard", "soft", "brave", "strict", "patient")}
    assert {metric: (answer.allowed, answer.reason) for metric, answer in answers.items()} == {
        "hard": (False, "stale"),
        "soft": (True, "stale"),
        "brave": (True, "stale"),
        "strict": (False, "stale"),
        "patient": (True, "ok"),
    }
    assert (answers["hard"].as_of, answers["hard"].lag_ms) == (START, 10_000)
    assert world.check("acme", "hard", max_staleness=11).reason == "ok"
    assert world.check("acme", "patient", max_staleness=timedelta(seconds=5)).reason == "stale"
    assert world.reserve("acme", "hard", max_staleness=60).reason == "ok"
    assert world.reserve("acme", "hard").reason == "stale"
    world.resume()
    assert brief(world.check("acme", "hard")) == (True, "ok", "month", "0", "1", "9")


def test_stale_beside_reached(world: World) -> None:
    """A limit that is stale for one may be fresh enough for another; the one that refuses is answered for."""
    world.define([FakeLimit("api", 5, window="hour", on_stale="allow"), FakeLimit("api", 50, max_staleness=600)])
    world.count("acme", "api", 49)
    world.stall()
    world.advance(60)
    assert brief(world.check("acme", "api", 1)) == (True, "stale", "hour", "49", "0", "-44")
    assert brief(world.check("acme", "api", 2)) == (False, "limit_reached", "month", "49", "0", "1")


def test_never_fresh(world: World) -> None:
    """Where the totals are not there yet, the answer is stale, never a silent zero."""
    world.define([FakeLimit("api", 10), FakeLimit("soft", 10, mode="soft")])
    world.freshen(None)
    answer = world.check("acme", "api", max_staleness=10**6)
    assert (answer.allowed, answer.reason, answer.as_of, answer.lag_ms) == (False, "stale", None, None)
    assert world.check("acme", "soft").reason == "stale"


def test_a_quiet_customer_is_as_fresh_as_its_partition(world: World) -> None:
    """A customer without new events, or never seen, is fresh as long as its partition is."""
    world.define([FakeLimit("api", 10)])
    world.count("acme", "api", 3)
    world.advance(timedelta(days=3))
    now = datetime(2026, 3, 8, 12, tzinfo=UTC)
    assert [world.check(name, "api").as_of for name in ("acme", "never-seen")] == [now, now]
    assert brief(world.check("never-seen", "api", 10)) == (True, "ok", "month", "0", "0", "10")
    assert world.check("acme", "api").used == Decimal(3)


def test_total_and_holds_never_pass_a_limit(world: World) -> None:
    """Whatever is reserved, settled, released and counted in time, total and holds together keep to the limit."""
    world.define([FakeLimit("api", 100)])
    admitted = [r for r in (world.reserve("acme", "api", 7, id=f"r{n}") for n in range(20)) if r.allowed]
    assert len(admitted) == 14
    for n, one in enumerate(admitted):
        if n % 3:
            world.count("acme", "api", 7 - n % 2, reservation=one.id)
        else:
            world.release("acme", one.id)
        answer = world.check("acme", "api", 0)
        assert answer.used is not None
        assert answer.reserved is not None
        assert answer.used + answer.reserved <= 100
    assert brief(world.check("acme", "api", 0)) == (True, "ok", "month", "58", "0", "42")
