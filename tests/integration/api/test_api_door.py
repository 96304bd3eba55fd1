"""Who and how much comes in, with neither Kafka nor Redis behind the API."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tally.api.limits import Limits
from tests.integration.api.serving import Caller, serving

TOKEN = "a-token-of-ours"
NOWHERE = {"TALLY_KAFKA": "127.0.0.1:1", "TALLY_REDIS": "redis://127.0.0.1:1/0", "TALLY_APP": "t-door"}


async def raw(caller: Caller, data: bytes) -> bytes:
    """Write bytes to a connection of its own, and read until the server closes it."""
    host, _, port = caller.api.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer",
        "Bearer wrong",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        TOKEN,
        "Bearer \xe4",
    ],
)
def test_without_the_token_nobody_comes_in(header: str | None) -> None:
    """401 with WWW-Authenticate on each path of /v1, before the body is read; the token itself is let in."""

    async def story() -> None:
        async with serving({**NOWHERE, "TALLY_API_TOKEN": TOKEN}, kafka=False) as caller:
            headers = {} if header is None else {"Authorization": header}
            for path in ("check", "reserve", "release", "events"):
                found = await caller.post(f"/v1/{path}", b"not JSON", **headers)
                assert (found.status, found.json["path"], found.headers["WWW-Authenticate"]) == (
                    401, "Authorization", 'Bearer realm="tallystream"',
                )  # fmt: skip
            assert (await caller.send("GET", "/v1/usage?customer=acme", headers=headers)).status == 401
            assert (await caller.send("GET", "/v1/nonesuch", headers=headers)).status == 401
            right = await caller.post("/v1/check", b"not JSON", Authorization=f"bearer {TOKEN}")
            assert right.status == 400
            assert (await caller.get("/healthz/live")).json == {"live": True}
            assert (await caller.get("/metrics")).status == 200

    asyncio.run(story())


def test_a_web_page_cannot_use_an_api_without_a_token() -> None:
    """What browsers send for a page of another site, or of a name that leads to 127.0.0.1, is refused."""

    async def story() -> None:
        async with serving(NOWHERE, kafka=False) as caller:
            body: dict[str, Any] = {}
            assert (await caller.post("/v1/check", body)).status == 400
            assert (await caller.post("/v1/check", body, Origin="https://example.org")).status == 401
            assert (await caller.post("/v1/check", body, Host="example.org")).status == 401
            assert (await caller.post("/v1/check", body, Host="127.0.0.1.example.org")).status == 401
            assert (await caller.post("/v1/check", body, Host="localhost:8080")).status == 400
            assert (await caller.post("/v1/check", body, Host="[::1]:8080")).status == 400

    asyncio.run(story())


@pytest.mark.parametrize("path, most", [("/v1/check", 64 << 10), ("/v1/release", 64 << 10), ("/v1/events", 4 << 20)])
def test_a_body_too_large_is_not_read(path: str, most: int) -> None:
    """413 by its announced length, and where that is not announced, as soon as it is passed; compressed ones too."""

    async def story() -> None:
        async def chunks() -> AsyncIterator[bytes]:
            while True:  # without an end: who reads on, hangs
                yield b" " * 65536
                await asyncio.sleep(0)

        async with serving(NOWHERE, kafka=False) as caller:
            announced = await raw(
                caller, b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (path.encode(), most + 1)
            )
            assert announced.startswith(b"HTTP/1.1 413 ")
            assert b"Connection: close" in announced
            try:
                streamed = (await caller.send("POST", path, data=chunks())).status
            except OSError:  # the connection was cut while the client was writing
                streamed = 413
            assert streamed == 413
            fits = await caller.post(path, b" " * most)
            assert (fits.status, "is empty" in fits.json["error"]) == (400, True)

    asyncio.run(story())


def test_too_many_events_are_refused_whole() -> None:
    """10,001 events are 413; nothing of them is looked at."""

    async def story() -> None:
        async with serving(NOWHERE, kafka=False) as caller:
            found = await caller.post("/v1/events", b"[" + b"1," * 10_000 + b"1]")
            assert (found.status, found.json["error"]) == (413, "the request has 10001 events: send at most 10000")

    asyncio.run(story())


def test_a_slow_body_is_not_waited_for() -> None:
    """408 when the body has not come in time; what was held of it is given back."""

    async def story() -> None:
        async with serving(NOWHERE, Limits(body_s=0.2), kafka=False) as caller:
            for path in (b"/v1/check", b"/v1/events"):
                head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n[" % path
                assert (await raw(caller, head)).startswith(b"HTTP/1.1 408 ")
            assert "\ntally_api_body_bytes 0.0\n" in (await caller.get("/metrics")).json

    asyncio.run(story())


def test_a_connection_without_a_request_is_cut() -> None:
    """Who connects and sends nothing, or half a header, holds no connection for long; a slow answer is not cut."""

    async def story() -> None:
        async with serving(NOWHERE, Limits(headers_s=0.2), kafka=False) as caller:
            assert await raw(caller, b"") == b""
            assert await raw(caller, b"GET /healthz/live HTTP/1.1\r\nHo") == b""
            assert (await raw(caller, b"GET /healthz/live HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.0 200 ")

    asyncio.run(story())


def test_connections_have_an_end() -> None:
    """One too many is told to come back, and closed."""

    async def story() -> None:
        async with serving(NOWHERE, Limits(connections=2), kafka=False) as caller:
            host, _, port = caller.api.address.rpartition(":")
            with socket.create_connection((host, int(port))), socket.create_connection((host, int(port))):
                found = await raw(caller, b"")
            assert found.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: 1" in found
            assert json.loads(found.partition(b"\r\n\r\n")[2]) == {"error": "too many connections", "path": None}

    asyncio.run(story())


def test_bytes_of_events_have_room_and_no_queue() -> None:
    """Events that do not fit beside those that are held are 429 with Retry-After."""

    async def story() -> None:
        async with serving(NOWHERE, Limits(events_held=100), kafka=False) as caller:
            found = await caller.post("/v1/events", b" " * 101)
            assert (found.status, found.headers["Retry-After"]) == (429, "1")
            assert (await caller.post("/v1/events", b" " * 100)).status == 400, "the room was given back"

    asyncio.run(story())


async def in_parts(caller: Caller, parts: int, *, ends: bool) -> bytes:
    """Send a body in parts of 40 bytes, each once the one before is held; the answer, or nothing when we hang up."""
    host, _, port = caller.api.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in range(1, parts + 1):
        writer.write(b"28\r\n" + b" " * 40 + b"\r\n")
        if number < parts or not ends:
            held = f"\ntally_api_body_bytes {40.0 * number}\n"
            await caller.until("/metrics", lambda found, held=held: held in found.json)
    if ends:
        writer.write(b"0\r\n\r\n")
    try:
        return await reader.readuntil(b"\r\n") if ends else b""
    finally:
        writer.close()


@pytest.mark.parametrize("parts, ends, answer", [(2, True, b" 400 "), (3, True, b" 429 "), (2, False, b"")])
def test_what_a_body_took_is_given_back(parts: int, ends: bool, answer: bytes) -> None:
    """Each part takes its bytes; all are given back when the body is answered, has no room, or never ends."""

    async def story() -> None:
        async with serving(NOWHERE, Limits(events_held=100), kafka=False) as caller:
            for _ in range(3):  # what was not given back would be missing the next time
                assert answer in await in_parts(caller, parts, ends=ends)
                await caller.until("/metrics", lambda found: "\ntally_api_body_bytes 0.0\n" in found.json)

    asyncio.run(story())


def test_what_is_not_there_is_json_too() -> None:
    """404 and 405 name what is wrong; a broken header is 400."""

    async def story() -> None:
        async with serving(NOWHERE, kafka=False) as caller:
            nothing = await caller.get("/v1/nonesuch")
            assert (nothing.status, nothing.json["path"]) == (404, None)
            method = await caller.get("/v1/check")
            assert (method.status, method.headers["Allow"], "send POST" in method.json["error"]) == (405, "POST", True)
            parameter = await caller.post("/v1/check?metric=calls", {"customer": "acme"})
            assert (parameter.status, parameter.json["path"]) == (400, "metric")
            assert (await raw(caller, b"NONSENSE\r\n\r\n")).startswith(b"HTTP/1.0 400 ")

    asyncio.run(story())


def test_a_broken_compressed_body_is_wrong() -> None:
    """400 for what says that it is gzip and is none."""

    async def story() -> None:
        async with serving(NOWHERE, kafka=False) as caller:
            found = await caller.post("/v1/check", b"not gzip", **{"Content-Encoding": "gzip"})
            assert found.status == 400

    asyncio.run(story())


def test_neither_kafka_nor_redis_is_503_at_once() -> None:
    """Each call says which of them does not answer, and when to come back; the process itself is live."""

    async def story() -> None:
        async with serving(NOWHERE, kafka=False) as caller:
            event = {"id": 1, "event_name": "call", "customer_id": "acme", "timestamp": 1}
            sent = await caller.post("/v1/events", event)
            assert (sent.status, sent.headers["Retry-After"]) == (503, "1")
            assert "Kafka" in sent.json["error"]
            assert (await caller.post("/v1/events", {"id": 1})).status == 200, "a refusal needs no Kafka"
            for path in ("check", "reserve", "release"):
                found = await caller.post(f"/v1/{path}", {"customer": "acme", "metric": "calls", "id": "1"})
                assert (found.status, "Redis" in found.json["error"], found.headers["Retry-After"]) == (503, True, "1")
            assert (await caller.get("/v1/usage", customer="acme")).status == 503
            ready = await caller.get("/healthz/ready")
            assert (ready.status, ready.json["ready"]) == (503, False)
            assert (await caller.get("/healthz/live")).status == 200

    asyncio.run(story())
