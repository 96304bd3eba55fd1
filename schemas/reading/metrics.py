"""Rules of one metric that look at more than one of its fields, and its resolved defaults."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec

from schemas.definitions import DEFAULT_WINDOWS, KINDS, UNITS, Metric, Operation, Rounding
from schemas.reading.fields import COMMON
from schemas.reading.records import Record
from schemas.reading.shapes import BROKEN, Report, one_of

_LENGTH = {
    "minute": 0,
    "hour": 1,
    "day": 2,
    "week": 3,
    "month": 4,
    "billing_period": 4,
    "quarter": 5,
    "year": 6,
    "total": 7,
}
"""Ranks of the windows by length; a billing period is a month long, wherever it starts."""


class PlugIn(Protocol):
    """What the check needs of a metric type that is not built in.

    It may also have `fields`, the names of its own fields: then the check itself reports
    unknown ones, with the nearest known name.
    """

    def faults(self, definition: Metric) -> Iterable[tuple[str, str]]:
        """What is wrong with the type's own fields: (field, sentence)."""
        ...


class Known(msgspec.Struct, frozen=True):
    """A metric as limits see it, also where it has faults elsewhere; None is not known."""

    key: str
    type: str | None
    aggregation: str | None
    sliding: bool
    granularity: str | None
    windows: tuple[str, ...] | None
    group_by: tuple[str, ...] | None


def make_metric(key: str, record: Record, types: Mapping[str, PlugIn], report: Report) -> Metric | Any:
    """The metric of a record, its defaults filled in; BROKEN where it has a fault."""
    before = len(report.faults)
    kind = record.get("type")
    if kind == "counter":
        _property(record, report)
        if record.has("approximate_above") and record.get("aggregation", "unique") != "unique":
            message = f"goes with `aggregation: unique` only, not with `{record.get('aggregation')}`"
            record.fault(report, "approximate_above", message)
    elif kind == "rate":
        _property(record, report)
        _rate(record, report)
    elif kind == "gauge":
        _gauge(record, report)
    windows = _windows(record, kind, report)
    if len(report.faults) > before or kind is None or BROKEN in record.values.values():
        return BROKEN
    metric = _resolved(key, record, kind, windows)
    if kind in types:
        for field, sentence in types[kind].faults(metric):
            if field not in record.slips:
                record.fault(report, field, sentence)
    return metric if len(report.faults) == before else BROKEN


def _property(record: Record, report: Report) -> None:
    """Every aggregation but `count` reads a property."""
    aggregation = record.get("aggregation")
    if aggregation not in {None, "count"} and record.lacks("property"):
        record.fault(report, "property", f"is missing: `{aggregation}` needs the property whose value it reads")


def _rate(record: Record, report: Report) -> None:
    if record.get("sliding") is True and record.get("granularity") == "month":
        message = "a sliding rate looks back a fixed time, and months differ: write minute, hour or day"
        record.fault(report, "granularity", message)


def _gauge(record: Record, report: Report) -> None:
    aggregation = record.get("aggregation")
    if aggregation == "unique":
        if record.lacks("operation"):
            message = "is missing: `unique` needs {property: ..., add: ..., remove: ...}, how objects come and go"
            record.fault(report, "operation", message)
        for name, instead in (
            ("event_type", "objects are added and removed by `operation`"),
            ("initial_value", "no object is present at first"),
        ):
            if record.has(name):
                record.fault(report, name, f"does not go with `unique`: {instead}, leave it out")
    elif aggregation is not None:
        if record.lacks("event_type"):
            message = f"is missing: `{aggregation}` needs total (an event sets the state) or delta (it adds to it)"
            record.fault(report, "event_type", message)
        if record.has("operation"):
            record.fault(report, "operation", f"goes with `aggregation: unique` only, not with `{aggregation}`")
    _operation(record, report)
    _proration(record, aggregation, report)


def _operation(record: Record, report: Report) -> None:
    operation = record.get("operation")
    if not isinstance(operation, Record) or operation.broken("add", "remove"):
        return
    add, remove = operation.get("add"), operation.get("remove")
    if add is not None and add == remove and isinstance(add, bool) == isinstance(remove, bool):
        operation.fault(report, "remove", "is the same as `add`: write the value that removes an object")


