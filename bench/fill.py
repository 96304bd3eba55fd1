"""Fills an app's changelog as its worker does, without Kafka's group and without Redis.

    python -m bench.fill BOOTSTRAP APP TOPIC PARTITIONS PARTITION...

Reads what each partition of the topic holds, folds it with the product's own code, and writes every commit with the
product's own transactions, so that a worker of this app finds what a worker before it would have left.
"""

import asyncio
import json
import sys

from aiokafka import TopicPartition

from bench.ours import DEFINITIONS
from schemas.load import load
from stream.core.partition import Partition
from stream.core.plan import Plan, Rules
from stream.engine.app import CHANGELOG_CONFIG
from stream.engine.committer import Topics, TransactionalCommitter
from stream.engine.kafka import Kafka
from tally.topics import changelog_of, transactional_id

#: Events that are folded between two commits: about what a busy worker's commits hold.
COMMIT = 10_000


async def fill(kafka: Kafka, app: str, topic: str, count: int, number: int) -> dict[str, int]:
    """Fold one partition from its beginning; return the live rows and their bytes, and how many records were written."""
    plan = Plan(load(DEFINITIONS), Rules(app=app, topic=topic))
    partition = Partition(plan, number, count)
    partition.restored()
    partition.begin_term()
    names = Topics(changelog_of(app), {}, {})
    committer = TransactionalCommitter(kafka.bootstrap, names, number, transactional_id(app, topic, number))
    await committer.start()
    live: dict[bytes, int] = {}
    written = 0

    async def commit() -> None:
        nonlocal written
        taken = partition.take()
        assert taken is not None, "a term or events have begun since the last commit"
        await committer.write(taken)
        written += len(taken.rows)
        for key, value in taken.rows:
            if value is None:
                live.pop(key, None)
            else:
                live[key] = len(key) + len(value)

    source = TopicPartition(topic, number)
    async for records in kafka.read(source, 0, await kafka.high_watermark(source), isolation="read_committed"):
        for at in range(0, len(records), COMMIT):
            block = records[at : at + COMMIT]
            partition.fold(block, block[-1].offset + 1)
            await commit()
    await committer.stop()
    rows = [size for key, size in live.items() if key[:1] == b"r"]
    return {"rows": len(rows), "row_bytes": sum(rows), "records": written, "bytes": sum(live.values())}


async def main(bootstrap: str, app: str, topic: str, count: int, numbers: list[int]) -> None:
    """Fill one partition after the other; print the sums."""
    kafka = Kafka(bootstrap)
    await kafka.start()
    await kafka.ensure_topic(changelog_of(app), count, CHANGELOG_CONFIG)
    found = [await fill(kafka, app, topic, count, number) for number in numbers]
    await kafka.stop()
    print(json.dumps({name: sum(each[name] for each in found) for name in found[0]}))


if __name__ == "__main__":
    where, name, source, partitions, *mine = sys.argv[1:]
    asyncio.run(main(where, name, source, int(partitions), [int(each) for each in mine]))
