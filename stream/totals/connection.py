"""The worker's connection to Redis, and whether that Redis is fit for totals."""

import re
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisClusterException, RedisError
from tallygate import layout
from tallygate.urls import connect_async

TIMEOUT_S = 5.0
OLDEST = {"redis": (7, 0), "valkey": (7, 2)}


def connect(url: str, *, timeout_s: float = TIMEOUT_S) -> Any:
    """Make an asyncio client of redis://, rediss://, redis+sentinel:// or redis+cluster:// (see `tallygate.urls`).

    Nothing is connected yet. The publisher retries by itself, so a call is repeated once only: for a connection that
    the server had closed while it was idle.

    Raises:
        ValueError: the URL is none of these.

    """
    return connect_async(url, timeout_s=timeout_s, retries=1)


@dataclass(frozen=True)
class Fault:
    """What is wrong with a server, and the command that mends it (or None)."""

    server: str
    text: str
    mend: str | None


async def faults(redis: Any) -> list[Fault]:
    """What makes this Redis unfit to hold totals: its version, and whether it throws keys away when it is full.

    Raises:
        RedisError, OSError: it could not be asked.

    """
    found: list[Fault] = []
    for name, about in (await servers(redis)).items():
        server = "valkey" if "valkey_version" in about else "redis"
        version = str(about.get("valkey_version") or about.get("redis_version"))
        numbers = re.match(r"(\d+)\.(\d+)", version)
        if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST[server]:
            wanted = ".".join(map(str, OLDEST[server]))
            found.append(Fault(name, f"{server} {version} is too old: the scripts need {wanted} or newer", None))
        policy = about.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            text = f"maxmemory-policy is {policy}: Redis may throw totals and holds away, and they would read as zero"
            found.append(Fault(name, text, f"redis-cli -u redis://{name} CONFIG SET maxmemory-policy noeviction"))
    return found


async def erase(redis: Any, app: str, partitions: int) -> int:
    """Remove every key of an app, for `tally reset`; say how many. Stop the workers first.

    Args:
        redis: a client made by `connect`.
        app: whose keys.
        partitions: how many there were, or are: the greater number.

    """
    count = 0
    for number in range(partitions):
        count += await erase_partition(redis, app, number)
    return count + int(await redis.delete(layout.app_key(app)))


async def erase_partition(redis: Any, app: str, number: int) -> int:
    """Remove every key of one partition; say how many. Its status goes first: from then on nothing reads as zero."""
    keys = layout.Keys(app, number)
    count = int(await redis.delete(keys.status))
    pattern = re.sub(r"([*?\[\]\\])", r"\\\1", keys.status) + ":*"
    batch: list[bytes] = []
    async for key in redis.scan_iter(match=pattern, count=1000):
        batch.append(key)
        if len(batch) == 500:
            count += int(await redis.unlink(*batch))
            batch = []
    return count + (int(await redis.unlink(*batch)) if batch else 0)


async def servers(redis: Any) -> dict[str, dict[str, Any]]:
    """What INFO says, of each primary, by its address."""
    if hasattr(redis, "get_primaries"):
        await redis.initialize()
        answers: dict[str, dict[str, Any]] = {}
        for node in redis.get_primaries():
            about = await redis.info(target_nodes=node)
            # redis-py answers for one node with its INFO, for several with one each by name
            answers[node.name] = about.get(node.name, about)
        return answers
    about = await redis.info()
    options = redis.connection_pool.connection_kwargs
    return {f"{options.get('host', 'redis')}:{options.get('port', about.get('tcp_port'))}": about}


__all__ = ["Fault", "RedisClusterException", "RedisError", "connect", "erase", "erase_partition", "faults", "servers"]
