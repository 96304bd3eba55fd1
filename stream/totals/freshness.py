"""Up to which moment everything that Kafka had is in Redis, told on Redis's own clock."""

from collections import deque

MOST = 240
"""Candidates kept: a minute of heartbeats, after which every second one goes, so that a long lag costs no memory."""


class Freshness:
    """Pairs of a moment (microseconds of Redis's clock) and the partition's high watermark asked for after it.

    When all below a watermark is published, everything that Kafka had at its moment is in Redis.

    >>> fresh = Freshness()
    >>> fresh.asked(1_000, 50)
    >>> fresh.asked(2_000, 80)
    >>> fresh.reached(49) is None, fresh.reached(60), fresh.reached(80)
    (True, 1000, 2000)
    """

    def __init__(self) -> None:
        self._candidates: deque[tuple[int, int]] = deque()
        self._reached: int | None = None

    def asked(self, moment_us: int, watermark: int) -> None:
        """Remember a moment, and a watermark that was asked for after it."""
        self._candidates.append((moment_us, watermark))
        if len(self._candidates) > MOST:
            self._candidates = deque(pair for n, pair in enumerate(self._candidates) if n % 2)

    def reached(self, position: int) -> int | None:
        """The latest moment whose watermark lies at or below the published `position`; None before the first."""
        met = next((n for n, pair in enumerate(reversed(self._candidates)) if pair[1] <= position), None)
        if met is not None:
            newer = [self._candidates.pop() for _ in range(met)]
            self._reached = self._candidates[-1][0]
            self._candidates.clear()
            self._candidates.extend(reversed(newer))
        return self._reached

    def forget(self) -> None:
        """Start again: what is in Redis went back, or its clock is another's."""
        self._candidates.clear()
        self._reached = None
