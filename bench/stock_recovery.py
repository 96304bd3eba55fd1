"""Recovery of a table by stock Faust, in memory, raw bytes for keys and values, uvloop.

    python -m bench.stock_recovery BOOTSTRAP APP PARTITIONS FOLDER

Recovers from APP-rows-changelog, which the caller has filled, and prints one JSON object.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

import faust
import uvloop


def main(bootstrap: str, name: str, partitions: int, folder: str) -> None:
    """Run until the table is recovered."""
    app = faust.App(
        name,
        broker=f"kafka://{bootstrap}",
        store="memory://",
        datadir=folder,
        topic_partitions=partitions,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        stream_recovery_delay=0.0,
        web_enabled=False,
        value_serializer="raw",
        key_serializer="raw",
    )
    rows = app.Table("rows", partitions=partitions, default=None, key_type=bytes, value_type=bytes)
    source = app.topic(f"{name}-source", value_serializer="raw", key_serializer="raw", partitions=partitions)
    began = 0.0

    @app.on_partitions_assigned.connect(weak=False)
    async def assigned(*_: Any, **__: Any) -> None:
        nonlocal began
        began = began or time.monotonic()

    @app.agent(source)
    async def nothing(stream: Any) -> None:
        async for _ in stream:
            pass

    @rows.on_recover
    async def recovered() -> None:
        print(json.dumps({"rows": len(rows), "seconds": time.monotonic() - began}), flush=True)
        os._exit(0)

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    faust.Worker(app, loop=loop, quiet=True, loglevel="error", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
