"""The demo's events: steady traffic of some customers, with duplicates, late events and some that are too old."""

import json
import random
from collections.abc import Iterator

from tally.demo.crowd import LIMIT

CUSTOMERS = ("acme", "bolt", "cedar", "dune", "ember", "fjord", "grove", "harbor", "iris", "juno", "karst", "lumen")
MODELS = ("small", "medium", "large")
DUPLICATES = 1_000
LATE_EVERY = 50  # one event in so many happened up to three days ago: it counts in its own day, and nowhere else
OLD_EVERY = 500  # one in so many happened more than a week ago: it is rejected, and counts nowhere

METRICS = f"""\
# What the demo measures: three metrics of one event, and one that is limited.
metrics:
  requests:
    event_name: request
    type: counter
    aggregation: count
    windows: [hour, day, month, total]
  tokens:
    event_name: request
    type: counter
    aggregation: sum
    property: tokens
    group_by: [model]
    windows: [hour, day, month, total]
  cost:
    event_name: request
    type: counter
    aggregation: sum
    property: cost
    windows: [hour, day, month, total]
  jobs:              # what the gate is shown with
    event_name: job
    type: counter
    aggregation: count
    windows: [hour, day, month, total]
  probes:            # how long an event takes is measured with these
    event_name: probe
    type: counter
    aggregation: count
    windows: [total]
limits:
  - {{metric: jobs, window: total, limit: {LIMIT}}}
"""


class Traffic:
    """Makes events. The same seed makes the same customers, values and order; times are those given."""

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self._weights = [1 / (rank + 1) for rank in range(len(CUSTOMERS))]
        self._made = 0
        self.too_old = False

    def event(self, now: float) -> tuple[str, bytes]:
        """The customer and the JSON of one event that happens now, or happened earlier; `too_old` tells of the last one."""
        self._made += 1
        rnd = self._random
        at = now
        self.too_old = self._made % OLD_EVERY == 0
        if self.too_old:
            at = now - rnd.uniform(8 * 86400, 30 * 86400)
        elif self._made % LATE_EVERY == 0:
            at = now - rnd.uniform(60, 3 * 86400)
        customer = rnd.choices(CUSTOMERS, self._weights)[0]
        event = {
            "id": f"ev_{self._made:08}",
            "event_name": "request",
            "customer_id": customer,
            "timestamp": round(at, 6),
            "properties": {
                "model": rnd.choice(MODELS),
                "tokens": rnd.randrange(1, 4000),
                "cost": f"0.{rnd.randrange(1, 100000):06}",  # text, so that no producer's float rounds it
            },
        }
        return customer, json.dumps(event, separators=(",", ":")).encode()


def duplicates(seconds: float, rate: float) -> Iterator[bool]:
    """For each event whether an earlier one is sent again after it: `DUPLICATES` of them, evenly spread."""
    every = max(1, int(seconds * rate * 0.9) // DUPLICATES)  # the last one well before the end
    left, number = DUPLICATES, 0
    while True:
        number += 1
        again = left > 0 and number % every == 0
        left -= again
        yield again
