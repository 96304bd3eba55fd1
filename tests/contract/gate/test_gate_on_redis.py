"""What only the real gate has to promise: round trips, scripts that are forgotten, layouts, losses, memory."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import redis
from tallygate import AsyncGate, Gate, GateUnavailable, UnknownLayout, _protocol, layout, urls
from tallygate.testing import FakeLimit

from stream.totals.gate_config import GateConfigs
from tally.servers import wait_until
from tests.contract.gate.test_gate_limits import brief
from tests.contract.gate.world import RedisWorld, use_our_clock
from tests.servers.stores import Valkey


class Counting:
    """A client that counts what is sent."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.sent: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name not in {"evalsha", "eval", "hmget"}:
            return found

        def call(*args: Any) -> Any:
            self.sent.append(name)
            return found(*args)

        return call


@pytest.fixture
def client(valkey_server: Any) -> Iterator[Counting]:
    """A client of the session's Valkey."""
    found = urls.connect(valkey_server.url, timeout_s=5)
    yield Counting(found)
    found.close()


@pytest.fixture
def real(client: Counting, unique: str, monkeypatch: pytest.MonkeyPatch) -> RedisWorld:
    """A world on the session's Valkey."""
    use_our_clock(monkeypatch)
    world = RedisWorld(client, unique, gate=Gate(client, unique))
    world.define([FakeLimit("api", 10), FakeLimit("soft", 10, mode="soft")], aliases={"acct": "acme"})
    return world


def test_one_round_trip(real: RedisWorld, client: Counting) -> None:
    """Each call is one round trip; the layout is read once, and an alias costs one more the first time."""
    real.check("acme", "api")
    real.release("acme", "r")  # from here on the server knows both scripts
    client.sent.clear()
    real.check("acme", "api")
    real.reserve("acme", "api", id="r")
    real.release("acme", "r")
    assert client.sent == ["evalsha"] * 3
    client.sent.clear()
    real.check("acct", "api")
    assert client.sent == ["evalsha"] * 2
    client.sent.clear()
    real.check("acct", "api")
    assert client.sent == ["evalsha"]


def test_an_alias_that_moves(real: RedisWorld) -> None:
    """A remembered alias is forgotten after a while, so that it may become another customer's."""
    now = [0.0]
    real.gate._protocol = _protocol.Protocol(real.app, clock=lambda: now[0])
    real.count("acme", "api", 3)
    assert real.check("acct", "api").used == 3
    real.define([FakeLimit("api", 10)], aliases={"acct": "other"})
    assert real.check("acct", "api").used == 3
    now[0] = 60.0
    assert real.check("acct", "api").used == 0
    real.define([FakeLimit("api", 10)])
    real.count("acct", "api", 7)
    now[0] = 120.0
    assert real.check("acct", "api").used == 7


def test_scripts_that_are_forgotten(real: RedisWorld, client: Counting) -> None:
    """When Redis has forgotten the scripts, they are loaded again, and the call answers."""
    for _ in range(2):
        client.script_flush()
        assert real.reserve("acme", "api").allowed
    assert real.check("acme", "api").reserved == 2


def test_nothing_reads_as_a_zero_after_a_flush(real: RedisWorld) -> None:
    """From a flush until the totals are complete, every answer is stale and denied, unless the limit says otherwise."""
    real.count("acme", "api", 10)
    real.reserve("other", "api", 5, id="r")
    real.lose_everything()
    for customer in ("acme", "other", "never-seen"):
        for metric in ("api", "soft", "apj"):
            answer = real.check(customer, metric, max_staleness=10**6)
            assert (answer.allowed, answer.reason, answer.as_of) == (False, "stale", None)
    # the worker claims the partition anew: no limits yet
    real._version += 1
    for number in range(4):
        real._sequence[number] += 1
        real._claim(number)
    real._clock()
    assert (real.check("acme", "api").allowed, real.check("acme", "api").reason) == (False, "stale")
    assert (real.release("acme", "r").released, real.reserve("acme", "api").reason) == (False, "stale")
    configs = GateConfigs(real.definitions, 4)
    for number in range(4):
        keys, config = layout.Keys(real.app, number), configs.of(number)
        fields = [text for pair in config.metrics.items() for text in pair]
        args = [real._version, real._sequence[number], config.revision, config.scales, 0, *fields]
        real._call("configure", [keys.status, keys.configured], args)
        beat = [real._version, real._sequence[number], 1_772_712_000_000_000]
        real._call("beat", [keys.status, keys.due], beat)
    real._clock()
    assert (real.check("acme", "api").allowed, real.check("acme", "api").reason) == (False, "stale")
    assert (real.check("acme", "soft").allowed, real.check("acme", "soft").reason) == (True, "stale")
    for number in range(4):
        real._publish_all(number)
    real.freshen(real.now)
    assert brief(real.check("acme", "api")) == (False, "limit_reached", "month", "10", "0", "0")
    assert brief(real.check("other", "api")) == (True, "ok", "month", "0", "0", "10")


