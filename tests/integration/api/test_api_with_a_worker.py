"""The HTTP API beside a worker that really counts: send, check, reserve, settle, read."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from tests.integration.api.serving import Answer, Caller, serving
from tests.integration.commands.running import tally


def event(number: int | str, customer: str, **more: Any) -> dict[str, Any]:
    """A call of now."""
    return {"id": str(number), "event_name": "call", "customer_id": customer, "timestamp": time.time(), **more}


async def used(caller: Caller, customer: str, metric: str, value: str) -> Answer:
    """Wait until the total of all history is this."""

    def right(found: Answer) -> bool:
        if found.status != 200:
            return False
        return [row["value"] for row in found.json["rows"] if not row["group"]] == [value]

    return await caller.until("/v1/usage", right, customer=customer, metric=metric, window="total")


def test_what_is_sent_is_counted_and_gated(house: Mapping[str, str], unique: str) -> None:
    """A batch is accepted, its totals are read, the gate lets up to the limit in and no further, in exact numbers."""

    async def story() -> None:
        async with serving(house) as caller:
            sent = await caller.post(
                "/v1/events", [event(n, unique, properties={"tokens": "0.1", "model": "m1"}) for n in range(9)]
            )
            assert sent.status == 200
            assert sent.json["results"][8] == {
                "index": 8, "id": "8", "status": "accepted", "reason": None, "detail": None,
            }  # fmt: skip
            rows = (await used(caller, unique, "tokens", "0.9")).json["rows"]
            assert [(row["group"], row["value"], row["events"]) for row in rows] == [
                ({}, "0.9", 9),
                ({"model": "m1"}, "0.9", 9),
            ]
            assert rows[0]["position"].keys() == {"partition", "offset"}

            check = (await caller.post("/v1/check", {"customer": unique, "metric": "calls"})).json
            assert (check["allowed"], check["reason"], check["used"], check["limit"]) == (True, "ok", "9", "10")
            assert (check["remaining"], check["window"], check["warnings"]) == ("1", "month", ["0.5"])
            assert check["lag_ms"] >= 0
            over = (await caller.post("/v1/check", {"customer": unique, "metric": "calls", "cost": "1.5"})).json
            assert (over["allowed"], over["reason"]) == (False, "limit_reached")

            lines = [{"metric": "calls"}, {"metric": "tokens", "group": {"model": "m1"}, "cost": 2.5}]
            asked = {"customer": unique, "lines": lines, "id": "hold", "ttl_ms": 60_000}
            held = (await caller.post("/v1/reserve", asked)).json
            assert (held["allowed"], held["id"], held["reserved"]) == (True, "hold", "1")
            assert (await caller.post("/v1/reserve", asked)).json["at"] == held["at"], "the same hold"
            other = await caller.post("/v1/reserve", {"customer": unique, "metric": "calls", "id": "hold"})
            assert (other.status, other.json["path"]) == (409, "id")
            assert not (await caller.post("/v1/check", asked)).json["allowed"]

            settled = event("settles", unique, reservation="hold", timestamp=held["at"], properties={"tokens": 1})
            assert (await caller.post("/v1/events", settled)).json["results"][0]["status"] == "accepted"
            await used(caller, unique, "calls", "10")
            assert (await caller.post("/v1/reserve", asked)).json["reason"] == "settled"
            assert (await caller.post("/v1/release", asked)).json == {"released": False, "reason": "settled"}

    asyncio.run(story())


def test_a_hold_is_given_back_once(house: Mapping[str, str], unique: str) -> None:
    """Release gives the place back; the second time there is nothing to give."""

    async def story() -> None:
        async with serving(house) as caller:
            held = await caller.post("/v1/reserve", {"customer": unique, "metric": "calls", "cost": 10})
            assert held.json["allowed"]
            assert not (await caller.post("/v1/check", {"customer": unique, "metric": "calls"})).json["allowed"]
            given = {"customer": unique, "id": held.json["id"]}
            assert (await caller.post("/v1/release", given)).json == {"released": True, "reason": "ok"}
            assert (await caller.post("/v1/release", given)).json == {"released": False, "reason": "unknown"}
            assert (await caller.post("/v1/check", {"customer": unique, "metric": "calls"})).json["allowed"]

    asyncio.run(story())


def test_every_dialect_counts_once(house: Mapping[str, str], unique: str) -> None:
    """Lago, Alguna, Lotus, CloudEvents structured and binary, and lines: each answer has the caller's own id."""

    async def story() -> None:
        now = time.time()
        lago = {"transaction_id": "1", "code": "call", "external_customer_id": unique, "timestamp": str(now)}
        alguna = {"uniqueId": "2", "eventName": "call", "accountId": unique, "timestamp": now}
        lotus = {"idempotency_id": "3", "event_name": "call", "customer_id": unique, "time_created": now}
        cloud = {"specversion": "1.0", "id": "4", "source": "/a b", "type": "call", "subject": unique}
        async with serving(house) as caller:
            found = await caller.post("/v1/events", [lago, alguna, lotus, cloud, lago])
            assert [each["id"] for each in found.json["results"]] == ["1", "2", "3", "4", "1"]
            binary = {
                "ce-specversion": "1.0",
                "ce-id": "4",
                "ce-source": "/a%20b",
                "ce-type": "call",
                "ce-subject": unique,
            }
            again = await caller.post("/v1/events", {"tokens": 3}, **binary)
            assert [each["id"] for each in again.json["results"]] == ["4"]
            other = await caller.post("/v1/events", {"tokens": 3}, **{**binary, "ce-source": "/other"})
            assert other.json["results"][0]["status"] == "accepted"
            lines = b"\n".join(json.dumps(event(n, unique)).encode() for n in ("5", "6")) + b"\n\n"
            both = await caller.post("/v1/events", lines, **{"Content-Type": "application/x-ndjson"})
            assert [each["index"] for each in both.json["results"]] == [0, 1]
            await used(caller, unique, "calls", "7")
            await used(caller, unique, "tokens", "3")

    asyncio.run(story())


