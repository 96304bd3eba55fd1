"""The Faust app: its settings, and what starts and stops with it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import faust
import mode
from faust.types import TP

from stream.engine.committer import Committer, SingleBatchCommitter, Topics, TransactionalCommitter
from stream.engine.kafka import Kafka
from stream.engine.shard import Parts, Publisher, Shard
from stream.engine.shards import Shards
from stream.engine.state import State
from stream.engine.transport import Consumer, ConsumerThread, Transport
from stream.telemetry import Telemetry

log = logging.getLogger(__name__)

#: Bytes that one fetch of a partition brings at most: about 6,000 events, 15 to 20 ms of folding.
FETCH_BYTES = 1 << 20

#: Settings of the changelog. A large segment would hold back compaction; a commit may bring a megabyte.
CHANGELOG_CONFIG = {
    "cleanup.policy": "compact",
    "segment.bytes": str(64 << 20),
    "min.cleanable.dirty.ratio": "0.3",
    "max.message.bytes": str(8 << 20),
}

#: Settings of the events topic where it is missing. See the contract: one bad producer must not move the clock. And an
#: event that just fits Kafka's default (1 MiB and 12 bytes) must still fit when it is re-routed with our headers:
#: a copy that cannot be written would fail the commit for ever.
EVENTS_CONFIG = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(4 << 20)}

#: An entry holds the original's bytes (up to 1 MiB) and its headers.
REJECTED_CONFIG = {"max.message.bytes": str(4 << 20)}


@dataclass(frozen=True, kw_only=True)
class Session:
    """How soon Kafka's group gives up on a worker, in seconds."""

    timeout: float = 6.0
    heartbeat: float = 1.0


class App(faust.App):
    """Faust's app, with blocks for messages and shards for tables.

    Not Faust tables: its recovery swallows errors, recovers all partitions before any may work, and waits for ever
    where the changelog's last offset is a marker (docs/decisions.md).
    """

    #: Topics that bring events, read by `stream.engine.transport`.
    source_topics: frozenset[str]
    shards: Shards

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self.source_topics = frozenset({engine.events_topic})
        super().__init__(
            engine.name,
            broker=f"kafka://{engine.bootstrap.replace(',', ';')}",
            store="memory://",
            datadir=engine.datadir,
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            topic_partitions=engine.partitions,
            table_standby_replicas=0,
            # Blocks, not events: two waiting blocks of a partition are megabytes.
            stream_buffer_maxsize=16,
            # Otherwise one unacknowledged message makes a worker ignore SIGTERM for ever.
            stream_wait_empty=False,
            stream_recovery_delay=0.0,
            # By default an agent that raises acknowledges the event and goes on: it would be lost.
            agent_supervisor=mode.CrashingSupervisor,
            broker_session_timeout=engine.session.timeout,
            broker_heartbeat_interval=engine.session.heartbeat,
            broker_commit_interval=1.0,
            broker_check_crcs=True,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=FETCH_BYTES,
            # The default of 1200 s is longer than any session.
            producer_request_timeout=10.0,
        )
        self.transport = Transport(self.conf.broker, self)

    async def on_start(self) -> None:
        """Connect, make the topics that are missing, and stand ready before the group assigns anything."""
        self.shards = await self._engine.open(self)
        await super().on_start()
        self.add_future(self.shards.sweep_forever())

    def folded(self) -> None:
        """Note that the agent is done with a block."""
        cast("Consumer", self.consumer).folded()

    async def on_stop(self) -> None:
        """Let the partitions go; what is not committed, the next owner reads again."""
        await super().on_stop()
        await self._engine.close()


@dataclass(kw_only=True)
class Engine:
    """What the app is made from, and what it opens."""

    name: str
    bootstrap: str
    events_topic: str
    rejected_topic: str
    alerts_topic: str
    partitions: int
    datadir: str
    partition: Callable[[int, int, int | None], State]
    publisher: Callable[[Shard, int], Publisher]
    session: Session = Session()
    telemetry: Telemetry = field(default_factory=Telemetry)
    #: Called with the number of partitions, before any shard.
    prepare: Callable[[int], Any] = lambda _: None

    def __post_init__(self) -> None:
        self.kafka = Kafka(self.bootstrap)
        self.shards: Shards | None = None
        self.transactions = True
        self.count = self.partitions

    @property
    def changelog_topic(self) -> str:
        """The compacted topic that holds the state; its partitions are the source's."""
        return f"{self.name}-state-changelog"

    async def open(self, app: App) -> Shards:
        """Connect and make what is missing."""
        kafka = self.kafka
        await kafka.start()
        self.count = await kafka.ensure_topic(self.events_topic, self.partitions, EVENTS_CONFIG)
        counts = {
            self.events_topic: self.count,
            self.rejected_topic: await kafka.ensure_topic(self.rejected_topic, self.count, REJECTED_CONFIG),
            self.alerts_topic: await kafka.ensure_topic(self.alerts_topic, self.count, {}),
        }
        logs = await kafka.ensure_topic(self.changelog_topic, self.count, CHANGELOG_CONFIG)
        if logs < self.count:
            msg = (
                f"{self.events_topic} has {self.count} partitions, {self.changelog_topic} {logs}: customers' homes moved. "
                f"`tally reset` starts again from what the log has."
            )
            raise RuntimeError(msg)
        self.transactions = await kafka.has_transactions()
        if not self.transactions:
            log.warning(
                "The broker has no transactions: a commit is one record batch, nothing fences a stopped worker, and a "
                "crash may send a rejected or re-routed event twice. For trying things, not for money."
            )
        topics = Topics(
            changelog=self.changelog_topic,
            side={"events": self.events_topic, "rejected": self.rejected_topic, "alerts": self.alerts_topic},
            partitions=counts,
        )
        prepared = self.prepare(self.count)
        if prepared is not None:
            await prepared
        parts = Parts(
            kafka=kafka,
            source=self.events_topic,
            changelog=self.changelog_topic,
            isolation="read_committed" if self.transactions else "read_uncommitted",
            count=self.count,
            partition=lambda number, held: self.partition(number, self.count, held),
            committer=lambda number: self._committer(topics, number),
            publisher=lambda shard: self.publisher(shard, self.count),
            ack=app.consumer.ack,
            telemetry=self.telemetry,
        )

        def thread() -> ConsumerThread:
            return cast("Consumer", app.consumer).thread

        def place(positions: Mapping[TP, int | None]) -> None:
            thread().place(positions)

        self.shards = Shards(parts, place, lambda: thread().rejoin())
        return self.shards

    def _committer(self, topics: Topics, number: int) -> Committer:
        if self.transactions:
            return TransactionalCommitter(self.bootstrap, topics, number, f"{self.name}-{self.events_topic}-{number}")
        return SingleBatchCommitter(self.bootstrap, topics, number)

    async def close(self) -> None:
        """Close what was opened."""
        if self.shards is not None:
            await self.shards.close()
        await self.kafka.stop()
