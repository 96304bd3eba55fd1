"""The agent that counts usage events."""

from typing import Any

from stream.engine.app import App


async def count(app: App, stream: Any) -> None:
    """Hand each block of events to the shard that owns its partition.

    Delivery: exactly once, by the shard's commit (one Kafka transaction holds the state, the source's position and
    every record sent). The group's offsets are written afterwards and never read.

    State: `stream.core.partition.Partition`, one for each partition, in the changelog `<app>-state-changelog`.

    Back pressure: a shard with too much uncommitted makes the agent wait, which stops Faust's fetching; nothing is
    buffered beyond what was fetched.
    """
    async for event in stream.noack().events():
        await app.shards.fold(event.message)
        app.folded()
