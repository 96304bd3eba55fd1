"""Rules of `limits`: on which metrics, in which windows, for which groups, and each but once."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from schemas.definitions import DEFAULT_STALENESS_US, Customer, Limit
from schemas.faults import child
from schemas.reading import nodes
from schemas.reading.metrics import Known
from schemas.reading.nodes import shorten
from schemas.reading.records import Record
from schemas.reading.scalars import decimals
from schemas.reading.shapes import BROKEN, Report, nearest, one_of
from schemas.totals import group_text, plain

MOST_SCALED = 2**53 - 1
"""A limit times ten to its decimals must stay a whole number that Redis' scripts hold exactly."""


def read_limits(
    records: tuple[Record, ...],
    metrics: Mapping[str, Known | None],
    customers: Mapping[str, Customer],
    aliases: Mapping[str, str],
    report: Report,
) -> tuple[Limit, ...]:
    """The limits that have no fault; of a metric with faults of its own, what is known is used."""
    limits: list[Limit] = []
    first: dict[tuple[str | None, str, str | None, str], str] = {}
    placed: dict[str, list[tuple[Record, Decimal]]] = {}
    for record in records:
        before = len(report.faults)
        metric = _metric(record, metrics, report)
        _customer(record, customers, aliases, report)
        if metric is not None:
            _kind(record, metric, report)
            _group(record, metric, report)
        amount = record.get("limit")
        name = record.get("metric")
        if amount is not None and name is not None:
            placed.setdefault(name, []).append((record, Decimal(amount)))
        if not record.broken("metric", "customer", "window", "group"):
            _once(record, first, report)
        if len(report.faults) == before and BROKEN not in record.values.values():
            limits.append(_limit(record))
    for entries in placed.values():
        _scaled(entries, report)
    return tuple(limits)


def _metric(record: Record, metrics: Mapping[str, Known | None], report: Report) -> Known | None:
    name = record.get("metric")
    if name is None:
        return None
    if name not in metrics:
        close = nearest(name, metrics)
        hint = f"did you mean {close}?" if close else "write the key of a metric above"
        record.fault(report, "metric", f'"{shorten(name)}" is no metric of this file: {hint}')
        return None
    return metrics[name]


def _customer(record: Record, customers: Mapping[str, Customer], aliases: Mapping[str, str], report: Report) -> None:
    name = record.get("customer")
    if name is not None and name not in customers and name in aliases:
        message = f"{shorten(name)} is an alias: write the customer's own id, {shorten(aliases[name])}"
        record.fault(report, "customer", message)


def _kind(record: Record, metric: Known, report: Report) -> None:
    """A limit stands only on what is known at the moment of the request, without waiting."""
    window = record.get("window")
    if metric.type == "gauge":
        if record.has("window"):
            message = "a limit on a gauge holds its present state, whatever the window: leave it out"
            record.fault(report, "window", message)
        return
    if metric.type == "counter":
        if metric.aggregation not in {None, "count", "sum", "unique"}:
            message = f"takes no limit, being the {metric.aggregation} of a counter: limits go on count, sum and unique"
            record.fault(report, "metric", message)
            return
    elif metric.type == "rate":
        if metric.sliding:
            record.fault(report, "metric", "takes no limit, being a sliding rate: limits go on tumbling ones")
            return
        if metric.aggregation not in {None, "count", "sum"}:
            message = f"takes no limit, being a rate of {metric.aggregation}: limits go on rates of count and sum"
            record.fault(report, "metric", message)
            return
    else:
        if metric.type is None:
            return
        message = f"takes no limit, being a {metric.type}: limits go on counters, gauges and rates"
        record.fault(report, "metric", message)
        return
    _window(record, metric, window, report)


def _window(record: Record, metric: Known, window: str | None, report: Report) -> None:
    if record.broken("window") or (window is None and not record.lacks("window")):
        return
    if metric.type == "rate":
        if metric.granularity is None:
            return
        if window is None:
            record.fault(report, "window", f"is missing: a limit on a rate needs its granularity, {metric.granularity}")
            return
        if window != metric.granularity:
            message = f"{window} is not the rate's granularity: write {metric.granularity}"
            record.fault(report, "window", message)
            return
    elif window is None:
        hint = "one of the metric's windows" if metric.windows is None else one_of(metric.windows)
        record.fault(report, "window", f"is missing: a limit on a counter needs {hint}")
        return
    if metric.windows is not None and window not in metric.windows:
        message = f"{metric.key} has no window {window}: write {one_of(metric.windows)}, or add it to the metric"
        record.fault(report, "window", message)


def _group(record: Record, metric: Known, report: Report) -> None:
    if not record.has("group") or record.broken("group"):
        return
    if metric.group_by is None:
        return
    group: dict[str, Any] = record.get("group")
    if not metric.group_by:
        message = f"{metric.key} has no group_by: leave the group out, or add group_by to the metric"
        record.fault(report, "group", message)
        return
    missing = [name for name in metric.group_by if name not in group]
    if missing:
        record.fault(report, "group", f"names no {one_of(missing)}: write every group_by property of {metric.key}")
    node = record.nodes["group"]
    for entry in node.entries if isinstance(node, nodes.Mapping) else []:
        name = str(entry.key.value)
        if name not in metric.group_by:
            close = nearest(name, metric.group_by)
            hint = f"did you mean {close}?" if close else f"it has {one_of(metric.group_by)}"
            message = f"is no group_by property of {metric.key}: {hint}"
            report.add(child(child(record.path, "group"), name), entry.key.line, message)


def _once(record: Record, first: dict[tuple[str | None, str, str | None, str], str], report: Report) -> None:
    """One limit for each customer (or all), metric, window and group (or the overall total)."""
    group = record.get("group")
    if group is not None and BROKEN in group.values():
        return
    # An empty text is no group: it stands for the overall total.
    key = (
        record.get("customer"),
        record.get("metric", ""),
        record.get("window"),
        "" if group is None else group_text(group),
    )
    if key in first:
        report.add(record.path, record.line, f"limits the same as {first[key]}: keep one")
    else:
        first[key] = record.path


def _scaled(entries: list[tuple[Record, Decimal]], report: Report) -> None:
    """All limits of a metric are compared at the decimals of the one that has most."""
    most = max(decimals(amount) for _, amount in entries)
    for record, amount in entries:
        greatest = Decimal(MOST_SCALED).scaleb(-most)
        if amount > greatest:
            why = f", since this metric's limits are compared to {plain(Decimal(1).scaleb(-most))}" if most else ""
            record.fault(report, "limit", f"is too large for the gate: write at most {plain(greatest)}{why}")


def _limit(record: Record) -> Limit:
    mode = record.get("mode", "hard")
    shares = sorted({Decimal(plain(share)) for share in record.get("warn_at", ())} - {Decimal(1)})
    return Limit(
        metric=record.get("metric"),
        limit=Decimal(record.get("limit")),
        window=record.get("window"),
        customer=record.get("customer"),
        group=record.get("group"),
        mode=mode,
        warn_at=tuple(shares),
        on_stale=record.get("on_stale", "deny" if mode == "hard" else "allow"),
        max_staleness_us=record.get("max_staleness", DEFAULT_STALENESS_US),
    )
