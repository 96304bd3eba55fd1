"""Messages that a limit, or a share of one, was reached: once for each window and threshold, inside the commit.

Totals are compared after each event, so that it depends on the log alone what is crossed, not on where blocks are cut.
Which thresholds a customer's windows have crossed is kept in one row of the changelog, as long as the windows take
events. The present state of a gauge has no window: there a threshold may be crossed again once the state has fallen
below it.
"""

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from schemas.definitions import KINDS
from schemas.totals import encode, instant, instant_us, plain
from stream.core import reading, wire
from stream.core.commit import Out
from stream.core.entries import Entry
from stream.core.general import States
from stream.core.metrics.base import kept
from stream.core.rows import Series
from stream.core.text import text
from stream.limits import Limits, Threshold, thresholds

NO_WINDOW = -1
"""Stands for the kind where the limit is on a gauge's present state."""
NEVER = 10**120
"""No total gets so far: the guard of a window without a threshold left."""

Key = tuple[str, str, int, int]
"""(metric, group's JSON or "", kind, start)."""


class Alerts:
    """What was crossed, and what is to be told with the next commit."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.made: list[Out] = []
        self._crossed: dict[str, dict[Key, list[str]]] = {}
        self._changed: set[str] = set()
        self._cached: dict[tuple[str, str, str | None, str], tuple[tuple[Threshold, str], ...]] = {}

    def windows(self, metric: str) -> tuple[str | None, ...]:
        """The windows of a metric on which any limit stands."""
        return self._limits.windows.get(metric, ())

    def _thresholds(
        self, customer: str, metric: str, window: str | None, group: str
    ) -> tuple[tuple[Threshold, str], ...]:
        """The thresholds of the one limit of a total, lowest first, each with the name by which it is remembered."""
        key = customer, metric, window, group
        found = self._cached.get(key)
        if found is None:
            limit = self._limits.of(*key)
            found = ()
            if limit is not None:
                found = tuple((each, f"{each.share}/{plain(limit.limit)}") for each in thresholds(limit))
            if len(self._cached) >= 1 << 16:
                self._cached.clear()
            self._cached[key] = found
        return found

    # -- comparing

    def row(self, series: Series, row: Any, clock_us: int, order: int) -> None:
        """Compare a row's newest windows, and set its guards: no total below them needs another look."""
        shape = series.shape
        customer, group = (row.key[0], series.names[row.key[1]]) if series.grouped else (row.key, "")
        guards: list[Any] = []
        for n, i in shape.watched:
            column, start = shape.layout.columns[i], getattr(row, f"s{n}")
            value = reading.whole_slots(series, row, n)[shape.layout.first[n, i] :][
                : 1 if column.aggregation == "count" else 2
            ]
            end, keep = row.zone.calendar.end(shape.numbers[n], start), shape.keeps[shape.counting[i].lateness]
            if not kept(end, keep[shape.numbers[n]], clock_us):  # it stays as it is, and what it crossed is forgotten
                guards.append(NEVER)
                continue
            ahead = self._compare(
                customer, column.key, group, shape.numbers[n], start, end, series.shown(i, value), clock_us, order
            )
            guards.append(NEVER if ahead is None else ahead if shape.counting[i].show is None else -NEVER)
        row.guards = guards

    def older(self, series: Series, row: Any, w: tuple[int, ...], clock_us: int, order: int) -> None:
        """Compare the windows of an event that are not the row's newest."""
        shape = series.shape
        customer, group = (row.key[0], series.names[row.key[1]]) if series.grouped else (row.key, "")
        for n, i in shape.watched:
            start = w[shape.at[n]]
            cell = series.find(row, n, start)
            end, keep = row.zone.calendar.end(shape.numbers[n], start), shape.keeps[shape.counting[i].lateness]
            if cell is not None and kept(end, keep[shape.numbers[n]], clock_us):
                column, first = shape.layout.columns[i], shape.layout.first[n, i]
                slots = shape.values[n](cell)[3:][first : first + (1 if column.aggregation == "count" else 2)]
                self._compare(
                    customer, column.key, group, shape.numbers[n], start, end, series.shown(i, slots), clock_us, order
                )

    def state(self, states: States, entry: Entry, w: tuple[int, ...], clock_us: int, order: int) -> None:
        """Compare the windows of an event in a state, or a gauge's present state."""
        state, group = states.state(entry), states.name_of(entry)
        for window in self.windows(states.built.key):
            if window is None:
                present = state.present()
                if present is not None:
                    self._compare(
                        entry.customer, states.built.key, group, NO_WINDOW, 0, None, Decimal(present), clock_us, order
                    )
                continue
            kind = KINDS.index(window)
            total = state.total(kind, w[1 + kind])
            if total is not None and kept(total.end, states.built.keeps[kind], clock_us):
                value = Decimal(total.value)
                self._compare(
                    entry.customer, states.built.key, group, kind, total.start, total.end, value, clock_us, order
                )

    def _compare(
        self,
        customer: str,
        metric: str,
        group: str,
        kind: int,
        start: int,
        end: int | None,
        used: int | Decimal,
        clock_us: int,
        order: int,
    ) -> Decimal | None:
        """Tell what was crossed; the answer is the amount of the next threshold, None where there is none."""
        window = None if kind == NO_WINDOW else KINDS[kind]
        watched = self._thresholds(customer, metric, window, group)
        if not watched:
            return None
        key = metric, group, kind, start
        crossed = self._crossed.get(customer, {}).get(key, [])
        ahead: Decimal | None = None
        for threshold, name in watched:
            if used < threshold.amount:
                ahead = threshold.amount if ahead is None else ahead
                if kind == NO_WINDOW and name in crossed:
                    crossed.remove(name)
                    self._changed.add(customer)
            elif name not in crossed:
                crossed = self._crossed.setdefault(customer, {}).setdefault(key, [])
                crossed.append(name)
                self._changed.add(customer)
                self._tell(customer, key, end, threshold, name, used, clock_us, order)
        return ahead

    def _tell(
        self,
        customer: str,
        key: Key,
        end: int | None,
        threshold: Threshold,
        name: str,
        used: int | Decimal,
        clock_us: int,
        order: int,
    ) -> None:
        metric, group, kind, start = key
        parts = [customer, *key, name, order if kind == NO_WINDOW else None]
        message = {
            "id": hashlib.blake2s(msgspec.json.encode(parts), digest_size=16).hexdigest(),
            "customer": customer,
            "metric": metric,
            "group": msgspec.Raw(group.encode() or b"{}"),  # its own JSON, whose numbers keep their digits
            "window": None if kind == NO_WINDOW else KINDS[kind],
            "start": None if end is None else instant(start),
            "end": None if end is None else instant(end),
            "threshold": threshold.share,
            "limit": name.partition("/")[2],
            "used": text(used),
            "at": instant_us(clock_us),
        }
        value = encode(message)
        self.made.append(Out("alerts", customer.encode(), value, [], None, None))

    # -- keeping

    def load(self, customer: str, value: bytes) -> None:
        """Keep a customer's row from the changelog."""
        self._crossed[customer] = {
            (metric, group, kind, start): names for metric, group, kind, start, names in msgspec.msgpack.decode(value)
        }

    def encoded(self) -> Iterator[tuple[bytes, bytes | None]]:
        """The changelog records of the customers whose crossings changed since the last call."""
        changed, self._changed = self._changed, set()
        for customer in sorted(changed):
            rows = [[*key, names] for key, names in self._crossed.get(customer, {}).items() if names]
            if not rows:
                self._crossed.pop(customer, None)
            yield wire.ALERTS + customer.encode(), wire.encode(rows) if rows else None

    def changed(self) -> bool:
        """Whether there is something to write."""
        return bool(self._changed)

    def customers(self) -> list[str]:
        """Who has crossed anything."""
        return list(self._crossed)

    def expire(self, customer: str, calendar: Any, keep_of: Any, clock_us: int) -> None:
        """Forget what a customer crossed in windows that take no events any more; `keep_of(metric)[kind]` says when."""
        mine = self._crossed.get(customer, {})
        for key in list(mine):
            metric, _, kind, start = key
            keeps = keep_of(metric)
            if kind == NO_WINDOW or (keeps is not None and kept(calendar.end(kind, start), keeps[kind], clock_us)):
                continue
            del mine[key]
            self._changed.add(customer)
