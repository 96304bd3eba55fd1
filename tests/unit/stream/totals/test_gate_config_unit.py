"""What the gate is told of the definitions, and of the calendar."""

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from tallygate.layout import partition_of

from schemas.definitions import Customer, Definitions, Limit, Metric
from stream.core.calendar import KINDS, calendar_for
from stream.totals.calendars import AHEAD_S, PAST_S, calendar_named, calendar_text, name_of
from stream.totals.gate_config import GateConfigs


def metric(key: str, **more: Any) -> Metric:
    """A metric."""
    return Metric(**{"key": key, "name": key, "event_name": key, "type": "counter", "windows": ("hour",), **more})


BASE: dict[str, Any] = {
    "metrics": {
        "usd": metric("usd", group_by=("model", "a")),
        "seats": metric("seats", type="gauge", initial_value=Decimal("1.5")),
        "free": metric("free"),
    },
    "limits": (
        Limit(metric="usd", window="hour", limit=Decimal("10.50"), warn_at=(Decimal("0.8"),)),
        Limit(
            metric="usd", window="hour", limit=Decimal(7), mode="soft", on_stale="allow", group={"model": "m", "a": 1}
        ),
        Limit(metric="usd", window="day", limit=Decimal(3), customer="acme", max_staleness_us=5),
        Limit(metric="seats", limit=Decimal("4.5")),
    ),
    "customers": {"acme": Customer(aliases=("al",)), "tokyo": Customer(timezone="Asia/Tokyo")},
    "aliases": {"al": "acme"},
}


def test_what_the_gate_is_told() -> None:
    """Limits stand scaled by their own decimals, warnings by the metric's, in the partition and at the customer."""
    config = GateConfigs(Definitions(**BASE), 1).of(0)
    assert {key: json.loads(text) for key, text in config.metrics.items()} == {
        "L:usd": {
            "d": 2,
            "b": ["a", "model"],
            "o": [{"w": "hour", "l": 1050, "p": 2, "x": 10_000_000, "a": [["0.8", 840]]}],
            "g": {'{"a":1,"model":"m"}': [{"w": "hour", "l": 7, "p": 0, "m": "s", "s": "a", "x": 10_000_000}]},
        },
        "L:seats": {"d": 1, "b": [], "k": "g", "i": 15, "o": [{"w": "", "l": 45, "p": 1, "x": 10_000_000}]},
        "L:free": {"d": 0, "b": []},
    }
    assert (config.scales, config.kinds) == ('{"seats":1,"usd":2}', ("hour", "day"))
    about = json.loads(config.customers["acme"][0])
    about.pop("r")
    assert about == {"m": {"usd": {"o": [{"w": "day", "l": 3, "p": 0, "x": 5}]}}}
    assert config.customers["al"] == ("", "acme")
    assert json.loads(config.customers["tokyo"][0])["z"] == "Asia/Tokyo"
    assert dict(config.calendars) == {"": "UTC", "Asia/Tokyo": "Asia/Tokyo"}


def test_each_partition_has_its_own() -> None:
    """Customers, aliases and calendars stand in their home partition only; metrics in each."""
    configs = GateConfigs(Definitions(**BASE), 8)
    for name in ("acme", "al", "tokyo"):
        holds = [number for number in range(8) if name in configs.of(number).customers]
        assert holds == [partition_of(name, 8)]
    assert all("L:usd" in configs.of(number).metrics for number in range(8))
    assert [number for number in range(8) if len(configs.of(number).calendars) == 2] == [partition_of("tokyo", 8)]


@pytest.mark.parametrize(
    "change",
    [
        {"limits": BASE["limits"][1:]},
        {"timezone": "Asia/Tokyo"},
        {"aliases": {"al": "acme", "al2": "acme"}},
        {"metrics": {**BASE["metrics"], "new": metric("new")}},
        {"customers": {**BASE["customers"], "acme": Customer(timezone="Europe/Berlin")}},
    ],
)
def test_the_revision_changes_with_anything(change: dict[str, Any]) -> None:
    """The revision is the same for the same definitions, and another for any that the gate would notice."""
    before = GateConfigs(Definitions(**BASE), 1).of(0).revision
    assert GateConfigs(Definitions(**BASE), 1).of(0).revision == before
    assert GateConfigs(Definitions(**{**BASE, **change}), 1).of(0).revision != before


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Havana"])
@pytest.mark.parametrize("now", [1_772_712_000, 1_793_523_600, 1_775_917_800, 1_762_063_200])
def test_a_calendar_says_what_the_service_counts(zone: str, now: int) -> None:
    """For every instant that a calendar covers, its window is the service's: on days that the clock changes, too."""
    calendar = calendar_for(zone, 31)
    shown = json.loads(calendar_text(calendar, KINDS, now * 1_000_000))
    assert set(shown) == set(KINDS) - {"total"}
    for kind, spans in shown.items():
        assert all(a[1] == b[0] for a, b in pairwise(spans))
        assert spans[0][0] <= now - PAST_S
        assert spans[-1][1] > now + (AHEAD_S if kind in {"minute", "hour"} else 0)
        number = KINDS.index(kind)
        for second in {now, now - PAST_S, *(now + step for step in range(0, 90_000, 1_801))}:
            for start, end, length in spans:
                if start <= second < end:
                    found = start + (second - start) // length * length
                    assert (found, min(found + length, end)) == (
                        calendar.start(number, second),
                        calendar.end(number, second),
                    )


def test_a_calendars_name() -> None:
    """A calendar's name leads back to it."""
    assert calendar_named(name_of("Asia/Tokyo", 15)) is calendar_for("Asia/Tokyo", 15)
    assert calendar_named(name_of("Asia/Tokyo", None)) is calendar_for("Asia/Tokyo")
