"""What no recovery can beat: the worker's own reader on the changelog, and nothing done with what it reads.

python -m bench.changelog_floor BOOTSTRAP CHANGELOG PARTITIONS
"""

import asyncio
import gc
import json
import sys
import time

import uvloop
from aiokafka import TopicPartition

from stream.engine.kafka import Kafka
from stream.engine.process import GC_THRESHOLDS


async def main(bootstrap: str, changelog: str, partitions: int) -> None:
    """Read all partitions side by side, as a worker does, and print how long it took."""
    kafka = Kafka(bootstrap)
    await kafka.start()

    async def read(place: TopicPartition) -> int:
        end = await kafka.high_watermark(place)
        return sum([len(run) async for run in kafka.read(place, None, end, isolation="read_committed")])

    began = time.monotonic()
    found = await asyncio.gather(*(read(TopicPartition(changelog, number)) for number in range(partitions)))
    print(json.dumps({"records": sum(found), "seconds": time.monotonic() - began}))
    await kafka.stop()


if __name__ == "__main__":
    gc.set_threshold(*GC_THRESHOLDS)  # as the worker has it
    gc.freeze()
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
