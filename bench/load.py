"""Events of the main job, put on Kafka before the clock runs or at a rate while it runs.

    python -m bench.load BOOTSTRAP TOPIC EVENTS CUSTOMERS uniform|zipf|sequence [RATE [SEED]]

Distinct ids, 165 bytes each, time stamps of the present second, keys as Kafka's Java clients place them.
"""

import bisect
import itertools
import random
import sys
import time
from collections.abc import Callable

from confluent_kafka import Producer


def picker(customers: int, kind: str, chance: random.Random) -> Callable[[], int]:
    """Choose customers alike, by zipf (1.1), or one after the other."""
    if kind == "sequence":
        turn = itertools.count()
        return lambda: next(turn) % customers
    if kind == "uniform":
        return lambda: chance.randrange(customers)
    weights = list(itertools.accumulate(1 / (i + 1) ** 1.1 for i in range(customers)))
    return lambda: bisect.bisect(weights, chance.random() * weights[-1])


def load(bootstrap: str, topic: str, events: int, customers: int, kind: str, rate: float = 0.0, seed: int = 1) -> float:
    """Send events; `rate` is in events a second, 0 as fast as it goes. Returns the seconds that it took."""
    chance = random.Random(seed)
    pick = picker(customers, kind, chance)
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 5 if rate else 50,  # at a rate, as librdkafka and Kafka 4 do where nothing else is said
            "batch.size": 500_000,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 500_000,
            "enable.idempotence": True,
        }
    )
    regions = ("NA", "EU")
    began = time.monotonic()
    second, stamp = 0, ""
    for i in range(events):
        if i % 64 == 0:
            now = time.time()
            if int(now) != second:
                second, stamp = int(now), time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        customer = f"cust{pick():06d}"
        draw = chance.random()
        event = (
            f'{{"id":"ev_{seed}_{i:010d}","event_name":"api_request","customer_id":"{customer}","timestamp":"{stamp}.'
            f'{int(draw * 1000):03d}Z","properties":{{"region":"{regions[i & 1]}","value":{int(draw * 9) + 1}}}}}'
        )
        while True:
            try:
                producer.produce(topic, event, customer)
                break
            except BufferError:
                producer.poll(0.1)
        if rate:
            if i % 20 == 0:
                producer.poll(0)
                ahead = began + i / rate - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
        elif i % 5000 == 0:
            producer.poll(0)
    if producer.flush(60):
        raise TimeoutError("the broker did not take all events")
    return time.monotonic() - began


if __name__ == "__main__":
    where, name, count, many, how, *pace = sys.argv[1:]
    load(
        where,
        name,
        int(count),
        int(many),
        how,
        float(pace[0]) if pace else 0.0,
        seed=int(pace[1]) if len(pace) > 1 else 1,
    )
