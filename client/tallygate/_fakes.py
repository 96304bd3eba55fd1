"""What a fake gate knows: limits and metrics as the definitions have them, and what was counted and held."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tallygate.layout import Scalar
from tallygate.requests import Asked, Number


@dataclass(frozen=True)
class FakeLimit:
    """A limit as the definitions file has it; `window` None is for a gauge, `max_staleness` in seconds."""

    metric: str
    limit: Number
    window: str | None = "month"
    customer: str | None = None
    group: Mapping[str, Scalar] | None = None
    mode: str = "hard"
    warn_at: tuple[Number, ...] = ()
    on_stale: str | None = None
    max_staleness: float = 10.0

    @property
    def amount(self) -> Decimal:
        """The limit with the decimals that were written."""
        return Decimal(str(self.limit))

    @property
    def decimals(self) -> int:
        """How many decimals it is compared to."""
        return max(0, -int(self.amount.as_tuple().exponent))


@dataclass(frozen=True)
class FakeMetric:
    """A metric: a counter unless it is a gauge, whose state is `initial_value` before any event."""

    gauge: bool = False
    group_by: tuple[str, ...] = ()
    initial_value: Number = 0


@dataclass(frozen=True)
class Hold:
    """A hold, until its deadline."""

    customer: str
    asked: Asked
    at: datetime
    deadline: datetime


@dataclass
class Customer:
    """What is known of one customer: events and states by field, settled ids and when they are forgotten, holds."""

    events: dict[str, list[tuple[datetime, Decimal]]] = field(default_factory=lambda: defaultdict(list))
    states: dict[str, Decimal] = field(default_factory=dict)
    settled: dict[str, datetime] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
