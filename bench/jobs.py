"""The main job's events, and the job with each type of metric in place of its counters.

The events are those of `bench.load` with a user beside region and value: 1,000 customers alike, distinct ids, the
milliseconds of a second in no order.
"""

import random
import time
from typing import Any, NamedTuple

from bench.ours import DEFINITIONS
from schemas.definitions import Definitions
from schemas.load import load

CUSTOMERS = 1000
T0 = 1_772_712_000  # 2026-03-05T12:00:00Z

_NA = "filters: [{property: region, op: eq, value: NA}]"
_WINDOWS = "event_name: api_request, windows: [hour, day, month]"

GAUGE = f"""
metrics:
  level: {{type: gauge, event_type: delta, aggregation: latest, property: value, {_WINDOWS}}}
  na_most: {{type: gauge, event_type: total, aggregation: max, property: value, {_NA}, {_WINDOWS}}}
  load: {{type: gauge, event_type: total, aggregation: weighted_sum, property: value, {_WINDOWS}}}
"""
SLIDING = f"""
metrics:
  requests: {{type: rate, sliding: true, granularity: minute, aggregation: count, {_WINDOWS}}}
  na_value: {{type: rate, sliding: true, granularity: minute, aggregation: sum, property: value, {_NA}, {_WINDOWS}}}
  most: {{type: rate, sliding: true, granularity: minute, aggregation: max, property: value, {_WINDOWS}}}
"""
UNIQUE = f"""
metrics:
  users: {{type: counter, aggregation: unique, property: user, {_WINDOWS}}}
  na_users: {{type: counter, aggregation: unique, property: user, {_NA}, {_WINDOWS}}}
  values: {{type: counter, aggregation: unique, property: value, {_WINDOWS}}}
"""
UPSERT = f"{DEFINITIONS}\nevents: {{api_request: {{on_duplicate: upsert}}}}\n"

JOBS = {
    "counters": DEFINITIONS,
    "gauge": GAUGE,
    "sliding rate": SLIDING,
    "unique": UNIQUE,
    "upsert": UPSERT,
    "upsert, 1 of 10 replaces": UPSERT,
}
"""Three metrics of three windows each: the definitions of each job."""


class Record(NamedTuple):
    """A record of the source, as the fold reads it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Sent(NamedTuple):
    """An event: its customer, when Kafka took it (milliseconds), and its JSON."""

    customer: str
    ms: int
    value: bytes


def definitions(job: str) -> Definitions:
    """The definitions of a job."""
    return load(JOBS[job], job)


def events(number: int, pace: int, *, replacing: int = 0, seed: int = 1, start: int = T0) -> list[Sent]:
    """So many events, `pace` of them in each second of their time, the first at `start` (seconds since the epoch).

    One of `replacing` has an id of an earlier one.
    """
    chance = random.Random(seed)
    out: list[Sent] = []
    who: list[str] = []
    for i in range(number):
        second, ms, value = start + i // pace, chance.randrange(1000), chance.randrange(1, 10)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        customer, number_of = f"cust{chance.randrange(CUSTOMERS):06d}", i
        if replacing and i > 100 and i % replacing == 0:
            number_of = i - 1 - chance.randrange(min(i - 1, 50_000))
            number_of -= number_of % replacing == 0
            customer = who[number_of]
        who.append(customer)
        event = (
            f'{{"id":"ev_1_{number_of:010d}","event_name":"api_request","customer_id":"{customer}","timestamp":"{stamp}'
            f'.{ms:03d}Z","properties":{{"region":"{"NA" if chance.random() < 0.5 else "EU"}","value":{value},'
            f'"user":"u{chance.randrange(5000):06d}"}}}}'
        )
        out.append(Sent(customer, second * 1000 + 999, event.encode()))
    return out


def partitioned(sent: list[Sent], count: int, home: Any) -> list[list[Record]]:
    """The same by the partition that is each customer's home."""
    logs: list[list[Record]] = [[] for _ in range(count)]
    for customer, ms, value in sent:
        log = logs[home[customer]]
        log.append(Record("usage-events", home[customer], len(log), ms, customer.encode(), value))
    return logs
