"""Clients whose script calls go straight to a connection.

A check is so small that what redis-py does around each command (choosing how to route it, metrics, callbacks) takes
about as long as all the rest: measured, 50 against 35 us for a GET. Connections, retries, TLS, logins and Sentinels
are redis-py's own.
"""

from collections.abc import Sequence
from typing import Any

import redis
import redis.asyncio


def packed(parts: Sequence[str | bytes | int]) -> bytes:
    r"""One command as Redis reads it.

    >>> packed(["GET", "Zürich", 1])
    b'*3\r\n$3\r\nGET\r\n$7\r\nZ\xc3\xbcrich\r\n$1\r\n1\r\n'
    """
    raws = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    return b"*%d\r\n" % len(raws) + b"".join([b"$%d\r\n%b\r\n" % (len(raw), raw) for raw in raws])


class Direct(redis.Redis):
    """A client for threads."""

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Call a script; the connection's own retries, as for every command."""
        command = packed(("EVALSHA", sha, numkeys, *keys_and_args))
        pool: Any = self.connection_pool
        connection: Any = pool.get_connection()

        def ask() -> Any:
            connection.send_packed_command([command])
            return connection.read_response()

        try:
            return connection.retry.call_with_retry(ask, lambda _: connection.disconnect())
        finally:
            pool.release(connection)


class AsyncDirect(redis.asyncio.Redis):
    """A client for asyncio."""

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Call a script; the connection's own retries, as for every command."""
        command = packed(("EVALSHA", sha, numkeys, *keys_and_args))
        pool: Any = self.connection_pool
        connection = await pool.get_connection()

        async def ask() -> Any:
            await connection.send_packed_command([command])
            return await connection.read_response()

        try:
            return await connection.retry.call_with_retry(ask, lambda _: connection.disconnect())
        finally:
            await pool.release(connection)
