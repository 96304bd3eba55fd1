"""A metric type of another distribution checks its own fields, and the file's check tells its faults."""

from collections.abc import Iterable
from decimal import Decimal

import pytest

from schemas.definitions import Metric
from schemas.faults import Fault, Faults
from schemas.load import PlugIn, load


class Percentile:
    """A plug-in that wants a quantile."""

    fields = ("quantile", "interpolate")

    def faults(self, definition: Metric) -> Iterable[tuple[str, str]]:
        quantile = definition.extra.get("quantile")
        if quantile is None:
            yield "quantile", "is missing: write one such as 0.99"
        elif not 0 < quantile < 1:
            yield "quantile", f"is {quantile}: write a number between 0 and 1"


class Open:
    """A plug-in that names no fields: it looks at all of them itself."""

    def faults(self, definition: Metric) -> Iterable[tuple[str, str]]:
        return [(name, "is no field of mine") for name in definition.extra if name != "mine"]


TYPES: dict[str, PlugIn] = {"percentile": Percentile(), "open": Open()}


def faults_of(text: str) -> list[Fault]:
    """What is wrong with a file."""
    with pytest.raises(Faults) as found:
        load(text, "metrics.yaml", TYPES)
    return found.value.faults


def test_a_plug_ins_fields_arrive_as_they_were_written() -> None:
    """Numbers are exact, lists and mappings plain; common fields are checked and resolved as for any type."""
    text = """\
metrics:
  p: {event_name: e, type: percentile, property: ms, quantile: 0.990, interpolate: [true, {a: 1}], group_by: [model]}
"""
    metric = load(text, "metrics.yaml", TYPES).metrics["p"]
    assert metric.extra == {"quantile": Decimal("0.990"), "interpolate": [True, {"a": 1}]}
    assert (metric.type, metric.property, metric.group_by) == ("percentile", "ms", ("model",))
    assert metric.windows == ("hour", "day", "month", "total")


def test_a_plug_ins_faults_are_told_with_path_and_line() -> None:
    """Its sentence stands at the line of the field, or of the metric where the field is missing."""
    text = """\
metrics:
  p:
    event_name: e
    type: percentile
    quantile: 2
  q:
    event_name: e
    type: percentile
  r:
    event_name: e
    type: percentile
    quantil: 0.5
"""
    assert faults_of(text) == [
        Fault("metrics.p.quantile", 5, "is 2: write a number between 0 and 1"),
        Fault("metrics.q.quantile", 6, "is missing: write one such as 0.99"),
        Fault("metrics.r.quantil", 12, "is no field of a percentile: did you mean quantile?"),
    ]


def test_a_plug_in_without_a_list_of_fields_judges_them_itself() -> None:
    """Unknown ones are its own business then."""
    text = "metrics:\n  o: {event_name: e, type: open, mine: 1, yours: 2}\n"
    assert faults_of(text) == [Fault("metrics.o.yours", 2, "is no field of mine")]


def test_a_slip_in_a_plug_ins_name_is_noticed() -> None:
    """The installed types are what a name is compared with."""
    text = "metrics:\n  p: {event_name: e, type: percentil, aggregation: count}\n"
    assert faults_of(text) == [Fault("metrics.p.type", 2, '"percentil" is no type of metric: did you mean percentile?')]


def test_a_limit_on_a_plug_in_is_refused() -> None:
    """The contract allows limits on counters, gauges and rates only."""
    text = """\
metrics:
  p: {event_name: e, type: percentile, quantile: 0.5}
limits:
  - {metric: p, window: hour, limit: 1}
"""
    message = "takes no limit, being a percentile: limits go on counters, gauges and rates"
    assert faults_of(text) == [Fault("limits[0].metric", 4, message)]
