"""What each event of a gauge changes: a sorted list of steps, each with how much the state moves.

A step moves the state of one entity: the whole gauge, a group of it, or an object that is present or
not. How far it moves the sum of all of them depends on the step of the same entity before it; so a
step that comes late also changes how far the next one moves. `Lanes` knows the steps by entity.
"""

from bisect import bisect_left
from typing import Any, Protocol

from stream.core.metrics.base import Number

Step = list[Any]
"""[us, order, move, entity, operand, chunk]: sorted by the first two, which no two steps share.

`move` is how much the overall state changes; `chunk` says where the step is saved.
"""

Plain = tuple[int, int, Number, int]
"""The step of a gauge that is one entity: (us, order, number, chunk), the number moving or setting the state."""

US, ORDER, MOVE, ENTITY, OPERAND = range(5)
CHUNK = -1


class Lane:
    """The live steps of one entity, and its state before them (None: it had not come yet)."""

    __slots__ = ("base", "steps")

    def __init__(self, base: Any) -> None:
        self.base = base
        self.steps: list[Step] = []


class Rule(Protocol):
    """How the steps of one entity move the sum of all entities."""

    def mend(self, lane: Lane, at: int) -> None:
        """Set the moves of the step at this place and of those after it that depend on it."""
        ...

    def settle(self, lane: Lane, step: Step) -> bool:
        """The lane's first step becomes part of its base; False where nothing is left to remember."""
        ...


class Setting:
    """A step sets its entity's state to the operand; a new entity starts from `start`."""

    def __init__(self, start: Number, *, forget: bool = False) -> None:
        """`forget`: an entity set to 0 is as if it had never come (an object removed)."""
        self._start, self._forget = start, forget

    def mend(self, lane: Lane, at: int) -> None:
        """See `Rule`."""
        steps = lane.steps
        before = steps[at - 1][OPERAND] if at else self._start if lane.base is None else lane.base
        for step in steps[at : at + 2]:
            step[MOVE] = step[OPERAND] - before
            before = step[OPERAND]

    def settle(self, lane: Lane, step: Step) -> bool:
        """See `Rule`."""
        lane.base = step[OPERAND]
        return not self._forget or bool(lane.base)


class Joining:
    """A step adds its operand; an entity's first step also brings the initial value."""

    def __init__(self, initial: Number) -> None:
        self._initial = initial

    def mend(self, lane: Lane, at: int) -> None:
        """See `Rule`."""
        for place, step in enumerate(lane.steps[at : at + 2], at):
            joins = place == 0 and lane.base is None
            step[MOVE] = step[OPERAND] + self._initial if joins else step[OPERAND]

    def settle(self, lane: Lane, step: Step) -> bool:  # noqa: ARG002
        """See `Rule`."""
        lane.base = 1
        return True


class Union:
    """A step says that an object is (1) or is not (0) in one group: operand (group, presence).

    The object counts once while it is in at least one group.
    """

    def mend(self, lane: Lane, at: int) -> None:  # noqa: ARG002 - who holds it is known from the first step only
        """See `Rule`."""
        holders = set(lane.base or ())
        for step in lane.steps:
            before = bool(holders)
            self._apply(holders, step)
            step[MOVE] = bool(holders) - before

    def settle(self, lane: Lane, step: Step) -> bool:
        """See `Rule`."""
        holders = set(lane.base or ())
        self._apply(holders, step)
        lane.base = sorted(holders)
        return bool(holders)

    def _apply(self, holders: set[bytes], step: Step) -> None:
        group, present = step[OPERAND]
        if present:
            holders.add(group)
        else:
            holders.discard(group)


class Lanes:
    """The live steps of every entity that has some."""

    __slots__ = ("lanes", "rule")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.lanes: dict[bytes, Lane] = {}

    def open(self, entity: bytes, base: Any) -> None:
        """Before the first live step of an entity: what it was before (None: it had not come yet)."""
        self.lanes[entity] = Lane(base)

    def add(self, step: Step) -> None:
        """A new step: its own move is set, and the next one's mended."""
        lane = self.lanes[step[ENTITY]]
        steps = lane.steps
        if not steps or steps[-1] < step:
            steps.append(step)
            self.rule.mend(lane, len(steps) - 1)
        else:
            at = bisect_left(steps, step)
            steps.insert(at, step)
            self.rule.mend(lane, at)

    def remove(self, step: Step) -> None:
        """A step that had not been: the next one's move is mended."""
        lane = self.lanes[step[ENTITY]]
        at = bisect_left(lane.steps, step)
        del lane.steps[at]
        if at < len(lane.steps):
            self.rule.mend(lane, at)
        elif not lane.steps:
            del self.lanes[step[ENTITY]]

    def settle(self, steps: list[Step]) -> dict[bytes, Any]:
        """The oldest steps, in order, are no longer live: the entities' new bases, None for none."""
        bases: dict[bytes, Any] = {}
        numbers: dict[bytes, int] = {}
        for step in steps:
            entity = step[ENTITY]
            lane = self.lanes[entity]
            numbers[entity] = numbers.get(entity, 0) + 1
            if not self.rule.settle(lane, step):
                lane.base = None
            bases[entity] = lane.base
        for entity, number in numbers.items():
            lane = self.lanes[entity]
            del lane.steps[:number]
            if not lane.steps:
                del self.lanes[entity]
        return bases
