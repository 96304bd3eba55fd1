"""The topics of an app as the commands need them."""

from tally import kafka


def changelog_of(app: str) -> str:
    """The compacted topic that holds an app's state (stream.engine.app.Engine.changelog_topic)."""
    return f"{app}-state-changelog"


def transactional_id(app: str, topic: str, partition: int) -> str:
    """The id under which the owner of a partition writes (stream.engine.app.Engine); starting it fences the owner."""
    return f"{app}-{topic}-{partition}"


async def ensure_events(bootstrap: str, topic: str, partitions: int) -> int:
    """Create the events topic where it is missing, as a worker would; return how many partitions it has."""
    async with kafka.admin(bootstrap) as admin:
        there = (await kafka.topics(admin)).get(topic)
    if there is not None:
        return there
    # Faust comes with it: only the first event ever sent waits for that
    from stream.engine.app import EVENTS_CONFIG
    from stream.engine.kafka import Kafka

    broker = Kafka(bootstrap)
    await broker.start()
    try:
        return await broker.ensure_topic(topic, partitions, EVENTS_CONFIG)
    finally:
        await broker.stop()