def test_a_total_that_the_gate_cannot_count_is_stale(real: RedisWorld, client: Counting) -> None:
    """A total without its scaled amount, rendered before the metric had a limit, is not known and no zero."""
    keys = layout.Keys(real.app, layout.partition_of("acme", 4))
    for row in (
        '{"w":{"month":[[1772323200,1775001600,"9",9,""]]}}',
        '{"w": {"month": [[1772323200, 1775001600, "9", 9, "9"]]}}',
        '{"w":{"month":[[1772323200,1775001600,9,9]]}}',
    ):
        client.hset(keys.totals("acme"), mapping={":v": 1, ":o": 1, "api": row})
        assert (real.check("acme", "api").allowed, real.check("acme", "api").reason) == (False, "stale")
    with_error = '{"w":{"month":[[1769904000,1772323200,"3",3,"3","0.1"],[1772323200,1775001600,"9",9,"9","0.1"]]}}'
    client.hset(keys.totals("acme"), mapping={":v": 1, ":o": 1, "api": with_error})
    assert brief(real.check("acme", "api")) == (True, "ok", "month", "9", "0", "1")


def test_without_a_calendar_the_answer_is_stale(real: RedisWorld, client: Counting) -> None:
    """Where the calendar does not reach to now, because no worker has renewed it, nothing is known of the window."""
    for number in range(4):
        client.hdel(layout.Keys(real.app, number).status, "C:")
    answer = real.check("acme", "api", max_staleness=10**6)
    assert (answer.allowed, answer.reason, answer.resets_at) == (False, "stale", None)


def test_totals_that_are_not_complete_are_stale(real: RedisWorld, client: Counting) -> None:
    """However fresh a partition says it is: while it is not complete, a missing customer is no zero."""
    for number in range(4):
        client.hdel(layout.Keys(real.app, number).status, layout.COMPLETE)
    assert (real.check("acme", "api").allowed, real.check("acme", "api").reason) == (False, "stale")


