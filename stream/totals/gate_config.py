"""What the gate has to know besides totals: limits, groups, decimals, calendars, and who is an alias of whom.

It stands in each partition's hash and in the hashes of the customers that the definitions name; `docs/redis.md` has
the encoding. All of it follows from the definitions, so a new file and a restart bring it up to date.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha1
from types import MappingProxyType
from typing import Any

from tallygate import layout

from schemas.definitions import Definitions, Limit, Metric
from stream.limits import Limits, decimals_of
from stream.totals.calendars import calendar_named, calendar_text, name_of

DEFAULT = ""
"""The name of the calendar of customers that have none of their own."""


@dataclass(frozen=True)
class GateConfig:
    """What one partition's hash and its customers' hashes say beside totals.

    `revision` changes with any of it. `scales` are the decimals of each limited metric: with other ones, scaled amounts
    would be misread. `metrics` are fields of the partition's hash; `customers` has the limits (or "") and the customer
    that it is an alias of (or "") for each id at home in this partition that the definitions name.
    """

    revision: str
    scales: str
    metrics: Mapping[str, str]
    customers: Mapping[str, tuple[str, str]]
    calendars: Mapping[str, str]
    kinds: tuple[str, ...]

    def calendar_fields(self, now_us: int) -> dict[str, str]:
        """The calendars around an instant (microseconds), as fields of the partition's hash."""
        return {
            layout.CALENDAR_OF + field: calendar_text(calendar_named(name), self.kinds, now_us)
            for field, name in self.calendars.items()
        }


class GateConfigs:
    """The gate's configuration of every partition, of one file of definitions."""

    def __init__(self, definitions: Definitions, partitions: int) -> None:
        self._partitions = partitions
        self._kinds = tuple(sorted({x.window for x in definitions.limits if x.window}, key=layout.KINDS.index))
        self._scales = Limits(definitions.limits).decimals
        shared: dict[str, list[Limit]] = defaultdict(list)
        own: dict[str, dict[str, list[Limit]]] = defaultdict(lambda: defaultdict(list))
        for limit in definitions.limits:
            (shared if limit.customer is None else own[limit.customer])[limit.metric].append(limit)
        self._metrics = {
            layout.LIMITS_OF + key: _json(_metric(metric, shared.get(key, ()), self._scales.get(key, 0)))
            for key, metric in definitions.metrics.items()
        }
        default = name_of(definitions.timezone, None)
        self._customers: dict[str, tuple[str, str]] = {}
        calendars: dict[str, str] = {}
        for customer in sorted({*definitions.customers, *own}):
            name = name_of(definitions.timezone_of(customer), definitions.anchor_day_of(customer))
            about: dict[str, Any] = {}
            if name != default:
                about["z"] = calendars[customer] = name
            if customer in own:
                about["m"] = {
                    metric: _by_group(limits, self._scales[metric]) for metric, limits in sorted(own[customer].items())
                }
            if about:
                text = _json(about)
                self._customers[customer] = (_json({"r": _digest(text), **about}), "")
        for alias, canonical in definitions.aliases.items():
            self._customers[alias] = ("", canonical)
        self._default, self._calendars = default, calendars

    def of(self, number: int) -> GateConfig:
        """The part of one partition."""
        customers = {
            customer: about
            for customer, about in self._customers.items()
            if layout.partition_of(customer, self._partitions) == number
        }
        names = {name: name for customer, name in self._calendars.items() if customer in customers}
        calendars = {DEFAULT: self._default, **names}
        scales = _json(self._scales)
        revision = _digest(_json([self._metrics, sorted(customers.items()), calendars]))
        return GateConfig(
            revision,
            scales,
            MappingProxyType(self._metrics),
            MappingProxyType(customers),
            MappingProxyType(calendars),
            self._kinds,
        )


def _metric(metric: Metric, limits: Iterable[Limit], scale: int) -> dict[str, Any]:
    shown: dict[str, Any] = {"d": scale, "b": sorted(metric.group_by), **_by_group(limits, scale)}
    if metric.type == "gauge":
        shown["k"] = "g"
        shown["i"] = int(layout.scaled(Decimal(metric.initial_value), scale)) if metric.aggregation != "unique" else 0
    return shown


def _by_group(limits: Iterable[Limit], scale: int) -> dict[str, Any]:
    overall = [_limit(x, scale) for x in limits if x.group is None]
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for limit in limits:
        if limit.group is not None:
            groups[layout.group_text(limit.group)].append(_limit(limit, scale))
    return {**({"o": overall} if overall else {}), **({"g": dict(sorted(groups.items()))} if groups else {})}


def _limit(limit: Limit, scale: int) -> dict[str, Any]:
    """One limit: `p` are its own decimals, `l` the limit scaled by them, `a` its shares with what reaches them."""
    own = decimals_of(limit)
    shown: dict[str, Any] = {"w": limit.window or "", "l": int(layout.scaled(limit.limit, own)), "p": own}
    if limit.mode == "soft":
        shown["m"] = "s"
    if limit.on_stale == "allow":
        shown["s"] = "a"
    shown["x"] = limit.max_staleness_us
    if limit.warn_at:
        reached = [(share, layout.scaled(share * limit.limit, scale)) for share in limit.warn_at]
        shown["a"] = [[layout.plain(share), int(amount)] for share, amount in reached]
    return shown


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _digest(text: str) -> str:
    return sha1(text.encode(), usedforsecurity=False).hexdigest()[:8]
