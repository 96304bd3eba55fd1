"""Random logs of a topic with several partitions: producers that partition as they like, clocks that jump."""

from collections.abc import Collection
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.generators.definitions import FEATURES, definitions, limits
from tests.generators.events import message
from tests.generators.instants import base, seconds
from tests.oracle.homes import home
from tests.oracle.reading import RefusedError, read_line
from tests.oracle.rules import Rules
from tests.oracle.values import MalformedJsonError, Number, compact, read_json

TOPIC = "usage-events"
DAY = 86_400
STEPS = (0, 0, 1, 1, 30, 600, 3_600, 86_400, 9 * 86_400)
"""Seconds between one record and the next."""


@dataclass
class Record:
    """A record of the source, with the attributes that a consumer gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass
class Log:
    """A topic: its partitions' records in order. Offsets have holes, as transactions leave them."""

    definitions: dict[str, Any]
    partitions: list[list[Record]]

    def append(
        self,
        partition: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        hole: int = 0,
    ) -> None:
        """A record at the partition's end, `hole` offsets further than the next one."""
        records = self.partitions[partition]
        offset = records[-1].offset + 1 + hole if records else hole
        records.append(Record(TOPIC, partition, offset, timestamp, key, value, headers))


def make_log(rnd: Random, features: Collection[str] = FEATURES, most: int = 60) -> Log:
    """A topic of 1 to 3 partitions with up to `most` records, most of them near the clock."""
    span = rnd.choice((90, 3_600, 86_400, 9 * 86_400, 40 * 86_400))
    made = definitions(rnd, span, features)
    if rnd.randrange(2) and (found := limits(rnd, made)):
        made["limits"] = found
    log = Log(made, [[] for _ in range(rnd.choice((1, 2, 3)))])
    names = [metric["event_name"] for metric in made["metrics"].values()]
    wall, ids = base(rnd, made.get("timezone", "UTC")), rnd.choice((10, 60, 1_000))
    steps = [step for step in STEPS if step <= span]
    slack = rnd.choice((1, 60, 200, 5_000, 3 * 86_400))
    upstream = rnd.choice(("home", "home", "random", "by key", "one"))
    sent: list[tuple[int, bytes]] = []
    clock = 0
    for _ in range(rnd.randrange(1, most + 1)):
        wall += rnd.choice(steps)
        if rnd.randrange(4) == 0:
            wall -= wall % rnd.choice((60, 3_600))
        timestamp = max(wall * 1_000 + rnd.choice((0, 0, 0, 500, 999, -1_500, 240_000)), 0)
        clock = max(clock, timestamp)
        us = edge(rnd, clock, timestamp) if rnd.randrange(6) == 0 else None
        value = message(rnd, wall, slack, ids, features, names, us)
        if sent and rnd.randrange(10) == 0:
            value = rnd.choice(sent)[1]
        elif sent and rnd.randrange(12) == 0:
            then, value = rnd.choice(sent)
            wall = max(wall, then + 7 * DAY + 300 + rnd.choice((-3_600, -1, 0, 1, 3_599, 3_600, 7_200)))
            timestamp = max(wall * 1_000, 0)  # Kafka has none before 1970
            value = retimed(value, wall * 1_000_000)
        sent.append((wall, value))
        partition, key = place(rnd, made, value, upstream, len(log.partitions))
        log.append(partition, timestamp, key, value, [], hole=rnd.choice((0, 0, 0, 1, 5)))
    return log


def retimed(value: bytes, us: int) -> bytes:
    """The same event, so the same id, at another time; what is no object stays as it is."""
    try:
        body = read_json(value)
    except MalformedJsonError:
        return value
    if not isinstance(body, dict):
        return value
    stamps = {name: Number(seconds(us)) for name in ("timestamp", "time_created", "time") if name in body}
    return compact(body | stamps)


def edge(rnd: Random, clock: int, timestamp: int) -> int:
    """An instant in microseconds on a bound of what is accepted, or of what a window still takes, or just beyond."""
    ago = rnd.choice((7 * DAY, 2 * DAY, 8 * DAY, 3_600, 5, 600, 8 * 3_600, -300))
    from_ms = timestamp if ago < 0 else clock
    return (from_ms - ago * 1_000) * 1_000 + rnd.choice((-1, 0, 1))


def place(rnd: Random, made: dict[str, Any], value: bytes, upstream: str, count: int) -> tuple[int, bytes | None]:
    """Where a producer puts a message, and under which key."""
    try:
        sent_as = read_line(value).customer
    except RefusedError:
        return rnd.randrange(count), None
    match upstream:
        case "home":
            return home(Rules(made).canonical(sent_as), count), sent_as.encode()
        case "by key":
            return home(sent_as, count), sent_as.encode()
        case "one":
            return 0, None
    return rnd.randrange(count), rnd.choice((None, sent_as.encode(), b"other"))
