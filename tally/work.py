"""A worker, put together: settings and definitions, the fold, the engine, the publishers, and its HTTP."""

from collections.abc import Sequence
from importlib import metadata
from typing import Any

import msgspec
from tallygate import layout

from agents import attach
from schemas.definitions import Definitions
from schemas.totals import Total
from stream import logs
from stream.core.partition import Partition
from stream.core.plan import Plan
from stream.engine.app import App, Engine, Session
from stream.engine.shard import Dropped, Shard
from stream.settings import Settings
from stream.telemetry import Telemetry
from stream.totals import reader
from stream.totals.connection import connect
from stream.totals.gate_config import GateConfigs
from stream.totals.publisher import Publisher
from tally import kafka
from tally.config import rules
from tally.worker_http import NotHere, WorkerHttp, split_address

log = logs.named(__name__)


class Working(App):
    """The engine's app, with the worker's HTTP from its first moment to its last."""

    def __init__(self, engine: Engine, worker: "Worker") -> None:
        super().__init__(engine)
        self._worker = worker

    async def on_start(self) -> None:
        """Serve /healthz/live and wait for Kafka: that it comes up later than we do is no reason to die."""
        await self._worker.start()
        while not await self._worker.reached_kafka():
            await self.sleep(1.0)
            if self.should_stop:
                return
        await super().on_start()

    async def on_stop(self) -> None:
        """Serve until the partitions are let go."""
        await super().on_stop()
        await self._worker.stop()