def _proration(record: Record, aggregation: str | None, report: Report) -> None:
    """`granularity` and `proration` come together, with `max` or `unique`, and the first is the longer."""
    pair = ("granularity", "proration")
    for name, other in (pair, pair[::-1]):
        if record.has(name) and record.lacks(other):
            record.fault(report, name, f"goes with `{other}` only: write both, or neither")
    if not (record.has("granularity") and record.has("proration")):
        return
    if aggregation not in {None, "max", "unique"}:
        message = f"goes with the aggregations max and unique only, not with `{aggregation}`"
        record.fault(report, "proration", message)
    granularity, proration = record.get("granularity"), record.get("proration")
    if granularity is None or proration is None:
        return
    if UNITS.index(granularity) <= UNITS.index(proration):
        longer = UNITS[UNITS.index(proration) + 1 :]
        hint = f"write a granularity of {one_of(longer)}" if longer else "write a shorter proration"
        record.fault(report, "granularity", f"{granularity} is not longer than the proration, {proration}: {hint}")


def _windows(record: Record, kind: str | None, report: Report) -> tuple[str, ...]:
    """The windows in the order of KINDS; reports those that the type does not take."""
    refused = _refused(record, kind)
    if not record.has("windows"):
        return tuple(window for window in DEFAULT_WINDOWS if window not in refused)
    written: tuple[str, ...] = record.get("windows", ())
    for index, window in enumerate(written):
        if window in refused:
            record.fault(report, "windows", refused[window], index)
    return tuple(sorted(written, key=KINDS.index))


def _refused(record: Record, kind: str | None) -> dict[str, str]:
    """The windows that a metric cannot have, and why."""
    granularity = record.get("granularity")
    if kind == "rate" and granularity is not None:
        taken = windows_of_rate(granularity)
        return {
            window: f"{window} is shorter than the granularity, {granularity}: write {one_of(taken)}"
            for window in KINDS
            if window not in taken
        }
    if kind == "gauge":
        reason = "leave it out, `total` has no length to divide by"
        if record.get("aggregation") == "weighted_sum":
            return {"total": f"weighted_sum takes no total: {reason}"}
        if record.has("proration"):
            return {"total": f"a prorated gauge takes no total: {reason}"}
    return {}


def windows_of_rate(granularity: str) -> tuple[str, ...]:
    """The windows that are not shorter than a rate's sub-periods.

    >>> windows_of_rate("month")
    ('month', 'quarter', 'year', 'billing_period', 'total')
    """
    return tuple(window for window in KINDS if _LENGTH[window] >= _LENGTH[granularity])


def known_of(key: str, record: Record) -> Known:
    """What limits need to know of a metric, as far as it is known."""
    kind = record.get("type")
    windows = None
    if (kind is not None or record.has("windows")) and not record.broken("windows", "granularity", "aggregation"):
        windows = _windows(record, kind, Report())
    return Known(
        key=key,
        type=kind,
        aggregation=record.get("aggregation"),
        sliding=record.get("sliding", False),
        granularity=record.get("granularity"),
        windows=windows,
        group_by=None if record.broken("group_by") else record.get("group_by", ()),
    )


def _resolved(key: str, record: Record, kind: str, windows: tuple[str, ...]) -> Metric:
    get = record.get
    rounding = get("rounding")
    operation = get("operation")
    built_in = kind in {"counter", "gauge", "rate"}
    counts = built_in and get("aggregation") == "count"
    extra = {} if built_in else {n: v for n, v in record.values.items() if n not in COMMON and n != "property"}
    return Metric(
        key=key,
        name=get("name", key),
        event_name=get("event_name"),
        type=kind,
        windows=windows,
        description=get("description"),
        product=get("product"),
        unit=get("unit"),
        aggregation=get("aggregation") if built_in else None,
        property=None if counts else get("property"),
        filters=get("filters", ()),
        group_by=get("group_by", ()),
        rounding=None if rounding is None else Rounding(rounding.get("mode"), rounding.get("precision", 0)),
        lateness_us=get("lateness"),
        granularity=get("granularity") if built_in else None,
        proration=get("proration") if built_in else None,
        sliding=get("sliding", False) if built_in else False,
        event_type=get("event_type") if built_in else None,
        initial_value=get("initial_value", 0) if built_in else 0,
        approximate_above=get("approximate_above") if built_in else None,
        operation=None
        if operation is None or not built_in
        else Operation(operation.get("property"), operation.get("add"), operation.get("remove")),
        extra=extra,
    )
