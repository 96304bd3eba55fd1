"""One state of the general path, and what a partition knows of it."""

from typing import TYPE_CHECKING, Any

from stream.core.zone import Zone

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.core.metrics.base import Many, State, Windows
    from stream.core.metrics.billable import Attribution


class Entry:
    """One state, or its chunks until it is touched. `group` is None for the overall one."""

    __slots__ = (
        "attribution",
        "chunks",
        "customer",
        "dirty",
        "field",
        "fold",
        "fold_all",
        "group",
        "key",
        "names",
        "pending",
        "seen_hour",
        "shown_us",
        "state",
        "zone",
    )

    def __init__(self, customer: str, group: Any, zone: Zone, key: bytes, field: str) -> None:
        """`key` begins the keys of its changelog records, `field` is its name in the customer's hash."""
        self.customer, self.group, self.zone, self.key, self.field = customer, group, zone, key, field
        self.state: State | None = None
        self.fold: Callable[[Windows, int, Any, int], int] | None = None  # the state's, once it is made
        self.fold_all: Callable[[Many, int], bool] | None = None  # likewise, if it has one
        self.chunks: dict[bytes, bytes] = {}  # until the state is made
        self.names: set[bytes] = set()  # of the chunks that the changelog holds
        self.pending: list[tuple[bytes, bytes | None]] = []
        self.shown_us: int | None = None  # the clock at which it was last rendered
        self.seen_hour = -1  # the clock's hour of the last expiry
        self.dirty = False
        self.attribution: Attribution | None = None  # only where billable days are asked for
