"""Events to Kafka for the HTTP API: acknowledged on all replicas, or told to be unknown. It mends itself.

Delivery: idempotent where the broker knows that, else acks=all. A request that hears of a failure sends its events
again, and each counts once, by its id.
Back pressure: what waits is bounded by the door, in requests and bytes; where Kafka is known to be away a request is
refused at once.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

import click
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.rejections import TOO_LARGE, Refusal
from stream import logs
from tally import kafka
from tally.api.intake import Ready
from tally.api.problems import Problem
from tally.topics import ensure_events

ANSWER_S = 12.0
"""How long a request waits for Kafka; a record that no broker takes fails after 10 s (kafka.ANSWER_MS)."""
PROBE_S = 1.0
FLUSH_S = 12.0
_log = logs.named("tally.api.outlet")


class Outlet:
    """The one producer of a process. `run` connects, looks after it, and on cancellation flushes what waits."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        """`partitions` is how many the topic gets where it is missing."""
        self._bootstrap, self._topic, self._partitions = bootstrap, topic, partitions
        self._producer: AIOKafkaProducer | None = None
        self._broken = asyncio.Event()
        self._fault: str | None = "Kafka is not connected yet"

    @property
    def fault(self) -> str | None:
        """Why Kafka takes no events; None while it does."""
        return self._fault

    async def run(self) -> None:
        """Keep a producer until cancelled; where there is none, `fault` says why."""
        while True:
            try:
                async with self._connected() as producer:
                    await self._watch(producer)
            except (click.ClickException, KafkaError, OSError) as error:
                text = error.message if isinstance(error, click.ClickException) else str(error)
                self._fails(text or type(error).__name__)
                await asyncio.sleep(PROBE_S)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[AIOKafkaProducer]:
        await ensure_events(self._bootstrap, self._topic, self._partitions)
        async with contextlib.AsyncExitStack() as stack:
            producer = await stack.enter_async_context(kafka.producer(self._bootstrap))
            self._producer = producer
            self._broken.clear()
            self._fault = None
            _log.info("Connected to Kafka", topic=self._topic)
            try:
                yield producer
            finally:
                self._producer = None
                self._fault = self.fault or "the producer is being closed"
                rest = stack.pop_all()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FLUSH_S):
                        await rest.aclose()

    async def _watch(self, producer: AIOKafkaProducer) -> None:
        """Return when the producer must be made anew: a record failed, or no broker answers."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_S):
                    await self._broken.wait()
                return
            try:
                async with asyncio.timeout(kafka.ANSWER_MS / 1000):
                    answers = await producer.client.force_metadata_update()
            except TimeoutError:
                answers = False
            if self._broken.is_set():
                return
            if not answers:
                # a broker that comes back may know neither this producer nor the topic
                self._fails(f"no broker of {self._bootstrap} answers")
                return

    def _fails(self, sentence: str) -> None:
        if self.fault != sentence:
            _log.warning("Kafka takes no events", fault=sentence)
        self._fault = sentence

    async def send(self, events: Sequence[Ready]) -> list[Refusal | None]:
        """Send events and wait until Kafka has all of them; a refusal for one that the broker never takes.

        Raises Problem (503) where it is not known that Kafka has them all.
        """
        if not events:
            return []
        producer = self._producer
        if producer is None or self.fault is not None:
            raise _unknown(self.fault or "Kafka is not connected", begun=False)
        until = asyncio.get_running_loop().time() + ANSWER_S
        futures: list[asyncio.Future[object]] = []
        failed: BaseException | None = None
        try:
            async with asyncio.timeout_at(until):
                for event in events:
                    raw = event.raw
                    sent = await producer.send(self._topic, raw.value, key=event.key, headers=list(raw.headers))
                    sent.add_done_callback(_retrieve)
                    futures.append(sent)
        except (KafkaError, TimeoutError) as error:
            failed = error
        # not cancelled when time is up: what is on its way may still arrive, and the caller is told so
        if futures:
            await asyncio.wait(futures, timeout=max(0.0, until - asyncio.get_running_loop().time()))
        if failed is None:
            failed = next(_failures(futures), None)
        if failed is not None or not all(future.done() for future in futures):
            self._broken.set()  # an idempotent producer that lost a record may refuse all later ones
            self._fails(_text(failed))
            raise _unknown(_text(failed), begun=True)
        return [_refusal(future) for future in futures]


def _failures(futures: Iterable[asyncio.Future[object]]) -> Iterator[BaseException]:
    for future in futures:
        if future.cancelled():
            yield TimeoutError("the producer was closed")
        elif future.done() and not isinstance(error := future.exception(), MessageSizeTooLargeError | None):
            yield error


def _refusal(future: asyncio.Future[object]) -> Refusal | None:
    if future.exception() is None:
        return None
    return Refusal(TOO_LARGE, "the topic takes no message of this size (max.message.bytes)")


def _retrieve(future: asyncio.Future[object]) -> None:
    if not future.cancelled():
        future.exception()  # else asyncio logs those that nobody waits for any more


def _text(error: BaseException | None) -> str:
    if error is None or (isinstance(error, TimeoutError) and not str(error)):
        return f"Kafka did not answer within {ANSWER_S:g} s"
    return str(error) or type(error).__name__


def _unknown(why: str, *, begun: bool) -> Problem:
    some = "some of the events may have been accepted: send all of them again" if begun else "send the events again"
    return Problem(503, f"{why.rstrip('.')}; {some}, each counts once by its id")
