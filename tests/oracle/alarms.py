"""Which limits and shares of them a log crosses, and what the gate is to see of a total.

Part of the independent judge. A threshold is reached while used >= share x limit, looked at after
each event; of a window it is told once, of a gauge's present state each time that it is reached anew.
"""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from tests.oracle.log import LogIndex
from tests.oracle.readings import OVERALL
from tests.oracle.times import SECOND
from tests.oracle.values import Number, canonical, compact, fraction, group_value, written

MOST_SCALED = 2**53 - 1


class Alarm(NamedTuple):
    """One message that must be told."""

    customer: str
    metric: str
    group: bytes
    window: str | None
    start: int | None
    share: Fraction
    limit: Fraction
    used: str


def exactly(value: Any) -> Fraction:
    """An amount of the definitions as a fraction."""
    return fraction(canonical(value)[1])


def limits_of(definitions: dict[str, Any], metric: str) -> list[dict[str, Any]]:
    """The limits on a metric."""
    return [limit for limit in definitions.get("limits") or [] if limit["metric"] == metric]


def limit_of(
    definitions: dict[str, Any], customer: str, metric: str, window: str | None, group: bytes
) -> dict[str, Any] | None:
    """The one limit of a total: the customer's, else the one for all."""
    found = None
    for limit in limits_of(definitions, metric):
        named = limit.get("group")
        here = OVERALL if not named else compact({key: shown(value) for key, value in named.items()})
        if here == group and limit.get("window") == window and limit.get("customer") in {None, customer}:
            found = limit if found is None or limit.get("customer") == customer else found
    return found


def shown(value: Any) -> Any:
    """A group's value of the definitions as the groups of events show it."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return group_value(Number(written(value)))
    return value


def shares_of(limit: dict[str, Any]) -> list[Fraction]:
    """The shares that are told, the limit itself being 1."""
    return [*(exactly(share) for share in limit.get("warn_at") or []), Fraction(1)]


def decimals(definitions: dict[str, Any], metric: str) -> int | None:
    """The greatest number of decimal places among a metric's limits; None without a limit."""
    places = [len(written(limit["limit"]).partition(".")[2]) for limit in limits_of(definitions, metric)]
    return max(places) if places else None


def scaled(definitions: dict[str, Any], metric: str, value: str) -> str:
    """A total as the gate compares it: rounded up to the limits' decimals, as an integer; "" without a limit."""
    places = decimals(definitions, metric)
    if places is None:
        return ""
    amount = -((-exactly(Decimal(value)) * 10**places).__floor__())
    return str(max(-MOST_SCALED, min(MOST_SCALED, amount)))


def alarms(index: LogIndex) -> Iterator[Alarm]:
    """Every message that the log makes, in no particular order."""
    definitions = index.rules.definitions
    for key, metric in index.rules.metrics.items():
        if not limits_of(definitions, key):
            continue
        for customer, kind in [(who, kind) for who, which, kind in index.changes if which == key]:
            if metric["type"] == "gauge":
                if kind == index.rules.windows(metric)[0]:
                    yield from of_state(index, customer, key, kind)
            else:
                yield from of_windows(index, customer, key, kind)


def of_windows(index: LogIndex, customer: str, key: str, kind: str) -> Iterator[Alarm]:
    """Of the windows of one kind: each threshold once."""
    days = index.rules.calendar(customer)
    told = set()
    for change in index.changes[customer, key, kind]:
        start = days.window(kind, change.reading.us // SECOND)[0]
        for group in {OVERALL, change.reading.group} - {None}:
            assert group is not None
            limit = limit_of(index.rules.definitions, customer, key, kind, group)
            total = index.total(customer, key, kind, start, change.offset + 1, group)
            if limit is None or total is None:
                continue
            for share in shares_of(limit):
                if (group, start, share) not in told and reached(total[0], share, limit):
                    told.add((group, start, share))
                    yield Alarm(customer, key, group, kind, start, share, exactly(limit["limit"]), total[0])


def of_state(index: LogIndex, customer: str, key: str, kind: str) -> Iterator[Alarm]:
    """Of a gauge's present state: each threshold whenever it is reached and was not before the event."""
    above: Counter[tuple[bytes, Fraction]] = Counter()
    for offset in dict.fromkeys(change.offset for change in index.changes[customer, key, kind]):
        touched = {one.reading.group for one in index.changes[customer, key, kind] if one.offset == offset}
        for group in {OVERALL, *touched} - {None}:
            assert group is not None
            limit = limit_of(index.rules.definitions, customer, key, None, group)
            state = index.state(customer, key, kind, offset + 1, group)
            if limit is None or state is None:
                continue
            for share in shares_of(limit):
                now = reached(state, share, limit)
                if now and not above[group, share]:
                    yield Alarm(customer, key, group, None, None, share, exactly(limit["limit"]), state)
                above[group, share] = int(now)


def reached(used: str, share: Fraction, limit: dict[str, Any]) -> bool:
    """Whether used >= share x limit."""
    return exactly(Decimal(used)) >= share * exactly(limit["limit"])
