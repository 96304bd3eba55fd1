"""Measures from outside how long an event takes until its total stands in Redis. A process of its own.

`python -m tally.demo.probe BOOTSTRAP REDIS APP TOPIC PARTITIONS`: for each partition it sends an event of a customer
who lives there, looks at Redis until its total has grown, and sends the next. When its standard input ends it prints
one JSON list of [sent, seen] in seconds since the epoch.
"""

import asyncio
import json
import logging
import sys
import time

from tallygate import layout

from tally import kafka
from tally.store import connected

PAUSE_S = 0.02  # between two events of one partition
LOOK_S = 0.002  # between two looks at Redis


def residents(partitions: int) -> list[str]:
    """A customer for each partition, `probe-...`."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        name = f"probe-{number}"
        found.setdefault(layout.partition_of(name, partitions), name)
        number += 1
    return [found[partition] for partition in range(partitions)]


async def probe(bootstrap: str, url: str, app: str, topic: str, partitions: int) -> list[tuple[float, float]]:
    """Send and look until standard input ends."""
    seen: list[tuple[float, float]] = []
    over = asyncio.Event()  # not cancel(): before Python 3.12 redis-py may swallow a cancellation

    async def one(partition: int, customer: str) -> None:
        key, number = layout.Keys(app, partition).totals(customer), 0
        while not over.is_set():
            number += 1
            sent = time.time()
            event = {"id": str(number), "event_name": "probe", "customer_id": customer, "timestamp": sent}
            await producer.send_and_wait(topic, json.dumps(event).encode(), key=customer.encode())
            while await counted(key) < number and not over.is_set():  # noqa: ASYNC110 - what is measured is Redis
                await asyncio.sleep(LOOK_S)
            seen.append((sent, time.time()))
            await asyncio.sleep(PAUSE_S)

    async def counted(key: str) -> int:
        text = await client.hget(key, "probes")
        return 0 if text is None else int(json.loads(text)["w"]["total"][0][3])

    async with kafka.producer(bootstrap) as producer, connected(url) as client:
        tasks = [asyncio.create_task(one(number, name)) for number, name in enumerate(residents(partitions))]
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        print("ready", flush=True)
        await reader.read()
        over.set()
        await asyncio.gather(*tasks)
    return seen


def main() -> None:
    """Measure, and print what was seen."""
    logging.basicConfig(handlers=[logging.NullHandler()])
    bootstrap, url, app, topic, partitions = sys.argv[1:]
    print(json.dumps(asyncio.run(probe(bootstrap, url, app, topic, int(partitions)))))


if __name__ == "__main__":
    main()
