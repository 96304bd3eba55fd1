"""What no worker of this kind can beat: aiokafka's fetch and msgspec's decoding of each event, and nothing else.

python -m bench.floor BOOTSTRAP TOPIC EVENTS
"""

import json
import sys
import time

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition


class Properties(msgspec.Struct, gc=False):
    """What the metrics read."""

    region: str | None = None
    value: int | None = None


class Event(msgspec.Struct, gc=False):
    """An event of the native dialect."""

    id: str
    event_name: str
    customer_id: str
    timestamp: str
    properties: Properties


async def main(bootstrap: str, topic: str, events: int) -> None:
    """Read so many events and print how long it took."""
    decode = msgspec.json.Decoder(Event).decode
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(topic, n) for n in range(4)])
    count, began = 0, 0.0
    while count < events:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            began = began or time.monotonic()
            for record in records:
                decode(record.value)
            count += len(records)
    print(json.dumps({"events": count, "seconds": time.monotonic() - began}))
    await consumer.stop()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
