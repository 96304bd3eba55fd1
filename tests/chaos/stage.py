"""A stage for faults: workers as processes, a producer that never rests, a reader that never looks away, and a judge.

The producer sends what real producers send: duplicates, late and early events, malformed ones, bad values, and
records in the wrong partition. The reader takes customers' hashes out of Redis all the while; each is a pair of totals
and the Kafka position that they claim to include. The judge (tests/oracle, which imports nothing of the product) reads
the log and says what each total was at that position.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import redis
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from ruamel.yaml import YAML

from tests.oracle.homes import home
from tests.oracle.log import LogIndex, Settings
from tests.servers.records import create_topics

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
CUSTOMERS = 1600
RATE = 1200.0
"""Events a second: at least 1,000 are promised to flow while a failpoint is hit."""

DEFINITIONS = """
timezone: UTC
metrics:
  requests: {event_name: api_request, type: counter, aggregation: count, windows: [minute, hour, day, total]}
  tokens:
    event_name: api_request
    type: counter
    aggregation: sum
    property: tokens
    filters: [{property: region, op: eq, value: NA}]
    group_by: [model]
    windows: [hour, month, total]
  slowest: {event_name: api_request, type: counter, aggregation: max, property: latency_ms, windows: [hour, total]}
  regions: {event_name: api_request, type: counter, aggregation: unique, property: region, windows: [hour, total]}
  seats: {event_name: seats, type: gauge, aggregation: max, event_type: delta, property: change, windows: [hour, day]}
  burst: {event_name: api_request, type: rate, aggregation: count, granularity: minute, windows: [minute, hour]}
customers:
  customer-1: {aliases: [alias-1]}
"""


class Sample(NamedTuple):
    """One look at a customer in Redis, and what was going on."""

    customer: str
    fields: dict[bytes, bytes]
    during: str


class LogRecord(NamedTuple):
    """A record of the events topic, as the judge reads it."""

    offset: int
    timestamp: int
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def wait_for(condition: Callable[[], bool], what: str, patience: float = 90.0) -> None:
    """Wait until a condition holds; fail with what was awaited."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience:.0f} s in vain for {what}"
        time.sleep(0.05)


def headers_of(message: Message) -> tuple[tuple[str, bytes], ...]:
    """A message's headers as pairs; the client's types say too little."""
    pairs = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return tuple((name, value or b"") for name, value in pairs)


