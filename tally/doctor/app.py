"""What the app's own records tell: how much was rejected, how much found away from home, who is at work."""

from collections.abc import AsyncIterator, Iterable, Iterator

import aiohttp
import msgspec
from aiokafka import AIOKafkaConsumer

from stream.core.header import KEY, Counts, unpack
from tally import kafka
from tally.doctor.checks import Check, note, ok, wrong

TAIL = 20_000  # records at the changelog's end among which the newest header is looked for
ANSWER_S = 2.0  # a worker that is silent for longer does not answer


class Ready(msgspec.Struct):
    """What a worker answers to /healthz/ready."""

    reasons: list[str] = []


async def ask_workers(addresses: Iterable[str], *, working: bool) -> AsyncIterator[Check]:
    """Ask each worker whether it is ready; `working`: Kafka says that somebody is at work, so they should answer."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as session:
        for address in sorted(set(addresses)):
            where = f"worker {address}"
            try:
                async with session.get(f"http://{address}/healthz/ready") as answer:
                    reasons = msgspec.json.decode(await answer.read(), type=Ready).reasons
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                detail = (
                    f"does not answer ({str(error) or type(error).__name__}): earlier windows cannot be read from it"
                )
                yield (wrong if working else note)(where, detail, "set TALLY_ADVERTISE to an address that others reach")
                continue
            for reason in reasons:
                yield wrong(where, reason)
            if not reasons:
                yield ok(where, "is ready")


async def counts(consumer: AIOKafkaConsumer, changelog: str, partitions: int) -> tuple[Counts, int]:
    """The sum of the newest headers' counts, and in how many partitions one was found near the changelog's end."""
    ends = await kafka.ends(consumer, changelog, partitions)
    starts = {number: max(0, end - TAIL) for number, end in ends.items()}
    newest: dict[int, Counts] = {}
    async for block in kafka.read(consumer, changelog, ends, starts):
        for record in block:
            if record.key == KEY and record.value is not None:
                newest[record.partition] = unpack(record.value).counts
    total = Counts()
    for found in newest.values():
        for field in Counts.__struct_fields__:
            setattr(total, field, getattr(total, field) + getattr(found, field))
    return total, len(newest)


def judge_counts(app: str, total: Counts, rejected_topic: str) -> Iterator[Check]:
    """Check what share of all records was rejected or found away from its home."""
    where = f"events of {app}"
    if not total.read:
        yield note(where, "none has been read yet")
        return
    yield ok(where, f"{total.read:,} read, {total.counted:,} counted, {total.duplicate:,} duplicates")
    if total.rerouted:
        yield note(
            where,
            f"{total.rerouted:,} ({total.rerouted / total.read:.1%}) were found away from their customer's home and sent "
            "there: they cost twice the work",
            "give the producers key = customer id and partitioner = murmur2_random (librdkafka's default is another)",
        )
    if total.rejected or total.partial:
        yield note(
            where,
            f"{total.rejected:,} were rejected, {total.partial:,} could not be used by some metric; they are on "
            f"{rejected_topic}",
            "tally rejected",
        )


def judge_members(app: str, members: list[str], partitions: int) -> Check:
    """Check that somebody is at work, and that nobody stands idle."""
    where = f"workers of {app}"
    if not members:
        return note(where, "none runs", "tally worker")
    if len(members) > partitions:
        return note(where, f"{len(members)} run, but there are only {partitions} partitions: the rest stand by")
    return ok(where, f"{len(members)} at work: {', '.join(sorted(members))}")
