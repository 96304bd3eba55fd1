"""What a worker looks at before it starts: the two settings of others that could make totals wrong in silence."""

import click
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from stream import logs
from stream.settings import Settings
from stream.totals.connection import connect, faults
from tally import kafka
from tally.doctor.topics import Shell, Topic, judge_clock

log = logs.named(__name__)


async def look(config: Settings) -> None:
    """Look at Redis and at the events topic; servers that do not answer yet are left to the engine, which waits.

    Raises ClickException where Redis would throw totals away when it is full: gates would read zero. A topic whose
    producers can move the clock is only logged as an error: standing still would help nobody.
    """
    client = connect(config.redis)
    try:
        found = await faults(client)
    except (RedisError, OSError) as error:
        log.warning("Redis does not answer yet; totals wait for it", error=error)
        found = []
    finally:
        await client.aclose()
    if found:
        told = "; ".join(
            f"{fault.server}: {fault.text}" + (f" ({fault.mend})" if fault.mend else "") for fault in found
        )
        raise click.ClickException(f"This Redis is not fit to hold totals. {told}")
    try:
        async with kafka.admin(config.kafka) as admin:
            count = (await kafka.topics(admin)).get(config.events_topic)
            about = {} if count is None else (await kafka.configs(admin, [config.events_topic]))[config.events_topic]
    except (click.ClickException, KafkaError, OSError) as error:
        log.warning("Kafka does not answer yet", error=error)
        return
    if about:
        check = judge_clock(Topic(config.events_topic, count or 0, 0, about), Shell(config.kafka))
        if check.state == "wrong":
            log.error(check.detail, topic=config.events_topic, mend=check.mend)
