"""The set of remembered ids against a plain dict, through any run of additions, expiries and sweeps."""

import numpy as np
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stream.core.ids import Ids


class Remembering(RuleBasedStateMachine):
    """Adds, forgets and sweeps; the dict says what must be known."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = Ids()
        self.model: dict[bytes, int] = {}
        self.gone: list[bytes] = []
        self.hour = 490_000
        self.random = np.random.default_rng(3)

    @rule(count=st.integers(1, 4000), passes=st.integers(0, 3), narrow=st.booleans())
    def add(self, count: int, passes: int, narrow: bool) -> None:
        """New ids, some of them with equal leading bits, some that were forgotten before."""
        count = min(count, 700) if narrow else count
        self.hour += passes
        raw = self.random.bytes(16 * count)
        some = {
            (raw[at : at + 3] + b"\x07\x07\x07\x07\x07" if narrow else raw[at : at + 8]) + raw[at + 8 : at + 16]
            for at in range(0, len(raw), 16)
        }
        some |= set(self.gone[:50])
        new = [each for each in some if each not in self.model]
        self.ids.add(b"".join(new), self.hour)
        self.model |= dict.fromkeys(new, self.hour)

    @rule(keep=st.integers(0, 6))
    def expire(self, keep: int) -> None:
        """The floor follows the clock at some hours' distance."""
        floor = self.hour - keep
        self.ids.expire(floor)
        self.gone += [each for each, hour in self.model.items() if hour < floor][:100]
        self.model = {each: hour for each, hour in self.model.items() if hour >= floor}

    @rule(pages=st.integers(1, 3))
    def sweep(self, pages: int) -> None:
        """A sweep advances by a page or so."""
        self.ids.step(pages)

    @invariant()
    def agrees(self) -> None:
        """What the dict holds is known, what it does not hold is not."""
        assert len(self.ids) == len(self.model)
        assert self.ids.known(b"".join(self.model)).all()
        strangers = [each for each in self.gone if each not in self.model]
        assert not self.ids.known(b"".join(strangers)).any()
        assert not self.ids.known(self.random.bytes(16 * 200)).any()


TestRemembering = Remembering.TestCase
TestRemembering.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
