"""Events that states count, gathered by customer: the states of one customer lie close together, and fold many at once.

What is gathered has had its verdict: it counts. It is folded when the block ends, or before anything else happens to
the customer's states.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stream.core.book import HOUR_US
from stream.core.general import States, Unusable, Waiting
from stream.core.metrics.base import Many
from stream.core.metrics.wire import HIGH, LOW, plain_of
from stream.core.upserts import Contributions


class Batch:
    """The events of one name on their way into the states of its metrics; the fold adds to `waiting[customer]`."""

    def __init__(
        self,
        general: Sequence[States],
        values: Callable[[Any], tuple[Any | None, ...]],
        contributions: Contributions | None,
    ) -> None:
        """`values` reads an event's values off its properties; `contributions` are there where it may be replaced."""
        self._general, self.values, self._contributions = general, values, contributions
        self._by_time = all(getattr(states.built.metric, "sorts", False) for states in general)
        self._heads = [(states.built.key, states.built.metric.shape) for states in general]
        self._grouped = any(states.built.group is not None for states in general)
        self.waiting: dict[str, list[Waiting]] = {}

    def fold(self, customers: Iterable[str], bad: Unusable) -> int:
        """Fold what waits of these customers; the answer is for how many (event, metric, window) that was late."""
        late = 0
        for customer in customers:
            batch = self.waiting.pop(customer, None)
            if batch is not None:
                ws, orders, rows, *_ = zip(*(sorted(batch, key=_time) if self._by_time else batch), strict=True)
                instants = [w[0] for w in ws]
                first, last = (ws[0], ws[-1]) if self._by_time else (min(ws), max(ws))
                left_out = []
                for place, values in enumerate(zip(*rows, strict=True)):
                    events = Many(instants, orders, values, first, last, by_time=self._by_time)
                    without, late_here = self._general[place].fold_batch(customer, batch, place, events, bad)
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
        put, heads = contributions.put, self._heads
        if not self._grouped and not any(left_out):
            for w, order, values, clock_us, _, _, digest in batch:
                parts = [
                    (key, shape, None, value if value.__class__ is int and LOW < value < HIGH else plain_of(value))
                    for (key, shape), value in zip(heads, values, strict=True)
                    if value is not None
                ]
                put(digest, clock_us // HOUR_US, customer, w[0], order, parts)
            return
        for number, (w, order, values, clock_us, p, _, digest) in enumerate(batch):
            parts = [
                states.part(p, values[place])
                for place, states in enumerate(self._general)
                if values[place] is not None and number not in (left_out[place] or ())
            ]
            put(digest, clock_us // HOUR_US, customer, w[0], order, parts)


def _time(waiting: Waiting) -> int:
    return waiting[0][0]
