"""Which limit applies to which total, and what crossing it takes.

For each metric and window the overall total has one limit (the customer's own, else the one for
all customers), and each group has one (the customer's for that group, else the group's); a total
of a group is held to its own limit, and beside it to the overall total's.

Pure: it knows the definitions only. How limits stand in Redis is `stream.totals.gate_config`'s.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, Inexact
from typing import NamedTuple

from schemas.definitions import Limit, Scalar
from schemas.totals import group_text, plain

_EXACT = Context(prec=200, traps=[Inexact])
"""Limits have at most 16 digits and shares 6, so products are exact; anything else must not pass."""

OVERALL = ""
"""Stands for the overall total where a group's text stands otherwise; `{}` is no group."""


class Threshold(NamedTuple):
    """A share of a limit whose crossing is told: `share` is its plain text, the limit itself is "1".

    It is reached while a total is `amount` or more.
    """

    share: str
    amount: Decimal


class Limits:
    """The limits of a file, looked up by canonical customer, metric, window and group.

    A group is named by `schemas.totals.group_text`; `OVERALL` is the overall total. The window of
    a limit on a gauge is None: it holds the present state.

    >>> limits = Limits([
    ...     Limit(metric="calls", window="month", limit=Decimal(100)),
    ...     Limit(metric="calls", window="month", limit=Decimal(500), customer="acme"),
    ... ])
    >>> limits.of("bolt", "calls", "month").limit, limits.of("acme", "calls", "month").limit
    (Decimal('100'), Decimal('500'))
    """

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._limits: dict[tuple[str | None, str, str | None, str], Limit] = {}
        windows: defaultdict[str, dict[str | None, None]] = defaultdict(dict)
        decimals: defaultdict[str, int] = defaultdict(int)
        for limit in limits:
            group = OVERALL if limit.group is None else group_text(limit.group)
            self._limits[limit.customer, limit.metric, limit.window, group] = limit
            windows[limit.metric][limit.window] = None
            decimals[limit.metric] = max(decimals[limit.metric], decimals_of(limit))
        self.windows: Mapping[str, tuple[str | None, ...]] = {key: tuple(names) for key, names in windows.items()}
        """The windows of each limited metric in which any limit stands."""
        self.decimals: Mapping[str, int] = dict(decimals)
        """The greatest number of decimal places among each limited metric's limits."""

    def of(self, customer: str, metric: str, window: str | None, group: str = OVERALL) -> Limit | None:
        """The one limit of a total; None where it has none."""
        own = self._limits.get((customer, metric, window, group))
        return own or self._limits.get((None, metric, window, group))

    def holding(
        self, customer: str, metric: str, window: str | None, group: Mapping[str, Scalar] | None = None
    ) -> tuple[Limit, ...]:
        """All limits that a cost is held to: the overall total's, and then the group's."""
        names = [OVERALL] if not group else [OVERALL, group_text(group)]
        found = (self.of(customer, metric, window, name) for name in names)
        return tuple(limit for limit in found if limit is not None)


def decimals_of(limit: Limit) -> int:
    """The decimal places to which a limit is compared, those that its author wrote: 10.50 has two."""
    exponent = limit.limit.as_tuple().exponent
    assert isinstance(exponent, int), "a limit is finite"
    return max(0, -exponent)


def thresholds(limit: Limit) -> tuple[Threshold, ...]:
    """What can be crossed, lowest first: each share of `warn_at`, then the limit itself.

    >>> [tuple(map(str, each)) for each in thresholds(Limit(metric="a", limit=Decimal("2.5"), warn_at=(Decimal("0.5"),)))]
    [('0.5', '1.25'), ('1', '2.5')]
    """
    shares = [Threshold(plain(share), _EXACT.multiply(share, limit.limit)) for share in limit.warn_at]
    return (*shares, Threshold("1", limit.limit))
