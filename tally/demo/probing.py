"""The demo's clock: a process outside the workers that measures, and what its measurements say."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

STILL_S = 0.25  # an event that waited for longer than this met a standstill, not ordinary latency


@contextlib.contextmanager
def probing(bootstrap: str, url: str, app: str, topic: str, partitions: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The process that measures (`tally.demo.probe`); killed at the end if it has not ended."""
    command = [sys.executable, "-m", "tally.demo.probe", bootstrap, url, app, topic, str(partitions)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("the measuring process did not start")
        yield process
    finally:
        process.kill()
        process.communicate()


def finished(probe: "subprocess.Popen[bytes]") -> list[tuple[float, float]]:
    """End it; when each of its events was sent and seen in Redis, in seconds since the epoch."""
    out, _ = probe.communicate(timeout=60)
    return [(sent, seen) for sent, seen in json.loads(out)]


def standstill(seen: Sequence[tuple[float, float]], killed_at: float, within_s: float) -> float:
    """When the longest standstill ended that a kill began: the last moment at which an event was seen that had waited.

    Events count that were on their way at the kill, or were sent within `within_s` seconds after it.
    """
    waits = [(sent, done) for sent, done in seen if done >= killed_at and sent <= killed_at + within_s]
    return max((done for sent, done in waits if done - sent > STILL_S), default=killed_at)


def latency_ms(seen: Sequence[tuple[float, float]], killed_at: float, over: float) -> dict[str, float]:
    """p50 and p99 of the events outside the standstill from `killed_at` to `over` (0: there was none).

    >>> latency_ms([(1.0, 1.02), (2.0, 2.04), (5.0, 7.0), (9.0, 9.03)], 5.1, 7.0)
    {'p50': 30.0, 'p99': 40.0}
    """
    usual = sorted(done - sent for sent, done in seen if not (killed_at and killed_at - 0.5 <= done and sent <= over))
    if not usual:
        return {}
    p99 = usual[min(len(usual) - 1, int(len(usual) * 0.99))]
    return {"p50": round(usual[len(usual) // 2] * 1000, 1), "p99": round(p99 * 1000, 1)}
