"""Redis by URL: standalone, Sentinel and Cluster, for threads and for asyncio.

    redis://[user:password@]host[:port][/db][?option=value]      rediss:// for TLS
    redis+sentinel://[user:password@]host[:port],.../service[/db]   rediss+sentinel://
    redis+cluster://[user:password@]host[:port],...                 rediss+cluster://

Options are redis-py's own (`ssl_ca_certs`, `client_name`, ...); `sentinel_username` and `sentinel_password` are for the
Sentinels themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
import redis.connection
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import ExponentialWithJitterBackoff
from redis.cluster import ClusterNode
from redis.retry import Retry
from redis.sentinel import Sentinel

from tallygate._direct import AsyncDirect, Direct

# redis-py has no types for these.
_parse_url: Any = redis.connection.parse_url
_ClusterNode: Any = ClusterNode
_Sentinel: Any = Sentinel
_AsyncSentinel: Any = AsyncSentinel

SCHEMES = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")


@dataclass(frozen=True)
class Address:
    """What a URL says: which servers, of which kind, and redis-py's options for them."""

    kind: str
    nodes: tuple[tuple[str, int], ...]
    service: str
    options: dict[str, Any]
    sentinel_options: dict[str, Any]


def parse(url: str) -> Address:
    """Read a URL.

    >>> parse("redis+sentinel://a:1,b/totals/2").nodes
    (('a', 1), ('b', 26379))

    Raises:
        ValueError: the scheme is none of `SCHEMES`, or a part is missing or wrong.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ValueError(f"a Redis URL begins with one of {', '.join(SCHEMES)}, each followed by ://")
    base, _, kind = scheme.partition("+")
    authority, slash, path = rest.partition("/")
    if not slash:
        authority, question, path = rest.partition("?")
        path = question + path
    login, at, hosts = authority.rpartition("@")
    nodes = tuple(_node(part, 26379 if kind == "sentinel" else 6379) for part in hosts.split(","))
    if not kind and len(nodes) > 1:
        raise ValueError("several servers need redis+cluster:// or redis+sentinel://")
    service = ""
    where, question, query = path.partition("?")
    if kind == "sentinel":
        service, _, where = where.partition("/")
        if not service:
            raise ValueError("redis+sentinel:// needs the service's name: redis+sentinel://host:26379/name")
    if kind == "cluster" and where.strip("/") not in {"", "0"}:
        raise ValueError("a Redis Cluster has database 0 only")
    # redis-py reads the login, the database and the options.
    options = dict(_parse_url(f"redis://{login}{at}host/{where}{question}{query}"))
    options.pop("host", None)
    options.pop("port", None)
    about_sentinels = {k: options.pop(f"sentinel_{k}") for k in ("username", "password") if f"sentinel_{k}" in options}
    if kind == "cluster":
        options.pop("db", None)
    if base == "rediss":
        options["ssl"] = True
        if kind == "sentinel":
            about_sentinels["ssl"] = True
    return Address(kind, nodes, service, options, about_sentinels)


#: redis-py refuses a hundred and first call at once. How many there are is the service's own affair; `max_connections`
#: in the URL sets another limit.
_ROOM = {"max_connections": 10_000}


def _patience(timeout_s: float) -> dict[str, float]:
    return {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}


def connect(url: str, *, timeout_s: float, retries: int = 2) -> Any:
    """Make a client for threads. Nothing is connected yet, except to a Cluster, which is asked for its nodes."""
    address = parse(url)
    policy = Retry(ExponentialWithJitterBackoff(cap=timeout_s / 2, base=0.01), retries)
    options = {**_ROOM, **address.options, **_patience(timeout_s), "retry": policy}
    host, port = address.nodes[0]
    if address.kind == "cluster":
        return redis.RedisCluster(startup_nodes=[_ClusterNode(h, p) for h, p in address.nodes], **options)
    if address.kind == "sentinel":
        sentinels = _Sentinel(
            list(address.nodes),
            sentinel_kwargs={**_patience(timeout_s), **address.sentinel_options},
        )
        found = sentinels.master_for(address.service, redis_class=_Primary, **options)
        found.watchers = sentinels.sentinels
        return found
    return Direct(host=host, port=port, **options)


def connect_async(url: str, *, timeout_s: float, retries: int = 2) -> Any:
    """Make a client for asyncio. Nothing is connected yet."""
    address = parse(url)
    policy = AsyncRetry(ExponentialWithJitterBackoff(cap=timeout_s / 2, base=0.01), retries)
    options = {**_ROOM, **address.options, **_patience(timeout_s), "retry": policy}
    host, port = address.nodes[0]
    if address.kind == "cluster":
        # By default every fifth MOVED closes all connections, those that other tasks are using too, to read the nodes
        # anew. A moved slot is noted without that.
        nodes = [AsyncClusterNode(h, p) for h, p in address.nodes]
        return redis.asyncio.RedisCluster(startup_nodes=nodes, reinitialize_steps=0, **options)
    if address.kind == "sentinel":
        sentinels = _AsyncSentinel(
            list(address.nodes),
            sentinel_kwargs={**_patience(timeout_s), **address.sentinel_options},
        )
        found = sentinels.master_for(address.service, redis_class=_AsyncPrimary, **options)
        found.watchers = sentinels.sentinels
        return found
    return AsyncDirect(host=host, port=port, **options)


class _Primary(Direct):
    """The primary that Sentinels name; closing it closes the connections to them, which redis-py leaves open."""

    watchers: Sequence[Any] = ()

    def close(self) -> None:
        super().close()
        for each in self.watchers:
            each.close()


class _AsyncPrimary(AsyncDirect):
    """The same for asyncio."""

    watchers: Sequence[Any] = ()

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        for each in self.watchers:
            await each.aclose()


def _node(text: str, default_port: int) -> tuple[str, int]:
    split = urlsplit(f"//{text}")
    if not split.hostname:
        raise ValueError(f"a host is missing in {text!r}")
    return split.hostname, split.port or default_port


__all__ = ["SCHEMES", "Address", "connect", "connect_async", "parse"]
