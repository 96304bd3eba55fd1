"""Random definitions: valid by the contract, of every type, and small enough to recount."""

from collections.abc import Collection
from decimal import Decimal
from random import Random
from typing import Any

from tests.generators.instants import ZONES
from tests.oracle.rules import takes_windows
from tests.oracle.times import KINDS

EVENT_NAMES = ("a", "b", "u", "v")
"""u and v may be upserts."""
FEATURES = frozenset(
    {"counter", "unique", "rate", "sliding", "gauge", "weighted", "proration", "objects", "upsert", "groups"}
    | {"filters", "rounding", "lateness", "dialects", "zones", "bad", "billable"}
)
UNITS = ("second", "minute", "hour", "day", "month", "quarter", "year")
LENGTHS = {"minute": 60, "hour": 3_600, "day": 86_400}
MOST_WINDOWS = 60


def definitions(rnd: Random, span: int, features: Collection[str] = FEATURES) -> dict[str, Any]:
    """A definitions file's dict for events that are spread over `span` seconds."""
    kinds = [kind for kind in KINDS if kind not in LENGTHS or 2 * span / LENGTHS[kind] <= MOST_WINDOWS]
    made: dict[str, Any] = {"metrics": {}}
    types = [
        name for name in ("counter", "unique", "rate", "gauge", "weighted", "proration", "objects") if name in features
    ]
    for number in range(rnd.choice((1, 1, 2, 3))):
        key = rnd.choice(("m", "calls", "tokens.in", "a-b", "A_9")) + str(number)
        made["metrics"][key] = metric(rnd, rnd.choice(types), kinds, features)
    if "zones" in features and rnd.randrange(2):
        made["timezone"] = rnd.choice(ZONES)
    if "upsert" in features and rnd.randrange(2):
        made["events"] = {name: {"on_duplicate": "upsert"} for name in rnd.choice((("u",), ("u", "v")))}
    customers: dict[str, Any] = {}
    if rnd.randrange(2):
        customers["acme"] = {"aliases": ["acct_42"]}
        if "zones" in features:
            customers["acme"] |= {"timezone": rnd.choice(ZONES)} if rnd.randrange(2) else {}
            customers["acme"] |= {"billing_anchor": f"2026-01-{rnd.randrange(1, 32):02d}"} if rnd.randrange(2) else {}
    if customers:
        made["customers"] = customers
    return made


def limits(rnd: Random, made: dict[str, Any]) -> list[dict[str, Any]]:
    """Limits on what may have one: at most one for each customer, metric, window and group."""
    found: dict[Any, dict[str, Any]] = {}
    for key, one in made["metrics"].items():
        windows = limited_windows(one)
        for _ in range(rnd.randrange(4) if windows else 0):
            window, customer = rnd.choice(windows), rnd.choice((None, None, "acme"))
            limit: dict[str, Any] = {
                "metric": key,
                "limit": rnd.choice((1, 2, 3, 10, Decimal("2.5"), Decimal("10.50"))),
            }
            limit |= {} if window is None else {"window": window}
            limit |= {} if customer is None else {"customer": customer}
            limit |= (
                {"warn_at": rnd.choice(([Decimal("0.5")], [Decimal("0.25"), Decimal("0.8")]))}
                if rnd.randrange(2)
                else {}
            )
            if one.get("group_by") and rnd.randrange(2):
                limit["group"] = {path: rnd.choice(("x", "m", 1, True, 2)) for path in one["group_by"]}
            found[key, window, customer, str(limit.get("group"))] = limit
    return list(found.values())


def limited_windows(one: dict[str, Any]) -> list[str | None]:
    """The windows that a limit on a metric may name; None for a gauge's present state."""
    if one["type"] == "gauge":
        return [None]
    if one["type"] == "rate":
        unit = one["granularity"]
        tumbling = not one.get("sliding") and one["aggregation"] in {"count", "sum"}
        return [unit] if tumbling and unit in one["windows"] else []
    return list(one["windows"]) if one["aggregation"] in {"count", "sum", "unique"} else []


