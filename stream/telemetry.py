"""What a worker tells Prometheus: base units, `_total` on counters, no customer as a label, help that says what to do.

The fold knows nothing of this file. The engine reports once a commit, never once an event, so that telemetry costs
nothing at speed:

    telemetry = Telemetry()
    part = telemetry.partition(3)
    part.committed({"read": 4096, "counted": 4090, "duplicate": 6}, records=812, size=91_000, seconds=0.011)
    part.lag.set(0)
    telemetry.forget(3)             # when the partition goes to another worker: its series end here
"""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter that nobody asks for

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
MOST_WAITING: Final = 10_000  # commits whose latency is still to be measured: bounds memory while Redis is away
FAST: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds; 0.1 is our promise

# verdict of the header's counts -> (metric, help)
VERDICTS: Final = {
    "read": ("tally_read", "Records read from the events topic. Flat while producers send: see tally_lag_records."),
    "counted": ("tally_counted", "Events accepted and folded. Falls against tally_read: see tally_rejected_total."),
    "duplicate": (
        "tally_duplicates",
        "Events dropped because their id was counted already. A sudden rise is a producer that retries or replays.",
    ),
    "replaced": ("tally_replaced", "Upserts that replaced what an earlier event of the same id had contributed."),
    "rerouted": (
        "tally_rerouted",
        (
            "Records found away from their customer's home partition and sent there. Give the producers key = customer and "
            "partitioner = murmur2_random; aliases move too."
        ),
    ),
    "late": (
        "tally_late",
        (
            "Events left out of a window that is no longer kept, one for each event, metric and window. Raise"
            " TALLY_KEEP_* or the metric's lateness if they should count."
        ),
    ),
    "partial": (
        "tally_partial",
        "Events that counted, but whose value some metric could not use: `tally rejected --kind partial` lists them.",
    ),
    "replayed": ("tally_replayed", "Mended values that `tally rejected replay` sent and that were folded."),
    "alerts": ("tally_alerts", "Messages written to the alerts topic: limits and shares of limits reached."),
    "skipped": (
        "tally_skipped",
        "Copies that another app re-routed, passed over. Normal where two apps share a topic.",
    ),
}


