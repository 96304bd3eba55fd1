"""The same job on stock Faust, as well as it can be done: one row for each customer, orjson, uvloop.

    python -m bench.stock BOOTSTRAP TOPIC EVENTS REDIS

It is let off some of the job: ids are only remembered in memory, and a window that ends is simply dropped. Prints one
JSON object when it has counted EVENTS.
"""

import asyncio
import json
import sys
import time
from typing import Any

import faust
import orjson
import redis.asyncio
import uvloop


def main(bootstrap: str, topic: str, events: int, redis_url: str) -> None:
    """Run until so many events are counted."""
    app = faust.App(
        f"stock-{topic}",
        broker=f"kafka://{bootstrap}",
        store="memory://",
        topic_partitions=4,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        value_serializer="raw",
        key_serializer="raw",
    )
    source = app.topic(topic, value_serializer="raw", key_serializer="raw")
    rows = app.Table("rows", partitions=4, default=None, key_type=bytes, value_type=bytes)
    seen: set[bytes] = set()
    dirty: dict[bytes, list[Any]] = {}
    client = redis.asyncio.Redis.from_url(redis_url)
    state: dict[str, Any] = {"count": 0, "began": None}

    @app.agent(source)
    async def count(stream: Any) -> None:
        async for event in stream.events():
            if state["began"] is None:
                state["began"] = time.monotonic()
            body = orjson.loads(event.value)
            key = event.key
            uid = key + body["id"].encode()
            if uid not in seen:
                seen.add(uid)
                stamp, props = body["timestamp"], body["properties"]
                stored = rows.get(key)
                row = orjson.loads(stored) if stored else [["", 0, 0, 0] for _ in range(3)]
                value = props["value"]
                for window, start in zip(row, (stamp[:13], stamp[:10], stamp[:7]), strict=True):
                    if window[0] != start:
                        window[:] = [start, 0, 0, 0]
                    window[1] += 1
                    if props["region"] == "NA":
                        window[2] += value
                    window[3] = max(window[3], value)
                rows[key] = orjson.dumps(row)
                dirty[key] = row
            state["count"] += 1
            if state["count"] >= events:
                seconds = time.monotonic() - state["began"]
                print(json.dumps({"events": state["count"], "seconds": seconds}), flush=True)
                import os

                os._exit(0)

    @app.timer(0.05)  # type: ignore[untyped-decorator]
    async def publish() -> None:
        if dirty:
            taken, pipe = dict(dirty), client.pipeline(transaction=False)
            dirty.clear()
            for key, row in taken.items():
                pipe.hset(b"stock:" + key, mapping={str(i): orjson.dumps(window) for i, window in enumerate(row)})
            await pipe.execute()

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    faust.Worker(app, loop=loop, quiet=True, loglevel="error", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
