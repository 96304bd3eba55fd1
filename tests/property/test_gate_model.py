"""The gate on Redis against the naive one in memory, through whatever may happen in any order."""

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings, stateful, strategies as st
from tallygate import Gate, Line, OtherLines, urls
from tallygate.testing import FakeGate, FakeLimit, FakeMetric

from tests.contract.gate.world import START, RedisWorld, use_our_clock

M1, M2 = {"model": "m1"}, {"model": "m2"}
METRICS = {
    "seats": FakeMetric(gauge=True, initial_value=1),
    "tok": FakeMetric(group_by=("model",)),
    "free": FakeMetric(),
}
FILES = [
    [
        FakeLimit("api", 10, window="minute"),
        FakeLimit("api", 25, window="hour", warn_at=("0.4", "0.8")),
        FakeLimit("tok", "12.5", window="hour"),
        FakeLimit("tok", "4.25", window="minute", group=M1),
        FakeLimit("seats", 6, window=None),
    ],
    [
        FakeLimit("api", 30, window="hour", mode="soft"),
        FakeLimit("api", 8, window="hour", customer="a"),
        FakeLimit("api", 40, window="total", on_stale="allow"),
        FakeLimit("tok", 9, window="day"),
        FakeLimit("tok", 6, window="day", group=M1, customer="b", max_staleness=2),
        FakeLimit("seats", "4.5", window=None, mode="soft", on_stale="deny"),
    ],
]
CUSTOMERS = st.sampled_from(["a", "b"])
IDS = st.sampled_from([f"r{n}" for n in range(5)])
COSTS = st.sampled_from(["0", "1", "2", "3.3", "5", "0.005"])
LINE = st.one_of(
    st.builds(Line, st.sampled_from(["api", "seats", "free"]), COSTS),
    st.builds(Line, st.just("tok"), COSTS, st.sampled_from([None, M1, M2])),
)
LINES = st.lists(LINE, min_size=1, max_size=3)


class Model(stateful.RuleBasedStateMachine):
    """Every step is done to both worlds, and every answer compared whole."""

    client: ClassVar[Any]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        app = f"m-{secrets.token_hex(6)}"
        self.real = RedisWorld(self.client, app, gate=Gate(self.client, app))
        self.naive = FakeGate(now=START)
        self.file = 0
        self.define()

    def define(self) -> None:
        self.real.define(FILES[self.file], metrics=METRICS, aliases={"alias": "a"})
        self.naive.define(FILES[self.file], metrics=METRICS, aliases={"alias": "a"})

    def both(self, method: str, *args: Any, **named: Any) -> None:
        outcomes = []
        for world in (self.real, self.naive):
            try:
                outcomes.append(getattr(world, method)(*args, **named))
            except OtherLines:
                outcomes.append("other lines")
        assert outcomes[0] == outcomes[1]

    @stateful.rule(customer=st.sampled_from(["a", "b", "alias"]), lines=LINES)
    def check(self, customer: str, lines: list[Line]) -> None:
        self.both("check", customer, lines=lines)

    @stateful.rule(customer=CUSTOMERS, lines=LINES, id_=IDS, ttl=st.sampled_from([1, 30, 90, 3600]))
    def reserve(self, customer: str, lines: list[Line], id_: str, ttl: int) -> None:
        self.both("reserve", customer, lines=lines, id=id_, ttl=ttl)

    @stateful.rule(customer=st.sampled_from(["a", "b", "alias"]), id_=IDS)
    def release(self, customer: str, id_: str) -> None:
        self.both("release", customer, id_)

    @stateful.rule(
        customer=CUSTOMERS,
        line=LINE,
        ago=st.sampled_from([0, 1, 61]),
        id_=st.one_of(st.none(), IDS),
    )
    def event(self, customer: str, line: Line, ago: int, id_: str | None) -> None:
        at = self.naive.now - timedelta(seconds=ago)
        if line.metric == "seats":
            self.both("set_state", customer, "seats", line.cost)
        else:
            self.both("count", customer, line.metric, line.cost, line.group, at=at, reservation=id_)

    @stateful.rule(customer=CUSTOMERS, id_=IDS)
    def rejected_event(self, customer: str, id_: str) -> None:
        self.both("settle", customer, id_)

    @stateful.rule(seconds=st.sampled_from([0.25, 1, 29.75, 61, 3601]))
    def advance(self, seconds: float) -> None:
        self.both("advance", seconds)

    @stateful.rule()
    def stall(self) -> None:
        self.both("stall")

    @stateful.rule()
    def resume(self) -> None:
        self.both("resume")

    @stateful.rule(share=st.sampled_from([0.5, 0.9, 1]))
    def freshen(self, share: float) -> None:
        if self.naive._fresh is not None:
            self.both("freshen", self.naive._fresh + (self.naive.now - self.naive._fresh) * share)

    @stateful.rule()
    def sweep(self) -> None:
        self.real.sweep()

    @stateful.rule()
    def other_limits(self) -> None:
        """A worker starts with another file, and is at work from then on."""
        self.file = 1 - self.file
        self.define()
        self.both("resume")

    @stateful.rule()
    def flush(self) -> None:
        """Redis loses everything; the worker publishes all again. Holds and settled ids are lost."""
        self.real.lose_everything()
        for customer in ("a", "b", "alias"):
            assert self.real.check(customer, "api").reason == "stale"
        self.real.redis.hset(self.real.app, mapping={"layout": 1, "partitions": 4})
        self.define()
        self.both("resume")
        for known in self.naive._customers.values():
            known.holds.clear()
            known.settled.clear()

    @stateful.invariant()
    def hard_limits_hold(self) -> None:
        """Neither world may say that more is reserved than the sum of its open holds."""
        for customer in ("a", "b"):
            self.both("check", customer, lines=[Line("api"), Line("tok", 1, M1), Line("seats")])


@pytest.fixture(autouse=True)
def _valkey(valkey_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_our_clock(monkeypatch)
    Model.client = urls.connect(valkey_server.url, timeout_s=5)
    yield
    Model.client.close()


def test_the_gate_answers_as_the_naive_one() -> None:
    """Reserve, release, settle, lapse, publish, flush, clock, window turn and other limits, in any order."""
    stateful.run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=int(os.environ.get("TALLY_TEST_EXAMPLES", "10")),
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
