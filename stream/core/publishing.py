"""Which customers Redis has to be told about again, and which reservations were settled since."""

from collections import deque
from collections.abc import Iterable

from stream.core.idlog import Settled

MOST_REMEMBERED = 200_000
"""Changed customers that the ring remembers; what is asked from before it publishes every customer."""

SETTLES_FOR_US = 2 * 3_600_000_000
"""Settled reservations are remembered for two hours on the partition's clock, as Redis remembers them."""


class Marks:
    """Customers marked to be published whole, and the ring that says who changed since a version."""

    def __init__(self) -> None:
        self._ring: deque[tuple[int, list[str]]] = deque()
        self._remembered = 0
        self._since = 0  # the ring holds every change after this version
        self._settles: deque[tuple[int, int, list[Settled]]] = deque()  # (version, clock, reservations)
        self.marked: dict[str, list[str]] = {}  # customer -> reservations that go with its publication

    def restart(self, version: int) -> None:
        """Remember changes after a version; nothing is known of what was before."""
        self._since = version

    def changed(self, version: int, customers: list[str]) -> None:
        """Note who changed in a commit."""
        if customers:
            self._ring.append((version, customers))
            self._remembered += len(customers)
            while self._remembered > MOST_REMEMBERED:
                self._since, gone = self._ring.popleft()
                self._remembered -= len(gone)

    def settled(self, version: int, clock_us: int, settles: list[Settled]) -> None:
        """Note what a commit settled."""
        if settles:
            self._settles.append((version, clock_us, settles))
        while self._settles and self._settles[0][1] < clock_us - SETTLES_FOR_US:
            self._settles.popleft()

    def since(self, version: int | None) -> list[str] | None:
        """Who changed after a version; None where it is not known, so anyone may have."""
        if version is None or version < self._since:
            return None
        changed = (customer for at, customers in self._ring if at > version for customer in customers)
        return list(dict.fromkeys(changed))

    def mark(self, customers: Iterable[str], version: int | None) -> None:
        """Mark customers, with what was settled after a version (None: as far back as is remembered)."""
        for customer in customers:
            self.marked.setdefault(customer, [])
        for at, _, settles in self._settles:
            if version is None or at > version:
                for each in settles:
                    waiting = self.marked.setdefault(each.customer, [])
                    if each.reservation not in waiting:
                        waiting.append(each.reservation)