class PartitionTelemetry:
    """The series of one source partition. All methods are cheap enough for every commit."""

    def __init__(self, telemetry: "Telemetry", number: int) -> None:
        label = str(number)
        self._telemetry = telemetry
        self._label = label
        self._verdicts = {verdict: counter.labels(label) for verdict, counter in telemetry.verdicts.items()}
        self._commits = telemetry.commits.labels(label)
        self._rows = telemetry.commit_records.labels(label)
        self._bytes = telemetry.commit_bytes.labels(label)
        self._overdue = telemetry.overdue.labels(label)
        self.lag: Gauge = telemetry.lag.labels(label)
        self.clock: Gauge = telemetry.clock.labels(label)
        self.fresh: Gauge = telemetry.fresh.labels(label)
        self.behind: Gauge = telemetry.behind.labels(label)
        self.ids: Gauge = telemetry.ids.labels(label)
        self.ids_bytes: Gauge = telemetry.ids_bytes.labels(label)
        self.rows: Gauge = telemetry.rows.labels(label)
        self.recovered: Gauge = telemetry.recovered.labels(label)
        self.latency: Histogram = telemetry.latency
        self._waiting: deque[tuple[int, int]] = deque(maxlen=MOST_WAITING)
        # Series begin at 0: a counter that first appears at 1 has no increase, and the first trouble no alarm.
        telemetry.fenced.labels(label)
        for cause in ("missing", "behind"):
            telemetry.refills.labels(label, cause)

    def committed(self, counts: Mapping[str, int], *, records: int, size: int, seconds: float) -> None:
        """Count one commit: what it adds to the header's counts, its changelog records and bytes, how long it took.

        Counts under names that no metric stands for (`rejected` among them, see `rejected`) are passed over.
        """
        self._commits.inc()
        self._rows.inc(records)
        self._bytes.inc(size)
        self._telemetry.commit_seconds.observe(seconds)
        for verdict, count in counts.items():
            if count and (counter := self._verdicts.get(verdict)) is not None:
                counter.inc(count)

    def rejected(self, kind: str, reason: str, count: int = 1) -> None:
        """Count entries for the rejected topic; `kind` is `rejected` or `partial`."""
        self._telemetry.rejected.labels(self._label, kind, reason).inc(count)

    def outbox(self, entries: Iterable[tuple[str, str]]) -> None:
        """Count the (kind, reason) of each entry that a commit sent to the rejected topic."""
        for kind, reason in entries:
            self.rejected(kind, reason)

    def failed(self, step: str) -> None:
        """Count a commit that failed at `step` (produce, end, takeover)."""
        self._telemetry.failures.labels(self._label, step).inc()

    def fenced(self) -> None:
        """Count that another worker shut this one out of the partition."""
        self._telemetry.fenced.labels(self._label).inc()

    def published(self, customers: int, seconds: float) -> None:
        """Count one publish call to Redis of so many customers."""
        self._telemetry.published.labels(self._label).inc(customers)
        self._telemetry.publish_seconds.observe(seconds)

    def overdue(self, reservations: int) -> None:
        """Count reservations whose holds had lapsed, or were not there, when their events came."""
        self._overdue.inc(reservations)

    def waits(self, position: int, timestamp_ms: int) -> None:
        """Note a commit that Redis does not hold yet: its next offset, and the Kafka timestamp of its newest record."""
        self._waiting.append((position, timestamp_ms))

    def reached(self, position: int) -> None:
        """Observe how long the newest record below `position` took, which is the next offset that Redis holds."""
        newest = None
        while self._waiting and self._waiting[0][0] <= position:
            _, newest = self._waiting.popleft()
        if newest is not None:
            self.latency.observe(max(0.0, time.time() - newest / 1000))

    def unanswered(self) -> None:
        """Count a call that Redis did not answer, or refused; it is tried again."""
        self._telemetry.redis_errors.inc()

    def refilled(self, cause: str) -> None:
        """Count that Redis lacked totals and got them again (`missing`: it held nothing; `behind`: an older version)."""
        self._telemetry.refills.labels(self._label, cause).inc()