@dataclass
class Stage:
    """One app on a Kafka and a Redis."""

    bootstrap: str
    redis_url: str
    app: str
    directory: Path
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    during: str = "peace"
    sent: int = 0
    look_every: float = 0.001
    """Seconds between two looks at a customer in Redis."""
    _resting: threading.Event = field(default_factory=threading.Event)
    _ending: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.events = f"{self.app}-events"
        (self.directory / "metrics.yaml").write_text(DEFINITIONS)
        self.definitions = YAML(typ="safe").load(DEFINITIONS)
        create_topics(self.bootstrap, {self.events: PARTITIONS}, {"message.timestamp.type": "LogAppendTime"})
        self.judges = {
            n: LogIndex(self.definitions, [], n, Settings(partitions=PARTITIONS, app=self.app))
            for n in range(PARTITIONS)
        }
        self.refused: set[tuple[int, int]] = set()
        """Where the events that must stand on the rejected topic came from: of a re-routed one, where it was first."""
        self._read_to = dict.fromkeys(range(PARTITIONS), 0)
        self._client = redis.Redis.from_url(self.redis_url, socket_timeout=2)

    # -- workers

    def worker(self, name: str, **env: str) -> subprocess.Popen[bytes]:
        """Start `tally worker`."""
        settings = {
            "TALLY_KAFKA": self.bootstrap,
            "TALLY_REDIS": self.redis_url,
            "TALLY_METRICS": str(self.directory / "metrics.yaml"),
            "TALLY_APP": self.app,
            "TALLY_EVENTS_TOPIC": self.events,
            "TALLY_REJECTED_TOPIC": f"{self.app}-rejected",
            "TALLY_ALERTS_TOPIC": f"{self.app}-alerts",
            "TALLY_PARTITIONS": str(PARTITIONS),
            "TALLY_LISTEN": "127.0.0.1:0",
            "TALLY_DATA": str(self.directory / f"data-{name}"),
        }
        with (self.directory / f"{name}.log").open("ab") as log:
            self.workers[name] = subprocess.Popen(
                [sys.executable, "-m", "tally", "worker"],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**os.environ, **settings, **env},
            )
        return self.workers[name]

    def log(self, name: str) -> str:
        """What a worker said so far."""
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def status(self, number: int) -> dict[bytes, bytes]:
        """The partition's hash in Redis."""
        return self._client.hgetall(f"{self.app}:{{{number}}}")  # type: ignore[return-value]

    def flush(self) -> None:
        """FLUSHALL: the stage's Redis is its own."""
        self._client.flushall()

    def owners(self) -> dict[int, str]:
        """The addresses that partitions name as their owner's."""
        return {n: self.status(n).get(b"a", b"").decode() for n in range(PARTITIONS)}

    def ready(self) -> bool:
        """Whether every partition's totals are whole in Redis and fresh."""
        with suppress(redis.RedisError):
            now = self._client.time()
            now_us = now[0] * 1_000_000 + now[1]
            for number in range(PARTITIONS):
                status = self.status(number)
                if status.get(b"c") != b"1" or now_us - int(status.get(b"f", b"0")) > 2_000_000:
                    return False
            return True
        return False

    # -- the flow

    def flow(self) -> None:
        """Start the producer and the reader."""
        for run in (self._produce, self._look):
            thread = threading.Thread(target=self._guarded, args=(run,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def rest(self) -> None:
        """Stop producing; the reader looks on."""
        self._resting.set()
        self._threads[0].join()

    def resume(self) -> None:
        """Produce again."""
        self._resting.clear()
        self._threads[0] = threading.Thread(target=self._guarded, args=(self._produce,), daemon=True)
        self._threads[0].start()

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as exc:  # noqa: BLE001 - shown by `prove`, which fails
            self._failures.append(exc)

    def _produce(self) -> None:
        chance = random.Random(f"{self.app} {self.sent}")
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "partitioner": "murmur2_random",
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.timeout.ms": 120_000,
            }
        )
        lost: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                lost.append(error)

        began, first = time.monotonic(), self.sent
        while not self._resting.is_set():
            key, value, where = self._event(chance)
            for _ in range(2 if chance.random() < 0.05 else 1):
                extra = {} if where is None else {"partition": where}
                producer.produce(self.events, value, key, on_delivery=delivered, **extra)  # type: ignore[arg-type]
            self.sent += 1
            if self.sent % 12 == 0:
                producer.poll(0)
                ahead = began + (self.sent - first) / RATE - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
        assert producer.flush(120) == 0
        assert not lost, lost[:3]

    def _event(self, chance: random.Random) -> tuple[bytes | None, bytes, int | None]:
        """One event: its key, its bytes, and a partition where the producer is wrong about it."""
        customer = f"customer-{min(chance.randrange(CUSTOMERS), chance.randrange(CUSTOMERS))}"
        if customer == "customer-1" and chance.random() < 0.5:
            customer = "alias-1"
        draw, at = chance.random(), time.time() + chance.uniform(-3, 1)
        if draw < 0.02:
            at -= chance.uniform(0, 5 * 86400)  # late: for minutes of more than two days ago too late
        elif draw < 0.03:
            at += chance.uniform(0, 250)  # ahead, within the five minutes
        elif draw < 0.035:
            at += 3600  # too far ahead: refused, and where its producer was wrong about the partition, refused at home
        event: dict[str, Any] = {
            "id": f"e{self.sent}",
            "event_name": "api_request",
            "customer_id": customer,
            "timestamp": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "properties": {
                "region": chance.choice(["NA", "NA", "EU", "AP"]),
                "model": chance.choice(["m1", "m2", 1, None]),
                "tokens": chance.choice([1, 2, 30, "7.25", "many"]),
                "latency_ms": chance.randrange(100_000) / 1000,
            },
        }
        if chance.random() < 0.1:
            event |= {"event_name": "seats", "properties": {"change": chance.choice([1, 1, -1])}}
        value = json.dumps(event).encode()
        if draw > 0.995:
            value = value[: len(value) // 2]
        key: bytes | None = customer.encode()
        where = None
        if 0.97 < draw < 0.98:
            key = None
        elif 0.98 < draw < 0.99 or 0.03 <= draw < 0.0325:
            where = chance.randrange(PARTITIONS)
        return key, value, where

    def _look(self) -> None:
        chance = random.Random(self.app)
        client = redis.Redis.from_url(self.redis_url, socket_timeout=2)
        while not self._ending.is_set():
            customer = f"customer-{chance.randrange(CUSTOMERS)}"
            key = f"{self.app}:{{{home(customer, PARTITIONS)}}}:u:{customer}"
            try:
                fields = client.hgetall(key)
            except redis.RedisError:
                time.sleep(0.05)
                continue
            if b":v" in fields:
                self.samples.append(Sample(customer, fields, self.during))  # type: ignore[arg-type]
            time.sleep(self.look_every)

    # -- the judgement

    def read_log(self) -> None:
        """Let the judges read what the log has that they have not read."""
        for number, judge in self.judges.items():
            for record in self._records(number):
                verdict = judge._take(record)
                judge.verdicts[record.offset] = verdict
                judge.counts.update(("read", verdict))
                judge._series.clear()
                self._read_to[number] = record.offset + 1
                if verdict in {"malformed", "in_future", "too_old"}:
                    origin = dict(record.headers).get("tally-origin", b"/%d/%d" % (number, record.offset))
                    _, partition, offset = origin.rsplit(b"/", 2)
                    self.refused.add((int(partition), int(offset)))

    def _records(self, number: int) -> Iterator[LogRecord]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "judge",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        consumer.assign([TopicPartition(self.events, number, self._read_to[number])])
        try:
            while True:
                message = consumer.poll(30)
                assert message is not None, f"{self.events} partition {number} does not end"
                if message.error():
                    return
                yield LogRecord(
                    message.offset() or 0,
                    message.timestamp()[1],
                    message.value(),
                    headers_of(message),
                )
        finally:
            consumer.close()

    def prove(self) -> None:
        """Rest, wait until all is in Redis, and hold every total there against the judge."""
        self.rest()
        self.read_log()

        def arrived() -> bool:
            with suppress(redis.RedisError):
                self.read_log()  # re-routed copies come after
                return all(
                    int(self.status(n).get(b"o", b"-1")) >= self._read_to[n] and self.status(n).get(b"c") == b"1"
                    for n in self.judges
                )
            return False

        wait_for(arrived, f"all of the log {self._read_to} to be in Redis: {[self.status(n) for n in self.judges]}")
        assert not self._failures, self._failures
        wrong: list[str] = []
        rows = 0
        for customer in (f"customer-{i}" for i in range(CUSTOMERS)):
            number = home(customer, PARTITIONS)
            fields = self._client.hgetall(f"{self.app}:{{{number}}}:u:{customer}")
            rows += self.judge(customer, fields, self._read_to[number], wrong)  # type: ignore[arg-type]
        assert not wrong, f"{len(wrong)} of {rows} totals are wrong: {wrong[:5]}"
        assert rows > 1000

    def judge(self, customer: str, fields: dict[bytes, bytes], position: int, wrong: list[str]) -> int:
        """Hold one customer's hash against the recount at a position; say how many totals it has."""
        judge, rows, seen = self.judges[home(customer, PARTITIONS)], 0, set()
        for name, text in fields.items():
            if name.startswith(b":"):
                continue
            metric, brace, rest = name.decode().partition("{")
            group = (brace + rest).encode() or b"{}"
            for kind, windows in json.loads(text)["w"].items():
                for start, _, value, events, *_ in windows:
                    rows += 1
                    seen.add((metric, group, kind))
                    right = judge.total(customer, metric, kind, start, position, group)
                    if right != (value, events):
                        wrong.append(
                            f"{customer} {metric} {group.decode()} {kind} {start}: {value} of {events} events in Redis, "
                            f"{right} by the recount at {position}"
                        )
        for metric in ("requests", "tokens", "slowest"):
            right = judge.total(customer, metric, "total", None, position)
            if right is not None and (metric, b"{}", "total") not in seen:
                wrong.append(f"{customer} {metric} total: nothing in Redis, {right} by the recount at {position}")
        return rows

    def prove_samples(self) -> Counter[str]:
        """Hold every pair (totals, position) that the reader saw against the judge; say how many in which fault."""
        wrong: list[str] = []
        pairs: Counter[str] = Counter()
        checked: set[tuple[str, bytes]] = set()
        for sample in self.samples:
            position = int(sample.fields[b":o"])
            mark = (
                sample.customer,
                json.dumps(sorted((k.decode(), v.decode()) for k, v in sample.fields.items())).encode(),
            )
            if mark not in checked:
                checked.add(mark)
                self.judge(sample.customer, sample.fields, position, wrong)
            pairs[sample.during] += sum(1 for name in sample.fields if not name.startswith(b":"))
        assert not wrong, f"{len(wrong)} pairs are wrong: {wrong[:5]}"
        return pairs

    def rejected(self) -> Counter[tuple[int, int]]:
        """Count the entries on the rejected topic by the source's (partition, offset)."""
        topic = f"{self.app}-rejected"
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "judge",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        parts = list(consumer.list_topics(topic, 10).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, n, 0) for n in parts])
        found: Counter[tuple[int, int]] = Counter()
        left = set(parts)
        while left:
            message = consumer.poll(30)
            assert message is not None
            if message.error():
                left.discard(message.partition())
                continue
            headers = dict(headers_of(message))
            if headers["tally-kind"] == b"rejected":
                found[int(headers["tally-partition"]), int(headers["tally-offset"])] += 1
        consumer.close()
        return found

    def end(self) -> None:
        """Stop everything."""
        self._resting.set()
        self._ending.set()
        for thread in self._threads:
            thread.join(30)
        for process in self.workers.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        self._client.close()


@contextmanager
def stage(bootstrap: str, redis_url: str, app: str, directory: Path) -> Iterator[Stage]:
    """Set a stage and clear it; where something fails, the workers' logs are shown."""
    made = Stage(bootstrap, redis_url, app, directory)
    try:
        yield made
    except BaseException:
        for name in made.workers:
            print(f"--- {name}\n{made.log(name)[-4000:]}")
        raise
    finally:
        made.end()
