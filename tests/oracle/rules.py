"""Definitions as the judge reads them: a YAML file's dict, with the defaults that the contract names.

Part of the independent judge. It checks nothing: what it is given has passed `tally validate`.
"""

import io
from datetime import date
from decimal import Decimal
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.nodes import ScalarNode

from tests.oracle.reading import Event, reach
from tests.oracle.times import KINDS, Calendar, calendar_for, duration
from tests.oracle.values import Exact, canonical, compact, exact, group_value, less, number_of

SHORTEST_DEFAULT = ("hour", "day", "month", "total")
MISSING_PASSES = {"ne", "not_in", "not_exists"}
OPERATOR_NAMES = {"isin": "in", "isnotin": "not_in"}


class ExactConstructor(SafeConstructor):
    """YAML 1.2 values with exact decimals, and dates left as they are written."""

    def exact_float(self, node: ScalarNode) -> Decimal:
        return Decimal(str(self.construct_scalar(node)).replace("_", ""))

    def as_written(self, node: ScalarNode) -> str:
        return str(self.construct_scalar(node))


ExactConstructor.add_constructor("tag:yaml.org,2002:float", ExactConstructor.exact_float)
ExactConstructor.add_constructor("tag:yaml.org,2002:timestamp", ExactConstructor.as_written)


def load_yaml(text: str) -> dict[str, Any]:
    """A definitions file as plain Python values, its numbers exact."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = ExactConstructor
    loaded: dict[str, Any] = yaml.load(io.StringIO(text))
    return loaded


class Rules:
    """What the definitions say about customers, events and metrics."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self.definitions = definitions
        self.metrics: dict[str, dict[str, Any]] = definitions.get("metrics") or {}
        self.customers = {str(key): value or {} for key, value in (definitions.get("customers") or {}).items()}
        self.alias_of = {
            str(alias): customer for customer, known in self.customers.items() for alias in known.get("aliases") or []
        }

    def canonical(self, customer: str) -> str:
        """The id that a customer's totals stand under."""
        return self.alias_of.get(customer, customer)

    def calendar(self, customer: str) -> Calendar:
        """The calendar of a customer's windows."""
        known = self.customers.get(customer, {})
        zone = known.get("timezone") or self.definitions.get("timezone") or "UTC"
        anchor = known.get("billing_anchor")
        return calendar_for(zone, None if anchor is None else date.fromisoformat(str(anchor)[:10]).day)

    def upserts(self, event_name: str) -> bool:
        """Whether a later event of this name replaces what the first with its id contributed."""
        rule = (self.definitions.get("events") or {}).get(event_name) or {}
        return bool(rule.get("on_duplicate") == "upsert")

    def windows(self, metric: dict[str, Any]) -> list[str]:
        """The window kinds of a metric, minute to total."""
        takes = takes_windows(metric)
        chosen = metric.get("windows") or [kind for kind in SHORTEST_DEFAULT if kind in takes]
        return [kind for kind in KINDS if kind in chosen]


def takes_windows(metric: dict[str, Any]) -> set[str]:
    """The window kinds that a metric's type takes."""
    takes = set(KINDS)
    if metric.get("aggregation") == "weighted_sum" or metric.get("proration"):
        takes.discard("total")
    if metric["type"] == "rate":
        shorter = {"minute": 0, "hour": 1, "day": 2, "month": 4}[metric["granularity"]]
        takes -= set(KINDS[:shorter])
    return takes


def lateness(metric: dict[str, Any]) -> int | None:
    """The metric's own `lateness` in microseconds."""
    return duration(metric["lateness"]) if metric.get("lateness") is not None else None


def passes_all(filters: list[dict[str, Any]] | None, event: Event) -> bool:
    """Filters are ANDed."""
    return all(passes(one, event) for one in filters or [])


def passes(one: dict[str, Any], event: Event) -> bool:
    """Whether an event passes one filter, or one nest of them."""
    if "all" in one:
        return all(passes(inner, event) for inner in one["all"])
    if "any" in one:
        return any(passes(inner, event) for inner in one["any"])
    if "not" in one:
        held = one["not"]
        return not (passes_all(held, event) if isinstance(held, list) else passes(held, event))
    operator = OPERATOR_NAMES.get(one["op"], one["op"])
    value = reach(event.properties, one["property"])
    if value is None:
        return operator in MISSING_PASSES
    return compares(operator, value, one.get("value"))


def compares(operator: str, value: Any, wanted: Any) -> bool:
    """One operator on a property that is there."""
    match operator:
        case "exists":
            return True
        case "not_exists":
            return False
        case "eq":
            return canonical(value) == canonical(wanted)
        case "ne":
            return canonical(value) != canonical(wanted)
        case "in":
            return canonical(value) in [canonical(one) for one in wanted]
        case "not_in":
            return canonical(value) not in [canonical(one) for one in wanted]
    left, right = ordinal(value), ordinal(wanted)
    if left is None or right is None:
        return False
    match operator:
        case "gt":
            return less(right, left)
        case "gte":
            return not less(left, right)
        case "lt":
            return less(left, right)
    assert operator == "lte", operator
    return not less(right, left)


def ordinal(value: Any) -> Exact | None:
    """The number that gt, gte, lt and lte compare; a numeric string is read as its number."""
    text = number_of(value)
    return None if text is None else exact(text)


def group_of(metric: dict[str, Any], event: Event) -> bytes | None:
    """The group that an event belongs to beside the overall total, as compact JSON; None: to none."""
    paths = metric.get("group_by") or []
    shown = {path: group_value(reach(event.properties, path)) for path in paths}
    if not shown or any(value is None for value in shown.values()):
        return None
    return compact(shown)