class Telemetry:
    """All series of one worker, in a registry of its own (two workers in one process do not mix)."""

    def __init__(self, registry: CollectorRegistry | None = None, *, process: bool = True) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        if process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
        self._parts: dict[int, PartitionTelemetry] = {}
        by = ("partition",)
        self.verdicts = {verdict: self._counter(name, text, by) for verdict, (name, text) in VERDICTS.items()}
        self.rejected = self._counter(
            "tally_rejected",
            "Entries written to the rejected topic, by kind and reason. `tally rejected` lists them with a sentence"
            " each; mend and send them again with `tally rejected replay`.",
            ("partition", "kind", "reason"),
        )
        self.commits = self._counter(
            "tally_commits", "Commits written. Flat while tally_lag_records rises: read the log.", by
        )
        self.commit_records = self._counter("tally_commit_records", "Changelog records written by commits.", by)
        self.commit_bytes = self._counter(
            "tally_commit_bytes", "Uncompressed bytes written by commits. Sizes the changelog before compaction.", by
        )
        self.failures = self._counter(
            "tally_commit_failures",
            "Commits that failed; the partition is taken over afresh each time and nothing is lost. A steady rate means"
            " that Kafka refuses writes: check its disks, and `tally doctor`.",
            ("partition", "step"),
        )
        self.fenced = self._counter(
            "tally_fenced",
            "Times that another worker took a partition while this one still held it. Now and then after a pause is"
            " normal; a steady rate means that two groups share one TALLY_APP, or sessions that are too short.",
            by,
        )
        self.published = self._counter("tally_published_customers", "Customers' totals written to Redis.", by)
        self.overdue = self._counter(
            "tally_overdue_reservations",
            "Events that settled no open hold: it had lapsed, Redis had lost it, or none was taken. Each may have passed"
            " a hard limit. Rising: reserve with a longer ttl, or send events sooner.",
            by,
        )
        self.refills = self._counter(
            "tally_redis_refills",
            "Times that Redis lacked totals and got them again. Rising: Redis loses data (restart, eviction, failover);"
            " check maxmemory-policy noeviction and its persistence.",
            ("partition", "cause"),
        )
        self.redis_errors = self._counter(
            "tally_redis_errors", "Calls to Redis that failed and are tried again. Rising: Redis is down or too slow."
        )
        self.lag = self._gauge(
            "tally_lag_records",
            "Records in the source partition that no commit holds yet. Rising: add workers, up to one for a partition.",
            by,
        )
        self.clock = self._gauge(
            "tally_partition_clock_timestamp_seconds",
            "The partition's clock: the greatest record timestamp read. Far ahead of time(): one producer's clock runs"
            " ahead; set message.timestamp.type=LogAppendTime on the topic.",
            by,
        )
        self.fresh = self._gauge(
            "tally_fresh_timestamp_seconds",
            "The moment up to which everything that Kafka had is in Redis. time() minus this is the staleness that"
            " gates see; past 10 s they answer stale.",
            by,
        )
        self.behind = self._gauge(
            "tally_redis_behind_commits",
            "Commits that Redis does not hold yet. Stays above 0: Redis is slow or away; see tally_redis_errors_total.",
            by,
        )
        self.ids = self._gauge(
            "tally_ids", "Event ids remembered against duplicates. Sizes memory: about 20 bytes each.", by
        )
        self.ids_bytes = self._gauge("tally_ids_bytes", "Memory that the remembered ids take.", by)
        self.rows = self._gauge("tally_rows", "Rows of state held in memory: customers, groups and packs.", by)
        self.recovered = self._gauge(
            "tally_partition_recovered", "1 when the partition's state is recovered and Redis holds its totals.", by
        )
        self.partitions = self._gauge(
            "tally_partitions", "Partitions that this worker owns. 0 on every worker: check the group."
        )
        self.ready = self._gauge("tally_ready", "1 when /healthz/ready answers 200. 0 for long: that page says why.")
        self.recovery_seconds = self._histogram(
            "tally_recovery_seconds",
            "How long taking partitions over took, fence to ready. Over 10 s: more workers, or a lower retention.",
            (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 300.0),
        )
        self.commit_seconds = self._histogram(
            "tally_commit_seconds",
            "How long commits took, begin to end. High: Kafka's disks or replication are slow.",
            FAST,
        )
        self.publish_seconds = self._histogram(
            "tally_publish_seconds", "How long publish calls took. High: Redis is loaded or far away.", FAST
        )
        self.latency = self._histogram(
            "tally_event_to_redis_seconds",
            "From a record's Kafka timestamp to its total in Redis, the newest record of each publish.",
            FAST,
        )
        self.info = Info("tally_build", "The version that runs, and the app that it serves.", registry=self.registry)

    def partition(self, number: int) -> PartitionTelemetry:
        """The series of a partition, made at first use."""
        part = self._parts.get(number)
        if part is None:
            part = self._parts[number] = PartitionTelemetry(self, number)
            self.partitions.set(len(self._parts))
        return part

    def forget(self, number: int) -> None:
        """End the series of a partition that another worker owns now: a stale gauge would raise false alarms."""
        if self._parts.pop(number, None) is None:
            return
        self.partitions.set(len(self._parts))
        label = str(number)
        for metric in (
            *self.verdicts.values(), self.rejected, self.commits, self.commit_records, self.commit_bytes,
            self.failures, self.fenced, self.published, self.overdue, self.refills, self.lag, self.clock, self.fresh, self.behind,
            self.ids, self.ids_bytes, self.rows, self.recovered,
        ):  # fmt: skip
            metric.remove_by_labels({"partition": label})

    def render(self) -> bytes:
        """The text that /metrics answers, of content type `CONTENT_TYPE`."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, buckets=buckets, registry=self.registry)
