"""Reading the rejected topic, and sending mended entries again."""

import subprocess
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import click
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.rejections import KIND_REJECTED, Refusal
from tally import kafka
from tally.entries import Entry, Place, Wanted
from tally.outgoing import Inspector, Raw


async def entries(
    client: AIOKafkaConsumer, topic: str, partitions: int, wanted: Wanted, seen: Callable[[int], None] = lambda _: None
) -> AsyncIterator[Entry]:
    """Yield the entries asked for, up to the end of the topic as it is now, in order within a partition.

    `seen` is told how many records were read, for a progress bar.
    """
    ends = await kafka.ends(client, topic, partitions)
    starts: dict[int, int] = {}
    if wanted.places:
        ours = {place for place in wanted.places if place.topic == topic}
        starts = {n: min((p.offset for p in ours if p.partition == n), default=ends[n]) for n in ends}
        last = {n: max((p.offset + 1 for p in ours if p.partition == n), default=0) for n in ends}
        ends = {n: min(end, last[n]) for n, end in ends.items()}
    elif wanted.since_ms is not None:
        times = {TopicPartition(topic, number): wanted.since_ms for number in ends}
        found = await client.offsets_for_times(times)
        starts = {tp.partition: ends[tp.partition] if at is None else at.offset for tp, at in found.items()}
    async for block in kafka.read(client, topic, ends, starts):
        seen(len(block))
        for record in block:
            entry = Entry.of(record)
            if wanted.takes(entry):
                yield entry


class Outcome(msgspec.Struct):
    """What became of the entries: how many were sent, skipped by the program, and which could not be sent, and why."""

    sent: int = 0
    skipped: int = 0
    failed: list[tuple[Place, str]] = msgspec.field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The outcome as `--json` prints it."""
        failed = [{"entry": str(place), "detail": detail} for place, detail in self.failed]
        return {"sent": self.sent, "skipped": self.skipped, "failed": failed}


class Unmendable(Exception):  # noqa: N818 - it carries the sentence for one entry, nothing is broken
    """Why an entry cannot be sent again as it is."""


def through_program(command: str) -> Callable[[Entry], bytes | None]:
    """A mender that runs a shell command for each entry: the value in, the mended one out, nothing to skip it."""

    def mend(entry: Entry) -> bytes | None:
        # the command is the operator's own, given on this command line
        done = subprocess.run(command, shell=True, input=entry.value or b"", capture_output=True, check=False)  # noqa: S602
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise Unmendable(f"the program ended with {done.returncode}" + (f": {said[-1]}" if said else ""))
        return done.stdout.rstrip(b"\r\n") or None

    return mend


def from_file(values: Mapping[Place, bytes]) -> Callable[[Entry], bytes | None]:
    """A mender that takes the value from a file of mended entries; others are skipped."""
    return lambda entry: values.get(entry.place)


def unchanged(entry: Entry) -> bytes | None:
    """The mender for entries that became right by a changed setting or definition: the value as it is."""
    if entry.cut:
        raise Unmendable("only its first 64 KiB were kept: give the whole event, mended, with --from")
    return entry.value or b""


async def replay(
    chosen: Iterable[Entry], mend: Callable[[Entry], bytes | None], producer: AIOKafkaProducer | None, topic: str
) -> Outcome:
    """Send entries again, each with its mended value and its customer as the key; without a producer only look.

    A whole entry goes as a new event; its id keeps it from counting twice. A partial one goes with the headers that
    fold it only into the metrics that could not use it, once for each entry and metric. One that would come straight
    back (it is malformed, has no customer, ...) is not sent.
    """
    inspector = Inspector()
    outcome = Outcome()
    waiting = []
    for entry in chosen:
        try:
            value = mend(entry)
            if value is None:
                outcome.skipped += 1
                continue
            headers = entry.replay_headers()
            event = inspector.look([Raw(value, headers, entry.rejected_ms)])[0]
            if isinstance(event, Refusal):
                raise Unmendable(f"it would be rejected again: {event.reason}: {event.sentence}")
            if producer is None:
                outcome.sent += 1
                continue
            key = event.customer.encode()
            waiting.append((entry.place, await producer.send(topic, value, key=key, headers=headers)))
        except (Unmendable, KafkaError) as why:
            outcome.failed.append((entry.place, str(why) or type(why).__name__))
    for place, sent in waiting:
        try:
            await sent
            outcome.sent += 1
        except KafkaError as error:
            outcome.failed.append((place, f"Kafka refused it: {error}"))
    return outcome


def about(entry: Entry) -> str:
    """The reason, and the metrics of a partial entry: a column of the table."""
    return entry.reason if entry.kind == KIND_REJECTED else f"{entry.reason} ({', '.join(entry.metrics)})"


def place_option(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> frozenset[Place]:
    """Read entries named on the command line; wrong ones are wrong use."""
    try:
        return frozenset(Place.parse(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(f"{error}, as in usage-rejected/0/12") from error
