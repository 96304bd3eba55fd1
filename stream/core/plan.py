"""What a definitions file makes the fold do: shapes for the counters, states for all else, by event name."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact
from fractions import Fraction
from typing import Any

import msgspec

from schemas.definitions import KINDS, Comparison, Definitions, Filter, Metric, Not
from stream.core import numbers
from stream.core.built import Built
from stream.core.codegen import Counting
from stream.core.decode import Decoder, Path, Properties
from stream.core.filters import metric_paths, path_of
from stream.core.groups import group_key
from stream.core.layout import SLOTS, Column, Layout, Place
from stream.core.metrics.base import EXACT_DIGITS, HOUR_US, Terms
from stream.core.metrics.registry import metric_type
from stream.core.metrics.rounding import rounded, rounded_decimal
from stream.core.shape import Shape
from stream.core.text import text
from stream.core.waiting import Waiting, contributions_of, waits_of
from stream.limits import Limits

DAY_US = 86_400_000_000
MOST_SCALED = 2**53 - 1
"""What a double holds exactly; scaled values saturate there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Settings that verdicts depend on, and the topic whose records are folded. `keep_us[kind]` is the retention of each kind, None for ever.

    `simulate`: nothing is too old, in the future, forgotten or left out for being late; `late` is counted all the
    same. `billable`, for simulate only, is the window kind whose values are told apart by day.
    """

    app: str = "tally"
    topic: str = "usage-events"
    max_age_us: int = 7 * DAY_US
    max_ahead_us: int = 300_000_000
    keep_us: tuple[int | None, ...] = (2 * DAY_US, 8 * DAY_US, 100 * DAY_US, *[400 * DAY_US] * 5, None)
    sliding_late_us: int = HOUR_US
    simulate: bool = False
    billable: str | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """What happens to the events of one name.

    `shapes` are the counters' rows, the overall one first; `general` are the metrics whose states fold themselves.
    `waits` and `contributions` are theirs, see `stream.core.waiting`.
    """

    shapes: tuple[Shape, ...]
    general: tuple[Built, ...]
    upsert: bool
    waits: Callable[..., Waiting]
    contributions: Callable[..., dict[bytes, bytes]]


@dataclass(frozen=True)
class Plan:
    """Definitions and rules, compiled. One plan serves all partitions of a process."""

    definitions: Definitions
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        definitions, rules = self.definitions, self.rules
        decoder = Decoder(dict.fromkeys(path for metric in definitions.metrics.values() for path in _paths(metric)))
        layout = decoder.layout

        def reader(prop: str) -> Callable[[Any], Any]:
            return layout.reader(path_of(prop))

        limits = Limits(definitions.limits)
        put = object.__setattr__
        put(self, "decoder", decoder)
        put(self, "reader", reader)
        put(self, "limits", limits)
        named: dict[str, Named] = {}
        for name in dict.fromkeys(metric.event_name for metric in definitions.metrics.values()):
            upsert = definitions.upserts(name)
            metrics = [metric for metric in definitions.metrics.values() if metric.event_name == name]
            by_row = not upsert and rules.billable is None
            fast = [each for each in metrics if by_row and each.type == "counter" and each.aggregation in SLOTS]
            shapes = tuple(_shape(place, chosen, rules, limits, layout) for place, chosen in _places(name, fast))
            general = tuple(self._built(metric, upsert=upsert) for metric in metrics if metric not in fast)
            named[name] = Named(shapes, general, upsert, waits_of(general, layout), contributions_of(general, layout))
        put(self, "named", named)
        put(self, "revision", hashlib.blake2s(repr(definitions).encode(), digest_size=8).hexdigest())

    decoder: Decoder = field(init=False)
    reader: Callable[[str], Callable[[Any], Any]] = field(init=False)
    named: Mapping[str, Named] = field(init=False)
    limits: Limits = field(init=False)
    revision: str = field(init=False)

    def _built(self, metric: Metric, *, upsert: bool) -> Built:
        decimals = self.limits.decimals.get(metric.key)
        factor = None if decimals is None else 10**decimals
        return Built(
            metric,
            metric_type(metric.type).build(metric, self.terms(upsert=upsert)),
            self.decoder.layout,
            None if factor is None else lambda shown: scaled_text(Decimal(shown), factor),
            keep_of(metric, self.rules),
        )

    def terms(self, *, upsert: bool) -> Terms:
        """What the metric types are told beside their definitions."""
        rules = self.rules
        return Terms(
            reader=self.reader,
            keep_us=rules.keep_us,
            max_age_us=rules.max_age_us,
            max_ahead_us=rules.max_ahead_us,
            sliding_late_us=rules.sliding_late_us,
            upsert=upsert,
            simulate=rules.simulate,
        )


def _paths(metric: Metric) -> Iterable[Path]:
    yield from metric_paths(metric)
    for name, value in metric.extra.items():  # a plug-in reads what its fields name
        if name.endswith("property") and isinstance(value, str):
            yield path_of(value)


def _places(name: str, metrics: list[Metric]) -> Iterable[tuple[Place, list[Metric]]]:
    if metrics:
        yield Place(name, ()), metrics
    for group in dict.fromkeys(metric.group_by for metric in metrics if metric.group_by):
        yield Place(name, group), [metric for metric in metrics if metric.group_by == group]


def _shape(
    place: Place,
    metrics: list[Metric],
    rules: Rules,
    limits: Limits,
    properties: Properties,
) -> Shape:
    columns, counting = [], []
    keeps: dict[tuple[int | None, ...], int] = {}
    for metric in metrics:
        assert metric.aggregation is not None
        columns.append(Column(metric.key, fingerprint(metric), metric.aggregation, metric.windows))
        late = keeps.setdefault(keep_of(metric, rules), len(keeps))
        counting.append(
            Counting(
                metric.key,
                None if metric.aggregation == "count" else metric.property,
                metric.filters,
                late,
                shower(metric),
                None if metric.key not in limits.decimals else scaler(metric, limits.decimals[metric.key]),
            )
        )
    layout = Layout(place, tuple(columns))
    watched = [
        (n, i)
        for n, kind in enumerate(layout.kinds)
        for i, metric in enumerate(metrics)
        if kind in metric.windows and kind in limits.windows.get(metric.key, ()) and not rules.simulate
    ]
    return Shape(
        layout,
        counting,
        list(keeps),
        watched,
        properties=properties,
        number=read_number,
        text=text,
        group_key=group_key,
    )


def keep_of(metric: Metric, rules: Rules) -> tuple[int | None, ...]:
    """How long each kind of window takes events after its end, in microseconds: by its `lateness`, else by kind."""
    if metric.lateness_us is not None:
        return (*[metric.lateness_us] * (len(KINDS) - 1), None)
    return rules.keep_us


def read_number(value: Any, bad: list[str], key: str) -> int | Decimal | None:
    """The number of a value that is not plainly one; None, and the metric's key in `bad`, where it is none."""
    try:
        return numbers.read(value)
    except numbers.BadValue:
        bad.append(key)
        return None


