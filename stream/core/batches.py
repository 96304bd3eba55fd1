"""Events that states count, gathered by customer: the states of one customer lie close together, and fold many at once.

What is gathered has had its verdict: it counts. It is folded when the block ends, or before anything else happens to
the customer's states.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

from stream.core.book import HOUR_US
from stream.core.general import States, Unusable
from stream.core.metrics.base import Many
from stream.core.plan import Named
from stream.core.upserts import Contributions
from stream.core.waiting import CHUNK, FIRST, NUMBER, Waiting


class Batch:
    """The events of one name on their way into the states of its metrics; the fold adds to `waiting[customer]`."""

    def __init__(self, general: Sequence[States], named: Named, contributions: Contributions | None) -> None:
        """`contributions` are there where an event may be replaced."""
        self._general, self.waits, self._contributions = general, named.waits, contributions
        self._encoded = named.contributions
        self._by_time = all(getattr(states.built.metric, "sorts", False) for states in general)
        self._grouped = any(states.built.group is not None for states in general)
        self.waiting: dict[str, list[Waiting]] = {}

    def fold(self, customers: Iterable[str], bad: Unusable) -> int:
        """Fold what waits of these customers; the answer is for how many (event, metric, window) that was late."""
        late = 0
        for customer in customers:
            batch = self.waiting.pop(customer, None)
            if batch is None:
                continue
            chunk, number = batch[-1][CHUNK], batch[-1][NUMBER]
            clock_us = chunk.clock_at(number)
            columns = [*zip(*(sorted(batch) if self._by_time else batch), strict=True)]
            instants, orders, ws = columns[:3]
            if self._by_time:
                first, last = ws[0], ws[-1]
            else:
                first, last = ws[instants.index(min(instants))], ws[instants.index(max(instants))]
            left_out = []
            for place, states in enumerate(self._general, FIRST):
                events = Many(instants, orders, columns[place], first, last, by_time=self._by_time)
                without, late_here = states.fold_batch(customer, batch, place, events, clock_us, bad)
                late += late_here
                left_out.append(without)
            if self._contributions is not None:
                self._contribute(self._contributions, customer, batch, left_out)
        return late

    def _contribute(
        self,
        contributions: Contributions,
        customer: str,
        batch: list[Waiting],
        left_out: list[list[int] | None],
    ) -> None:
        """Remember of each event what the metrics made of it."""
        if not self._grouped and not any(left_out):
            try:
                for hour, some in self._by_hour(batch):
                    contributions.put_all(hour, self._encoded(hour, customer, some))
            except OverflowError:
                pass  # an integer beyond 64 bits
            else:
                return
        for number, waits in enumerate(batch):
            us, order, _, p, chunk, i, *values = waits
            parts = [
                states.part(p, value)
                for states, value, without in zip(self._general, values, left_out, strict=True)
                if value is not None and number not in (without or ())
            ]
            contributions.put(chunk.hashes[i], chunk.clock_at(i) // HOUR_US, customer, us, order, parts)

    @staticmethod
    def _by_hour(batch: list[Waiting]) -> Iterable[tuple[int, Iterable[Waiting]]]:
        """Events by the clock's hour, which a chunk is of."""
        hour = batch[0][CHUNK].hour
        if hour == batch[-1][CHUNK].hour:
            return ((hour, batch),)
        return groupby(batch, key=lambda waits: waits[CHUNK].hour)
