"""What the parts before the fold cost: reading an event, finding its windows, remembering its id.

    python -m bench.parts [most ids, 1000000]

CPU time of this thread, the best of several runs; for the ids the mean while they grow, and the slowest call.
"""

import gc
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from time import thread_time_ns
from typing import NamedTuple

import numpy as np

from stream.core.calendar import Calendar, calendar_for
from stream.core.decode import Decoder
from stream.core.ids import Ids

EVENTS = 20_000
BLOCK = 1000


class Sent(NamedTuple):
    """A record as the decoder sees it."""

    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int | None = None


def best(work: Callable[[], object], count: int, before: Callable[[], object] = lambda: None) -> float:
    """Nanoseconds for each of `count`, the best of nine runs."""
    fastest = 1 << 62
    for _ in range(9):
        before()
        start = thread_time_ns()
        work()
        fastest = min(fastest, thread_time_ns() - start)
    return fastest / count


def reading(random: Random) -> None:
    """Our own dialect plain, with an integer id, and Lago's."""
    plain = [
        {"id": f"ev_{n:012}", "event_name": "api_request", "customer_id": f"cust_{random.randrange(1000)}",
         "timestamp": f"2026-03-05T12:00:00.{n % 1000:03}Z", "properties": {"region": "NA", "value": n % 100, "model": "m1"}}
        for n in range(EVENTS)
    ]  # fmt: skip
    names = {"id": "transaction_id", "event_name": "code", "customer_id": "external_customer_id"}
    decoder = Decoder([("region",), ("value",), ("model",)])
    for title, events in (
        ("our own dialect", plain),
        ("integer ids", [event | {"id": n} for n, event in enumerate(plain)]),
        (
            "CloudEvents",
            [
                {
                    "specversion": "1.0",
                    "source": "/gw",
                    "type": "e",
                    "subject": each["customer_id"],
                    "id": each["id"],
                    "time": each["timestamp"],
                    "data": each["properties"],
                }
                for each in plain
            ],
        ),
        ("Lago", [{names.get(name, name): value for name, value in event.items()} for event in plain]),
    ):
        records = [Sent(json.dumps(event).encode()) for event in events]
        blocks = [records[at : at + BLOCK] for at in range(0, EVENTS, BLOCK)]
        took = best(lambda blocks=blocks: [decoder.block(block) for block in blocks], EVENTS)  # type: ignore[misc]
        print(f"read, {title}: {took:.0f} ns an event of {len(records[0].value)} bytes")


def windows(random: Random) -> None:
    """Timestamps seen before, and new ones of milliseconds and microseconds within a week."""
    week = 7 * 86_400 * 10**6
    moments = [datetime(2026, 3, 5, tzinfo=UTC) + timedelta(microseconds=random.randrange(week)) for _ in range(EVENTS)]
    for zone in ("UTC", "America/New_York"):
        known: Calendar = calendar_for(zone)
        for digits in ("milliseconds", "microseconds"):
            stamps = [moment.isoformat(timespec=digits).replace("+00:00", "Z") for moment in moments]
            calendar = Calendar(known.clock, 1)
            took = best(lambda: [calendar[stamp] for stamp in stamps], EVENTS, calendar.clear)  # noqa: B023
            print(f"windows, {zone}, new stamps of {digits}: {took:.0f} ns")
            if digits == "milliseconds":
                again = best(lambda: [calendar[stamp] for stamp in stamps], EVENTS)  # noqa: B023
                print(f"windows, {zone}, known stamps: {again:.0f} ns")


def ids(most: int) -> None:
    """Bytes an id on the way to each size, and what a look-up (of 1,000) and an addition (of 8,000) cost."""
    random = np.random.default_rng(1)
    step = 8000
    for size in [each for each in (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 20_000_000) if each <= most]:
        held, widest, looked, added, slowest = Ids(), 0.0, 0, 0, 0
        for _ in range(0, size, step):
            new = random.bytes(16 * step)
            start = thread_time_ns()
            for at in range(0, len(new), 16 * BLOCK):
                held.known(new[at : at + 16 * BLOCK])
            middle = thread_time_ns()
            held.add(new, 10)
            end = thread_time_ns()
            looked, added, slowest = looked + middle - start, added + end - middle, max(slowest, end - middle)
            widest = max(widest, held.nbytes / len(held) if len(held) >= 100_000 else 0)
        count = len(held)
        print(
            f"ids, {count:,}: at most {widest:.1f} bytes each on the way, look-up {looked / count:.0f} ns, "
            f"addition {added / count:.0f} ns, slowest addition of {step:,} {slowest / 1e6:.1f} ms"
        )


def main() -> None:
    """All parts, one after the other."""
    random = Random(1)
    gc.freeze()
    reading(random)
    windows(random)
    ids(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)


if __name__ == "__main__":
    main()