def test_what_is_refused_is_told_and_not_sent(house: Mapping[str, str], unique: str) -> None:
    """In one batch the good are accepted; each bad one has the reason and the sentence of the worker's own decoder."""

    async def story() -> None:
        async with serving(house) as caller:
            bad = [
                event("a", unique), 7, {"id": "b"}, event("c", unique, timestamp="now"),
                event("d", unique, properties={"text": "x" * (1 << 20)}), event("e", unique),
            ]  # fmt: skip
            results = (await caller.post("/v1/events", bad)).json["results"]
            told = [(each["id"], each["status"], each["reason"]) for each in results]
            assert told == [
                ("a", "accepted", None),
                (None, "refused", "malformed"),
                ("b", "refused", "missing_field"),
                ("c", "refused", "bad_timestamp"),
                ("d", "refused", "too_large"),
                ("e", "accepted", None),
            ]
            assert "the event lacks customer_id (or accountId" in results[2]["detail"]
            await used(caller, unique, "calls", "2")

    asyncio.run(story())


def test_usage_of_earlier_windows_and_of_gauges(house: Mapping[str, str], unique: str) -> None:
    """`at` is answered by the worker; a gauge's state is there in the present hour without an event in it."""

    async def story() -> None:
        async with serving(house) as caller:
            now = time.time()
            seat = {"id": "s", "event_name": "seat", "customer_id": unique, "timestamp": now - 4 * 3600,
                    "properties": {"seats": 7}}  # fmt: skip
            await caller.post("/v1/events", [event("x", unique, timestamp=now - 5 * 3600), seat])
            await used(caller, unique, "calls", "1")
            found = await caller.get(
                "/v1/usage", customer=unique, window="hour", metric="calls", at=str(now - 5 * 3600)
            )
            assert [(row["value"], row["window"]) for row in found.json["rows"]] == [("1", "hour")]
            state = await caller.get("/v1/usage", customer=unique, metric="seats", window="hour")
            assert [row["value"] for row in state.json["rows"]] == ["7"]
            nobody = await caller.get("/v1/usage", customer=f"{unique}-nobody")
            assert (nobody.status, nobody.json) == (200, {"rows": []})
            unknown = await caller.get("/v1/usage", customer=unique, metric="nonesuch")
            assert (unknown.status, unknown.json["path"]) == (400, "metric")

    asyncio.run(story())


def test_an_unknown_metric_and_a_metric_without_a_limit(house: Mapping[str, str], unique: str) -> None:
    """The first is not allowed, the second is; both are answers."""

    async def story() -> None:
        async with serving(house) as caller:
            unknown = await caller.post("/v1/check", {"customer": unique, "metric": "nonesuch"})
            assert (unknown.status, unknown.json["allowed"], unknown.json["reason"]) == (200, False, "unknown_metric")
            free = await caller.post("/v1/check", {"customer": unique, "metric": "seats"})
            assert (free.status, free.json["allowed"], free.json["reason"]) == (200, True, "no_limit")
            wrong = await caller.post("/v1/check", {"customer": unique, "metric": "tokens", "group": {"tier": 1}})
            assert (wrong.status, wrong.json["path"]) == (400, "group")

    asyncio.run(story())


def test_the_command_checks_too(house: Mapping[str, str], unique: str) -> None:
    """`tally check` exits with 0 where it is allowed, 1 where it is not; --json prints what HTTP answers."""
    env = {**house}
    allowed = tally(env, "check", "--customer", unique, "--metric", "calls")
    assert allowed.code == 0, allowed
    assert allowed.out.splitlines()[:2] == ["allowed: calls", "0 used, 0 reserved, 10 remaining of 10 a month"]
    refused = tally(env, "check", "--customer", unique, "--metric", "tokens", "--cost", "1000.6", "--json")
    assert (refused.code, refused.json["allowed"], refused.json["limit"]) == (1, False, "1000.5")
    group = tally(env, "check", "--customer", unique, "--metric", "tokens", "--group", "model=m1", "--json")
    assert (group.code, group.json["reason"]) == (0, "ok")
    wrong = tally(env, "check", "--customer", unique, "--metric", "tokens", "--group", "tier=1")
    assert wrong.code == 2
    away = tally({**env, "TALLY_REDIS": "redis://127.0.0.1:1/0"}, "check", "--customer", unique, "--metric", "calls")
    assert (away.code, "Redis does not answer" in away.err) == (1, True)