def metric(rnd: Random, sort: str, kinds: list[str], features: Collection[str]) -> dict[str, Any]:
    """One metric of one of the sorts above."""
    made: dict[str, Any] = {"event_name": rnd.choice(EVENT_NAMES)}
    prop = rnd.choice(("n", "n", "n", "n", "w", "w", "deep.x", "deep.x", 'a "b'))
    match sort:
        case "counter":
            made |= {"type": "counter", "aggregation": rnd.choice(("count", "sum", "avg", "min", "max", "latest"))}
        case "unique":
            made |= {"type": "counter", "aggregation": "unique"}
            prop = rnd.choice(("n", "w", "s", "deep.x", "g", "deep", 'a "b'))
        case "rate":
            made |= {"type": "rate", "aggregation": rnd.choice(("count", "sum", "max", "avg"))}
            made["granularity"] = rnd.choice([u for u in ("minute", "hour", "day", "month") if u in kinds])
            if "sliding" in features and made["granularity"] != "month" and rnd.randrange(2):
                made["sliding"] = True
        case "gauge":
            made |= {"type": "gauge", "aggregation": rnd.choice(("latest", "max", "min"))}
        case "weighted":
            made |= {"type": "gauge", "aggregation": "weighted_sum"}
        case "proration":
            made |= {"type": "gauge", "aggregation": rnd.choice(("max", "max", "unique"))}
            shorter = rnd.randrange(len(UNITS) - 1)
            made |= {"proration": UNITS[shorter], "granularity": rnd.choice(UNITS[shorter + 1 :])}
        case "objects":
            made |= {"type": "gauge", "aggregation": "unique"}
    if made["aggregation"] != "count":
        made["property"] = prop
    if made["type"] == "gauge":
        gauge_fields(rnd, made)
    choose_windows(rnd, made, kinds)
    if "filters" in features and rnd.randrange(3) == 0:
        made["filters"] = [filter_of(rnd, 0) for _ in range(rnd.choice((1, 1, 2)))]
    if "groups" in features and rnd.randrange(3) == 0:
        made["group_by"] = rnd.choice((["s"], ["g"], ["g", "s"], ["deep.x"], ["é", 'a "b']))
    if "rounding" in features and rnd.randrange(4) == 0:
        made["rounding"] = {"mode": rnd.choice(("round", "ceil", "floor"))}
        made["rounding"] |= {"precision": rnd.choice((-2, 0, 1, 2))} if rnd.randrange(2) else {}
    if "lateness" in features and rnd.randrange(4) == 0:
        made["lateness"] = rnd.choice(("250ms", "5s", "10m", "8h", "35d"))
    return made


def gauge_fields(rnd: Random, made: dict[str, Any]) -> None:
    """What moves the gauge."""
    if made["aggregation"] == "unique":
        made["operation"] = {"property": "op", "add": "add", "remove": "remove"}
        made["property"] = rnd.choice(("s", "n"))
        return
    made["event_type"] = rnd.choice(("total", "delta"))
    if rnd.randrange(3) == 0:
        made["initial_value"] = rnd.choice((5, -2, Decimal("0.5")))


def choose_windows(rnd: Random, made: dict[str, Any], kinds: list[str]) -> None:
    """Some of the windows that the type takes, and that are not too many to recount."""
    takes = takes_windows(made)
    possible = [kind for kind in kinds if kind in takes]
    if "proration" in made:
        unit = UNITS.index(made["proration"])
        most = {0: ("minute", "hour"), 1: ("hour", "day"), 2: ("day", "week", "month")}.get(unit, KINDS)
        possible = [kind for kind in possible if kind in most]
        if rnd.randrange(4):
            possible = [kind for kind in possible if not shorter_than_unit(kind, made["proration"])]
        possible = possible or ["month" if unit < 3 else "year"]
    made["windows"] = rnd.sample(possible, min(len(possible), rnd.choice((1, 2, 3))))


def shorter_than_unit(kind: str, unit: str) -> bool:
    """Whether a window is shorter than a calendar unit."""
    ranks = {"second": 0, "minute": 1, "hour": 2, "day": 3, "week": 4, "month": 5, "billing_period": 5}
    ranks |= {"quarter": 6, "year": 7, "total": 8}
    return ranks[kind] < ranks[unit]


def filter_of(rnd: Random, depth: int) -> dict[str, Any]:
    """A filter, nested now and then."""
    choice = rnd.randrange(8 if depth < 2 else 5)
    if choice == 5:
        return {"all": [filter_of(rnd, depth + 1) for _ in range(2)]}
    if choice == 6:
        return {"any": [filter_of(rnd, depth + 1) for _ in range(2)]}
    if choice == 7:
        return {"not": filter_of(rnd, depth + 1)}
    operator = rnd.choice(
        ("eq", "ne", "in", "not_in", "isin", "isnotin", "gt", "gte", "lt", "lte", "exists", "not_exists")
    )
    made: dict[str, Any] = {"property": rnd.choice(("n", "w", "s", "g", "deep.x", "deep", "é")), "op": operator}
    if operator in {"gt", "gte", "lt", "lte"}:
        made["value"] = rnd.choice((0, 1, 3, Decimal("2.5"), -1))
    elif operator in {"eq", "ne"}:
        made["value"] = rnd.choice((0, 1, 3, Decimal("1.0"), "1", "x", True, False))
    elif operator not in {"exists", "not_exists"}:
        made["value"] = rnd.sample([0, 1, 3, Decimal("2.50"), "1", "x", "y", True], rnd.choice((1, 2, 4)))
    return made
