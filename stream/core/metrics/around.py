"""Which windows Redis shows at a clock: asked for every state of a commit, so answered once for all."""

from stream.core.metrics.base import SECOND_US, TOTAL, CalendarLike

Bounds = tuple[tuple[int, int, int], ...]
"""By kind: the start of the window just before the one that holds the clock, that one's start, and its end."""

_MOST = 1024

_known: dict[tuple[int, int], tuple[CalendarLike, Bounds]] = {}


def around(calendar: CalendarLike, clock_us: int) -> Bounds:
    """The windows of each kind but the total at a clock, in seconds."""
    key = (id(calendar), clock_us)
    known = _known.get(key)
    if known is not None and known[0] is calendar:
        return known[1]
    bounds = []
    for kind, start in enumerate(calendar.windows(clock_us // SECOND_US * SECOND_US)[1 : 1 + TOTAL]):
        before, end = calendar.previous(kind, start), calendar.end(kind, start)
        assert before is not None
        assert end is not None
        bounds.append((before, start, end))
    if len(_known) >= _MOST:
        _known.clear()
    _known[key] = (calendar, tuple(bounds))
    return tuple(bounds)