def fingerprint(metric: Metric) -> str:
    """What shaped a metric's saved numbers: with another one they mean something else, and are not carried on.

    Windows, rounding and lateness are not in it: they choose among or show the numbers.
    """
    parts = [
        metric.type,
        metric.event_name,
        metric.aggregation,
        metric.property,
        [_plain(rule) for rule in metric.filters],
        list(metric.group_by),
    ]
    return hashlib.blake2s(msgspec.json.encode(parts), digest_size=8).hexdigest()


def _plain(rule: Filter) -> Any:
    if isinstance(rule, Comparison):
        return [rule.property, rule.op, _typed(rule.value)]
    inner = [rule.filter] if isinstance(rule, Not) else rule.filters
    return [type(rule).__name__, *map(_plain, inner)]


def _typed(value: Any) -> Any:
    # 1 and 1.0 are one value, "1" and true are others
    if isinstance(value, Decimal):
        return ["number", text(value)]
    if isinstance(value, (list, tuple)):
        return ["list", *map(_typed, value)]
    if isinstance(value, dict):
        return ["object", *sorted((name, _typed(each)) for name, each in value.items())]
    if isinstance(value, int) and not isinstance(value, bool):
        return ["number", str(value)]
    return value


def shower(metric: Metric) -> Callable[[Any, int], str] | None:
    """(slot, events) -> the value's text; None where an int is shown as it is and all else by `text`."""
    rounding = metric.rounding
    if metric.aggregation == "avg":
        if rounding is None:
            return average
        return lambda total, events: rounded(Fraction(total) / events, rounding)
    if rounding is None:
        return None
    return lambda value, _events: rounded(value, rounding)


_QUOTIENTS = Context(prec=EXACT_DIGITS, traps=[Inexact])


def average(total: int | Decimal, events: int) -> str:
    """The quotient's text: exact where it is finite, else 18 digits.

    >>> average(7, 2), average(Decimal("0.3"), 3), average(1, 3)
    ('3.5', '0.1', '0.333333333333333333')
    """
    try:
        return text(_QUOTIENTS.divide(Decimal(total), events))
    except Inexact:
        return text(Fraction(total) / events)


def scaler(metric: Metric, decimals: int) -> Callable[[Any, int], str]:
    """(slot, events) -> the value as it is shown, times 10^decimals and rounded up, as the gate compares it."""
    factor, rounding = 10**decimals, metric.rounding
    if rounding is None:
        return lambda value, _events: scaled_text(value, factor)
    return lambda value, _events: scaled_text(rounded_decimal(value, rounding), factor)


def scaled_text(value: int | Decimal | Fraction, factor: int) -> str:
    """Whole number at or above the value times the factor, within +-(2^53 - 1).

    >>> scaled_text(Decimal("1.001"), 100), scaled_text(10**20, 1), scaled_text(Decimal("-0.5"), 1)
    ('101', '9007199254740991', '0')
    """
    if isinstance(value, int):
        whole = value * factor
    else:
        exact = Fraction(value) * factor
        whole = -(-exact.numerator // exact.denominator)
    return str(max(-MOST_SCALED, min(MOST_SCALED, whole)))