def test_other_decimals_wait_for_other_totals(real: RedisWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a limit has other decimals, totals are stale until they are published anew: 10 must not be read as 1.0."""
    real.count("acme", "api", 10)
    monkeypatch.setattr(real, "_publish_all", id)
    real.define([FakeLimit("api", "10.0")])
    assert (real.check("acme", "api").allowed, real.check("acme", "api").reason) == (False, "stale")
    monkeypatch.undo()
    use_our_clock(monkeypatch)
    real.define([FakeLimit("api", "10.0")])
    assert brief(real.check("acme", "api", 0)) == (True, "ok", "month", "10", "0", "0")


def test_a_moment_far_ahead_is_no_freshness(real: RedisWorld) -> None:
    """A freshness that another clock told, before a failover, does not make totals fresh for hours."""
    real.stall()
    real.freshen(real.now + timedelta(hours=1))
    assert real.check("acme", "api").reason == "stale"
    real.freshen(real.now + timedelta(milliseconds=900))
    assert (real.check("acme", "api").reason, real.check("acme", "api").lag_ms) == ("ok", 0)


def test_another_number_of_partitions(real: RedisWorld, client: Counting) -> None:
    """When the totals are spread anew, a gate that knew another number of partitions reads it again."""
    assert real.check("acme", "api").allowed
    client.hset(real.app, layout.APP_PARTITIONS, 2)
    for number in range(2):
        client.hset(layout.Keys(real.app, number).status, layout.PARTITIONS, 2)
    for number in range(2, 4):
        client.delete(layout.Keys(real.app, number).status)
    customers = [f"c{n}" for n in range(20)]
    assert {layout.partition_of(name, 4) for name in customers} == {0, 1, 2, 3}
    gates = [Gate(client, real.app) for _ in customers]
    for gate in gates:
        gate._protocol._partitions = 4
        gate._protocol._read_at = -10.0
    assert [gate.check(name, "api").reason for gate, name in zip(gates, customers, strict=True)] == ["ok"] * 20


def test_a_partition_left_behind(real: RedisWorld, client: Counting) -> None:
    """Where only old, stale totals are left of a former number of partitions, a gate looks where the new ones are."""
    now = [0.0]
    real.gate._protocol = _protocol.Protocol(real.app, clock=lambda: now[0])
    name = next(f"c{n}" for n in range(99) if layout.partition_of(f"c{n}", 4) == 3)
    assert real.check(name, "api").reason == "ok"
    client.hset(real.app, layout.APP_PARTITIONS, 2)
    client.hset(layout.Keys(real.app, 1).status, layout.PARTITIONS, 2)
    client.hset(layout.Keys(real.app, 3).status, layout.FRESH, 1)
    assert real.check(name, "api").reason == "stale"  # read again once a second at most
    now[0] = 1.0
    assert real.check(name, "api").reason == "ok"


def test_two_numbers_of_partitions_at_once(real: RedisWorld, client: Counting) -> None:
    """While the app and a partition disagree about their number, a call says that it cannot tell."""
    name = next(f"c{n}" for n in range(99) if layout.partition_of(f"c{n}", 4) == 3)
    client.hset(layout.Keys(real.app, 3).status, layout.PARTITIONS, 8)
    with pytest.raises(GateUnavailable):
        real.check(name, "api")


def test_another_layout(real: RedisWorld, client: Counting) -> None:
    """A layout that this version does not read is said, not guessed at."""
    client.hset(real.app, layout.APP_LAYOUT, 2)
    with pytest.raises(UnknownLayout):
        Gate(client, real.app).check("acme", "api")
    for number in range(4):
        client.hset(layout.Keys(real.app, number).status, layout.LAYOUT, 2)
    with pytest.raises(UnknownLayout):
        real.check("acme", "api")


def test_nobody_has_said_anything(client: Counting, unique: str) -> None:
    """Without any worker ever, answers are stale."""
    gate = Gate(client, unique)
    answer = gate.check("acme", "api")
    assert (answer.allowed, answer.reason, answer.metric) == (False, "stale", "api")
    assert (gate.reserve("acme", "api").reason, gate.release("acme", "r").reason) == ("stale", "unknown")


def test_a_check_writes_nothing(real: RedisWorld, client: Counting) -> None:
    """A check leaves every key as it is, also where holds have lapsed or limits have changed."""
    real.reserve("acme", "api", 3, id="r-1", ttl=1)
    real.reserve("acme", "api", 3, id="r-2", ttl=60)
    real.advance(2)
    real.define([FakeLimit("api", "10.5", window="hour"), FakeLimit("api", 9)])
    before = {key: client.dump(key) for key in client.scan_iter(f"{real.app}*", 1000)}
    assert real.check("acme", "api").reserved == 3
    assert {key: client.dump(key) for key in client.scan_iter(f"{real.app}*", 1000)} == before


def test_what_lapsed_is_swept(real: RedisWorld, client: Counting) -> None:
    """Holds that lapsed and settled ids whose time is over cost no memory, also of customers who never come again."""
    for n in range(18):
        assert real.reserve(f"c{n % 3}", "api", id=f"r{n}", ttl=60 + n % 2)
    real.settle("c0", "r0")
    real.advance(60)
    assert [len(client.keys(f"{real.app}:*:{kind}:*")) for kind in "hx"] == [3, 3]
    assert real.sweep() == 8  # the even ones but r0
    real.advance(1)
    assert real.sweep() == 9
    holds = client.hgetall(keys_of(real, "c0").holds("c0"))
    assert (holds.pop(b"r") != b"", holds) == (True, {b"#r0": b"S"})
    real.advance(7200)
    assert real.sweep() == 1
    assert client.keys(f"{real.app}:*:h:*") + client.keys(f"{real.app}:*:x*") == []


def keys_of(world: RedisWorld, customer: str) -> layout.Keys:
    """The keys of a customer's partition."""
    return layout.Keys(world.app, layout.partition_of(customer, 4))


def test_a_released_hold_leaves_nothing(real: RedisWorld, client: Counting) -> None:
    """Released, the last hold of a customer leaves no key."""
    real.reserve("acme", "api", id="r-1")
    real.release("acme", "r-1")
    assert client.keys(f"{real.app}:*:h:*") + client.keys(f"{real.app}:*:x*") == []


def test_many_holds_of_one_customer(real: RedisWorld) -> None:
    """Two thousand holds that lapse at once are all gone at the next reservation or sweep."""
    real.define([FakeLimit("api", 2000)])
    for n in range(2000):
        assert real.reserve("acme", "api", id=f"r{n}", ttl=1)
    assert not real.check("acme", "api")
    real.define([FakeLimit("api", "2000.0")])  # makes all sums anew
    assert not real.reserve("acme", "api", "0.1")
    real.advance(1)
    while real.sweep():
        pass
    assert brief(real.check("acme", "api")) == (True, "ok", "month", "0", "0", "2000")


def test_redis_cannot_be_reached() -> None:
    """Where Redis does not answer, calls raise GateUnavailable, for threads and for asyncio."""
    url = "redis://127.0.0.1:1/0"
    with Gate.from_url(url, timeout=0.2) as gate, pytest.raises(GateUnavailable):
        gate.check("acme", "api")

    async def main() -> None:
        async with AsyncGate.from_url(url, timeout=0.2) as aio:
            with pytest.raises(GateUnavailable):
                await aio.reserve("acme", "api")

    asyncio.run(main())
    with pytest.raises(GateUnavailable):
        Gate.from_url("redis+cluster://127.0.0.1:1", timeout=0.2)


def test_redis_stops_and_comes_back(unique: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that hangs or dies makes calls raise in time; when it is back, the same gate answers."""
    use_our_clock(monkeypatch)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Valkey(appendonly=True))
        gate = stack.enter_context(Gate.from_url(server.url, unique, timeout=0.2))
        world = RedisWorld(stack.enter_context(redis.Redis(port=server.port)), unique, gate=gate)
        world.define([FakeLimit("api", 10)])
        assert world.check("acme", "api")
        server.pause()
        with pytest.raises(GateUnavailable):
            world.check("acme", "api")
        server.resume()
        assert world.reserve("acme", "api", 4)
        server.kill()
        with pytest.raises(GateUnavailable):
            world.check("acme", "api")
        server.start()
        assert brief(world.check("acme", "api")) == (True, "ok", "month", "0", "4", "6")


def test_a_redis_that_is_full(unique: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis without memory refuses to reserve and changes nothing; a check still answers."""
    use_our_clock(monkeypatch)
    with Valkey() as server, Gate.from_url(server.url, unique) as gate, redis.Redis(port=server.port) as client:
        world = RedisWorld(client, unique, gate=gate)
        world.define([FakeLimit("api", 10)])
        world.reserve("acme", "api", 4)
        client.config_set("maxmemory", "1mb")
        with pytest.raises(GateUnavailable):
            world.reserve("acme", "api", 1)
        assert brief(world.check("acme", "api")) == (True, "ok", "month", "0", "4", "6")
        client.config_set("maxmemory", "0")
        assert brief(world.reserve("acme", "api", 1)) == (True, "ok", "month", "0", "5", "5")


def test_connections_are_kept_and_closed(unique: str, valkey_server: Any) -> None:
    """Threads that ask at once have a connection each; later calls use those, and closing the gate closes them."""
    with redis.Redis(port=valkey_server.port, decode_responses=True) as watch:

        def ours() -> set[str]:
            return {each["id"] for each in watch.client_list() if each["name"] == unique}

        gate = Gate.from_url(f"{valkey_server.url}?client_name={unique}", unique)
        with ThreadPoolExecutor(4) as threads:
            together = threading.Barrier(4)

            def ask(_: int) -> str:
                together.wait(30)
                return gate.check("acme", "calls").reason

            assert list(threads.map(ask, range(4))) == ["stale"] * 4
        first = ours()
        assert 1 <= len(first) <= 4
        for _ in range(10):
            assert gate.check("acme", "calls").reason == "stale"
        assert ours() == first
        gate.close()
        wait_until(lambda: ours() == set(), "the connections to be gone")


def test_a_forked_process_has_connections_of_its_own(real: RedisWorld, valkey_server: Any) -> None:
    """A service that forks after its first call, as Celery does, never reads an answer to its parent's question."""
    real.define([FakeLimit("calls", 10)])
    with Gate.from_url(valkey_server.url, real.app) as gate:
        assert gate.check("acme", "calls").limit == 10
        kept = gate._redis._kept
        parents = kept.take()
        kept.give(parents)
        kept._process = -1  # as in a process that was forked
        assert gate.check("acme", "calls").limit == 10
        assert kept.take() is not parents
        parents.disconnect()


def test_hundreds_of_tasks_ask_at_once(real: RedisWorld, valkey_server: Any, unique: str) -> None:
    """Each call has a connection of its own while it waits; redis-py's pool would refuse the hundred and first."""
    del real  # it has written the limits

    async def main() -> None:
        async with AsyncGate.from_url(valkey_server.url, unique, timeout=60) as gate:
            answers = await asyncio.gather(*(gate.check("acme", "api") for _ in range(300)))
        assert len(answers) == 300

    asyncio.run(main())
