"""How Redis has to be set, and whether it holds the app's totals."""

from collections.abc import AsyncIterator
from typing import Any

from tallygate.layout import Keys

from stream.totals.connection import faults, servers
from stream.totals.reader import partitions_of, status_of
from tally.doctor.checks import Check, note, ok, unknown, wrong

FULL = 0.9  # of maxmemory: from here a burst of new customers may find Redis refusing writes
STALE_US = 10_000_000  # past it gates answer "stale" (section 6 of the contract)


async def check_servers(client: Any, *, trying: bool) -> AsyncIterator[Check]:
    """Check each server's version, eviction, persistence and memory.

    `trying`: the Kafka is one that holds all in memory itself, so a Redis that does so too is worth no more than a note.
    """
    found = await faults(client)
    for fault in found:
        yield wrong(f"Redis {fault.server}", fault.text, fault.mend)
    for name, about in (await servers(client)).items():
        if not any(fault.server == name for fault in found):
            yield ok(f"Redis {name}", f"{_version(about)}, maxmemory-policy noeviction")
        yield _persistence(name, about, trying=trying)
        yield _memory(name, about)


def _version(about: dict[str, Any]) -> str:
    valkey = about.get("valkey_version")
    return f"Valkey {valkey}" if valkey else f"version {about.get('redis_version')}"


def _persistence(name: str, about: dict[str, Any], *, trying: bool) -> Check:
    where = f"Redis {name}"
    enabled = about.get("aof_enabled")
    if enabled is None:
        return unknown(where, "does not tell whether it persists its data")
    if int(enabled):
        return ok(where, "writes its data to an append-only file")
    if about.get("connected_slaves"):
        return note(where, "has replicas but no append-only file: a restart of all at once loses open holds")
    detail = (
        "keeps no append-only file: when it restarts, open holds and settled reservations are lost (totals come back "
        "by themselves)"
    )
    return (note if trying else wrong)(where, detail, f"redis-cli -u redis://{name} CONFIG SET appendonly yes")


def _memory(name: str, about: dict[str, Any]) -> Check:
    used, most = int(about.get("used_memory", 0)), int(about.get("maxmemory", 0))
    where = f"Redis {name}"
    if not most:
        return ok(where, f"uses {used:,} bytes, with no limit but the machine's")
    detail = f"uses {used:,} of {most:,} bytes"
    if used < FULL * most:
        return ok(where, detail)
    mend = f"redis-cli -u redis://{name} CONFIG SET maxmemory {2 * most}"
    return wrong(where, f"{detail}: when it is full, totals and holds can no longer be written", mend)


async def check_totals(client: Any, app: str, partitions: int | None, *, working: bool) -> AsyncIterator[Check]:
    """Check that Redis holds the totals of every partition, and that they are fresh where a worker is at work.

    `partitions` is how many the events topic has, None where that is not known.
    """
    where = f"totals of {app}"
    try:
        held = await partitions_of(client, app)
    except ValueError as other:
        yield wrong(where, str(other), None)
        return
    if held is None:
        yield note(where, "no worker of this app has written to Redis yet", "tally worker")
        return
    if partitions is not None and held != partitions:
        yield wrong(where, f"Redis knows {held} partitions, the events topic has {partitions}", "tally reset")
        return
    missing, late = [], []
    for number in range(held):
        # asked where the partition's key lives: a Cluster's nodes have clocks of their own
        seconds, micros = await client.eval("return redis.call('TIME')", 1, Keys(app, number).status)
        status = await status_of(client, app, number)
        if status is None or not status.complete:
            missing.append(number)
        elif int(seconds) * 1_000_000 + int(micros) - (status.fresh_us or 0) > STALE_US:
            late.append(number)
    if missing:
        detail = f"partitions {_numbers(missing)} are not complete in Redis: gates answer stale there"
        yield wrong(where, detail, None if working else "tally worker")
    if late:
        detail = f"partitions {_numbers(late)} are older than {STALE_US // 1_000_000} s: gates answer stale there"
        yield (wrong(where, detail, None) if working else note(where, f"{detail}; no worker runs", "tally worker"))
    if not missing and not late:
        yield ok(where, f"all {held} partitions are complete in Redis, and fresh")


async def addresses(client: Any, app: str) -> list[str]:
    """Where the owners of the partitions answer, each once."""
    try:
        held = await partitions_of(client, app) or 0
    except ValueError:
        return []
    statuses = [await status_of(client, app, number) for number in range(held)]
    return sorted({status.address for status in statuses if status is not None and status.address})


def _numbers(found: list[int]) -> str:
    shown = ", ".join(map(str, found[:8]))
    return f"{shown} and {len(found) - 8} more" if len(found) > 8 else shown
