"""Workers with the tiny state as processes, a producer, and a recount that reads nothing but Kafka's logs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from stream.core.header import KEY, Header, unpack

PATIENCE = 60.0


def wait_for(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait until a condition holds; fail with what was awaited."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited {patience:.0f} s in vain for {what}"
        time.sleep(0.05)


@dataclass
class Recount:
    """What the logs say: the ids that were sent, and the ids that the recovered state counts, by key."""

    sent: dict[bytes, set[str]]
    counted: dict[bytes, list[str]]
    headers: dict[int, Header]
    ends: dict[int, int]

    @property
    def exact(self) -> bool:
        """Whether every id was counted once and nothing else was."""
        return {k: sorted(v) for k, v in self.counted.items()} == {k: sorted(v) for k, v in self.sent.items()}

    @property
    def caught_up(self) -> bool:
        """Whether the headers have reached the logs' ends."""
        return all(n in self.headers and (self.headers[n].next_offset or 0) >= end for n, end in self.ends.items())

    def difference(self) -> str:
        """Say which ids are missing, and which were counted twice."""
        sent = Counter(i for ids in self.sent.values() for i in ids)
        counted = Counter(i for ids in self.counted.values() for i in ids)
        return f"missing {sorted(sent - counted)[:10]}, too many {sorted(counted - sent)[:10]}"


@dataclass
class Lab:
    """An app of its own on a Kafka."""

    bootstrap: str
    app: str
    directory: Path
    partitions: int = 4
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    sent: int = 0
    #: Whether the broker says where a log ends; the embedded one says less.
    knows_ends: bool = True

    @property
    def events(self) -> str:
        """The topic of events."""
        return f"{self.app}-events"

    def worker(self, name: str, **env: str) -> subprocess.Popen[bytes]:
        """Start a worker."""
        command = [sys.executable, "-m", "tests.integration.engine.tiny_worker"]
        with (self.directory / f"{name}.log").open("ab") as log:
            self.workers[name] = subprocess.Popen(
                [*command, self.bootstrap, self.app, str(self.partitions)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).parents[3],
                env={**os.environ, **env},
            )
        return self.workers[name]

    def log(self, name: str) -> str:
        """What a worker said so far."""
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def runs(self, name: str) -> set[int]:
        """The partitions that a worker has said it runs, by its last generation."""
        running: set[int] = set()
        for line in self.log(name).splitlines():
            if " generation " in line and "partitions [" in line:
                listed = line.split("partitions [")[1].split("]")[0]
                mine = {int(n) for n in listed.split(",") if n.strip()}
                running = mine & running if "all afresh" not in line else set()
            elif "running from offset" in line:
                running.add(int(line.split("partition=")[1].split(")")[0]))
            elif "taken over afresh" in line:
                running.discard(int(line.split("partition=")[1].split(")")[0]))
        return running

    def settled(self, *names: str) -> None:
        """Wait until these workers run all partitions between them."""
        every = set(range(self.partitions))

        def share() -> bool:
            parts = [self.runs(name) for name in names]
            return set().union(*parts) == every and sum(map(len, parts)) == len(every) and all(parts)

        wait_for(share, f"{names} to run {every}: {[self.runs(n) for n in names]}")

    def send(self, count: int, *, rate: float = 0.0, value: Callable[[int], bytes] | None = None) -> None:
        """Send events with new ids, every fiftieth twice, to 200 keys; `rate` is in events a second."""
        producer = Producer(
            {"bootstrap.servers": self.bootstrap, "linger.ms": 5, "partitioner": "murmur2_random", "acks": "all"}
        )
        began = time.monotonic()
        for i in range(self.sent, self.sent + count):
            body = value(i) if value else b'{"id":"e%d"}' % i
            for _ in range(2 if i % 50 == 0 else 1):
                producer.produce(self.events, body, b"c%03d" % (i * 7919 % 200))
            if rate and i % 20 == 0:
                ahead = began + (i - self.sent) / rate - time.monotonic()
                producer.poll(max(0.0, ahead))
                if ahead > 0:
                    time.sleep(max(0.0, began + (i - self.sent) / rate - time.monotonic()))
        assert producer.flush(30) == 0
        self.sent += count

    def read(self, topic: str, isolation: str = "read_committed") -> Iterator[tuple[int, int, bytes, bytes | None]]:
        """Yield (partition, offset, key, value) of a whole topic."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "recount",
                "isolation.level": isolation,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        known = consumer.list_topics(topic, 10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, n, 0) for n in known])
        # Up to what is there now, for a worker that fails and tries again writes on; and behind an open transaction
        # the client never says that a partition ends.
        ends = {n: consumer.get_watermark_offsets(TopicPartition(topic, n), 10)[1] for n in known}
        left, heard = {n for n, end in ends.items() if end}, time.monotonic()
        while left and time.monotonic() - heard < 3.0:
            message = consumer.poll(1)
            if message is None:
                continue
            number, offset = message.partition() or 0, message.offset() or 0
            if message.error() or (self.knows_ends and offset >= ends[number]):
                left.discard(number)
            elif number in left:
                heard = time.monotonic()
                yield number, offset, message.key() or b"", message.value()
        consumer.close()

    def recount(self) -> Recount:
        """Recount from Kafka's logs alone."""
        sent: dict[bytes, set[str]] = defaultdict(set)
        ends: dict[int, int] = {}
        for number, offset, key, value in self.read(self.events):
            ends[number] = offset + 1
            event = json.loads(value or b"{}")
            if "id" in event:
                sent[key].add(event["id"])
        rows: dict[bytes, list[str]] = {}
        headers: dict[int, Header] = {}
        for number, _, key, value in self.read(f"{self.app}-state-changelog"):
            if key == KEY:
                header, before = unpack(value or b""), headers.get(number)
                assert before is None or header.version > before.version, "an older owner wrote after a newer one"
                headers[number] = header
            elif key.startswith(b"r"):
                rows[key[1:]] = json.loads(value or b"[]")
        return Recount(dict(sent), rows, headers, ends)

    def prove(self) -> Recount:
        """Wait until all is counted, then hold the state against the log."""
        last: list[Recount] = []

        def done() -> bool:
            last[:] = [self.recount()]
            return last[0].caught_up

        wait_for(done, "the headers to reach the log's end")
        assert last[0].exact, last[0].difference()
        assert sum(len(ids) for ids in last[0].sent.values()) == self.sent
        return last[0]

    def stop(self) -> None:
        """Kill what still runs."""
        for process in self.workers.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


@contextmanager
def lab(bootstrap: str, app: str, directory: Path, partitions: int = 4) -> Iterator[Lab]:
    """Make a lab and clean up after it."""
    made = Lab(bootstrap, app, directory, partitions)
    try:
        yield made
    except BaseException:
        for name in made.workers:
            print(f"--- {name}\n{made.log(name)[-6000:]}")
        raise
    finally:
        made.stop()