class Worker:
    """One worker process, and what its HTTP may ask of it (`tally.worker_http.WorkerView`)."""

    def __init__(self, settings: Settings, definitions: Definitions, session: Session | None = None) -> None:
        """Nothing is connected yet.

        Raises:
            ValueError: TALLY_REDIS is no URL that we know.

        """
        self._settings, self._definitions = settings, definitions
        self.telemetry = Telemetry()
        self.telemetry.info.info({"version": metadata.version("tallystream"), "app": settings.app})
        self.http = WorkerHttp(self, self.telemetry, settings.listen, refresh=self.refresh)
        self._plan = Plan(definitions, rules(settings))
        self._redis: Any = None
        self._gate: GateConfigs | None = None
        self._publishers: dict[int, Publisher] = {}
        self.engine = Engine(
            name=settings.app,
            bootstrap=settings.kafka,
            events_topic=settings.events_topic,
            rejected_topic=settings.rejected_topic,
            alerts_topic=settings.alerts_topic,
            partitions=settings.partitions,
            datadir=str(settings.data),
            partition=lambda number, count, held: Partition(self._plan, number, count, held),
            publisher=self._publisher,
            session=session or Session(),
            telemetry=self.telemetry,
            prepare=self._prepare,
        )

    def app(self) -> App:
        """The Faust app with its agents, ready to be run."""
        app = Working(self.engine, self)
        attach(app)
        return app

    async def start(self) -> None:
        """Serve HTTP; OSError where the address is taken."""
        await self.http.start()
        log.info("Serving /metrics, /healthz and /v1/usage", address=self.http.address, app=self._settings.app)

    async def stop(self) -> None:
        """Close what `start` and the engine's preparation opened."""
        await self.http.stop()
        if self._redis is not None:
            await self._redis.aclose()

    async def reached_kafka(self) -> bool:
        """Whether a broker answers."""
        try:
            async with kafka.admin(self._settings.kafka):
                return True
        except kafka.Unreachable as unreachable:
            log.warning("Waiting for Kafka", error=unreachable.message)
            return False

    @property
    def address(self) -> str:
        """What other workers and `tally usage` are told: TALLY_ADVERTISE, else where HTTP listens."""
        settings = self._settings
        return self.http.address if settings.advertise == settings.listen else settings.advertise

    # -- what the engine asks

    def _prepare(self, count: int) -> None:
        """Make what depends on the number of partitions, once the engine knows it."""
        self._gate = GateConfigs(self._definitions, count)
        self._redis = connect(self._settings.redis)
        host, _ = split_address(self.address)
        if host in {"0.0.0.0", "::"}:  # noqa: S104 - looked for, not listened on
            log.warning("Other workers cannot reach this address: set TALLY_ADVERTISE", address=self.address)

    def _publisher(self, shard: Shard, count: int) -> Publisher:
        assert self._gate is not None, "prepare comes before any shard"
        publisher = Publisher(
            self._redis,
            self._settings.app,
            shard.number,
            count,
            address=self.address,
            config=self._gate.of(shard.number),
            below=shard.below,
            on_behind=shard.publish_since,
            on_fenced=lambda: shard.lose("fenced in Redis", fenced=True),
            watch=self.telemetry.partition(shard.number),
        )
        self._publishers[shard.number] = publisher
        return publisher

    # -- what HTTP asks

    def refresh(self) -> None:
        """Bring the gauges up to date: once for each /metrics, not once for each commit."""
        shards = self.engine.shards
        for number, shard in (shards.running if shards is not None else {}).items():
            part, publisher = self.telemetry.partition(number), self._publishers[number]
            part.fresh.set((publisher.fresh_us or 0) / 1_000_000)
            part.behind.set(publisher.behind)
            part.recovered.set(1 if publisher.complete else 0)
            if isinstance(state := shard.state, Partition):
                part.clock.set(max(0, state.header.clock_us) / 1_000_000)
                ids, ids_bytes, rows = state.sizes
                part.ids.set(ids)
                part.ids_bytes.set(ids_bytes)
                part.rows.set(rows)

    def unready(self) -> Sequence[str]:
        """Why the worker is not ready: partitions that are not recovered, halted, or not whole in Redis."""
        shards = self.engine.shards
        if shards is None:
            return ["starting: Kafka has not answered yet"]
        if not shards.joined:
            return ["starting: Kafka has assigned no partitions yet"]
        running = shards.running
        reasons = []
        for number in sorted(shards.owned | set(shards.halted)):
            if number in shards.halted:
                reasons.append(f"partition {number} stands still: {shards.halted[number]}")
            elif number not in running:
                reasons.append(f"partition {number} is being recovered")
            elif not (publisher := self._publishers[number]).complete:
                why = f" ({publisher.trouble})" if publisher.trouble else ""
                reasons.append(f"Redis does not hold all totals of partition {number} yet{why}")
        return reasons

    def usage(self, customer: str, metric: str | None, window: str | None, at_us: int) -> Sequence[Total]:
        """The rows that hold at an instant, from this worker's own partitions; raises NotHere and KeyError."""
        if metric is not None and metric not in self._definitions.metrics:
            raise KeyError(metric)
        canonical = self._definitions.canonical(customer)
        number = layout.partition_of(canonical, self.engine.count)
        shard = self.engine.shards.running.get(number) if self.engine.shards is not None else None
        try:
            state = shard.state if shard is not None else None
        except Dropped:
            state = None
        if not isinstance(state, Partition):
            raise NotHere(number)
        rows = state.usage(canonical, metric, window, at_us)
        # a quiet partition's clock stands still: the totals hold as of the moment up to which Kafka's end was reached
        fresh_us = self._publishers[number].fresh_us
        return rows if fresh_us is None else [msgspec.structs.replace(row, as_of_us=fresh_us) for row in rows]

    async def owner(self, partition: int) -> str | None:
        """The address that the owner of a partition left in Redis."""
        if self._redis is None:
            return None
        try:
            status = await reader.status_of(self._redis, self._settings.app, partition)
        except Exception as error:  # noqa: BLE001 - whatever redis-py raises, nobody can be asked now
            log.warning("Redis does not say who owns a partition", partition=partition, error=error)
            return None
        return status.address if status is not None and status.address else None
