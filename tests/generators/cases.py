"""Whole cases for differential tests: definitions, lines, and what to ask; and how to make one small."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tests.generators.definitions import FEATURES, definitions
from tests.generators.events import BLANK, message
from tests.generators.instants import SPANS, base, near, rfc3339
from tests.oracle.times import KINDS
from tests.oracle.values import compact


@dataclass(frozen=True)
class Case:
    """One question to both the product and the judge."""

    definitions: dict[str, Any]
    lines: tuple[bytes, ...]
    at: str | None = None
    billable: str | None = None

    @property
    def text(self) -> str:
        """The definitions as the JSON text that the product loads."""
        return compact(self.definitions).decode()

    def __repr__(self) -> str:
        """Something to paste into a regression test."""
        lines = "".join(f"\n        {line!r}," for line in self.lines)
        asked = f"at={self.at!r}, billable={self.billable!r}"
        return f"Case(\n    json: {self.text}\n    lines: ({lines}\n    )\n    {asked}\n)"


def make_case(rnd: Random, features: Collection[str] = FEATURES, most: int = 25) -> Case:
    """A random case with up to `most` lines."""
    span = rnd.choice(SPANS)
    made = definitions(rnd, span, features)
    zone = rnd.choice([made.get("timezone", "UTC"), made.get("customers", {}).get("acme", {}).get("timezone", "UTC")])
    second = base(rnd, zone)
    ids = rnd.choice((6, 40, 1_000))
    names = [metric["event_name"] for metric in made["metrics"].values()]
    lines = [message(rnd, second, span, ids, features, names) for _ in range(rnd.randrange(1, most + 1))]
    if rnd.randrange(3) == 0:
        lines += rnd.choices(lines, k=3)
    if rnd.randrange(8) == 0:
        lines.insert(rnd.randrange(len(lines)), rnd.choice(BLANK))
    at = rfc3339(near(rnd, second, span)) if rnd.randrange(3) == 0 else None
    billable = rnd.choice(periods(made)) if "billable" in features and rnd.randrange(2) else None
    return Case(made, tuple(lines), at, billable)


def periods(made: dict[str, Any]) -> list[str | None]:
    """The window kinds that billable attribution is asked for: those that have an end."""
    used = {kind for metric in made["metrics"].values() for kind in metric["windows"]}
    return [kind for kind in KINDS if kind in used and kind != "total"] or [None]


def normal(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer in the form that is compared: groups as JSON, details left out, billable days of 0 left out."""
    rows = []
    for row in answer["rows"]:
        shown = {key: value for key, value in row.items() if key != "billable"}
        shown["group"] = compact(dict(row["group"])).decode()
        if "billable" in row:
            shown["billable"] = [(part["day"], part["value"]) for part in row["billable"] if part["value"] != "0"]
        rows.append(shown)
    rejected = [
        {key: sorted(value) if key == "metrics" else value for key, value in entry.items() if key != "detail"}
        for entry in answer["rejected"]
    ]
    return {"rows": rows, "rejected": rejected, "duplicates": answer["duplicates"], "late": answer["late"]}


def difference(expected: dict[str, Any], got: dict[str, Any]) -> str | None:
    """The first thing in which two normal answers differ, in words; None where they are equal."""
    for key in ("rejected", "duplicates", "rows", "late"):
        if expected[key] == got[key]:
            continue
        if not isinstance(expected[key], list):
            return f"{key}: expected {expected[key]}, got {got[key]}"
        for index in range(max(len(expected[key]), len(got[key]))):
            wanted = expected[key][index] if index < len(expected[key]) else None
            found = got[key][index] if index < len(got[key]) else None
            if wanted != found:
                return f"{key}[{index}]:\n  expected {json.dumps(wanted)}\n  got      {json.dumps(found)}"
    return None


def shrink(case: Case, fails: Callable[[Case], bool]) -> Case:
    """A smaller case that still fails: fewer lines, metrics, fields and properties."""
    changed = True
    while changed:
        changed = False
        for smaller in smaller_cases(case):
            if fails(smaller):
                case, changed = smaller, True
                break
    return case


def smaller_cases(case: Case) -> list[Case]:
    """Every case that is one step smaller, large steps first."""
    made: list[Case] = []
    count = len(case.lines)
    size = count // 2
    while size:
        made += [replace(case, lines=case.lines[:i] + case.lines[i + size :]) for i in range(0, count, size)]
        size //= 2
    metrics = case.definitions["metrics"]
    if len(metrics) > 1:
        made += [with_metrics(case, {key: metrics[key] for key in metrics if key != gone}) for gone in metrics]
    for key, metric in metrics.items():
        for name in ("filters", "group_by", "rounding", "lateness", "initial_value", "sliding"):
            if name in metric:
                made.append(with_metrics(case, metrics | {key: {k: v for k, v in metric.items() if k != name}}))
        if len(metric["windows"]) > 1:
            made += [with_metrics(case, metrics | {key: metric | {"windows": [kind]}}) for kind in metric["windows"]]
    made += [
        replace(case, definitions={k: v for k, v in case.definitions.items() if k != name})
        for name in ("timezone", "customers", "events")
        if name in case.definitions
    ]
    made += [replace(case, at=None)] if case.at else []
    made += [replace(case, billable=None)] if case.billable else []
    return made


def with_metrics(case: Case, metrics: dict[str, Any]) -> Case:
    """The case with other metrics."""
    return replace(case, definitions=case.definitions | {"metrics": metrics})
