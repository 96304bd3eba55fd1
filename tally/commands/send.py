"""`tally send`: events from a file or standard input to Kafka."""

import asyncio
import os
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from typing import Any, BinaryIO

import click
import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.rejections import TOO_OLD, Refusal
from stream.settings import Settings
from tally import kafka
from tally.cli import Command, json_option
from tally.config import settings
from tally.outgoing import Inspector, Raw
from tally.output import Progress, plural, print_json, size_of
from tally.topics import ensure_events

CHUNK = 256 << 10  # bytes read at once
MOST_WAITING = 10_000  # lines that may wait for Kafka's answer: memory is bounded by it, and the way there kept busy


class Sent(msgspec.Struct):
    """What became of the lines."""

    sent: int = 0
    refused: list[tuple[int, str, str]] = msgspec.field(default_factory=list)
    partitions: Counter[int] = msgspec.field(default_factory=Counter)

    def to_json(self, topic: str) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return {
            "topic": topic,
            "sent": self.sent,
            "refused": [
                {"line": line, "reason": reason, "detail": detail} for line, reason, detail in sorted(self.refused)
            ],
            "partitions": {str(number): self.partitions[number] for number in sorted(self.partitions)},
        }


@click.command(
    cls=Command,
    short_help="Send events to Kafka.",
    example="""
tally send events.jsonl
echo '{"id":"ev_1","event_name":"api_request","customer_id":"acme","timestamp":1772712000}' | tally send
tally send --event-time history.jsonl""",
)
@click.argument("file", type=click.File("rb", lazy=True), default="-")
@click.option("--event-time", is_flag=True, help="Give each record its event's time as Kafka timestamp, for history that "
              "is older than TALLY_MAX_AGE. Send it in order; the topic must not be set to LogAppendTime.")  # fmt: skip
@click.option("--anyway", is_flag=True, help="Send also what will be rejected.")
@json_option
def command(file: BinaryIO, *, event_time: bool, anyway: bool, as_json: bool) -> None:
    """Send one event a line, of any dialect, from FILE or standard input. The key is the customer's id.

    Kafka has acknowledged on all replicas what is reported as sent, once each. Lines in which a fault can be seen are
    refused, with their number and a sentence, and not sent; then the exit code is 1. Faults that depend on the log or
    on a metric show up in `tally rejected`.
    """
    config = settings()
    report = asyncio.run(_send(config, file, event_time=event_time, anyway=anyway))
    if as_json:
        print_json(report.to_json(config.events_topic))
    else:
        for line, reason, detail in sorted(report.refused):
            click.echo(f"line {line}: {reason}: {detail}", err=True)
        refused = f", {plural(len(report.refused), 'line')} refused" if report.refused else ""
        click.echo(f"{plural(report.sent, 'event')} sent to {config.events_topic}{refused}.")
    if report.refused:
        raise SystemExit(1)


async def _send(config: Settings, file: BinaryIO, *, event_time: bool, anyway: bool) -> Sent:
    await ensure_events(config.kafka, config.events_topic, config.partitions)
    async with kafka.producer(config.kafka) as producer:
        sender = _Sender(producer, config.events_topic, event_time=event_time, anyway=anyway)
        with Progress("Sending", size_of(file)) as progress:
            async for block in _blocks(file):
                await sender.send(block)
                progress.step(sum(len(line) + 1 for _, line in block))
            await sender.settle(0)
    return sender.report


class _Sender:
    """Looks at lines, sends what is right of them, and keeps count."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, *, event_time: bool, anyway: bool) -> None:
        self._producer, self._topic = producer, topic
        self._event_time, self._anyway = event_time, anyway
        self._inspector = Inspector()
        self._waiting: deque[tuple[int, asyncio.Future[Any]]] = deque()
        self.report = Sent()

    async def send(self, block: list[tuple[int, bytes]]) -> None:
        """Hand some lines to the producer; waits while too many are not acknowledged."""
        lines = [(number, line.strip(b"\r\n")) for number, line in block if line.strip()]
        now_ms = int(time.time() * 1000)
        seen = self._inspector.look([Raw(value, (), now_ms) for _, value in lines])
        for (number, value), event in zip(lines, seen, strict=True):
            key = stamp_ms = None
            if isinstance(event, Refusal):
                self._refuse(number, event.reason, event.sentence)
                if not self._anyway:
                    continue
            else:
                key = event.customer.encode()
                if self._event_time:
                    stamp_ms = -(-event.us // 1000)  # rounded up, so that no event lies ahead of its record
                    if stamp_ms < 0:
                        self._refuse(number, TOO_OLD, "Kafka has no timestamps before 1970")
                        continue
            try:
                sent = await self._producer.send(self._topic, value, key=key, timestamp_ms=stamp_ms)
            except KafkaError as error:
                self._refuse(number, "kafka", str(error) or type(error).__name__)
            else:
                self._waiting.append((number, sent))
        await self.settle(MOST_WAITING)

    async def settle(self, most: int) -> None:
        """Wait until at most so many lines are not acknowledged."""
        while len(self._waiting) > most:
            number, sent = self._waiting.popleft()
            try:
                placed = await sent
            except KafkaError as error:
                self._refuse(number, "kafka", str(error) or type(error).__name__)
            else:
                self.report.sent += 1
                self.report.partitions[placed.partition] += 1

    def _refuse(self, line: int, reason: str, detail: str) -> None:
        self.report.refused.append((line, reason, detail))


async def _blocks(file: BinaryIO) -> AsyncIterator[list[tuple[int, bytes]]]:
    """Yield numbered lines in blocks, as they come: `tail -f | tally send` sends each line at once."""
    number, rest = 0, b""
    async for chunk in _chunks(file):
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield list(enumerate(lines, number + 1))
            number += len(lines)
    if rest:
        yield [(number + 1, rest)]


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    """Yield what can be read, without blocking the event loop that talks to Kafka.

    By a thread of its own that nobody joins, and past Python's buffer: after Ctrl-C it may wait for a pipe for ever,
    and a lock on standard input that it held would crash the interpreter's end.
    """
    try:
        descriptor = file.fileno()
    except OSError:
        yield file.read()
        return
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    room = threading.Semaphore(2)

    def pump() -> None:
        chunk: bytes | OSError = b"-"
        while chunk and isinstance(chunk, bytes):
            room.acquire()
            try:
                chunk = os.read(descriptor, CHUNK)
            except OSError as error:
                chunk = error
            if loop.is_closed():
                return
            loop.call_soon_threadsafe(queue.put_nowait, chunk)

    threading.Thread(target=pump, daemon=True).start()
    while chunk := await queue.get():
        if isinstance(chunk, OSError):
            raise click.ClickException(f"{file.name} cannot be read: {chunk.strerror}") from chunk
        yield chunk
        room.release()
