"""The HTTP API while its servers are away, slow or come back, and while it stops itself."""

import asyncio
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator, Mapping

import pytest

from tally.api.limits import Limits
from tally.servers import EmbeddedKafka, EmbeddedRedis, wait_until
from tests.integration.api.serving import ApiProcess, Caller, serving
from tests.integration.commands.running import environment
from tests.servers.records import read


@pytest.fixture
def own_kafka() -> Iterator[EmbeddedKafka]:
    """A broker of the test's own."""
    with EmbeddedKafka() as started:
        yield started


def event(number: int | str) -> dict[str, object]:
    """A call of now."""
    return {"id": str(number), "event_name": "call", "customer_id": "acme", "timestamp": time.time()}


async def metric(caller: Caller, name: str) -> float:
    """One series of the API's own /metrics."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", (await caller.get("/metrics")).json, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_kafka_away_is_503_and_the_gate_goes_on(
    own_kafka: EmbeddedKafka, valkey_server: EmbeddedRedis, unique: str
) -> None:
    """When the broker dies events are 503, the gate answers, and when it is back events are accepted again."""
    env = environment(own_kafka.bootstrap, unique, TALLY_REDIS=valkey_server.url)

    async def story() -> None:
        async with serving(env) as caller:
            assert (await caller.post("/v1/events", event(1))).json["results"][0]["status"] == "accepted"
            own_kafka.kill()
            lost = await caller.post("/v1/events", [event(2), event(3)])
            assert (lost.status, lost.headers["Retry-After"]) == (503, "1")
            assert "each counts once by its id" in lost.json["error"]
            again = await caller.post("/v1/events", event(2))
            assert again.status == 503
            assert (await caller.post("/v1/check", {"customer": "acme", "metric": "calls"})).status == 200
            ready = await caller.get("/healthz/ready")
            assert (ready.status, len(ready.json["degraded"])) == (200, 1)
            assert await metric(caller, "tally_api_kafka_up") == 0
            await asyncio.to_thread(own_kafka.start)
            async with asyncio.timeout(60):
                while (back := await caller.post("/v1/events", event(2))).status == 503:  # noqa: ASYNC110 - as its Retry-After says
                    await asyncio.sleep(0.1)  # the broker has lost its topics too
            assert back.json["results"][0]["status"] == "accepted"

    asyncio.run(story())


def test_a_frozen_kafka_fills_a_room_and_no_more(
    own_kafka: EmbeddedKafka, valkey_server: EmbeddedRedis, unique: str
) -> None:
    """While a broker answers nothing, as many requests wait as there is room for, the next is 429; then all are accepted."""
    env = environment(own_kafka.bootstrap, unique, TALLY_REDIS=valkey_server.url)

    async def story() -> None:
        async with serving(env, Limits(sending=2)) as caller:
            assert (await caller.post("/v1/events", event(0))).status == 200
            own_kafka.pause()
            try:
                waiting = [asyncio.create_task(caller.post("/v1/events", event(n))) for n in (1, 2)]
                await caller.until("/metrics", lambda found: 'busy_requests{room="sending"} 2.0' in found.json)
                full = await caller.post("/v1/events", event(3))
                assert (full.status, full.headers["Retry-After"]) == (429, "1")
                assert (await caller.post("/v1/check", {"customer": "acme", "metric": "calls"})).status == 200
            finally:
                own_kafka.resume()
            assert [(await each).json["results"][0]["status"] for each in waiting] == ["accepted", "accepted"]
            assert await metric(caller, 'tally_api_busy_requests{room="sending"}') == 0
            assert await metric(caller, "tally_api_body_bytes") == 0

    asyncio.run(story())


def test_redis_away_is_503_until_it_is_back(embedded_kafka: EmbeddedKafka, unique: str) -> None:
    """Check, reserve, release and usage are 503 while Redis is dead, events are accepted; and then it answers again."""

    async def story(redis: EmbeddedRedis) -> None:
        env = environment(embedded_kafka.bootstrap, unique, TALLY_REDIS=redis.url)
        asked = {"customer": "acme", "metric": "calls", "id": "hold"}
        async with serving(env) as caller:
            stale = await caller.post("/v1/check", asked)
            assert (stale.status, stale.json["allowed"], stale.json["reason"]) == (200, False, "stale")
            empty = await caller.get("/v1/usage", customer="acme")
            assert (empty.status, "no worker" in empty.json["error"]) == (503, True)
            redis.kill()
            for path in ("check", "reserve", "release"):
                found = await caller.post(f"/v1/{path}", asked)
                assert (found.status, found.headers["Retry-After"]) == (503, "1")
            assert (await caller.get("/v1/usage", customer="acme")).status == 503
            assert (await caller.get("/healthz/ready")).status == 503
            assert await metric(caller, "tally_api_redis_up") == 0
            assert (await caller.post("/v1/events", event(1))).json["results"][0]["status"] == "accepted"
            await asyncio.to_thread(redis.start)
            await caller.until("/healthz/ready", lambda found: found.status == 200)
            assert (await caller.post("/v1/check", asked)).status == 200

    with EmbeddedRedis() as redis:
        asyncio.run(story(redis))


def test_a_slow_redis_fills_a_room_and_no_more(embedded_kafka: EmbeddedKafka, unique: str) -> None:
    """While Redis is frozen one check waits where there is room for one, and the next is 429, not queued."""

    async def story(redis: EmbeddedRedis) -> None:
        env = environment(embedded_kafka.bootstrap, unique, TALLY_REDIS=redis.url)
        asked = {"customer": "acme", "metric": "calls"}
        async with serving(env, Limits(asking=1)) as caller:
            assert (await caller.post("/v1/check", asked)).status == 200
            redis.pause()
            try:
                waiting = asyncio.create_task(caller.post("/v1/check", asked))
                await caller.until("/metrics", lambda found: 'busy_requests{room="asking"} 1.0' in found.json)
                full = await caller.post("/v1/check", asked)
                assert (full.status, full.headers["Retry-After"]) == (429, "1")
                assert (await caller.get("/v1/usage", customer="acme")).status == 429
            finally:
                redis.resume()
            assert (await waiting).status in {200, 503}, "as fast as the machine lets Redis wake"
            assert (await caller.post("/v1/check", asked)).status == 200

    with EmbeddedRedis() as redis:
        asyncio.run(story(redis))


def test_sigterm_answers_what_has_begun(house: Mapping[str, str], unique: str) -> None:
    """A request whose body is still coming is read, acknowledged and answered; then the process ends with 0."""
    env = {**house, "TALLY_EVENTS_TOPIC": f"{unique}-events"}
    body = json.dumps([event(n) for n in range(3)]).encode()
    with ApiProcess(env) as api, socket.create_connection(("127.0.0.1", api.port), timeout=30) as half:
        wait_until(lambda: '"topic": "' in api.said() and "Connected to Kafka" in api.said(), "Kafka")
        half.sendall(
            b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"
            % len(body)
        )
        assert half.recv(64).startswith(b"HTTP/1.1 100 "), "the request has begun"
        os.kill(api.pid, signal.SIGTERM)
        wait_until(lambda: not listens(api.port), "the end of listening")
        half.sendall(body)
        told = b""
        while got := half.recv(65536):
            told += got
        wait_until(lambda: not api.alive(), "the end of the process")
        assert "Traceback" not in api.said()
    assert told.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in told
    results = json.loads(told.partition(b"\r\n\r\n")[2])["results"]
    assert [each["status"] for each in results] == ["accepted"] * 3
    found = read(env["TALLY_KAFKA"], env["TALLY_EVENTS_TOPIC"])
    assert sorted(json.loads(record.value or b"")["id"] for record in found) == ["0", "1", "2"]
    assert {record.key for record in found} == {b"acme"}


def listens(port: int) -> bool:
    """Whether a connection is taken."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_without_a_token_only_loopback(house: Mapping[str, str]) -> None:
    """`tally api` refuses to listen for others without a token, names both settings, and exits with 2."""
    from tests.integration.commands.running import tally

    ran = tally({**house, "TALLY_API_LISTEN": "0.0.0.0:0"}, "api")
    assert ran.code == 2
    assert "TALLY_API_TOKEN" in ran.err
    taken = socket.create_server(("127.0.0.1", 0))
    with taken:
        ran = tally({**house, "TALLY_API_LISTEN": f"127.0.0.1:{taken.getsockname()[1]}"}, "api")
    assert ran.code == 1
    assert "Set TALLY_API_LISTEN" in ran.err
